/* The shared hot tier, as the engine needs it. src/redis defines these functions; a unit test links
 * a fake instead.
 *
 * A cache may be slow, full, empty, gone or wrong at any moment; nothing here may fail a read.
 * Every call returns within CACHE_TIMEOUT_MS, and at once while the circuit breaker is open.
 * Thread-safe. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "rowfs/base/buf.h"
#include "rowfs/base/error.h"
#include "rowfs/base/settings.h"

struct cache;

/* A read waits this long for Redis, connecting included, before it asks PostgreSQL. */
enum { CACHE_TIMEOUT_MS = 50 };

/* A reader that took a lease has this long to fill it; after that another may. */
enum { CACHE_LEASE_MS = 3000 };

enum { CACHE_TOKEN_SIZE = 40 };

/* Larger values are not stored: at 20 MB/s, a poor network, this much takes the whole timeout. */
enum { CACHE_VALUE_MAX = 1 << 20 };

/* The environment variable that may hold Redis' password, beside redis_passfile= and the address.
 */
#define CACHE_PASSWORD_VARIABLE "ROWFS_REDIS_PASSWORD"

/* Open. `redis=none` gives a cache that never holds anything: every read misses. Returns 0 also
 * when Redis does not answer (e->err and the message then say why, else e->err is 0: the caller
 * decides what that means); -EINVAL for an address that cannot be understood, -errno for a password
 * file that cannot be read, -EACCES for a refused password, which no waiting cures. (One that is
 * refused later, after a restart of Redis, keeps the breaker open until it is accepted.) */
int cache_open(const struct settings *settings, const char *identity, struct cache **ret,
               struct error *e) _must_check_;
void cache_close(struct cache *cache);

/* 0 if Redis answers a PING now, else -errno with the reason. Also what closes the breaker: the
 * background thread calls it while the breaker is open. It may look up Redis' address, so it is the
 * one call here that can take longer; between attempts it pauses by itself (0.1 to 2 s) and repeats
 * the last reason, so it may be called often. */
int cache_probe(struct cache *cache, struct error *e) _must_check_;

enum cache_answer { CACHE_HIT, CACHE_MISS, CACHE_BUSY /* somebody holds the lease */, CACHE_DOWN };

/* GET. `key` is without the "rf:{identity}:" prefix. On a hit `ret` (reset first) holds the value.
 */
enum cache_answer cache_get(struct cache *cache, const char *key, size_t key_len, struct buf *ret);

/* What Redis says of the feed of changes, beside a row. Epochs are names, compared for equality only; "" is
 * one that is missing, which equals nothing (R8). */
enum { EPOCH_SIZE = 64 };

struct cache_proof {
	char epoch[EPOCH_SIZE]; /* of the worker */
	char table[EPOCH_SIZE]; /* of the relation; "" too for one that no feed covers */
	bool alive;             /* the heartbeat stands, and is of this epoch */
	bool fresh;             /* that, and the relation has an epoch */
};

/* Are both of the same epochs? Then copies made under one count under the other. */
static inline bool cache_proof_same(const struct cache_proof *a, const struct cache_proof *b)
{
	return strcmp(a->epoch, b->epoch) == 0 && strcmp(a->table, b->table) == 0;
}

/* One MGET of the heartbeat, both epochs and the row (R5): nothing of it is remembered between reads. As
 * cache_get(), and with CACHE_HIT, CACHE_MISS and CACHE_BUSY the proof of that very moment, which says whether
 * a value may be used or made at all; with CACHE_DOWN it is all "". `key_len` 0: only the proof is wanted, and
 * the answer is CACHE_MISS. A key of another type looks absent here; the lease finds it, replaces it and counts it
 * as garbage. */
enum cache_answer cache_read(struct cache *cache, uint32_t relation, const char *key, size_t key_len,
                             struct cache_proof *ret_proof, struct buf *ret);

/* Take the lease on an absent key; true with the token if this caller now holds it. Awaited: a fill
 * is only safe when the lease stood before the row was read. Two kinds of value may be replaced by it:
 * `replace` (or NULL), that very value, found to be no good (garbage, other fingerprint); and what does not
 * begin with `valid` (or NULL), that is, copies of other epochs. A lease of somebody else is only replaced if it has no
 * end and is not the pinner's, and a value that begins with `valid` and has no end, which is pinned, not at all. With either, a key of another type is replaced too. One round trip. */
bool cache_lease(struct cache *cache, const char *key, size_t key_len, const struct buf *replace,
                 const char *valid, char ret_token[CACHE_TOKEN_SIZE]);

/* Store `value` if the key still holds `token`, until `px` milliseconds after that lease was taken: what was read
 * after it is no older then, however late Redis comes to the fill. The lease on the whole relation
 * (engine/pinner.h) ends by it, since what is put there under that could be older. Not awaited. */
void cache_fill(struct cache *cache, uint32_t relation, const char *key, size_t key_len, const char *token,
                const void *value, size_t len, int64_t px);

/* Give the lease back, if it still stands: others need not wait for its end. Not awaited. */
void cache_release(struct cache *cache, const char *key, size_t key_len, const char *token);

/* UNLINK: what is held, leases included, is gone. Not awaited. */
void cache_drop(struct cache *cache, const char *key, size_t key_len);

/* SET under a key that is no row's, to last so long. Not awaited. */
void cache_put(struct cache *cache, const char *key, const void *value, size_t len, int64_t px);

/* How many milliseconds a key still has to live; negative if it is not there, or has no end. */
int64_t cache_life_ms(struct cache *cache, const char *key, size_t key_len);

/* How often a connection to Redis has ended by itself. What answers after that may be another Redis, or one that has
 * gone back to older data. */
uint64_t cache_breaks(struct cache *cache);

/* Redis' clock, microseconds since 1970; negative if it does not answer. */
int64_t cache_time_us(struct cache *cache);

/* What the sync worker last said of itself (broker_note()), into `ret`; false if there is nothing. */
bool cache_worker_note(struct cache *cache, struct buf *ret);

struct cache_status {
	bool configured, reachable;
	char address[256]; /* without password */
	char last_error[256];
};
void cache_status(struct cache *cache, struct cache_status *ret);
