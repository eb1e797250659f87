#include "sessions.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "rowfs/base/clock.h"

/* One reads the catalog, asks for the database's size and whether a lost save has ended: rare and
 * short. Pins have one thread. */
static const unsigned limits[STORE_SETS] = {
        [STORE_READ] = STORE_READERS,
        [STORE_WRITE] = STORE_WRITERS,
        [STORE_CATALOG] = 1,
        [STORE_PINS] = 1,
};

void sessions_init(struct sessions *sessions, struct source *source)
{
	pthread_condattr_t attributes;

	*sessions = (struct sessions){.source = source};
	breaker_init(&sessions->breaker);
	pthread_mutex_init(&sessions->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	for (int set = 0; set < STORE_SETS; set++) {
		sessions->sets[set].limit = limits[set];
		pthread_cond_init(&sessions->sets[set].freed, &attributes);
	}
	pthread_condattr_destroy(&attributes);
}

static struct session *pop(struct sessions *sessions, enum store_set set)
{
	struct session *session = sessions->sets[set].idle;

	if (session)
		sessions->sets[set].idle = session->next;
	return session;
}

void sessions_done(struct sessions *sessions)
{
	for (int set = 0; set < STORE_SETS; set++) {
		for (struct session *session; (session = pop(sessions, set));)
			session_close(session);
		pthread_cond_destroy(&sessions->sets[set].freed);
	}
	pthread_mutex_destroy(&sessions->lock);
	breaker_done(&sessions->breaker);
}

static struct timespec after_ms(int64_t ms)
{
	int64_t us = clock_monotonic_us() + ms * 1000;

	return (struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
}

/* The right to one session of the set, and an idle one if there is any. */
static int reserve(struct sessions *sessions, enum store_set set, struct session **ret,
                   struct error *e)
{
	struct timespec deadline = after_ms(SESSIONS_WAIT_MS);
	int r = 0;

	pthread_mutex_lock(&sessions->lock);
	while (r == 0 && !sessions->sets[set].idle &&
	       sessions->sets[set].open >= sessions->sets[set].limit)
		r = pthread_cond_timedwait(&sessions->sets[set].freed, &sessions->lock, &deadline);
	if (r == 0) {
		*ret = pop(sessions, set);
		sessions->sets[set].open += !*ret;
	}
	pthread_mutex_unlock(&sessions->lock);
	if (r != 0)
		return error_set(e, EIO, "all connections to PostgreSQL are busy");
	return 0;
}

/* Give the right back, with the session or without. */
static void release(struct sessions *sessions, enum store_set set, struct session *session)
{
	pthread_mutex_lock(&sessions->lock);
	if (session) {
		session->next = sessions->sets[set].idle;
		sessions->sets[set].idle = session;
	} else {
		sessions->sets[set].open--;
	}
	pthread_cond_signal(&sessions->sets[set].freed);
	pthread_mutex_unlock(&sessions->lock);
}

static int open_patiently(struct sessions *sessions, enum store_set set, struct session **ret,
                          struct error *e)
{
	const struct timespec pause = {.tv_nsec = 100000000};
	int64_t deadline_ms = clock_monotonic_ms() + SESSIONS_TOO_MANY_WAIT_MS;
	int r;

	for (;;) {
		r = session_open(sessions->source, set, ret, e);
		if (r == 0 || strcmp(e->sqlstate, "53300") != 0 ||
		    clock_monotonic_ms() > deadline_ms)
			return r;
		nanosleep(&pause, NULL);
	}
}

static int open_new(struct sessions *sessions, enum store_set set, struct session **ret,
                    struct error *e)
{
	struct error failure = {0};
	int r = breaker_enter(&sessions->breaker, e);
	int64_t began_us = clock_monotonic_us();

	if (r < 0)
		return r;
	r = open_patiently(sessions, set, ret, &failure);
	breaker_report(&sessions->breaker, began_us, r < 0 ? &failure : NULL);
	if (r < 0 && e)
		*e = failure;
	return r;
}

int sessions_take(struct sessions *sessions, enum store_set set, bool fresh, struct session **ret,
                  struct error *e)
{
	struct session *session = NULL;
	int r = reserve(sessions, set, &session, e);

	if (r < 0)
		return r;
	if (session && !fresh && session->generation == sessions->generation &&
	    session_alive(session)) {
		*ret = session;
		return 0;
	}
	session_close(session);
	r = open_new(sessions, set, ret, e);
	if (r < 0)
		release(sessions, set, NULL);
	return r;
}

void sessions_drop(struct sessions *sessions, enum store_set set, struct session *session)
{
	session_close(session);
	release(sessions, set, NULL);
}

void sessions_put(struct sessions *sessions, enum store_set set, struct session *session)
{
	if (!session_idle(session) || session->swollen) {
		sessions_drop(sessions, set, session);
		return;
	}
	session->generation = sessions->generation;
	release(sessions, set, session);
}

void sessions_distrust(struct sessions *sessions)
{
	sessions->generation++;
}

unsigned sessions_count(struct sessions *sessions)
{
	unsigned n = 0;

	pthread_mutex_lock(&sessions->lock);
	for (int set = 0; set < STORE_SETS; set++)
		n += sessions->sets[set].open;
	pthread_mutex_unlock(&sessions->lock);
	return n;
}
