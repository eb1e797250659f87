/* Connections: what is checked before mounting, what a session pins, what it keeps, how many there are. */
#include "store_client.h"

#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

static int open_source(const char *source)
{
	static struct settings settings;
	struct store *opened;
	int r;

	settings.source = (char *)source;
	e = (struct error){0};
	r = store_open(&settings, &opened, &e);
	if (r == 0)
		store_close(opened);
	else
		ck_assert_str_ne(e.message, "");
	ck_assert_ptr_null(strchr(e.message, '\n'));
	return r;
}

/* ---- before mounting ---- */

START_TEST(test_open)
{
	char identity[64];
	const char *dot;

	snprintf(identity, sizeof(identity), "%s",
	         cluster_sql("store", "SELECT system_identifier || '.' || oid FROM"
	                              " pg_control_system(), pg_database WHERE datname = 'store'"));
	ck_assert_str_eq(store_identity(store), identity);
	dot = strchr(identity, '.');
	ck_assert_ptr_nonnull(dot);
	ck_assert_str_eq(store_label(store), "localhost/store");
}
END_TEST

START_TEST(test_open_forms)
{
	char source[512];
	const char *host = strchr(cluster_source("client", "store"), '=') + 1;
	int len = (int)strcspn(host, " ");
	char directory[128];

	snprintf(directory, sizeof(directory), "%.*s", len, host);
	snprintf(source, sizeof(source), "postgresql:///store?host=%.*s&user=client", len, host);
	ck_assert_int_eq(open_source(source), 0);
	setenv("PGHOST", directory, 1);
	setenv("PGUSER", "client", 1);
	ck_assert_int_eq(open_source("store"), 0);
	/* The first of several hosts that answers. */
	snprintf(source, sizeof(source),
	         "host=/nonexistent,127.0.0.1,%.*s port=1,1,5432 dbname=store", len, host);
	ck_assert_int_eq(open_source(source), 0);
	snprintf(source, sizeof(source), "host=/nonexistent,127.0.0.1 port=1 dbname=store");
	ck_assert_int_eq(open_source(source), -EIO);
}
END_TEST

START_TEST(test_open_refused)
{
	char source[512];

	ck_assert_int_eq(open_source(cluster_source("client", "nothing")), -EIO);
	ck_assert_str_eq(e.sqlstate, "3D000");
	ck_assert_str_eq(e.message,
	                 "PostgreSQL refused the connection: database \"nothing\" does not"
	                 " exist");
	ck_assert_int_eq(open_source(cluster_source("nobody", "store")), -EACCES);
	ck_assert_int_eq(open_source(cluster_source("locked", "store")), -EACCES);
	ck_assert_ptr_nonnull(strstr(e.message, "password"));
	snprintf(source, sizeof(source), "%s password=secretwrong",
	         cluster_source("locked", "store"));
	ck_assert_int_eq(open_source(source), -EACCES);
	ck_assert_str_eq(e.sqlstate, "28P01");
	ck_assert_ptr_null(strstr(e.message, "secretwrong"));
	snprintf(source, sizeof(source), "%s password=right", cluster_source("locked", "store"));
	ck_assert_int_eq(open_source(source), 0);
	ck_assert_int_eq(open_source("host=127.0.0.1 port=1 dbname=store"), -EIO);
	ck_assert_ptr_nonnull(strstr(e.message, "refused"));
}
END_TEST

START_TEST(test_sql_ascii_is_refused)
{
	cluster_sql("postgres", "CREATE DATABASE ascii ENCODING 'SQL_ASCII' TEMPLATE template0"
	                        " LC_COLLATE 'C' LC_CTYPE 'C'");
	ck_assert_int_eq(open_source(cluster_source("client", "ascii")), -EOPNOTSUPP);
	ck_assert_ptr_nonnull(strstr(e.message, "SQL_ASCII"));
}
END_TEST

static const char *const no_sources[] = {
        "host=x pass word=secret",      "postgresql://u:secret@[::1/db",
        "postgresql://u:secret@h/db?x", "user='secret",
        "password=secret extra",
};

START_TEST(test_bad_source_tells_no_password)
{
	ck_assert_int_eq(open_source(no_sources[_i]), -EINVAL);
	ck_assert_ptr_null(strstr(e.message, "secret"));
	ck_assert_int_eq(open_source("host=x unknown_word=1"), -EINVAL);
	ck_assert_ptr_nonnull(strstr(e.message, "unknown_word"));
}
END_TEST

/* A host that swallows packets, as far as one can be had without a network: one that accepts the
 * connection and never says a word. */
START_TEST(test_connect_timeout)
{
	char source[512];
	int64_t start = clock_monotonic_ms();
	const char *pid = cluster_sql("store", "SELECT pg_read_file('postmaster.pid', 0, 10)");
	pid_t postmaster = (pid_t)atoi(pid);

	snprintf(source, sizeof(source), "%s connect_timeout=1", cluster_source("client", "store"));
	kill(postmaster, SIGSTOP);
	ck_assert_int_eq(open_source(source), -EIO);
	kill(postmaster, SIGCONT);
	ck_assert_int_ge(clock_monotonic_ms() - start, 900);
	ck_assert_int_lt(clock_monotonic_ms() - start, 4000);
	ck_assert_str_eq(e.message, "cannot reach PostgreSQL: no answer within 1000 ms");
}
END_TEST

/* The same as the first of two hosts: the other one's turn comes. */
START_TEST(test_silent_host_is_passed_over)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
	                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	int silent = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char source[512];
	const char *host = strchr(cluster_source("client", "store"), '=') + 1;

	ck_assert_int_eq(bind(silent, (struct sockaddr *)&address, size), 0);
	ck_assert_int_eq(listen(silent, 8), 0);
	ck_assert_int_eq(getsockname(silent, (struct sockaddr *)&address, &size), 0);
	snprintf(source, sizeof(source),
	         "host=127.0.0.1,%.*s port=%d,5432 user=client dbname=store connect_timeout=1",
	         (int)strcspn(host, " "), host, ntohs(address.sin_port));
	ck_assert_msg(open_source(source) == 0, "%s", e.message);
	close(silent);
}
END_TEST

/* ---- sessions ---- */

static const struct {
	const char *name, *pinned, *other;
} pins[] = {
        {"client_encoding", "UTF8", "latin1"},
        {"DateStyle", "ISO, MDY", "German"},
        {"IntervalStyle", "iso_8601", "postgres"},
        {"TimeZone", "UTC", "Asia/Tokyo"},
        {"bytea_output", "hex", "escape"},
        {"extra_float_digits", "1", "-5"},
        {"lc_monetary", "C", "C.UTF-8"},
        {"xmloption", "content", "document"},
        {"statement_timeout", "30s", "1ms"},
        {"lock_timeout", "2s", "0"},
        {"synchronize_seqscans", "off", "on"},
        {"standard_conforming_strings", "on", "off"},
        {"array_nulls", "on", "off"},
        {"transform_null_equals", "off", "on"},
        {"jit", "off", "on"},
        {"max_parallel_workers_per_gather", "0", "2"},
};

START_TEST(test_settings_survive_role_and_options)
{
	static struct settings settings;
	char show[64], source[512];

	snprintf(source, sizeof(source), "%s options='-c %s=%s'", cluster_source("pinned", "store"),
	         pins[_i].name, pins[_i].other);
	cluster_sql("store", "ALTER ROLE pinned SET %s TO %s%s%s", pins[_i].name,
	            strchr(pins[_i].other, '/') ? "'" : "\"", pins[_i].other,
	            strchr(pins[_i].other, '/') ? "'" : "\"");
	settings.source = source;
	store_close(store);
	ck_assert_msg(store_open(&settings, &store, &e) == 0, "%s", e.message);
	snprintf(show, sizeof(show), "SHOW %s", pins[_i].name);
	if (strcmp(pins[_i].name, "DateStyle") == 0)
		ck_assert_int_eq(strncmp(value(show), "ISO", 3), 0);
	else
		ck_assert_str_eq(value(show), pins[_i].pinned);
	cluster_sql("store", "ALTER ROLE pinned RESET ALL");
}
END_TEST

START_TEST(test_application_name)
{
	ck_assert_str_eq(value("SHOW application_name"), "rowfs");
}
END_TEST

START_TEST(test_read_only)
{
	static struct settings settings;

	settings.ro = true;
	store_close(store);
	store = cluster_store("client", "store", &settings);
	ck_assert_int_eq(writing("UPDATE t SET n = 1"), -EROFS);
	ck_assert_str_eq(e.sqlstate, "25006");
}
END_TEST

/* ---- prepared statements ---- */

START_TEST(test_stale_plan)
{
	cluster_sql("store", "CREATE TABLE changing (id int); INSERT INTO changing VALUES (7);"
	                     "GRANT ALL ON changing TO client");
	for (int i = 0; i < 3; i++)
		ck_assert_str_eq(value("SELECT * FROM changing"), "7");
	cluster_sql("store", "ALTER TABLE changing ADD COLUMN more int DEFAULT 8");
	ck_assert_str_eq(value("SELECT * FROM changing"), "7|8");
	/* Somebody cleans up under us. */
	ck_assert_str_eq(value("SELECT * FROM changing"), "7|8");
	ck_assert_int_eq(reading("DEALLOCATE ALL"), 0);
	ck_assert_str_eq(value("SELECT * FROM changing"), "7|8");
	ck_assert_int_eq(writing("UPDATE t SET n = n + 1 WHERE id = 1"), 0);
	ck_assert_int_eq(writing("UPDATE t SET n = n + 1 WHERE id = 1"), 0);
	ck_assert_int_eq(writing("DEALLOCATE ALL"), 0);
	ck_assert_int_eq(writing("UPDATE t SET n = n + 1 WHERE id = 1"), 0);
	ck_assert_str_eq(cluster_sql("store", "SELECT n FROM t WHERE id = 1"), "3");
}
END_TEST

START_TEST(test_prepared_statements_are_bounded)
{
	char sql[64];

	for (int round = 0; round < 2; round++)
		for (int i = 0; i < 300; i++)
			for (int twice = 0; twice < 2; twice++) {
				snprintf(sql, sizeof(sql), "SELECT %d + %d", i, round);
				ck_assert_int_eq(atoi(value(sql)), i + round);
			}
	ck_assert_int_eq(atoi(value("SELECT count(*) FROM pg_prepared_statements")), 512 - 1);
	ck_assert_int_eq(atoi(value("SELECT 299 + 1")), 300);
}
END_TEST

/* ---- the pool ---- */

START_TEST(test_too_many_connections)
{
	int64_t start = clock_monotonic_ms();

	cluster_sql("store", "ALTER ROLE few CONNECTION LIMIT 1");
	store_close(store);
	store = cluster_store("few", "store", NULL);
	ck_assert_int_eq(run_in(STORE_WRITE, "SELECT 1", false), -EIO);
	ck_assert_str_eq(e.sqlstate, "53300");
	ck_assert_int_ge(clock_monotonic_ms() - start, 900);
	ck_assert_int_lt(clock_monotonic_ms() - start, 4000);
	ck_assert_str_eq(value("SELECT 1"), "1"); /* the one it has */
}
END_TEST

static void *slow_read(void *arg)
{
	struct statement statement = text("SELECT pg_backend_pid(), pg_sleep(0.3)");
	struct buf own = {0};

	ck_assert_int_eq(cluster_run(store, STORE_READ, &statement, &own, arg), 0);
	buf_done(&own);
	return NULL;
}

/* Eight readers share four connections, and writers have their own. */
START_TEST(test_sets_are_bounded)
{
	pthread_t threads[8];
	struct error errors[8];
	struct store_status status;

	for (int i = 0; i < 8; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, slow_read, &errors[i]), 0);
	ck_assert_int_eq(writing("UPDATE t SET n = 1"), 0);
	for (int i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	store_status(store, &status);
	ck_assert_uint_eq(status.connections, STORE_READERS + 1);
}
END_TEST

static int stop_at_second(void *arg, const struct cell *cells, size_t n)
{
	return ++*(int *)arg == 2 ? 77 : 0;
}

static int fail_at_second(void *arg, const struct cell *cells, size_t n)
{
	return ++*(int *)arg == 2 ? -EFBIG : 0;
}

struct stream {
	unsigned lines, stop_at; /* 0: never */
	size_t most;             /* bytes of the largest line */
};

static int take_streamed(void *arg, const struct cell *cells, size_t n)
{
	struct stream *stream = arg;

	ck_assert_uint_eq(n, 1);
	stream->lines++;
	stream->most = cells[0].len > stream->most ? cells[0].len : stream->most;
	return stream->lines == stream->stop_at ? 17 : 0;
}

static int stream_of(const char *sql, struct stream *stream)
{
	struct statement statement = text(sql);

	statement.streamed = true;
	e = (struct error){0};
	return store_run(store, STORE_READ, &statement, take_streamed, stream, &e);
}

START_TEST(test_a_stream_can_be_stopped)
{
	static const char endless[] =
	        "SELECT repeat('x', 100000) || generate_series(1, 2000000000)";
	char backend[20];

	snprintf(backend, sizeof(backend), "%s", value("SELECT pg_backend_pid()"));
	for (int i = 0; i < 4; i++) { /* also once it is prepared */
		struct stream stream = {.stop_at = 5};

		ck_assert_int_eq(stream_of(endless, &stream), 17);
		ck_assert_uint_eq(stream.lines, 5);
		/* The connection goes on, and the next statement is not the one that is ended. */
		ck_assert_str_eq(value("SELECT pg_backend_pid()"), backend);
	}
}
END_TEST

START_TEST(test_a_stream_gives_what_it_has_before_it_fails)
{
	struct stream stream = {0};
	struct stream all = {0};

	ck_assert_int_eq(stream_of("SELECT 1 / (50 - i) FROM generate_series(1, 100) AS i", &stream), -EINVAL);
	ck_assert_str_eq(e.sqlstate, "22012");
	ck_assert_uint_eq(stream.lines, 49);
	ck_assert_int_eq(stream_of("SELECT i FROM generate_series(1, 100) AS i", &all), 0);
	ck_assert_uint_eq(all.lines, 100);
	all.lines = 0;
	ck_assert_int_eq(stream_of("SELECT i FROM generate_series(1, 0) AS i", &all), 0);
	ck_assert_uint_eq(all.lines, 0);
}
END_TEST

/* Its first lines would come twice. */
START_TEST(test_a_stream_that_began_is_not_repeated)
{
	struct stream stream = {0};

	ck_assert_int_eq(stream_of("SELECT CASE WHEN i = 100000 THEN pg_terminate_backend(pg_backend_pid())::text"
	                           " ELSE repeat('x', 100) END FROM generate_series(1, 200000) AS i",
	                           &stream),
	                 -EIO);
	ck_assert_uint_gt(stream.lines, 0);
	ck_assert_uint_lt(stream.lines, 200000);
	ck_assert_int_eq(reading("SELECT 1"), 0);
}
END_TEST

/* A statement of one large value, or its answer, or a row of it in a stream; of `mib`. */
static void swell(int how, int mib)
{
	_cleanup_free_ char *large = calloc(1, ((size_t)mib << 20) + 1);
	struct cell cell = {large, (size_t)mib << 20};
	uint32_t type = 25;
	char sql[100];
	struct stream stream = {0};

	memset(large, 'x', cell.len);
	snprintf(sql, sizeof(sql), "SELECT repeat('x', %d << 20)", mib);
	if (how == 0) {
		struct statement statement = {(char *)"SELECT length($1)", 1, &type, &cell};

		ck_assert_int_eq(cluster_run(store, STORE_READ, &statement, &out, &e), 0);
	} else if (how == 1) {
		ck_assert_uint_eq(strlen(value(sql)), cell.len);
	} else {
		ck_assert_int_eq(stream_of(sql, &stream), 0);
		ck_assert_uint_eq(stream.most, cell.len);
	}
}

/* libpq's buffers never shrink: each connection held the largest row that it had ever sent or got. */
START_TEST(test_a_connection_that_has_grown_is_not_kept)
{
	char backend[20];

	snprintf(backend, sizeof(backend), "%s", value("SELECT pg_backend_pid()"));
	swell(_i, 4);
	ck_assert_str_eq(value("SELECT pg_backend_pid()"), backend);
	swell(_i, 9);
	ck_assert_str_ne(value("SELECT pg_backend_pid()"), backend);
}
END_TEST

START_TEST(test_lines)
{
	struct statement statement = text("SELECT * FROM generate_series(1, 5)");
	int lines = 0;

	ck_assert_int_eq(
	        store_run(store, STORE_READ, &statement, stop_at_second, &lines, &e), 77);
	ck_assert_int_eq(lines, 2);
	statement = text("UPDATE t SET n = 3");
	statement.writes = true;
	ck_assert_int_eq(store_run(store, STORE_WRITE, &statement, NULL, NULL, NULL), 0);
	ck_assert_str_eq(value("SELECT count(*) FROM t WHERE n = 3"), "2");
	ck_assert_str_eq(value("SELECT NULL, '', repeat('x', 3)"), "\\N||xxx");
}
END_TEST

static int rehearsing(const char *sql)
{
	struct statement statement = text(sql);

	statement.rehearsed = true;
	return cluster_run(store, STORE_WRITE, &statement, &out, &e);
}

/* The first time, then prepared; deferred constraints too. */
START_TEST(test_what_is_rehearsed_is_checked_whole_and_taken_back)
{
	cluster_sql("store", "INSERT INTO parent VALUES (7); INSERT INTO t VALUES (7, 0, NULL, 7)");
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(rehearsing("DELETE FROM t WHERE id = 1 RETURNING n"), 0);
		ck_assert_str_eq(out.data, "0\n");
		ck_assert_int_eq(rehearsing("DELETE FROM parent WHERE id = 7"), -EPERM);
		ck_assert_str_eq(e.sqlstate, "23503");
		ck_assert_int_eq(rehearsing("UPDATE t SET n = 1 / n"), -EINVAL);
	}
	ck_assert_str_eq(value("SELECT count(*) FROM t"), "3");
	ck_assert_str_eq(value("SELECT count(*) FROM pg_locks WHERE locktype = 'transactionid'"), "0");
	ck_assert_int_eq(writing("UPDATE t SET n = 3"), 0);
	ck_assert_str_eq(value("SELECT count(*) FROM t WHERE n = 3"), "3");
}
END_TEST

/* The server that went with it has taken it back. */
START_TEST(test_what_is_rehearsed_and_lost_is_repeated)
{
	cluster_sql("store", "ALTER SEQUENCE tries RESTART");
	ck_assert_int_eq(rehearsing("DELETE FROM t WHERE id = 1 AND (SELECT CASE WHEN nextval('tries') = 1"
	                            " THEN pg_terminate_backend(pg_backend_pid()) END) IS NULL RETURNING n"),
	                 0);
	ck_assert_str_eq(out.data, "0\n");
	ck_assert_str_eq(value("SELECT last_value FROM tries"), "2");
	ck_assert_str_eq(value("SELECT count(*) FROM t"), "2");
}
END_TEST

/* Whoever is told of a failure is told what failed, also where the server had no part in it. */
START_TEST(test_a_line_that_is_refused_fills_the_error)
{
	struct statement statement = text("SELECT * FROM generate_series(1, 5)");
	int lines = 0;

	e = (struct error){0};
	ck_assert_int_eq(store_run(store, STORE_READ, &statement, fail_at_second, &lines, &e),
	                 -EFBIG);
	ck_assert_int_eq(e.err, EFBIG);
	ck_assert_str_eq(e.message, strerror(EFBIG));
	ck_assert_str_eq(e.sqlstate, "");
}
END_TEST

START_TEST(test_size)
{
	uint64_t size = 0;

	ck_assert_int_eq(store_size(store, &size, &e), 0);
	ck_assert_uint_eq(
	        size, strtoull(cluster_sql("store", "SELECT pg_database_size('store')"), NULL, 10));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("store");
	TCase *c = tcase_create("store");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, test_open);
	tcase_add_test(c, test_open_forms);
	tcase_add_test(c, test_open_refused);
	tcase_add_test(c, test_sql_ascii_is_refused);
	tcase_add_loop_test(c, test_bad_source_tells_no_password, 0, N(no_sources));
	tcase_add_test(c, test_connect_timeout);
	tcase_add_test(c, test_silent_host_is_passed_over);
	tcase_add_loop_test(c, test_settings_survive_role_and_options, 0, N(pins));
	tcase_add_test(c, test_application_name);
	tcase_add_test(c, test_read_only);
	tcase_add_test(c, test_stale_plan);
	tcase_add_test(c, test_prepared_statements_are_bounded);
	tcase_add_test(c, test_too_many_connections);
	tcase_add_test(c, test_sets_are_bounded);
	tcase_add_test(c, test_a_stream_can_be_stopped);
	tcase_add_test(c, test_a_stream_gives_what_it_has_before_it_fails);
	tcase_add_test(c, test_a_stream_that_began_is_not_repeated);
	tcase_add_loop_test(c, test_a_connection_that_has_grown_is_not_kept, 0, 3);
	tcase_add_test(c, test_lines);
	tcase_add_test(c, test_what_is_rehearsed_is_checked_whole_and_taken_back);
	tcase_add_test(c, test_what_is_rehearsed_and_lost_is_repeated);
	tcase_add_test(c, test_a_line_that_is_refused_fills_the_error);
	tcase_add_test(c, test_size);
	tcase_set_timeout(c, 60);
	suite_add_tcase(s, c);
	return store_suite_run(s);
}
