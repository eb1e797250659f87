/* Tables that come into the publication while it is streamed (tables.h, enum wal_state). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "direct.h"
#include "feed.h"

bool feed_can_stream(const struct feed *feed, const struct table *table)
{
	return feed->wal && table->published && !table->wal_unfit;
}

static int wait_for_all(struct table *table, const struct snapshot *now, struct error *e)
{
	uint64_t *running = calloc(now->n + 1, sizeof(*running));

	if (!running)
		return error_set(e, ENOMEM, "out of memory");
	memcpy(running, now->running, now->n * sizeof(*running));
	snapshot_done(&table->since);
	table->since = (struct snapshot){.next = now->next, .running = running, .n = now->n};
	return 0;
}

/* Those of `table->wal` == `state` become `next` and begin to wait. */
static int wait_anew(struct feed *feed, enum wal_state state, const struct snapshot *drained,
                     enum wal_state next, struct error *e)
{
	_cleanup_snapshot_ struct snapshot now = {0};

	for (size_t i = 0; i < feed->tables.n; i++) {
		struct table *table = &feed->tables.at[i];
		int r = 0;

		if (table->wal != state || !feed_can_stream(feed, table) ||
		    (drained && !snapshot_drained(&table->since, drained)))
			continue;
		if (!now.running)
			r = feed_snapshot_all(feed, &now, e);
		if (r == 0)
			r = wait_for_all(table, &now, e);
		if (r < 0)
			return r;
		table->wal = next;
	}
	return 0;
}

static bool forgets(PGconn *pg)
{
	static const int cured[] = {130021, 140018, 150013, 160009, 170005};
	int version = PQserverVersion(pg);

	for (size_t i = 0; i < sizeof(cured) / sizeof(*cured); i++)
		if (version / 10000 == cured[i] / 10000)
			return version < cured[i];
	return false;
}

static bool any_drained(const struct feed *feed, enum wal_state state, const struct snapshot *seen)
{
	for (size_t i = 0; i < feed->tables.n; i++)
		if (feed->tables.at[i].wal == state &&
		    snapshot_drained(&feed->tables.at[i].since, seen))
			return true;
	return false;
}

/* The first transactions have ended: touch the publication, wait for the second ones. */
static int touch(struct feed *feed, const struct snapshot *seen, struct error *e)
{
	int r = publication_touch(feed->sql, &feed->publication, e);

	/* Not the owner: then everything must begin anew, with a slot that knows the table. */
	if (r < 0 && forgets(feed->sql))
		return r;
	return wait_anew(feed, WAL_DRAINING, seen, WAL_TOUCHED, e);
}

int feed_arrive(struct feed *feed, struct error *e)
{
	return wait_anew(feed, WAL_OUT, NULL, WAL_DRAINING, e);
}

int feed_drain(struct feed *feed, const struct snapshot *seen, struct error *e)
{
	int came = 0;

	for (size_t i = 0; i < feed->tables.n; i++) {
		struct table *table = &feed->tables.at[i];

		if (table->wal != WAL_TOUCHED || !snapshot_drained(&table->since, seen))
			continue;
		table->wal = WAL_IN;
		came = 1;
	}
	if (any_drained(feed, WAL_DRAINING, seen)) {
		int r = touch(feed, seen, e);

		if (r < 0)
			return r;
	}
	return came;
}
