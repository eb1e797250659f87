/* What becomes of a statement when the server refuses it, restarts, is killed or stops answering. */
#include "store_client.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

/* ---- refusals ---- */

static const struct {
	const char *sql;
	int err;
	const char *sqlstate, *field;
} refusals[] = {
        {"INSERT INTO t VALUES (1)", EEXIST, "23505", ""},
        {"INSERT INTO t VALUES (NULL)", EPERM, "23502", "id"},
        {"INSERT INTO t VALUES (7, -1)", EPERM, "23514", ""},
        {"INSERT INTO t VALUES (7, 1, 99)", EPERM, "23503", ""},
        {"INSERT INTO t VALUES ('x')", EINVAL, "22P02", ""},
        {"INSERT INTO t VALUES (99999999999)", EINVAL, "22003", ""},
        {"UPDATE nothing SET n = 1", ESTALE, "42P01", ""},
        {"UPDATE t SET nothing = 1", ESTALE, "42703", ""},
        {"UPDATE locked_table SET id = 1", EACCES, "42501", ""},
        {"DO $$BEGIN RAISE 'no %', 'thanks' USING HINT = 'ask', DETAIL = 'why'; END$$", EPERM,
         "P0001", ""},
        {"SET LOCAL statement_timeout TO 1; SELECT 1", EIO, "42601", ""},
};

START_TEST(test_refusals)
{
	ck_assert_int_eq(writing(refusals[_i].sql), -refusals[_i].err);
	ck_assert_str_eq(e.sqlstate, refusals[_i].sqlstate);
	ck_assert_str_eq(e.field, refusals[_i].field);
	ck_assert(!e.outcome_unknown);
	ck_assert_str_ne(e.message, "");
	if (_i == 9) {
		ck_assert_str_eq(e.message, "no thanks");
		ck_assert_str_eq(e.hint, "ask");
		ck_assert_str_eq(e.detail, "why");
	}
	ck_assert_int_eq(writing("UPDATE t SET n = 1"), 0); /* the session is fine */
}
END_TEST

START_TEST(test_statement_timeout)
{
	ck_assert_int_eq(writing("SET statement_timeout TO 10"), 0);
	ck_assert_int_eq(writing("SELECT pg_sleep(60)"), -ETIMEDOUT);
	ck_assert_str_eq(e.sqlstate, "57014");
	ck_assert(!e.outcome_unknown);
}
END_TEST

/* A constraint that is checked at the commit: the UPDATE was reported as done before that. */
START_TEST(test_refused_at_commit)
{
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(writing("UPDATE t SET late = 99 WHERE id = 1"), -EPERM);
		ck_assert_str_eq(e.sqlstate, "23503");
		ck_assert_str_eq(cluster_sql("store", "SELECT late IS NULL FROM t WHERE id = 1"),
		                 "t");
	}
}
END_TEST

START_TEST(test_lock_timeout)
{
	int64_t start = clock_monotonic_ms();

	cluster_hold("store", "BEGIN; UPDATE t SET n = 5 WHERE id = 1");
	ck_assert_int_eq(writing("UPDATE t SET n = 6 WHERE id = 1"), -EBUSY);
	ck_assert_int_ge(clock_monotonic_ms() - start, 1900);
	ck_assert_int_eq(reading("SELECT 1"), 0);
	cluster_release();
	ck_assert_int_eq(writing("UPDATE t SET n = 6 WHERE id = 1"), 0);
}
END_TEST

START_TEST(test_serialisation_failures_are_repeated)
{
	cluster_sql("store", "ALTER SEQUENCE tries RESTART");
	ck_assert_int_eq(writing("SELECT fail_until(3, '40001')"), 0);
	cluster_sql("store", "ALTER SEQUENCE tries RESTART");
	ck_assert_int_eq(writing("SELECT fail_until(4, '40P01')"), -EIO);
	ck_assert_str_eq(e.sqlstate, "40P01");
	ck_assert_str_eq(cluster_sql("store", "SELECT last_value FROM tries"), "3");
	cluster_sql("store", "ALTER SEQUENCE tries RESTART");
	ck_assert_int_eq(writing("SELECT fail_until(2, '55000')"), -EOPNOTSUPP);
	ck_assert_str_eq(cluster_sql("store", "SELECT last_value FROM tries"), "1");
}
END_TEST

/* ---- lost connections ---- */

static void terminate(const char *pid)
{
	ck_assert_str_eq(cluster_sql("store", "SELECT pg_terminate_backend(%s, 5000)", pid), "t");
}

START_TEST(test_idle_connection_that_died_is_replaced)
{
	char pid[16];

	ck_assert_int_eq(writing("SELECT pg_backend_pid()"), 0);
	snprintf(pid, sizeof(pid), "%d", atoi(out.data));
	terminate(pid);
	ck_assert_int_eq(writing("UPDATE t SET n = n + 1 WHERE id = 1"), 0);
	ck_assert_str_eq(cluster_sql("store", "SELECT n FROM t WHERE id = 1"), "1");
	snprintf(pid, sizeof(pid), "%s", value("SELECT pg_backend_pid()"));
	terminate(pid);
	ck_assert_str_ne(value("SELECT pg_backend_pid()"), pid);
}
END_TEST

START_TEST(test_restart)
{
	ck_assert_str_eq(value("SELECT 1"), "1");
	ck_assert_int_eq(writing("UPDATE t SET n = 1"), 0);
	for (int i = 0; i < 2; i++) {
		cluster_call("cluster_stop", i ? "immediate" : "fast");
		cluster_call("cluster_start", "");
		ck_assert_int_eq(writing("UPDATE t SET n = n + 1 WHERE id = 1"), 0);
		ck_assert_str_eq(value("SELECT 1"), "1");
	}
	ck_assert_str_eq(value("SELECT n FROM t WHERE id = 1"), "3");
}
END_TEST

START_TEST(test_server_gone_fails_fast_and_comes_back)
{
	struct store_status status;
	int64_t start;

	ck_assert_str_eq(value("SELECT 1"), "1");
	store_status(store, &status);
	ck_assert(status.reachable && status.connections == 1);
	cluster_call("cluster_stop", "immediate");
	ck_assert_int_eq(reading("SELECT 1"), -EIO);
	ck_assert_int_eq(writing("UPDATE t SET n = 1"), -EIO);
	ck_assert(!e.outcome_unknown);
	store_status(store, &status);
	ck_assert(!status.reachable && status.connections == 0);
	ck_assert_ptr_nonnull(strstr(status.last_error, "cannot reach PostgreSQL"));
	start = clock_monotonic_ms();
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(reading("SELECT 1"), -EIO);
	ck_assert_int_lt(clock_monotonic_ms() - start, 500);
	cluster_call("cluster_start", "");
	start = clock_monotonic_ms();
	while (reading("SELECT 1") != 0)
		ck_assert_int_lt(clock_monotonic_ms() - start, 3000);
	store_status(store, &status);
	ck_assert(status.reachable);
	ck_assert_str_eq(status.last_error, "");
}
END_TEST

static void *writing_thread(void *arg)
{
	*(int *)arg = writing("UPDATE t SET n = n + 1 FROM pg_sleep(30) WHERE id = 2");
	return NULL;
}

static void *reading_thread(void *arg)
{
	*(int *)arg = reading("SELECT pg_sleep(2)");
	return NULL;
}

/* The server process that is at the statement, once it is. */
static int busy_backend(const char *statement)
{
	for (int i = 0; i < 500; i++) {
		int pid = atoi(
		        cluster_sql("store",
		                    "SELECT pid FROM pg_stat_activity WHERE state = 'active' AND"
		                    " usename = 'client' AND query LIKE '%s%%'",
		                    statement));

		if (pid > 0)
			return pid;
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
	ck_abort_msg("nobody runs %s", statement);
}

START_TEST(test_lost_write_is_unknown)
{
	pthread_t thread;
	char pid[16];
	int r, backend;

	ck_assert_int_eq(pthread_create(&thread, NULL, writing_thread, &r), 0);
	backend = busy_backend("UPDATE");
	ck_assert_int_eq(
	        store_backend_gone(store, &(struct error){.backend = backend, .backend_start = ""}),
	        0);
	snprintf(pid, sizeof(pid), "%d", backend);
	terminate(pid);
	pthread_join(thread, NULL);
	ck_assert_int_eq(r, -EIO);
	ck_assert(e.outcome_unknown);
	ck_assert_int_eq(e.backend, backend);
	ck_assert_str_ne(e.backend_start, "");
	ck_assert_int_eq(store_backend_gone(store, &e), 1);
	ck_assert_str_eq(cluster_sql("store", "SELECT n FROM t WHERE id = 2"), "0");
}
END_TEST

/* The same pid, started at another time, is another process. */
START_TEST(test_backend_gone_compares_start)
{
	struct error lost = {0};

	ck_assert_int_eq(reading("SELECT pid, backend_start FROM pg_stat_activity"
	                         " WHERE pid = pg_backend_pid()"),
	                 0);
	lost.backend = atoi(out.data);
	snprintf(lost.backend_start, sizeof(lost.backend_start), "%.*s",
	         (int)strcspn(strchr(out.data, '|') + 1, "\n"), strchr(out.data, '|') + 1);
	ck_assert_int_eq(store_backend_gone(store, &lost), 0);
	lost.backend_start[strlen("2026-11-2")] ^= 1;
	ck_assert_int_eq(store_backend_gone(store, &lost), 1);
}
END_TEST

START_TEST(test_lost_read_is_repeated)
{
	pthread_t thread;
	char pid[16];
	int r;

	ck_assert_int_eq(pthread_create(&thread, NULL, reading_thread, &r), 0);
	snprintf(pid, sizeof(pid), "%d", busy_backend("SELECT pg_sleep"));
	terminate(pid);
	pthread_join(thread, NULL);
	ck_assert_int_eq(r, 0);
}
END_TEST

/* A server process that is stopped, or behind a cut network: no thread waits for ever. */
START_TEST(test_server_that_stops_answering)
{
	int64_t start = clock_monotonic_ms();
	int reader = atoi(value("SELECT pg_backend_pid()")), backend;

	ck_assert_int_eq(writing("SELECT pg_backend_pid()"), 0);
	backend = atoi(out.data);
	kill(backend, SIGSTOP);
	ck_assert_int_eq(writing("UPDATE t SET n = 9 WHERE id = 2"), -EIO);
	ck_assert(e.outcome_unknown);
	ck_assert_int_eq(e.backend, backend);
	ck_assert_int_ge(clock_monotonic_ms() - start, 34000);
	ck_assert_int_lt(clock_monotonic_ms() - start, 40000);
	ck_assert_int_eq(store_backend_gone(store, &e), 0);
	/* Other idle connections may be as dead: they are not waited for. */
	ck_assert_int_ne(atoi(value("SELECT pg_backend_pid()")), reader);
	kill(backend, SIGCONT);
	start = clock_monotonic_ms();
	while (store_backend_gone(store, &e) != 1)
		ck_assert_int_lt(clock_monotonic_ms() - start, 5000);
}
END_TEST

/* Rows of the two would mix in Redis and in the kernel. */
START_TEST(test_another_database_in_its_place_is_refused)
{
	cluster_sql("postgres", "CREATE DATABASE replaced");
	store_close(store);
	store = cluster_store("client", "replaced", NULL);
	cluster_sql("postgres", "DROP DATABASE replaced WITH (FORCE)");
	cluster_sql("postgres", "CREATE DATABASE replaced");
	ck_assert_int_eq(reading("SELECT 1"), -EIO);
	ck_assert_ptr_nonnull(strstr(e.message, "another database"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("store_trouble");
	TCase *c = tcase_create("store_trouble"), *slow = tcase_create("slow");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_loop_test(c, test_refusals, 0, N(refusals));
	tcase_add_test(c, test_statement_timeout);
	tcase_add_test(c, test_refused_at_commit);
	tcase_add_test(c, test_lock_timeout);
	tcase_add_test(c, test_serialisation_failures_are_repeated);
	tcase_add_test(c, test_idle_connection_that_died_is_replaced);
	tcase_add_test(c, test_restart);
	tcase_add_test(c, test_server_gone_fails_fast_and_comes_back);
	tcase_add_test(c, test_lost_write_is_unknown);
	tcase_add_test(c, test_backend_gone_compares_start);
	tcase_add_test(c, test_lost_read_is_repeated);
	tcase_add_test(c, test_another_database_in_its_place_is_refused);
	tcase_set_timeout(c, 60);
	suite_add_tcase(s, c);

	/* The statement timeout has to pass. */
	tcase_add_checked_fixture(slow, setup, teardown);
	tcase_add_test(slow, test_server_that_stops_answering);
	tcase_set_tags(slow, "slow");
	tcase_set_timeout(slow, 120);
	suite_add_tcase(s, slow);
	return store_suite_run(s);
}
