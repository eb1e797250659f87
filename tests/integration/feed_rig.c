#include "feed_rig.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../unit/suite.h"
#include "cluster.h"
#include "rowfs/base/clock.h"
#include "rowfs/base/options.h"

struct store *rig_store;
struct settings rig_settings;
struct feed *rig_feed;
struct error rig_error;

static struct buf text;

static void start_cluster(void)
{
	cluster_call("cluster_configure",
	             "\"wal_level = logical\" \"max_prepared_transactions = 5\""
	             " \"logical_decoding_work_mem = 64kB\""
	             " \"autovacuum = off\"");
	cluster_call("cluster_stop", "fast");
	cluster_call("cluster_start", "");
}

int rig_run(Suite *suite)
{
	int r;

	if (cluster_begin() != 0)
		return 0;
	start_cluster();
	r = suite_run(suite);
	cluster_end();
	return r;
}

/* A standby that a test waits for is nothing for the others to wait for. */
static const char *as_local(const char *database, const char *sql)
{
	const char *value;

	setenv("PGOPTIONS", "-c synchronous_commit=local", 1);
	value = cluster_sql(database, "%s", sql);
	unsetenv("PGOPTIONS");
	return value;
}

/* A session that was closed, or whose process has ended, may be at work still; its slot keeps the database. */
static void await_no_slots(void)
{
	int64_t deadline = clock_monotonic_ms() + 20000;

	while (strcmp(as_local("postgres", "SELECT count(*) FROM pg_replication_slots"), "0") != 0) {
		ck_assert_msg(clock_monotonic_ms() < deadline, "a slot of an earlier test is still there");
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
}

void rig_setup(void)
{
	await_no_slots();
	as_local("postgres", "ALTER SYSTEM RESET synchronous_standby_names");
	as_local("postgres", "SELECT pg_reload_conf()");
	as_local("postgres", "DROP DATABASE IF EXISTS feed WITH (FORCE)");
	as_local("postgres", "CREATE DATABASE feed");
	ck_assert_int_eq(settings_init(&rig_settings), 0);
	rig_store = cluster_store("postgres", "feed", &rig_settings);
}

void rig_become(const char *user)
{
	store_close(rig_store);
	rig_store = cluster_store(user, "feed", &rig_settings);
}

void rig_teardown(void)
{
	feed_close(rig_feed);
	rig_feed = NULL;
	store_close(rig_store);
	settings_done(&rig_settings);
	buf_done(&text);
}

const char *rig_sql(const char *format, ...)
{
	char *sql;
	const char *value;
	va_list arguments;

	va_start(arguments, format);
	ck_assert_int_ge(vasprintf(&sql, format, arguments), 0);
	va_end(arguments);
	value = as_local("feed", sql);
	free(sql);
	return value;
}

PGconn *rig_session(const char *user)
{
	PGconn *session = PQconnectdb(cluster_source(user, "feed"));

	ck_assert_msg(PQstatus(session) == CONNECTION_OK, "%s", PQerrorMessage(session));
	return session;
}

void rig_in(PGconn *session, const char *sql)
{
	PGresult *result = PQexec(session, sql);

	ck_assert_msg(PQresultStatus(result) == PGRES_COMMAND_OK ||
	                      PQresultStatus(result) == PGRES_TUPLES_OK,
	              "%s: %s", sql, PQerrorMessage(session));
	PQclear(result);
}

int rig_pid(PGconn *session)
{
	return PQbackendPID(session);
}

int rig_open(void)
{
	rig_error = (struct error){0};
	return feed_open(rig_store, &rig_settings, "redis-1", &rig_feed, &rig_error);
}

void rig_begin(void)
{
	int64_t deadline = clock_monotonic_ms() + 30000;
	int r = rig_open();

	ck_assert_msg(r == 0, "%s", rig_error.message);
	while ((r = feed_begin(rig_feed, 50, &rig_error)) == 0)
		ck_assert_int_lt(clock_monotonic_ms(), deadline);
	ck_assert_msg(r == 1, "%s", rig_error.message);
}

void rig_close(void)
{
	feed_close(rig_feed);
	rig_feed = NULL;
	rig_await("0", "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'");
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *line_of(const struct batch_change *change)
{
	char *line;

	ck_assert_int_ge(asprintf(&line, "%s %c%s%s\n",
	                          rig_sql("SELECT coalesce((SELECT relname::text FROM pg_class"
	                                  " WHERE oid = %u), '%u')",
	                                  change->relation, change->relation),
	                          "IUDR"[change->op], *change -> name ? " " : "", change->name),
	                 0);
	return line;
}

/* Sorted, without repetitions. */
static const char *print(const struct batch *batch)
{
	_cleanup_free_ char **lines = calloc(batch->n_changes + 1, sizeof(*lines));
	struct batch_change change;
	size_t at = 0, n = 0;

	ck_assert(!batch_failed(batch));
	while (batch_next(batch, &at, &change))
		lines[n++] = line_of(&change);
	qsort(lines, n, sizeof(*lines), compare);
	buf_reset(&text);
	buf_adds(&text, "");
	for (size_t i = 0; i < n; i++) {
		if (i == 0 || strcmp(lines[i], lines[i - 1]) != 0)
			buf_adds(&text, lines[i]);
	}
	for (size_t i = 0; i < n; i++)
		free(lines[i]);
	return text.data;
}

static void must(int r)
{
	ck_assert_msg(r >= 0, "%s", rig_error.message);
}

const char *rig_changes(void)
{
	_cleanup_batch_ struct batch batch = {0};
	int64_t deadline = clock_monotonic_ms() + 100000;
	int r;

	must(feed_mark(rig_feed, &rig_error));
	do {
		must(feed_next(rig_feed, 100, &batch, &rig_error));
		ck_assert_int_lt(clock_monotonic_ms(), deadline);
	} while (!feed_passed(rig_feed));
	while ((r = feed_visible(rig_feed, &batch, &rig_error)) == 0)
		ck_assert_int_lt(clock_monotonic_ms(), deadline);
	must(r);
	return print(&batch);
}

/* Tables that come in take several steps; each is one call. */
const char *rig_inspect(void)
{
	_cleanup_batch_ struct batch batch = {0}, ignored = {0};

	for (int i = 0; i < 8; i++) {
		must(feed_inspect(rig_feed, &batch, &rig_error));
		must(feed_next(rig_feed, 5, &ignored, &rig_error));
	}
	return print(&batch);
}

const char *rig_source(const char *table)
{
	static const char *const names[] = {"none", "wal", "log"};
	uint32_t relation =
	        (uint32_t)strtoul(rig_sql("SELECT '%s'::regclass::oid", table), NULL, 10);
	size_t n;
	const struct feed_table *tables = feed_tables(rig_feed, &n);

	for (size_t i = 0; i < n; i++)
		if (tables[i].relation == relation)
			return names[tables[i].source];
	return names[0];
}

void rig_await(const char *value, const char *sql)
{
	int64_t deadline = clock_monotonic_ms() + 20000;

	while (strcmp(rig_sql("%s", sql), value) != 0) {
		ck_assert_msg(clock_monotonic_ms() < deadline, "%s is not %s", sql, value);
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
}
