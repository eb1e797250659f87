#include "rowfs/engine/status.h"

#include <inttypes.h>

#include "rowfs/base/counters.h"

static const char *const counter_names[] = {
#define X(name, meaning) #name,
	COUNTERS(X)
#undef X
};

static void print_postgresql(struct engine *engine, struct buf *out)
{
	struct store_status status;

	store_status(engine->store, &status);
	buf_addf(out, "postgresql: %s\n", status.reachable ? "reachable" : "unreachable");
	buf_addf(out, "postgresql_database: %s\n", store_label(engine->store));
	buf_addf(out, "postgresql_connections: %u\n", status.connections);
	if (!status.reachable && status.last_error[0])
		buf_addf(out, "postgresql_error: %s\n", status.last_error);
}

static void print_redis(struct engine *engine, struct buf *out)
{
	struct cache_status status;

	cache_status(engine->cache, &status);
	buf_addf(out, "redis: %s\n",
		 !status.configured ? "none" : status.reachable ? "reachable" : "unreachable");
	if (!status.configured)
		return;
	buf_addf(out, "redis_address: %s\n", status.address);
	if (!status.reachable && status.last_error[0])
		buf_addf(out, "redis_error: %s\n", status.last_error);
}

static void print_lane(const char *name, struct lane *lane, unsigned seats, struct buf *out)
{
	unsigned running, queued;

	lane_load(lane, &running, &queued);
	buf_addf(out, "%s_running: %u of %u\n%s_queued: %u\n", name, running, seats, name, queued);
}

static void print_names(struct engine *engine, struct buf *out)
{
	unsigned names[NAME_STATES];

	names_count(engine->names, names);
	buf_addf(out, "names_detached: %u\nnames_replacing: %u\nnames_pending: %u\n",
		 names[NAME_DETACHED], names[NAME_REPLACING], names[NAME_PENDING]);
}

static void print_bounds(struct engine *engine, struct buf *out)
{
	const struct settings *settings = engine->settings;

	buf_addf(out, "memory: %" PRIu64 " of %" PRIu64 " bytes\n", text_bytes(), settings->memory_max);
	buf_addf(out, "scratch: %" PRIu64 " of %" PRIu64 " bytes\n", scratch_used(engine->scratch),
		 settings->scratch_max);
	buf_addf(out, "row_text_max: %d bytes\n", TEXT_MAX);
	buf_addf(out, "rejected_max: %" PRIu64 " bytes\n", settings->rejected_max);
}

void status_print(struct engine *engine, struct buf *out)
{
	buf_adds(out, "version: " ROWFS_VERSION "\n");
	buf_addf(out, "changes: ttl=%g\n", engine->settings->strong ? 0.0 : engine->settings->ttl);
	print_postgresql(engine, out);
	print_redis(engine, out);
	print_lane("reads", engine->reads, STORE_READERS, out);
	print_lane("writes", engine->writes, STORE_WRITERS, out);
	print_names(engine, out);
	print_bounds(engine, out);
	for (int i = 0; i < COUNTER_COUNT; i++)
		buf_addf(out, "%s: %" PRIu64 "\n", counter_names[i], atomic_load(&counters[i]));
}
