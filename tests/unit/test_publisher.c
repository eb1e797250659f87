/* The worker's dealings with Redis, command by command. */
#include "../../src/engine/publisher.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "events.h"
#include "fake_broker.h"
#include "fake_cache.h"
#include "fake_feed.h"
#include "fake_redis.h"
#include "rowfs/base/counters.h"
#include "rowfs/engine/announce.h"
#include "suite.h"

enum { ITEMS = 1001, OTHERS = 1002, UNCOVERED = 1003 };
#define T0 INT64_C(1763805200000000)

static const uint32_t tables[] = {ITEMS, OTHERS};

/* --- The clock, which a test moves ----------------------------------------------------------- */

int __real_clock_gettime(clockid_t id, struct timespec *ret);
int __wrap_clock_gettime(clockid_t id, struct timespec *ret);

static int64_t moved_ms;

/* The program is linked with --wrap=clock_gettime. */
int __wrap_clock_gettime(clockid_t id, struct timespec *ret)
{
	int r = __real_clock_gettime(id, ret);

	if (id == CLOCK_MONOTONIC)
		ret->tv_sec += moved_ms / 1000;
	return r;
}

/* Longer than a lost Redis is let alone. */
static void pass_time(void)
{
	moved_ms += 1000;
}

/* --- The world ------------------------------------------------------------------------------- */

static struct publisher publisher;
static struct feed *feed;
static struct batch batch;
static struct subscription *mount; /* hears what is published */
static struct error e;

static void check_events(const char *want)
{
	ck_assert_str_eq(events_take(), want);
}

static void add(uint32_t relation, enum batch_op op, const char *name)
{
	batch_add(&batch, &(struct batch_change){relation, op, name});
}

static const char *held(const char *key)
{
	static struct buf value;

	fake_redis_peek(key, &value);
	return value.data;
}

/* Open, and not ready yet. */
static void open_all(void)
{
	struct settings settings = {0};

	fake_redis_clock(T0);
	fake_feed_cover(tables, 2);
	ck_assert_int_eq(feed_open(NULL, &settings, "", &feed, &e), 0);
	ck_assert_int_eq(subscription_open(fake_cache(), &mount, &e), 0);
	ck_assert_int_eq(publisher_open(&publisher, fake_cache(), &e), 0);
	events_take();
}

/* Ready, with copies of two rows and a lease. */
static void begin_all(void)
{
	open_all();
	ck_assert_int_eq(publisher_tend(&publisher, feed, &e), 0);
	ck_assert(publisher_ready(&publisher));
	fake_redis_put("r:1001:42", "copy", 4);
	fake_redis_put("r:1001:43", "L:token", 7);
	fake_redis_put("r:1002:42", "copy", 4);
	events_take();
}

static void close_all(void)
{
	publisher_close(&publisher);
	subscription_close(mount);
	feed_close(feed);
	batch_done(&batch);
}

/* The next message, or "" if there is none. */
static const char *heard(void)
{
	static struct buf message;

	buf_reset(&message);
	buf_adds(&message, "");
	ck_assert_int_ge(subscription_next(mount, 0, &message, &e), 0);
	return message.data;
}

/* Is the next message this, with the epoch put before it? */
static void check_heard(const char *format_of_rest)
{
	_cleanup_buf_ struct buf want = {0};

	buf_addf(&want, "%s %s", publisher.epoch, format_of_rest);
	ck_assert_str_eq(heard(), want.data);
}

/* --- Epochs ---------------------------------------------------------------------------------- */

START_TEST(opening_learns_which_redis_this_is_and_says_nothing)
{
	ck_assert(!publisher_ready(&publisher));
	ck_assert_str_eq(publisher.token, "00000000000000000000000000000001");
	ck_assert_str_eq(held("epoch"), "");
	ck_assert_str_eq(heard(), "");
}
END_TEST

START_TEST(opening_fails_without_redis)
{
	struct publisher other;

	fake_redis_down(true);
	ck_assert_int_lt(publisher_open(&other, fake_cache(), &e), 0);
	ck_assert(e.message[0]);
	publisher_close(&other);
	fake_redis_down(false);
	fake_broker_fail(2, EACCES, false);
	ck_assert_int_eq(publisher_open(&other, fake_cache(), &e), -EACCES);
	publisher_close(&other);
}
END_TEST

/* A reader who sees the new epoch finds its tables' new, too. */
START_TEST(an_epoch_begins_with_its_tables)
{
	fake_cache_prove("0/old", "0/old", ITEMS, "0/older");
	ck_assert_int_eq(publisher_tend(&publisher, feed, &e), 0);
	check_events("tables begin publish");
	ck_assert(publisher_ready(&publisher));
	ck_assert_str_eq(held("epoch"), publisher.epoch);
	ck_assert_str_eq(held("hb"), "");
	ck_assert_str_ne(held("t:1001"), "0/older");
	ck_assert(*held("t:1001") && *held("t:1002") && !*held("t:1003"));
	check_heard("1\ne\n");
	ck_assert_uint_eq(counters[COUNTER_sync_epochs], 1);
	/* And then there is nothing to tend. */
	ck_assert_int_eq(publisher_tend(&publisher, feed, &e), 0);
	check_events("");
}
END_TEST

START_TEST(no_two_epochs_are_equal_and_all_are_made_as_redis_wants_them)
{
	char last[EPOCH_SIZE] = "", table[EPOCH_SIZE] = "";

	for (int i = 0; i < 20; i++) {
		publisher.due = true;
		ck_assert_int_eq(publisher_tend(&publisher, feed, &e), 0);
		ck_assert_str_ne(publisher.epoch, last);
		ck_assert_str_ne(held("t:1001"), table);
		ck_assert_str_ne(held("t:1001"), publisher.epoch);
		ck_assert_uint_eq(strspn(publisher.epoch, "0123456789abcdefABCDEF/-"), strlen(publisher.epoch));
		ck_assert_uint_gt(strlen(publisher.epoch), 20);
		ck_assert_uint_eq(publisher.number, 1);
		snprintf(last, sizeof last, "%s", publisher.epoch);
		snprintf(table, sizeof table, "%s", held("t:1001"));
	}
}
END_TEST

START_TEST(a_feed_without_tables_has_an_epoch_too)
{
	fake_feed_cover(tables, 0);
	ck_assert_int_eq(publisher_tend(&publisher, feed, &e), 0);
	check_events("begin publish");
	ck_assert(publisher_ready(&publisher));
	publisher_mend_tables(&publisher, feed);
	check_events("");
}
END_TEST

/* Due: nothing is said under the old one. */
START_TEST(nothing_is_done_while_an_epoch_is_due)
{
	int64_t us = 77;

	publisher.due = true;
	add(ITEMS, BATCH_UPDATE, "42.json");
	publisher_apply(&publisher, feed, &batch);
	ck_assert(!publisher_time_us(&publisher, &us));
	ck_assert_int_eq(us, 77);
	ck_assert_int_eq(publisher_beat(&publisher, T0 + 1000000, &e), 0);
	publisher_mend_tables(&publisher, feed);
	publisher_note(&publisher, &(struct buf){0}, 1000);
	check_events("");
}
END_TEST

/* --- Changes --------------------------------------------------------------------------------- */

START_TEST(changes_are_dropped_then_announced)
{
	heard();
	add(ITEMS, BATCH_UPDATE, "42.json");
	add(ITEMS, BATCH_DELETE, "43.json");
	publisher_apply(&publisher, feed, &batch);
	check_events("unlink publish");
	ck_assert_str_eq(held("r:1001:42"), "");
	ck_assert_str_eq(held("r:1001:43"), ""); /* the lease too */
	ck_assert_str_eq(held("r:1002:42"), "copy");
	check_heard("2\nu 1001 42.json\nd 1001 43.json\n");
}
END_TEST

/* What is put under it must not come after the row's own drop. */
START_TEST(the_lease_on_a_relation_is_dropped_before_its_rows)
{
	static const char keys[] = "l:1001\0r:1001:42\0r:1001:43\0l:1002\0r:1002:42\0l:1001\0r:1001:44";

	heard();
	add(ITEMS, BATCH_UPDATE, "42.json");
	add(ITEMS, BATCH_UPDATE, "43.json");
	add(OTHERS, BATCH_UPDATE, "42.json");
	add(ITEMS, BATCH_UPDATE, "44.json");
	fake_redis_put("l:1001", "lease", 5);
	publisher_apply(&publisher, feed, &batch);
	ck_assert(buf_equal(&publisher.keys, keys, sizeof keys));
	ck_assert_str_eq(held("l:1001"), "");
}
END_TEST

START_TEST(a_table_that_is_covered_gets_another_epoch_and_nothing_is_unlinked)
{
	char before[EPOCH_SIZE], other[EPOCH_SIZE];

	heard();
	snprintf(before, sizeof before, "%s", held("t:1001"));
	snprintf(other, sizeof other, "%s", held("t:1002"));
	add(ITEMS, BATCH_RELATION, "");
	publisher_apply(&publisher, feed, &batch);
	check_events("tables publish");
	ck_assert(*held("t:1001"));
	ck_assert_str_ne(held("t:1001"), before);
	ck_assert_str_eq(held("t:1002"), other);
	check_heard("2\nt 1001\n");
}
END_TEST

START_TEST(a_table_that_is_not_covered_any_more_loses_its_epoch)
{
	heard();
	fake_feed_cover(tables + 1, 1);
	add(ITEMS, BATCH_RELATION, "");
	add(UNCOVERED, BATCH_RELATION, "");
	publisher_apply(&publisher, feed, &batch);
	check_events("untables untables publish");
	ck_assert_str_eq(held("t:1001"), "");
	ck_assert(*held("t:1002"));
	check_heard("2\nt 1001\nt 1003\n");
}
END_TEST

START_TEST(tables_and_rows_of_one_batch_are_all_done_before_any_is_announced)
{
	heard();
	add(ITEMS, BATCH_UPDATE, "42.json");
	add(OTHERS, BATCH_RELATION, "");
	add(ITEMS, BATCH_INSERT, "44.json");
	publisher_apply(&publisher, feed, &batch);
	check_events("tables unlink publish");
	check_heard("2\nu 1001 42.json\nt 1002\ni 1001 44.json\n");
	ck_assert_str_eq(held("r:1001:42"), "");
}
END_TEST

/* Transactions that changed nothing here. */
START_TEST(a_batch_without_changes_asks_nobody)
{
	batch_add_transaction(&batch, 7);
	publisher_apply(&publisher, feed, &batch);
	check_events("");
}
END_TEST

/* Redis cuts off a subscriber for whom large messages pile up. */
START_TEST(long_messages_are_split_and_their_numbers_follow_each_other)
{
	enum { NAME_LEN = 200, CHANGES = 4 * ANNOUNCE_MAX / NAME_LEN };
	struct announcement line;
	struct buf message = {0};
	char epoch[EPOCH_SIZE], name[NAME_LEN + 16], want[NAME_LEN + 16];
	uint64_t number, next = 2;
	unsigned found = 0;
	size_t at;

	heard();
	for (unsigned i = 0; i < CHANGES; i++) {
		snprintf(name, sizeof name, "%0*u.json", NAME_LEN, i);
		add(ITEMS, BATCH_UPDATE, name);
	}
	publisher_apply(&publisher, feed, &batch);
	while (subscription_next(mount, 0, &message, &e) > 0) {
		ck_assert_uint_le(message.len, ANNOUNCE_MAX + sizeof name + 16);
		ck_assert_int_eq(announce_head(&message, epoch, &number, &at), 0);
		ck_assert_str_eq(epoch, publisher.epoch);
		ck_assert_uint_eq(number, next++);
		while (announce_next(&message, &at, &line)) {
			snprintf(want, sizeof want, "%0*u.json", NAME_LEN, found++);
			ck_assert_str_eq(line.change.name, want);
		}
	}
	ck_assert_uint_eq(found, CHANGES);
	ck_assert_uint_ge(next, 2 + 4);
	ck_assert_uint_eq(publisher.number, next - 1);
	buf_done(&message);
	ck_assert_int_eq(publisher_beat(&publisher, T0 + 1000000, &e), 1);
	ck_assert_uint_eq(publisher.number, next);
}
END_TEST

/* --- Heartbeats ------------------------------------------------------------------------------ */

START_TEST(a_heartbeat_is_set_then_announced_with_the_same_number)
{
	_cleanup_buf_ struct buf want = {0};

	heard();
	ck_assert_int_eq(publisher_beat(&publisher, T0 + 1000000, &e), 1);
	check_events("beat publish");
	buf_addf(&want, "%s:2", publisher.epoch);
	ck_assert_str_eq(held("hb"), want.data);
	check_heard("2\nh 1763805201000000\n");
	fake_redis_clock(T0 + 999999);
	ck_assert_str_eq(held("hb"), want.data);
	fake_redis_clock(T0 + 1000000);
	ck_assert_str_eq(held("hb"), "");
}
END_TEST

START_TEST(time_is_redis_time)
{
	int64_t us;

	ck_assert(publisher_time_us(&publisher, &us));
	ck_assert_int_eq(us, T0);
}
END_TEST

/* Two workers, or a Redis that was emptied: this one is the worker no more. */
START_TEST(no_heart_beats_under_anothers_epoch)
{
	heard();
	if (_i)
		fake_redis_remove("epoch");
	else
		fake_redis_put("epoch", "0/other", 7);
	ck_assert_int_eq(publisher_beat(&publisher, T0 + 1000000, &e), -ESTALE);
	ck_assert(e.message[0]);
	check_events("beat");
	ck_assert_str_eq(held("hb"), "");
	ck_assert_str_eq(heard(), "");
}
END_TEST

/* --- Care ------------------------------------------------------------------------------------ */

START_TEST(a_table_whose_epoch_is_lost_gets_another)
{
	publisher_mend_tables(&publisher, feed);
	check_events("count");
	fake_redis_remove("t:1002");
	publisher_mend_tables(&publisher, feed);
	check_events("count tables");
	ck_assert(*held("t:1001") && *held("t:1002"));
}
END_TEST

START_TEST(a_note_is_for_people)
{
	_cleanup_buf_ struct buf note = {0}, read = {0};

	buf_adds(&note, "host, process 1");
	publisher_note(&publisher, &note, 5000);
	check_events("note");
	ck_assert(cache_worker_note(fake_cache(), &read));
	ck_assert_str_eq(read.data, "host, process 1");
	ck_assert_int_le(fake_cache_life("worker"), 5000);
}
END_TEST

/* --- Trouble (R7) ---------------------------------------------------------------------------- */


static int beat_now(void)
{
	return publisher_beat(&publisher, T0 + 1000000, &e);
}

static void do_all(void)
{
	int64_t us;

	publisher_time_us(&publisher, &us);
	batch_reset(&batch);
	add(ITEMS, BATCH_UPDATE, "42.json");
	add(OTHERS, BATCH_RELATION, "");
	publisher_apply(&publisher, feed, &batch);
	ck_assert_int_ge(beat_now(), 0);
	publisher_mend_tables(&publisher, feed);
	publisher_note(&publisher, &batch.changes, 1000);
}

static char failed_epoch[EPOCH_SIZE];
static bool has_failed;

/* Nothing is dropped, announced or beaten under the epoch of a command that failed. */
static void watch(void *arg, const char *command)
{
	if (!has_failed || strcmp(command, "connect") == 0 || strcmp(command, "id") == 0)
		return;
	/* A new epoch is on its way, tables first; or it stands. */
	if (strcmp(command, "tables") != 0 && strcmp(command, "begin") != 0)
		ck_assert_str_ne(publisher.epoch, failed_epoch);
}

/* The n-th command of all that a worker does fails, with and without effect: after it nothing more is said, until the next
 * tend has begun another epoch, which makes all copies unusable and says that everything is unsure. */
static void fail_command(unsigned n, bool lost)
{
	unsigned before;

	fake_broker_on(watch, NULL);
	snprintf(failed_epoch, sizeof failed_epoch, "%s", publisher.epoch);
	fake_redis_remove("t:1001"); /* so that mending has work */
	fake_broker_fail(n, EIO, lost);
	before = fake_broker_commands();
	do_all();
	has_failed = true;
	ck_assert_uint_eq(fake_broker_commands(), before + n); /* it was the last */
	ck_assert(!publisher_ready(&publisher));
	ck_assert_int_eq(publisher.trouble.err, EIO);

	do_all();
	ck_assert_int_eq(publisher_tend(&publisher, feed, &e), 0); /* lets it alone for a moment */
	ck_assert_uint_eq(fake_broker_commands(), before + n);
	while (*heard())
		;

	pass_time();
	events_take();
	ck_assert_int_eq(publisher_tend(&publisher, feed, &e), 0);
	check_events("connect id tables begin publish");
	ck_assert(publisher_ready(&publisher));
	ck_assert_int_eq(publisher.trouble.err, 0);
	ck_assert_str_ne(publisher.epoch, failed_epoch);
	ck_assert_str_eq(held("epoch"), publisher.epoch);
	ck_assert_str_eq(held("hb"), ""); /* the old one's is gone, however it was set */
	check_heard("1\ne\n");
	ck_assert_int_eq(beat_now(), 1);
	check_heard("2\nh 1763805201000000\n");
}

/* time, tables, unlink, publish, beat, publish, count, tables, note */
enum { COMMANDS = 9 };

START_TEST(after_any_command_that_fails_nothing_is_said_before_another_epoch)
{
	fail_command((unsigned)_i + 1, false);
}
END_TEST

START_TEST(after_any_reply_that_is_lost_nothing_is_said_before_another_epoch)
{
	fail_command((unsigned)_i + 1, true);
}
END_TEST

START_TEST(without_a_failure_all_of_that_is_so_many_commands)
{
	unsigned before = fake_broker_commands();

	fake_redis_remove("t:1001");
	do_all();
	check_events("time tables unlink publish beat publish count tables note");
	ck_assert_uint_eq(fake_broker_commands(), before + COMMANDS);
}
END_TEST

/* connect, id, tables, begin, publish: an epoch that was not begun to its end is not begun. */
static void fail_beginning(unsigned n, bool lost)
{
	fake_broker_fail(n, EIO, lost);
	pass_time();
	ck_assert_int_eq(publisher_tend(&publisher, feed, &e), 0);
	ck_assert(!publisher_ready(&publisher));
	ck_assert(publisher.due);
	ck_assert_int_eq(publisher.trouble.err, EIO);
	while (*heard())
		;
	events_take();
	pass_time();
	ck_assert_int_eq(publisher_tend(&publisher, feed, &e), 0);
	check_events("connect id tables begin publish");
	ck_assert(publisher_ready(&publisher));
	ck_assert_str_eq(held("epoch"), publisher.epoch);
	check_heard("1\ne\n");
}

START_TEST(an_epoch_that_fails_to_begin_is_begun_anew)
{
	char before[EPOCH_SIZE];

	fake_broker_fail(1, EIO, false);
	do_all();
	snprintf(before, sizeof before, "%s", held("epoch"));
	fail_beginning((unsigned)_i % 5 + 1, _i >= 5);
	ck_assert_str_ne(held("epoch"), before);
}
END_TEST

START_TEST(redis_is_let_alone_for_a_moment_after_each_failure)
{
	fake_redis_down(true);
	do_all();
	check_events("time");
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(publisher_tend(&publisher, feed, &e), 0);
		check_events("");
		pass_time();
		ck_assert_int_eq(publisher_tend(&publisher, feed, &e), 0);
		check_events("connect");
	}
	ck_assert_int_eq(publisher.trouble.err, ETIMEDOUT);
	fake_redis_down(false);
	pass_time();
	ck_assert_int_eq(publisher_tend(&publisher, feed, &e), 0);
	ck_assert(publisher_ready(&publisher));
}
END_TEST

/* It may have another worker. */
START_TEST(another_redis_is_not_this_workers)
{
	fake_broker_fail(1, EIO, false);
	do_all();
	fake_redis_flush();
	while (*heard())
		;
	pass_time();
	events_take();
	ck_assert_int_eq(publisher_tend(&publisher, feed, &e), -ESTALE);
	ck_assert(e.message[0]);
	check_events("connect id");
	ck_assert_str_eq(held("epoch"), "");
	ck_assert_str_eq(heard(), "");
}
END_TEST

START_TEST(closing_is_safe_at_any_time)
{
	fake_broker_fail(1, EIO, false);
	do_all();
	publisher_close(&publisher);
	publisher_close(&publisher);
}
END_TEST

static TCase *fixed(Suite *suite, const char *name, void (*setup)(void))
{
	TCase *test = tcase_create(name);

	tcase_set_timeout(test, 30);
	tcase_add_checked_fixture(test, setup, close_all);
	suite_add_tcase(suite, test);
	return test;
}

int main(void)
{
	Suite *suite = suite_create("publisher");
	TCase *test;

	test = fixed(suite, "opened", open_all);
	tcase_add_test(test, opening_learns_which_redis_this_is_and_says_nothing);
	tcase_add_test(test, opening_fails_without_redis);
	tcase_add_test(test, an_epoch_begins_with_its_tables);
	tcase_add_test(test, no_two_epochs_are_equal_and_all_are_made_as_redis_wants_them);
	tcase_add_test(test, a_feed_without_tables_has_an_epoch_too);
	test = fixed(suite, "ready", begin_all);
	tcase_add_test(test, nothing_is_done_while_an_epoch_is_due);
	tcase_add_test(test, changes_are_dropped_then_announced);
	tcase_add_test(test, the_lease_on_a_relation_is_dropped_before_its_rows);
	tcase_add_test(test, a_table_that_is_covered_gets_another_epoch_and_nothing_is_unlinked);
	tcase_add_test(test, a_table_that_is_not_covered_any_more_loses_its_epoch);
	tcase_add_test(test, tables_and_rows_of_one_batch_are_all_done_before_any_is_announced);
	tcase_add_test(test, a_batch_without_changes_asks_nobody);
	tcase_add_test(test, long_messages_are_split_and_their_numbers_follow_each_other);
	tcase_add_test(test, a_heartbeat_is_set_then_announced_with_the_same_number);
	tcase_add_test(test, time_is_redis_time);
	tcase_add_loop_test(test, no_heart_beats_under_anothers_epoch, 0, 2);
	tcase_add_test(test, a_table_whose_epoch_is_lost_gets_another);
	tcase_add_test(test, a_note_is_for_people);
	test = fixed(suite, "trouble", begin_all);
	tcase_add_test(test, without_a_failure_all_of_that_is_so_many_commands);
	tcase_add_loop_test(test, after_any_command_that_fails_nothing_is_said_before_another_epoch, 0, COMMANDS);
	tcase_add_loop_test(test, after_any_reply_that_is_lost_nothing_is_said_before_another_epoch, 0, COMMANDS);
	tcase_add_loop_test(test, an_epoch_that_fails_to_begin_is_begun_anew, 0, 10);
	tcase_add_test(test, redis_is_let_alone_for_a_moment_after_each_failure);
	tcase_add_test(test, another_redis_is_not_this_workers);
	tcase_add_test(test, closing_is_safe_at_any_time);
	return suite_run(suite);
}
