/* One Redis in memory, which the fakes of cache.h and broker.h share: a few keys with their lifetimes, a clock, and
 * the name that it has for as long as it keeps its data. Tests use what is declared here and in the fakes' headers;
 * what stands below the line is between the fakes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rowfs/base/buf.h"

/* Stop Redis' clock at this time (microseconds since 1970), or move it there. Until then it runs with the real one. Only
 * deadlines (the heartbeat's) go by it; lifetimes go by the monotonic clock. */
void fake_redis_clock(int64_t us);

/* It does not answer: nothing is found, leased, stored or dropped, and every command of a broker fails. */
void fake_redis_down(bool down);

/* It loses its data, its name included. */
void fake_redis_flush(void);

/* What a key holds: put a value that lives a minute, take one away, look at one ("" for none). */
void fake_redis_put(const char *key, const void *value, size_t len);
void fake_redis_remove(const char *key);
void fake_redis_peek(const char *key, struct buf *ret);

/* ---------------------------------------------------------------------------------------------- */

struct fake_slot {
	struct buf key, value;
	int64_t until_ms;    /* monotonic */
	int64_t deadline_us; /* Redis' clock; 0: none */
};

/* All of these with the lock held. */
void fake_redis_lock(void);
void fake_redis_unlock(void);
int64_t fake_redis_now_us(void);
bool fake_redis_is_down(void);
struct fake_slot *fake_redis_find(const char *key, size_t len); /* NULL: absent */
struct fake_slot *fake_redis_set(const char *key, size_t key_len, const void *value, size_t len, int64_t px);
void fake_redis_erase(struct fake_slot *slot); /* accepts NULL */
const char *fake_redis_id(void);
