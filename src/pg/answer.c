#include "answer.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "cancel.h"
#include "rowfs/base/buf.h"
#include "rowfs/base/clock.h"
#include "rowfs/model/sqlstate.h"

static int remaining_ms(int64_t deadline_us)
{
	int64_t us = deadline_us - clock_monotonic_us();

	if (us <= 0)
		return 0;
	return us / 1000 >= INT32_MAX ? INT32_MAX : (int)(us / 1000) + 1;
}

int answer_poll(PGconn *pg, short events, int64_t deadline_us)
{
	struct pollfd fd = {.fd = PQsocket(pg), .events = events};
	int r;

	if (fd.fd < 0)
		return -ECONNRESET;
	do
		r = poll(&fd, 1, remaining_ms(deadline_us));
	while (r < 0 && errno == EINTR);
	return r == 0 ? -ETIMEDOUT : 0;
}

static _Thread_local const atomic_bool *leaving;

void answer_leave_when(const atomic_bool *flag)
{
	leaving = flag;
}

static bool is_leaving(void)
{
	return leaving && atomic_load(leaving);
}

static int64_t earlier(int64_t a_us, int64_t b_us)
{
	return a_us < b_us ? a_us : b_us;
}

int answer_wait(PGconn *pg, short events, int64_t deadline_us)
{
	for (;;) {
		int64_t now_us = clock_monotonic_us();
		int r = answer_poll(pg, events, leaving ? earlier(deadline_us, now_us + ANSWER_LOOK_US) : deadline_us);

		if (r != -ETIMEDOUT || clock_monotonic_us() >= deadline_us)
			return r;
		if (is_leaving())
			return -EINTR;
	}
}

/* An answer that is waited for. */
struct waiting {
	int64_t deadline_us;
	const atomic_bool *abandoned;
	bool given_up; /* nobody wants it any more, so the deadline is a near one */
};

static void give_up(struct waiting *waiting)
{
	waiting->given_up = true;
	waiting->deadline_us = earlier(waiting->deadline_us, clock_monotonic_us() + ANSWER_LEAVE_MS * INT64_C(1000));
}

/* A server that does not hear of it may hear later, and end what the connection does then: so it is not used again. */
static int heed_abandoned(PGconn *pg, struct waiting *waiting)
{
	if (waiting->given_up)
		return 0;
	if (waiting->abandoned && atomic_load(waiting->abandoned)) {
		if (!cancel_within(pg, ANSWER_LEAVE_MS))
			return -EINTR;
		give_up(waiting);
	} else if (is_leaving()) {
		give_up(waiting);
	}
	return 0;
}

static int poll_waiting(PGconn *pg, short events, struct waiting *waiting)
{
	bool looks = waiting->abandoned || leaving;

	for (;;) {
		int64_t look_us = clock_monotonic_us() + ANSWER_LOOK_US;
		int r = answer_poll(pg, events, looks ? earlier(waiting->deadline_us, look_us) : waiting->deadline_us);

		if (r != -ETIMEDOUT)
			return r;
		if (clock_monotonic_us() >= waiting->deadline_us)
			return waiting->given_up ? -EINTR : -ETIMEDOUT;
		r = heed_abandoned(pg, waiting);
		if (r < 0)
			return r;
	}
}

/* Until PQgetResult() would not block. */
static int wait_for_result(PGconn *pg, struct waiting *waiting)
{
	for (;;) {
		int unsent = PQflush(pg);

		if (unsent < 0)
			return -ECONNRESET;
		if (unsent == 0 && !PQisBusy(pg))
			return 0;

		int r = poll_waiting(pg, unsent ? POLLIN | POLLOUT : POLLIN, waiting);

		if (r < 0)
			return r;
		if (!PQconsumeInput(pg))
			return -ECONNRESET;
	}
}

/* A row for the sink; after it has had enough, what was on its way already. */
static void hand_over(PGconn *pg, struct sink *sink, PGresult *row)
{
	size_t size = PQresultMemorySize(row);

	if (size > sink->largest)
		sink->largest = size;
	if (!sink->stopped) {
		sink->taken++;
		sink->stopped = sink->take(sink, row);
		/* Else it may yet hear of it, and the connection is not to be used again. */
		if (sink->stopped)
			sink->unheard = !cancel_within(pg, ANSWER_LEAVE_MS);
	}
	PQclear(row);
}

int answer_read(PGconn *pg, int64_t deadline_us, const atomic_bool *abandoned, struct sink *sink,
                PGresult **ret)
{
	_cleanup_result_ PGresult *kept = NULL;
	struct waiting waiting = {.deadline_us = deadline_us, .abandoned = abandoned};

	for (;;) {
		int r = sink && sink->unheard ? -EINTR : wait_for_result(pg, &waiting);

		if (r < 0 && !(kept && !answer_ok(kept)))
			return r;
		if (r < 0)
			break; /* the server's last words matter more than the broken connection */

		PGresult *next = PQgetResult(pg);

		if (!next)
			break;
		if (PQresultStatus(next) == PGRES_SINGLE_TUPLE) {
			hand_over(pg, sink, next);
			continue;
		}
		if (kept && !answer_ok(kept)) {
			PQclear(next);
			continue;
		}
		PQclear(kept);
		kept = next;
	}
	if (!kept)
		return -ECONNRESET;
	*ret = kept;
	kept = NULL;
	return 0;
}

bool answer_ok(const PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);

	return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
}

static void copy_field(const PGresult *result, int code, char *to, size_t size)
{
	const char *text = PQresultErrorField(result, code);

	error_copy_text(to, size, text ? text : "");
}

int answer_error(const PGresult *result, struct error *e)
{
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	char line[512];
	int r;

	if (!message) { /* libpq's own words: out of memory, connection gone */
		answer_one_line(PQresultErrorMessage(result), line, sizeof(line));
		return error_set(e, EIO, "PostgreSQL: %s", line);
	}
	r = error_set(e, sqlstate ? sqlstate_errno(sqlstate) : EIO, "%s", message);
	if (!e)
		return r;
	copy_field(result, PG_DIAG_SQLSTATE, e->sqlstate, sizeof(e->sqlstate));
	copy_field(result, PG_DIAG_MESSAGE_DETAIL, e->detail, sizeof(e->detail));
	copy_field(result, PG_DIAG_MESSAGE_HINT, e->hint, sizeof(e->hint));
	copy_field(result, PG_DIAG_COLUMN_NAME, e->field, sizeof(e->field));
	if (strcmp(e->sqlstate, "55P03") == 0 && !e->hint[0])
		error_copy_text(e->hint, sizeof(e->hint),
		                "somebody's open transaction holds the row: try again when it has ended");
	return r;
}

/* libpq puts each host, and its advice, on a line of its own, the advice with a tab in front. */
void answer_one_line(const char *message, char *ret, size_t size)
{
	_cleanup_buf_ struct buf line = {0};
	const char *between = "";

	while (*(message += strspn(message, "\n\t ")) != '\0') {
		size_t len = strcspn(message, "\n");

		buf_adds(&line, between);
		buf_add(&line, message, len);
		between = "; ";
		message += len;
	}
	error_copy_text(ret, size, line.failed || !line.len ? "libpq does not say why" : line.data);
}

void answer_clear(PGresult **result)
{
	PQclear(*result);
}
