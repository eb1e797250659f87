/* What the sync worker says on the channel, and every mount hears: numbered messages, one after the other in
 * each epoch, so that a listener knows when it has missed one.
 *
 *   0/1A2B-9f86d081884c7d65 4711          epoch and number
 *   h 1763805200123456                    heartbeat: until then, on Redis' clock, all that had happened is said
 *   i 16388 43.json                       a row came,
 *   u 16388 42.json                       changed,
 *   d 16388 41.json                       went
 *   t 16401                               any row of this relation may be another
 *   e                                     so may everything
 *
 * Names hold no newline (model/name.h escapes control bytes). A line that is not understood means "everything":
 * a newer worker may know more. */
#pragma once

#include "rowfs/engine/cache.h"
#include "rowfs/model/batch.h"

enum announce_kind { ANNOUNCE_CHANGE, ANNOUNCE_HEARTBEAT, ANNOUNCE_EVERYTHING };

/* A message ends with the line that makes it so long. */
enum { ANNOUNCE_MAX = 1 << 18 };

struct announcement {
	enum announce_kind kind;
	struct batch_change change; /* CHANGE; its name is borrowed from the message */
	int64_t deadline_us;        /* HEARTBEAT */
};

/* Begin a message in an empty buffer; then any of the others. */
void announce_begin(struct buf *message, const char *epoch, uint64_t number);
void announce_change(struct buf *message, const struct batch_change *change);
void announce_heartbeat(struct buf *message, int64_t deadline_us);
void announce_everything(struct buf *message);

/* The head of a message: 0 with *ret_at after it, or -EPROTO for what is none. */
int announce_head(struct buf *message, char ret_epoch[EPOCH_SIZE], uint64_t *ret_number, size_t *ret_at)
	_must_check_;

/* The next line, whose end is overwritten; false after the last. */
bool announce_next(struct buf *message, size_t *at, struct announcement *ret);
