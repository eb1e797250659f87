#include "breaker.h"

#include <stdlib.h>

#include "rowfs/base/clock.h"

void breaker_init(struct breaker *breaker)
{
	*breaker = (struct breaker){.seed = (unsigned)clock_monotonic_us()};
	pthread_mutex_init(&breaker->lock, NULL);
}

void breaker_done(struct breaker *breaker)
{
	pthread_mutex_destroy(&breaker->lock);
}

int breaker_enter(struct breaker *breaker, struct error *e)
{
	int r = 0;

	pthread_mutex_lock(&breaker->lock);
	if (breaker->failures > 0 &&
	    (breaker->trying || clock_monotonic_us() < breaker->until_us)) {
		if (e)
			*e = breaker->last;
		r = -breaker->last.err;
	} else {
		breaker->trying = true;
	}
	pthread_mutex_unlock(&breaker->lock);
	return r;
}

/* With jitter, so that many mounts do not come back in step. */
static int64_t pause_us(struct breaker *breaker)
{
	unsigned doublings = breaker->failures < 5 ? breaker->failures - 1 : 4;
	int64_t ms = (int64_t)BREAKER_PAUSE_MIN_MS << doublings;

	if (ms > BREAKER_PAUSE_MAX_MS)
		ms = BREAKER_PAUSE_MAX_MS;
	return ms * (500 + rand_r(&breaker->seed) % 501);
}

void breaker_report(struct breaker *breaker, const struct error *failure)
{
	pthread_mutex_lock(&breaker->lock);
	breaker->trying = false;
	if (failure) {
		breaker->failures++;
		breaker->last = *failure;
		breaker->until_us = clock_monotonic_us() + pause_us(breaker);
	} else {
		breaker->failures = 0;
		breaker->last = (struct error){0};
	}
	pthread_mutex_unlock(&breaker->lock);
}

void breaker_last(struct breaker *breaker, struct error *ret)
{
	pthread_mutex_lock(&breaker->lock);
	*ret = breaker->last;
	pthread_mutex_unlock(&breaker->lock);
}
