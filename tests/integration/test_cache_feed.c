/* What a mount needs of a feed in Redis, on a real one: proofs of freshness, leases in place of
 * copies of other epochs; and what the documented user may do. */
#include "private_feed.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

/* --- cache_read ------------------------------------------------------------------------------ */

START_TEST(one_command_reads_row_and_proof)
{
	_cleanup_buf_ struct buf got = {0};
	long before;

	begin_feed();
	put("k", "the row");
	ask("CONFIG RESETSTAT");
	ck_assert_int_eq(read_row(&got), CACHE_HIT);
	before = atol(strstr(ask("INFO commandstats"), "mget:calls=") + strlen("mget:calls="));
	ck_assert_int_eq(before, 1);
	ck_assert_ptr_null(strstr(ask("INFO commandstats"), "cmdstat_get:"));
	ck_assert_str_eq(got.data, "the row");
	proof_is(EPOCH, TABLE_EPOCH, true);
}
END_TEST

START_TEST(the_proof_comes_with_misses_and_leases)
{
	char token[CACHE_TOKEN_SIZE];

	begin_feed();
	ck_assert_int_eq(read_row(&(struct buf){0}), CACHE_MISS);
	proof_is(EPOCH, TABLE_EPOCH, true);
	ck_assert(lease("k", token));
	proof = (struct cache_proof){0};
	ck_assert_int_eq(read_row(&(struct buf){0}), CACHE_BUSY);
	proof_is(EPOCH, TABLE_EPOCH, true);
	proof = (struct cache_proof){0};
	ck_assert_int_eq(read_nothing(), CACHE_MISS);
	proof_is(EPOCH, TABLE_EPOCH, true);
	ck_assert_int_eq(cache_read(cache, TABLE + 1, "k", 1, &proof, &(struct buf){0}),
	                 CACHE_BUSY);
	proof_is(EPOCH, "", false);
}
END_TEST

/* What may stand in the keys of the feed (NULL: nothing), and what a reader must make of it. */
static const struct {
	const char *key, *value;
	const char *epoch, *table;
} spoiled[] = {
        {P ":hb", NULL, EPOCH, TABLE_EPOCH},
        {P ":epoch", NULL, "", TABLE_EPOCH},
        {P ":t:16385", NULL, EPOCH, ""},
        {P ":epoch", LATER, LATER, TABLE_EPOCH},
        {P ":epoch", "", "", TABLE_EPOCH},
        {P ":epoch", "0/16B3748:00c0ffee", "", TABLE_EPOCH},
        {P ":epoch", EPOCH " ", "", TABLE_EPOCH},
        {P ":epoch", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "",
         TABLE_EPOCH},
        {P ":t:16385", "", EPOCH, ""},
        {P ":t:16385", "no epoch", EPOCH, ""},
        {P ":t:16385", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", EPOCH,
         ""},
        {P ":hb", "", EPOCH, TABLE_EPOCH},
        {P ":hb", EPOCH, EPOCH, TABLE_EPOCH},
        {P ":hb", EPOCH ":", EPOCH, TABLE_EPOCH},
        {P ":hb", EPOCH ":x", EPOCH, TABLE_EPOCH},
        {P ":hb", EPOCH ":-1", EPOCH, TABLE_EPOCH},
        {P ":hb", EPOCH ":7 ", EPOCH, TABLE_EPOCH},
        {P ":hb", EPOCH "0:7", EPOCH, TABLE_EPOCH},
        {P ":hb", EPOCH ":123456789012345678901", EPOCH, TABLE_EPOCH},
        {P ":hb", LATER ":7", EPOCH, TABLE_EPOCH},
        {P ":hb", ":7", EPOCH, TABLE_EPOCH},
};

START_TEST(a_proof_that_is_not_whole)
{
	const char *value = spoiled[_i].value;
	_cleanup_buf_ struct buf got = {0};

	begin_feed();
	put("k", "v");
	if (value)
		ask("SET %s %b", spoiled[_i].key, value, strlen(value));
	else
		ask("DEL %s", spoiled[_i].key);
	ck_assert_int_eq(read_row(&got), CACHE_HIT);
	proof_is(spoiled[_i].epoch, spoiled[_i].table, false);
}
END_TEST

static const char *const feed_keys[] = {P ":hb", P ":epoch", P ":t:16385"};

START_TEST(another_type_in_the_feeds_keys)
{
	begin_feed();
	ask("DEL %s", feed_keys[_i]);
	ask("LPUSH %s x", feed_keys[_i]);
	ck_assert_int_eq(read_nothing(), CACHE_MISS);
	proof_is(_i == 1 ? "" : EPOCH, _i == 2 ? "" : TABLE_EPOCH, false);
	ck_assert_uint_eq(counted(COUNTER_cache_garbage), 0);
	/* The worker writes over it. */
	if (_i == 1)
		ck_assert_int_eq(beat_for(1000), 0);
	begin_feed();
	ck_assert_int_eq(read_nothing(), CACHE_MISS);
	proof_is(EPOCH, TABLE_EPOCH, true);
}
END_TEST

/* What was right is followed by a NUL and 100 kB more. */
START_TEST(a_tail_in_the_feeds_keys)
{
	_cleanup_buf_ struct buf got = {0};

	begin_feed();
	put("k", "v");
	ask("APPEND %s %b", feed_keys[_i], "", (size_t)1);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(read_row(&got), CACHE_HIT);
		proof_is(_i == 1 ? "" : EPOCH, _i == 2 ? "" : TABLE_EPOCH, false);
		ask("SETRANGE %s 100000 7", feed_keys[_i]);
	}
}
END_TEST

START_TEST(megabytes_in_the_feeds_keys)
{
	size_t len = 8 << 20;
	_cleanup_free_ char *value = calloc(1, len);

	begin_feed();
	put("k", "v");
	ask("SET %s %b", feed_keys[_i], value, len);
	/* On a busy machine its first megabyte may come too late. */
	while (read_row(&(struct buf){0}) != CACHE_MISS)
		becomes_reachable();
	proof_is("", "", false);
	begin_feed();
	ck_assert_int_eq(read_nothing(), CACHE_MISS);
	proof_is(EPOCH, TABLE_EPOCH, true);
}
END_TEST

START_TEST(a_row_of_many_megabytes_is_garbage_and_goes)
{
	size_t len = 8 << 20;
	_cleanup_free_ char *value = calloc(1, len);

	begin_feed();
	ask("SET " P ":k %b", value, len);
	while (read_row(&(struct buf){0}) != CACHE_MISS)
		becomes_reachable();
	proof_is("", "", false);
	ck_assert_uint_eq(counted(COUNTER_cache_garbage), 1);
	ck_assert_int_eq(read_row(&(struct buf){0}), CACHE_MISS);
	proof_is(EPOCH, TABLE_EPOCH, true);
}
END_TEST

START_TEST(a_row_of_a_megabyte)
{
	size_t len = CACHE_VALUE_MAX;
	_cleanup_free_ char *value = malloc(len);
	_cleanup_buf_ struct buf got = {0};
	char token[CACHE_TOKEN_SIZE];
	enum cache_answer answer;

	begin_feed();
	for (size_t i = 0; i < len; i++)
		value[i] = (char)(i * 31);
	ck_assert(lease_if_not(EPOCH, token));
	cache_fill(cache, 0, "k", 1, token, value, len, 60000);
	while ((answer = read_row(&got)) == CACHE_DOWN)
		becomes_reachable();
	ck_assert_int_eq(answer, CACHE_HIT);
	proof_is(EPOCH, TABLE_EPOCH, true);
	ck_assert_uint_eq(got.len, len);
	ck_assert_mem_eq(got.data, value, len);
}
END_TEST

START_TEST(none_proves_nothing)
{
	struct broker *no_broker = NULL;
	struct subscription *no_subscription = NULL;

	close_cache();
	open_cache("none");
	ck_assert_int_eq(read_row(&(struct buf){0}), CACHE_MISS);
	proof_is("", "", false);
	ck_assert_int_lt(cache_time_us(cache), 0);
	ck_assert(!cache_worker_note(cache, &(struct buf){0}));
	ck_assert_int_eq(broker_open(cache, &no_broker, &error), -EOPNOTSUPP);
	ck_assert_int_eq(subscription_open(cache, &no_subscription, &error), -EOPNOTSUPP);
	ck_assert_ptr_null(no_broker);
	ck_assert_ptr_null(no_subscription);
}
END_TEST

/* --- cache_lease ----------------------------------------------------------------------------- */

START_TEST(a_lease_takes_the_place_of_other_epochs)
{
	struct buf bad = {.data = (char *)"e2 damaged", .len = 10};
	char token[CACHE_TOKEN_SIZE], other[CACHE_TOKEN_SIZE];

	ck_assert(lease_if_not("e2 ", token));
	ck_assert(!lease_if_not("e2 ", other));
	ck_assert(!lease_if_not("e3 ", other));
	ck_assert(!cache_lease(cache, "k", 1, &(struct buf){.data = token, .len = strlen(token)},
	                       "e2 ", other));
	fill("k", token, "e2 the row");
	ck_assert(!lease_if_not("e2 ", token));
	ck_assert(!lease_if_not("", token));
	ck_assert(lease_if_not("e3 ", token));
	ck_assert_int_le(atoll(ask("PTTL " P ":k")), CACHE_LEASE_MS);
	ask("SET " P ":k e2");
	ck_assert(lease_if_not("e2 ", token));
	ask("SET " P ":k %b", bad.data, bad.len);
	ck_assert(!lease_if_not("e2 ", token));
	/* What counts and has no end is pinned. */
	ck_assert(!cache_lease(cache, "k", 1, &bad, "e2 ", token));
	ask("SET " P ":k %b PX 60000", bad.data, bad.len);
	ck_assert(cache_lease(cache, "k", 1, &bad, "e2 ", token));
	fill("k", token, "e2 the row");
	holds("k", "e2 the row");
	/* What is damaged goes whatever it begins with. */
	ask("SET " P ":k %b", bad.data, bad.len);
	ck_assert(cache_lease(cache, "k", 1, &bad, NULL, token));
	fill("k", token, "e2 the row");
	holds("k", "e2 the row");
	ck_assert_uint_eq(counted(COUNTER_cache_garbage), 0);
	ck_assert_uint_eq(counted(COUNTER_cache_errors), 0);
}
END_TEST

START_TEST(a_lease_takes_the_place_of_another_type)
{
	char token[CACHE_TOKEN_SIZE];

	begin_feed();
	ask("LPUSH " P ":k a b");
	ck_assert_int_eq(read_row(&(struct buf){0}), CACHE_MISS);
	ck_assert(lease_if_not(EPOCH, token));
	ck_assert_uint_eq(counted(COUNTER_cache_garbage), 1);
	fill("k", token, "v");
	holds("k", "v");
	ck_assert_uint_eq(counted(COUNTER_cache_errors), 0);
}
END_TEST

START_TEST(a_lease_is_one_round_trip)
{
	char token[CACHE_TOKEN_SIZE];

	ck_assert(lease_if_not(EPOCH, token));
	drop("k");
	ask("CONFIG RESETSTAT");
	ck_assert(lease_if_not(EPOCH, token));
	ck_assert_ptr_nonnull(strstr(ask("INFO commandstats"), "cmdstat_evalsha:calls=1,"));
	ask("SCRIPT FLUSH");
	drop("k");
	ck_assert(lease_if_not(EPOCH, token));
	ck_assert_uint_eq(counted(COUNTER_cache_errors), 0);
}
END_TEST

/* --- Time and note --------------------------------------------------------------------------- */

START_TEST(redis_clock)
{
	int64_t before = clock_us(CLOCK_REALTIME), here = redis_now(), there = cache_time_us(cache);

	ck_assert_int_ge(here, before);
	ck_assert_int_ge(there, here);
	ck_assert_int_le(there, clock_us(CLOCK_REALTIME));
}
END_TEST

START_TEST(a_note_goes_by_itself)
{
	struct buf note = {.data = (char *)"wal\0 lag=0", .len = 10};
	_cleanup_buf_ struct buf got = {0};
	int64_t end = clock_monotonic_ms() + START_MS;

	ck_assert(!cache_worker_note(cache, &got));
	ck_assert_int_eq(broker_note(broker, &note, 60000, &error), 0);
	ck_assert(cache_worker_note(cache, &got));
	ck_assert_uint_eq(got.len, note.len);
	ck_assert_mem_eq(got.data, note.data, note.len);
	ck_assert_int_eq(broker_note(broker, &note, 50, &error), 0);
	while (cache_worker_note(cache, &got) && clock_monotonic_ms() < end)
		poll(NULL, 0, 5);
	ck_assert(!cache_worker_note(cache, &got));
}
END_TEST

/* --- Who may --------------------------------------------------------------------------------- */

/* This test's own connection goes on as somebody who may do all. */
static void restrict_default(void)
{
	ask("ACL SETUSER admin on >sesame allkeys allchannels allcommands");
	ck_assert_str_eq(ask("AUTH admin sesame"), "OK");
	allow("default", "nopass", documented_rights("rowfs"));
}

/* The documented user can do all of it. */
START_TEST(least_privilege)
{
	struct buf some = {.data = (char *)"k", .len = 2};
	_cleanup_buf_ struct buf got = {0};
	struct subscription *subscription;
	char token[CACHE_TOKEN_SIZE], id[BROKER_ID_SIZE];
	size_t found;

	restrict_default();
	reopen();
	subscription = subscribe();
	begin_feed();
	ck_assert_int_eq(broker_id(broker, id, &error), 0);
	ck_assert_int_eq(broker_count_tables(broker, &(uint32_t){TABLE}, 1, &found, &error), 0);
	ck_assert_uint_eq(found, 1);
	ck_assert(lease_if_not(EPOCH, token));
	fill("k", token, "v");
	ck_assert_int_eq(read_row(&got), CACHE_HIT);
	ck_assert_int_gt(cache_time_us(cache), 0);
	ck_assert_int_eq(broker_drop(broker, &some, 1, &error), 0);
	ck_assert_int_eq(read_row(&got), CACHE_MISS);
	ck_assert_int_eq(broker_note(broker, &some, 1000, &error), 0);
	ck_assert(cache_worker_note(cache, &got));
	ck_assert_int_eq(set_table(NULL), 0);
	publish("x", 1);
	hears(subscription, "x", 1);
	/* It needs its PING too. */
	ck_assert_int_eq(subscription_next(subscription, 2200, &got, &error), 0);
	ck_assert_uint_eq(counted(COUNTER_cache_errors), 0);
	subscription_close(subscription);
}
END_TEST

static const char *const beyond[] = {
        "GET other",
        "SET other x",
        "PUBLISH other x",
        "SUBSCRIBE other",
        "KEYS *",
        "CONFIG GET port",
        "FLUSHALL",
        "DEL " P ":k",
        "DBSIZE",
        "SCRIPT FLUSH",
        "MGET " P ":k other",
        "MSET other x",
        "ACL LIST",
        "CLIENT LIST",
        "SCAN 0",
        "UNLINK other",
};

/* … and nothing else. */
START_TEST(no_more_privilege)
{
	restrict_default();
	ask("AUTH default any");
	ck_assert_msg(strncmp(ask(beyond[_i]), "NOPERM", 6) == 0, "%s: %s", beyond[_i],
	              ask(beyond[_i]));
}
END_TEST

static int use_mget(void)
{
	size_t found;

	return broker_count_tables(broker, &(uint32_t){TABLE}, 1, &found, &error);
}

static int use_mset(void)
{
	return set_table(EPOCH);
}

static int use_unlink(void)
{
	return set_table(NULL);
}

static int use_eval(void)
{
	char id[BROKER_ID_SIZE];

	return broker_id(broker, id, &error);
}

static int use_beat(void)
{
	return broker_beat(broker, EPOCH, 1, 0, &error);
}

static int use_begin(void)
{
	return broker_begin_epoch(broker, EPOCH, &error);
}

static int use_clock_in_beat(void)
{
	return use_begin() < 0 ? 0 : use_beat();
}

static int use_time(void)
{
	int64_t now;

	return broker_time_us(broker, &now, &error);
}

static int use_publish(void)
{
	return broker_publish(broker, &(struct buf){0}, &error);
}

static int use_subscribe(void)
{
	struct subscription *subscription = NULL;
	int r = subscription_open(cache, &subscription, &error);

	subscription_close(subscription);
	return r;
}

static int use_ping(void)
{
	struct broker *other = NULL;
	int r = broker_open(cache, &other, &error);

	broker_close(other);
	return r;
}

static const struct {
	const char *without;
	int (*use)(void);
} permissions[] = {
        {"-mget", use_mget},
        {"-mset", use_mset},
        {"-unlink", use_unlink},
        {"-eval", use_eval},
        {"-get", use_beat},
        {"-get", use_eval},
        {"-set", use_begin},
        {"-time", use_time},
        {"-time", use_clock_in_beat},
        {"-publish", use_publish},
        {"resetchannels", use_publish},
        {"-subscribe", use_subscribe},
        {"resetchannels", use_subscribe},
        {"-ping", use_ping},
        {"resetkeys", use_mset},
};

/* Every command of the rules is needed by something, which fails without it and says so. */
START_TEST(without_permission)
{
	restrict_default();
	reopen();
	ck_assert_int_ge(permissions[_i].use(), 0);
	ck_assert_str_eq(ask("ACL SETUSER default %s", permissions[_i].without), "OK");
	if (permissions[_i].use != use_ping)
		reopen();
	ck_assert_msg(permissions[_i].use() == -EACCES, "%s: %s", permissions[_i].without,
	              error.message);
}
END_TEST

static void add_proof(TCase *tcase)
{
	tcase_add_test(tcase, one_command_reads_row_and_proof);
	tcase_add_test(tcase, the_proof_comes_with_misses_and_leases);
	tcase_add_loop_test(tcase, a_proof_that_is_not_whole, 0,
	                    sizeof(spoiled) / sizeof(*spoiled));
	tcase_add_loop_test(tcase, another_type_in_the_feeds_keys, 0, 3);
	tcase_add_loop_test(tcase, a_tail_in_the_feeds_keys, 0, 3);
	tcase_add_loop_test(tcase, megabytes_in_the_feeds_keys, 0, 3);
	tcase_add_test(tcase, a_row_of_many_megabytes_is_garbage_and_goes);
	tcase_add_test(tcase, a_row_of_a_megabyte);
	tcase_add_test(tcase, none_proves_nothing);
	tcase_add_test(tcase, a_lease_takes_the_place_of_other_epochs);
	tcase_add_test(tcase, a_lease_takes_the_place_of_another_type);
	tcase_add_test(tcase, a_lease_is_one_round_trip);
	tcase_add_test(tcase, redis_clock);
	tcase_add_test(tcase, a_note_goes_by_itself);
}

static void add_permissions(TCase *tcase)
{
	tcase_add_test(tcase, least_privilege);
	tcase_add_loop_test(tcase, no_more_privilege, 0, sizeof(beyond) / sizeof(*beyond));
	tcase_add_loop_test(tcase, without_permission, 0,
	                    sizeof(permissions) / sizeof(*permissions));
}

int main(void)
{
	Suite *suite = suite_create("cache_feed");

	feed_case(suite, "proof", add_proof);
	feed_case(suite, "permissions", add_permissions);
	return redis_suite_run(suite);
}
