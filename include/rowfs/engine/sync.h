/* The sync worker: makes Redis forget what changed in PostgreSQL, proves by a heartbeat that it has, and tells
 * every mount. One works for a database and a Redis; the others wait to take over.
 *
 *   WAITING ── no heartbeat stands ──► ELECTING ── lock ──► STARTING ── feed has begun ──► LEADING
 *      ▲                                  │ somebody has it        │                        │
 *      └──────────────────────────────────┴──── any failure of the feed: PAUSING ◄──────────┘
 *
 * LEADING, for each batch of committed transactions: wait until it is visible; drop its rows' copies; announce
 * them. A few times a second: note Redis' time, then where PostgreSQL is; when all up to there is dropped and
 * announced, set the heartbeat, to last until max_staleness after that time (R4). So while a heartbeat stands,
 * no copy of its epoch is older than max_staleness.
 *
 * A new epoch begins with the feed, after any command to Redis whose outcome is unknown (R7), and when a
 * transaction from before the feed turns out to have been committed behind its back (R3): it makes all copies
 * unusable at one stroke. A table's epoch does the same for one table (docs/models/tables.pml).
 *
 * A second thread pins rows, as the tables' placement rules say (engine/pins.h).
 *
 * One thread, which owns the feed and the broker. A mount runs it beside its own work; `rowfs sync` runs it
 * alone. */
#pragma once

#include "rowfs/base/settings.h"
#include "rowfs/engine/cache.h"
#include "rowfs/engine/catalog.h"
#include "rowfs/engine/feed.h"
#include "rowfs/engine/store.h"

struct sync;

enum sync_state { SYNC_OFF, SYNC_WAITING, SYNC_ELECTING, SYNC_STARTING, SYNC_LEADING, SYNC_PAUSING };

/* How often the heart beats within max_staleness: a beat may come late by four fifths of it. */
enum { SYNC_BEATS = 5 };

/* `store`, `cache` and `catalog` outlive it. Without a catalog (NULL) nothing is pinned. */
int sync_new(const struct settings *settings, struct store *store, struct cache *cache, struct catalog *catalog,
	     struct sync **ret) _must_check_;
int sync_start(struct sync *sync) _must_check_;
void sync_tell(struct sync *sync); /* it is to end, but is not waited for yet; accepts NULL */
void sync_free(struct sync *sync); /* ends the thread; accepts NULL */

struct sync_status {
	enum sync_state state;
	char epoch[EPOCH_SIZE];
	uint64_t transactions, changes; /* handled since it began to lead */
	int64_t lag_ms;                 /* age of the last heartbeat's mark; -1: none */
	struct feed_status feed;        /* STARTING, LEADING */
	char last_error[512];
};
void sync_status(struct sync *sync, struct sync_status *ret);

/* What is pinned, by this worker (engine/pins.h). */
void sync_print_pins(struct sync *sync, struct buf *out);

const char *sync_state_name(enum sync_state state);
