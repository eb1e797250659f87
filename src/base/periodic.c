#include "rowfs/base/periodic.h"

#include <time.h>

/* Sleeps; false when it is time to end. */
static bool rest(struct periodic *periodic, int64_t ms)
{
	struct timespec until;
	bool stop;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&periodic->lock);
	while (ms > 0 && !periodic->stop &&
	       pthread_cond_timedwait(&periodic->wake, &periodic->lock, &until) == 0)
		;
	stop = periodic->stop;
	pthread_mutex_unlock(&periodic->lock);
	return !stop;
}

static void *run(void *arg)
{
	struct periodic *periodic = arg;

	while (rest(periodic, periodic->step(periodic->arg)))
		;
	return NULL;
}

int periodic_start(struct periodic *periodic, int64_t (*step)(void *arg), void *arg)
{
	pthread_condattr_t attr;
	int r;

	*periodic = (struct periodic){.step = step, .arg = arg};
	pthread_mutex_init(&periodic->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&periodic->wake, &attr);
	pthread_condattr_destroy(&attr);
	r = pthread_create(&periodic->thread, NULL, run, periodic);
	periodic->started = r == 0;
	return -r;
}

bool periodic_stopping(struct periodic *periodic)
{
	return periodic->stop;
}

void periodic_tell(struct periodic *periodic)
{
	if (!periodic->started)
		return;
	pthread_mutex_lock(&periodic->lock);
	periodic->stop = true;
	pthread_cond_signal(&periodic->wake);
	pthread_mutex_unlock(&periodic->lock);
}

void periodic_stop(struct periodic *periodic)
{
	if (!periodic->started)
		return;
	periodic_tell(periodic);
	pthread_join(periodic->thread, NULL);
	pthread_cond_destroy(&periodic->wake);
	pthread_mutex_destroy(&periodic->lock);
	periodic->started = false;
}
