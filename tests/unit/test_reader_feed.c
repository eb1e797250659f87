/* Readers under a feed of changes: which copies are used and made, and what a reader is told with the answer. */
#include <errno.h>
#include <string.h>

#include "fake_broker.h"
#include "fake_feed.h"
#include "fake_redis.h"
#include "reader_ask.h"
#include "rowfs/base/counters.h"
#include "rowfs/engine/follow.h"

#define T0    INT64_C(1763805200000000)
#define EPOCH "63f1c2a9-9f86d081884c7d65"
#define TABLE "63f1c2a8-2c26b46b68ffc68f"
#define OTHER "63f1ffff-0000000000000001"

static const char row_key[] = "r:1001:42";

/* --- The world ------------------------------------------------------------------------------- */

static struct marks *marks;

static void prove(const char *epoch, const char *beats, const char *table)
{
	fake_cache_prove(epoch, beats, ITEMS, table);
}

/* This mount hears that worker, for an hour. */
static void hear(const char *epoch)
{
	_cleanup_buf_ struct buf message = {0};

	buf_addf(&message, "%s 1\ne\nh %lld\n", epoch, (long long)(T0 + 3600000000));
	fake_publish(message.data);
	fake_publish_settle();
}

static void open_fed(void)
{
	fake_redis_clock(T0);
	sample_prepare(&sample);
	sample.settings.changes = CHANGES_AUTO;
	sample_start(&sample);
	marks = sample.engine.marks;
	ref = sample_ref(&sample, ITEMS, "42.json");
	fake_store_put(&old_row);
	ck_assert_int_eq(follow_start(sample.engine.follow), 0);
	fake_publish_settle();
	hear(EPOCH);
	prove(EPOCH, EPOCH, TABLE);
	events_take();
}

/* A copy as a mount would have made it under these epochs. */
static void put_fed(const struct fake_row *row, const char *epoch, const char *table, uint64_t fingerprint)
{
	_cleanup_buf_ struct buf aged = {0}, copy = {0};
	char *rest;

	print_copy(row, fingerprint, &aged);
	rest = strchr(aged.data, ' ');
	buf_addf(&copy, "%s/%s%s", epoch, table, rest);
	fake_cache_put(row_key, copy.data, copy.len);
}

static void put_good(const struct fake_row *row)
{
	put_fed(row, EPOCH, TABLE, ref.relation->fingerprint);
}

static bool holds(const char *beginning, const char *part)
{
	_cleanup_buf_ struct buf value = {0};

	fake_cache_peek(row_key, &value);
	return strncmp(value.data, beginning, strlen(beginning)) == 0 && strstr(value.data, part);
}

static bool touched(const struct ask *ask)
{
	return marks_touched(marks, ITEMS, "42.json", ask->request.mark);
}

/* --- Copies that are used (R5) --------------------------------------------------------------- */

START_TEST(a_miss_is_leased_read_and_filled_under_the_epochs)
{
	int64_t life;

	ck_assert_int_eq(get(&ref), 7421);
	check_events("read lease fetch fill");
	ck_assert(holds(EPOCH "/" TABLE " ", old_text));
	life = fake_cache_life(row_key);
	ck_assert_int_gt(life, COPY_LIFE_MS - COPY_LIFE_MS / 8 - 10000);
	ck_assert_int_le(life, COPY_LIFE_MS);
	ck_assert_int_eq(get(&ref), 7421);
	check_events("read");
}
END_TEST

START_TEST(a_copy_of_both_epochs_is_used_while_the_heartbeat_stands)
{
	put_good(&new_row);
	ck_assert_int_eq(get(&ref), 900);
	check_events("read");
}
END_TEST

static const struct {
	const char *epoch, *beats, *table;
} unproved[] = {
        {EPOCH, NULL, TABLE},   /* the heartbeat has lapsed */
        {EPOCH, OTHER, TABLE},  /* it is another worker's */
        {NULL, EPOCH, TABLE},   /* R8: missing is no default */
        {NULL, NULL, NULL},
        {EPOCH, EPOCH, NULL},   /* a table that no feed covers */
        {EPOCH, "", TABLE},
        {EPOCH, EPOCH "0", TABLE},
};

/* Not used, not replaced, and nothing is put there. */
START_TEST(without_proof_a_copy_is_neither_used_nor_made)
{
	prove(unproved[_i].epoch, unproved[_i].beats, unproved[_i].table);
	put_good(&new_row);
	ck_assert_int_eq(get(&ref), 7421);
	check_events("read fetch");
	ck_assert(holds(EPOCH "/" TABLE " ", "99.00"));
	fake_redis_remove(row_key);
	ck_assert_int_eq(get(&ref), 7421);
	check_events("read fetch");
	ck_assert(!holds("", "Zelt"));
}
END_TEST

START_TEST(nothing_of_a_proof_is_remembered)
{
	put_good(&old_row);
	ck_assert_int_eq(get(&ref), 7421);
	prove(EPOCH, NULL, TABLE);
	ck_assert_int_eq(get(&ref), 7421);
	prove(EPOCH, EPOCH, TABLE);
	ck_assert_int_eq(get(&ref), 7421);
	check_events("read read fetch read");
}
END_TEST

START_TEST(without_redis_postgresql_answers)
{
	put_good(&new_row);
	fake_cache_down(true);
	ck_assert_int_eq(get(&ref), 7421);
	check_events("read fetch");
}
END_TEST

static const struct {
	const char *epoch, *table;
} other_epochs[] = {{OTHER, TABLE}, {EPOCH, OTHER}, {TABLE, EPOCH}, {"", ""}, {EPOCH, ""}, {EPOCH "/" TABLE, TABLE}};

START_TEST(a_copy_of_other_epochs_is_replaced_under_a_lease)
{
	put_fed(&new_row, other_epochs[_i].epoch, other_epochs[_i].table, ref.relation->fingerprint);
	ck_assert_int_eq(get(&ref), 7421);
	check_events("read lease fetch fill");
	ck_assert(holds(EPOCH "/" TABLE " ", old_text));
}
END_TEST

START_TEST(a_copy_of_other_columns_is_replaced_under_a_lease)
{
	put_fed(&new_row, EPOCH, TABLE, 1);
	ck_assert_int_eq(get(&ref), 7421);
	check_events("read lease fetch fill");
	ck_assert(holds(EPOCH "/" TABLE " ", old_text));
}
END_TEST

START_TEST(garbage_is_replaced_under_a_lease)
{
	static const char *const garbage[] = {"hello", "", EPOCH "/" TABLE " ", EPOCH "/" TABLE " 8c1f 1 1.0 00\n{}"};
	uint64_t before = counters[COUNTER_cache_garbage];

	fake_cache_put(row_key, garbage[_i], strlen(garbage[_i]));
	ck_assert_int_eq(get(&ref), 7421);
	check_events("read lease fetch fill");
	ck_assert(holds(EPOCH "/" TABLE " ", old_text));
	ck_assert_uint_eq(counters[COUNTER_cache_garbage], before + 1);
}
END_TEST

START_TEST(an_aged_copy_is_no_copy_under_a_feed)
{
	put_copy(&new_row);
	ck_assert_int_eq(get(&ref), 7421);
	check_events("read lease fetch fill");
}
END_TEST

START_TEST(somebody_elses_lease_means_no_fill)
{
	fake_cache_put(row_key, "L:others", 8);
	ck_assert_int_eq(get(&ref), 7421);
	check_events("read lease fetch");
	ck_assert(holds("L:others", ""));
}
END_TEST

static void others_fill(void *arg, const char *command)
{
	if (strcmp(command, "lease") == 0)
		put_good(&old_row);
}

/* Another mount was quicker: its copy is as good. */
START_TEST(a_copy_that_others_made_meanwhile_is_not_replaced)
{
	put_fed(&new_row, OTHER, TABLE, ref.relation->fingerprint);
	fake_cache_on(others_fill, NULL);
	ck_assert_int_eq(get(&ref), 7421);
	check_events("read lease fetch");
}
END_TEST

static void others_fill_late(void *arg, const char *command)
{
	if (strcmp(command, "lease") == 0)
		put_fed(&new_row, OTHER, TABLE, ref.relation->fingerprint);
}

/* A fill from before the epoch, which came after Redis was asked: nobody may use it, so it need not stay. */
START_TEST(a_copy_of_other_epochs_that_came_meanwhile_is_replaced)
{
	fake_cache_on(others_fill_late, NULL);
	ck_assert_int_eq(get(&ref), 7421);
	check_events("read lease fetch fill");
	ck_assert(holds(EPOCH "/" TABLE " ", old_text));
}
END_TEST

/* --- Copies that are made -------------------------------------------------------------------- */

/* What changes while the SELECT is out. */
static int change_epochs(void *arg, const struct fake_call *call)
{
	int r = fake_store_line(call, &old_row);

	if (*(int *)arg == 0)
		prove(OTHER, OTHER, TABLE);
	else
		prove(EPOCH, EPOCH, OTHER);
	return r;
}

/* A change that came between is dropped under the new epochs only; so the old value must not bear their names. */
START_TEST(a_copy_is_stamped_with_the_epochs_of_before_its_select)
{
	fake_store_on(change_epochs, &_i);
	ck_assert_int_eq(get(&ref), 7421);
	check_events("read lease fetch fill");
	ck_assert(holds(EPOCH "/" TABLE " ", old_text));
	fake_store_on(NULL, NULL);
	fake_store_put(&new_row);
	ck_assert_int_eq(get(&ref), 900);
	check_events("read lease fetch fill");
}
END_TEST

static int worker_drops_it(void *arg, const struct fake_call *call)
{
	int r = fake_store_line(call, &old_row);

	fake_redis_remove(row_key);
	return r;
}

START_TEST(a_change_that_the_worker_drops_ends_the_lease)
{
	fake_store_on(worker_drops_it, NULL);
	ck_assert_int_eq(get(&ref), 7421);
	check_events("read lease fetch fill");
	ck_assert(!holds("", "Zelt"));
}
END_TEST

START_TEST(reading_may_use_a_copy_but_makes_none)
{
	_cleanup_text_ struct text *text = NULL, *copied = NULL;
	struct error e = {0};

	ck_assert_int_eq(reader_read(sample.engine.reader, &ref, STORE_WRITE, &text, &e), 0);
	ck_assert_uint_eq(text->xid, 7421);
	check_events("read fetch");
	put_good(&new_row);
	ck_assert_int_eq(reader_read(sample.engine.reader, &ref, STORE_WRITE, &copied, &e), 0);
	ck_assert_uint_eq(copied->xid, 900);
	check_events("read");
}
END_TEST

static void check_never_cached(const struct rowref *which)
{
	struct ask ask;

	for (int i = 0; i < 2; i++) {
		ask_begin(&ask, which);
		ck_assert_int_eq(ask_end(&ask), 7421);
		ck_assert(!ask.request.fed);
	}
	ck_assert(!reader_is_fed(sample.engine.reader, which->relation));
	reader_saved(sample.engine.reader, which, 900);
	check_events("fetch fetch");
}

START_TEST(what_others_may_not_see_is_never_shared)
{
	static const enum sample_oid oids[] = {GUARDED, PARTIAL};
	struct rowref other = sample_ref(&sample, oids[_i], "42.json");

	fake_cache_prove(EPOCH, EPOCH, oids[_i], TABLE);
	check_never_cached(&other);
	rowref_done(&other);
}
END_TEST

/* A standby's rows may be older than what the epochs stand for. */
START_TEST(what_a_standby_says_is_not_shared)
{
	fake_store_lag(true);
	put_good(&new_row);
	check_never_cached(&ref);
}
END_TEST

/* Two versions of such a row cannot be told apart, which the own-reads rule needs. */
START_TEST(without_xmin_nothing_is_shared)
{
	((struct relation *)ref.relation)->has_xmin = false; /* the snapshot is this test's */
	put_good(&new_row);
	check_never_cached(&ref);
}
END_TEST

/* --- Own reads and writes (R6) --------------------------------------------------------------- */

START_TEST(after_a_save_only_its_own_copy_is_used)
{
	put_good(&old_row);
	fake_store_put(&new_row);
	reader_saved(sample.engine.reader, &ref, 900);
	check_events(""); /* the worker drops it */
	ck_assert(holds("", "Zelt"));
	ck_assert_int_eq(get(&ref), 900);
	check_events("read fetch");
	put_good(&new_row);
	ck_assert_int_eq(get(&ref), 900);
	check_events("read");
}
END_TEST

START_TEST(what_no_worker_drops_the_saver_does)
{
	put_good(&old_row);
	reader_saved(sample.engine.reader, &ref, 0); /* refused, perhaps because of what it says */
	check_events("drop");
	ck_assert(!holds("", "Zelt"));
	put_good(&old_row);
	fake_publish(EPOCH " 2\ne\n");
	fake_publish_settle(); /* not live */
	check_events("all");
	reader_saved(sample.engine.reader, &ref, 900);
	check_events("drop");
	ck_assert(!holds("", "Zelt"));
}
END_TEST

START_TEST(after_a_row_was_shown_only_a_copy_of_that_is_used)
{
	put_good(&old_row);
	fake_store_put(&new_row);
	ck_assert(reader_shows(sample.engine.reader, &ref, 900));
	ck_assert_int_eq(get(&ref), 900);
	check_events("read fetch");
	put_good(&new_row);
	ck_assert_int_eq(get(&ref), 900);
	check_events("read");
}
END_TEST

/* A listing that is read slowly, of a row that others have looked at meanwhile. */
START_TEST(nobody_is_shown_what_was_before_a_read)
{
	fake_store_put(&new_row);
	ck_assert_int_eq(get(&ref), 900);
	ck_assert(!reader_shows(sample.engine.reader, &ref, 7421));
	ck_assert(reader_shows(sample.engine.reader, &ref, 900));
	fake_store_remove("42");
	prove(EPOCH, NULL, TABLE);
	ck_assert_int_eq(get(&ref), -ENOENT);
	ck_assert(!reader_shows(sample.engine.reader, &ref, 900));
}
END_TEST

START_TEST(after_a_read_nothing_older_is_used)
{
	fake_store_put(&new_row);
	prove(EPOCH, NULL, TABLE);
	ck_assert_int_eq(get(&ref), 900);
	prove(EPOCH, EPOCH, TABLE);
	put_good(&old_row);
	ck_assert_int_eq(get(&ref), 900);
	check_events("read fetch read fetch");
}
END_TEST

START_TEST(after_a_row_was_missed_no_copy_of_it_is_used)
{
	fake_store_remove("42");
	ck_assert_int_eq(get(&ref), -ENOENT);
	put_good(&old_row);
	ck_assert_int_eq(get(&ref), -ENOENT);
}
END_TEST

static int refuse(void *arg, const struct fake_call *call)
{
	return strcmp(call->verb, "fetch") == 0 ? fake_refuse(call, EACCES, "42501") : FAKE_PASS;
}

/* Another role's mount may put one there, before this mount has read of the REVOKE in the catalog. */
START_TEST(after_a_refusal_no_copy_of_the_row_is_used)
{
	fake_store_on(refuse, NULL);
	ck_assert_int_eq(get(&ref), -EACCES);
	put_good(&old_row);
	ck_assert_int_eq(get(&ref), -EACCES);
}
END_TEST

START_TEST(a_save_marks_the_row)
{
	uint64_t since = marks_now(marks);

	reader_saved(sample.engine.reader, &ref, 900);
	ck_assert(marks_touched(marks, ITEMS, "42.json", since));
}
END_TEST

/* --- What is told with the answer ------------------------------------------------------------ */

static void others_change_it(void *arg, const char *command)
{
	if (strcmp(command, "read") == 0)
		marks_row(marks, ITEMS, "42.json");
}

START_TEST(a_hit_is_told_with_the_number_from_before_redis_was_asked)
{
	struct ask ask;

	put_good(&old_row);
	ask_begin(&ask, &ref);
	ck_assert_int_eq(ask_end(&ask), 7421);
	ck_assert(ask.request.fed);
	ck_assert_uint_eq(ask.request.mark, marks_now(marks));
	fake_cache_on(others_change_it, NULL);
	ask_begin(&ask, &ref);
	ck_assert_int_eq(ask_end(&ask), 7421);
	check_events("read read");
	ck_assert(touched(&ask));
}
END_TEST

static int change_during_select(void *arg, const struct fake_call *call)
{
	int r = fake_store_line(call, &old_row);

	marks_row(marks, ITEMS, "42.json");
	return r;
}

START_TEST(a_read_is_told_with_the_number_from_before_its_select)
{
	struct ask ask;

	ask_begin(&ask, &ref);
	ck_assert_int_eq(ask_end(&ask), 7421);
	ck_assert(ask.request.fed);
	ck_assert(!touched(&ask));
	fake_redis_remove(row_key);
	fake_store_on(change_during_select, NULL);
	ask_begin(&ask, &ref);
	ck_assert_int_eq(ask_end(&ask), 7421);
	ck_assert(touched(&ask));
}
END_TEST

struct slow {
	struct latch latch;
	_Atomic unsigned fetches;
};

static int slowly(void *arg, const struct fake_call *call)
{
	struct slow *slow = arg;
	int r;

	if (++slow->fetches > 1)
		return FAKE_PASS;
	r = fake_store_line(call, &old_row);
	latch_pass(&slow->latch);
	return r;
}

static void *ask_in_thread(void *arg)
{
	ask_begin(arg, &ref);
	return NULL;
}

/* Another reader asks for the row, after that flight's SELECT. */
static void fly(struct slow *slow, struct ask *first, pthread_t *thread)
{
	fake_store_on(slowly, slow);
	ck_assert_int_eq(pthread_create(thread, NULL, ask_in_thread, first), 0);
	latch_await(&slow->latch, 1);
}

static void land(struct slow *slow, struct ask *first, pthread_t thread)
{
	latch_open(&slow->latch);
	pthread_join(thread, NULL);
	ck_assert_int_eq(ask_end(first), 7421);
}

/* His own number would hide a change between the flight's SELECT and his question. */
START_TEST(who_joins_a_flight_gets_the_flights_number)
{
	struct slow slow = {.latch = LATCH_INIT};
	struct ask first, joined;
	uint64_t before = marks_now(marks);
	pthread_t thread;

	fly(&slow, &first, &thread);
	marks_row(marks, ITEMS, "43.json");
	ask_begin(&joined, &ref);
	ck_assert(!ask_answered(&joined));
	land(&slow, &first, thread);
	ck_assert_int_eq(ask_end(&joined), 7421);
	ck_assert_uint_eq(slow.fetches, 1);
	ck_assert_uint_eq(first.request.mark, before);
	ck_assert_uint_eq(joined.request.mark, before);
	ck_assert(first.request.fed && joined.request.fed);
}
END_TEST

/* Who has heard of a change, or has seen what came after it, is not told what was before. */
START_TEST(nobody_joins_a_flight_that_is_older_than_what_is_known)
{
	bool hit = _i;
	struct slow slow = {.latch = LATCH_INIT};
	struct ask first;
	pthread_t thread;

	fly(&slow, &first, &thread);
	fake_store_put(&new_row);
	if (hit) {
		put_good(&new_row);
		ck_assert_int_eq(get(&ref), 900);
		fake_redis_remove(row_key);
	} else {
		marks_row(marks, ITEMS, "42.json");
	}
	ck_assert_int_eq(get(&ref), 900);
	ck_assert_uint_eq(slow.fetches, 2);
	land(&slow, &first, thread);
}
END_TEST

static bool told_fed(bool hit)
{
	struct ask ask;

	if (hit)
		put_good(&old_row);
	else
		fake_redis_remove(row_key);
	ask_begin(&ask, &ref);
	ck_assert_int_eq(ask_end(&ask), 7421);
	return ask.request.fed;
}

START_TEST(changes_are_told_only_by_the_worker_that_redis_names_and_this_mount_hears)
{
	bool hit = _i;

	ck_assert(told_fed(hit));
	hear(OTHER);
	ck_assert(!told_fed(hit));
	hear(EPOCH);
	ck_assert(told_fed(hit));
	fake_publish(EPOCH " 2\ne\n");
	fake_publish_settle();
	ck_assert(!told_fed(hit)); /* not live */
}
END_TEST

START_TEST(without_proof_nobody_tells_of_changes)
{
	prove(unproved[_i].epoch, unproved[_i].beats, unproved[_i].table);
	ck_assert(!told_fed(false));
	ck_assert(!reader_is_fed(sample.engine.reader, ref.relation));
}
END_TEST

static int worker_goes(void *arg, const struct fake_call *call)
{
	int r = fake_store_line(call, &old_row);

	fake_publish(EPOCH " 2\ne\n");
	fake_publish_settle();
	return r;
}

START_TEST(a_feed_that_ends_during_the_select_tells_nothing)
{
	struct ask ask;

	fake_store_on(worker_goes, NULL);
	ask_begin(&ask, &ref);
	ck_assert_int_eq(ask_end(&ask), 7421);
	ck_assert(!ask.request.fed);
	ck_assert(touched(&ask));
}
END_TEST

START_TEST(a_listing_asks_whether_its_table_is_fed)
{
	struct reader *reader = sample.engine.reader;

	ck_assert(reader_is_fed(reader, ref.relation));
	check_events("read");
	hear(OTHER);
	ck_assert(!reader_is_fed(reader, ref.relation));
	hear(EPOCH);
	fake_cache_down(true);
	ck_assert(!reader_is_fed(reader, ref.relation));
}
END_TEST

/* --- Switching ------------------------------------------------------------------------------- */

START_TEST(switching_the_feed_off_and_on_changes_which_copies_count)
{
	struct reader *reader = sample.engine.reader;

	put_good(&old_row);
	ck_assert_int_eq(get(&ref), 7421);
	reader_use_feed(reader, false);
	ck_assert_int_eq(get(&ref), 7421);
	ck_assert(redis_holds("ttl:60000 "));
	ck_assert(!told_fed(true));
	ck_assert(!reader_is_fed(reader, ref.relation));
	check_events("read get lease fetch fill get");
	reader_saved(reader, &ref, 7421);
	ck_assert(redis_holds(""));
	reader_use_feed(reader, true);
	ck_assert(told_fed(true));
	check_events("drop read");
}
END_TEST

static int switch_the_feed(void *arg, const struct fake_call *call)
{
	reader_use_feed(sample.engine.reader, *(int *)arg);
	return FAKE_PASS;
}

/* Its lease is on the other key, and its terms are those it began with. */
START_TEST(a_read_that_is_out_meanwhile_fills_what_it_leased)
{
	int to = _i;

	reader_use_feed(sample.engine.reader, !to);
	fake_store_on(switch_the_feed, &to);
	ck_assert_int_eq(get(&ref), 7421);
	check_events(to ? "get lease fetch fill" : "read lease fetch fill");
	ck_assert_int_eq(redis_holds(old_text), to);
	ck_assert_int_eq(holds(EPOCH "/" TABLE " ", old_text), !to);
}
END_TEST

/* --- The choice ------------------------------------------------------------------------------ */

static void open_with(enum changes changes, int check)
{
	fake_redis_clock(T0);
	sample_prepare(&sample);
	sample.settings.changes = changes;
	fake_feed_answer(FEED_CHECK, check);
	sample_start(&sample);
}

START_TEST(copies_are_proved_by_a_feed_if_this_role_may_have_one)
{
	open_with(CHANGES_AUTO, 0);
	check_events("read check");
	ck_assert(sample.engine.feed);
	ck_assert(sample.engine.sync);
	sample_close(&sample);
}
END_TEST

/* This role may have none, and somebody has one for it. */
START_TEST(a_heart_that_beats_is_proof_that_there_can_be_a_feed)
{
	prove(EPOCH, EPOCH, NULL);
	open_with(CHANGES_AUTO, -EOPNOTSUPP);
	check_events("read");
	ck_assert(sample.engine.feed);
	sample_close(&sample);
}
END_TEST

START_TEST(where_there_can_be_none_copies_count_by_age_and_the_reason_is_kept)
{
	open_with(CHANGES_AUTO, -EOPNOTSUPP);
	ck_assert(!sample.engine.feed);
	ck_assert(sample.engine.no_feed[0]);
	sample_close(&sample);
}
END_TEST

/* A server that is away for a moment says nothing about what can be had. */
START_TEST(a_check_that_fails_otherwise_does_not_mean_age)
{
	open_with(CHANGES_AUTO, -EIO);
	ck_assert(sample.engine.feed);
	ck_assert(!sample.engine.no_feed[0]);
	sample_close(&sample);
}
END_TEST

START_TEST(a_source_that_was_asked_for_and_cannot_be_had_is_an_error)
{
	struct error e = {0};

	sample_prepare(&sample);
	sample.settings.changes = _i ? CHANGES_WAL : CHANGES_LOG;
	fake_feed_answer(FEED_CHECK, -EOPNOTSUPP);
	ck_assert_int_eq(engine_open(&sample.settings, fake_store(), fake_cache(), &sample.engine, &e), -EOPNOTSUPP);
	ck_assert(e.message[0]);
	sample_close(&sample);
}
END_TEST

START_TEST(with_ttl_nobody_is_asked)
{
	open_with(CHANGES_TTL, 0);
	check_events("");
	ck_assert(!sample.engine.feed);
	ck_assert(!sample.engine.sync);
	sample_close(&sample);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("reader_feed");
	TCase *test = tcase_create("fed"), *other = tcase_create("choice");

	tcase_set_timeout(test, 30);
	tcase_add_checked_fixture(test, open_fed, close_all);
	tcase_add_test(test, a_miss_is_leased_read_and_filled_under_the_epochs);
	tcase_add_test(test, a_copy_of_both_epochs_is_used_while_the_heartbeat_stands);
	tcase_add_loop_test(test, without_proof_a_copy_is_neither_used_nor_made, 0, sizeof unproved / sizeof *unproved);
	tcase_add_test(test, nothing_of_a_proof_is_remembered);
	tcase_add_test(test, without_redis_postgresql_answers);
	tcase_add_loop_test(test, a_copy_of_other_epochs_is_replaced_under_a_lease, 0,
	                    sizeof other_epochs / sizeof *other_epochs);
	tcase_add_test(test, a_copy_of_other_columns_is_replaced_under_a_lease);
	tcase_add_loop_test(test, garbage_is_replaced_under_a_lease, 0, 4);
	tcase_add_test(test, an_aged_copy_is_no_copy_under_a_feed);
	tcase_add_test(test, somebody_elses_lease_means_no_fill);
	tcase_add_test(test, a_copy_that_others_made_meanwhile_is_not_replaced);
	tcase_add_test(test, a_copy_of_other_epochs_that_came_meanwhile_is_replaced);
	tcase_add_loop_test(test, a_copy_is_stamped_with_the_epochs_of_before_its_select, 0, 2);
	tcase_add_test(test, a_change_that_the_worker_drops_ends_the_lease);
	tcase_add_test(test, reading_may_use_a_copy_but_makes_none);
	tcase_add_loop_test(test, what_others_may_not_see_is_never_shared, 0, 2);
	tcase_add_test(test, what_a_standby_says_is_not_shared);
	tcase_add_test(test, without_xmin_nothing_is_shared);
	tcase_add_test(test, after_a_save_only_its_own_copy_is_used);
	tcase_add_test(test, what_no_worker_drops_the_saver_does);
	tcase_add_test(test, after_a_row_was_shown_only_a_copy_of_that_is_used);
	tcase_add_test(test, nobody_is_shown_what_was_before_a_read);
	tcase_add_test(test, after_a_read_nothing_older_is_used);
	tcase_add_test(test, after_a_row_was_missed_no_copy_of_it_is_used);
	tcase_add_test(test, after_a_refusal_no_copy_of_the_row_is_used);
	tcase_add_test(test, a_save_marks_the_row);
	tcase_add_test(test, a_hit_is_told_with_the_number_from_before_redis_was_asked);
	tcase_add_test(test, a_read_is_told_with_the_number_from_before_its_select);
	tcase_add_test(test, who_joins_a_flight_gets_the_flights_number);
	tcase_add_loop_test(test, nobody_joins_a_flight_that_is_older_than_what_is_known, 0, 2);
	tcase_add_loop_test(test, changes_are_told_only_by_the_worker_that_redis_names_and_this_mount_hears, 0, 2);
	tcase_add_loop_test(test, without_proof_nobody_tells_of_changes, 0, sizeof unproved / sizeof *unproved);
	tcase_add_test(test, a_feed_that_ends_during_the_select_tells_nothing);
	tcase_add_test(test, a_listing_asks_whether_its_table_is_fed);
	tcase_add_test(test, switching_the_feed_off_and_on_changes_which_copies_count);
	tcase_add_loop_test(test, a_read_that_is_out_meanwhile_fills_what_it_leased, 0, 2);
	suite_add_tcase(suite, test);
	tcase_set_timeout(other, 30);
	tcase_add_test(other, copies_are_proved_by_a_feed_if_this_role_may_have_one);
	tcase_add_test(other, a_heart_that_beats_is_proof_that_there_can_be_a_feed);
	tcase_add_test(other, where_there_can_be_none_copies_count_by_age_and_the_reason_is_kept);
	tcase_add_test(other, a_check_that_fails_otherwise_does_not_mean_age);
	tcase_add_loop_test(other, a_source_that_was_asked_for_and_cannot_be_had_is_an_error, 0, 2);
	tcase_add_test(other, with_ttl_nobody_is_asked);
	suite_add_tcase(suite, other);
	return suite_run(suite);
}
