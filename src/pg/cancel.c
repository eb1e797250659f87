#include "cancel.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

/* Threads that wait for servers which do not answer. */
enum { CANCELS_MAX = 16 };
static _Atomic unsigned cancels;

/* Shared by who asks and the thread; the last of the two frees it. */
struct asking {
	PGcancel *cancel;
	pthread_mutex_t lock;
	pthread_cond_t ended;
	bool heard, done, left; /* [lock] */
};

static void asking_free(struct asking *asking)
{
	PQfreeCancel(asking->cancel);
	pthread_cond_destroy(&asking->ended);
	pthread_mutex_destroy(&asking->lock);
	free(asking);
	cancels--;
}

static void *ask(void *arg)
{
	struct asking *asking = arg;
	char why[256];
	bool heard = PQcancel(asking->cancel, why, sizeof(why)) == 1, left;

	pthread_mutex_lock(&asking->lock);
	asking->heard = heard;
	asking->done = true;
	left = asking->left;
	pthread_cond_signal(&asking->ended);
	pthread_mutex_unlock(&asking->lock);
	if (left)
		asking_free(asking);
	return NULL;
}

static struct asking *asking_new(PGconn *pg)
{
	struct asking *asking = calloc(1, sizeof(*asking));
	pthread_condattr_t attributes;

	if (!asking)
		return NULL;
	asking->cancel = PQgetCancel(pg);
	pthread_mutex_init(&asking->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&asking->ended, &attributes);
	pthread_condattr_destroy(&attributes);
	cancels++;
	return asking;
}

static bool start(struct asking *asking)
{
	pthread_attr_t attributes;
	pthread_t thread;
	int r;

	if (!asking->cancel || cancels > CANCELS_MAX)
		return false;
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	r = pthread_create(&thread, &attributes, ask, asking);
	pthread_attr_destroy(&attributes);
	return r == 0;
}

bool cancel_within(PGconn *pg, int ms)
{
	struct asking *asking = asking_new(pg);
	struct timespec until;
	bool heard, done;

	if (!asking)
		return false;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000L;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	if (!start(asking)) {
		asking_free(asking);
		return false;
	}
	pthread_mutex_lock(&asking->lock);
	while (!asking->done && pthread_cond_timedwait(&asking->ended, &asking->lock, &until) == 0)
		;
	heard = asking->heard;
	done = asking->done;
	asking->left = true;
	pthread_mutex_unlock(&asking->lock);
	if (done)
		asking_free(asking);
	return heard;
}
