#include "rowfs/engine/reader.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#include "barred.h"
#include "join.h"
#include "reader_look.h"
#include "rowfs/base/clock.h"
#include "rowfs/base/counters.h"
#include "rowfs/base/switches.h"

/* One fetch and all who wait for it. In the table (and open to join) until it is answered or
 * superseded. */
struct flight {
	UT_hash_handle hh;
	struct lane_task task;
	struct reader *reader;
	struct rowref ref;
	struct read_request *waiting; /* [lock] */
	struct flight *prev, *next;   /* [lock] all that are on their way */
	bool joinable;                /* [lock] in the table */
	bool superseded;              /* [lock] by a save */
	bool overtaken;               /* [lock] something younger may have been seen of the row meanwhile */
	atomic_bool abandoned;        /* the last who waited was killed */
	enum outcome outcome;
	struct buf value;             /* PARTIAL, REPLACE, FOREIGN: that one */
	struct text *bare;            /* PARTIAL: what copy_parse() made of it */
	struct cache_proof proof;     /* of when Redis was asked; under a feed */
	uint64_t mark;                /* from before it was listed, and so before its SELECT */
	int64_t began_us;
	pid_t thread;                 /* of the first who asked */
	bool load;                    /* it is to be in Redis, whoever reads it */
	size_t key_len;
	char *key;
};

/* Copies are refused for as long as one that is older than what was seen may still be used. */
static int64_t own_window_ms(const struct settings *settings)
{
	double seconds = settings->ttl > settings->max_staleness ? settings->ttl : settings->max_staleness;

	return (int64_t)(seconds * 1000) + 1;
}

int reader_new(const struct reader_parts *parts, struct reader **ret)
{
	struct reader *reader = calloc(1, sizeof *reader);

	if (!reader)
		return -ENOMEM;
	reader->parts = *parts;
	reader->ttl_ms = (int64_t)(parts->settings->ttl * 1000);
	if (own_new(own_window_ms(parts->settings), &reader->own) < 0) {
		free(reader);
		return -ENOMEM;
	}
	pthread_mutex_init(&reader->lock, NULL);
	*ret = reader;
	return 0;
}

void reader_free(struct reader *reader)
{
	if (!reader)
		return;
	own_free(reader->own);
	pthread_mutex_destroy(&reader->lock);
	free(reader);
}

void reader_use_feed(struct reader *reader, bool use)
{
	atomic_store(&reader->feed, use);
}

struct reader_bar reader_bars(const struct reader *reader, const struct relation *relation)
{
	return barred(reader->parts.settings, relation, store_may_lag(reader->parts.store), reader->feed);
}

bool reader_may_cache(const struct reader *reader, const struct relation *relation)
{
	return !relation->placement.off && !reader_bars(reader, relation).why;
}

/* Are the changes told by the very feed that this mount hears? */
static bool is_fed(struct reader *reader, const struct cache_proof *proof)
{
	return proof->fresh && follow_hears(reader->parts.follow, proof->epoch);
}

/* --- PostgreSQL ------------------------------------------------------------------------------ */

static struct fetch_from from_store(const struct reader *reader, enum store_set set, const atomic_bool *abandoned)
{
	return (struct fetch_from){reader->parts.store, reader->parts.catalog, set, abandoned};
}

int reader_fetch(struct reader *reader, const struct rowref *ref, enum store_set set,
		 struct text **ret, struct error *e)
{
	const struct fetch_from from = from_store(reader, set, NULL);

	return fetch_row(&from, ref, ret, e);
}

/* --- Redis ----------------------------------------------------------------------------------- */

int reader_read(struct reader *reader, const struct rowref *ref, enum store_set set,
		struct text **ret, struct error *e)
{
	_cleanup_question_ struct question question = {0};
	const struct fetch_from from = from_store(reader, set, NULL);
	const struct read_request whole = {0};
	_cleanup_text_ struct text *bare = NULL;
	struct error why = {0};
	int r = -EAGAIN;

	switch (reader_look(reader, ref, &whole, &question, &bare)) {
	case USABLE:
		*ret = bare;
		bare = NULL;
		return 0;
	case PARTIAL:
		r = join_row(&from, ref, bare, &question.value, ret, &why);
		break;
	default:
		break;
	}
	return r == 0 ? 0 : fetch_row(&from, ref, ret, e);
}

bool reader_proves(struct reader *reader, const struct relation *relation, const struct buf *key,
		   struct cache_proof *ret_proof, struct buf *ret)
{
	*ret_proof = (struct cache_proof){0};
	if (!reader->feed || !reader_may_cache(reader, relation))
		return false;
	if (cache_read(reader->parts.cache, relation->oid, key->data, key->len, ret_proof, ret) != CACHE_HIT)
		buf_reset(ret);
	return is_fed(reader, ret_proof);
}

bool reader_is_fed(struct reader *reader, const struct relation *relation)
{
	struct cache_proof proof;
	struct buf none = {0};

	return reader_proves(reader, relation, &none, &proof, &none);
}

static void fill(struct flight *flight, const char *token, const struct text *text, int64_t began_ms)
{
	struct reader *reader = flight->reader;
	bool feed = flight->proof.fresh;
	struct copy_terms terms = reader_terms(reader, feed, &flight->proof);
	int64_t px = feed ? copy_life_ms() : reader->ttl_ms;
	_cleanup_buf_ struct buf key = {0}, value = {0};

	if ((!feed && clock_monotonic_ms() - began_ms >= reader->ttl_ms) || !copy_may_fit(flight->ref.relation, text->len))
		return;
	reader_print_key(&flight->ref, feed, &key);
	copy_print(flight->ref.relation, text, &terms, &value);
	if (!key.failed && !value.failed)
		cache_fill(reader->parts.cache, flight->ref.relation->oid, key.data, key.len, token, value.data, value.len, px);
}

/* There is nothing to fill it with. */
static void release(struct flight *flight, const char *token)
{
	_cleanup_buf_ struct buf key = {0};

	reader_print_key(&flight->ref, flight->proof.fresh, &key);
	if (!key.failed)
		cache_release(flight->reader->parts.cache, key.data, key.len, token);
}

/* --- Flights --------------------------------------------------------------------------------- */

static void flight_free(struct flight *flight)
{
	rowref_done(&flight->ref);
	buf_done(&flight->value);
	text_unref(flight->bare);
	free(flight->key);
	free(flight);
}

/* These with the lock held. */
static void unlist(struct reader *reader, struct flight *flight)
{
	if (flight->joinable)
		HASH_DEL(reader->flights, flight);
	flight->joinable = false;
}

static void overtake(struct reader *reader, struct flight *flight)
{
	unlist(reader, flight);
	flight->overtaken = true;
}

static void join(struct flight *flight, struct read_request *request)
{
	request->flight = flight;
	request->next = flight->waiting;
	flight->waiting = request;
}

/* Take the answer to everybody. Nothing of the flight is touched after the first `done` that was
 * told: the requests were unhooked from it. */
static void answer(struct read_request *waiting, struct text *text, const struct error *e)
{
	struct read_request *next;

	for (; waiting; waiting = next) {
		next = waiting->next;
		waiting->done(waiting, text, e);
	}
}

/* Under a feed a copy of other epochs may be replaced, too (R5). */
static bool take_lease(struct flight *flight, char token[CACHE_TOKEN_SIZE])
{
	struct reader *reader = flight->reader;
	bool feed = flight->proof.fresh, useless = flight->outcome == REPLACE || flight->outcome == FOREIGN;
	struct copy_terms terms = reader_terms(reader, feed, &flight->proof);
	_cleanup_buf_ struct buf key = {0}, valid = {0};

	if (flight->outcome == ASK ||
	    (!flight->load && !access_admits(reader->parts.access, flight->thread, flight->ref.relation->oid,
					     flight->ref.name, useless)))
		return false;
	token[0] = '\0';
	if (SWITCHED_OFF("lease"))
		return true;
	reader_print_key(&flight->ref, feed, &key);
	/* Who waits for another's copy leaves whatever that has become; what is no copy goes, whatever it begins with. */
	if (feed && (flight->outcome == FILL || flight->outcome == FOREIGN))
		copy_print_terms(&terms, &valid);
	return !key.failed && !valid.failed &&
	       cache_lease(reader->parts.cache, key.data, key.len,
			   useless ? &flight->value : NULL,
			   flight->outcome == AWAITED ? "" : valid.len ? valid.data : NULL, token);
}

/* The row's text, and whether it may be put into Redis: *leased, with the token, taken before it was read, at *began_ms. What
 * is not of the columns that the lease is for fills nothing. */
static int obtain(struct flight *flight, bool *leased, char token[CACHE_TOKEN_SIZE], int64_t *began_ms, struct text **ret,
		  struct error *e)
{
	const struct fetch_from from = from_store(flight->reader, STORE_READ, &flight->abandoned);
	bool renewed;
	int r;

	*leased = false;
	if (flight->outcome == PARTIAL) {
		r = join_row(&from, &flight->ref, flight->bare, &flight->value, ret, e);
		if (r == -EBADMSG)
			count(cache_garbage);
		if (r != -EBADMSG && r != -EAGAIN)
			return r;
		flight->outcome = r == -EBADMSG ? REPLACE : ASK;
	}
	*leased = take_lease(flight, token);
	*began_ms = clock_monotonic_ms();
	r = fetch_row_renewed(&from, &flight->ref, &renewed, ret, e);
	if (*leased && renewed)
		release(flight, token);
	*leased = *leased && !renewed;
	return r;
}

static bool is_of_row(const struct flight *flight, const struct rowref *ref)
{
	return flight->ref.relation->oid == ref->relation->oid && strcmp(flight->ref.name, ref->name) == 0;
}

/* With the lock held. */
static void note_seen(struct flight *flight, const struct text *text)
{
	struct reader *reader = flight->reader;
	struct flight *other;

	own_note(reader->own, flight->ref.relation->oid, flight->ref.name,
		 text && !flight->overtaken ? text->xid : 0);
	DL_FOREACH(reader->under_way, other)
		if (is_of_row(other, &flight->ref))
			other->overtaken = true;
}

static void flight_run(struct lane_task *task)
{
	struct flight *flight = container_of(task, struct flight, task);
	struct reader *reader = flight->reader;
	_cleanup_text_ struct text *text = NULL;
	struct read_request *waiting;
	char token[CACHE_TOKEN_SIZE];
	struct error e = {0};
	bool leased = false, superseded, fed;
	int64_t began = 0;
	int r;

	store_leave_when(&flight->abandoned);
	r = task->late ? lane_late(&e) : obtain(flight, &leased, token, &began, &text, &e);
	store_leave_when(NULL);
	fed = is_fed(reader, &flight->proof);
	if (SWITCHED_OFF("stamp") && flight->proof.fresh)
		cache_read(reader->parts.cache, flight->ref.relation->oid, NULL, 0, &flight->proof,
			   &(struct buf){0});
	pthread_mutex_lock(&reader->lock);
	unlist(reader, flight);
	waiting = flight->waiting;
	flight->waiting = NULL;
	for (struct read_request *w = waiting; w; w = w->next) {
		w->flight = NULL;
		w->mark = flight->mark;
		w->began_us = flight->began_us;
		w->fed = fed;
	}
	DL_DELETE(reader->under_way, flight);
	superseded = flight->superseded;
	/* Noted under the lock, so that a save that comes now notes its own after it. */
	if ((r == 0 || r == -ENOENT || r == -EACCES) && !superseded)
		note_seen(flight, text);
	pthread_mutex_unlock(&reader->lock);

	if (r == 0 && leased && !superseded)
		fill(flight, token, text, began);
	else if (leased)
		release(flight, token);
	answer(waiting, text, &e);
	flight_free(flight);
}

static char *flight_key(const struct rowref *ref, size_t *ret_len)
{
	struct buf key = {0};

	buf_add(&key, &ref->relation->oid, sizeof ref->relation->oid);
	buf_add(&key, &ref->relation->fingerprint, sizeof ref->relation->fingerprint);
	buf_adds(&key, ref->name);
	*ret_len = key.len;
	return buf_steal(&key);
}

/* A copy of the row was used: who comes now must not join a flight whose SELECT was before that copy's. */
static void outdate(struct reader *reader, const struct rowref *ref)
{
	struct flight *flight;
	size_t len;
	_cleanup_free_ char *key = NULL;

	pthread_mutex_lock(&reader->lock);
	if (reader->flights) {
		key = flight_key(ref, &len);
		HASH_FIND(hh, reader->flights, key ? key : "", key ? len : 0, flight);
		if (flight)
			overtake(reader, flight);
	}
	pthread_mutex_unlock(&reader->lock);
}

static struct flight *flight_new(struct reader *reader, const struct rowref *ref)
{
	struct flight *flight = calloc(1, sizeof *flight);

	if (!flight)
		return NULL;
	flight->task.run = flight_run;
	flight->task.group = ref->relation->oid;
	flight->reader = reader;
	flight->key = flight_key(ref, &flight->key_len);
	if (!flight->key || rowref_copy(ref, &flight->ref) < 0) {
		flight_free(flight);
		return NULL;
	}
	return flight;
}

/* With the lock held: has the row changed since it began, as far as this mount has been told? */
static bool is_older(struct reader *reader, const struct flight *flight)
{
	return marks_touched(reader->parts.marks, flight->ref.relation->oid, flight->ref.name, flight->mark);
}

enum boarding { ON_ANOTHER, ON_THIS, TOO_LATE /* the caller was killed before it waited for any */ };

/* Join a flight that is on its way, or list `flight` and let `request` wait for it. */
static enum boarding join_or_list(struct reader *reader, struct flight *flight, struct read_request *request)
{
	struct flight *other = NULL;

	pthread_mutex_lock(&reader->lock);
	if (request->abandoned) {
		pthread_mutex_unlock(&reader->lock);
		return TOO_LATE;
	}
	/* With consistency=strong a read may not use a SELECT that began before it. */
	if (!reader->parts.settings->strong)
		HASH_FIND(hh, reader->flights, flight->key, flight->key_len, other);
	if (other && is_older(reader, other)) {
		overtake(reader, other);
		other = NULL;
	}
	if (!other && !reader->parts.settings->strong) {
		unsigned before = HASH_COUNT(reader->flights);

		HASH_ADD_KEYPTR(hh, reader->flights, flight->key, flight->key_len, flight);
		flight->joinable = HASH_COUNT(reader->flights) > before;
	}
	if (!other)
		DL_APPEND(reader->under_way, flight);
	join(other ? other : flight, request);
	pthread_mutex_unlock(&reader->lock);
	return other ? ON_ANOTHER : ON_THIS;
}

void reader_get(struct reader *reader, const struct rowref *ref, struct read_request *request)
{
	_cleanup_question_ struct question question = {0};
	_cleanup_text_ struct text *text = NULL;
	uint64_t mark = marks_now(reader->parts.marks);
	int64_t began_us = clock_monotonic_us();
	enum outcome outcome = reader_look(reader, ref, request, &question, &text);
	struct flight *flight;
	struct error e = {0};
	bool pointless;

	if (outcome == USABLE) {
		outdate(reader, ref);
		request->mark = mark;
		request->began_us = began_us;
		request->fed = is_fed(reader, &question.proof);
		request->done(request, text, &e);
		return;
	}
	pointless = request->load && (outcome == ASK || outcome == AWAITED);
	flight = pointless ? NULL : flight_new(reader, ref);
	if (!flight) {
		(void)error_set(&e, pointless ? EBUSY : ENOMEM, "%s",
				pointless ? "Redis can have no copy of it now" : "out of memory");
		request->done(request, NULL, &e);
		return;
	}
	flight->outcome = outcome;
	flight->mark = mark;
	flight->began_us = began_us;
	flight->thread = request->thread;
	flight->load = request->load;
	flight->proof = question.proof;
	flight->value = question.value;
	question.value = (struct buf){0};
	flight->bare = text;
	text = NULL;
	switch (join_or_list(reader, flight, request)) {
	case ON_THIS:
		lane_run(reader->parts.lane, &flight->task);
		break;
	case ON_ANOTHER:
		count(flights_joined);
		flight_free(flight);
		break;
	case TOO_LATE:
		flight_free(flight);
		(void)error_set(&e, EINTR, "whoever asked was killed");
		request->done(request, NULL, &e);
	}
}

bool reader_abandon(struct reader *reader, struct read_request *request)
{
	struct read_request **at;
	struct flight *flight;
	bool found = false;

	pthread_mutex_lock(&reader->lock);
	request->abandoned = true;
	flight = request->flight;
	if (flight) {
		for (at = &flight->waiting; *at && *at != request; at = &(*at)->next)
			;
		found = *at != NULL;
		if (found)
			*at = request->next;
		request->flight = NULL;
	}
	if (found && !flight->waiting) {
		/* Its query is cancelled: whoever comes now needs one of his own. An answer that comes all
		 * the same counts for nothing, since no save can supersede it any more. */
		unlist(reader, flight);
		flight->superseded = true;
		atomic_store(&flight->abandoned, true);
	}
	pthread_mutex_unlock(&reader->lock);
	return found;
}

/* With the lock held. Whichever snapshot a flight came with, and whether it may be joined, it is the same row. */
static void supersede(struct reader *reader, const struct rowref *ref)
{
	struct flight *flight;

	DL_FOREACH(reader->under_way, flight)
		if (is_of_row(flight, ref)) {
			flight->superseded = true;
			unlist(reader, flight);
		}
}

uint32_t reader_seen(struct reader *reader, const struct rowref *ref)
{
	return own_seen(reader->own, ref->relation->oid, ref->name);
}

/* A flight that is under way may have been read before that. */
bool reader_shows(struct reader *reader, const struct rowref *ref, uint32_t xid)
{
	struct flight *flight;
	bool shows;

	pthread_mutex_lock(&reader->lock);
	shows = own_accepts(reader->own, ref->relation->oid, ref->name, xid);
	if (shows)
		own_note(reader->own, ref->relation->oid, ref->name, xid);
	DL_FOREACH(reader->under_way, flight)
		if (shows && is_of_row(flight, ref))
			overtake(reader, flight);
	pthread_mutex_unlock(&reader->lock);
	return shows;
}

void reader_saved(struct reader *reader, const struct rowref *ref, uint32_t xid)
{
	_cleanup_buf_ struct buf key = {0};

	pthread_mutex_lock(&reader->lock);
	supersede(reader, ref);
	own_note(reader->own, ref->relation->oid, ref->name, xid);
	pthread_mutex_unlock(&reader->lock);
	marks_row(reader->parts.marks, ref->relation->oid, ref->name);

	/* Under a live feed the worker drops what was before a change, and own_note() keeps it from this mount meanwhile. */
	if ((xid && reader->feed && follow_live(reader->parts.follow)) || !reader_may_cache(reader, ref->relation))
		return;
	reader_print_key(ref, reader->feed, &key);
	if (!key.failed)
		cache_drop(reader->parts.cache, key.data, key.len);
}
