#include "fake_cache.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "events.h"
#include "rowfs/base/clock.h"

enum { KEYS_MAX = 64, PUT_LIFE_MS = 60000 };

struct slot {
	struct buf key, value;
	int64_t until;
};

struct cache {
	pthread_mutex_t lock;
	struct slot slots[KEYS_MAX]; /* [lock] */
	unsigned tokens;             /* [lock] handed out */
	bool down, lose_drops;       /* [lock] */
	void (*fn)(void *arg, const char *command);
	void *arg;
};

static struct cache cache = {.lock = PTHREAD_MUTEX_INITIALIZER};

struct cache *fake_cache(void)
{
	return &cache;
}

/* --- Keys; with the lock held ---------------------------------------------------------------- */

static bool equal(const struct buf *a, const void *bytes, size_t len)
{
	return a->len == len && (len == 0 || memcmp(a->data, bytes, len) == 0);
}

static struct slot *find(const char *key, size_t len)
{
	for (int i = 0; i < KEYS_MAX; i++) {
		struct slot *slot = &cache.slots[i];

		if (slot->until > clock_monotonic_ms() && equal(&slot->key, key, len))
			return slot;
	}
	return NULL;
}

static void erase(struct slot *slot)
{
	if (slot)
		slot->until = 0;
}

static void set(const char *key, size_t key_len, const void *value, size_t len, int64_t px)
{
	struct slot *slot = find(key, key_len);

	for (int i = 0; !slot && i < KEYS_MAX; i++)
		if (cache.slots[i].until <= clock_monotonic_ms())
			slot = &cache.slots[i];
	buf_reset(&slot->key);
	buf_add(&slot->key, key, key_len);
	buf_reset(&slot->value);
	buf_add(&slot->value, value, len);
	slot->until = clock_monotonic_ms() + px;
}

static bool is_lease(const struct slot *slot)
{
	return slot->value.len >= 2 && memcmp(slot->value.data, "L:", 2) == 0;
}

/* --- Commands -------------------------------------------------------------------------------- */

static void begin(const char *command)
{
	event_add(command);
	if (cache.fn)
		cache.fn(cache.arg, command);
	pthread_mutex_lock(&cache.lock);
}

static void end(void)
{
	pthread_mutex_unlock(&cache.lock);
}

enum cache_answer cache_get(struct cache *c, const char *key, size_t key_len, struct buf *ret)
{
	enum cache_answer answer = CACHE_MISS;
	struct slot *slot;

	begin("get");
	slot = find(key, key_len);
	if (cache.down) {
		answer = CACHE_DOWN;
	} else if (slot && is_lease(slot)) {
		answer = CACHE_BUSY;
	} else if (slot) {
		buf_reset(ret);
		buf_add(ret, slot->value.data, slot->value.len);
		answer = CACHE_HIT;
	}
	end();
	return answer;
}

/* What a lease may take the place of: nothing, `replace`, and what does not begin with `valid`. */
static bool may_lease(const struct slot *slot, const struct buf *replace, const char *valid)
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
	taken = !cache.down && may_lease(find(key, key_len), replace, valid);
	if (taken) {
		snprintf(ret_token, CACHE_TOKEN_SIZE, "L:%037u", ++cache.tokens);
		set(key, key_len, ret_token, strlen(ret_token), CACHE_LEASE_MS);
	}
	end();
	return taken;
}

void cache_fill(struct cache *c, const char *key, size_t key_len, const char *token,
                const void *value, size_t len, int64_t px)
{
	struct slot *slot;
	int64_t life = 0;

	begin("fill");
	slot = find(key, key_len);
	if (!cache.down && slot && equal(&slot->value, token, strlen(token)))
		life = px - (CACHE_LEASE_MS - (slot->until - clock_monotonic_ms()));
	if (life > 0)
		set(key, key_len, value, len, life);
	end();
}

void cache_drop(struct cache *c, const char *key, size_t key_len)
{
	begin("drop");
	if (!cache.down && !cache.lose_drops)
		erase(find(key, key_len));
	end();
}

void cache_status(struct cache *c, struct cache_status *ret)
{
	pthread_mutex_lock(&cache.lock);
	*ret = (struct cache_status){.configured = true, .reachable = !cache.down};
	pthread_mutex_unlock(&cache.lock);
}

int cache_probe(struct cache *c, struct error *e)
{
	return 0;
}

/* --- Switches -------------------------------------------------------------------------------- */

void fake_cache_down(bool down)
{
	pthread_mutex_lock(&cache.lock);
	cache.down = down;
	pthread_mutex_unlock(&cache.lock);
}

void fake_cache_lose_drops(bool lose)
{
	pthread_mutex_lock(&cache.lock);
	cache.lose_drops = lose;
	pthread_mutex_unlock(&cache.lock);
}

void fake_cache_on(void (*fn)(void *arg, const char *command), void *arg)
{
	cache.fn = fn;
	cache.arg = arg;
}

void fake_cache_put(const char *key, const void *value, size_t len)
{
	pthread_mutex_lock(&cache.lock);
	set(key, strlen(key), value, len, PUT_LIFE_MS);
	pthread_mutex_unlock(&cache.lock);
}

void fake_cache_peek(const char *key, struct buf *ret)
{
	struct slot *slot;

	buf_reset(ret);
	buf_adds(ret, "");
	pthread_mutex_lock(&cache.lock);
	slot = find(key, strlen(key));
	if (slot)
		buf_add(ret, slot->value.data, slot->value.len);
	pthread_mutex_unlock(&cache.lock);
}

int64_t fake_cache_life(const char *key)
{
	int64_t life;
	struct slot *slot;

	pthread_mutex_lock(&cache.lock);
	slot = find(key, strlen(key));
	life = slot ? slot->until - clock_monotonic_ms() : 0;
	pthread_mutex_unlock(&cache.lock);
	return life;
}
