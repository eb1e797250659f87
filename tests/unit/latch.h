/* A gate that threads wait at: tests stop the engine in the middle of something, look, and let it
 * go on. Nothing here sleeps for a fixed time; a test that would wait forever ends with Check's
 * timeout. */
#pragma once

#include <pthread.h>
#include <stdbool.h>

struct latch {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned arrived; /* [lock] ever, at latch_pass() */
	bool open;        /* [lock] */
};

#define LATCH_INIT                                                                                 \
	{                                                                                          \
		.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER             \
	}

/* Arrive, and wait until it is open. */
static inline void latch_pass(struct latch *latch)
{
	pthread_mutex_lock(&latch->lock);
	latch->arrived++;
	pthread_cond_broadcast(&latch->changed);
	while (!latch->open)
		pthread_cond_wait(&latch->changed, &latch->lock);
	pthread_mutex_unlock(&latch->lock);
}

/* Wait until `n` have arrived. */
static inline void latch_await(struct latch *latch, unsigned n)
{
	pthread_mutex_lock(&latch->lock);
	while (latch->arrived < n)
		pthread_cond_wait(&latch->changed, &latch->lock);
	pthread_mutex_unlock(&latch->lock);
}

static inline void latch_open(struct latch *latch)
{
	pthread_mutex_lock(&latch->lock);
	latch->open = true;
	pthread_cond_broadcast(&latch->changed);
	pthread_mutex_unlock(&latch->lock);
}

static inline unsigned latch_arrived(struct latch *latch)
{
	unsigned n;

	pthread_mutex_lock(&latch->lock);
	n = latch->arrived;
	pthread_mutex_unlock(&latch->lock);
	return n;
}
