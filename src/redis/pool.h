/* Connections to one Redis, shared by all threads, and the circuit breaker in front of them.
 *
 *             a command failed or came late
 *    CLOSED ───────────────────────────────────► OPEN     every pool_take() fails at once
 *       ▲                                         │
 *       └──── pool_probe(): connected, PONG ◄─────┘       at most every `backoff_ms`
 *
 * One failure is enough to open it: what a reader loses is a trip to PostgreSQL, what it saves is
 * another wait of CACHE_TIMEOUT_MS. Only pool_probe(), on a thread that serves nobody, tries again;
 * it is also what looks the host up. Opening the breaker ends every connection that existed then
 * (`generation`), since those that are idle would fail one by one.
 *
 * An error reply does not open the breaker: it came in time. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "connection.h"

/* One for each caller that waits at the same moment; more callers than that do without Redis. */
enum { POOL_MAX = 16 };

/* The pause after a failure: doubled up to the maximum while failures follow each other, that is
 * until the breaker has been closed for POOL_CALM_MS. */
enum { BACKOFF_MIN_MS = 100, BACKOFF_MAX_MS = 2000, POOL_CALM_MS = 5000 };

struct pool {
	struct address address;
	owed_fn *owed; /* told every reply that nobody waited for */
	void *owed_arg;

	pthread_mutex_t lock; /* everything below; never held across I/O */
	struct connection *idle[POOL_MAX];
	unsigned n_idle, n_open;
	uint64_t generation;
	_Atomic uint64_t breaks; /* connections that ended by themselves: what answers next may be another Redis */
	struct endpoint endpoint; /* that answered last */
	bool open;                /* the breaker */
	int64_t closed_at_ms, retry_at_ms;
	unsigned backoff_ms;
	int last_errno; /* of the failure that opened the breaker; 0: none */
	char last_error[256];
};

/* Takes the address over. The breaker starts open: pool_probe() closes it. */
void pool_init(struct pool *pool, struct address *address, owed_fn *owed, void *arg);

/* Waits shortly for the replies still owed, so that the last commands have arrived, and closes all.
 * Every connection must have been put back. */
void pool_done(struct pool *pool);

/* A connection for one command, or NULL: breaker open, too many callers, or a failure now. */
struct connection *pool_take(struct pool *pool, int64_t deadline_us);

/* Give it back; `r` is the outcome of what was done on it. Negative closes the connection, and
 * opens the breaker unless the fault lies with one value (-EMSGSIZE) or with this process
 * (-ENOMEM). */
void pool_put(struct pool *pool, struct connection *connection, int r);

/* Remember an error reply, for status. */
void pool_note(struct pool *pool, const char *text);

/* 0 if Redis answers now. While the breaker is open, and its pause is not over, the last failure.
 */
int pool_probe(struct pool *pool, struct error *e) _must_check_;
