/* libpq's blocking call would be shorter, but it hides the SQLSTATE of a refused connection, and
 * its messages are in the server's language: a wrong password could not be told from a missing
 * database. Verbose messages begin with the SQLSTATE, and only a connection that is made in steps
 * can be asked for them in time. The price is that libpq then leaves the time limit to us, and with
 * it the step to the next of several hosts. */
#include "source.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rowfs/base/buf.h"
#include "rowfs/base/clock.h"
#include "rowfs/base/counters.h"
#include "rowfs/engine/store.h"
#include "rowfs/model/sqlstate.h"
#include "answer.h"

/* What libpq says about a bad string may repeat a part of it, and with it of the password; except
 * where it names an option. */
static bool names_an_option(const char *message)
{
	return strncmp(message, "invalid connection option", 25) == 0 ||
	       strncmp(message, "invalid URI query parameter", 27) == 0;
}

int source_check(const struct source *source, struct error *e)
{
	char *message = NULL;
	int r = 0;

	if (!strchr(source->conninfo, '=') && !strstr(source->conninfo, "://"))
		return 0; /* a database name */

	PQconninfoOption *options = PQconninfoParse(source->conninfo, &message);

	if (!options && message && names_an_option(message))
		r = error_set(e, EINVAL, "%.*s", (int)strcspn(message, "\n"), message);
	else if (!options)
		r = error_set(e, EINVAL,
		              "the source is no PostgreSQL connection string: give a URI like "
		              "postgresql://user@host/database or words like \"host=… dbname=…\"");
	PQconninfoFree(options);
	PQfreemem(message);
	return r;
}

/* One host of a list. NULL: whatever the connection string says. */
struct endpoint {
	char *host, *hostaddr, *port;
};

static void endpoint_done(struct endpoint *endpoint)
{
	free(endpoint->host);
	free(endpoint->hostaddr);
	free(endpoint->port);
}

static PGconn *start(const struct source *source, const struct endpoint *endpoint)
{
	/* The last one wins, so what stands before dbname is a default. An idle connection finds
	 * out about a dead peer in a minute, a waiting one in ten seconds. */
	const char *const keywords[] = {"keepalives_idle",
	                                "keepalives_interval",
	                                "keepalives_count",
	                                "tcp_user_timeout",
	                                "fallback_application_name",
	                                "dbname",
	                                "application_name",
	                                "replication",
	                                "host",
	                                "hostaddr",
	                                "port",
	                                NULL};
	const char *const values[] = {"30",
	                              "10",
	                              "3",
	                              "10000",
	                              "rowfs",
	                              source->conninfo,
	                              source->sync ? "rowfs sync" : NULL,
	                              source->replication ? "database" : NULL,
	                              endpoint->host,
	                              endpoint->hostaddr,
	                              endpoint->port,
	                              NULL};
	PGconn *pg = PQconnectStartParams(keywords, values, 1);

	if (pg)
		PQsetErrorVerbosity(pg, PQERRORS_VERBOSE);
	return pg;
}

/* Go on until the connection stands or has failed; false: out of time. */
static bool proceed(PGconn *pg, int64_t deadline_us)
{
	PostgresPollingStatusType next = PGRES_POLLING_WRITING;

	while (PQstatus(pg) != CONNECTION_BAD && next != PGRES_POLLING_OK &&
	       next != PGRES_POLLING_FAILED) {
		int r = answer_wait(pg, next == PGRES_POLLING_READING ? POLLIN : POLLOUT,
		                    deadline_us);

		if (r < 0)
			return false;
		next = PQconnectPoll(pg);
	}
	return true;
}

/* "…FATAL:  28P01: password authentication failed…": where the code begins, or NULL. The word
 * before it depends on the language. */
static const char *find_sqlstate(const char *message)
{
	for (const char *p = strstr(message, ":  "); p; p = strstr(p + 1, ":  ")) {
		size_t len = strspn(p + 3, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ");

		if (len == 5 && strncmp(p + 3 + len, ": ", 2) == 0)
			return p + 3;
	}
	return NULL;
}

static int refused(const char *code, struct error *e)
{
	char sqlstate[6] = "";
	int r;

	memcpy(sqlstate, code, 5);
	r = error_set(e, sqlstate_errno(sqlstate), "PostgreSQL refused the connection: %.*s",
	              (int)strcspn(code + 7, "\n"), code + 7);
	if (e)
		memcpy(e->sqlstate, sqlstate, sizeof(sqlstate));
	return r;
}

static int connect_error(PGconn *pg, struct error *e)
{
	const char *code = find_sqlstate(PQerrorMessage(pg));
	char line[512];

	if (code)
		return refused(code, e);
	answer_one_line(PQerrorMessage(pg), line, sizeof(line));
	if (PQconnectionNeedsPassword(pg))
		return error_set(e, EACCES, "PostgreSQL wants a password: %s", line);
	return error_set(e, EIO, "cannot reach PostgreSQL: %s", line);
}

/* A copy of an option's value, wherever it came from (string, service file, environment), or NULL.
 */
static char *option_value(PGconn *pg, const char *keyword)
{
	PQconninfoOption *options = PQconninfo(pg);
	char *value = NULL;

	for (PQconninfoOption *option = options; option && option->keyword; option++)
		if (strcmp(option->keyword, keyword) == 0 && option->val && *option->val)
			value = strdup(option->val);
	PQconninfoFree(options);
	return value;
}

/* libpq's unit is seconds, and 0 means no limit. */
static int64_t timeout_ms(PGconn *pg)
{
	_cleanup_free_ char *value = option_value(pg, "connect_timeout");
	long seconds = value ? strtol(value, NULL, 10) : -1;

	if (seconds < 0 || seconds > INT32_MAX / 1000)
		return STORE_CONNECT_TIMEOUT_MS;
	return seconds == 0 ? INT32_MAX : seconds * 1000;
}

/* Takes `pg` over. */
static int finish(PGconn *pg, PGconn **ret, struct error *e)
{
	int64_t limit_ms = timeout_ms(pg);
	int r = 0;

	if (!proceed(pg, clock_monotonic_us() + limit_ms * 1000))
		r = error_set(e, EIO, "cannot reach PostgreSQL: no answer within %lld ms",
		              (long long)limit_ms);
	else if (PQstatus(pg) != CONNECTION_OK)
		r = connect_error(pg, e);
	if (r < 0) {
		PQfinish(pg);
		return r;
	}
	count(store_connects);
	*ret = pg;
	return 0;
}

/* Element `i` of a comma-separated list, as a copy; a list of one holds for every host. */
static char *element(const char *list, unsigned i)
{
	if (!list)
		return NULL;
	for (const char *comma = strchr(list, ','); comma && i > 0; i--) {
		list = comma + 1;
		comma = strchr(list, ',');
	}
	return strndup(list, strcspn(list, ","));
}

static unsigned count_elements(const char *list)
{
	unsigned n = 1;

	for (const char *p = list; p && *p; p++)
		n += *p == ',';
	return n;
}

/* One after the other; the first that stands, or a refusal of the password, ends it. */
static int connect_list(const struct source *source, const struct endpoint *list, unsigned n,
                        PGconn **ret, struct error *e)
{
	int r = -EIO;

	for (unsigned i = 0; i < n; i++) {
		_cleanup_(endpoint_done) struct endpoint one = {
		        .host = element(list->host, i),
		        .hostaddr = element(list->hostaddr, i),
		        .port = element(list->port, i),
		};
		PGconn *pg = start(source, &one);

		if (!pg)
			return error_set(e, ENOMEM, "out of memory");
		r = finish(pg, ret, e);
		if (r == 0 || r == -EACCES)
			break;
	}
	return r;
}

int source_connect(const struct source *source, PGconn **ret, struct error *e)
{
	PGconn *pg = start(source, &(struct endpoint){0});

	if (!pg)
		return error_set(e, ENOMEM, "out of memory");

	_cleanup_(endpoint_done) struct endpoint list = {
	        .host = option_value(pg, "host"),
	        .hostaddr = option_value(pg, "hostaddr"),
	        .port = option_value(pg, "port"),
	};
	unsigned hosts = count_elements(list.host), addresses = count_elements(list.hostaddr);

	if (hosts == 1 && addresses == 1)
		return finish(pg, ret, e);
	PQfinish(pg);
	return connect_list(source, &list, hosts > addresses ? hosts : addresses, ret, e);
}

char *source_label(PGconn *pg)
{
	_cleanup_buf_ struct buf label = {0};
	const char *host = PQhost(pg);

	/* A socket's directory says no more than "here". */
	buf_adds(&label, host && *host && *host != '/' && *host != '@' ? host : "localhost");
	buf_addc(&label, '/');
	buf_adds(&label, PQdb(pg));
	return buf_steal(&label);
}
