/* Failing fast while PostgreSQL cannot be reached. After a failed attempt to connect, everybody
 * gets its error at once for a pause, which doubles while failures go on; then one caller tries,
 * and the others still get the old error until he has succeeded. So a dead server costs one thread
 * its connect timeout now and then, and nobody else anything. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "rowfs/base/error.h"

enum { BREAKER_PAUSE_MIN_MS = 200, BREAKER_PAUSE_MAX_MS = 2000 };

struct breaker {
	pthread_mutex_t lock; /* of everything below */
	unsigned failures;    /* in a row */
	bool trying;          /* after a failure: somebody is */
	int64_t until_us;     /* end of the pause */
	unsigned seed;        /* of the jitter */
	struct error last;    /* what the last failure said; err 0: reached */
};

void breaker_init(struct breaker *breaker);
void breaker_done(struct breaker *breaker);

/* May this caller try? 0, and breaker_report() must follow; else the last failure. */
int breaker_enter(struct breaker *breaker, struct error *e) _must_check_;

/* NULL: reached. */
void breaker_report(struct breaker *breaker, const struct error *failure);

/* What the last attempt met; err 0 if it reached the server. */
void breaker_last(struct breaker *breaker, struct error *ret);
