/* Readers, savers and the killed, at once. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "reader_ask.h"

/* --- Together -------------------------------------------------------------------------------- */

/* Answer the first fetch with what was there when it began, once the latch opens; others at once.
 */
struct slow {
	struct latch latch;
	_Atomic unsigned fetches;
	unsigned hold;                /* how many of them wait */
	const atomic_bool *abandoned; /* of the statement that waits */
};

static int slowly(void *arg, const struct fake_call *call)
{
	struct slow *slow = arg;
	int r;

	if (++slow->fetches > slow->hold)
		return FAKE_PASS;
	r = fake_store_line(call, &old_row);
	slow->abandoned = call->statement->abandoned;
	latch_pass(&slow->latch);
	return r;
}

struct getter {
	struct ask ask;
	const struct rowref *ref;
	pthread_t thread;
};

static void *get_in_thread(void *arg)
{
	struct getter *getter = arg;

	ask_begin(&getter->ask, getter->ref);
	return NULL;
}

/* Start a read on a thread of its own, and come back when its SELECT is on the way. */
static void begin_slow(struct getter *getter, const struct rowref *which, struct slow *slow)
{
	unsigned before = latch_arrived(&slow->latch);

	getter->ref = which;
	fake_store_on(slowly, slow);
	ck_assert_int_eq(pthread_create(&getter->thread, NULL, get_in_thread, getter), 0);
	latch_await(&slow->latch, before + 1);
}

static int64_t end_slow(struct getter *getter)
{
	pthread_join(getter->thread, NULL);
	return ask_end(&getter->ask);
}

START_TEST(readers_of_one_row_share_one_fetch)
{
	struct slow slow = {LATCH_INIT, .hold = 1};
	struct getter first;
	struct ask more[3];
	struct text *text;

	begin_slow(&first, &ref, &slow);
	for (int i = 0; i < 3; i++) {
		ask_begin(&more[i], &ref); /* comes back without an answer, and without a wait */
		ck_assert(!ask_answered(&more[i]));
	}
	latch_open(&slow.latch);
	ask_await(&first.ask);
	text = first.ask.text;
	for (int i = 0; i < 3; i++) {
		ask_await(&more[i]);
		ck_assert_ptr_eq(more[i].text, text);
		ck_assert_int_eq(ask_end(&more[i]), 7421);
	}
	ck_assert_int_eq(end_slow(&first), 7421);
	/* Redis has a lease, so the others found it busy. */
	check_events("get lease fetch get get get fill");
	ck_assert_int_eq(get(&ref), 7421);
	check_events("get");
}
END_TEST

static int fail_slowly(void *arg, const struct fake_call *call)
{
	struct slow *slow = arg;

	slow->fetches++;
	latch_pass(&slow->latch);
	return fake_refuse(call, EIO, "08006");
}

START_TEST(a_failure_is_told_to_all_who_waited_and_to_nobody_later)
{
	struct slow slow = {LATCH_INIT};
	struct getter first = {.ref = &ref};
	struct ask second;

	fake_store_on(fail_slowly, &slow);
	ck_assert_int_eq(pthread_create(&first.thread, NULL, get_in_thread, &first), 0);
	latch_await(&slow.latch, 1);
	ask_begin(&second, &ref);
	ck_assert(!ask_answered(&second));
	latch_open(&slow.latch);
	ck_assert_int_eq(ask_end(&second), -EIO);
	ck_assert_int_eq(end_slow(&first), -EIO);
	ck_assert_uint_eq(slow.fetches, 1);
	fake_store_on(NULL, NULL);
	ck_assert_int_eq(get(&ref), 7421);
}
END_TEST

START_TEST(rows_do_not_wait_for_each_other)
{
	static const struct fake_row other_row = {"8", NULL, "43", "Kocher", "1.00", "2.00"};
	struct slow slow = {LATCH_INIT, .hold = 1};
	struct getter first;

	fake_store_put(&other_row);
	begin_slow(&first, &ref, &slow);
	ck_assert_int_eq(get_named(ITEMS, "43.json"), 8);
	ck_assert(!ask_answered(&first.ask));
	latch_open(&slow.latch);
	ck_assert_int_eq(end_slow(&first), 7421);
}
END_TEST

/* With every seat taken by a slow read, what Redis holds is answered at once; what it does not hold
 * waits for a seat without a thread. */
START_TEST(a_hit_needs_no_seat)
{
	static const char *const names[STORE_READERS] = {"1.json", "2.json", "3.json", "4.json"};
	struct slow slow = {LATCH_INIT, .hold = STORE_READERS};
	struct getter getters[STORE_READERS];
	struct rowref refs[STORE_READERS];
	struct ask queued;

	for (int i = 0; i < STORE_READERS; i++) {
		/* The last seat is not for the same table's. */
		refs[i] = sample_ref(&sample, i ? ITEMS : READONLY, names[i]);
		begin_slow(&getters[i], &refs[i], &slow);
	}
	ask_begin(&queued, &ref);
	ck_assert(!ask_answered(&queued));
	put_copy(&old_row);
	ck_assert_int_eq(get(&ref), 7421);
	latch_open(&slow.latch);
	for (int i = 0; i < STORE_READERS; i++) {
		ck_assert_int_eq(end_slow(&getters[i]), -ENOENT);
		rowref_done(&refs[i]);
	}
	ck_assert_int_eq(ask_end(&queued), 7421);
}
END_TEST

/* --- A save while a read is on its way ------------------------------------------------------- */

/* A read began before a save and is still out: `other` is how the saver named the row. */
static void save_during_a_read(const struct rowref *saved, struct getter *first, struct slow *slow)
{
	begin_slow(first, &ref, slow);
	check_events("get lease fetch");
	fake_store_put(&new_row);
	reader_saved(sample.engine.reader, saved, 900);
	check_events("drop");
}

START_TEST(a_save_supersedes_the_read_that_began_before_it)
{
	struct slow slow = {LATCH_INIT, .hold = 1};
	struct getter first;

	save_during_a_read(&ref, &first, &slow);
	/* A later reader does not wait for the old answer. */
	ck_assert_int_eq(get(&ref), 900);
	check_events("get lease fetch fill");
	latch_open(&slow.latch);
	ck_assert_int_eq(end_slow(&first), 7421);
	check_events("release"); /* no fill */
	ck_assert(redis_holds("99.00"));
	/* And what it read does not count as seen. */
	put_copy(&old_row);
	ck_assert_int_eq(get(&ref), 900);
	check_events("get fetch");
}
END_TEST

START_TEST(the_old_answer_is_not_noted_as_seen)
{
	struct slow slow = {LATCH_INIT, .hold = 1};
	struct getter first;

	save_during_a_read(&ref, &first, &slow);
	latch_open(&slow.latch);
	ck_assert_int_eq(end_slow(&first), 7421);
	put_copy(&old_row);
	ck_assert_int_eq(get(&ref), 900);
	put_copy(&new_row);
	events_take();
	ck_assert_int_eq(get(&ref), 900);
	check_events("get");
}
END_TEST

/* Somebody is shown a row of a listing, while an older read of it is still out. */
START_TEST(what_was_shown_overtakes_a_read_that_began_before_it)
{
	struct slow slow = {LATCH_INIT, .hold = 1};
	struct getter first;

	begin_slow(&first, &ref, &slow);
	fake_store_put(&new_row);
	ck_assert(reader_shows(sample.engine.reader, &ref, 900));
	ck_assert_int_eq(get(&ref), 900);
	latch_open(&slow.latch);
	ck_assert_int_eq(end_slow(&first), 7421);
	put_copy(&old_row);
	ck_assert_int_eq(get(&ref), 900);
}
END_TEST

/* A read that nobody joins any more, since a copy was used meanwhile, is no younger than a save. */
START_TEST(a_save_supersedes_a_read_that_cannot_be_joined)
{
	struct slow slow = {LATCH_INIT, .hold = 1};
	struct getter first;

	begin_slow(&first, &ref, &slow);
	put_copy(&old_row);
	ck_assert_int_eq(get(&ref), 7421);
	fake_store_put(&new_row);
	reader_saved(sample.engine.reader, &ref, 900);
	latch_open(&slow.latch);
	ck_assert_int_eq(end_slow(&first), 7421);
	put_copy(&old_row);
	ck_assert_int_eq(get(&ref), 900);
}
END_TEST

/* Of two reads that were under way at once either may have seen the older row: no copy passes for what was seen. */
START_TEST(of_two_answers_neither_is_taken_for_the_younger)
{
	struct slow slow = {LATCH_INIT, .hold = 1};
	struct getter first;

	begin_slow(&first, &ref, &slow);
	put_copy(&old_row);
	ck_assert_int_eq(get(&ref), 7421);
	fake_cache_put(key, "", 0);
	fake_store_put(&new_row);
	ck_assert_int_eq(get(&ref), 900);
	latch_open(&slow.latch);
	ck_assert_int_eq(end_slow(&first), 7421);
	put_copy(&old_row);
	ck_assert_int_eq(get(&ref), 900);
}
END_TEST

/* The drop got lost, so the lease of the old read still stands; it must not be used. */
START_TEST(a_superseded_read_fills_nothing_even_under_its_lease)
{
	struct slow slow = {LATCH_INIT, .hold = 1};
	struct getter first;

	fake_cache_lose_drops(true);
	save_during_a_read(&ref, &first, &slow);
	latch_open(&slow.latch);
	ck_assert_int_eq(end_slow(&first), 7421);
	check_events("release");
	ck_assert(redis_holds(""));
}
END_TEST

/* The reader came with a newer catalog than the saver, and it is the same row. */
START_TEST(a_save_supersedes_reads_of_every_snapshot)
{
	struct slow slow = {LATCH_INIT, .hold = 1};
	struct schema *altered = sample_schema(2);
	struct rowref before = ref;
	struct getter first;

	fake_store_schema(altered);
	schema_unref(altered);
	catalog_suspect(sample.engine.catalog);
	catalog_poll(sample.engine.catalog);
	ref = sample_ref(&sample, ITEMS, "42.json");
	ck_assert_uint_ne(ref.relation->fingerprint, before.relation->fingerprint);

	save_during_a_read(&before, &first, &slow);
	ck_assert_int_eq(get(&ref), 900);
	latch_open(&slow.latch);
	ck_assert_int_eq(end_slow(&first), 7421);
	put_copy(&old_row);
	ck_assert_int_eq(get(&ref), 900);
	rowref_done(&before);
}
END_TEST

START_TEST(a_save_of_another_row_supersedes_nothing)
{
	struct rowref other = sample_ref(&sample, ITEMS, "4.json");
	struct slow slow = {LATCH_INIT, .hold = 1};
	struct getter first;
	struct ask second;

	save_during_a_read(&other, &first, &slow);
	ask_begin(&second, &ref);
	ck_assert(!ask_answered(&second));
	latch_open(&slow.latch);
	ck_assert_int_eq(end_slow(&first), 7421);
	ck_assert_int_eq(ask_end(&second), 7421);
	check_events("get fill");
	rowref_done(&other);
}
END_TEST

/* --- Abandoning ------------------------------------------------------------------------------ */

START_TEST(who_stops_waiting_is_told_nothing_more)
{
	struct slow slow = {LATCH_INIT, .hold = 1};
	struct getter first;
	struct ask second, third;

	begin_slow(&first, &ref, &slow);
	ask_begin(&second, &ref);
	ask_begin(&third, &ref);
	ck_assert(reader_abandon(sample.engine.reader, &second.request));
	ck_assert(!reader_abandon(sample.engine.reader, &second.request));
	latch_open(&slow.latch);
	ck_assert_int_eq(end_slow(&first), 7421);
	ck_assert_int_eq(ask_end(&third), 7421);
	ck_assert(!ask_answered(&second));
}
END_TEST

/* The query of a read that nobody waits for is cancelled, so who comes then makes his own. */
START_TEST(a_read_that_nobody_waits_for_is_not_joined)
{
	struct slow slow = {LATCH_INIT, .hold = 1};
	struct getter first;
	struct ask second;

	begin_slow(&first, &ref, &slow);
	ask_begin(&second, &ref);
	ck_assert(reader_abandon(sample.engine.reader, &first.ask.request));
	ck_assert(!*slow.abandoned); /* somebody still waits */
	ck_assert(reader_abandon(sample.engine.reader, &second.request));
	ck_assert(*slow.abandoned);
	fake_store_put(&new_row);
	ck_assert_int_eq(get(&ref), 900);
	latch_open(&slow.latch);
	pthread_join(first.thread, NULL);
	ck_assert(!ask_answered(&first.ask));
	ck_assert(!ask_answered(&second));
}
END_TEST

/* Its answer may come all the same, and later than a save. */
START_TEST(a_read_that_nobody_waits_for_counts_for_nothing)
{
	struct slow slow = {LATCH_INIT, .hold = 1};
	struct getter first;

	fake_cache_lose_drops(true);
	begin_slow(&first, &ref, &slow);
	ck_assert(reader_abandon(sample.engine.reader, &first.ask.request));
	fake_store_put(&new_row);
	reader_saved(sample.engine.reader, &ref, 900);
	latch_open(&slow.latch);
	pthread_join(first.thread, NULL);
	check_events("get lease fetch drop release"); /* no fill */
	put_copy(&old_row);
	ck_assert_int_eq(get(&ref), 900);
}
END_TEST

START_TEST(it_is_too_late_to_stop_waiting_after_the_answer)
{
	struct ask missed, hit;

	ask_begin(&missed, &ref);
	ck_assert(!reader_abandon(sample.engine.reader, &missed.request));
	ck_assert_int_eq(ask_end(&missed), 7421);
	ask_begin(&hit, &ref);
	ck_assert(!reader_abandon(sample.engine.reader, &hit.request));
	ck_assert_int_eq(ask_end(&hit), 7421);
}
END_TEST

/* The kernel's interrupt may come before the read has begun to wait for anything. */
START_TEST(who_was_killed_before_waiting_asks_nobody)
{
	struct ask early = {.request.done = take_answer, .answered = LATCH_INIT};

	ck_assert(!reader_abandon(sample.engine.reader, &early.request));
	reader_get(sample.engine.reader, &ref, &early.request);
	ck_assert_int_eq(ask_end(&early), -EINTR);
	check_events("get");
	ck_assert_int_eq(get(&ref), 7421);
}
END_TEST

/* --- consistency=strong ---------------------------------------------------------------------- */

START_TEST(strong_reads_never_share_an_older_answer)
{
	struct slow slow = {LATCH_INIT, .hold = 1};
	struct getter first;

	sample_prepare(&sample);
	sample.settings.strong = true;
	sample_start(&sample);
	fake_store_put(&old_row);
	ref = sample_ref(&sample, ITEMS, "42.json");
	put_copy(&old_row);

	begin_slow(&first, &ref, &slow);
	fake_store_put(&new_row);
	ck_assert_int_eq(get(&ref), 900);
	latch_open(&slow.latch);
	ck_assert_int_eq(end_slow(&first), 7421);
	reader_saved(sample.engine.reader, &ref, 900);
	check_events("fetch fetch");
	close_all();
}
END_TEST

/* --- All at once ----------------------------------------------------------------------------- */

enum { READERS = 3, VERSIONS = 400 };

/* Version n of the row is made by transaction n. */
static struct fake_row versions[VERSIONS];
static char version_texts[VERSIONS][12];
static _Atomic unsigned saved;
static _Atomic bool over;

static void *read_on(void *arg)
{
	while (!over) {
		unsigned least = saved;

		ck_assert_int_ge(get(&ref), least);
	}
	return NULL;
}

/* Another mount, whose fills come late, and whose commands the network loses. */
static void *disturb(void *arg)
{
	uint64_t random = random_seed();

	while (!over) {
		unsigned now = saved;

		put_copy(&versions[now ? now - random_below(&random, now < 3 ? now : 3) : 0]);
		fake_cache_lose_drops(random_below(&random, 2));
		nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
	}
	return NULL;
}

/* Whatever Redis does: after a save has returned, no read of this mount gives what was before. */
START_TEST(no_read_is_older_than_the_last_save)
{
	pthread_t threads[READERS + 1];

	for (unsigned n = 0; n < VERSIONS; n++) {
		snprintf(version_texts[n], sizeof(version_texts[n]), "%u", n);
		versions[n] = (struct fake_row){version_texts[n], NULL, "42", "Zelt",
		                                version_texts[n], "0"};
	}
	fake_store_put(&versions[0]);
	for (int i = 0; i <= READERS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, i ? read_on : disturb, NULL), 0);
	for (unsigned n = 1; n < VERSIONS; n++) {
		fake_store_put(&versions[n]);
		reader_saved(sample.engine.reader, &ref, n);
		saved = n;
		nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
	}
	over = true;
	for (int i = 0; i <= READERS; i++)
		pthread_join(threads[i], NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("reader_flights");
	TCase *test, *other = tcase_create("settings");

	test = fixed(suite, "together");
	tcase_add_test(test, readers_of_one_row_share_one_fetch);
	tcase_add_test(test, a_failure_is_told_to_all_who_waited_and_to_nobody_later);
	tcase_add_test(test, rows_do_not_wait_for_each_other);
	tcase_add_test(test, a_hit_needs_no_seat);
	test = fixed(suite, "saves");
	tcase_add_test(test, a_save_supersedes_the_read_that_began_before_it);
	tcase_add_test(test, the_old_answer_is_not_noted_as_seen);
	tcase_add_test(test, what_was_shown_overtakes_a_read_that_began_before_it);
	tcase_add_test(test, a_save_supersedes_a_read_that_cannot_be_joined);
	tcase_add_test(test, of_two_answers_neither_is_taken_for_the_younger);
	tcase_add_test(test, a_superseded_read_fills_nothing_even_under_its_lease);
	tcase_add_test(test, a_save_supersedes_reads_of_every_snapshot);
	tcase_add_test(test, a_save_of_another_row_supersedes_nothing);
	tcase_add_test(test, no_read_is_older_than_the_last_save);
	test = fixed(suite, "abandoned");
	tcase_add_test(test, who_stops_waiting_is_told_nothing_more);
	tcase_add_test(test, a_read_that_nobody_waits_for_is_not_joined);
	tcase_add_test(test, a_read_that_nobody_waits_for_counts_for_nothing);
	tcase_add_test(test, it_is_too_late_to_stop_waiting_after_the_answer);
	tcase_add_test(test, who_was_killed_before_waiting_asks_nobody);
	tcase_add_test(other, strong_reads_never_share_an_older_answer);
	suite_add_tcase(suite, other);
	return suite_run(suite);
}
