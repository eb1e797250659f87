/* What the sync worker has Redis and the mounts know: epochs, dropped copies, numbered announcements, heartbeats.
 *
 * It owns the connection to Redis and the rule about trouble with it (R7): when the outcome of a command is
 * unknown, the connection is given up and an epoch is *due*; nothing is said under the present one any more. The next
 * publisher_tend() that reaches Redis begins it, and that makes up for everything that was not said meanwhile.
 *
 *   READY ── a command fails ──► LOST ── publisher_tend(): connected ──► DUE ── epoch begun ──► READY
 *
 * Used by the worker's thread only. */
#pragma once

#include "rowfs/base/error.h"
#include "rowfs/engine/broker.h"
#include "rowfs/engine/feed.h"

/* Between attempts to reach a Redis that was lost. */
enum { PUBLISHER_PAUSE_MS = 100 };

struct publisher {
	struct cache *cache;
	struct broker *broker;      /* NULL: lost */
	char token[BROKER_ID_SIZE]; /* of the Redis for which this process is the worker */
	char epoch[EPOCH_SIZE];
	uint64_t number;            /* of the last message in it */
	bool due;
	int64_t retry_ms;
	struct buf message, keys;
	struct error trouble;       /* why the broker was lost last; err 0: it works */
};

/* Connect, and learn which Redis this is (`token`). The epoch is due. */
int publisher_open(struct publisher *publisher, struct cache *cache, struct error *e) _must_check_;
void publisher_close(struct publisher *publisher);

/* Reconnect if need be, and begin the epoch that is due. Returns 0 also when Redis stays away; -ESTALE if it is
 * another Redis now, which may have another worker. */
int publisher_tend(struct publisher *publisher, const struct feed *feed, struct error *e) _must_check_;

static inline bool publisher_ready(const struct publisher *publisher)
{
	return publisher->broker && !publisher->due;
}

/* The rest does nothing unless it is ready. */

/* The rows of a batch are visible: drop their copies, give changed tables new epochs, announce all of it. */
void publisher_apply(struct publisher *publisher, const struct feed *feed, const struct batch *batch);

/* Redis' time, for a heartbeat to come. False: Redis was lost. */
bool publisher_time_us(struct publisher *publisher, int64_t *ret);

/* Set the heartbeat and announce it. 1: done. 0: Redis was lost. -ESTALE: somebody else began an epoch. */
int publisher_beat(struct publisher *publisher, int64_t deadline_us, struct error *e) _must_check_;

/* Tables whose epoch Redis has lost get another: without one readers ask PostgreSQL. */
void publisher_mend_tables(struct publisher *publisher, const struct feed *feed);

void publisher_note(struct publisher *publisher, const struct buf *note, int64_t life_ms);
