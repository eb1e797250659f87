#include "fake_redis.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "rowfs/base/clock.h"

enum { KEYS_MAX = 256, PUT_LIFE_MS = 60000 };

static struct {
	pthread_mutex_t lock;
	struct fake_slot slots[KEYS_MAX]; /* [lock] */
	int64_t stopped_us;               /* [lock] 0: the clock runs */
	unsigned flushes;                 /* [lock] */
	char id[40];                      /* [lock] */
	bool down;                        /* [lock] */
} redis = {.lock = PTHREAD_MUTEX_INITIALIZER};

void fake_redis_lock(void)
{
	pthread_mutex_lock(&redis.lock);
}

void fake_redis_unlock(void)
{
	pthread_mutex_unlock(&redis.lock);
}

int64_t fake_redis_now_us(void)
{
	return redis.stopped_us ? redis.stopped_us : clock_us(CLOCK_REALTIME);
}

bool fake_redis_is_down(void)
{
	return redis.down;
}

const char *fake_redis_id(void)
{
	snprintf(redis.id, sizeof redis.id, "%032x", redis.flushes + 1);
	return redis.id;
}

static bool lives(const struct fake_slot *slot)
{
	return slot->until_ms > clock_monotonic_ms() &&
	       (!slot->deadline_us || slot->deadline_us > fake_redis_now_us());
}

struct fake_slot *fake_redis_find(const char *key, size_t len)
{
	for (int i = 0; i < KEYS_MAX; i++) {
		struct fake_slot *slot = &redis.slots[i];

		if (lives(slot) && slot->key.len == len && memcmp(slot->key.data, key, len) == 0)
			return slot;
	}
	return NULL;
}

void fake_redis_erase(struct fake_slot *slot)
{
	if (slot)
		slot->until_ms = 0;
}

struct fake_slot *fake_redis_set(const char *key, size_t key_len, const void *value, size_t len, int64_t px)
{
	struct fake_slot *slot = fake_redis_find(key, key_len);

	for (int i = 0; !slot && i < KEYS_MAX; i++)
		if (!lives(&redis.slots[i]))
			slot = &redis.slots[i];
	assert(slot);
	buf_reset(&slot->key);
	buf_add(&slot->key, key, key_len);
	buf_reset(&slot->value);
	buf_add(&slot->value, value, len);
	slot->until_ms = clock_monotonic_ms() + px;
	slot->deadline_us = 0;
	return slot;
}

/* --- Switches -------------------------------------------------------------------------------- */

void fake_redis_clock(int64_t us)
{
	fake_redis_lock();
	redis.stopped_us = us;
	fake_redis_unlock();
}

void fake_redis_down(bool down)
{
	fake_redis_lock();
	redis.down = down;
	fake_redis_unlock();
}

void fake_redis_flush(void)
{
	fake_redis_lock();
	for (int i = 0; i < KEYS_MAX; i++)
		fake_redis_erase(&redis.slots[i]);
	redis.flushes++;
	fake_redis_unlock();
}

void fake_redis_put(const char *key, const void *value, size_t len)
{
	fake_redis_lock();
	fake_redis_set(key, strlen(key), value, len, PUT_LIFE_MS);
	fake_redis_unlock();
}

void fake_redis_remove(const char *key)
{
	fake_redis_lock();
	fake_redis_erase(fake_redis_find(key, strlen(key)));
	fake_redis_unlock();
}

void fake_redis_peek(const char *key, struct buf *ret)
{
	struct fake_slot *slot;

	buf_reset(ret);
	buf_adds(ret, "");
	fake_redis_lock();
	slot = fake_redis_find(key, strlen(key));
	if (slot)
		buf_add(ret, slot->value.data, slot->value.len);
	fake_redis_unlock();
}
