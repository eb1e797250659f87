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
		break;
	}
	pthread_mutex_unlock(&lifecycle->lock);
}

void lifecycle_stop(struct lifecycle *lifecycle)
{
	stop(lifecycle, SIGNALLED + SIGTERM);
}

static void *take_signals(void *arg)
{
	struct lifecycle *lifecycle = arg;
	sigset_t set;
	int signal;

	fill_set(&set);
	for (;;) {
		if (sigwait(&set, &signal) != 0)
			continue;
		if (signal == SIGHUP) {
			log_reopen();
			continue;
		}
		log_info("signal %d: unmounting", signal);
		stop(lifecycle, SIGNALLED + signal);
	}
	return NULL;
}

int lifecycle_start(struct lifecycle *lifecycle)
{
	pthread_t thread;
	sigset_t set;
	int r;

	*lifecycle = (struct lifecycle){.stage = STAGE_STARTING};
	pthread_mutex_init(&lifecycle->lock, NULL);
	signal(SIGPIPE, SIG_IGN);
	fill_set(&set);
	r = pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (!r)
		r = pthread_create(&thread, NULL, take_signals, lifecycle);
	if (!r)
		pthread_detach(thread);
	return -r;
}

void lifecycle_mounting(struct lifecycle *lifecycle)
{
	pthread_mutex_lock(&lifecycle->lock);
	lifecycle->stage = STAGE_MOUNTING;
	pthread_mutex_unlock(&lifecycle->lock);
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
	pthread_mutex_lock(&lifecycle->lock);
	lifecycle->stage = STAGE_ENDING;
	lifecycle->volume = NULL;
	pthread_mutex_unlock(&lifecycle->lock);
}
