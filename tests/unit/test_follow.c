/* A mount that hears the feed, on a clock that stands until a test moves it. The worker is the test, which publishes by hand. */
#include "rowfs/engine/follow.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "events.h"
#include "fake_broker.h"
#include "fake_cache.h"
#include "fake_kernel.h"
#include "fake_redis.h"
#include "rowfs/base/counters.h"
#include "suite.h"

enum { ITEMS = 16388, OTHERS = 16401 };

/* Redis' time when a test begins, this machine's, and how long a heartbeat lasts: max_staleness, of which a twentieth is the
 * margin. */
#define T0     INT64_C(1763805200000000)
#define LOCAL0 INT64_C(5000000000)
enum { LIFE_US = 1000000, MARGIN_US = 50000 };

/* --- The clock ------------------------------------------------------------------------------- */

int __real_clock_gettime(clockid_t id, struct timespec *ret);
int __wrap_clock_gettime(clockid_t id, struct timespec *ret);

static _Atomic int64_t local_us;

/* The program is linked with --wrap=clock_gettime. Only the clock that deadlines are counted on stands. */
int __wrap_clock_gettime(clockid_t id, struct timespec *ret)
{
	if (id != CLOCK_BOOTTIME)
		return __real_clock_gettime(id, ret);
	ret->tv_sec = local_us / 1000000;
	ret->tv_nsec = local_us % 1000000 * 1000;
	return 0;
}

/* Both clocks stand at this time after the test's beginning; the thread has seen it when this returns. */
static void set_clocks(int64_t us)
{
	fake_redis_clock(T0 + us);
	local_us = LOCAL0 + us;
	fake_publish_poke();
}

/* --- The mount ------------------------------------------------------------------------------- */

static struct settings settings = {.max_staleness = 1};
static struct marks *marks;
static struct follow *follow;

static void prepare(void)
{
	local_us = LOCAL0;
	fake_redis_clock(T0);
	ck_assert_int_eq(marks_new(&marks), 0);
	ck_assert_int_eq(follow_new(&settings, fake_cache(), marks, &follow), 0);
}

static void setup(void)
{
	prepare();
	ck_assert_int_eq(follow_start(follow), 0);
	fake_publish_settle();
	events_take();
}

static void teardown(void)
{
	fake_kernel_on(NULL, NULL);
	fake_cache_on(NULL, NULL);
	follow_free(follow);
	marks_free(marks);
}

static void say(const char *message)
{
	fake_publish(message);
	fake_publish_settle();
}

/* A heartbeat of that number, which lasts until `us` after the test's beginning. */
static void beat(const char *epoch, unsigned number, int64_t us)
{
	char message[128];

	snprintf(message, sizeof message, "%s %u\nh %lld\n", epoch, number, (long long)(T0 + us));
	say(message);
}

/* The first message of an epoch, and a heartbeat. */
static void go_live(void)
{
	say("aa 1\ne\n");
	beat("aa", 2, LIFE_US);
	ck_assert(follow_live(follow));
	events_take();
}

static void check_events(const char *want)
{
	ck_assert_str_eq(events_take(), want);
}

/* All that was held counts as changed since that number. */
static bool all_touched(uint64_t since)
{
	return marks_touched(marks, 7, "never named.json", since);
}

/* --- Becoming live --------------------------------------------------------------------------- */

START_TEST(one_that_was_not_started_is_never_live)
{
	struct follow_status status;

	ck_assert(!follow_live(follow));
	ck_assert(!follow_hears(follow, ""));
	ck_assert(!follow_has_heard(follow));
	follow_status(follow, &status);
	ck_assert(!status.connected && !status.live);
	ck_assert_int_eq(status.heartbeat_age_ms, -1);
	ck_assert_str_eq(status.epoch, "");
	check_events("");
	follow_free(NULL);
}
END_TEST

START_TEST(it_is_not_live_before_the_first_heartbeat)
{
	ck_assert(!follow_live(follow));
	say("aa 1\ne\n");
	say("aa 2\nu 16388 42.json\n");
	ck_assert(!follow_live(follow));
	ck_assert(!follow_has_heard(follow));
	ck_assert(!follow_hears(follow, "aa"));
	beat("aa", 3, LIFE_US);
	ck_assert(follow_live(follow));
	ck_assert(follow_has_heard(follow));
	ck_assert(follow_hears(follow, "aa"));
}
END_TEST

/* What was told before it listened was told without a promise, but what was read then may be another now. */
START_TEST(the_first_message_that_it_hears_forgets_everything)
{
	uint64_t since = marks_now(marks);

	beat("aa", 4711, LIFE_US);
	check_events("all clock");
	ck_assert(all_touched(since));
	ck_assert(follow_live(follow));
}
END_TEST

START_TEST(it_hears_no_other_epoch)
{
	go_live();
	ck_assert(follow_hears(follow, "aa"));
	ck_assert(!follow_hears(follow, "ab"));
	ck_assert(!follow_hears(follow, "a"));
	ck_assert(!follow_hears(follow, ""));
	set_clocks(LIFE_US);
	ck_assert(!follow_hears(follow, "aa"));
}
END_TEST

START_TEST(status_tells_what_it_hears)
{
	struct follow_status status;

	go_live();
	follow_status(follow, &status);
	ck_assert(status.connected && status.live);
	ck_assert_str_eq(status.epoch, "aa");
	ck_assert_uint_eq(status.number, 2);
	ck_assert_int_ge(status.heartbeat_age_ms, 0);
	ck_assert_str_eq(status.last_error, "");
	set_clocks(LIFE_US);
	follow_status(follow, &status);
	ck_assert(status.connected && !status.live);
}
END_TEST

/* --- Deadlines ------------------------------------------------------------------------------- */

/* The deadline on Redis' clock, counted on this machine's from before Redis was asked, less the margin. */
START_TEST(it_is_live_until_the_deadline_less_the_margin_and_not_longer)
{
	go_live();
	local_us = LOCAL0 + LIFE_US - MARGIN_US - 1;
	ck_assert(follow_live(follow));
	local_us = LOCAL0 + LIFE_US - MARGIN_US;
	ck_assert(!follow_live(follow));
}
END_TEST

/* This machine has been up for so long, as against Redis' clock, which counts since 1970: neither is set by the other. */
START_TEST(differing_clocks_make_no_difference)
{
	static const int64_t up_us[] = {1000, LIFE_US, 10 * T0};

	local_us = up_us[_i];
	say("aa 1\ne\n");
	beat("aa", 2, LIFE_US);
	ck_assert(follow_live(follow));
	local_us += LIFE_US - MARGIN_US - 1;
	ck_assert(follow_live(follow));
	local_us++;
	ck_assert(!follow_live(follow));
}
END_TEST

static void answer_late(void *arg, const char *command)
{
	if (strcmp(command, "clock") == 0)
		local_us += *(int64_t *)arg;
}

/* Redis answers when 300 ms have gone by here; its clock is read at the end of them at the earliest, or was at their
 * beginning. What is certain is only the latter (K4). */
START_TEST(time_that_passes_while_redis_is_asked_counts_against_the_deadline)
{
	int64_t late = 300000;

	say("aa 1\ne\n");
	fake_cache_on(answer_late, &late);
	beat("aa", 2, LIFE_US);
	local_us = LOCAL0 + LIFE_US - MARGIN_US - 1;
	ck_assert(follow_live(follow));
	local_us = LOCAL0 + LIFE_US - MARGIN_US;
	ck_assert(!follow_live(follow));
}
END_TEST

START_TEST(an_answer_that_comes_after_the_deadline_makes_nothing_live)
{
	int64_t late = LIFE_US;

	say("aa 1\ne\n");
	fake_cache_on(answer_late, &late);
	beat("aa", 2, LIFE_US);
	ck_assert(!follow_live(follow));
	ck_assert(follow_has_heard(follow));
}
END_TEST

/* A worker that was stopped sends its heartbeat late. */
START_TEST(a_heartbeat_whose_deadline_is_past_makes_nothing_live)
{
	say("aa 1\ne\n");
	beat("aa", 2, -1);
	ck_assert(!follow_live(follow));
	beat("aa", 3, MARGIN_US);
	ck_assert(!follow_live(follow));
	beat("aa", 4, MARGIN_US + 1);
	ck_assert(follow_live(follow));
}
END_TEST

START_TEST(without_redis_time_no_heartbeat_counts)
{
	say("aa 1\ne\n");
	fake_redis_down(true);
	beat("aa", 2, LIFE_US);
	ck_assert(!follow_live(follow));
	ck_assert(!follow_has_heard(follow));
	fake_redis_down(false);
	beat("aa", 3, LIFE_US);
	ck_assert(follow_live(follow));
}
END_TEST

/* What an earlier one allowed it still does. */
START_TEST(without_redis_time_the_last_heartbeat_still_counts_to_its_end)
{
	go_live();
	fake_redis_down(true);
	beat("aa", 3, 2 * LIFE_US);
	ck_assert(follow_live(follow));
	local_us = LOCAL0 + LIFE_US - MARGIN_US;
	ck_assert(!follow_live(follow));
}
END_TEST

START_TEST(each_heartbeat_extends)
{
	uint64_t since;

	go_live();
	since = marks_now(marks);
	for (unsigned i = 1; i < 10; i++) {
		set_clocks(i * LIFE_US / 5);
		beat("aa", 2 + i, i * LIFE_US / 5 + LIFE_US);
		ck_assert(follow_live(follow));
	}
	ck_assert(!all_touched(since));
	ck_assert_str_eq(events_take(), "clock clock clock clock clock clock clock clock clock");
}
END_TEST

static const char *const odd_deadlines[] = {"-1", "-9223372036854775808", "0", "1", "9223372036854775807", "x",
                                            "4611686018427387903"};

/* Whoever may write to Redis may say anything. */
START_TEST(odd_deadlines_do_no_harm)
{
	char message[64];

	say("aa 1\ne\n");
	snprintf(message, sizeof message, "aa 2\nh %s\n", odd_deadlines[_i]);
	say(message);
	ck_assert_int_eq(follow_live(follow), _i == 6);
}
END_TEST

/* --- Lapses ---------------------------------------------------------------------------------- */

START_TEST(a_heartbeat_that_does_not_come_forgets_everything_once)
{
	uint64_t since, lapses = counters[COUNTER_feed_lapses];

	go_live();
	since = marks_now(marks);
	set_clocks(LIFE_US - MARGIN_US - 1);
	check_events("");
	ck_assert(!all_touched(since));
	set_clocks(LIFE_US - MARGIN_US);
	check_events("all");
	ck_assert(all_touched(since));
	set_clocks(2 * LIFE_US);
	fake_publish_poke();
	check_events("");
	ck_assert_uint_eq(counters[COUNTER_feed_lapses], lapses + 1);
}
END_TEST

/* The messages went on unbroken, so what comes now is enough. */
START_TEST(after_a_lapse_the_next_heartbeat_makes_it_live_again)
{
	uint64_t since;

	go_live();
	set_clocks(LIFE_US);
	check_events("all");
	since = marks_now(marks);
	beat("aa", 3, 2 * LIFE_US);
	check_events("clock");
	ck_assert(follow_live(follow));
	ck_assert(!all_touched(since));
}
END_TEST

/* This process was stopped: the lapse was not seen, and a heartbeat lies there already. It must not make up for the one that
 * was missed, since the kernel answered by itself meanwhile. */
START_TEST(a_lapse_that_was_slept_through_forgets_everything_before_the_next_heartbeat_counts)
{
	uint64_t since;

	go_live();
	since = marks_now(marks);
	local_us = LOCAL0 + LIFE_US;
	fake_redis_clock(T0 + LIFE_US);
	beat("aa", 3, 2 * LIFE_US);
	check_events("all clock");
	ck_assert(all_touched(since));
	ck_assert(follow_live(follow));
}
END_TEST

/* --- Messages that do not follow each other -------------------------------------------------- */

static const struct {
	const char *message;
	bool gap;
} successors[] = {
        {"aa 3\nu 16388 42.json\n", false},
        {"aa 4\nu 16388 42.json\n", true},                    /* one was lost */
        {"aa 2\nu 16388 42.json\n", true},                    /* one came twice */
        {"aa 1\nu 16388 42.json\n", true},
        {"aa 18446744073709551615\nu 16388 42.json\n", true},
        {"ab 1\nu 16388 42.json\n", true},                    /* a new worker, or Redis failed it */
        {"ab 3\nu 16388 42.json\n", true},                    /* another worker's late one */
        {"a 3\nu 16388 42.json\n", true},
        {"aaa 3\nu 16388 42.json\n", true},
        {"AA 3\nu 16388 42.json\n", true},
};

START_TEST(only_the_next_message_of_the_same_epoch_follows)
{
	uint64_t since, gaps;

	go_live();
	since = marks_now(marks);
	gaps = counters[COUNTER_feed_gaps];
	say(successors[_i].message);
	check_events(successors[_i].gap ? "all tell" : "tell");
	ck_assert_int_eq(all_touched(since), successors[_i].gap);
	ck_assert_int_eq(follow_live(follow), !successors[_i].gap);
	ck_assert_uint_eq(counters[COUNTER_feed_gaps], gaps + successors[_i].gap);
	ck_assert(marks_touched(marks, ITEMS, "42.json", since));
}
END_TEST

/* The message that does not follow is where the next one goes on from; one that says "everything" by itself changes that
 * no more than a gap does. */
START_TEST(after_a_gap_the_numbers_go_on_from_there)
{
	uint64_t since;

	go_live();
	say("aa 9\nu 16388 42.json\n");
	check_events("all tell");
	since = marks_now(marks);
	beat("aa", 10, LIFE_US);
	check_events("clock");
	ck_assert(!all_touched(since));
	ck_assert(follow_live(follow));
}
END_TEST

/* Each of the two breaks the other's numbers, so nothing that one of them missed is relied on. */
START_TEST(another_workers_late_message_forgets_everything_and_so_does_the_next_of_this_one)
{
	uint64_t since;

	go_live();
	beat("old", 77, LIFE_US);
	check_events("all clock");
	ck_assert(!follow_hears(follow, "aa"));
	since = marks_now(marks);
	beat("aa", 3, LIFE_US);
	check_events("all clock");
	ck_assert(all_touched(since));
	ck_assert(follow_hears(follow, "aa"));
}
END_TEST

static const char *const no_messages[] = {"", "x", "aa\n", "aa x\nh 5\n", " 3\ne\n"};

START_TEST(a_message_that_is_none_forgets_everything)
{
	uint64_t since;

	go_live();
	since = marks_now(marks);
	say(no_messages[_i]);
	check_events("all");
	ck_assert(all_touched(since));
	ck_assert(!follow_live(follow));
}
END_TEST

START_TEST(the_worker_may_say_that_everything_is_unsure)
{
	uint64_t since;

	go_live();
	since = marks_now(marks);
	say("aa 3\ne\n");
	check_events("all");
	ck_assert(all_touched(since));
	ck_assert(!follow_live(follow));
	say("aa 4\nz something new\n");
	check_events("all");
	beat("aa", 5, LIFE_US);
	ck_assert(follow_live(follow));
}
END_TEST

/* --- Changes --------------------------------------------------------------------------------- */

START_TEST(changes_are_marked_and_told)
{
	uint64_t since;

	go_live();
	since = marks_now(marks);
	say("aa 3\nu 16388 42.json\ni 16388 43.json\nd 16388 41.json\nt 16401\n");
	check_events("tell tell list tell list table");
	ck_assert_uint_eq(fake_kernel_told(ITEMS, "42.json"), 1);
	ck_assert_uint_eq(fake_kernel_told(ITEMS, "43.json"), 1);
	ck_assert_uint_eq(fake_kernel_told(ITEMS, "41.json"), 1);
	ck_assert_uint_eq(fake_kernel_listed(ITEMS), 2);
	ck_assert_uint_eq(fake_kernel_tables(OTHERS), 1);
	ck_assert(marks_touched(marks, ITEMS, "41.json", since));
	ck_assert(marks_touched(marks, ITEMS, "42.json", since));
	ck_assert(marks_touched(marks, ITEMS, "43.json", since));
	ck_assert(!marks_touched(marks, ITEMS, "44.json", since));
	ck_assert(marks_touched(marks, OTHERS, "1.json", since));
	ck_assert(!all_touched(since));
	ck_assert(follow_live(follow));
}
END_TEST

/* K2 and K5, seen from the kernel's side. */
static void look_as_the_kernel(void *arg, const char *event, uint32_t relation, const char *name)
{
	uint64_t since = *(uint64_t *)arg;

	if (strcmp(event, "all") == 0) {
		ck_assert(all_touched(since));
		ck_assert(!follow_live(follow));
	} else if (strcmp(event, "tell") == 0) {
		ck_assert(marks_touched(marks, relation, name, since));
	} else {
		ck_assert(marks_relation_touched(marks, relation, since));
	}
}

START_TEST(a_change_is_marked_before_the_kernel_is_told)
{
	uint64_t since;

	go_live();
	since = marks_now(marks);
	fake_kernel_on(look_as_the_kernel, &since);
	say("aa 3\nu 16388 42.json\ni 16401 43.json\n");
	say("aa 4\nt 7\n");
	since = marks_now(marks);
	say("aa 5\ne\n");
	check_events("tell tell list table all");
}
END_TEST

START_TEST(it_is_not_live_any_more_when_the_kernel_is_told_of_a_gap_or_a_lapse)
{
	uint64_t since;

	go_live();
	since = marks_now(marks);
	fake_kernel_on(look_as_the_kernel, &since);
	beat("aa", 9, LIFE_US);
	check_events("all clock");
	since = marks_now(marks);
	set_clocks(LIFE_US);
	check_events("all");
}
END_TEST

static void look_as_redis(void *arg, const char *command)
{
	uint64_t since = *(uint64_t *)arg;

	ck_assert_str_eq(command, "clock");
	ck_assert(marks_touched(marks, ITEMS, "42.json", since));
	ck_assert_uint_eq(fake_kernel_told(ITEMS, "42.json"), 1);
	ck_assert(!follow_live(follow));
}

/* A heartbeat says that all that had happened is said; so it must be heard, too, before it counts (K3). */
START_TEST(a_change_is_marked_and_told_before_a_heartbeat_after_it_extends)
{
	uint64_t since;
	char message[128];

	go_live();
	set_clocks(LIFE_US);
	ck_assert(!follow_live(follow));
	since = marks_now(marks);
	fake_cache_on(look_as_redis, &since);
	snprintf(message, sizeof message, "aa 3\nu 16388 42.json\nh %lld\n", (long long)(T0 + 2 * LIFE_US));
	say(message);
	ck_assert(follow_live(follow));
}
END_TEST

/* --- The connection -------------------------------------------------------------------------- */

START_TEST(a_lost_connection_forgets_everything_and_subscribes_again)
{
	unsigned attempts = fake_subscription_attempts();
	struct follow_status status;
	uint64_t since;

	go_live();
	since = marks_now(marks);
	fake_subscription_refuse(ECONNREFUSED);
	fake_subscription_break(ECONNRESET);
	events_await("all subscribe");
	ck_assert(all_touched(since));
	ck_assert(!follow_live(follow));
	fake_subscription_await(attempts + 2); /* what it says of the last one is said */
	follow_status(follow, &status);
	ck_assert(!status.connected);
	ck_assert_str_eq(status.last_error, "fake Redis: no subscription");
	ck_assert_str_eq(status.epoch, "");
	fake_subscription_refuse(0);
	fake_publish_settle();
	follow_status(follow, &status);
	ck_assert(status.connected && !status.live);
	ck_assert_str_eq(status.last_error, "");
}
END_TEST

/* Between the two subscriptions anything may have been said, and the numbers may look unbroken (K6). What was read in that
 * time was marked by nobody. */
START_TEST(after_a_lost_connection_the_first_message_forgets_everything_once_more)
{
	uint64_t since;

	go_live();
	fake_subscription_break(ECONNRESET);
	events_await("all subscribe");
	fake_publish_settle();
	events_take();
	since = marks_now(marks);
	beat("aa", 3, LIFE_US);
	check_events("all clock");
	ck_assert(all_touched(since));
	ck_assert(follow_live(follow));
}
END_TEST

/* Nothing was promised, so there is nothing to take back; its first message will. */
START_TEST(a_connection_lost_before_any_heartbeat_forgets_nothing_yet)
{
	uint64_t since;

	say("aa 1\ne\n");
	since = marks_now(marks);
	events_take();
	fake_subscription_break(ECONNRESET);
	events_await("subscribe");
	fake_publish_settle();
	check_events("subscribe");
	ck_assert(!all_touched(since));
	beat("aa", 2, LIFE_US);
	check_events("all clock");
}
END_TEST

START_TEST(a_redis_that_is_not_there_is_asked_until_it_is)
{
	fake_subscription_refuse(ECONNREFUSED);
	ck_assert_int_eq(follow_start(follow), 0);
	fake_subscription_await(3);
	fake_subscription_refuse(0);
	fake_publish_settle();
	beat("aa", 1, LIFE_US);
	ck_assert(follow_live(follow));
}
END_TEST

/* It may wait for a message, or for its next attempt to subscribe. */
START_TEST(it_ends_at_once)
{
	if (_i) {
		fake_subscription_refuse(ECONNREFUSED);
		fake_subscription_break(ECONNRESET);
		events_await("subscribe");
	}
	follow_free(follow);
	follow = NULL;
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("follow");
	TCase *test = tcase_create("follow"), *other = tcase_create("not started");

	tcase_set_timeout(test, 30);
	tcase_add_checked_fixture(test, setup, teardown);
	tcase_add_test(test, it_is_not_live_before_the_first_heartbeat);
	tcase_add_test(test, the_first_message_that_it_hears_forgets_everything);
	tcase_add_test(test, it_hears_no_other_epoch);
	tcase_add_test(test, status_tells_what_it_hears);
	tcase_add_test(test, it_is_live_until_the_deadline_less_the_margin_and_not_longer);
	tcase_add_loop_test(test, differing_clocks_make_no_difference, 0, 3);
	tcase_add_test(test, time_that_passes_while_redis_is_asked_counts_against_the_deadline);
	tcase_add_test(test, an_answer_that_comes_after_the_deadline_makes_nothing_live);
	tcase_add_test(test, a_heartbeat_whose_deadline_is_past_makes_nothing_live);
	tcase_add_test(test, without_redis_time_no_heartbeat_counts);
	tcase_add_test(test, without_redis_time_the_last_heartbeat_still_counts_to_its_end);
	tcase_add_test(test, each_heartbeat_extends);
	tcase_add_loop_test(test, odd_deadlines_do_no_harm, 0, sizeof odd_deadlines / sizeof *odd_deadlines);
	tcase_add_test(test, a_heartbeat_that_does_not_come_forgets_everything_once);
	tcase_add_test(test, after_a_lapse_the_next_heartbeat_makes_it_live_again);
	tcase_add_test(test, a_lapse_that_was_slept_through_forgets_everything_before_the_next_heartbeat_counts);
	tcase_add_loop_test(test, only_the_next_message_of_the_same_epoch_follows, 0,
	                    sizeof successors / sizeof *successors);
	tcase_add_test(test, after_a_gap_the_numbers_go_on_from_there);
	tcase_add_test(test, another_workers_late_message_forgets_everything_and_so_does_the_next_of_this_one);
	tcase_add_loop_test(test, a_message_that_is_none_forgets_everything, 0,
	                    sizeof no_messages / sizeof *no_messages);
	tcase_add_test(test, the_worker_may_say_that_everything_is_unsure);
	tcase_add_test(test, changes_are_marked_and_told);
	tcase_add_test(test, a_change_is_marked_before_the_kernel_is_told);
	tcase_add_test(test, it_is_not_live_any_more_when_the_kernel_is_told_of_a_gap_or_a_lapse);
	tcase_add_test(test, a_change_is_marked_and_told_before_a_heartbeat_after_it_extends);
	tcase_add_test(test, a_lost_connection_forgets_everything_and_subscribes_again);
	tcase_add_test(test, after_a_lost_connection_the_first_message_forgets_everything_once_more);
	tcase_add_test(test, a_connection_lost_before_any_heartbeat_forgets_nothing_yet);
	tcase_add_loop_test(test, it_ends_at_once, 0, 2);
	suite_add_tcase(suite, test);
	tcase_set_timeout(other, 30);
	tcase_add_checked_fixture(other, prepare, teardown);
	tcase_add_test(other, one_that_was_not_started_is_never_live);
	tcase_add_test(other, a_redis_that_is_not_there_is_asked_until_it_is);
	suite_add_tcase(suite, other);
	return suite_run(suite);
}
