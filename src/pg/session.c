#include "session.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "rowfs/base/buf.h"
#include "rowfs/base/clock.h"
#include "rowfs/model/sqlstate.h"

enum { SERVER_OLDEST = 130000 }; /* pg_current_xact_id() */

/* The search_path stays the role's, for its triggers' sake. */
const char session_pins_sql[] =
        "SELECT pg_catalog.set_config(p.name, p.value, false) FROM (VALUES"
        " ('client_encoding', 'UTF8'),"
        " ('client_min_messages', 'warning'),"
        " ('standard_conforming_strings', 'on'),"
        " ('transform_null_equals', 'off'),"
        " ('array_nulls', 'on'),"
        " ('DateStyle', 'ISO'),"
        " ('IntervalStyle', 'iso_8601'),"
        " ('TimeZone', 'UTC'),"
        " ('bytea_output', 'hex'),"
        " ('extra_float_digits', '1'),"
        " ('lc_monetary', 'C'),"
        " ('xmloption', 'content'),"
        /* Listings of tables without a key rely on the heap being read from its start to its end.
         */
        " ('synchronize_seqscans', 'off'),"
        " ('max_parallel_workers_per_gather', '0'),"
        /* It compiles for a second what then runs for a millisecond, every time. */
        " ('jit', 'off')) AS p(name, value)";

/* pg_stat_activity hides backend_start from a role that SET ROLE has replaced. */
static const char identify[] =
        "SELECT pg_catalog.concat((SELECT c.system_identifier FROM pg_catalog.pg_control_system()"
        " AS c), '.', (SELECT d.oid FROM pg_catalog.pg_database AS d"
        " WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database())),"
        " (SELECT a.backend_start FROM pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid())"
        " AS a), pg_catalog.pg_is_in_recovery()";

static enum outcome lost(struct session *session, int r, struct error *e)
{
	char line[512];

	if (r == -ETIMEDOUT) {
		error_set(e, EIO, "PostgreSQL did not answer in time");
		return RUN_TIMED_OUT;
	}
	if (r == -EINTR) {
		error_set(e, EINTR, "nobody waits for PostgreSQL's answer any more");
		return RUN_FAILED;
	}
	answer_one_line(PQerrorMessage(session->pg), line, sizeof(line));
	error_set(e, EIO, "the connection to PostgreSQL was lost: %s", line);
	return RUN_LOST;
}

static enum outcome refused(struct session *session, const PGresult *result, struct error *e)
{
	answer_error(result, e);
	/* A server process that ends says why first. Only the connection tells: an 08xxx may well
	 * be about a connection of the server's own, to a foreign server. */
	if (PQstatus(session->pg) != CONNECTION_OK)
		return RUN_LOST;
	if (sqlstate_retry(e->sqlstate))
		return RUN_CONFLICT;
	if (sqlstate_reprepare(e->sqlstate, PQresultErrorField(result, PG_DIAG_SOURCE_FUNCTION)))
		return RUN_STALE;
	return RUN_FAILED;
}

/* After a PQsend function said `sent`: wait for the outcome. */
static enum outcome await(struct session *session, int sent, int64_t deadline_us, PGresult **ret,
                          struct error *e)
{
	_cleanup_result_ PGresult *result = NULL;
	int r;

	if (!sent) {
		lost(session, 0, e);
		return PQstatus(session->pg) == CONNECTION_OK ? RUN_FAILED : RUN_UNSENT;
	}
	r = answer_read(session->pg, deadline_us, session->abandoned, session->sink, &result);
	if (session->sink && session->sink->stopped)
		return RUN_DONE;
	if (r < 0)
		return lost(session, r, e);
	if (!answer_ok(result))
		return refused(session, result, e);
	*ret = result;
	result = NULL;
	return RUN_DONE;
}

static int64_t deadline_in(int64_t ms)
{
	return clock_monotonic_us() + ms * 1000;
}

static void ignore_notice(void *arg, const PGresult *result)
{
}

static void print_setup(const struct source *source, enum store_set set, struct buf *out)
{
	/* First, since the role's own may be short. */
	buf_addf(out, "SET statement_timeout TO %d; SET lock_timeout TO %d;",
	         STORE_STATEMENT_TIMEOUT_MS, STORE_LOCK_TIMEOUT_MS);
	buf_addf(out, "%s;", session_pins_sql);
	if (source->read_only)
		buf_adds(out, "SET default_transaction_read_only TO on;");
	/* Predicates of the configuration run there, which are to change nothing, also while they are prepared. */
	if (set == STORE_PINS)
		buf_adds(out, "SET default_transaction_read_only TO on;");
	/* No user's trigger runs there, and names that are printed become qualified by it; and a name in a predicate
	 * means what it meant when it was checked, whoever makes an object of that name. */
	if (set == STORE_CATALOG || set == STORE_PINS)
		buf_adds(out, "SET search_path TO pg_catalog, pg_temp;");
	buf_adds(out, identify);
}

/* The database that was mounted, or another one in its place? A standby in the primary's place shows what is older
 * than what was read already; one that was mounted as such is no worse than it was. */
static int check_identity(struct source *source, const char *identity, bool standby, struct error *e)
{
	if (!*source->identity) {
		error_copy_text(source->identity, sizeof(source->identity), identity);
		source->standby = standby;
		return 0;
	}
	if (standby && !source->standby)
		return error_set(e, EIO, "a standby answers where the primary was mounted; waiting for the primary");
	if (strcmp(source->identity, identity) == 0)
		return 0;
	return error_set(
	        e, EIO,
	        "another database (%s) answers where %s was mounted: unmount and mount again",
	        identity, source->identity);
}

static int check_server(PGconn *pg, struct error *e)
{
	const char *encoding = PQparameterStatus(pg, "server_encoding");

	if (PQserverVersion(pg) < SERVER_OLDEST)
		return error_set(e, EOPNOTSUPP,
		                 "PostgreSQL %s is too old: rowfs needs version 13 or later",
		                 PQparameterStatus(pg, "server_version"));
	if (encoding && strcmp(encoding, "SQL_ASCII") == 0)
		return error_set(
		        e, EOPNOTSUPP,
		        "database \"%s\" has the encoding SQL_ASCII, which does not say what "
		        "its bytes mean: rowfs needs a database with a real encoding",
		        PQdb(pg));
	return 0;
}

static int set_up(struct session *session, struct source *source, enum store_set set,
                  struct error *e)
{
	_cleanup_buf_ struct buf sql = {0};
	_cleanup_result_ PGresult *result = NULL;
	int r = check_server(session->pg, e);

	if (r < 0)
		return r;
	PQsetNoticeReceiver(session->pg, ignore_notice, NULL);
	print_setup(source, set, &sql);
	if (sql.failed || PQsetnonblocking(session->pg, 1) < 0)
		return error_set(e, ENOMEM, "out of memory");
	if (await(session, PQsendQuery(session->pg, sql.data),
	          deadline_in(STORE_CONNECT_TIMEOUT_MS), &result, e) != RUN_DONE)
		return -e->err;
	session->backend = PQbackendPID(session->pg);
	session->confined = set == STORE_PINS;
	error_copy_text(session->started, sizeof(session->started), PQgetvalue(result, 0, 1));
	return check_identity(source, PQgetvalue(result, 0, 0), *PQgetvalue(result, 0, 2) == 't', e);
}

int session_open(struct source *source, enum store_set set, struct session **ret, struct error *e)
{
	struct session *session = calloc(1, sizeof(*session));
	int r;

	if (!session)
		return error_set(e, ENOMEM, "out of memory");
	r = source_connect(source, &session->pg, e);
	if (r == 0)
		r = set_up(session, source, set, e);
	if (r < 0) {
		session_close(session);
		return r;
	}
	*ret = session;
	return 0;
}

void session_close(struct session *session)
{
	if (!session)
		return;
	PQfinish(session->pg);
	prepared_done(&session->prepared);
	free(session);
}

bool session_alive(struct session *session)
{
	/* A server that ended the connection has said so: its message and the end of the stream
	 * wait on the socket, and take two reads. */
	for (;;) {
		int r = answer_poll(session->pg, POLLIN, 0);

		if (r == -ETIMEDOUT)
			return true;
		if (r < 0 || !PQconsumeInput(session->pg))
			return false;
		if (PQisBusy(session->pg) || PQstatus(session->pg) != CONNECTION_OK)
			return false;
	}
}

bool session_idle(const struct session *session)
{
	return PQstatus(session->pg) == CONNECTION_OK &&
	       PQtransactionStatus(session->pg) == PQTRANS_IDLE;
}

/* What went wrong before the statement was executed did not happen to it. */
static enum outcome unexecuted(enum outcome outcome)
{
	if (outcome == RUN_LOST)
		return RUN_UNSENT;
	return outcome == RUN_TIMED_OUT ? RUN_FAILED : outcome;
}

static enum outcome prepare(struct session *session, struct plan *plan,
                            const struct statement *statement, int64_t deadline_us, struct error *e)
{
	_cleanup_result_ PGresult *result = NULL;
	int sent = PQsendPrepare(session->pg, plan->name, statement->sql, (int)statement->n,
	                         statement->types);
	enum outcome outcome = await(session, sent, deadline_us, &result, e);

	plan->prepared = outcome == RUN_DONE;
	return unexecuted(outcome);
}

/* Forget a plan that is one too many. */
static enum outcome make_room(struct session *session, int64_t deadline_us, struct error *e)
{
	_cleanup_(plan_free) struct plan *plan = prepared_overflow(&session->prepared);
	_cleanup_buf_ struct buf sql = {0};
	_cleanup_result_ PGresult *result = NULL;

	if (!plan || !plan->prepared)
		return RUN_DONE;
	buf_addf(&sql, "DEALLOCATE %s", plan->name);
	if (sql.failed)
		return RUN_DONE;
	return unexecuted(
	        await(session, PQsendQuery(session->pg, sql.data), deadline_us, &result, e));
}

static enum outcome execute(struct session *session, const struct statement *statement,
                            const struct plan *plan, int64_t deadline_us, PGresult **ret,
                            struct error *e)
{
	_cleanup_free_ const char **values = calloc(statement->n + 1, sizeof(*values));
	int n = (int)statement->n, sent;

	if (!values) {
		error_set(e, ENOMEM, "out of memory");
		return RUN_FAILED;
	}
	for (size_t i = 0; i < statement->n; i++)
		values[i] = statement->values[i].data;
	if (plan)
		sent = PQsendQueryPrepared(session->pg, plan->name, n, values, NULL, NULL, 0);
	else
		sent = PQsendQueryParams(session->pg, statement->sql, n, statement->types, values,
		                         NULL, NULL, 0);
	if (sent && session->sink)
		sent = PQsetSingleRowMode(session->pg);
	return await(session, sent, deadline_us, ret, e);
}

static enum outcome plainly(struct session *session, const char *sql, int64_t deadline_us, struct error *e)
{
	_cleanup_result_ PGresult *result = NULL;

	return await(session, PQsendQuery(session->pg, sql), deadline_us, &result, e);
}

/* In a transaction that is taken back. Whatever becomes of the way back, the server goes it: a session that is not idle
 * after that is closed. */
static enum outcome taken_back(struct session *session, const char *opening, const struct statement *statement,
                               const struct plan *plan, int64_t deadline_us, PGresult **ret, struct error *e)
{
	enum outcome outcome = unexecuted(plainly(session, opening, deadline_us, e));
	struct error ignored;

	if (outcome == RUN_DONE)
		outcome = execute(session, statement, plan, deadline_us, ret, e);
	if (PQstatus(session->pg) == CONNECTION_OK)
		(void)plainly(session, "ROLLBACK", deadline_us, &ignored);
	return outcome;
}

/* A setting that a transaction has found, a function cannot change in it (default_transaction_read_only it can, for the
 * next one); and what it has set for the session goes with the ROLLBACK. */
static const char *opening_of(const struct session *session, const struct statement *statement)
{
	if (statement->rehearsed)
		return "BEGIN; SET CONSTRAINTS ALL IMMEDIATE";
	return session->confined ? "BEGIN READ ONLY" : NULL;
}

static size_t size_of(const struct statement *statement)
{
	size_t size = 0;

	for (size_t i = 0; i < statement->n; i++)
		size += statement->values[i].len;
	return size;
}

/* Nobody accounts for these buffers, and there are as many as connections. */
static bool swells(const struct statement *statement, const struct sink *sink, const PGresult *result)
{
	return size_of(statement) > SESSION_SWOLLEN || (sink && sink->largest > SESSION_SWOLLEN) ||
	       (result && PQresultMemorySize(result) > SESSION_SWOLLEN);
}

enum outcome session_run(struct session *session, const struct statement *statement, struct sink *sink,
                         PGresult **ret, struct error *e)
{
	int64_t deadline_us = deadline_in(STORE_STATEMENT_TIMEOUT_MS + STORE_ANSWER_GRACE_MS);
	struct plan *plan = prepared_find(&session->prepared, statement->sql);
	const char *opening = opening_of(session, statement);
	enum outcome outcome = RUN_DONE;

	if (!plan) {
		prepared_add(&session->prepared, statement->sql);
		outcome = make_room(session, deadline_us, e);
	} else if (!plan->prepared) {
		outcome = prepare(session, plan, statement, deadline_us, e);
	}
	if (outcome != RUN_DONE)
		return outcome;
	session->abandoned = statement->abandoned;
	session->sink = sink;
	if (opening)
		outcome = taken_back(session, opening, statement, plan, deadline_us, ret, e);
	else
		outcome = execute(session, statement, plan, deadline_us, ret, e);
	session->swollen |= swells(statement, sink, outcome == RUN_DONE ? *ret : NULL);
	session->abandoned = NULL;
	session->sink = NULL;
	return outcome;
}

enum outcome session_say(struct session *session, const char *sql, struct error *e)
{
	return plainly(session, sql, deadline_in(STORE_STATEMENT_TIMEOUT_MS + STORE_ANSWER_GRACE_MS), e);
}
