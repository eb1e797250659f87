/* Waiting for the server, and reading what it says. libpq's own waiting has no end when a server is
 * stopped or a network is cut, so every wait here has a deadline. Deadlines are microseconds of the
 * monotonic clock. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <libpq-fe.h>

#include "rowfs/base/error.h"

/* Wait for poll events on the connection's socket; 0, -ETIMEDOUT, or -ECONNRESET if it has none. */
int answer_poll(PGconn *pg, short events, int64_t deadline_us) _must_check_;

/* How soon it is noticed that nobody waits for an answer any more, and how long a server then has to hear of it, and to
 * say that it has ended. */
enum { ANSWER_LOOK_US = 50000, ANSWER_LEAVE_MS = 700 };

/* From now on what the calling thread waits for ends soon after this has become true: a connection that is made at
 * once, an answer in ANSWER_LEAVE_MS. NULL: never. */
void answer_leave_when(const atomic_bool *flag);

/* answer_poll(), and -EINTR when the thread is to leave. */
int answer_wait(PGconn *pg, short events, int64_t deadline_us) _must_check_;

/* Who takes the rows of an answer as they come (PQsetSingleRowMode); each result has one. A `take` that does not
 * return 0 has had enough: that is `stopped`, and the server is asked to give up. */
struct sink {
	int (*take)(struct sink *sink, const PGresult *row);
	unsigned taken; /* rows */
	size_t largest; /* of these, in bytes */
	int stopped;
	bool unheard; /* the server did not hear that */
};

/* Read everything the server sends up to the end of the command. Returns 0 and the result: the
 * error if there is one, also when it follows a success (deferred constraints are checked at the
 * commit, after the rows are reported); else the last result. -ETIMEDOUT or -ECONNRESET: the answer
 * never came, the connection is to be closed. When `abandoned` (may be NULL) becomes true, the server is
 * asked to give up; its answer, an error most likely, is still awaited, for ANSWER_LEAVE_MS. -EINTR: it did not come, or
 * the server did not hear; the connection is to be closed then, too. `sink` may be NULL. */
int answer_read(PGconn *pg, int64_t deadline_us, const atomic_bool *abandoned, struct sink *sink,
                PGresult **ret) _must_check_;

/* Is it a success? */
bool answer_ok(const PGresult *result);

/* Fill `e` with what the server said. Returns -errno. */
int answer_error(const PGresult *result, struct error *e);

/* libpq's message as one line. */
void answer_one_line(const char *message, char *ret, size_t size);

void answer_clear(PGresult **result);

#define _cleanup_result_ _cleanup_(answer_clear)
