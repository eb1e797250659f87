#include "lifecycle.h"

#include <signal.h>
#include <unistd.h>

#include "rowfs/base/log.h"

/* A signal's exit status as the shell writes it. */
enum { SIGNALLED = 128 };

static void fill_set(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
}

/* What a request to end means now. */
static void stop(struct lifecycle *lifecycle, int exit_status)
{
	pthread_mutex_lock(&lifecycle->lock);
	switch (lifecycle->stage) {
	case STAGE_STARTING:
		_exit(exit_status);
	case STAGE_MOUNTING:
		lifecycle->stop = true;
		break;
	case STAGE_SERVING:
		volume_stop(lifecycle->volume);
		break;
	case STAGE_ENDING:
	case STAGE_ENDED:
		break;
	}
	pthread_mutex_unlock(&lifecycle->lock);
}

void lifecycle_stop(struct lifecycle *lifecycle)
{
	stop(lifecycle, SIGNALLED + SIGTERM);
}

static enum stage stage_now(struct lifecycle *lifecycle)
{
	enum stage stage;

	pthread_mutex_lock(&lifecycle->lock);
	stage = lifecycle->stage;
	pthread_mutex_unlock(&lifecycle->lock);
	return stage;
}

static void enter(struct lifecycle *lifecycle, enum stage stage)
{
	pthread_mutex_lock(&lifecycle->lock);
	lifecycle->stage = stage;
	if (stage >= STAGE_ENDING)
		lifecycle->volume = NULL;
	pthread_mutex_unlock(&lifecycle->lock);
}

static void *take_signals(void *arg)
{
	struct lifecycle *lifecycle = arg;
	sigset_t set;
	int signal;

	fill_set(&set);
	while (stage_now(lifecycle) != STAGE_ENDED) {
		if (sigwait(&set, &signal) != 0 || stage_now(lifecycle) == STAGE_ENDED)
			continue;
		if (signal == SIGHUP) {
			log_reopen();
			continue;
		}
		log_info("signal %d: ending", signal);
		stop(lifecycle, SIGNALLED + signal);
	}
	return NULL;
}

int lifecycle_start(struct lifecycle *lifecycle)
{
	sigset_t set;
	int r;

	*lifecycle = (struct lifecycle){.stage = STAGE_STARTING};
	pthread_mutex_init(&lifecycle->lock, NULL);
	signal(SIGPIPE, SIG_IGN);
	fill_set(&set);
	r = pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (!r)
		r = pthread_create(&lifecycle->thread, NULL, take_signals, lifecycle);
	return -r;
}

void lifecycle_end(struct lifecycle *lifecycle)
{
	enter(lifecycle, STAGE_ENDED);
	/* Wakes the thread, which finds that it is over. */
	pthread_kill(lifecycle->thread, SIGTERM);
	pthread_join(lifecycle->thread, NULL);
	pthread_mutex_destroy(&lifecycle->lock);
}

void lifecycle_mounting(struct lifecycle *lifecycle)
{
	enter(lifecycle, STAGE_MOUNTING);
}

bool lifecycle_serving(struct lifecycle *lifecycle, struct volume *volume)
{
	bool go;

	pthread_mutex_lock(&lifecycle->lock);
	go = !lifecycle->stop;
	lifecycle->volume = volume;
	lifecycle->stage = STAGE_SERVING;
	pthread_mutex_unlock(&lifecycle->lock);
	return go;
}

void lifecycle_ending(struct lifecycle *lifecycle)
{
	enter(lifecycle, STAGE_ENDING);
}
