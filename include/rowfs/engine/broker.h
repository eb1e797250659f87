/* Redis as the sync worker writes to it and as every mount listens to it. src/redis defines these functions; a
 * unit test links a fake instead.
 *
 *   epoch        names the feed: which worker, since when. Copies made under another are not used
 *   t:<oid>      the same for one relation
 *   hb           `epoch:number`, with a deadline: until then the copies of `epoch` are proved fresh
 *   id           names this Redis, for as long as it keeps its data
 *   ch           the channel: numbered messages, see engine/announce.h (ch<N> in another database than 0,
 *                since Redis' channels belong to none)
 *   worker       what the worker says of itself, for people
 *
 * All below "rf:{identity}namespace:", like the rows. */
#pragma once

#include <stdint.h>

#include "rowfs/base/buf.h"
#include "rowfs/base/error.h"
#include "rowfs/engine/cache.h"

/* --- The worker's side -------------------------------------------------------------------------
 *
 * One connection of its own, used by one thread. Every reply is awaited, at most BROKER_TIMEOUT_MS; a call over
 * many keys has several, and that long for each. Any negative result means that it is unknown what Redis did:
 * close the broker, and let nothing that follows be called fresh under the present epoch (R7); every later call
 * on it fails. An error reply (full: -ENOSPC, no permission: -EACCES, a replica: -EROFS) is such a failure too.
 *
 * Epochs are made of hexadecimal digits, '/' and '-', at most EPOCH_SIZE - 1 of them; whatever else stands where
 * one should be is none. */

struct broker;

/* Less than a heartbeat's life, so that a Redis that hangs is noticed while it still lasts. */
enum { BROKER_TIMEOUT_MS = 500, BROKER_ID_SIZE = 40 };

/* The largest message: Redis cuts off a subscriber for whom more than some of these have piled up. */
enum { BROKER_MESSAGE_MAX = 8 << 20 };

/* -EOPNOTSUPP under redis=none, -EACCES, another -errno with the reason. Looks up Redis' address, which may
 * take longer than the timeout. The cache must outlive it. */

int broker_open(struct cache *cache, struct broker **ret, struct error *e) _must_check_;
void broker_close(struct broker *broker); /* accepts NULL */

/* The name of this Redis, made if it has none (one script, so that two workers get the same). */
int broker_id(struct broker *broker, char ret[BROKER_ID_SIZE], struct error *e) _must_check_;

/* Redis' clock, microseconds since 1970. */
int broker_time_us(struct broker *broker, int64_t *ret, struct error *e) _must_check_;

/* UNLINK the copies of rows, leases included. `keys` are as copy_row_key() makes them, each followed by a NUL;
 * `n` of them. In pipelined commands of bounded size. */
int broker_drop(struct broker *broker, const struct buf *keys, size_t n, struct error *e) _must_check_;

/* Begin an epoch: no heartbeat stands, then the epoch is `epoch`. */
int broker_begin_epoch(struct broker *broker, const char *epoch, struct error *e) _must_check_;

/* Give relations the table epoch `epoch`; NULL: none, they are not covered any more. */
int broker_set_tables(struct broker *broker, const uint32_t *relations, size_t n, const char *epoch,
                      struct error *e) _must_check_;

/* How many of the relations have a table epoch, whichever (one that a reader would accept). */
int broker_count_tables(struct broker *broker, const uint32_t *relations, size_t n, size_t *ret,
                        struct error *e) _must_check_;

/* Set the heartbeat `epoch:number` until `deadline_us` on Redis' own clock, if the epoch is still `epoch` (one
 * script). 1: it is set. 0: the epoch is another's, or gone: this worker is not the worker any more. A deadline
 * that is past sets nothing, and is 1. */
int broker_beat(struct broker *broker, const char *epoch, uint64_t number, int64_t deadline_us,
                struct error *e) _must_check_;

/* PUBLISH. */
int broker_publish(struct broker *broker, const struct buf *message, struct error *e) _must_check_;

/* A note for people, which goes by itself after `life_ms`. */
int broker_note(struct broker *broker, const struct buf *note, int64_t life_ms, struct error *e)
        _must_check_;

/* --- Every mount's side ------------------------------------------------------------------------ */

struct subscription;

/* Subscribed when it returns 0; errors as of broker_open(). A connection of its own, for one thread. */
int subscription_open(struct cache *cache, struct subscription **ret, struct error *e) _must_check_;
void subscription_close(struct subscription *subscription); /* accepts NULL */

/* The next message. 1 with it in `ret` (reset first); 0 after `timeout_ms` without one; -errno: the connection
 * is broken, and messages may have been lost; close it. A Redis that is silent is asked whether it is there:
 * -ETIMEDOUT about two seconds after the last that was heard of it. Call it often: while nobody reads, messages
 * pile up in Redis, which ends the connection of one for whom too many have. */
int subscription_next(struct subscription *subscription, int timeout_ms, struct buf *ret,
                      struct error *e) _must_check_;
