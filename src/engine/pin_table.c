#include "pin_table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "rowfs/base/clock.h"
#include "rowfs/base/log.h"
#include "rowfs/engine/copy.h"
#include "rowfs/model/name.h"
#include "rowfs/model/sqlstate.h"
#include "sizes.h"

const char *pin_unfit(const struct relation *relation, bool lags)
{
	/* What it shows may be older than the epochs under which it would be put there. */
	if (lags)
		return "the worker reads a standby";
	if (relation->kind != RELATION_TABLE && relation->kind != RELATION_PARTITIONED)
		return "it is no table";
	if (relation->guarded || relation->row_security)
		return "it has row security";
	if (relation->partial)
		return "the worker's role may not read all of its columns";
	if (relation->by_search_path)
		return "its rows' text depends on the search_path";
	if (!relation->has_xmin)
		return "its rows have no xmin";
	if (relation->key_kind != KEY_COLUMNS || relation->key_unproven)
		return "it has no key";
	return relation_key_nullable(relation) ? "its key may be NULL" : NULL;
}

void pin_work_done(struct pin_work *work)
{
	for (int i = 0; i < 2; i++)
		pin_batch_done(&work->batches[i]);
}

static void page_done(struct pin_page *page)
{
	buf_done(&page->names);
	cells_done(&page->last);
	*page = (struct pin_page){0};
}

/* Who pins a small share by hash= reads its keys, and then those rows. */
static bool is_worth_whole(const struct placement *placement)
{
	return placement->share * PIN_WHOLE_SHARE >= placement->buckets;
}

void pin_table_begin(struct pin_table *table, const struct cache_proof *proof, int64_t audit_ms)
{
	const struct copy_terms terms = {.proof = &table->proof};
	bool same = cache_proof_same(&table->proof, proof);

	/* What is pinned is good, but the rule may speak of more than the row, so it is asked again now and then. */
	table->audits = same && clock_monotonic_ms() - table->audited_ms >= audit_ms;
	table->whole = !same && is_worth_whole(&table->relation->placement);
	table->keys_next = false;
	table->whole_limit = PIN_PAGE;
	table->skips = table->weeding = false;
	/* Of each name in the set there is one; without memory nothing leaves this time. */
	(void)!seen_begin(&table->seen, table->count, (uint64_t)clock_monotonic_us());
	table->proof = *proof;
	buf_reset(&table->valid);
	copy_print_head(table->relation, &terms, &table->valid);
	cells_done(&table->after);
	page_done(&table->page);
	table->rows = table->asked = table->pinned = 0;
	table->checked = false;
	table->began_ms = clock_monotonic_ms();
	table->state = PIN_LOADING;
}

void pin_table_done(struct pin_table *table)
{
	cells_done(&table->after);
	page_done(&table->page);
	buf_done(&table->valid);
	seen_done(&table->seen);
}

const char *pin_table_valid(const struct pin_table *table)
{
	switch (table->state) {
	case PIN_LOADING:
	case PIN_LOADED:
	case PIN_FULL:
		return table->valid.len ? table->valid.data : NULL;
	case PIN_CLEARING:
	case PIN_FAILED:
	case PIN_UNFIT:
	case PIN_OFF:
		break;
	}
	return NULL;
}

/* --- What becomes of it ----------------------------------------------------------------------- */

static void leave_for(struct pin_table *table, int64_t ms)
{
	table->pause_ms = ms;
	table->due_ms = clock_monotonic_ms() + ms;
}

/* `more` is for this process' log only. */
static void stop(struct pin_table *table, enum pin_state state, const char *why, const char *more, int64_t ms)
{
	if (table->said != state || (state == PIN_FAILED && strcmp(table->why, why) != 0))
		log_warning("placement: %s.%s: %s%s", table->relation->space, table->relation->name, why, more);
	error_copy_text(table->why, sizeof table->why, why);
	table->said = state;
	table->state = state;
	table->sweep_due = table->sweep_due || state == PIN_FAILED;
	page_done(&table->page);
	leave_for(table, ms);
}

static int64_t doubled(int64_t ms, int64_t first_ms, int64_t most_ms)
{
	if (ms == 0)
		return first_ms;
	return ms * 2 < most_ms ? ms * 2 : most_ms;
}

bool pin_table_waits(const struct pin_table *table)
{
	return clock_monotonic_ms() < table->resume_ms;
}

/* Others' turns come meanwhile. */
static void wait_for_better(struct pin_table *table, const struct error *e)
{
	if (!table->backoff_ms)
		log_warning("placement: %s.%s: waits: %s", table->relation->space, table->relation->name, e->message);
	snprintf(table->why, sizeof table->why, "waits: %s %s", e->sqlstate, sqlstate_name(e->sqlstate));
	table->backoff_ms = doubled(table->backoff_ms, PIN_BACKOFF_MS, PIN_BACKOFF_MOST_MS);
	table->resume_ms = clock_monotonic_ms() + table->backoff_ms;
}

/* What PostgreSQL's error speaks of. */
enum blame {
	BLAME_SERVER, /* or the connection: nobody's rows can be read */
	BLAME_TABLE,  /* somebody holds it, or something else is in the way of its rows now */
	BLAME_RULE,
};

static enum blame blame_of(const struct error *e)
{
	/* 57014: it took too long, or somebody cancelled it. */
	static const char *const passing[] = {"40", "53", "55", "57014", "58"};

	for (size_t i = 0; i < sizeof passing / sizeof *passing; i++)
		if (strncmp(e->sqlstate, passing[i], strlen(passing[i])) == 0)
			return BLAME_TABLE;
	/* The rest of 57 is a server that ends. */
	if (!e->sqlstate[0] || strncmp(e->sqlstate, "08", 2) == 0 || strncmp(e->sqlstate, "57", 2) == 0)
		return BLAME_SERVER;
	return BLAME_RULE;
}

static void stop_full(struct pin_table *table, const struct error *e)
{
	char why[512];

	snprintf(why, sizeof why, "stopped: %.300s", e->message);
	/* When it is looked at again does not depend on what changes. */
	if (table->state != PIN_FULL)
		stop(table, PIN_FULL, why, "", PIN_FULL_MS);
}

/* A message may have values of rows in it, and status is read by those who may not read the table. */
static void stop_failed(struct pin_table *table, const struct error *e)
{
	char why[512], more[512];

	snprintf(why, sizeof why, "lazy, since its rule fails: %s %s", e->sqlstate, sqlstate_name(e->sqlstate));
	snprintf(more, sizeof more, ": %.500s", e->message);
	table->failed_ms = doubled(table->failed_ms, PIN_FAILED_MS, PIN_FAILED_MOST_MS);
	stop(table, PIN_FAILED, why, more, table->failed_ms);
}

/* 0 if the failure is the table's own affair, which is settled; -EAGAIN if it will pass. */
static int digest(struct pin_table *table, int r, struct error *e)
{
	if (r == 0) {
		table->backoff_ms = 0;
		return 0;
	}
	if (r == -ENOSPC && !e->sqlstate[0]) {
		stop_full(table, e);
		return 0;
	}
	/* The heart may have paused, or it is another epoch, at which everything is loaded anew. */
	if (r == -ESTALE && !e->sqlstate[0]) {
		table->resume_ms = clock_monotonic_ms() + PIN_PAUSE_MS;
		return -EAGAIN;
	}
	switch (blame_of(e)) {
	case BLAME_RULE:
		stop_failed(table, e);
		return 0;
	case BLAME_TABLE:
		wait_for_better(table, e);
		return -EAGAIN;
	case BLAME_SERVER:
		break;
	}
	return r;
}

/* --- Batches ---------------------------------------------------------------------------------- */

size_t pin_table_limit(const struct pin_table *table)
{
	uint64_t rows = table->bytes ? PIN_BATCH_BYTES * table->filled / table->bytes : PINNER_KEYS;

	if (rows > PINNER_KEYS)
		return PINNER_KEYS;
	return rows ? (size_t)rows : 1;
}

struct pin_target pin_table_target(const struct pin_table *table, const struct pin_work *work)
{
	return (struct pin_target){work->schema, table->relation, &table->proof, table->valid.data};
}

/* Before anything is asked with it: the statements have parameters of their own, which would be taken for the
 * predicate's. */
static int check_rule(struct pin_table *table, struct pin_work *work, struct error *e)
{
	_cleanup_statement_ struct statement statement = {0};
	const char *hot = table->relation->placement.hot;
	int r = hot && !table->checked ? statement_pin_check(table->relation, hot, &statement) : 0;

	if (r == 0 && statement.sql) {
		statement.abandoned = work->abandoned;
		r = store_run(work->store, STORE_PINS, &statement, NULL, NULL, e);
	}
	/* A parameter that was not given is an error of the protocol. */
	if (r < 0 && strcmp(e->sqlstate, "08P01") == 0) {
		r = error_set(e, EINVAL, "a predicate has no parameters, such as $1");
		error_copy_text(e->sqlstate, sizeof e->sqlstate, "42P02");
	}
	table->checked = r == 0;
	return r < 0 ? error_ensure(e, r) : 0;
}

static int lease(struct pin_table *table, struct pin_work *work, struct pin_batch *batch, struct error *e)
{
	const struct pin_target target = pin_table_target(table, work);

	return pin_batch_lease(batch, work->pinner, &target, e);
}

/* Who reads is to know why the rows that he reads leave Redis. */
static void note_crowding(struct pin_table *table, const struct pinner *pinner)
{
	struct pinner_room room = pinner_room_left(pinner);

	if (!table->crowds)
		log_warning("placement: %s.%s: Redis is full (%" PRIu64 " of %" PRIu64 " bytes are used), so pinned rows "
			    "that change take the place of others", table->relation->space, table->relation->name,
			    room.used, room.max);
	table->crowds = true;
}

static int load(struct pin_table *table, struct pin_work *work, struct pin_batch *batch, struct error *e)
{
	const struct pin_target target = pin_table_target(table, work);
	int r = pin_batch_load(batch, work->pinner, work->store, &target, work->abandoned, e);

	table->miscounted = true;
	if (batch->crowds)
		note_crowding(table, work->pinner);
	table->bytes += batch->filled;
	for (size_t i = 0; i < batch->n; i++)
		table->filled += batch->actions[i] == PIN_FILL;
	for (size_t i = 0; r == 0 && i < batch->n; i++) {
		table->asked += batch->actions[i] == PIN_FILL || batch->found[i] == PIN_BUSY;
		table->rows += batch->actions[i] == PIN_FILL || batch->found[i] == PIN_HELD;
	}
	return r;
}

/* What is out must come in, whatever has happened, or later answers would be taken for it. */
static int finish(struct pin_table *table, struct pin_work *work, uint64_t before, int r, struct error *e)
{
	struct error late = {0};
	int finished = pinner_finish(work->pinner, &late);

	table->pinned += pinner_pinned(work->pinner) - before;
	if (!pinner_clean(work->pinner)) {
		table->sweep_due = true;
		pinner_disown(work->pinner);
	}
	if (r == 0 && finished < 0)
		*e = late;
	r = r < 0 ? r : finished;
	return digest(table, r, e);
}

static int no_room(const struct pinner_room *room, struct error *e)
{
	return error_set(e, ENOSPC, "Redis has no room for more: %" PRIu64 " of %" PRIu64 " bytes are used", room->used,
			 room->max);
}

static int has_room(struct pin_work *work, struct error *e)
{
	struct pinner_room room;
	int r = pinner_room(work->pinner, &room, e);

	return r == 0 && !pin_room_for(&room, 0) ? no_room(&room, e) : r;
}

/* What rows that are not known yet take at the very most, likely. */
static uint64_t likely_bytes(const struct pin_table *table, size_t rows)
{
	uint64_t each = table->filled ? table->bytes / table->filled : PIN_LIKELY_BYTES;

	return 4 * rows * each;
}

/* Where Redis is full, or nearly, a row that was pinned before has made room for itself when it changed; one that was not gets none.
 * *ret_full: there were such. */
static int find_room(struct pin_table *table, struct pin_work *work, struct pin_batch *batch, bool *ret_full,
		     struct error *e)
{
	bool known[PINNER_KEYS] = {false};
	struct pinner_room room;
	size_t n = batch->n;
	int r = pinner_room(work->pinner, &room, e);

	if (r < 0 || pin_room_for(&room, likely_bytes(table, n)))
		return r;
	r = pin_batch_known(batch, work->pinner, table->relation->oid, known, e);
	if (r < 0)
		return r;
	pin_batch_filter(batch, table->relation, known);
	pin_batch_lend(batch, pin_room_spare(&room));
	*ret_full = batch->n < n;
	(void)!no_room(&room, e);
	return 0;
}

static void note_seen(struct pin_table *table, const struct pin_batch *batch)
{
	for (size_t i = 0; i < batch->n; i++)
		seen_add(&table->seen, pin_batch_name(batch, i));
}

/* Which of the rows that find no room are wanted at all is not known; that one may be is enough. */
int pin_table_take(struct pin_table *table, struct pin_work *work, struct pin_batch *batch, struct error *e)
{
	uint64_t before = pinner_pinned(work->pinner);
	struct error full = {0};
	bool is_full = false;
	int r = find_room(table, work, batch, &is_full, &full);

	if (r < 0)
		*e = full;
	else
		r = check_rule(table, work, e);
	note_seen(table, batch);
	if (r == 0 && batch->n)
		r = lease(table, work, batch, e);
	if (r == 0 && batch->n)
		r = load(table, work, batch, e);
	r = finish(table, work, before, r, e);
	if (r == 0 && is_full && (table->state == PIN_LOADED || table->state == PIN_LOADING))
		stop_full(table, &full);
	return r;
}

/* --- Loading ---------------------------------------------------------------------------------- */

/* A hashed name does not give its key back. */
static int take_key(void *arg, const struct cell *cells, size_t n)
{
	struct pin_table *table = arg;
	struct pin_page *page = &table->page;
	size_t at = page->names.len;

	if (n != table->relation->n_parts)
		return -EPROTO;
	name_print(cells, n, &page->names);
	buf_addc(&page->names, '\0');
	if (page->names.failed)
		return -ENOMEM;
	if (name_is_hashed(page->names.data + at) ||
	    !placement_shares(&table->relation->placement, page->names.data + at))
		page->names.len = at;
	else
		seen_add(&table->seen, page->names.data + at);
	return ++page->lines < page->limit ? 0 : cells_copy(cells, n, &page->last);
}

static int read_page(struct pin_table *table, struct pin_work *work, struct error *e)
{
	_cleanup_statement_ struct statement statement = {0};
	int r = statement_pin_keys(table->relation, table->relation->placement.hot,
				   table->after.n ? &table->after : NULL, PIN_PAGE, &statement);

	page_done(&table->page);
	table->page.limit = PIN_PAGE;
	table->keys_next = false;
	statement.abandoned = work->abandoned;
	if (r == 0)
		r = store_run(work->store, STORE_PINS, &statement, take_key, table, e);
	table->page.there = r == 0;
	return r < 0 ? error_ensure(e, r) : 0;
}

static int need_page(struct pin_table *table, struct pin_work *work, struct error *e)
{
	return table->page.there ? 0 : read_page(table, work, e);
}

static int need_rows(struct pin_table *table, struct pin_work *work, struct error *e)
{
	bool whole = table->whole && !table->keys_next && !table->page.there;
	int r = whole ? pin_table_put_page(table, work, e) : 0;

	return r < 0 ? r : need_page(table, work, e);
}

static bool page_taken(const struct pin_page *page)
{
	return page->at == page->names.len;
}

/* After a page that was taken: the next begins after the last key of this. False: there is none. */
static bool go_on(struct pin_table *table)
{
	bool full = table->page.lines == table->page.limit;

	cells_done(&table->after);
	table->after = table->page.last;
	table->page.last = (struct cells){0};
	page_done(&table->page);
	return full;
}

/* From `*at` on. */
static void fill_batch(const struct pin_table *table, struct pin_batch *batch, size_t limit, size_t *at)
{
	pin_batch_begin(batch, limit);
	while (*at < table->page.names.len && !pin_batch_full(batch)) {
		const char *name = table->page.names.data + *at;

		pin_batch_add(batch, table->relation, name);
		*at += strlen(name) + 1;
	}
}

/* While the rows of one batch are read, Redis works on the next one's leases and on the one before. */
static int take_turn(struct pin_table *table, struct pin_work *work, struct error *e)
{
	struct pin_batch *ahead = NULL, *behind = NULL;
	size_t at = table->page.at;
	int r = 0;

	for (size_t n = 0; r == 0 && n < PIN_TURN && at < table->page.names.len && !atomic_load(work->abandoned);
	     n += ahead->n) {
		ahead = &work->batches[behind == &work->batches[0]];
		fill_batch(table, ahead, pin_table_limit(table), &at);
		r = lease(table, work, ahead, e);
		if (r == 0 && behind)
			r = load(table, work, behind, e);
		if (r < 0 && behind)
			pin_batch_abandon(ahead, work->pinner);
		behind = ahead;
	}
	if (r == 0 && behind)
		r = load(table, work, behind, e);
	if (r == 0)
		table->page.at = at;
	return r;
}

/* Fills that did not come about lost their leases: to a change, whose turn comes, or to time. So they are looked after
 * soon, and less often the longer that goes on. */
static void note_loaded(struct pin_table *table, int64_t audit_ms)
{
	bool whole = table->pinned >= table->asked;
	int64_t pause_ms = table->pause_ms < PIN_SOON_MS ? PIN_SOON_MS : table->pause_ms * 2;

	table->state = PIN_LOADED;
	table->took_ms = clock_monotonic_ms() - table->began_ms;
	if (table->why[0] || table->pinned)
		log_info("placement: %s.%s: %" PRIu64 " rows are pinned, %" PRIu64 " of them now, in %" PRId64 " ms",
			 table->relation->space, table->relation->name, table->rows,
			 table->pinned < table->rows ? table->pinned : table->rows, table->took_ms);
	table->why[0] = '\0';
	table->said = PIN_LOADED;
	table->failed_ms = 0;
	leave_for(table, whole || pause_ms > audit_ms ? audit_ms : pause_ms);
}

/* Without room what is there is looked through all the same, if that is due: some of it may have to leave. */
static int may_go_on(struct pin_table *table, struct pin_work *work, struct error *e)
{
	int r = has_room(work, e);

	table->skips = table->skips || (r == -ENOSPC && table->audits);
	return r == -ENOSPC && table->audits ? 0 : r;
}

static int take_or_skip(struct pin_table *table, struct pin_work *work, struct error *e)
{
	if (!table->skips)
		return take_turn(table, work, e);
	table->page.at = table->page.names.len;
	return 0;
}

static void begin_weeding(struct pin_table *table)
{
	table->weeding = table->audits && table->seen.bits;
	table->weeded = 0;
	table->audited_ms = clock_monotonic_ms();
}

int pin_table_load(struct pin_table *table, struct pin_work *work, struct error *e)
{
	uint64_t before = pinner_pinned(work->pinner);
	int r = may_go_on(table, work, e);

	if (r == 0)
		r = check_rule(table, work, e);
	if (r == 0 && !table->marked)
		r = pinner_mark(work->pinner, table->relation->oid, e);
	table->marked = table->marked || r == 0;
	if (r == 0)
		r = need_rows(table, work, e);
	if (r == 0)
		r = take_or_skip(table, work, e);
	r = finish(table, work, before, r, e);
	if (r < 0 || table->state != PIN_LOADING)
		return r == -EAGAIN ? 0 : r;
	if (!page_taken(&table->page) || go_on(table))
		return 0;
	begin_weeding(table);
	if (table->skips)
		r = has_room(work, e);
	if (r == -ENOSPC)
		stop_full(table, e);
	else if (r == 0)
		note_loaded(table, work->audit_ms);
	return r < 0 && r != -ENOSPC ? r : pin_table_count(table, work, e);
}

/* --- Counting --------------------------------------------------------------------------------- */

int pin_table_count(struct pin_table *table, struct pin_work *work, struct error *e)
{
	struct pinner_room room;
	int r = 0;

	if (table->miscounted)
		r = pinner_count(work->pinner, table->relation->oid, &table->count, e);
	table->miscounted = table->miscounted && r < 0;
	if (r < 0 || !table->crowds)
		return r;
	r = pinner_room(work->pinner, &room, e);
	table->crowds = r < 0 || !pin_room_for(&room, 0);
	return r;
}

/* --- Removing --------------------------------------------------------------------------------- */

/* What Redis remembers of rows' sizes (sizes.h), from those of this batch on with whom a chunk begins. */
static size_t add_chunks(const struct pin_table *table, struct pin_batch *batch)
{
	size_t n = 1;

	sizes_print_key(table->relation->oid, 0, &batch->keys);
	buf_addc(&batch->keys, '\0');
	for (size_t i = 0; i < batch->n; i++) {
		uint64_t name = sizes_name(pin_batch_name(batch, i));

		if (!sizes_begin_chunk(name))
			continue;
		sizes_print_key(table->relation->oid, name, &batch->keys);
		buf_addc(&batch->keys, '\0');
		n++;
	}
	return n;
}

static int remove_some(struct pin_table *table, struct pin_work *work, struct error *e)
{
	struct pin_batch *batch = &work->batches[0];
	size_t at = table->page.at, keys;
	int r = 0;

	/* Once at least: of a table without rows there may be a chunk. */
	for (size_t n = 0; r == 0 && n < PIN_TURN && (n == 0 || at < table->page.names.len); n += PINNER_KEYS) {
		fill_batch(table, batch, PINNER_KEYS, &at);
		keys = batch->n + add_chunks(table, batch);
		r = batch->names.failed || batch->keys.failed ?
			    error_set(e, ENOMEM, "out of memory") :
			    pinner_drop(work->pinner, &batch->keys, keys, e);
		table->page.at = r == 0 ? at : table->page.at;
	}
	return r;
}

/* The keys are in PostgreSQL; of a row that went, the worker has dropped the copy. */
int pin_table_remove(struct pin_table *table, struct pin_work *work, struct error *e)
{
	int r = need_page(table, work, e);

	if (r < 0 && blame_of(e) == BLAME_RULE) { /* it is gone, or not to be read any more */
		table->removals = 0;
		return 0;
	}
	if (r < 0 && blame_of(e) == BLAME_TABLE) {
		wait_for_better(table, e);
		return 0;
	}
	if (r == 0)
		table->backoff_ms = 0;
	if (r == 0)
		r = remove_some(table, work, e);
	if (r < 0)
		return r;
	if (page_taken(&table->page) && !go_on(table)) {
		table->removals--;
		leave_for(table, PIN_STRAGGLERS_MS);
	}
	return 0;
}
