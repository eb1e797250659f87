/* store_run(): one statement, over as many sessions and attempts as it may take. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rowfs/base/clock.h"
#include "rowfs/base/counters.h"
#include "store.h"

/* How often a statement is tried again after each outcome. A stale plan can be stale twice when DDL
 * goes on. A new connection that fails as well is a server that is gone. */
static const unsigned repeats[] = {
        [RUN_CONFLICT] = 2, [RUN_STALE] = 2,     [RUN_UNSENT] = 1,
        [RUN_LOST] = 1,     [RUN_TIMED_OUT] = 0, [RUN_FAILED] = 0,
};

/* Only what the server cannot have executed is repeated, or what may be executed twice. */
static bool may_repeat(const struct statement *statement, enum outcome outcome, unsigned *tried)
{
	if (outcome == RUN_LOST && statement->writes)
		return false;
	return tried[outcome]++ < repeats[outcome];
}

/* A write whose answer never came. */
static bool unknown(const struct statement *statement, enum outcome outcome)
{
	return statement->writes && (outcome == RUN_LOST || outcome == RUN_TIMED_OUT);
}

static enum outcome attempt(struct store *store, enum store_set set, bool fresh,
                            const struct statement *statement, PGresult **ret, struct error *e)
{
	struct session *session;
	enum outcome outcome;

	if (sessions_take(&store->sessions, set, fresh, &session, e) < 0)
		return RUN_FAILED;
	outcome = session_run(session, statement, ret, e);
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
               PGresult **ret, struct error *e)
{
	unsigned tried[sizeof(repeats) / sizeof(*repeats)] = {0};
	enum outcome outcome;
	bool fresh = false;

	for (;;) {
		outcome = attempt(store, set, fresh, statement, ret, e);
		if (outcome == RUN_DONE)
			return 0;
		if (!may_repeat(statement, outcome, tried))
			break;
		if (outcome == RUN_CONFLICT)
			step_aside(tried[outcome]);
		else
			fresh = true;
	}
	count(store_errors);
	return -e->err;
}

static int hand_over(const PGresult *result, store_line_fn *line, void *arg, struct error *e)
{
	size_t n = (size_t)PQnfields(result);
	_cleanup_free_ struct cell *cells = calloc(n + 1, sizeof(*cells));
	int r = 0;

	if (!cells)
		return error_set(e, ENOMEM, "out of memory");
	for (int row = 0; r == 0 && row < PQntuples(result); row++) {
		for (size_t i = 0; i < n; i++) {
			bool null = PQgetisnull(result, row, (int)i);

			cells[i].data = null ? NULL : PQgetvalue(result, row, (int)i);
			cells[i].len = (size_t)PQgetlength(result, row, (int)i);
		}
		r = line(arg, cells, n);
	}
	return r;
}

int store_run(struct store *store, enum store_set set, const struct statement *statement,
              store_line_fn *line, void *arg, struct error *e)
{
	_cleanup_result_ PGresult *result = NULL;
	struct error failure = {0};
	int r = run(store, set, statement, &result, &failure);

	if (r == 0 && line)
		r = hand_over(result, line, arg, &failure);
	if (r < 0)
		r = error_ensure(&failure, r);
	if (r < 0 && e)
		*e = failure;
	return r;
}
