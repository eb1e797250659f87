/* The broker of broker.h on a real Redis, also one that is full, stopped, killed, locked or a
 * replica. */
#include "private_feed.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>

START_TEST(one_name_as_long_as_the_data_lasts)
{
	char first[BROKER_ID_SIZE], again[BROKER_ID_SIZE];

	ck_assert_int_eq(broker_id(broker, first, &error), 0);
	ck_assert_uint_eq(strlen(first), 32);
	ck_assert_int_eq(broker_id(broker, again, &error), 0);
	ck_assert_str_eq(again, first);
	reopen();
	ck_assert_int_eq(broker_id(broker, again, &error), 0);
	ck_assert_str_eq(again, first);
	ask("FLUSHALL");
	ck_assert_int_eq(broker_id(broker, again, &error), 0);
	ck_assert_str_ne(again, first);
	broker_close(broker);
	broker = NULL;
	server_end(SIGKILL);
	server_start(NULL);
	ck_assert_int_eq(broker_open(cache, &broker, &error), 0);
	ck_assert_int_eq(broker_id(broker, first, &error), 0);
	ck_assert_str_ne(again, first);
}
END_TEST

static const char *const bad_ids[] = {"SET " P ":id nonsense!",
                                      "SET " P ":id 0123456789012345678901234567890123456789",
                                      "LPUSH " P ":id x"};

START_TEST(a_name_that_no_broker_made_is_replaced)
{
	char id[BROKER_ID_SIZE], again[BROKER_ID_SIZE];

	ask(bad_ids[_i]);
	ck_assert_msg(broker_id(broker, id, &error) == 0, "%s", error.message);
	ck_assert_uint_eq(strlen(id), 32);
	ck_assert_int_eq(broker_id(broker, again, &error), 0);
	ck_assert_str_eq(again, id);
}
END_TEST

START_TEST(what_names_the_feed_stays)
{
	char id[BROKER_ID_SIZE];

	ask("SET " P ":epoch x PX 60000");
	begin_feed();
	ck_assert_int_eq(broker_id(broker, id, &error), 0);
	ck_assert_str_eq(ask("PTTL " P ":epoch"), "-1");
	ck_assert_str_eq(ask("PTTL " P ":t:16385"), "-1");
	ck_assert_str_eq(ask("PTTL " P ":id"), "-1");
	ck_assert_int_gt(atoll(ask("PTTL " P ":hb")), 0);
	ck_assert_str_eq(ask("GET " P ":hb"), EPOCH ":7");
	ck_assert_str_eq(ask("DBSIZE"), "4");
}
END_TEST

START_TEST(a_heartbeat_ends_at_its_deadline)
{
	int64_t deadline, now;

	begin_feed();
	/* Redis' own deadlines are whole milliseconds. */
	deadline = redis_now() / 1000 * 1000 + 200000;
	ck_assert_int_eq(broker_beat(broker, EPOCH, UINT64_MAX, deadline, &error), 1);
	ck_assert_str_eq(ask("GET " P ":hb"), EPOCH ":18446744073709551615");
	do {
		now = cache_time_us(cache);
		ck_assert_int_eq(read_nothing(), CACHE_MISS);
		ck_assert(!proof.fresh || now <= deadline);
	} while (proof.fresh);
	ck_assert_int_ge(redis_now(), deadline - 1000);
	proof_is(EPOCH, TABLE_EPOCH, false);
}
END_TEST

/* The worker was paused between its clock and its heartbeat. */
START_TEST(a_deadline_that_is_past_sets_nothing)
{
	ck_assert_int_eq(broker_begin_epoch(broker, EPOCH, &error), 0);
	ck_assert_int_eq(beat_for(-1), 1);
	ck_assert_int_eq(beat_for(-100000), 1);
	ck_assert_int_eq(broker_beat(broker, EPOCH, 7, 0, &error), 1);
	ck_assert_int_eq(broker_beat(broker, EPOCH, 7, -5000000, &error), 1);
	ck_assert_str_eq(ask("EXISTS " P ":hb"), "0");
	ck_assert_int_eq(beat_for(60000), 1);
	ck_assert_int_eq(beat_for(-1), 1);
	ck_assert_str_eq(ask("GET " P ":hb"), EPOCH ":7");
}
END_TEST

START_TEST(a_worker_whose_epoch_is_gone_beats_no_more)
{
	begin_feed();
	ck_assert_int_eq(broker_begin_epoch(broker, LATER, &error), 0);
	ck_assert_str_eq(ask("EXISTS " P ":hb"), "0");
	ck_assert_int_eq(beat_for(1000), 0);
	ck_assert_str_eq(ask("EXISTS " P ":hb"), "0");
	ck_assert_int_eq(read_nothing(), CACHE_MISS);
	proof_is(LATER, TABLE_EPOCH, false);
	ask("FLUSHALL");
	ck_assert_int_eq(beat_for(1000), 0);
	ck_assert_int_eq(broker_beat(broker, LATER, 1, redis_now() + 1000000, &error), 0);
	ck_assert_int_eq(read_nothing(), CACHE_MISS);
	proof_is("", "", false);
	begin_feed();
	ck_assert_int_eq(read_nothing(), CACHE_MISS);
	proof_is(EPOCH, TABLE_EPOCH, true);
}
END_TEST

START_TEST(tables_by_the_thousand)
{
	enum { N = 3001 };
	uint32_t relations[N];
	size_t found = 99;
	char key[64];

	for (uint32_t i = 0; i < N; i++)
		relations[i] = UINT32_MAX - i;
	ck_assert_int_eq(broker_count_tables(broker, relations, N, &found, &error), 0);
	ck_assert_uint_eq(found, 0);
	ck_assert_int_eq(broker_set_tables(broker, relations, N, EPOCH, &error), 0);
	ck_assert_int_eq(broker_set_tables(broker, relations, 0, LATER, &error), 0);
	ck_assert_str_eq(ask("DBSIZE"), "3001");
	for (uint32_t i = 0; i < N; i++) {
		snprintf(key, sizeof(key), P ":t:%u", relations[i]);
		ck_assert_str_eq(ask("GET %s", key), EPOCH);
	}
	ck_assert_int_eq(broker_count_tables(broker, relations, N, &found, &error), 0);
	ck_assert_uint_eq(found, N);
	/* One that no reader would accept is none. */
	ask("SET %s garbage", key);
	ask("DEL " P ":t:4294967295");
	ask("LPUSH " P ":t:4294967295 x");
	ck_assert_int_eq(broker_count_tables(broker, relations, N, &found, &error), 0);
	ck_assert_uint_eq(found, N - 2);
	ck_assert_int_eq(broker_set_tables(broker, relations + 1, N - 1, NULL, &error), 0);
	ck_assert_str_eq(ask("DBSIZE"), "1");
}
END_TEST

START_TEST(drops_take_copies_and_leases)
{
	static const char keys[] = "r:1:a\0r:1:\xff\r\n\0r:1:absent";
	struct buf list = {.data = (char *)keys, .len = sizeof(keys)};
	char token[CACHE_TOKEN_SIZE];

	put("r:1:a", "v");
	ck_assert(lease("r:1:\xff\r\n", token));
	put("r:1:b", "stays");
	ck_assert_int_eq(broker_drop(broker, &list, 3, &error), 0);
	ck_assert_str_eq(ask("DBSIZE"), "1");
	fill("r:1:\xff\r\n", token, "from before the drop");
	holds("r:1:b", "stays");
	ck_assert_str_eq(ask("DBSIZE"), "1");
	ck_assert_int_eq(broker_drop(broker, &(struct buf){0}, 0, &error), 0);
}
END_TEST

static void list_keys(struct buf *keys, int n)
{
	for (int i = 0; i < n; i++) {
		buf_addf(keys, "r:16385:%d", i);
		buf_addc(keys, '\0');
	}
	ck_assert(!keys->failed);
}

static long peak_kib(void)
{
	struct rusage usage;

	ck_assert_int_eq(getrusage(RUSAGE_SELF, &usage), 0);
	return usage.ru_maxrss;
}

/* A sanitizer keeps what was freed for a while. */
#ifdef __SANITIZE_ADDRESS__
enum { MORE_KIB = 65536 };
#else
enum { MORE_KIB = 2048 };
#endif

START_TEST(a_hundred_thousand_drops)
{
	enum { N = 100000 };
	_cleanup_buf_ struct buf keys = {0};
	const char *times = getenv("ROWFS_TEST_TIMES");
	int64_t start;
	long peak;

	ask("EVAL %s 0 %d",
	    "for i = 0, ARGV[1] - 1 do "
	    "redis.call('SET', '" P ":r:16385:' .. i, 'v') end",
	    N);
	ask("SET other v");
	ck_assert_int_eq(atoi(ask("DBSIZE")), N + 1);
	list_keys(&keys, N);
	peak = peak_kib();
	start = clock_monotonic_us();
	ck_assert_msg(broker_drop(broker, &keys, N, &error) == 0, "%s", error.message);
	if (times)
		fprintf(stderr, "drop of %d keys: %jd us\n", N,
		        (intmax_t)(clock_monotonic_us() - start));
	/* As one command they would be 3.6 MB. */
	ck_assert_int_lt(peak_kib() - peak, MORE_KIB);
	ck_assert_str_eq(ask("DBSIZE"), "1");
}
END_TEST

/* --- The broker in trouble ------------------------------------------------------------------- */

/* After any failure every call fails, whatever Redis is like by then. */
static void broker_is_done_for(void)
{
	struct buf some = {.data = (char *)"x", .len = 2};
	char id[BROKER_ID_SIZE];
	size_t found;
	int64_t now;

	ck_assert_int_eq(broker_time_us(broker, &now, &error), -ENOTCONN);
	ck_assert_int_eq(broker_id(broker, id, &error), -ENOTCONN);
	ck_assert_int_eq(broker_drop(broker, &some, 1, &error), -ENOTCONN);
	ck_assert_int_eq(broker_begin_epoch(broker, EPOCH, &error), -ENOTCONN);
	ck_assert_int_eq(set_table(EPOCH), -ENOTCONN);
	ck_assert_int_eq(broker_count_tables(broker, NULL, 0, &found, &error), -ENOTCONN);
	ck_assert_int_eq(broker_beat(broker, EPOCH, 1, INT64_MAX, &error), -ENOTCONN);
	ck_assert_int_eq(broker_publish(broker, &some, &error), -ENOTCONN);
	ck_assert_int_eq(broker_note(broker, &some, 1000, &error), -ENOTCONN);
	ck_assert_str_ne(error.message, "");
}

START_TEST(a_full_redis)
{
	struct buf some = {.data = (char *)"x", .len = 2};
	char id[BROKER_ID_SIZE];

	begin_feed();
	put("x", "v");
	ask("CONFIG SET maxmemory-policy noeviction");
	ask("CONFIG SET maxmemory 1");
	ck_assert_int_eq(set_table(LATER), -ENOSPC);
	ck_assert_ptr_nonnull(strstr(error.message, "OOM"));
	ck_assert_ptr_nonnull(strstr(error.message, address));
	broker_is_done_for();
	reopen();
	ck_assert_int_eq(beat_for(1000), -ENOSPC);
	reopen();
	ck_assert_int_eq(broker_note(broker, &some, 1000, &error), -ENOSPC);
	reopen();
	ck_assert_int_eq(broker_id(broker, id, &error), -ENOSPC);
	reopen();
	/* What makes room, what takes none, and what only passes through, goes on. */
	ck_assert_int_eq(broker_begin_epoch(broker, LATER, &error), 0);
	ck_assert_int_eq(broker_drop(broker, &some, 1, &error), 0);
	ck_assert_int_eq(broker_publish(broker, &some, &error), 0);
	ck_assert_str_eq(ask("EXISTS " P ":x"), "0");
}
END_TEST

START_TEST(a_stopped_redis)
{
	_cleanup_buf_ struct buf keys = {0};
	int64_t start, took, now;

	begin_feed();
	list_keys(&keys, 20000);
	kill(server, SIGSTOP);
	start = clock_monotonic_ms();
	ck_assert_int_eq(read_row(&(struct buf){0}), CACHE_DOWN);
	took = clock_monotonic_ms() - start;
	ck_assert_int_le(took, CACHE_TIMEOUT_MS + SLACK_MS);
	proof_is("", "", false);
	start = clock_monotonic_ms();
	ck_assert_int_eq(_i ? broker_drop(broker, &keys, 20000, &error)
	                    : broker_time_us(broker, &now, &error),
	                 -ETIMEDOUT);
	took = clock_monotonic_ms() - start;
	ck_assert_int_ge(took, BROKER_TIMEOUT_MS - 1);
	ck_assert_int_le(took, BROKER_TIMEOUT_MS + SLACK_MS);
	ck_assert_ptr_nonnull(strstr(error.message, "500 ms"));
	broker_is_done_for();
	start = clock_monotonic_ms();
	broker_close(broker);
	broker = NULL;
	ck_assert_int_lt(broker_open(cache, &broker, &error), 0);
	ck_assert_int_le(clock_monotonic_ms() - start, BROKER_TIMEOUT_MS + SLACK_MS);
	ck_assert_ptr_null(broker);
	kill(server, SIGCONT);
	becomes_reachable();
	ck_assert_int_eq(broker_open(cache, &broker, &error), 0);
	begin_feed();
}
END_TEST

START_TEST(a_killed_redis)
{
	int64_t now;

	begin_feed();
	server_end(SIGKILL);
	ck_assert_int_lt(broker_time_us(broker, &now, &error), 0);
	ck_assert_ptr_nonnull(strstr(error.message, address));
	server_start(NULL);
	broker_is_done_for();
}
END_TEST

START_TEST(a_redis_that_wants_a_password)
{
	struct subscription *subscription = NULL;
	int64_t now;

	ask("CONFIG SET requirepass sesame");
	/* Who is in stays in. */
	ck_assert_int_eq(broker_time_us(broker, &now, &error), 0);
	broker_close(broker);
	broker = NULL;
	ck_assert_int_eq(broker_open(cache, &broker, &error), -EACCES);
	ck_assert_ptr_nonnull(strstr(error.message, "password"));
	ck_assert_int_eq(subscription_open(cache, &subscription, &error), -EACCES);
	ck_assert_ptr_null(subscription);
}
END_TEST

START_TEST(a_replica_takes_no_writes)
{
	begin_feed();
	ask("REPLICAOF localhost 1");
	ck_assert_int_eq(broker_begin_epoch(broker, LATER, &error), -EROFS);
	ck_assert_ptr_nonnull(strstr(error.message, "READONLY"));
	broker_is_done_for();
}
END_TEST

static void add_broker(TCase *tcase)
{
	tcase_add_test(tcase, one_name_as_long_as_the_data_lasts);
	tcase_add_loop_test(tcase, a_name_that_no_broker_made_is_replaced, 0,
	                    sizeof(bad_ids) / sizeof(*bad_ids));
	tcase_add_test(tcase, what_names_the_feed_stays);
	tcase_add_test(tcase, a_heartbeat_ends_at_its_deadline);
	tcase_add_test(tcase, a_deadline_that_is_past_sets_nothing);
	tcase_add_test(tcase, a_worker_whose_epoch_is_gone_beats_no_more);
	tcase_add_test(tcase, tables_by_the_thousand);
	tcase_add_test(tcase, drops_take_copies_and_leases);
	tcase_add_test(tcase, a_hundred_thousand_drops);
	tcase_add_test(tcase, a_full_redis);
	tcase_add_loop_test(tcase, a_stopped_redis, 0, 2);
	tcase_add_test(tcase, a_killed_redis);
	tcase_add_test(tcase, a_redis_that_wants_a_password);
	tcase_add_test(tcase, a_replica_takes_no_writes);
}

int main(void)
{
	Suite *suite = suite_create("cache_broker");

	feed_case(suite, "broker", add_broker);
	return redis_suite_run(suite);
}
