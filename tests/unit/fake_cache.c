#include "fake_cache.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "events.h"
#include "fake_redis.h"
#include "hook.h"
#include "rowfs/base/clock.h"

/* Its lock is Redis'. */
struct cache {
	unsigned tokens; /* [lock] handed out */
	bool lose_drops; /* [lock] */
	struct hook hook;
};

static struct cache cache = {.hook = HOOK_INIT};

struct cache *fake_cache(void)
{
	return &cache;
}

/* --- Keys; with the lock held ---------------------------------------------------------------- */

static bool equal(const struct buf *a, const void *bytes, size_t len)
{
	return a->len == len && (len == 0 || memcmp(a->data, bytes, len) == 0);
}

static bool is_lease(const struct fake_slot *slot)
{
	return slot->value.len >= 2 && memcmp(slot->value.data, "L:", 2) == 0;
}

static enum cache_answer look_up(const char *key, size_t key_len, struct buf *ret)
{
	struct fake_slot *slot = fake_redis_find(key, key_len);

	if (!slot)
		return CACHE_MISS;
	if (is_lease(slot))
		return CACHE_BUSY;
	buf_reset(ret);
	buf_add(ret, slot->value.data, slot->value.len);
	return CACHE_HIT;
}

/* --- Commands -------------------------------------------------------------------------------- */

static void begin(const char *command)
{
	event_add(command);
	hook_call(&cache.hook, command);
	fake_redis_lock();
}

static void end(void)
{
	fake_redis_unlock();
}

enum cache_answer cache_get(struct cache *c, const char *key, size_t key_len, struct buf *ret)
{
	enum cache_answer answer;

	begin("get");
	answer = fake_redis_is_down() ? CACHE_DOWN : look_up(key, key_len, ret);
	end();
	return answer;
}

/* With the lock held: a whole value that is an epoch, or "". Whoever writes such keys here writes well. */
static void read_epoch(const char *key, char ret[EPOCH_SIZE])
{
	struct fake_slot *slot = fake_redis_find(key, strlen(key));

	snprintf(ret, EPOCH_SIZE, "%s", slot ? slot->value.data : "");
}

/* With the lock held. */
static void read_proof(uint32_t relation, struct cache_proof *ret)
{
	struct fake_slot *hb = fake_redis_find("hb", 2);
	size_t len;
	char table[24];

	snprintf(table, sizeof table, "t:%" PRIu32, relation);
	read_epoch("epoch", ret->epoch);
	read_epoch(table, ret->table);
	len = strlen(ret->epoch);
	ret->alive = hb && len && hb->value.len > len + 1 &&
	             memcmp(hb->value.data, ret->epoch, len) == 0 && hb->value.data[len] == ':';
	ret->fresh = ret->alive && *ret->table;
}

enum cache_answer cache_read(struct cache *c, uint32_t relation, const char *key, size_t key_len,
                             struct cache_proof *ret_proof, struct buf *ret)
{
	enum cache_answer answer = CACHE_MISS;

	*ret_proof = (struct cache_proof){0};
	begin("read");
	if (fake_redis_is_down()) {
		answer = CACHE_DOWN;
	} else {
		read_proof(relation, ret_proof);
		if (key_len)
			answer = look_up(key, key_len, ret);
	}
	end();
	return answer;
}

/* What a lease may take the place of: nothing, `replace`, and what does not begin with `valid`. */
static bool may_lease(const struct fake_slot *slot, const struct buf *replace, const char *valid)
{
	if (!slot)
		return true;
	if (is_lease(slot))
		return false;
	if (replace && equal(&slot->value, replace->data, replace->len))
		return true;
	return valid && (slot->value.len < strlen(valid) ||
	                 memcmp(slot->value.data, valid, strlen(valid)) != 0);
}

bool cache_lease(struct cache *c, const char *key, size_t key_len, const struct buf *replace,
                 const char *valid, char ret_token[CACHE_TOKEN_SIZE])
{
	bool taken;

	begin("lease");
	taken = !fake_redis_is_down() && may_lease(fake_redis_find(key, key_len), replace, valid);
	if (taken) {
		snprintf(ret_token, CACHE_TOKEN_SIZE, "L:%037u", ++cache.tokens);
		fake_redis_set(key, key_len, ret_token, strlen(ret_token), CACHE_LEASE_MS);
	}
	end();
	return taken;
}

void cache_fill(struct cache *c, uint32_t relation, const char *key, size_t key_len, const char *token,
                const void *value, size_t len, int64_t px)
{
	struct fake_slot *slot;
	int64_t life = 0;

	begin("fill");
	slot = fake_redis_find(key, key_len);
	if (!fake_redis_is_down() && slot && equal(&slot->value, token, strlen(token)))
		life = px - (CACHE_LEASE_MS - (slot->until_ms - clock_monotonic_ms()));
	if (life > 0)
		fake_redis_set(key, key_len, value, len, life);
	end();
}

void cache_release(struct cache *c, const char *key, size_t key_len, const char *token)
{
	struct fake_slot *slot;

	begin("release");
	slot = fake_redis_find(key, key_len);
	if (!fake_redis_is_down() && slot && equal(&slot->value, token, strlen(token)))
		fake_redis_erase(slot);
	end();
}

void cache_put(struct cache *c, const char *key, const void *value, size_t len, int64_t px)
{
	begin("put");
	if (!fake_redis_is_down())
		fake_redis_set(key, strlen(key), value, len, px);
	end();
}

int64_t cache_life_ms(struct cache *c, const char *key, size_t key_len)
{
	struct fake_slot *slot;
	int64_t life;

	begin("life");
	slot = fake_redis_is_down() ? NULL : fake_redis_find(key, key_len);
	life = slot ? slot->until_ms - clock_monotonic_ms() : -1;
	end();
	return life;
}

void cache_drop(struct cache *c, const char *key, size_t key_len)
{
	begin("drop");
	if (!fake_redis_is_down() && !cache.lose_drops)
		fake_redis_erase(fake_redis_find(key, key_len));
	end();
}

int64_t cache_time_us(struct cache *c)
{
	int64_t us;

	begin("clock");
	us = fake_redis_is_down() ? -1 : fake_redis_now_us();
	end();
	return us;
}

static uint64_t breaks;

void fake_cache_break(void)
{
	breaks++;
}

uint64_t cache_breaks(struct cache *c)
{
	return breaks;
}

bool cache_worker_note(struct cache *c, struct buf *ret)
{
	return cache_get(c, "worker", strlen("worker"), ret) == CACHE_HIT;
}

void cache_status(struct cache *c, struct cache_status *ret)
{
	fake_redis_lock();
	*ret = (struct cache_status){.configured = true, .reachable = !fake_redis_is_down()};
	fake_redis_unlock();
}

int cache_probe(struct cache *c, struct error *e)
{
	return 0;
}

/* --- Switches -------------------------------------------------------------------------------- */

void fake_cache_down(bool down)
{
	fake_redis_down(down);
}

void fake_cache_lose_drops(bool lose)
{
	fake_redis_lock();
	cache.lose_drops = lose;
	fake_redis_unlock();
}

void fake_cache_on(void (*fn)(void *arg, const char *command), void *arg)
{
	hook_set(&cache.hook, fn, arg);
}

void fake_cache_put(const char *key, const void *value, size_t len)
{
	fake_redis_put(key, value, len);
}

void fake_cache_peek(const char *key, struct buf *ret)
{
	fake_redis_peek(key, ret);
}

int64_t fake_cache_life(const char *key)
{
	int64_t life;
	struct fake_slot *slot;

	fake_redis_lock();
	slot = fake_redis_find(key, strlen(key));
	life = slot ? slot->until_ms - clock_monotonic_ms() : 0;
	fake_redis_unlock();
	return life;
}

static void put_or_remove(const char *key, const char *value)
{
	if (value)
		fake_redis_put(key, value, strlen(value));
	else
		fake_redis_remove(key);
}

void fake_cache_prove(const char *epoch, const char *beats, uint32_t relation, const char *table)
{
	char key[24], beat[EPOCH_SIZE + 24];

	snprintf(beat, sizeof beat, "%s:1", beats ? beats : "");
	snprintf(key, sizeof key, "t:%" PRIu32, relation);
	put_or_remove("epoch", epoch);
	put_or_remove("hb", beats ? beat : NULL);
	put_or_remove(key, table);
}
