/* The sync worker's thread, whole, between a feed and a Redis that do as they are told. Redis' clock stands until a test moves
 * it, so a heartbeat that was set stands, too. */
#include "rowfs/engine/sync.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../../src/engine/publisher.h"
#include "events.h"
#include "fake_broker.h"
#include "fake_cache.h"
#include "fake_feed.h"
#include "fake_redis.h"
#include "latch.h"
#include "rowfs/base/clock.h"
#include "suite.h"

enum { ITEMS = 1001, OTHERS = 1002 };
#define T0 INT64_C(1763805200000000)
enum { LIFE_US = 250000 };

static const uint32_t tables[] = {ITEMS, OTHERS};
static const struct batch_change update = {ITEMS, BATCH_UPDATE, "42.json"};
static struct settings settings = {.max_staleness = LIFE_US / 1e6};
static struct sync *sync_worker;
static struct subscription *mount; /* hears what is published */
static struct error e;

static void setup(void)
{
	fake_redis_clock(T0);
	fake_feed_cover(tables, 2);
	ck_assert_int_eq(subscription_open(fake_cache(), &mount, &e), 0);
	ck_assert_int_eq(sync_new(&settings, NULL, fake_cache(), NULL, &sync_worker), 0);
	events_take();
}

static void teardown(void)
{
	fake_feed_on(NULL, NULL);
	fake_broker_on(NULL, NULL);
	fake_cache_on(NULL, NULL);
	sync_free(sync_worker);
	subscription_close(mount);
	ck_assert_uint_eq(fake_feed_opened(), 0);
}

static void start(void)
{
	ck_assert_int_eq(sync_start(sync_worker), 0);
}

static void stop(void)
{
	sync_free(sync_worker);
	sync_worker = NULL;
}

static struct sync_status status(void)
{
	struct sync_status now;

	sync_status(sync_worker, &now);
	return now;
}

static const char *held(const char *key)
{
	static struct buf value;

	fake_redis_peek(key, &value);
	return value.data;
}

/* Does the story of the words up to now, but for what is done once a second, begin with this one? */
static void check_story(const char *want)
{
	_cleanup_buf_ struct buf words = {0}, story = {0};
	char *word, *rest = NULL;

	buf_adds(&words, events_take());
	buf_adds(&story, "");
	for (word = strtok_r(words.data, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
		if (strcmp(word, "count") != 0 && strcmp(word, "note") != 0)
			buf_addf(&story, "%s%s", story.len ? " " : "", word);
	ck_assert_msg(strncmp(story.data, want, strlen(want)) == 0, "%s", story.data);
}

/* Wait until exactly this has happened, and perhaps more after it. */
static void expect(const char *story)
{
	events_await(story);
	check_story(story);
}

/* Up to the first heartbeat, with a copy and a lease in Redis. */
static void lead(void)
{
	start();
	events_await("begin publish time beat publish");
	fake_redis_put("r:1001:42", "copy", 4);
	fake_redis_put("r:1001:43", "L:token", 7);
}

/* --- Election -------------------------------------------------------------------------------- */

START_TEST(one_that_was_never_started_can_be_freed)
{
	ck_assert_int_eq(status().state, SYNC_OFF);
	ck_assert_int_eq(status().lag_ms, -1);
	stop();
	sync_free(NULL);
}
END_TEST

START_TEST(every_state_has_a_name)
{
	for (int state = SYNC_OFF; state <= SYNC_PAUSING; state++)
		ck_assert(sync_state_name((enum sync_state)state)[0]);
}
END_TEST

START_TEST(alone_it_is_elected_and_begins_with_an_epoch)
{
	start();
	expect("read connect id open start tables begin publish time mark inspect missed beat publish");
	ck_assert_int_eq(status().state, SYNC_LEADING);
	ck_assert(*held("epoch"));
	ck_assert(*held("t:1001") && *held("t:1002"));
}
END_TEST

START_TEST(while_somebodys_heart_beats_it_does_not_even_ask)
{
	fake_cache_prove("0/other", "0/other", ITEMS, "0/other");
	start();
	events_await("read read");
	check_story("read read");
	ck_assert_int_eq(status().state, SYNC_WAITING);
	ck_assert_uint_eq(fake_feed_count(FEED_OPEN), 0);
	ck_assert_uint_eq(fake_broker_commands(), 0);
	fake_redis_remove("hb");
	events_await("connect id open start begin publish");
	ck_assert_str_ne(held("epoch"), "0/other");
}
END_TEST

/* It was elected, and its heart does not beat yet. */
START_TEST(while_another_is_elected_it_waits)
{
	fake_feed_answer(FEED_OPEN, -EBUSY);
	start();
	expect("read connect id open read connect id open");
	ck_assert_str_eq(held("epoch"), "");
	ck_assert_str_eq(status().last_error, "");
	fake_feed_answer(FEED_OPEN, 0);
	events_await("start begin");
}
END_TEST

START_TEST(while_the_feed_prepares_nothing_is_said)
{
	fake_feed_answer(FEED_BEGIN, 0);
	start();
	expect("read connect id open start start start");
	ck_assert_int_eq(status().state, SYNC_STARTING);
	ck_assert_uint_eq(status().feed.tables[FEED_WAL], 2);
	ck_assert_str_eq(held("epoch"), "");
	fake_feed_answer(FEED_BEGIN, 1);
	events_await("begin publish");
	ck_assert_int_eq(status().state, SYNC_LEADING);
}
END_TEST

static const struct {
	enum fake_feed_call call;
	int err;
} refusals[] = {{FEED_OPEN, EIO}, {FEED_BEGIN, EIO}};

static void look_at_the_second_try(void *arg, const char *command)
{
	unsigned *tries = arg;

	if (strcmp(command, "read") != 0 || ++*tries != 2)
		return;
	ck_assert(strstr(status().last_error, "fake feed"));
	ck_assert_int_eq(status().state, SYNC_PAUSING);
	ck_assert_str_eq(held("epoch"), "");
	ck_assert_uint_eq(fake_feed_opened(), 0);
}

START_TEST(one_that_cannot_begin_says_why_and_tries_again)
{
	static unsigned tries;

	fake_cache_on(look_at_the_second_try, &tries);
	fake_feed_answer_once(refusals[_i].call, -refusals[_i].err, 1);
	start();
	events_await("open read connect id open start begin publish beat publish");
	ck_assert_int_eq(status().state, SYNC_LEADING);
}
END_TEST

/* Trying costs a connection each time, and only somebody's command can change the answer. */
START_TEST(where_there_can_be_no_feed_it_waits_long)
{
	fake_feed_answer_once(FEED_OPEN, -EOPNOTSUPP, 1);
	start();
	expect("read connect id open");
	usleep(1500000); /* after another refusal it would have tried again */
	ck_assert_ptr_null(strstr(events_take(), "read"));
	ck_assert_int_eq(status().state, SYNC_PAUSING);
	ck_assert(strstr(status().last_error, "fake feed"));
}
END_TEST

START_TEST(without_redis_nobody_is_elected)
{
	fake_redis_down(true);
	start();
	expect("read connect read connect");
	ck_assert(strstr(status().last_error, "fake Redis"));
	ck_assert_uint_eq(fake_feed_count(FEED_OPEN), 0);
	fake_redis_down(false);
	events_await("open start begin");
}
END_TEST

/* --- Changes --------------------------------------------------------------------------------- */

/* R1: the stream runs ahead of what new statements see, and a reader who came in between would put the old row back. */
START_TEST(no_copy_is_dropped_before_the_change_can_be_seen)
{
	lead();
	fake_feed_answer(FEED_VISIBLE, 0);
	events_take();
	fake_feed_push(&update);
	events_await("changes visible visible visible visible visible");
	ck_assert_str_eq(held("r:1001:42"), "copy");
	fake_feed_answer(FEED_VISIBLE, 1);
	events_await("changes visible unlink publish");
	ck_assert_str_eq(held("r:1001:42"), "");
}
END_TEST

/* While it waits for that, no heartbeat is set. */
START_TEST(nothing_is_said_while_a_change_cannot_be_seen)
{
	lead();
	fake_feed_answer(FEED_VISIBLE, 0);
	fake_feed_push(&update);
	events_await("changes visible");
	events_take();
	expect("visible visible visible visible visible visible visible visible");
}
END_TEST

START_TEST(changes_are_dropped_then_announced)
{
	struct buf message = {0};
	struct sync_status now;

	lead();
	ck_assert_uint_eq(status().changes, 0);
	events_take();
	fake_feed_push(&update);
	events_await("changes visible unlink publish mark"); /* and it is counted by then */
	now = status();
	ck_assert_uint_eq(now.changes, 1);
	ck_assert_uint_eq(now.transactions, 1);
	do
		ck_assert_int_eq(subscription_next(mount, 1000, &message, &e), 1);
	while (!strstr(message.data, "\nu 1001 42.json\n"));
	buf_done(&message);
}
END_TEST

/* A transaction that changed nothing here need not be seen by anybody, but is waited for all the same: what follows it in the
 * batch may depend on it. */
START_TEST(a_batch_without_changes_drops_nothing)
{
	struct batch batch = {0};

	lead();
	batch_add_transaction(&batch, 77);
	events_take();
	fake_feed_push_batch(&batch);
	events_await("changes visible time");
	ck_assert_ptr_null(strstr(events_take(), "unlink"));
	ck_assert_uint_eq(status().transactions, 1);
	ck_assert_uint_eq(status().changes, 0);
	batch_done(&batch);
}
END_TEST

/* --- Heartbeats ------------------------------------------------------------------------------ */

/* Between a mark and its heartbeat. */
static void push_at_the_mark(void *arg, const char *call)
{
	bool *pushed = arg;

	if (strcmp(call, "mark") != 0 || *pushed)
		return;
	*pushed = true;
	fake_feed_push(&update);
}

/* What had been committed when the mark was set is visible, dropped and announced before the heartbeat that covers it. */
START_TEST(a_heartbeat_follows_what_came_before_its_mark)
{
	static bool pushed;

	fake_feed_on(push_at_the_mark, &pushed);
	start();
	expect("read connect id open start tables begin publish "
	       "time mark inspect changes visible unlink publish missed beat publish");
}
END_TEST

START_TEST(before_the_stream_has_passed_the_mark_no_heart_beats)
{
	unsigned before;

	fake_feed_answer(FEED_PASSED, 0);
	start();
	events_await("mark");
	before = fake_feed_count(FEED_NEXT);
	while (fake_feed_count(FEED_NEXT) < before + 4)
		sched_yield();
	check_story("read connect id open start tables begin publish time mark inspect");
	ck_assert_str_eq(held("hb"), "");
	ck_assert_uint_eq(fake_feed_count(FEED_MARK), 1); /* one mark at a time */
	fake_feed_answer(FEED_PASSED, 1);
	expect("missed beat publish");
	ck_assert(*held("hb"));
}
END_TEST

static void move_the_clock(void *arg, const char *call)
{
	if (strcmp(call, "mark") == 0)
		fake_redis_clock(T0 + 40000);
	else if (strcmp(call, "inspect") == 0)
		fake_redis_clock(T0 + 80000);
	else if (strcmp(call, "missed") == 0)
		fake_redis_clock(T0 + 120000);
}

/* R4: from the time that was noted before the mark. What is committed after that may not be covered. */
START_TEST(a_heartbeat_lasts_from_before_its_mark)
{
	_cleanup_buf_ struct buf want = {0};
	struct buf message = {0};

	fake_feed_on(move_the_clock, NULL);
	start();
	ck_assert_int_eq(subscription_next(mount, 20000, &message, &e), 1);
	ck_assert_int_eq(subscription_next(mount, 20000, &message, &e), 1);
	buf_addf(&want, "\nh %lld\n", (long long)(T0 + LIFE_US));
	ck_assert_msg(strstr(message.data, want.data), "%s", message.data);
	buf_done(&message);
}
END_TEST

/* A worker that was stopped in between sets nothing. */
static void stop_for_long(void *arg, const char *call)
{
	if (strcmp(call, "missed") == 0)
		fake_redis_clock(T0 + LIFE_US + 1);
}

START_TEST(a_heartbeat_that_is_late_is_none)
{
	fake_feed_on(stop_for_long, NULL);
	start();
	events_await("missed beat publish");
	ck_assert_str_eq(held("hb"), "");
}
END_TEST

START_TEST(the_heart_goes_on_beating)
{
	lead();
	events_take();
	expect("time mark inspect missed beat publish time mark inspect missed beat publish");
	ck_assert_int_ge(status().lag_ms, 0);
	ck_assert_str_eq(status().epoch, held("epoch"));
}
END_TEST

START_TEST(a_heartbeat_that_does_not_come_shows_as_lag)
{
	lead();
	events_await("beat");
	fake_feed_answer(FEED_PASSED, 0);
	for (int i = 0; i < 500 && status().lag_ms < 400; i++)
		poll(NULL, 0, 10);
	ck_assert_int_ge(status().lag_ms, 400);
	fake_feed_answer(FEED_PASSED, 1);
	for (int i = 0; i < 500 && status().lag_ms >= 400; i++)
		poll(NULL, 0, 10);
	ck_assert_int_lt(status().lag_ms, 400);
}
END_TEST

/* What the catalog says is looked at after the mark, and dropped and announced before the heartbeat that covers it. */
START_TEST(a_table_that_changed_is_said_before_the_heartbeat)
{
	struct batch batch = {0};

	batch_add(&batch, &(struct batch_change){ITEMS, BATCH_RELATION, ""});
	fake_feed_push_inspected(&batch);
	start();
	expect("read connect id open start tables begin publish "
	       "time mark inspect tables publish missed beat publish");
	batch_done(&batch);
}
END_TEST

static char first_epoch[EPOCH_SIZE];

static void no_beat_in_the_first(void *arg, const char *command)
{
	if (strcmp(command, "beat") == 0)
		ck_assert_str_ne(held("epoch"), first_epoch);
	if (strcmp(command, "begin") == 0 && !*first_epoch)
		*first_epoch = 'x';
	else if (*first_epoch == 'x')
		snprintf(first_epoch, sizeof first_epoch, "%s", held("epoch"));
}

/* R3: readers may have seen the time before it, and nothing told of it. */
START_TEST(a_transaction_that_the_feed_missed_begins_another_epoch_before_any_beat)
{
	fake_feed_answer_once(FEED_MISSED, 1, 1);
	fake_broker_on(no_beat_in_the_first, NULL);
	start();
	expect("read connect id open start tables begin publish time mark inspect missed "
	       "tables begin publish time mark inspect missed beat publish");
	ck_assert_str_ne(held("epoch"), first_epoch);
}
END_TEST

/* --- Redis fails ----------------------------------------------------------------------------- */

START_TEST(after_redis_trouble_the_feed_goes_on_under_another_epoch)
{
	char epoch[EPOCH_SIZE];

	lead();
	snprintf(epoch, sizeof epoch, "%s", held("epoch"));
	events_take();
	fake_broker_fail(1, EIO, _i);
	events_await("connect id tables begin publish time mark inspect missed beat publish");
	ck_assert_ptr_null(strstr(events_take(), "close"));
	ck_assert_str_ne(held("epoch"), epoch);
	ck_assert_int_eq(status().state, SYNC_LEADING);
}
END_TEST

/* What was marked under the old one proves nothing in the new one. */
START_TEST(a_mark_from_before_an_epoch_makes_no_heartbeat_in_it)
{
	fake_feed_answer(FEED_PASSED, 0);
	start();
	events_await("mark note");
	events_take();
	fake_broker_fail_at("unlink", EIO, false);
	fake_feed_push(&update);
	events_await("unlink");
	fake_feed_answer(FEED_PASSED, 1);
	expect("changes visible unlink connect id tables begin publish time mark inspect missed beat publish");
}
END_TEST

/* Redis is back so soon that the worker has not looked yet. */
static void linger_after_the_loss(void *arg, const char *call)
{
	int64_t until = clock_monotonic_ms() + PUBLISHER_PAUSE_MS;

	while (strcmp(call, "passed") == 0 && clock_monotonic_ms() <= until)
		sched_yield();
}

START_TEST(a_mark_during_which_redis_was_lost_makes_no_heartbeat)
{
	struct batch batch = {0};

	lead();
	fake_feed_answer(FEED_PASSED, 0);
	fake_feed_on(linger_after_the_loss, NULL);
	batch_add(&batch, &(struct batch_change){ITEMS, BATCH_INSERT, "44.json"});
	events_take();
	fake_broker_fail_at("unlink", EIO, false);
	fake_feed_push_inspected(&batch);
	events_await("unlink connect id tables begin publish");
	fake_feed_answer(FEED_PASSED, 1);
	events_await("unlink connect id tables begin publish beat");
	ck_assert_ptr_nonnull(strstr(events_take(), "begin publish time mark inspect"));
	batch_done(&batch);
}
END_TEST

/* A heartbeat is overdue all the while, and that is no reason not to sleep. */
START_TEST(without_redis_it_does_not_spin)
{
	unsigned hasty;

	lead();
	fake_redis_down(true);
	events_take();
	events_await("connect connect");
	hasty = fake_feed_hasty();
	events_await("connect connect connect connect");
	ck_assert_uint_eq(fake_feed_hasty(), hasty);
}
END_TEST

START_TEST(another_redis_has_another_worker)
{
	lead();
	events_take();
	fake_redis_flush();
	fake_broker_fail(1, EIO, false);
	events_await("connect id close read connect id open start tables begin publish beat publish");
	ck_assert(*held("hb"));
}
END_TEST

START_TEST(an_epoch_that_another_began_ends_this_workers_lead)
{
	lead();
	events_take();
	fake_redis_put("epoch", "0/other", 7);
	events_await("beat close read connect id open start tables begin publish beat publish");
	ck_assert_str_ne(held("epoch"), "0/other");
}
END_TEST

/* --- The feed fails -------------------------------------------------------------------------- */

static const enum fake_feed_call calls[] = {FEED_NEXT, FEED_VISIBLE, FEED_INSPECT, FEED_MARK, FEED_MISSED};

static void look_at_the_second_lead(void *arg, const char *command)
{
	unsigned *tries = arg;

	if (++*tries != 2)
		return;
	ck_assert(strstr(status().last_error, "fake feed"));
	ck_assert_int_eq(status().state, SYNC_PAUSING);
	ck_assert_uint_eq(fake_feed_opened(), 0);
}

START_TEST(a_feed_that_fails_is_closed_and_another_opened_under_another_epoch)
{
	char epoch[EPOCH_SIZE];
	static unsigned tries;

	fake_cache_on(look_at_the_second_lead, &tries);
	lead();
	snprintf(epoch, sizeof epoch, "%s", held("epoch"));
	events_take();
	fake_feed_answer_once(calls[_i], -EIO, 1);
	fake_feed_push(&update);
	events_await("close");
	fake_redis_clock(T0 + 2 * LIFE_US); /* its heartbeat's end */
	events_await("close read connect id open start tables begin publish time mark inspect missed beat publish");
	ck_assert_str_ne(held("epoch"), epoch);
	ck_assert_uint_eq(fake_feed_opened(), 1);
}
END_TEST

START_TEST(nothing_is_dropped_of_a_batch_that_could_not_be_waited_for)
{
	lead();
	events_take();
	fake_feed_answer_once(FEED_VISIBLE, -EIO, 1);
	fake_feed_push(&update);
	events_await("changes visible close");
	ck_assert_ptr_null(strstr(events_take(), "unlink"));
	ck_assert_str_eq(held("r:1001:42"), "copy");
}
END_TEST

/* --- Care ------------------------------------------------------------------------------------ */

START_TEST(it_tells_people_of_itself)
{
	_cleanup_buf_ struct buf note = {0};

	start();
	events_await("note time");
	ck_assert(cache_worker_note(fake_cache(), &note));
	ck_assert(strstr(note.data, "tables: 2 wal, 0 log, 0 none"));
}
END_TEST

START_TEST(it_mends_tables_whose_epoch_is_lost)
{
	lead();
	events_await("count note time");
	fake_redis_remove("t:1002");
	events_take();
	events_await("count tables time");
	ck_assert(*held("t:1002"));
}
END_TEST

/* --- The end --------------------------------------------------------------------------------- */

START_TEST(it_ends_while_it_waits_for_another)
{
	if (_i == 0)
		fake_cache_prove("0/other", "0/other", ITEMS, "0/other");
	else
		fake_feed_answer(FEED_OPEN, -EBUSY);
	start();
	events_await(_i == 0 ? "read" : "open");
	stop();
}
END_TEST

START_TEST(it_ends_while_the_feed_prepares)
{
	fake_feed_answer(FEED_BEGIN, 0);
	start();
	events_await("start");
	stop();
	check_story("read connect id open start");
	ck_assert_str_eq(held("epoch"), "");
	ck_assert_uint_eq(fake_feed_opened(), 0);
}
END_TEST

START_TEST(it_ends_while_it_leads)
{
	lead();
	stop();
	ck_assert_uint_eq(fake_feed_opened(), 0);
}
END_TEST

/* What could not be seen yet is not dropped: the next worker's epoch makes up for it. */
START_TEST(it_ends_while_a_change_cannot_be_seen)
{
	lead();
	fake_feed_answer(FEED_VISIBLE, 0);
	fake_feed_push(&update);
	events_await("changes visible visible");
	events_take();
	stop();
	ck_assert_ptr_null(strstr(events_take(), "unlink"));
	ck_assert_str_eq(held("r:1001:42"), "copy");
}
END_TEST

START_TEST(it_ends_while_redis_is_away)
{
	if (_i == 1)
		lead();
	fake_redis_down(true);
	if (_i == 0)
		start();
	events_await("connect");
	events_take();
	events_await("connect");
	stop();
}
END_TEST

START_TEST(it_ends_while_it_pauses)
{
	fake_feed_answer(FEED_OPEN, -EIO);
	start();
	events_await("open");
	stop();
	check_story("read connect id open");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sync");
	TCase *test = tcase_create("sync");

	tcase_set_timeout(test, 30);
	tcase_add_checked_fixture(test, setup, teardown);
	tcase_add_test(test, one_that_was_never_started_can_be_freed);
	tcase_add_test(test, every_state_has_a_name);
	tcase_add_test(test, alone_it_is_elected_and_begins_with_an_epoch);
	tcase_add_test(test, while_somebodys_heart_beats_it_does_not_even_ask);
	tcase_add_test(test, while_another_is_elected_it_waits);
	tcase_add_test(test, while_the_feed_prepares_nothing_is_said);
	tcase_add_loop_test(test, one_that_cannot_begin_says_why_and_tries_again, 0, 2);
	tcase_add_test(test, where_there_can_be_no_feed_it_waits_long);
	tcase_add_test(test, without_redis_nobody_is_elected);
	tcase_add_test(test, no_copy_is_dropped_before_the_change_can_be_seen);
	tcase_add_test(test, nothing_is_said_while_a_change_cannot_be_seen);
	tcase_add_test(test, changes_are_dropped_then_announced);
	tcase_add_test(test, a_batch_without_changes_drops_nothing);
	tcase_add_test(test, a_heartbeat_follows_what_came_before_its_mark);
	tcase_add_test(test, before_the_stream_has_passed_the_mark_no_heart_beats);
	tcase_add_test(test, a_heartbeat_lasts_from_before_its_mark);
	tcase_add_test(test, a_heartbeat_that_is_late_is_none);
	tcase_add_test(test, the_heart_goes_on_beating);
	tcase_add_test(test, a_heartbeat_that_does_not_come_shows_as_lag);
	tcase_add_test(test, a_table_that_changed_is_said_before_the_heartbeat);
	tcase_add_test(test, a_transaction_that_the_feed_missed_begins_another_epoch_before_any_beat);
	tcase_add_loop_test(test, after_redis_trouble_the_feed_goes_on_under_another_epoch, 0, 2);
	tcase_add_test(test, a_mark_from_before_an_epoch_makes_no_heartbeat_in_it);
	tcase_add_test(test, a_mark_during_which_redis_was_lost_makes_no_heartbeat);
	tcase_add_test(test, without_redis_it_does_not_spin);
	tcase_add_test(test, another_redis_has_another_worker);
	tcase_add_test(test, an_epoch_that_another_began_ends_this_workers_lead);
	tcase_add_loop_test(test, a_feed_that_fails_is_closed_and_another_opened_under_another_epoch, 0,
	                    sizeof calls / sizeof *calls);
	tcase_add_test(test, nothing_is_dropped_of_a_batch_that_could_not_be_waited_for);
	tcase_add_test(test, it_tells_people_of_itself);
	tcase_add_test(test, it_mends_tables_whose_epoch_is_lost);
	tcase_add_loop_test(test, it_ends_while_it_waits_for_another, 0, 2);
	tcase_add_test(test, it_ends_while_the_feed_prepares);
	tcase_add_test(test, it_ends_while_it_leads);
	tcase_add_test(test, it_ends_while_a_change_cannot_be_seen);
	tcase_add_loop_test(test, it_ends_while_redis_is_away, 0, 2);
	tcase_add_test(test, it_ends_while_it_pauses);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
