/* What the mount has done since it began: one table, which `.rowfs/status` prints and which
 * documents itself. Counting is a relaxed atomic add, from any thread. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#define COUNTERS(X)                                                                       \
	X(cache_hits, "row reads answered by Redis")                                      \
	X(cache_misses, "row reads that Redis did not hold")                              \
	X(cache_rejected, "Redis copies not used: older than what this mount has seen")   \
	X(cache_foreign, "Redis' copies made with other columns or another mtime= than this process has, replaced") \
	X(cache_garbage, "Redis values that were no row copy, replaced")                  \
	X(cache_outdated, "Redis' copies of another epoch, or under a longer ttl=, replaced") \
	X(cache_errors, "Redis commands that failed or took too long")                    \
	X(cache_joined, "rows put together: some columns from Redis, the others from PostgreSQL")  \
	X(cache_unjoined, "rows that could not be, since they had changed, and were read whole")  \
	X(cache_fills, "rows put into Redis")                                             \
	X(cache_unadmitted, "row reads not put into Redis: read for the first time, or in a walk") \
	X(hot_loads, "rows looked at to have them in Redis: read again from memory, or in a new epoch") \
	X(walk_reads, "opens by programs that walk through a table, each row once")       \
	X(store_fetches, "single rows read from PostgreSQL")                              \
	X(store_pages, "listing pages read from PostgreSQL")                              \
	X(sizes_known, "large rows listed whose size Redis knew, so that they were not read")     \
	X(store_errors, "PostgreSQL statements that failed")                              \
	X(store_connects, "connections made to PostgreSQL")                               \
	X(flights_joined, "row reads that shared another reader's fetch")                 \
	X(commits, "saves committed")                                                     \
	X(refusals, "saves refused")                                                      \
	X(stale_opens, "opens sent back to the kernel because the row had changed")       \
	X(catalog_loads, "times the catalog was read")                                    \
	X(feed_changes, "rows and tables that the feed said have changed")                \
	X(feed_gaps, "times the feed's messages did not follow each other")               \
	X(feed_lapses, "times no heartbeat came in time")                                 \
	X(feed_drops, "times all that was held became unsure")                            \
	X(kernel_invalidations, "nodes that the kernel was told to ask again about")      \
	X(kernel_epochs, "times the kernel was told to ask again about every name")       \
	X(memory_opens, "opens answered from memory")                                     \
	X(memory_lookups, "lookups and attributes answered from memory")                  \
	X(sync_changes, "worker: changed rows and tables handled")                        \
	X(sync_waits, "worker: waits for a commit to become visible")                     \
	X(sync_epochs, "worker: epochs begun")                                            \
	X(sync_beats, "worker: heartbeats set")

enum counter {
#define X(name, meaning) COUNTER_##name,
	COUNTERS(X)
#undef X
	COUNTER_COUNT
};

extern _Atomic uint64_t counters[COUNTER_COUNT];

#define count_many(name, n) \
	atomic_fetch_add_explicit(&counters[COUNTER_##name], (uint64_t)(n), memory_order_relaxed)
#define count(name) count_many(name, 1)
