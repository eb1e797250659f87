#include "rowfs/model/sketch.h"

#include <pthread.h>

#include "zipf.h"

static struct sketch *sketch;

static void open_sketch(void)
{
	ck_assert_int_eq(sketch_new(&sketch), 0);
}

static void close_sketch(void)
{
	sketch_free(sketch);
	sketch_free(NULL);
}

/* 64 good bits for a number. */
static uint64_t hash_of(uint64_t number)
{
	return random_next(&number);
}

static void add_many(uint64_t number, int n)
{
	while (n--)
		sketch_add(sketch, hash_of(number));
}

START_TEST(what_was_never_seen_counts_nothing)
{
	ck_assert_uint_eq(sketch_estimate(sketch, hash_of(1)), 0);
	add_many(2, 3);
	ck_assert_uint_eq(sketch_estimate(sketch, hash_of(1)), 0);
}
END_TEST

START_TEST(sights_are_counted_up_to_fifteen)
{
	for (unsigned i = 1; i <= 20; i++) {
		ck_assert_uint_eq(sketch_add(sketch, hash_of(1)), i < 15 ? i : 15);
		ck_assert_uint_eq(sketch_estimate(sketch, hash_of(1)), i < 15 ? i : 15);
	}
}
END_TEST

START_TEST(a_window_halves_everything)
{
	add_many(1, 1);
	add_many(2, 9);
	for (int i = 0; i < SKETCH_WINDOW - 11; i++)
		add_many(3, 1);
	ck_assert_uint_eq(sketch_estimate(sketch, hash_of(2)), 9);
	add_many(3, 1);
	ck_assert_uint_eq(sketch_estimate(sketch, hash_of(1)), 0);
	ck_assert_uint_eq(sketch_estimate(sketch, hash_of(2)), 4);
	ck_assert_uint_eq(sketch_estimate(sketch, hash_of(3)), 7);
}
END_TEST

/* The promise of the header, against exact counts of one window. */
START_TEST(within_a_window_it_is_never_less_than_the_truth_and_seldom_more)
{
	enum { N = 1000000 };
	struct zipf zipf;
	unsigned *truth = calloc(N, sizeof(*truth));
	unsigned never = 0, wrong = 0, seen = 0, over = 0;

	ck_assert_ptr_nonnull(truth);
	zipf_begin(&zipf, N, 0.99, random_seed());
	for (int i = 0; i < SKETCH_WINDOW - 1; i++) {
		size_t number = zipf_next(&zipf);

		truth[number]++;
		sketch_add(sketch, hash_of(number));
	}
	for (size_t i = 0; i < N; i++) {
		unsigned want = truth[i] < SKETCH_MAX ? truth[i] : SKETCH_MAX;
		unsigned estimate = sketch_estimate(sketch, hash_of(i));

		ck_assert_uint_ge(estimate, want);
		if (!truth[i]) {
			never++;
			wrong += estimate > 0;
		} else {
			seen++;
			over += estimate > want;
		}
	}
	fprintf(stderr, "seen %u, %u of them too often; never seen %u, %u of them thought seen\n", seen, over,
		never, wrong);
	ck_assert_uint_lt(wrong, never / 50);
	ck_assert_uint_lt(over, seen / 20);
	free(truth);
	zipf_end(&zipf);
}
END_TEST

enum { THREADS = 4, SIGHTS = 2000 };

static void *see(void *arg)
{
	uint64_t number = (uint64_t)(uintptr_t)arg;

	for (int i = 0; i < SIGHTS; i++)
		sketch_add(sketch, hash_of(number + (uint64_t)(i % 3)));
	return NULL;
}

START_TEST(threads_share_it)
{
	pthread_t threads[THREADS];

	for (uintptr_t t = 0; t < THREADS; t++)
		ck_assert_int_eq(pthread_create(&threads[t], NULL, see, (void *)(10 * t)), 0);
	for (int t = 0; t < THREADS; t++)
		pthread_join(threads[t], NULL);
	for (uint64_t t = 0; t < THREADS; t++)
		ck_assert_uint_eq(sketch_estimate(sketch, hash_of(10 * t)), SKETCH_MAX);
	ck_assert_uint_eq(sketch_estimate(sketch, hash_of(7)), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sketch");
	TCase *test = tcase_create("sketch");

	tcase_set_timeout(test, 60);
	tcase_add_checked_fixture(test, open_sketch, close_sketch);
	tcase_add_test(test, what_was_never_seen_counts_nothing);
	tcase_add_test(test, sights_are_counted_up_to_fifteen);
	tcase_add_test(test, a_window_halves_everything);
	tcase_add_test(test, within_a_window_it_is_never_less_than_the_truth_and_seldom_more);
	tcase_add_test(test, threads_share_it);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
