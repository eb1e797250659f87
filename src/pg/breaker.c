#include "breaker.h"

#include <stdlib.h>

#include "rowfs/base/clock.h"

void breaker_init(struct breaker *breaker)
{
	pthread_condattr_t attributes;

	*breaker = (struct breaker){.seed = (unsigned)clock_monotonic_us()};
	pthread_mutex_init(&breaker->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&breaker->change, &attributes);
	pthread_condattr_destroy(&attributes);
}

void breaker_done(struct breaker *breaker)
{
	pthread_cond_destroy(&breaker->change);
	pthread_mutex_destroy(&breaker->lock);
}

static void wait_until(struct breaker *breaker, int64_t us)
{
	struct timespec until = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};

	(void)pthread_cond_timedwait(&breaker->change, &breaker->lock, &until);
}

/* With the lock held, after a failure: may a caller try who asked at `asked_us`? He waits for the answer
 * where that does not take long. */
static bool may_try(struct breaker *breaker, int64_t asked_us)
{
	int64_t deadline_us = asked_us + BREAKER_QUICK_WAIT_MS * 1000, now_us = asked_us;

	while (breaker->failures > 0) {
		bool paused = now_us < breaker->until_us;

		if (!breaker->trying && !paused)
			return true;
		if (!breaker->quick || breaker->began_us > asked_us || now_us >= deadline_us)
			return false;
		wait_until(breaker, breaker->trying || breaker->until_us > deadline_us ? deadline_us :
		                                                                        breaker->until_us);
		now_us = clock_monotonic_us();
	}
	return true;
}

int breaker_enter(struct breaker *breaker, struct error *e)
{
	int r = 0;

	pthread_mutex_lock(&breaker->lock);
	if (may_try(breaker, clock_monotonic_us())) {
		breaker->trying = true;
	} else {
		if (e)
			*e = breaker->last;
		r = -breaker->last.err;
	}
	pthread_mutex_unlock(&breaker->lock);
	return r;
}

/* With jitter, so that many mounts do not come back in step. */
static int64_t pause_us(struct breaker *breaker)
{
	unsigned doublings = breaker->failures < 5 ? breaker->failures - 1 : 4;
	int64_t ms = (int64_t)BREAKER_PAUSE_MIN_MS << doublings;

	if (breaker->quick) /* a server that answers no made a process for it */
		ms = *breaker->last.sqlstate ? BREAKER_QUICK_PAUSE_MS : 0;
	if (ms > BREAKER_PAUSE_MAX_MS)
		ms = BREAKER_PAUSE_MAX_MS;
	return ms * (500 + rand_r(&breaker->seed) % 501);
}

void breaker_report(struct breaker *breaker, int64_t began_us, const struct error *failure)
{
	pthread_mutex_lock(&breaker->lock);
	breaker->trying = false;
	if (failure) {
		breaker->failures++;
		breaker->last = *failure;
		breaker->began_us = began_us;
		breaker->quick = clock_monotonic_us() - began_us < BREAKER_QUICK_MS * 1000;
		breaker->until_us = clock_monotonic_us() + pause_us(breaker);
	} else {
		breaker->failures = 0;
		breaker->last = (struct error){0};
	}
	pthread_cond_broadcast(&breaker->change);
	pthread_mutex_unlock(&breaker->lock);
}

void breaker_last(struct breaker *breaker, struct error *ret)
{
	pthread_mutex_lock(&breaker->lock);
	*ret = breaker->last;
	pthread_mutex_unlock(&breaker->lock);
}
