#include "feed.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

#include "direct.h"
#include "feed_sql.h"
#include "load.h"
#include "rowfs/base/clock.h"

/* ---- open and close ---- */

static int elect(struct feed *feed, const char *token, struct error *e)
{
	_cleanup_buf_ struct buf what = {0};
	_cleanup_result_ PGresult *result = NULL;
	char key[32];
	const char *const values[] = {key};
	int r;

	buf_addf(&what, "rowfs sync %s", token);
	if (what.failed)
		return error_set(e, ENOMEM, "out of memory");
	snprintf(key, sizeof(key), "%" PRId64, (int64_t)XXH3_64bits(what.data, what.len));
	r = direct_query(feed->sql, "SELECT pg_try_advisory_lock($1::int8)", 1, values, &result, e);
	if (r == 0 && !load_flag(result, 0, 0))
		r = error_set(e, EBUSY,
		              "another rowfs is the sync worker for this database and this Redis");
	return r;
}

static int print_watch(struct feed *feed, struct error *e)
{
	struct buf sql = {0};

	feed_print_watch_sql(PQserverVersion(feed->sql), &sql);
	feed->watch_sql = buf_steal(&sql);
	return feed->watch_sql ? 0 : error_set(e, ENOMEM, "out of memory");
}

static int open_log(struct feed *feed, struct error *e)
{
	int r = logtail_open(&feed->log, feed->store, feed->server, e);

	if (r == -EBUSY && feed->wal) {
		feed->may_log = false;
		error_copy_text(feed->better, sizeof(feed->better), e->message);
		return 0;
	}
	return r;
}

static int open_all(struct feed *feed, const char *token, struct error *e)
{
	int r = direct_open(feed->store, DIRECT_SQL, feed->server, &feed->sql, e);

	if (r == 0)
		r = elect(feed, token, e);
	if (r == 0)
		r = print_watch(feed, e);
	if (r == 0)
		r = feed_choose(feed, e);
	if (r == 0 && transactions_new(&feed->transactions) < 0)
		r = error_set(e, ENOMEM, "out of memory");
	if (r == 0)
		r = tables_teach(&feed->tables, feed->transactions, e);
	if (r == 0 && feed->wal)
		r = stream_open(&feed->stream, feed->store, feed->server, e);
	return r;
}

/* The tables that are in the publication now are known to a slot that does not exist yet. */
static void take_published(struct feed *feed)
{
	for (size_t i = 0; feed->wal && i < feed->tables.n; i++) {
		struct table *table = &feed->tables.at[i];

		if (table->published && !table->wal_unfit)
			table->wal = WAL_IN;
	}
}

static struct feed *feed_new(struct store *store, const struct settings *settings)
{
	struct feed *feed = calloc(1, sizeof(*feed));

	if (feed) {
		feed->store = store;
		feed->settings = settings;
	}
	return feed;
}

int feed_check(struct store *store, const struct settings *settings, struct error *e)
{
	struct error ignored;
	struct feed *feed = feed_new(store, settings);
	int r;

	e = e ? e : &ignored;
	if (!feed)
		return error_set(e, ENOMEM, "out of memory");
	r = direct_open(store, DIRECT_SQL, feed->server, &feed->sql, e);
	if (r == 0)
		r = feed_choose(feed, e);
	feed_close(feed);
	return r;
}

int feed_open(struct store *store, const struct settings *settings, const char *token,
              struct feed **ret, struct error *e)
{
	struct error ignored;
	struct feed *feed = feed_new(store, settings);
	int r;

	e = e ? e : &ignored;
	if (!feed)
		return error_set(e, ENOMEM, "out of memory");
	r = open_all(feed, token, e);
	if (r == 0) {
		take_published(feed);
		if (feed_wants_log(feed, &feed->tables))
			r = open_log(feed, e);
	}
	if (r < 0) {
		feed_close(feed);
		return r;
	}
	*ret = feed;
	return 0;
}

void feed_close(struct feed *feed)
{
	if (!feed)
		return;
	stream_close(&feed->stream, feed->sql);
	logtail_close(&feed->log, feed->sql);
	PQfinish(feed->sql);
	transactions_free(feed->transactions);
	tables_done(&feed->tables);
	snapshot_done(&feed->mark.at);
	free(feed->covered);
	free(feed->older);
	free(feed->watch_sql);
	free(feed);
}

/* ---- begin ---- */

enum { WAIT_STEP_US = 20000, LOOK_US = 500000 };

/* 1: slot and log are there. */
static int prepare(struct feed *feed, struct error *e)
{
	int slot = feed->wal ? stream_create(&feed->stream, e) : 1, log = 1;

	if (slot >= 0 && feed->log.state != LOGTAIL_CLOSED)
		log = logtail_lock(&feed->log, e);
	if (slot < 0 || log < 0)
		return slot < 0 ? slot : log;
	return slot && log;
}

static int add_waited(struct feed *feed, const char *sql, size_t n, struct buf *out,
                      struct error *e)
{
	_cleanup_result_ PGresult *result = NULL;
	const char *const values[] = {LOGTAIL_LOCK};
	int r = direct_query(feed->sql, sql, n, values, &result, e);

	if (r == 0 && !PQgetisnull(result, 0, 0)) {
		buf_adds(out, out->len ? ", " : "");
		buf_adds(out, PQgetvalue(result, 0, 0));
	}
	return r;
}

static int look_who(struct feed *feed, struct error *e)
{
	_cleanup_buf_ struct buf who = {0};
	int r = 0;

	if (clock_monotonic_us() - feed->looked_us < LOOK_US)
		return 0;
	if (feed->stream.state == STREAM_CREATING)
		r = add_waited(feed, feed_writers_sql, 0, &who, e);
	if (r == 0 && feed->log.state == LOGTAIL_QUEUED)
		r = add_waited(feed, feed_loggers_sql, 1, &who, e);
	error_copy_text(feed->waits_for, sizeof(feed->waits_for),
	                who.len && !who.failed ? who.data : "");
	feed->looked_us = clock_monotonic_us();
	return r;
}

/* The slot's consistent point has been reached. What was under way is noted before anything is
 * read. */
static int conclude(struct feed *feed, struct error *e)
{
	int r = 0;

	if (feed->wal)
		r = feed_note_older(feed, e);
	if (r == 0 && feed->wal)
		r = stream_start(&feed->stream, feed->settings->publication, e);
	if (r == 0)
		r = feed_assign(feed, &feed->tables, e);
	if (r < 0)
		return r;
	feed->waits_for[0] = '\0';
	feed->begun = true;
	return 1;
}

/* Wait for the slot's answer; the lock's is asked for as often. */
static void pause_until(struct feed *feed, int64_t until_us)
{
	struct pollfd fd = {.fd = feed->wal ? PQsocket(feed->stream.pg) : -1, .events = POLLIN};
	int64_t us = until_us - clock_monotonic_us();

	if (fd.fd >= 0 && PQflush(feed->stream.pg) > 0)
		fd.events |= POLLOUT;
	if (us > 0)
		(void)poll(&fd, 1, (int)((us + 999) / 1000));
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

int feed_begin(struct feed *feed, int timeout_ms, struct error *e)
{
	int64_t deadline_us = clock_monotonic_us() + timeout_ms * INT64_C(1000);
	struct error ignored;

	e = e ? e : &ignored;
	for (;;) {
		int r = feed->begun ? 1 : prepare(feed, e);
		int64_t now_us = clock_monotonic_us();

		if (r == 1 && !feed->begun)
			r = conclude(feed, e);
		if (r != 0)
			return r;
		r = look_who(feed, e);
		if (r < 0 || now_us >= deadline_us)
			return r;
		pause_until(feed, earlier(deadline_us, now_us + WAIT_STEP_US));
	}
}

/* ---- next ---- */

static bool log_due(const struct feed *feed, int64_t now_us)
{
	if (feed->log.state != LOGTAIL_READING)
		return false;
	return now_us - feed->log.read_us >= LOGTAIL_PAUSE_US ||
	       (feed->mark.set && feed->log.read_us < feed->mark.since_us);
}

static int read_all(struct feed *feed, int64_t deadline_us, struct batch *batch, struct error *e)
{
	size_t first = batch->n_transactions;
	int r = 0;

	if (feed->wal) {
		r = stream_read(&feed->stream, feed->transactions, deadline_us, batch, e);
		feed_note_seen(feed, batch, first);
	}
	if (r == 0 && log_due(feed, clock_monotonic_us()))
		r = logtail_read(&feed->log, batch, e);
	return r;
}

int feed_next(struct feed *feed, int timeout_ms, struct batch *batch, struct error *e)
{
	int64_t deadline_us = clock_monotonic_us() + timeout_ms * INT64_C(1000), urge_us;
	size_t changes = batch->n_changes, transactions = batch->n_transactions;
	bool passed = feed_passed(feed);
	struct error ignored;
	int r;

	e = e ? e : &ignored;
	for (;;) {
		r = read_all(feed, deadline_us, batch, e);
		if (r < 0 || batch->n_changes > changes || batch->n_transactions > transactions)
			return r;
		if (clock_monotonic_us() >= deadline_us || (!passed && feed_passed(feed)))
			return 0;
		r = feed_urge(feed, &urge_us, e);
		if (r < 0)
			return r;
		if (feed->log.state == LOGTAIL_READING)
			urge_us = earlier(urge_us, feed->log.read_us + LOGTAIL_PAUSE_US);
		pause_until(feed, earlier(deadline_us, urge_us));
	}
}

/* ---- status ---- */

static void print_better(const struct feed *feed, struct feed_status *ret)
{
	if (*feed->better || ret->tables[FEED_NONE] == 0) {
		error_copy_text(ret->better, sizeof(ret->better), feed->better);
		return;
	}
	for (size_t i = 0; i < feed->tables.n; i++) {
		const struct table *table = &feed->tables.at[i];

		if (table->source != FEED_NONE)
			continue;
		snprintf(ret->better, sizeof(ret->better),
		         "%zu tables have no change feed, %s among them: %s",
		         ret->tables[FEED_NONE], table->name,
		         table->wal_unfit ? table->wal_unfit : "it is not in the publication");
		return;
	}
}

void feed_status(const struct feed *feed, struct feed_status *ret)
{
	*ret = (struct feed_status){0};
	for (int source = FEED_NONE; source < FEED_SOURCES; source++)
		ret->tables[source] = tables_count(&feed->tables, (enum feed_source)source);
	ret->best = feed->wal ? FEED_WAL : FEED_LOG;
	if (feed->mark.set && feed->wal && feed->stream.position < feed->mark.lsn)
		ret->lag_bytes = feed->mark.lsn - feed->stream.position;
	error_copy_text(ret->waits_for, sizeof(ret->waits_for), feed->waits_for);
	print_better(feed, ret);
	if (feed->stream.position)
		snprintf(ret->position, sizeof(ret->position), "%X/%X",
		         (unsigned)(feed->stream.position >> 32), (unsigned)feed->stream.position);
}
