/* store_run(): one statement, over as many sessions and attempts as it may take. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rowfs/base/clock.h"
#include "rowfs/base/counters.h"
#include "rowfs/base/timings.h"
#include "store.h"

/* How often a statement is tried again after each outcome. A stale plan can be stale twice when DDL
 * goes on. A new connection that fails as well is a server that is gone. */
static const unsigned repeats[] = {
        [RUN_CONFLICT] = 2, [RUN_STALE] = 2,     [RUN_UNSENT] = 1,
        [RUN_LOST] = 1,     [RUN_TIMED_OUT] = 0, [RUN_FAILED] = 0,
};

/* Who is handed the lines. */
struct taker {
	struct sink sink;
	store_line_fn *line;
	void *arg;
	struct cell *cells; /* room for a line, and how much */
	size_t room;
};

/* Only what the server cannot have executed is repeated, or what may be executed twice. */
static bool may_repeat(const struct statement *statement, const struct taker *taker, enum outcome outcome,
                       unsigned *tried)
{
	if ((outcome == RUN_LOST && statement->writes) || taker->sink.taken)
		return false;
	return tried[outcome]++ < repeats[outcome];
}

/* A write whose answer never came. */
static bool unknown(const struct statement *statement, enum outcome outcome)
{
	return statement->writes && (outcome == RUN_LOST || outcome == RUN_TIMED_OUT);
}

static enum outcome attempt(struct store *store, enum store_set set, bool fresh,
                            const struct statement *statement, struct taker *taker, PGresult **ret,
                            struct error *e)
{
	struct session *session;
	enum outcome outcome;

	if (sessions_take(&store->sessions, set, fresh, &session, e) < 0)
		return RUN_FAILED;
	outcome = session_run(session, statement, statement->streamed ? &taker->sink : NULL, ret, e);
	if (unknown(statement, outcome)) {
		e->outcome_unknown = true;
		e->backend = session->backend;
		error_copy_text(e->backend_start, sizeof(e->backend_start), session->started);
	}
	if (outcome == RUN_TIMED_OUT)
		sessions_distrust(&store->sessions);
	/* What else it has prepared is likely stale as well. */
	if (outcome == RUN_STALE)
		sessions_drop(&store->sessions, set, session);
	else
		sessions_put(&store->sessions, set, session);
	return outcome;
}

/* Two that failed because of each other should not meet again. */
static void step_aside(unsigned tried)
{
	struct timespec pause = {.tv_nsec = tried * (10 + clock_monotonic_us() % 30) * 1000000};

	nanosleep(&pause, NULL);
}

static int run(struct store *store, enum store_set set, const struct statement *statement,
               struct taker *taker, PGresult **ret, struct error *e)
{
	unsigned tried[sizeof(repeats) / sizeof(*repeats)] = {0};
	enum outcome outcome;
	bool fresh = false;

	for (;;) {
		outcome = attempt(store, set, fresh, statement, taker, ret, e);
		if (outcome == RUN_DONE)
			return 0;
		if (!may_repeat(statement, taker, outcome, tried))
			break;
		if (outcome == RUN_CONFLICT)
			step_aside(tried[outcome]);
		else
			fresh = true;
	}
	count(store_errors);
	return -e->err;
}

static int make_room(struct taker *taker, const PGresult *result)
{
	size_t n = (size_t)PQnfields(result);
	struct cell *cells;

	if (n < taker->room)
		return 0;
	cells = realloc(taker->cells, (n + 1) * sizeof(*cells));
	if (!cells)
		return -ENOMEM;
	taker->cells = cells;
	taker->room = n + 1;
	return 0;
}

static int hand_over(struct taker *taker, const PGresult *result, int row)
{
	size_t n = (size_t)PQnfields(result);

	for (size_t i = 0; i < n; i++) {
		bool null = PQgetisnull(result, row, (int)i);

		taker->cells[i].data = null ? NULL : PQgetvalue(result, row, (int)i);
		taker->cells[i].len = (size_t)PQgetlength(result, row, (int)i);
	}
	return taker->line(taker->arg, taker->cells, n);
}

static int take_row(struct sink *sink, const PGresult *row)
{
	struct taker *taker = container_of(sink, struct taker, sink);
	int r = make_room(taker, row);

	return r < 0 ? r : hand_over(taker, row, 0);
}

static int hand_over_all(struct taker *taker, const PGresult *result)
{
	int r = make_room(taker, result);

	for (int row = 0; r == 0 && row < PQntuples(result); row++)
		r = hand_over(taker, result, row);
	return r;
}

static void taker_done(struct taker *taker)
{
	free(taker->cells);
}

int store_run(struct store *store, enum store_set set, const struct statement *statement,
              store_line_fn *line, void *arg, struct error *e)
{
	_cleanup_(taker_done) struct taker taker = {.sink.take = take_row, .line = line, .arg = arg};
	_cleanup_result_ PGresult *result = NULL;
	struct error failure = {0};
	int64_t began_ns = timing_now_ns();
	int r = run(store, set, statement, &taker, &result, &failure);

	timing_add(statement->writes ? TIMING_STORE_WRITE : TIMING_STORE_READ, began_ns);
	if (r == 0 && taker.sink.stopped)
		r = taker.sink.stopped;
	else if (r == 0 && line && !statement->streamed)
		r = hand_over_all(&taker, result);
	if (r < 0)
		r = error_ensure(&failure, r);
	if (r < 0 && e)
		*e = failure;
	return r;
}
