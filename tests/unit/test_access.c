/* What enters Redis: the counts by themselves, and a reader that asks them. */
#include "rowfs/engine/access.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#include "reader_ask.h"
#include "zipf.h"

static struct settings settings;
static struct access *access_;

static void open_counts(void)
{
	ck_assert_int_eq(access_new(&settings, &access_), 0);
}

static void open_counts_first(void)
{
	settings.admit = ADMIT_ON_FIRST;
	open_counts();
}

static void close_counts(void)
{
	access_free(access_);
	access_free(NULL);
}

enum { TABLE = 16385 };

static bool admits(pid_t thread, const char *name)
{
	return access_admits(access_, thread, TABLE, name, false);
}

static void note(pid_t program, const char *name)
{
	access_note(access_, program, TABLE, name, TIER_STORE, 250);
}

START_TEST(the_second_read_is_admitted)
{
	ck_assert(!admits(getpid(), "1.json"));
	note(getpid(), "1.json");
	ck_assert(admits(getpid(), "1.json"));
	ck_assert(admits(0, "1.json"));
	ck_assert(!admits(getpid(), "2.json"));
	ck_assert(!access_admits(access_, getpid(), TABLE + 1, "1.json", false));
}
END_TEST

START_TEST(what_was_there_before_is_admitted)
{
	ck_assert(access_admits(access_, getpid(), TABLE, "1.json", true));
	access_listed(access_, getpid(), TABLE);
	ck_assert(!access_admits(access_, getpid(), TABLE, "1.json", true));
}
END_TEST

START_TEST(a_walk_is_not_admitted_and_leaves_no_trace)
{
	char name[32];

	access_listed(access_, getpid(), TABLE);
	for (int i = 0; i < 10000; i++) {
		snprintf(name, sizeof(name), "%d.json", i);
		ck_assert(!admits(getpid(), name));
		note(getpid(), name);
	}
	for (int i = 0; i < 10000; i++) {
		snprintf(name, sizeof(name), "%d.json", i);
		ck_assert(!admits(0, name));
	}
	/* It comes back to a row: that is the second read. */
	ck_assert(admits(getpid(), name));
	note(getpid(), name);
	ck_assert(admits(0, name));
}
END_TEST

START_TEST(with_admit_first_all_is_admitted_but_a_walk)
{
	ck_assert(admits(getpid(), "1.json"));
	access_listed(access_, getpid(), TABLE);
	ck_assert(!admits(getpid(), "1.json"));
	ck_assert(admits(0, "1.json"));
}
END_TEST

/* Whoever only lists, or comes back, is somebody else. */
START_TEST(who_walks_passes_each_row_once)
{
	ck_assert(!access_passes(access_, 99, TABLE, "1.json"));
	access_listed(access_, 99, TABLE);
	ck_assert(access_passes(access_, 99, TABLE, "1.json"));
	note(99, "1.json");
	ck_assert(!access_passes(access_, 99, TABLE, "1.json"));
	ck_assert(access_passes(access_, 99, TABLE, "2.json"));
	ck_assert(!access_passes(access_, 98, TABLE, "2.json"));
	ck_assert(!access_passes(access_, 0, TABLE, "2.json"));
}
END_TEST

START_TEST(what_others_read_counts_until_they_read_something_else)
{
	struct popularity others = {0}, none = {0};

	popularity_add_row(&others, &(struct row_reads){TABLE, 250, 1, (char *)"1.json"});
	popularity_add_row(&others, &(struct row_reads){TABLE, 250, 1, (char *)"3.json"});
	access_learn(access_, &others);
	ck_assert(admits(0, "1.json"));
	ck_assert(!admits(0, "2.json"));
	ck_assert(admits(0, "3.json"));
	access_learn(access_, &none);
	ck_assert(!admits(0, "1.json"));
	popularity_done(&others);
}
END_TEST

START_TEST(a_summary_says_what_was_read_and_from_where)
{
	_cleanup_popularity_ struct popularity summary = {0};
	_cleanup_buf_ struct buf out = {0};

	note(0, "1.json");
	note(0, "1.json");
	access_note(access_, 0, TABLE, "2.json", TIER_REDIS, 100);
	access_note(access_, 0, 17, "2.json", TIER_MEMORY, 40);
	access_listed(access_, 99, TABLE);
	note(99, "3.json");
	access_summarize(access_, &summary);
	popularity_settle(&summary);
	popularity_print(&summary, &out);
	ck_assert_str_eq(out.data, "rowfs-hot 1\n"
	                           "t 16385 0 1 3 3 600\n"
	                           "t 17 1 0 0 1 40\n"
	                           "r 17 1 40 2.json\n"
	                           "r 16385 2 250 1.json\n"
	                           "r 16385 1 100 2.json\n");
}
END_TEST

/* Not a promise, but what a read pays for being counted: printed, and bounded far above what it takes. */
START_TEST(counting_a_read_takes_a_few_microseconds_at_most)
{
	enum { N = 50000, READS = 1000000 };
	static char names[N][16];
	static uint32_t numbers[READS];
	struct timespec from, to;
	struct zipf zipf;
	double ns;

	zipf_begin(&zipf, N, 0.99, random_seed());
	for (int i = 0; i < N; i++)
		snprintf(names[i], sizeof(names[i]), "%d.json", i);
	for (int i = 0; i < READS; i++)
		numbers[i] = (uint32_t)zipf_next(&zipf);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
	for (int i = 0; i < READS; i++)
		note(4711, names[numbers[i]]);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
	ns = ((double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec)) / READS;
	fprintf(stderr, "%.0f ns a read\n", ns);
	ck_assert_double_lt(ns, 20000);
	zipf_end(&zipf);
}
END_TEST

/* --- The reader ------------------------------------------------------------------------------ */

static void open_reader(void)
{
	sample_prepare(&sample);
	sample.settings.admit = ADMIT_ON_SECOND;
	sample_start(&sample);
	ref = sample_ref(&sample, ITEMS, "42.json");
	fake_store_put(&old_row);
}

static void note_42(pid_t program)
{
	access_note(sample.engine.access, program, ITEMS, "42.json", TIER_STORE, 60);
}

START_TEST(a_row_read_once_is_not_in_redis_and_read_twice_is)
{
	ck_assert_int_eq(get(&ref), 7421);
	check_events("get fetch");
	ck_assert(redis_holds(""));
	note_42(0);
	ck_assert_int_eq(get(&ref), 7421);
	check_events("get lease fetch fill");
	ck_assert(redis_holds("Zelt"));
	ck_assert_int_eq(get(&ref), 7421);
	check_events("get");
}
END_TEST

START_TEST(a_copy_that_is_there_is_used_at_the_first_read)
{
	put_copy(&old_row);
	ck_assert_int_eq(get(&ref), 7421);
	check_events("get");
}
END_TEST

START_TEST(garbage_is_replaced_at_the_first_read)
{
	fake_cache_put(key, "garbage", 7);
	ck_assert_int_eq(get(&ref), 7421);
	check_events("get lease fetch fill");
	ck_assert(redis_holds("Zelt"));
}
END_TEST

START_TEST(a_walk_fills_nothing_and_uses_what_is_there)
{
	struct ask ask = {.request = {.done = take_answer, .thread = getpid()}, .answered = LATCH_INIT};

	note_42(0);
	access_listed(sample.engine.access, getpid(), ITEMS);
	reader_get(sample.engine.reader, &ref, &ask.request);
	ck_assert_int_eq(ask_end(&ask), 7421);
	check_events("get fetch");
	put_copy(&old_row);
	ask = (struct ask){.request = {.done = take_answer, .thread = getpid()}, .answered = LATCH_INIT};
	reader_get(sample.engine.reader, &ref, &ask.request);
	ck_assert_int_eq(ask_end(&ask), 7421);
	check_events("get");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("access");
	TCase *test = tcase_create("counts"), *first = tcase_create("first"), *reader = tcase_create("reader");

	tcase_set_timeout(test, 60);
	tcase_add_checked_fixture(test, open_counts, close_counts);
	tcase_add_test(test, the_second_read_is_admitted);
	tcase_add_test(test, what_was_there_before_is_admitted);
	tcase_add_test(test, a_walk_is_not_admitted_and_leaves_no_trace);
	tcase_add_test(test, who_walks_passes_each_row_once);
	tcase_add_test(test, what_others_read_counts_until_they_read_something_else);
	tcase_add_test(test, a_summary_says_what_was_read_and_from_where);
	tcase_add_test(test, counting_a_read_takes_a_few_microseconds_at_most);
	suite_add_tcase(suite, test);
	tcase_add_checked_fixture(first, open_counts_first, close_counts);
	tcase_add_test(first, with_admit_first_all_is_admitted_but_a_walk);
	suite_add_tcase(suite, first);
	tcase_set_timeout(reader, 30);
	tcase_add_checked_fixture(reader, open_reader, close_all);
	tcase_add_test(reader, a_row_read_once_is_not_in_redis_and_read_twice_is);
	tcase_add_test(reader, a_copy_that_is_there_is_used_at_the_first_read);
	tcase_add_test(reader, garbage_is_replaced_at_the_first_read);
	tcase_add_test(reader, a_walk_fills_nothing_and_uses_what_is_there);
	suite_add_tcase(suite, reader);
	return suite_run(suite);
}
