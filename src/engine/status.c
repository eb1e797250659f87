#include "rowfs/engine/status.h"

#include <inttypes.h>

#include "rowfs/base/counters.h"
#include "rowfs/base/timings.h"

static const struct {
	const char *name, *meaning;
} counter_table[] = {
#define X(name, meaning) {#name, meaning},
	COUNTERS(X)
#undef X
};

/* Everything that is asked once for a report. */
struct snapshot {
	struct store_status store;
	struct cache_status cache;
	struct follow_status follow;
	struct sync_status sync;
	unsigned names[NAME_STATES];
};

static void take(struct engine *engine, struct snapshot *ret)
{
	*ret = (struct snapshot){.sync.lag_ms = -1};
	store_status(engine->store, &ret->store);
	cache_status(engine->cache, &ret->cache);
	follow_status(engine->follow, &ret->follow);
	if (engine->sync)
		sync_status(engine->sync, &ret->sync);
	names_count(engine->names, ret->names);
}

/* --- Status ---------------------------------------------------------------------------------- */

static void print_postgresql(struct engine *engine, const struct snapshot *now, struct buf *out)
{
	buf_addf(out, "postgresql: %s\n", now->store.reachable ? "reachable" : "unreachable");
	buf_addf(out, "postgresql_database: %s\n", store_label(engine->store));
	buf_addf(out, "postgresql_connections: %u\n", now->store.connections);
	if (!now->store.reachable && now->store.last_error[0])
		buf_addf(out, "postgresql_error: %s\n", now->store.last_error);
}

static void print_redis(const struct snapshot *now, struct buf *out)
{
	buf_addf(out, "redis: %s\n",
		 !now->cache.configured ? "none" : now->cache.reachable ? "reachable" : "unreachable");
	if (!now->cache.configured)
		return;
	buf_addf(out, "redis_address: %s\n", now->cache.address);
	if (!now->cache.reachable && now->cache.last_error[0])
		buf_addf(out, "redis_error: %s\n", now->cache.last_error);
}

/* How others' commits are noticed. */
static void print_changes(struct engine *engine, const struct snapshot *now, struct buf *out)
{
	if (engine->settings->strong)
		buf_adds(out, "changes: every read asks PostgreSQL\n");
	else if (engine->feed)
		buf_addf(out, "changes: feed\nmax_staleness: %g\n", engine->settings->max_staleness);
	else
		buf_addf(out, "changes: ttl=%g\n", engine->settings->ttl);
	if (!engine->feed && engine->no_feed[0])
		buf_addf(out, "changes_better: %s\n", engine->no_feed);
	else if (now->sync.feed.better[0])
		buf_addf(out, "changes_better: %s\n", now->sync.feed.better);
	if (!engine->feed)
		return;
	buf_addf(out, "feed: %s\n",
		 now->follow.live ? "live" :
		 now->follow.connected ? "no heartbeat" :
					 "not connected");
	if (now->follow.epoch[0])
		buf_addf(out, "feed_epoch: %s\nfeed_number: %" PRIu64 "\n", now->follow.epoch,
			 now->follow.number);
	if (now->follow.heartbeat_age_ms >= 0)
		buf_addf(out, "feed_heartbeat_age_ms: %" PRId64 "\n", now->follow.heartbeat_age_ms);
	if (now->follow.last_error[0])
		buf_addf(out, "feed_error: %s\n", now->follow.last_error);
}

static void print_leading(struct engine *engine, const struct sync_status *sync, struct buf *out)
{
	_cleanup_buf_ struct buf pinned = {0};

	buf_addf(out, "worker_tables: %zu wal, %zu log, %zu none\n", sync->feed.tables[FEED_WAL],
		 sync->feed.tables[FEED_LOG], sync->feed.tables[FEED_NONE]);
	buf_addf(out, "worker_lag_bytes: %" PRIu64 "\n", sync->feed.lag_bytes);
	if (sync->lag_ms >= 0)
		buf_addf(out, "worker_lag_ms: %" PRId64 "\n", sync->lag_ms);
	if (sync->feed.position[0])
		buf_addf(out, "worker_position: %s\n", sync->feed.position);
	buf_addf(out, "worker_transactions: %" PRIu64 "\nworker_changes: %" PRIu64 "\n",
		 sync->transactions, sync->changes);
	sync_print_pins(engine->sync, &pinned);
	if (pinned.len && !pinned.failed)
		buf_addf(out, "pins: %s\n", pinned.data);
}

/* Status has no room for a list of all. */
enum { REPLACED_SHOWN = 20 };

/* What of the database's placement rules does not count here. */
static void print_placement(struct engine *engine, struct buf *out)
{
	_cleanup_schema_ struct schema *schema = catalog_get(engine->catalog);
	size_t n = 0;

	if (schema->rules_note)
		buf_addf(out, "placement: %s\n", schema->rules_note);
	for (size_t i = 0; i < schema->n_spaces; i++) {
		for (size_t k = 0; k < schema->spaces[i].n_relations; k++) {
			const struct relation *relation = &schema->spaces[i].relations[k];

			if (relation->placed_by == PLACED_BY_FILE_INSTEAD && ++n <= REPLACED_SHOWN)
				buf_addf(out, "placement_of_file: %s.%s, instead of the database's rule\n",
					 relation->space, relation->dir_name);
		}
	}
}

/* The sync worker: here, or what it last said of itself. */
static void print_worker(struct engine *engine, const struct snapshot *now, struct buf *out)
{
	_cleanup_buf_ struct buf note = {0};

	if (!engine->feed)
		return;
	buf_addf(out, "worker_here: %s\n", engine->sync ? sync_state_name(now->sync.state) : "off");
	if (now->sync.state == SYNC_LEADING)
		print_leading(engine, &now->sync, out);
	else if (cache_worker_note(engine->cache, &note))
		buf_addf(out, "worker: %s\n", note.data);
	if (now->sync.feed.waits_for[0])
		buf_addf(out, "worker_waits_for: %s\n", now->sync.feed.waits_for);
	if (now->sync.last_error[0])
		buf_addf(out, "worker_error: %s\n", now->sync.last_error);
}

static void print_lane(const char *name, struct lane *lane, unsigned seats, struct buf *out)
{
	unsigned running, queued;

	lane_load(lane, &running, &queued);
	buf_addf(out, "%s_running: %u of %u\n%s_queued: %u\n", name, running, seats, name, queued);
}

static void print_names(const struct snapshot *now, struct buf *out)
{
	buf_addf(out, "names_detached: %u\nnames_replacing: %u\nnames_pending: %u\n",
		 now->names[NAME_DETACHED], now->names[NAME_REPLACING], now->names[NAME_PENDING]);
	buf_addf(out, "names_removed: %u\nnames_recreated: %u\n",
		 now->names[NAME_UNLINKED] + now->names[NAME_DELETING],
		 now->names[NAME_RECREATED] + now->names[NAME_CLEARING]);
}

static void print_bounds(struct engine *engine, struct buf *out)
{
	const struct settings *settings = engine->settings;

	buf_addf(out, "memory: %" PRIu64 " of %" PRIu64 " bytes\n", text_bytes(), settings->memory_max);
	buf_addf(out, "bases: %u of %d rows\n", bases_count(engine->bases), BASES_MAX);
	buf_addf(out, "scratch: %" PRIu64 " of %" PRIu64 " bytes\n", scratch_used(engine->scratch),
		 settings->scratch_max);
	buf_addf(out, "row_text_max: %d bytes\n", TEXT_MAX);
	buf_addf(out, "rejected_max: %" PRIu64 " bytes\n", settings->rejected_max);
}

void status_print(struct engine *engine, struct buf *out)
{
	struct snapshot now;

	take(engine, &now);
	buf_adds(out, "version: " ROWFS_VERSION "\n");
	print_postgresql(engine, &now, out);
	print_redis(&now, out);
	print_changes(engine, &now, out);
	print_placement(engine, out);
	print_worker(engine, &now, out);
	print_lane("reads", engine->reads, STORE_READERS, out);
	print_lane("writes", engine->writes, STORE_WRITERS, out);
	print_names(&now, out);
	print_bounds(engine, out);
	for (int i = 0; i < COUNTER_COUNT; i++)
		buf_addf(out, "%s: %" PRIu64 "\n", counter_table[i].name, atomic_load(&counters[i]));
}

/* --- Metrics --------------------------------------------------------------------------------- */

static void print_gauge(const char *name, const char *meaning, double value, struct buf *out)
{
	buf_addf(out, "# HELP rowfs_%s %s\n# TYPE rowfs_%s gauge\nrowfs_%s %.15g\n", name, meaning, name, name,
		 value);
}

/* Prometheus' text format, version 0.0.4. */
void status_print_metrics(struct engine *engine, struct buf *out)
{
	struct snapshot now;

	take(engine, &now);
	for (int i = 0; i < COUNTER_COUNT; i++)
		buf_addf(out, "# HELP rowfs_%s_total %s\n# TYPE rowfs_%s_total counter\nrowfs_%s_total %" PRIu64 "\n",
			 counter_table[i].name, counter_table[i].meaning, counter_table[i].name,
			 counter_table[i].name, atomic_load(&counters[i]));
	print_gauge("postgresql_up", "1 if PostgreSQL answered the last time it was asked",
		    now.store.reachable, out);
	print_gauge("redis_up", "1 if Redis answers; 0 also while the circuit breaker is open",
		    now.cache.configured && now.cache.reachable, out);
	print_gauge("feed_live", "1 while a heartbeat of the change feed stands", now.follow.live, out);
	print_gauge("feed_heartbeat_age_seconds", "since the last heartbeat that was heard; -1: none",
		    now.follow.heartbeat_age_ms < 0 ? -1 : (double)now.follow.heartbeat_age_ms / 1000, out);
	print_gauge("worker_leading", "1 if the sync worker is in this process",
		    now.sync.state == SYNC_LEADING, out);
	print_gauge("worker_lag_bytes", "write-ahead log that the worker here has not handled yet",
		    (double)now.sync.feed.lag_bytes, out);
	print_gauge("worker_lag_seconds", "age of the worker's last heartbeat when it was set; -1: none",
		    now.sync.lag_ms < 0 ? -1 : (double)now.sync.lag_ms / 1000, out);
	print_gauge("memory_bytes", "row text that open files and recent reads hold", (double)text_bytes(),
		    out);
	print_gauge("scratch_bytes", "temporary files", (double)scratch_used(engine->scratch), out);
	timings_print(out);
}
