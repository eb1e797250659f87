#include "rowfs/model/hottest.h"

#include <pthread.h>
#include <string.h>

#include "rowfs/model/sketch.h"
#include "zipf.h"

static struct hottest *hottest;
static struct sketch *sketch;

static void open_hottest(void)
{
	ck_assert_int_eq(hottest_new(&hottest), 0);
	ck_assert_int_eq(sketch_new(&sketch), 0);
}

static void close_hottest(void)
{
	hottest_free(hottest);
	hottest_free(NULL);
	sketch_free(sketch);
}

static bool add(size_t number)
{
	uint64_t state = number, hash = random_next(&state);
	char name[32];

	snprintf(name, sizeof(name), "%zu.json", number);
	return hottest_add(hottest, hash, 1, name, (uint32_t)number + 100, sketch_add(sketch, hash));
}

/* What the list says of the numbers below `n`. */
struct found {
	uint64_t *counts;
	size_t n, rows;
};

static void take(void *arg, const struct hot_row *row)
{
	struct found *found = arg;
	size_t number = strtoull(row->name, NULL, 10);

	ck_assert_uint_eq(row->relation, 1);
	ck_assert_uint_eq(row->bytes, number + 100);
	found->rows++;
	if (number < found->n)
		found->counts[number] += row->count;
}

static struct found look(size_t n)
{
	struct found found = {calloc(n, sizeof(uint64_t)), n, 0};

	ck_assert_ptr_nonnull(found.counts);
	hottest_visit(hottest, take, &found);
	return found;
}

START_TEST(few_rows_are_counted_exactly)
{
	struct found found;

	for (size_t i = 0; i < 10; i++)
		for (size_t j = 0; j <= i; j++)
			add(i);
	found = look(10);
	ck_assert_uint_eq(found.rows, 10);
	for (size_t i = 0; i < 10; i++)
		ck_assert_uint_eq(found.counts[i], i + 1);
	free(found.counts);
}
END_TEST

/* A quarter of what there is room for, among two hundred times as many. */
START_TEST(the_head_of_a_long_tail_is_found_and_counted)
{
	enum { N = 1000000, READS = HOTTEST_WINDOW - 1, TOP = 1000 };
	uint64_t *truth = calloc(N, sizeof(*truth));
	struct zipf zipf;
	struct found found;
	unsigned missed = 0, off = 0, over = 0;

	ck_assert_ptr_nonnull(truth);
	zipf_begin(&zipf, N, 0.99, random_seed());
	for (int i = 0; i < READS; i++) {
		size_t number = zipf_next(&zipf);

		truth[number]++;
		ck_assert(!add(number));
	}
	found = look(N);
	ck_assert_uint_le(found.rows, HOTTEST_MAX);
	for (size_t i = 0; i < TOP; i++) {
		missed += found.counts[i] == 0;
		off += found.counts[i] && found.counts[i] < truth[i] * 9 / 10;
	}
	for (size_t i = 0; i < N; i++)
		over += found.counts[i] > truth[i];
	fprintf(stderr, "of the first %d: %u missed, %u counted too low by a tenth; %u of %zu too high\n", TOP, missed,
		off, over, found.rows);
	ck_assert_uint_le(missed, TOP / 100);
	ck_assert_uint_le(off, TOP / 20);
	ck_assert_uint_le(over, found.rows / 10);
	free(found.counts);
	free(truth);
	zipf_end(&zipf);
}
END_TEST

START_TEST(a_scan_pushes_nothing_out_that_is_read_often)
{
	struct found found;
	unsigned missed = 0;

	for (int j = 0; j < 100; j++)
		for (size_t i = 0; i < 1000; i++)
			add(i);
	for (size_t i = 1000; i < 200000; i++)
		add(i);
	found = look(1000);
	for (size_t i = 0; i < 1000; i++)
		missed += found.counts[i] < 90;
	ck_assert_uint_le(missed, 10);
	free(found.counts);
}
END_TEST

START_TEST(a_window_halves_the_counts)
{
	struct found found;

	for (int i = 0; i < 8; i++)
		add(1);
	for (int i = 0; i < HOTTEST_WINDOW - 9; i++)
		ck_assert(!add(2));
	ck_assert(add(2));
	found = look(3);
	ck_assert_uint_eq(found.counts[1], 4);
	ck_assert_uint_eq(found.counts[2], (HOTTEST_WINDOW - 8) / 2);
	free(found.counts);
}
END_TEST

enum { THREADS = 4, ROUNDS = 50000, BEFORE = 1000 };

static void *read_rows(void *arg)
{
	uint64_t random = (uint64_t)(uintptr_t)arg;

	for (int i = 0; i < ROUNDS; i++)
		add(i % 2 ? 7 : random_below(&random, 100000));
	return NULL;
}

START_TEST(threads_share_it)
{
	pthread_t threads[THREADS];
	struct found found;

	/* A newcomer may find the lock taken for as long as who has it does not run. */
	for (int i = 0; i < BEFORE; i++)
		add(7);
	for (uintptr_t t = 0; t < THREADS; t++)
		ck_assert_int_eq(pthread_create(&threads[t], NULL, read_rows, (void *)(t + 1)), 0);
	for (int t = 0; t < THREADS; t++) {
		found = look(8);
		free(found.counts);
		pthread_join(threads[t], NULL);
	}
	found = look(8);
	ck_assert_uint_ge(found.counts[7], BEFORE + THREADS * ROUNDS / 2);
	free(found.counts);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("hottest");
	TCase *test = tcase_create("hottest");

	tcase_set_timeout(test, 60);
	tcase_add_checked_fixture(test, open_hottest, close_hottest);
	tcase_add_test(test, few_rows_are_counted_exactly);
	tcase_add_test(test, the_head_of_a_long_tail_is_found_and_counted);
	tcase_add_test(test, a_scan_pushes_nothing_out_that_is_read_often);
	tcase_add_test(test, a_window_halves_the_counts);
	tcase_add_test(test, threads_share_it);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
