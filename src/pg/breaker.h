/* Failing fast while PostgreSQL cannot be reached. After an attempt to connect that took its time to
 * fail, everybody gets its error at once for a pause, which doubles while failures go on; then one
 * caller tries, and the others still get the old error until he has succeeded. So a dead server
 * costs one thread its connect timeout now and then, and nobody else anything.
 *
 * A server that refuses at once, as one does that is down or starting up, costs next to nothing to
 * ask, and may be back any moment: then nobody is told of an attempt that began before he asked.
 * One caller tries, and the others wait for him; where it is the server that refused, and no closed
 * socket, after a pause that keeps a crowd from hammering. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "rowfs/base/error.h"

enum { BREAKER_PAUSE_MIN_MS = 200, BREAKER_PAUSE_MAX_MS = 2000 };

/* An attempt that fails within QUICK was refused, not left without an answer. The pause after it, and how
 * long a caller waits for one who tries: no longer than a person notices. */
enum { BREAKER_QUICK_MS = 100, BREAKER_QUICK_PAUSE_MS = 20, BREAKER_QUICK_WAIT_MS = 200 };

struct breaker {
	pthread_mutex_t lock; /* of everything below */
	unsigned failures;    /* in a row */
	bool trying;          /* after a failure: somebody is */
	bool quick;           /* the last attempt was refused at once */
	int64_t began_us;     /* it */
	pthread_cond_t change;
	int64_t until_us;     /* end of the pause */
	unsigned seed;        /* of the jitter */
	struct error last;    /* what the last failure said; err 0: reached */
};

void breaker_init(struct breaker *breaker);
void breaker_done(struct breaker *breaker);

/* May this caller try? 0, and breaker_report() must follow; else the last failure. */
int breaker_enter(struct breaker *breaker, struct error *e) _must_check_;

/* What came of an attempt that began then. NULL: reached. */
void breaker_report(struct breaker *breaker, int64_t began_us, const struct error *failure);

/* What the last attempt met; err 0 if it reached the server. */
void breaker_last(struct breaker *breaker, struct error *ret);
