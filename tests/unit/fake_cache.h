/* cache.h over the Redis in memory (fake_redis.h), with leases and lifetimes as documented there, and
 * switches for what goes wrong. Events: "get" "read" "lease" "fill" "drop" "clock". */
#pragma once

#include <stdbool.h>

#include "rowfs/engine/cache.h"

struct cache *fake_cache(void);

/* Redis does not answer: nothing is found, leased, stored or dropped. */
void fake_cache_down(bool down);

/* Commands that are not awaited get lost on their way. */
void fake_cache_lose_drops(bool lose);

/* Called before each command, without locks held; `arg` as given. For tests that stop in the
 * middle. */
void fake_cache_on(void (*fn)(void *arg, const char *command), void *arg);

/* What a key holds: put a value that lives a minute, look at one ("" for none, "L:…" for a lease).
 */
void fake_cache_put(const char *key, const void *value, size_t len);
void fake_cache_peek(const char *key, struct buf *ret);

/* Milliseconds that a key still has to live, 0 if it is absent. */
int64_t fake_cache_life(const char *key);

/* What a worker would have set: the epoch, a heartbeat of `beats` that stands (NULL: none), and the epoch of one
 * relation (NULL: none). */
void fake_cache_prove(const char *epoch, const char *beats, uint32_t relation, const char *table);

/* A connection has ended by itself. */
void fake_cache_break(void);
