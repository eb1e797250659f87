/* The sessions of a store, in sets with a bound each. They are made when they are needed, and kept
 * until they break. The lock is never held across I/O. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "breaker.h"
#include "session.h"

/* Lanes keep callers from queueing here, so a full set is one that is stuck; and when the server
 * has no connection left, somebody may soon give one back. */
enum { SESSIONS_WAIT_MS = 5000, SESSIONS_TOO_MANY_WAIT_MS = 1000 };

struct sessions {
	struct source *source;
	struct breaker breaker;
	_Atomic unsigned generation; /* what last answered before it began is not reused */
	pthread_mutex_t lock;        /* of the sets */
	struct {
		struct session *idle; /* the last one used first, so that the rest may go cold */
		unsigned open, limit; /* `open` counts those being made, too */
		pthread_cond_t freed;
	} sets[STORE_SETS];
};

void sessions_init(struct sessions *sessions, struct source *source);

/* All sessions must have been put back. */
void sessions_done(struct sessions *sessions);

/* A session for one statement. `fresh`: a new connection, since an old one has just failed. */
int sessions_take(struct sessions *sessions, enum store_set set, bool fresh, struct session **ret,
                  struct error *e) _must_check_;

/* Give it back; it is kept if session_idle(), and not swollen. */
void sessions_put(struct sessions *sessions, enum store_set set, struct session *session);

/* Give it back to be closed. */
void sessions_drop(struct sessions *sessions, enum store_set set, struct session *session);

/* The server has stopped answering: do not let others find that out one idle session after another,
 * each for as long as it took this caller. */
void sessions_distrust(struct sessions *sessions);

unsigned sessions_count(struct sessions *sessions);
