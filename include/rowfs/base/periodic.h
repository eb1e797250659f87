/* A thread that repeats one step until it is told to stop, and sleeps in between for as long as the step says.
 * Stopping wakes it from that sleep and waits for its end; a step that waits for something itself must not do so
 * for long. A zeroed struct is one that was not started, which may be stopped. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "rowfs/base/cleanup.h"

struct periodic {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool started;
	atomic_bool stop; /* set under the lock; for a step that waits for something, to look at */
	int64_t (*step)(void *arg);
	void *arg;
};

/* `step` returns how many milliseconds to sleep before it is called again. 0 or -errno. */
int periodic_start(struct periodic *periodic, int64_t (*step)(void *arg), void *arg) _must_check_;
void periodic_stop(struct periodic *periodic);

/* It is to end, but is not waited for yet: where several are, each has begun to end before the first is waited for. */
void periodic_tell(struct periodic *periodic);

/* Is it time to end? For a step that waits for something. */
bool periodic_stopping(struct periodic *periodic);
