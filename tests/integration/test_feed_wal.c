/* Logical decoding: what is told of others' commits, what a feed leaves behind, and what it does to
 * tables. */
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cluster.h"
#include "feed_rig.h"
#include "rowfs/base/clock.h"

static void setup(void)
{
	rig_setup();
	rig_sql("CREATE TABLE t (id int PRIMARY KEY, v text);"
	        "CREATE TABLE pair (a text, b int, v text, PRIMARY KEY (b, a));"
	        "INSERT INTO t SELECT i, 'x' FROM generate_series(1, 20) AS i");
}

#define assert_changes(expected) ck_assert_str_eq(rig_changes(), expected)
#define assert_inspect(expected) ck_assert_str_eq(rig_inspect(), expected)

/* AddressSanitizer keeps 256 MiB of what was freed, and a test here measures memory. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "quarantine_size_mb=4";
}

/* ---- what is told ---- */

START_TEST(test_rows)
{
	rig_begin();
	assert_changes("");
	rig_sql("INSERT INTO t VALUES (100, 'a'); UPDATE t SET v = 'b' WHERE id < 3;"
	        "DELETE FROM t WHERE id = 4");
	assert_changes("t D 4.json\nt I 100.json\nt U 1.json\nt U 2.json\n");
	rig_sql("UPDATE t SET id = 200 WHERE id = 5");
	assert_changes("t D 5.json\nt I 200.json\n");
	rig_sql("INSERT INTO pair VALUES ('x/y', 7, 'v')");
	assert_changes("pair I 7,x%2Fy.json\n");
	rig_sql("UPDATE pair SET v = 'w'");
	assert_changes("pair U 7,x%2Fy.json\n");
	rig_sql("UPDATE pair SET a = 'z'");
	assert_changes("pair D 7,x%2Fy.json\npair I 7,z.json\n");
}
END_TEST

START_TEST(test_transactions)
{
	PGconn *session = rig_session("postgres");

	rig_begin();
	rig_in(session, "BEGIN; UPDATE t SET v = 'c' WHERE id = 1; SAVEPOINT s;"
	                "UPDATE t SET v = 'c' WHERE id = 2; RELEASE s; SAVEPOINT r;"
	                "DELETE FROM t WHERE id = 3; ROLLBACK TO r");
	assert_changes("");
	rig_in(session, "COMMIT");
	assert_changes("t U 1.json\nt U 2.json\n");
	rig_in(session, "BEGIN; UPDATE t SET v = 'd'; ROLLBACK");
	assert_changes("");
	rig_in(session, "BEGIN; UPDATE t SET v = 'e' WHERE id = 6; PREPARE TRANSACTION 'p'");
	assert_changes("");
	rig_in(session, "COMMIT PREPARED 'p'");
	assert_changes("t U 6.json\n");
	rig_in(session, "COPY (SELECT 1) TO '/dev/null'; COPY t FROM PROGRAM 'echo 300,c' CSV");
	assert_changes("t I 300.json\n");
	PQfinish(session);
}
END_TEST

START_TEST(test_truncate_cascade)
{
	rig_sql("CREATE TABLE child (id int PRIMARY KEY, t int REFERENCES t)");
	rig_begin();
	rig_sql("TRUNCATE t CASCADE");
	assert_changes("child R\nt R\n");
}
END_TEST

START_TEST(test_long_keys)
{
	char line[300];

	rig_sql("CREATE TABLE long (k text PRIMARY KEY, v int);"
	        "INSERT INTO long VALUES (repeat('k', 2000), 0)");
	rig_begin();
	rig_sql("UPDATE long SET v = 1");
	snprintf(line, sizeof(line), "%s", rig_changes());
	ck_assert_int_eq(strncmp(line, "long U kkkk", 11), 0);
	ck_assert_ptr_nonnull(strstr(line, "%~"));
	rig_sql("DELETE FROM long");
	line[strlen("long ")] = 'D';
	assert_changes(line);
}
END_TEST

/* A worker prints keys as the mounts' sessions do, whatever the role prefers. */
START_TEST(test_key_text_is_pinned)
{
	rig_sql("CREATE TABLE day (d timestamptz, f float8, b bytea, i interval,"
	        " PRIMARY KEY (d, f, b, i));"
	        "ALTER DATABASE feed SET DateStyle = 'SQL, DMY'; ALTER DATABASE feed SET TimeZone "
	        "= 'Asia/Tokyo';"
	        "ALTER DATABASE feed SET bytea_output = 'escape'; ALTER DATABASE feed SET "
	        "extra_float_digits = -5;"
	        "ALTER DATABASE feed SET IntervalStyle = 'postgres'");
	rig_begin();
	rig_sql("INSERT INTO day VALUES ('2020-02-03 04:05:06Z', 0.1::float8 + 0.2, '\\x00ff', '1 "
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
	rig_begin();
	ck_assert_str_eq(rig_source("p"), "wal");
	assert_inspect("");
	rig_sql("UPDATE p SET v = 2; UPDATE p2 SET v = 3; INSERT INTO p1 VALUES (2, 2)");
	assert_changes("p I 2.json\np U 1.json\np U 11.json\n");
	rig_sql("UPDATE p SET id = 12 WHERE id = 2"); /* to the other partition */
	assert_changes("p D 2.json\np I 12.json\n");
	rig_sql("CREATE TABLE p3 PARTITION OF p FOR VALUES FROM (20) TO (30); INSERT INTO p VALUES "
	        "(25, 0)");
	assert_changes("p I 25.json\n");
	assert_inspect("p R\n");
	rig_sql("CREATE TABLE p4 (id int PRIMARY KEY, v int); INSERT INTO p4 VALUES (33, 0)");
	rig_inspect();
	rig_sql("ALTER TABLE p ATTACH PARTITION p4 FOR VALUES FROM (30) TO (40)");
	rig_inspect();
	rig_sql("UPDATE p SET v = 9 WHERE id = 33");
	assert_changes("p U 33.json\n");
	rig_sql("ALTER TABLE p DETACH PARTITION p3");
	ck_assert_ptr_nonnull(strstr(rig_inspect(), "p R\n"));
	rig_changes();
	rig_sql("UPDATE p3 SET v = 10");
	assert_changes("p3 U 25.json\n");
	/* The stream is silent about this one; its storage tells. */
	rig_inspect();
	rig_sql("TRUNCATE p1");
	assert_changes("");
	assert_inspect("p R\n");
}
END_TEST

/* What a parent shows lies in its children, whose changes carry their own name. */
START_TEST(test_inheritance)
{
	rig_sql("CREATE TABLE parent (id int PRIMARY KEY, v int);"
	        "CREATE TABLE heir (PRIMARY KEY (id)) INHERITS (parent); INSERT INTO heir VALUES "
	        "(1, 1)");
	rig_begin();
	ck_assert_str_eq(rig_source("parent"), "none");
	ck_assert_str_eq(rig_source("heir"), "wal");
	rig_sql("UPDATE parent SET v = 2");
	assert_changes("heir U 1.json\n");
}
END_TEST

/* ---- beginning ---- */

START_TEST(test_open_transaction_is_waited_for_and_named)
{
	PGconn *session = rig_session("postgres");
	struct feed_status status;
	char pid[32];
	int64_t deadline = clock_monotonic_ms() + 5000;

	rig_in(session, "BEGIN; UPDATE t SET v = 'open' WHERE id = 1");
	ck_assert_int_eq(rig_open(), 0);
	snprintf(pid, sizeof(pid), "pid %d ", rig_pid(session));
	do {
		ck_assert_int_eq(feed_begin(rig_feed, 100, &rig_error), 0);
		feed_status(rig_feed, &status);
		ck_assert_int_lt(clock_monotonic_ms(), deadline);
	} while (!strstr(status.waits_for, pid));
	rig_in(session, "PREPARE TRANSACTION 'slow'");
	PQfinish(session);
	do {
		ck_assert_int_eq(feed_begin(rig_feed, 100, &rig_error), 0);
		feed_status(rig_feed, &status);
		ck_assert_int_lt(clock_monotonic_ms(), deadline);
	} while (!strstr(status.waits_for, "prepared transaction 'slow'"));
	rig_sql("COMMIT PREPARED 'slow'");
	while (feed_begin(rig_feed, 100, &rig_error) == 0)
		ck_assert_int_lt(clock_monotonic_ms(), deadline);
	feed_status(rig_feed, &status);
	ck_assert_str_eq(status.waits_for, "");
	ck_assert_int_eq(status.best, FEED_WAL);
	rig_changes();
	rig_sql("UPDATE t SET v = 'later' WHERE id = 2");
	assert_changes("t U 2.json\n");
}
END_TEST

/* A server process that waits for others does not see that its client has gone. */
START_TEST(test_closing_while_it_waits)
{
	PGconn *session = rig_session("postgres");

	rig_in(session, "BEGIN; UPDATE t SET v = 'open' WHERE id = 1");
	ck_assert_int_eq(rig_open(), 0);
	ck_assert_int_eq(feed_begin(rig_feed, 50, &rig_error), 0);
	feed_close(rig_feed);
	rig_feed = NULL;
	rig_await("0", "SELECT count(*) FROM pg_replication_slots");
	rig_await("0",
	          "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'rowfs sync'");
	PQfinish(session);
}
END_TEST

START_TEST(test_one_worker_for_each_redis)
{
	struct feed *other = NULL;

	rig_begin();
	ck_assert_int_eq(feed_open(rig_store, &rig_settings, "redis-1", &other, &rig_error),
	                 -EBUSY);
	ck_assert_int_eq(feed_open(rig_store, &rig_settings, "redis-2", &other, &rig_error), 0);
	feed_close(other);
	rig_close();
	rig_await("0", "SELECT count(*) FROM pg_replication_slots");
	rig_begin();
}
END_TEST

/* ---- visibility ---- */

/* The stream runs ahead of what readers see: a commit that waits for a standby is told, but not
 * visible. */
START_TEST(test_committed_but_not_visible)
{
	_cleanup_batch_ struct batch batch = {0};
	PGconn *session;
	int64_t deadline = clock_monotonic_ms() + 10000;

	rig_begin();
	rig_sql("ALTER SYSTEM SET synchronous_standby_names = 'missing'");
	rig_sql("SELECT pg_reload_conf()");
	rig_await("missing", "SHOW synchronous_standby_names");
	session = rig_session("postgres");
	ck_assert_int_eq(PQsendQuery(session, "UPDATE t SET v = 'waits' WHERE id = 1"), 1);
	while (batch.n_transactions == 0) {
		ck_assert_int_eq(feed_next(rig_feed, 100, &batch, &rig_error), 0);
		ck_assert_int_lt(clock_monotonic_ms(), deadline);
	}
	ck_assert_str_eq(rig_sql("SELECT v FROM t WHERE id = 1"), "x");
	ck_assert_int_eq(feed_visible(rig_feed, &batch, &rig_error), 0);
	/* The worker itself waits for nobody. */
	ck_assert_int_eq(feed_mark(rig_feed, &rig_error), 0);
	rig_sql("ALTER SYSTEM RESET synchronous_standby_names");
	rig_sql("SELECT pg_reload_conf()");
	while (feed_visible(rig_feed, &batch, &rig_error) == 0)
		ck_assert_int_lt(clock_monotonic_ms(), deadline);
	ck_assert_str_eq(rig_sql("SELECT v FROM t WHERE id = 1"), "waits");
	PQfinish(session);
}
END_TEST

/* Begin, with one transaction under way at the slot's consistent point, which takes three steps:
 * the slot waits for those that it meets first, then for those that have begun meanwhile. */
static PGconn *begin_with_an_older_one(const char *sql)
{
	PGconn *sessions[3];
	int64_t deadline = clock_monotonic_ms() + 10000;
	char waits[300];

	for (int i = 0; i < 3; i++)
		sessions[i] = rig_session("postgres");
	rig_in(sessions[0], "BEGIN; INSERT INTO nopk VALUES (0)");
	ck_assert_int_eq(rig_open(), 0);
	for (int i = 0; i < 2; i++) {
		snprintf(waits, sizeof(waits),
		         "SELECT count(*) FROM pg_locks AS l WHERE NOT l.granted AND "
		         "l.transactionid ="
		         " (SELECT a.backend_xid FROM pg_stat_activity AS a WHERE a.pid = %d)",
		         rig_pid(sessions[i]));
		ck_assert_int_eq(feed_begin(rig_feed, 50, &rig_error), 0);
		rig_await("1", waits);
		rig_in(sessions[i + 1], i == 1 ? sql : "BEGIN; INSERT INTO nopk VALUES (0)");
		rig_in(sessions[i], "COMMIT");
		PQfinish(sessions[i]);
	}
	while (feed_begin(rig_feed, 50, &rig_error) == 0)
		ck_assert_int_lt(clock_monotonic_ms(), deadline);
	return sessions[2];
}

/* R3: what was under way when the stream began must be in it, or be rolled back. */
START_TEST(test_older_transactions)
{
	static const struct {
		const char *first, *then, *changes;
		int missed;
	} cases[] = {
	        {"BEGIN; UPDATE t SET v = 'y' WHERE id = 1", "COMMIT", "t U 1.json\n", 0},
	        {"BEGIN; INSERT INTO nopk VALUES (1)", "ROLLBACK", "", 0},
	        /* Nothing of it is streamed, so what it did is not known. */
	        {"BEGIN; INSERT INTO nopk VALUES (1)", "COMMIT", "", 1},
	        {"BEGIN; INSERT INTO nopk VALUES (1); PREPARE TRANSACTION 'p'",
	         "COMMIT PREPARED 'p'", "", 1},
	};
	PGconn *session;

	rig_sql("CREATE TABLE nopk (v int)");
	session = begin_with_an_older_one(cases[_i].first);
	assert_changes("");
	ck_assert_int_eq(feed_missed(rig_feed, &rig_error), 0);
	rig_in(session, cases[_i].then);
	assert_changes(cases[_i].changes);
	ck_assert_int_eq(feed_missed(rig_feed, &rig_error), cases[_i].missed);
	assert_changes("");
	ck_assert_int_eq(feed_missed(rig_feed, &rig_error), 0);
	PQfinish(session);
}
END_TEST

/* On a quiet server an open transaction keeps the end of the log ahead of what is flushed. */
START_TEST(test_open_transaction_does_not_stop_marks)
{
	PGconn *session = rig_session("postgres");
	int64_t start;

	rig_begin();
	rig_in(session, "SET synchronous_commit TO off; BEGIN; INSERT INTO t VALUES (50, 'open')");
	for (int i = 0; i < 5; i++) {
		start = clock_monotonic_ms();
		rig_in(session, "UPDATE t SET v = v || 'y' WHERE id = 50");
		assert_changes("");
		ck_assert_int_lt(clock_monotonic_ms() - start, 150);
	}
	PQfinish(session);
}
END_TEST

/* ---- tables ---- */

START_TEST(test_ddl)
{
	rig_begin();
	assert_inspect("");
	rig_sql("ALTER TABLE t ADD COLUMN n int DEFAULT 5");
	assert_inspect("t R\n");
	rig_sql("ALTER TABLE t RENAME COLUMN v TO w");
	assert_inspect("t R\n");
	rig_sql("ALTER TABLE t RENAME TO u");
	assert_inspect("u R\n");
	rig_sql("GRANT SELECT ON u TO public");
	assert_inspect("u R\n");
	rig_sql("REVOKE SELECT ON u FROM public");
	assert_inspect("u R\n");
	rig_sql("ALTER TABLE u ENABLE ROW LEVEL SECURITY");
	assert_inspect("u R\n");
	rig_sql("CREATE POLICY p ON u USING (id > 1)");
	assert_inspect("u R\n");
	rig_sql("ALTER TABLE u RENAME id TO ident");
	assert_inspect("u R\n");
	rig_sql("UPDATE u SET w = 'z' WHERE ident = 1");
	assert_changes("u U 1.json\n");
	rig_sql("CREATE TEMP TABLE passing (id int); DROP ROLE IF EXISTS someone");
	assert_inspect("");
	rig_sql("CREATE ROLE someone; ALTER ROLE someone BYPASSRLS; DROP ROLE someone");
	assert_inspect("");
	rig_sql("CREATE ROLE someone");
	assert_inspect("pair R\nu R\n");
	rig_sql("DROP ROLE someone");
	assert_inspect("pair R\nu R\n");
}
END_TEST

START_TEST(test_table_replaced_under_its_name)
{
	char expected[100];

	rig_begin();
	rig_inspect();
	snprintf(expected, sizeof(expected), "%s R\nt R\n", rig_sql("SELECT 't'::regclass::oid"));
	rig_sql("DROP TABLE t; CREATE TABLE t (id int PRIMARY KEY, v text)");
	assert_inspect(expected);
	ck_assert_str_eq(rig_source("t"), "wal");
	rig_sql("INSERT INTO t VALUES (1)");
	assert_changes("t I 1.json\n");
}
END_TEST

/* Changes of transactions that are under way when a table comes into the publication are not
 * streamed. */
START_TEST(test_new_table_is_covered_when_older_transactions_have_ended)
{
	PGconn *session = rig_session("postgres");

	rig_begin();
	rig_inspect();
	rig_in(session, "BEGIN; CREATE TABLE early (id int)");
	rig_sql("CREATE TABLE new (id int PRIMARY KEY, v int); INSERT INTO new VALUES (1, 1)");
	assert_inspect("new R\n");
	ck_assert_str_eq(rig_source("new"), "none");
	rig_in(session, "UPDATE new SET v = 2; COMMIT");
	ck_assert_ptr_nonnull(strstr(rig_inspect(), "new R\n"));
	ck_assert_str_eq(rig_source("new"), "wal");
	rig_changes();
	rig_sql("UPDATE new SET v = 3");
	assert_changes("new U 1.json\n");
	PQfinish(session);
}
END_TEST

/* Even if it is back before anybody looked. */
START_TEST(test_table_that_left_the_publication_for_a_moment)
{
	PGconn *session = rig_session("postgres");

	rig_begin();
	rig_inspect();
	rig_in(session, "BEGIN; CREATE TABLE early (id int)");
	rig_sql("ALTER PUBLICATION rowfs DROP TABLE t");
	rig_sql("ALTER PUBLICATION rowfs ADD TABLE t (id)");
	assert_inspect("t R\n");
	ck_assert_str_eq(rig_source("t"), "none");
	rig_in(session, "COMMIT");
	ck_assert_ptr_nonnull(strstr(rig_inspect(), "t R\n"));
	ck_assert_str_eq(rig_source("t"), "wal");
	PQfinish(session);
}
END_TEST

/* What somebody holds is published when he lets go, without a change of the catalog. */
START_TEST(test_table_in_use_is_published_later)
{
	PGconn *session = rig_session("postgres");
	int64_t deadline = clock_monotonic_ms() + 10000;

	rig_begin();
	rig_inspect();
	rig_sql("CREATE TABLE held (id int PRIMARY KEY)");
	rig_in(session, "BEGIN; LOCK TABLE held");
	rig_inspect();
	ck_assert_str_eq(rig_source("held"), "none");
	ck_assert_str_eq(rig_source("t"), "wal");
	rig_in(session, "COMMIT");
	while (strcmp(rig_source("held"), "wal") != 0) {
		rig_inspect();
		ck_assert_int_lt(clock_monotonic_ms(), deadline);
	}
	PQfinish(session);
}
END_TEST

/* Publishing these would make the application's UPDATEs fail. */
START_TEST(test_tables_that_must_not_be_published)
{
	rig_sql("CREATE TABLE nopk (v int); INSERT INTO nopk VALUES (1);"
	        "CREATE TABLE late (id int PRIMARY KEY DEFERRABLE, v int); INSERT INTO late VALUES "
	        "(1, 1);"
	        "CREATE TABLE whole (id int PRIMARY KEY, v int); ALTER TABLE whole REPLICA "
	        "IDENTITY FULL;"
	        "INSERT INTO whole VALUES (1, 1);"
	        "CREATE UNLOGGED TABLE fast (id int PRIMARY KEY)");
	rig_begin();
	ck_assert_str_eq(rig_sql("SELECT string_agg(tablename, ',' ORDER BY tablename)"
	                         " FROM pg_publication_tables"),
	                 "pair,t");
	rig_sql("UPDATE nopk SET v = 2; UPDATE late SET v = 2; UPDATE whole SET v = 2");
	assert_changes("");
	rig_sql("ALTER TABLE t REPLICA IDENTITY FULL");
	rig_inspect();
	rig_sql("UPDATE t SET v = 'z' WHERE id = 1");
	ck_assert_str_eq(rig_source("t"), "none");
	rig_sql("ALTER TABLE t REPLICA IDENTITY DEFAULT");
	rig_inspect();
	ck_assert_str_eq(rig_source("t"), "wal");
	rig_sql("ALTER TABLE t DROP CONSTRAINT t_pkey");
	rig_inspect();
	rig_sql("UPDATE t SET v = 'y' WHERE id = 1");
	ck_assert_str_eq(rig_source("t"), "none");
}
END_TEST

/* A publication that an administrator made is used as it is. */
START_TEST(test_publication_is_adopted)
{
	rig_sql("CREATE TABLE nopk (v int); CREATE TABLE other (id int PRIMARY KEY, k int NOT "
	        "NULL);"
	        "CREATE PUBLICATION rowfs FOR TABLE t, other (id) WHERE (id > 5)"
	        " WITH (publish_via_partition_root = true);"
	        "DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN REPLICATION");
	rig_become("reader");
	rig_begin();
	ck_assert_str_eq(rig_source("t"), "wal");
	ck_assert_str_eq(rig_source("pair"), "none");
	ck_assert_str_eq(rig_source("other"), "none"); /* not all of its rows are told */
	rig_sql("UPDATE t SET v = 'z' WHERE id = 1");
	assert_changes("t U 1.json\n");
	rig_sql("ALTER PUBLICATION rowfs ADD TABLE pair (a, b)");
	rig_inspect();
	/* An old server would forget it again, and this role cannot help; the feed then ends. */
	ck_assert_str_eq(rig_source("pair"), "wal");
}
END_TEST

START_TEST(test_for_all_tables_is_adopted)
{
	rig_sql("CREATE UNLOGGED TABLE nopk (v int); CREATE PUBLICATION rowfs FOR ALL TABLES");
	rig_begin();
	ck_assert_str_eq(rig_source("t"), "wal");
	ck_assert_str_eq(rig_source("nopk"), "none");
	rig_sql("UPDATE t SET v = 'z' WHERE id = 1");
	assert_changes("t U 1.json\n");
}
END_TEST

START_TEST(test_no_source)
{
	rig_sql("DROP ROLE IF EXISTS nobody; CREATE ROLE nobody LOGIN");
	rig_become("nobody");
	ck_assert_int_eq(rig_open(), -EOPNOTSUPP);
	ck_assert_ptr_nonnull(strstr(rig_error.message, "REPLICATION"));
	ck_assert_ptr_nonnull(strstr(rig_error.message, "rowfs sync install"));
	rig_settings.changes = CHANGES_TTL;
	ck_assert_int_eq(rig_open(), -EOPNOTSUPP);
}
END_TEST

/* ---- trouble ---- */

START_TEST(test_wal_sender_killed)
{
	_cleanup_batch_ struct batch batch = {0};
	int r = 0;

	rig_begin();
	rig_sql("SELECT pg_terminate_backend(pid) FROM pg_stat_replication");
	for (int i = 0; i < 50 && r == 0; i++)
		r = feed_next(rig_feed, 100, &batch, &rig_error);
	ck_assert_int_lt(r, 0);
	ck_assert_str_ne(rig_error.message, "");
	rig_close();
	rig_begin();
	rig_sql("UPDATE t SET v = 'z' WHERE id = 1");
	assert_changes("t U 1.json\n");
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
		rig_become("postgres");
		rig_begin();
		(void)!write(ready[1], "x", 1);
		pause();
	}
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	ck_assert_str_eq(rig_sql("SELECT count(*) FROM pg_replication_slots WHERE temporary"), "1");
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	rig_await("0", "SELECT count(*) FROM pg_replication_slots");
	rig_await("0", "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'");
	rig_begin();
}
END_TEST

static long peak_kb(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_maxrss;
}

START_TEST(test_million_rows)
{
	long before;
	int64_t start;

	rig_sql("CREATE TABLE big (id int PRIMARY KEY, v text)");
	rig_begin();
	before = peak_kb();
	rig_sql("INSERT INTO big SELECT i, repeat('x', 100) FROM generate_series(1, 1000000) AS i");
	start = clock_monotonic_ms();
	assert_changes("big R\n");
	fprintf(stderr, "# a million rows: %lld ms after the commit, %ld kB\n",
	        (long long)(clock_monotonic_ms() - start), peak_kb() - before);
	if (!getenv("ROWFS_SANITIZED"))
		ck_assert_int_lt(peak_kb() - before, 20000);
}
END_TEST

/* How soon a commit is known, and what looking at many tables costs; told, not judged. */
START_TEST(test_cost)
{
	_cleanup_batch_ struct batch batch = {0};
	PGconn *session = rig_session("postgres");
	int64_t total_us = 0, start;
	size_t n;
	enum { COMMITS = 200, LOOKS = 50, TABLES = 2000 };

	rig_begin();
	for (int i = 0; i < COMMITS; i++) {
		rig_in(session, "UPDATE t SET v = v WHERE id = 7");
		start = clock_monotonic_us();
		batch_reset(&batch);
		while (batch.n_transactions == 0)
			ck_assert_int_eq(feed_next(rig_feed, 1000, &batch, &rig_error), 0);
		total_us += clock_monotonic_us() - start;
	}
	fprintf(stderr, "# told %lld us after the commit returned\n",
	        (long long)(total_us / COMMITS));
	rig_in(session,
	       "DO $$BEGIN FOR i IN 1..2000 LOOP EXECUTE format('CREATE TABLE m%s"
	       " (a int PRIMARY KEY, b text, c text, d text, e int, f int, g int, h text)', i);"
	       " IF i % 100 = 0 THEN COMMIT; END IF;" /* there is a limit to the locks of a transaction */
	       " END LOOP; END$$");
	start = clock_monotonic_us();
	while (feed_tables(rig_feed, &n) && n < TABLES + 2)
		ck_assert_int_eq(feed_inspect(rig_feed, &batch, &rig_error), 0);
	fprintf(stderr, "# %d new tables covered after %lld ms\n", TABLES,
	        (long long)((clock_monotonic_us() - start) / 1000));
	ck_assert_str_eq(rig_source("m2000"), "wal");
	start = clock_monotonic_us();
	for (int i = 0; i < LOOKS; i++)
		ck_assert_int_eq(feed_inspect(rig_feed, &batch, &rig_error), 0);
	fprintf(stderr, "# feed_inspect, %d tables, nothing new: %lld us\n", TABLES,
	        (long long)((clock_monotonic_us() - start) / LOOKS));
	rig_sql("ALTER TABLE m7 ADD COLUMN i int");
	start = clock_monotonic_us();
	batch_reset(&batch);
	ck_assert_int_eq(feed_inspect(rig_feed, &batch, &rig_error), 0);
	fprintf(stderr, "# feed_inspect, %d tables, one altered: %lld us\n", TABLES,
	        (long long)(clock_monotonic_us() - start));
	ck_assert_uint_eq(batch.n_changes, 1);
	PQfinish(session);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("feed_wal");
	TCase *c = tcase_create("feed_wal"), *large = tcase_create("large");

	tcase_add_checked_fixture(c, setup, rig_teardown);
	tcase_add_test(c, test_rows);
	tcase_add_test(c, test_transactions);
	tcase_add_test(c, test_truncate_cascade);
	tcase_add_test(c, test_long_keys);
	tcase_add_test(c, test_key_text_is_pinned);
	tcase_add_test(c, test_partitions);
	tcase_add_test(c, test_inheritance);
	tcase_add_test(c, test_open_transaction_is_waited_for_and_named);
	tcase_add_test(c, test_closing_while_it_waits);
	tcase_add_test(c, test_one_worker_for_each_redis);
	tcase_add_test(c, test_committed_but_not_visible);
	tcase_add_loop_test(c, test_older_transactions, 0, 4);
	tcase_add_test(c, test_open_transaction_does_not_stop_marks);
	tcase_add_test(c, test_ddl);
	tcase_add_test(c, test_table_replaced_under_its_name);
	tcase_add_test(c, test_new_table_is_covered_when_older_transactions_have_ended);
	tcase_add_test(c, test_table_that_left_the_publication_for_a_moment);
	tcase_add_test(c, test_table_in_use_is_published_later);
	tcase_add_test(c, test_tables_that_must_not_be_published);
	tcase_add_test(c, test_publication_is_adopted);
	tcase_add_test(c, test_for_all_tables_is_adopted);
	tcase_add_test(c, test_no_source);
	tcase_add_test(c, test_wal_sender_killed);
	tcase_add_test(c, test_process_killed);
	tcase_set_timeout(c, 60);
	suite_add_tcase(s, c);

	tcase_add_checked_fixture(large, setup, rig_teardown);
	tcase_add_test(large, test_million_rows);
	tcase_add_test(large, test_cost);
	tcase_set_tags(large, "slow");
	tcase_set_timeout(large, 240);
	suite_add_tcase(s, large);
	return s;
}

int main(void)
{
	return rig_run(suite());
}
