#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

#include "direct.h"
#include "feed.h"
#include "feed_sql.h"
#include "loggers.h"
#include "rowfs/base/clock.h"
#include "rowfs/base/log.h"

static bool wants_loggers(const struct feed *feed, const struct table *table)
{
	return feed->settings->changes != CHANGES_WAL && table->partly && !table->logged &&
	       !table->log_unfit && table->owned;
}

/* A partition came, or a key was renamed: where this role may, make the triggers that are missing.
 * What it may not, or cannot now, is not covered. 1: there are new ones. */
static int renew_loggers(struct feed *feed, const struct tables *tables, struct error *e)
{
	int changed = 0;

	for (size_t i = 0; i < tables->n; i++) {
		const struct table *table = &tables->at[i];

		if (!wants_loggers(feed, table))
			continue;
		if (loggers_create(feed->sql, table, e) == 0)
			changed = 1;
		else if (PQstatus(feed->sql) != CONNECTION_OK)
			return -e->err;
		else
			log_debug("triggers of %s: %s", table->name, e->message);
	}
	return changed;
}

static bool unfinished(const struct feed *feed, const struct tables *tables)
{
	for (size_t i = 0; i < tables->n; i++)
		if (wants_loggers(feed, &tables->at[i]))
			return true;
	return feed->wal && publication_unfinished(&feed->publication, tables);
}

/* How soon a table that somebody held is tried again. */
enum { AGAIN_US = 2000000 };

int feed_read_tables(struct feed *feed, struct tables *ret, struct error *e)
{
	int r = tables_read(feed->sql, feed->settings, ret, e), changed = 0, renewed = 0;

	if (r == 0 && feed->wal)
		r = changed = publication_adjust(feed->sql, &feed->publication, ret, e);
	if (r >= 0)
		r = renewed = renew_loggers(feed, ret, e);
	if (r >= 0 && (changed || renewed))
		r = tables_read(feed->sql, feed->settings, ret, e);
	if (r < 0)
		return r;
	feed->unfinished = unfinished(feed, ret);
	feed->read_us = clock_monotonic_us();
	return changed || renewed;
}

bool feed_wants_log(const struct feed *feed, const struct tables *tables)
{
	for (size_t i = 0; feed->may_log && i < tables->n; i++) {
		const struct table *table = &tables->at[i];

		if (table->logged && !table->log_unfit && table->wal != WAL_IN)
			return true;
	}
	return false;
}

static enum feed_source source_of(const struct feed *feed, const struct table *table)
{
	if (table->wal == WAL_IN)
		return FEED_WAL;
	if (table->logged && !table->log_unfit && feed->log.state == LOGTAIL_READING)
		return FEED_LOG;
	return FEED_NONE;
}

int feed_assign(struct feed *feed, struct tables *tables, struct error *e)
{
	struct feed_table *covered = calloc(tables->n + 1, sizeof(*covered));
	size_t n = 0;

	if (!covered)
		return error_set(e, ENOMEM, "out of memory");
	for (size_t i = 0; i < tables->n; i++) {
		struct table *table = &tables->at[i];

		table->source = source_of(feed, table);
		if (table->source != FEED_NONE)
			covered[n++] = (struct feed_table){table->relation, table->source};
	}
	free(feed->covered);
	feed->covered = covered;
	feed->n_covered = n;
	return 0;
}

const struct feed_table *feed_tables(const struct feed *feed, size_t *ret_n)
{
	*ret_n = feed->n_covered;
	return feed->covered;
}

/* ---- comparing ---- */

static void report(struct batch *batch, const struct table *table)
{
	const struct batch_change change = {
	        .relation = table->relation,
	        .op = BATCH_RELATION,
	        .name = "",
	};

	batch_add(batch, &change);
}

/* What is kept from one look to the next. */
static void keep(struct feed *feed, struct table *new, struct table *old)
{
	if (!feed_can_stream(feed, new) || new->membership != old->membership)
		return;
	new->wal = old->wal;
	new->since = old->since;
	old->since = (struct snapshot){0};
}

static bool same(const struct table *a, const struct table *b)
{
	return a->version == b->version && a->source == b->source;
}

/* The keys of tables that are gone are forgotten. */
static int forget(struct feed *feed, const struct table *table, struct error *e)
{
	if (transactions_set_key(feed->transactions, table->relation, NULL, 0) < 0)
		return error_set(e, ENOMEM, "out of memory");
	return 0;
}

/* Walk both lists, which are sorted; `visit` gets the old and the new table, one of them NULL if
 * there is none. */
typedef int visit_fn(struct feed *feed, struct table *old, struct table *new, struct batch *batch,
                     struct error *e);

static int walk(struct feed *feed, struct tables *old, struct tables *new, visit_fn *visit,
                struct batch *batch, struct error *e)
{
	size_t i = 0, j = 0;
	int r = 0;

	while (r == 0 && (i < old->n || j < new->n)) {
		struct table *a = i < old->n ? &old->at[i] : NULL;
		struct table *b = j < new->n ? &new->at[j] : NULL;

		if (a && b && a->relation != b->relation) {
			if (a->relation < b->relation)
				b = NULL;
			else
				a = NULL;
		}
		r = visit(feed, a, b, batch, e);
		i += a != NULL;
		j += b != NULL;
	}
	return r;
}

static int visit_keep(struct feed *feed, struct table *old, struct table *new, struct batch *batch,
                      struct error *e)
{
	if (old && new)
		keep(feed, new, old);
	return old && !new ? forget(feed, old, e) : 0;
}

static int visit_report(struct feed *feed, struct table *old, struct table *new,
                        struct batch *batch, struct error *e)
{
	if (!old || !new || !same(old, new))
		report(batch, new ? new : old);
	return 0;
}

/* ---- looking ---- */

static uint64_t hash_field(const PGresult *result, int field)
{
	return XXH3_64bits(PQgetvalue(result, 0, field), (size_t)PQgetlength(result, 0, field)) | 1;
}

/* Until the change log is read, which takes as long as the transactions that do not write to it. */
static int follow_log(struct feed *feed, struct error *e)
{
	int r = 0;

	if (!feed_wants_log(feed, &feed->tables) || feed->log.state == LOGTAIL_READING)
		return 0;
	if (feed->log.state == LOGTAIL_CLOSED)
		r = logtail_open(&feed->log, feed->store, feed->server, e);
	if (r == -EBUSY) {
		feed->may_log = false;
		return 0;
	}
	return r < 0 ? r : logtail_lock(&feed->log, e);
}

/* The catalog has moved: read the tables, keep what is known of them. */
static int look(struct feed *feed, struct tables *ret_old, struct batch *batch, struct error *e)
{
	_cleanup_tables_ struct tables new = {0};
	int r = feed_read_tables(feed, &new, e);

	if (r >= 0)
		r = walk(feed, &feed->tables, &new, visit_keep, batch, e);
	if (r == 0)
		r = tables_teach(&new, feed->transactions, e);
	if (r < 0)
		return r;
	*ret_old = feed->tables;
	feed->tables = new;
	new = (struct tables){0};
	return feed_arrive(feed, e);
}

/* What the tables were, to compare with; the texts are not needed for that. */
static int remember(const struct tables *tables, struct tables *ret, struct error *e)
{
	ret->at = calloc(tables->n + 1, sizeof(*ret->at));
	if (!ret->at)
		return error_set(e, ENOMEM, "out of memory");
	ret->n = tables->n;
	for (size_t i = 0; i < tables->n; i++)
		ret->at[i] = (struct table){
		        .relation = tables->at[i].relation,
		        .version = tables->at[i].version,
		        .source = tables->at[i].source,
		};
	return 0;
}

/* The sources after whatever has happened; tells the differences. */
static int settle(struct feed *feed, struct tables *old, bool all, struct batch *batch,
                  struct error *e)
{
	int r = feed_assign(feed, &feed->tables, e);

	if (r == 0)
		r = walk(feed, old, &feed->tables, visit_report, batch, e);
	for (size_t i = 0; r == 0 && all && i < feed->tables.n; i++)
		report(batch, &feed->tables.at[i]);
	if (r == 0 && batch_failed(batch))
		r = error_set(e, ENOMEM, "out of memory");
	return r;
}

static bool again(const struct feed *feed)
{
	return feed->unfinished && clock_monotonic_us() - feed->read_us > AGAIN_US;
}

static int inspect(struct feed *feed, const PGresult *watch, struct batch *batch, struct error *e)
{
	uint64_t catalog = hash_field(watch, WATCH_CATALOG), all = hash_field(watch, WATCH_ALL);
	bool moved = catalog != feed->watched || all != feed->watched_all || again(feed);
	bool everybody = feed->watched_all != 0 && all != feed->watched_all;
	_cleanup_tables_ struct tables old = {0};
	_cleanup_snapshot_ struct snapshot seen = {0};
	enum logtail_state log = feed->log.state;
	int r = 0, came = 0;

	if (snapshot_parse(PQgetvalue(watch, 0, WATCH_SNAPSHOT), &seen) < 0)
		return error_set(e, EPROTO, "unknown form of a snapshot");
	if (moved)
		r = look(feed, &old, batch, e);
	if (r == 0)
		came = r = feed_drain(feed, &seen, e);
	if (r >= 0)
		r = follow_log(feed, e);
	if (r < 0)
		return r;
	feed->watched = catalog;
	feed->watched_all = all;
	if (!moved && !came && log == feed->log.state)
		return 0;
	if (!moved && (r = remember(&feed->tables, &old, e)) < 0)
		return r;
	return settle(feed, &old, everybody, batch, e);
}

int feed_inspect(struct feed *feed, struct batch *batch, struct error *e)
{
	_cleanup_result_ PGresult *watch = NULL;
	struct error ignored;
	int r;

	if (!feed->begun)
		return 0;
	e = e ? e : &ignored;
	r = direct_query(feed->sql, feed->watch_sql, 0, NULL, &watch, e);
	return r < 0 ? r : inspect(feed, watch, batch, e);
}
