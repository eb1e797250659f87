#include "cluster.h"

#include <check.h>
#include <libpq-fe.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rowfs/base/buf.h"

static char directory[64];
static pid_t suite;

/* Check's own assertions, which name the reason, work inside tests only: each is a process of its own. */
static void require(bool holds, const char *what, const char *why)
{
	if (holds)
		return;
	if (getpid() != suite)
		ck_abort_msg("%s: %s", what, why);
	fprintf(stderr, "%s\n%s\n", what, why);
	abort();
}

static int call(const char *function, const char *argument)
{
	char command[512];

	snprintf(command, sizeof(command), "bash -c '. \"%s\"; %s \"%s\" %s' >&2", SERVERS_BASH,
	         function, directory, argument);
	return system(command);
}

int cluster_begin(void)
{
	const char *parent = getenv("TMPDIR");

	if (system("bash -c '. \"" SERVERS_BASH "\"; [[ -x $(postgres_bin)/postgres ]]'") != 0) {
		puts("1..0 # SKIP no PostgreSQL server here");
		return 77;
	}
	suite = getpid();
	snprintf(directory, sizeof(directory), "%s/rowfs.XXXXXX", parent ? parent : P_tmpdir);
	if (!mkdtemp(directory) || call("cluster_create", "") != 0 ||
	    call("cluster_start", "") != 0)
		abort();
	return 0;
}

void cluster_end(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", directory);
	if (call("cluster_remove", "") != 0 || system(command) != 0)
		abort();
}

void cluster_call(const char *function, const char *argument)
{
	require(call(function, argument) == 0, function, argument);
}

void cluster_file(const char *database, const char *path)
{
	char command[512];

	cluster_sql("postgres", "CREATE DATABASE %s", database);
	snprintf(command, sizeof(command),
	         "psql -X -q -h '%s' -U postgres -d %s -v ON_ERROR_STOP=1 -f '%s' >&2", directory,
	         database, path);
	if (system(command) != 0) {
		cluster_end();
		abort();
	}
}

const char *cluster_source(const char *user, const char *database)
{
	static char source[256];

	snprintf(source, sizeof(source), "host=%s user=%s dbname=%s", directory, user, database);
	return source;
}

const char *cluster_sql(const char *database, const char *format, ...)
{
	static char value[8192];
	PGconn *pg = PQconnectdb(cluster_source("postgres", database));
	char *sql;
	va_list arguments;

	va_start(arguments, format);
	require(vasprintf(&sql, format, arguments) >= 0, format, "out of memory");
	va_end(arguments);

	PGresult *result = PQexec(pg, sql);
	ExecStatusType status = PQresultStatus(result);

	require(status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK, sql, PQerrorMessage(pg));
	snprintf(value, sizeof(value), "%s", PQntuples(result) ? PQgetvalue(result, 0, 0) : "");
	PQclear(result);
	PQfinish(pg);
	free(sql);
	return value;
}

static PGconn *holder;

void cluster_hold(const char *database, const char *sql)
{
	PGresult *result;

	holder = PQconnectdb(cluster_source("postgres", database));
	result = PQexec(holder, sql);
	require(PQresultStatus(result) == PGRES_COMMAND_OK, sql, PQerrorMessage(holder));
	PQclear(result);
}

void cluster_release(void)
{
	PQfinish(holder);
}

struct store *cluster_store(const char *user, const char *database, struct settings *settings)
{
	static struct settings defaults;
	struct error e = {0};
	struct store *store;

	if (!settings)
		settings = &defaults;
	free(settings->source);
	settings->source = strdup(cluster_source(user, database));
	require(store_open(settings, &store, &e) == 0, settings->source, e.message);
	return store;
}

static int print_line(void *arg, const struct cell *cells, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			buf_addc(arg, '|');
		buf_adds(arg, cells[i].data ? cells[i].data : "\\N");
	}
	buf_addc(arg, '\n');
	return 0;
}

int cluster_run(struct store *store, enum store_set set, const struct statement *statement,
                struct buf *out, struct error *e)
{
	buf_reset(out);
	buf_adds(out, "");
	return store_run(store, set, statement, print_line, out, e);
}
