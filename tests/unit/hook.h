/* A function that a test hangs into a fake: called before each command, on the caller's thread, without locks held. A test may
 * hang in another while the engine's threads run. */
#pragma once

#include <pthread.h>

struct hook {
	pthread_mutex_t lock;
	void (*fn)(void *arg, const char *command); /* [lock] NULL: nobody */
	void *arg;                                  /* [lock] */
};

#define HOOK_INIT {.lock = PTHREAD_MUTEX_INITIALIZER}

static inline void hook_set(struct hook *hook, void (*fn)(void *arg, const char *command), void *arg)
{
	pthread_mutex_lock(&hook->lock);
	hook->fn = fn;
	hook->arg = arg;
	pthread_mutex_unlock(&hook->lock);
}

static inline void hook_call(struct hook *hook, const char *command)
{
	void (*fn)(void *arg, const char *command);
	void *arg;

	pthread_mutex_lock(&hook->lock);
	fn = hook->fn;
	arg = hook->arg;
	pthread_mutex_unlock(&hook->lock);
	if (fn)
		fn(arg, command);
}
