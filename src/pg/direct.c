#include "direct.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "rowfs/base/clock.h"
#include "session.h"

#define SET_ALL(settings)                                                                          \
	"SELECT pg_catalog.set_config(p.name, p.value, false) FROM (VALUES " settings              \
	") AS p(name, value)"

/* A vanished client: two seconds of silence, three probes; or five seconds of data that nobody
 * acknowledges. On a Unix socket these settings mean nothing, and nothing vanishes there. */
#define NOTICE                                                                                     \
	"('tcp_keepalives_idle', '2'), ('tcp_keepalives_interval', '1'),"                          \
	" ('tcp_keepalives_count', '3'), ('tcp_user_timeout', '5000')"

/* What the worker writes (a publication, a message that flushes the log, deletions there) need not
 * be safe on a standby, and must not wait for one. Nor for a table that somebody holds: it is tried
 * again later, since meanwhile there are heartbeats to send. */
static const char sql_pins[] =
        SET_ALL(NOTICE ","
                       " ('synchronous_commit', 'local'),"
                       " ('lock_timeout', '100'),"
                       " ('default_transaction_isolation', 'read committed'),"
                       " ('default_transaction_read_only', 'off'),"
                       " ('search_path', 'pg_catalog, pg_temp')");

/* A paused worker keeps what it holds for a minute: the lock, so that another can take over; the
 * log, so that it does not grow for ever; the slot, with the server's log files. */
static const char sql_pins_14[] = SET_ALL("('idle_session_timeout', '60000'),"
                                          " ('client_connection_check_interval', '1000')");
static const char stream_pins[] = SET_ALL(NOTICE ","
                                                 " ('statement_timeout', '0'),"
                                                 " ('lock_timeout', '0'),"
                                                 " ('wal_sender_timeout', '60000')");

static const char identify[] =
        "SELECT pg_catalog.concat((SELECT c.system_identifier FROM pg_catalog.pg_control_system()"
        " AS c), '.', (SELECT d.oid FROM pg_catalog.pg_database AS d"
        " WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database())),"
        " pg_catalog.concat(pg_catalog.pg_postmaster_start_time(), ' ',"
        " (SELECT c.timeline_id FROM pg_catalog.pg_control_checkpoint() AS c)),"
        " pg_catalog.pg_is_in_recovery()";

int direct_lost(PGconn *pg, struct error *e)
{
	char line[512];

	answer_one_line(PQerrorMessage(pg), line, sizeof(line));
	return error_set(e, EIO, "the sync worker's connection to PostgreSQL was lost: %s", line);
}

static int64_t deadline(void)
{
	return clock_monotonic_us() +
	       (int64_t)(STORE_STATEMENT_TIMEOUT_MS + STORE_ANSWER_GRACE_MS) * 1000;
}

static int finish(PGconn *pg, PGresult **ret, struct error *e)
{
	_cleanup_result_ PGresult *result = NULL;
	int r = answer_read(pg, deadline(), NULL, NULL, &result);

	if (r == -ETIMEDOUT || r == -EINTR)
		return error_set(e, EIO, "PostgreSQL did not answer the sync worker in time");
	if (r < 0)
		return direct_lost(pg, e);
	if (!answer_ok(result))
		return answer_error(result, e);
	if (ret) {
		*ret = result;
		result = NULL;
	}
	return 0;
}

int direct_query(PGconn *pg, const char *sql, size_t n, const char *const *values, PGresult **ret,
                 struct error *e)
{
	int sent = n == 0 ? PQsendQuery(pg, sql)
	                  : PQsendQueryParams(pg, sql, (int)n, NULL, values, NULL, NULL, 0);

	return sent ? finish(pg, ret, e) : direct_lost(pg, e);
}

int direct_parameters(PGconn *pg, const char *sql, int *ret, struct error *e)
{
	_cleanup_result_ PGresult *described = NULL;
	int r = PQsendPrepare(pg, "", sql, 0, NULL) ? finish(pg, NULL, e) : direct_lost(pg, e);

	if (r == 0)
		r = PQsendDescribePrepared(pg, "") ? finish(pg, &described, e) : direct_lost(pg, e);
	if (r == 0)
		*ret = PQnparams(described);
	return r;
}

int direct_send(PGconn *pg, const char *sql, struct error *e)
{
	return PQsendQuery(pg, sql) ? 0 : direct_lost(pg, e);
}

int direct_poll(PGconn *pg, PGresult **ret, struct error *e)
{
	if (PQflush(pg) < 0 || !PQconsumeInput(pg))
		return direct_lost(pg, e);
	return PQisBusy(pg) ? -EAGAIN : finish(pg, ret, e);
}

static int pin(PGconn *pg, enum direct_use use, struct error *e)
{
	char timeout[64];
	int r;

	/* First, since the role's own may be short. */
	snprintf(timeout, sizeof(timeout), "SET statement_timeout TO %d",
	         STORE_STATEMENT_TIMEOUT_MS);
	r = direct_query(pg, timeout, 0, NULL, NULL, e);
	if (r == 0)
		r = direct_query(pg, session_pins_sql, 0, NULL, NULL, e);
	if (r < 0 || use == DIRECT_STREAM)
		return r < 0 ? r : direct_query(pg, stream_pins, 0, NULL, NULL, e);
	r = direct_query(pg, sql_pins, 0, NULL, NULL, e);
	if (r == 0 && PQserverVersion(pg) >= 140000)
		r = direct_query(pg, sql_pins_14, 0, NULL, NULL, e);
	return r;
}

/* `direct=` may lead elsewhere, and a list of hosts to a different one each time. */
static int check(PGconn *pg, const struct store *store, char server[DIRECT_SERVER_SIZE],
                 struct error *e)
{
	_cleanup_result_ PGresult *result = NULL;
	int r = direct_query(pg, identify, 0, NULL, &result, e);

	if (r < 0)
		return r;
	if (strcmp(PQgetvalue(result, 0, 0), store_identity(store)) != 0)
		return error_set(e, EIO,
		                 "the sync worker's connection leads to another database (%s) than "
		                 "the one that is mounted (%s): see direct=",
		                 PQgetvalue(result, 0, 0), store_identity(store));
	if (*PQgetvalue(result, 0, 2) == 't')
		return error_set(e, EOPNOTSUPP,
		                 "the sync worker needs the primary, but is connected to a server "
		                 "in recovery: see direct=");
	if (!*server)
		error_copy_text(server, DIRECT_SERVER_SIZE, PQgetvalue(result, 0, 1));
	else if (strcmp(server, PQgetvalue(result, 0, 1)) != 0)
		return error_set(
		        e, EIO,
		        "the sync worker's connections lead to different servers, or it restarted");
	return 0;
}

static void ignore_notice(void *arg, const PGresult *result)
{
}

int direct_open(const struct store *store, enum direct_use use, char server[DIRECT_SERVER_SIZE],
                PGconn **ret, struct error *e)
{
	const char *direct = store->settings->direct;
	const struct source source = {
	        .conninfo = direct ? direct : store->settings->source,
	        .sync = true,
	        .replication = use == DIRECT_STREAM,
	};
	PGconn *pg;
	int r = source_check(&source, e);

	if (r == 0)
		r = source_connect(&source, &pg, e);
	if (r < 0)
		return r;
	PQsetNoticeReceiver(pg, ignore_notice, NULL);
	r = PQsetnonblocking(pg, 1) < 0 ? error_set(e, ENOMEM, "out of memory") : pin(pg, use, e);
	if (r == 0)
		r = check(pg, store, server, e);
	if (r < 0) {
		PQfinish(pg);
		return r;
	}
	*ret = pg;
	return 0;
}

void direct_end(PGconn *by, PGconn **pg)
{
	char pid[16];
	const char *const values[] = {pid};
	struct error ignored;

	if (!*pg)
		return;
	snprintf(pid, sizeof(pid), "%d", PQbackendPID(*pg));
	if (by && PQtransactionStatus(*pg) == PQTRANS_ACTIVE &&
	    PQtransactionStatus(by) == PQTRANS_IDLE)
		(void)!direct_query(by, "SELECT pg_terminate_backend($1::int)", 1, values, NULL,
		                    &ignored);
	PQfinish(*pg);
	*pg = NULL;
}

static void add_escaped(char *escaped, struct buf *out)
{
	if (escaped)
		buf_adds(out, escaped);
	else
		out->failed = true;
	PQfreemem(escaped);
}

void direct_add_name(PGconn *pg, const char *name, struct buf *out)
{
	add_escaped(PQescapeIdentifier(pg, name, strlen(name)), out);
}

void direct_add_literal(PGconn *pg, const char *string, struct buf *out)
{
	add_escaped(PQescapeLiteral(pg, string, strlen(string)), out);
}
