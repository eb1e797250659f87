/* The change log: what its triggers tell, what they cost the application, and that it stays empty
 * without a reader. */
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cluster.h"
#include "feed_rig.h"
#include "rowfs/base/clock.h"
#include "rowfs/base/options.h"
#include "rowfs/engine/changelog.h"

#define assert_changes(expected) ck_assert_str_eq(rig_changes(), expected)
#define assert_inspect(expected) ck_assert_str_eq(rig_inspect(), expected)

static struct buf report;

/* As the owner, whoever the feed's role is. */
static void install(void)
{
	struct settings settings;
	struct store *store;

	ck_assert_int_eq(settings_init(&settings), 0);
	store = cluster_store("postgres", "feed", &settings);
	buf_reset(&report);
	ck_assert_msg(changelog_install(store, &settings, &report, &rig_error) == 0, "%s",
	              rig_error.message);
	store_close(store);
	settings_done(&settings);
}

/* The owner installs; the application's role writes; the worker's role reads the log, and has no
 * more than that. */
static void setup(void)
{
	rig_setup();
	rig_sql("DROP ROLE IF EXISTS app; DROP ROLE IF EXISTS reader;"
	        "CREATE ROLE app LOGIN; CREATE ROLE reader LOGIN;"
	        "CREATE TABLE t (id int PRIMARY KEY, v text);"
	        "CREATE TABLE pair (a text, b int, v text, PRIMARY KEY (b, a));"
	        "INSERT INTO t SELECT i, 'x' FROM generate_series(1, 20) AS i;"
	        "CREATE TABLE uniq (v int, k text NOT NULL UNIQUE);"
	        "CREATE TABLE nopk (v int); GRANT ALL ON ALL TABLES IN SCHEMA public TO app");
	install();
	rig_sql("GRANT USAGE ON SCHEMA rowfs TO reader; GRANT SELECT, DELETE ON rowfs.changes TO "
	        "reader");
}

static void begin(void)
{
	rig_become("reader");
	rig_begin();
}

START_TEST(test_install_reports)
{
	ck_assert_str_eq(report.data, "public.t: logged\npublic.pair: logged\npublic.uniq: logged\n"
	                              "public.nopk: left out, it has no primary key\n");
	install();
	ck_assert_ptr_nonnull(strstr(report.data, "public.t: logged already\n"));
	buf_reset(&report);
	ck_assert_int_eq(changelog_report(rig_store, &rig_settings, &report, &rig_error), 0);
	ck_assert_ptr_nonnull(strstr(report.data, "public.t: change log"));
	buf_reset(&report);
	ck_assert_int_eq(changelog_uninstall(rig_store, &rig_settings, &report, &rig_error), 0);
	ck_assert_str_eq(rig_sql("SELECT count(*) FROM pg_trigger"), "0");
	ck_assert_str_eq(rig_sql("SELECT count(*) FROM pg_namespace WHERE nspname = 'rowfs'"), "0");
	rig_sql("UPDATE t SET v = 'z'");
}
END_TEST

START_TEST(test_rows)
{
	PGconn *app = rig_session("app");
	struct feed_status status;

	begin();
	feed_status(rig_feed, &status);
	ck_assert_int_eq(status.best, FEED_LOG);
	ck_assert_ptr_nonnull(strstr(status.better, "REPLICATION"));
	ck_assert_str_eq(rig_source("t"), "log");
	ck_assert_str_eq(rig_source("nopk"), "none");
	assert_changes("");
	rig_in(app, "INSERT INTO t VALUES (100, 'a')");
	rig_in(app, "UPDATE t SET v = 'b' WHERE id < 3");
	rig_in(app, "DELETE FROM t WHERE id = 4");
	assert_changes("t D 4.json\nt I 100.json\nt U 1.json\nt U 2.json\n");
	rig_in(app, "UPDATE t SET id = 200 WHERE id = 5");
	assert_changes("t D 5.json\nt I 200.json\n");
	rig_in(app, "INSERT INTO pair VALUES ('x/y', 7, 'v'); UPDATE pair SET a = 'z'");
	assert_changes("pair D 7,x%2Fy.json\npair I 7,x%2Fy.json\npair I 7,z.json\n");
	rig_in(app, "INSERT INTO uniq VALUES (1, repeat('k', 30))");
	assert_changes("uniq I kkkkkkkkkkkkkkkkkkkkkkkkkkkkkk.json\n");
	rig_in(app, "BEGIN; UPDATE t SET v = 'c' WHERE id = 1; SAVEPOINT s;"
	            "DELETE FROM t WHERE id = 3; ROLLBACK TO s; UPDATE t SET v = 'c' WHERE id = 2");
	assert_changes("");
	rig_in(app, "COMMIT");
	assert_changes("t U 1.json\nt U 2.json\n");
	rig_in(app, "TRUNCATE t");
	assert_changes("t R\n");
	rig_in(app, "INSERT INTO t SELECT i FROM generate_series(1, 6000) AS i");
	assert_changes("t R\n");
	ck_assert_str_eq(rig_sql("SELECT count(*) FROM rowfs.changes"), "0");
	PQfinish(app);
}
END_TEST

START_TEST(test_prepared_transactions_and_replicas)
{
	begin();
	rig_sql("BEGIN; UPDATE t SET v = 'p' WHERE id = 1; PREPARE TRANSACTION 'p'");
	assert_changes("");
	rig_sql("COMMIT PREPARED 'p'");
	assert_changes("t U 1.json\n");
	/* As a subscription writes, but for its initial copy: only ENABLE ALWAYS fires. */
	rig_sql("SET session_replication_role TO replica; UPDATE t SET v = 'r' WHERE id = 2");
	assert_changes("t U 2.json\n");
}
END_TEST

START_TEST(test_key_text_is_pinned)
{
	rig_sql("CREATE TABLE day (d timestamptz, f float8, b bytea, i interval,"
	        " PRIMARY KEY (d, f, b, i))");
	install();
	begin();
	rig_sql("SET DateStyle TO 'SQL, DMY'; SET TimeZone TO 'Asia/Tokyo'; SET bytea_output TO "
	        "'escape';"
	        "SET extra_float_digits TO -5; SET IntervalStyle TO 'postgres';"
	        "INSERT INTO day VALUES ('2020-02-03 04:05:06Z', 0.1::float8 + 0.2, '\\x00ff', '1 "
	        "day 2 h')");
	assert_changes("day I 2020-02-03 04:05:06+00,0.30000000000000004,\\x00ff,P1DT2H.json\n");
}
END_TEST

START_TEST(test_partitions)
{
	rig_sql("CREATE TABLE p (id int, v int, PRIMARY KEY (id)) PARTITION BY RANGE (id);"
	        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);"
	        "CREATE TABLE p2 (v int, id int NOT NULL, PRIMARY KEY (id));"
	        "ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM (10) TO (20);"
	        "INSERT INTO p VALUES (1, 1), (11, 1)");
	install();
	rig_begin();
	rig_inspect();
	rig_settings.changes = CHANGES_LOG;
	rig_close();
	rig_begin();
	ck_assert_str_eq(rig_source("p"), "log");
	rig_inspect();
	rig_sql("UPDATE p SET v = 2; UPDATE p2 SET v = 3; INSERT INTO p1 VALUES (2, 2)");
	assert_changes("p I 2.json\np U 1.json\np U 11.json\n");
	rig_sql("UPDATE p SET id = 12 WHERE id = 2");
	assert_changes("p D 2.json\np I 12.json\n");
	/* The worker is the owner here: it renews the triggers. */
	rig_sql("CREATE TABLE p3 PARTITION OF p FOR VALUES FROM (20) TO (30); INSERT INTO p3 "
	        "VALUES (25, 0)");
	ck_assert_ptr_nonnull(strstr(rig_inspect(), "p R\n"));
	rig_changes();
	ck_assert_str_eq(rig_source("p"), "log");
	rig_sql("INSERT INTO p3 VALUES (26, 0)");
	assert_changes("p I 26.json\n");
}
END_TEST

/* What the reader may not renew stops being covered. */
START_TEST(test_new_partition_without_triggers)
{
	rig_sql("CREATE TABLE p (id int PRIMARY KEY, v int) PARTITION BY RANGE (id);"
	        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10)");
	install();
	begin();
	ck_assert_str_eq(rig_source("p"), "log");
	rig_sql("CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20)");
	ck_assert_ptr_nonnull(strstr(rig_inspect(), "p R\n"));
	ck_assert_str_eq(rig_source("p"), "none");
	install();
	ck_assert_ptr_nonnull(strstr(rig_inspect(), "p R\n"));
	ck_assert_str_eq(rig_source("p"), "log");
}
END_TEST

START_TEST(test_inheritance_and_other_misfits)
{
	rig_sql("CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE heir (PRIMARY KEY (id)) "
	        "INHERITS (parent);"
	        "CREATE UNLOGGED TABLE fast (id int PRIMARY KEY);"
	        "CREATE TABLE late (id int PRIMARY KEY DEFERRABLE)");
	install();
	begin();
	ck_assert_str_eq(rig_source("parent"), "none");
	ck_assert_str_eq(rig_source("heir"), "none");
	ck_assert_str_eq(rig_source("fast"), "log");
	ck_assert_str_eq(rig_source("late"), "log");
}
END_TEST

/* A key that is renamed must not make the application's statements fail. */
START_TEST(test_renamed_key)
{
	begin();
	rig_inspect();
	rig_sql("ALTER TABLE t RENAME id TO ident; UPDATE t SET v = 'z' WHERE ident = 1");
	assert_changes("t R\n");
	assert_inspect("t R\n");
	ck_assert_str_eq(rig_source("t"), "none");
	install();
	rig_inspect();
	ck_assert_str_eq(rig_source("t"), "log");
	rig_sql("UPDATE t SET v = 'y' WHERE ident = 1");
	assert_changes("t U 1.json\n");
}
END_TEST

/* ---- the log without a reader, and its lock ---- */

START_TEST(test_log_stays_empty_without_a_reader)
{
	rig_sql("UPDATE t SET v = 'z'; INSERT INTO pair VALUES ('a', 1)");
	ck_assert_str_eq(rig_sql("SELECT count(*) FROM rowfs.changes"), "0");
	begin();
	rig_sql("UPDATE t SET v = 'y'");
	ck_assert_str_eq(rig_sql("SELECT count(*) FROM rowfs.changes"), "20");
	rig_close();
	rig_sql("UPDATE t SET v = 'x'");
	ck_assert_str_eq(rig_sql("SELECT count(*) FROM rowfs.changes"), "20");
	rig_begin(); /* leftovers go */
	ck_assert_str_eq(rig_sql("SELECT count(*) FROM rowfs.changes"), "0");
}
END_TEST

START_TEST(test_silent_transaction_is_waited_for_and_named)
{
	PGconn *app = rig_session("app");
	struct feed_status status;
	char pid[32];
	int64_t deadline = clock_monotonic_ms() + 5000;

	rig_in(app, "BEGIN; UPDATE t SET v = 'silent' WHERE id = 1");
	rig_become("reader");
	ck_assert_int_eq(rig_open(), 0);
	snprintf(pid, sizeof(pid), "pid %d ", rig_pid(app));
	do {
		ck_assert_int_eq(feed_begin(rig_feed, 100, &rig_error), 0);
		feed_status(rig_feed, &status);
		ck_assert_int_lt(clock_monotonic_ms(), deadline);
	} while (!strstr(status.waits_for, pid));
	/* Meanwhile others write to the log already. */
	rig_sql("BEGIN; UPDATE t SET v = 'loud' WHERE id = 2; PREPARE TRANSACTION 'loud'");
	rig_in(app, "COMMIT");
	while (feed_begin(rig_feed, 100, &rig_error) == 0)
		ck_assert_int_lt(clock_monotonic_ms(), deadline);
	assert_changes("");
	rig_sql("COMMIT PREPARED 'loud'");
	assert_changes("t U 2.json\n");
	PQfinish(app);
}
END_TEST

START_TEST(test_closing_while_it_waits)
{
	PGconn *app = rig_session("app");

	rig_in(app, "BEGIN; UPDATE t SET v = 'silent' WHERE id = 1");
	rig_become("reader");
	ck_assert_int_eq(rig_open(), 0);
	ck_assert_int_eq(feed_begin(rig_feed, 50, &rig_error), 0);
	feed_close(rig_feed);
	rig_feed = NULL;
	rig_await("0",
	          "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'rowfs sync'");
	PQfinish(app);
}
END_TEST

START_TEST(test_process_killed)
{
	int ready[2];
	char byte;
	pid_t child;

	ck_assert_int_eq(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		begin();
		(void)!write(ready[1], "x", 1);
		pause();
	}
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	rig_await("0", "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'");
	rig_sql("UPDATE t SET v = 'unheard'");
	ck_assert_str_eq(rig_sql("SELECT count(*) FROM rowfs.changes"), "0");
}
END_TEST

/* One of a database: what one reads the other does not. */
START_TEST(test_second_reader_is_refused)
{
	struct feed *other = NULL;

	begin();
	ck_assert_int_eq(feed_open(rig_store, &rig_settings, "redis-2", &other, &rig_error),
	                 -EBUSY);
}
END_TEST

/* With both, each table has the better one. */
START_TEST(test_both_sources)
{
	struct feed_status status;

	rig_begin();
	ck_assert_str_eq(rig_source("t"), "wal");
	ck_assert_str_eq(rig_source("uniq"), "log");
	rig_sql("UPDATE t SET v = 'z' WHERE id = 1; INSERT INTO uniq VALUES (1, 'k')");
	assert_changes("t U 1.json\nuniq I k.json\n");
	feed_status(rig_feed, &status);
	ck_assert_uint_eq(status.tables[FEED_WAL], 2);
	ck_assert_uint_eq(status.tables[FEED_LOG], 1);
	ck_assert_uint_eq(status.tables[FEED_NONE], 1);
}
END_TEST

static int64_t statements_us(PGconn *app)
{
	int64_t start = clock_monotonic_us();

	for (int i = 0; i < 200; i++)
		rig_in(app, "UPDATE t SET v = 'y' WHERE id = 7");
	return clock_monotonic_us() - start;
}

/* What a single-row UPDATE costs, in turns, since the machine has other things to do; told, not
 * judged. */
START_TEST(test_cost)
{
	_cleanup_batch_ struct batch batch = {0};
	PGconn *app = rig_session("app"), *reader = rig_session("postgres");
	int64_t without = 0, unread = 0, reading = 0, told = 0, start;
	enum { ROUNDS = 10 };

	rig_in(app, "SET synchronous_commit TO off");
	for (int i = 0; i < ROUNDS; i++) {
		rig_sql("ALTER TABLE t DISABLE TRIGGER USER");
		without += statements_us(app);
		rig_sql("ALTER TABLE t ENABLE ALWAYS TRIGGER rowfs_update");
		unread += statements_us(app);
		rig_in(reader, "SELECT pg_advisory_lock(7308613580338057001)");
		reading += statements_us(app);
		rig_in(reader, "SELECT pg_advisory_unlock_all()");
	}
	PQfinish(reader);
	for (int i = 0; i < 3; i++)
		rig_sql("ALTER TABLE t ENABLE ALWAYS TRIGGER rowfs_%s",
		        (const char *const[]){"insert", "delete", "truncate"}[i]);
	begin();
	rig_changes();
	for (int i = 0; i < 50; i++) {
		rig_in(app, "UPDATE t SET v = 'z' WHERE id = 7");
		start = clock_monotonic_us();
		batch_reset(&batch);
		while (batch.n_changes == 0)
			ck_assert_int_eq(feed_next(rig_feed, 1000, &batch, &rig_error), 0);
		told += clock_monotonic_us() - start;
	}
	fprintf(stderr,
	        "# UPDATE of one row: %lld us without triggers, %lld us unread, %lld us read;"
	        " told after %lld us\n",
	        (long long)(without / ROUNDS / 200), (long long)(unread / ROUNDS / 200),
	        (long long)(reading / ROUNDS / 200), (long long)(told / 50));
	PQfinish(app);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("feed_log");
	TCase *c = tcase_create("feed_log");

	tcase_add_checked_fixture(c, setup, rig_teardown);
	tcase_add_test(c, test_install_reports);
	tcase_add_test(c, test_rows);
	tcase_add_test(c, test_prepared_transactions_and_replicas);
	tcase_add_test(c, test_key_text_is_pinned);
	tcase_add_test(c, test_partitions);
	tcase_add_test(c, test_new_partition_without_triggers);
	tcase_add_test(c, test_inheritance_and_other_misfits);
	tcase_add_test(c, test_renamed_key);
	tcase_add_test(c, test_log_stays_empty_without_a_reader);
	tcase_add_test(c, test_silent_transaction_is_waited_for_and_named);
	tcase_add_test(c, test_closing_while_it_waits);
	tcase_add_test(c, test_process_killed);
	tcase_add_test(c, test_second_reader_is_refused);
	tcase_add_test(c, test_both_sources);
	tcase_add_test(c, test_cost);
	tcase_set_timeout(c, 60);
	suite_add_tcase(s, c);
	return s;
}

int main(void)
{
	return rig_run(suite());
}
