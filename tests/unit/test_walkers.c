#include "rowfs/engine/walkers.h"

#include <pthread.h>
#include <string.h>
#include <xxhash.h>

#include "zipf.h"

static struct walkers *walkers;

static void open_walkers(void)
{
	ck_assert_int_eq(walkers_new(&walkers), 0);
}

static void close_walkers(void)
{
	walkers_free(walkers);
	walkers_free(NULL);
}

enum { PROGRAM = 4711, OTHER = 4712, TABLE = 16385 };

static uint64_t hash_of(const char *name)
{
	return XXH3_64bits(name, strlen(name));
}

static unsigned read_name(pid_t program, const char *name)
{
	return walkers_read(walkers, program, TABLE, name, hash_of(name));
}

static unsigned read_number(pid_t program, size_t number)
{
	char name[32];

	snprintf(name, sizeof(name), "%zu.json", number);
	return read_name(program, name);
}

/* How many of the rows, read once each in a shuffled order, count. */
static unsigned read_shuffled(pid_t program, size_t n, uint64_t seed)
{
	size_t *order = calloc(n, sizeof(*order));
	unsigned counted = 0;

	ck_assert_ptr_nonnull(order);
	for (size_t i = 0; i < n; i++) {
		size_t j = random_below(&seed, i + 1);

		order[i] = order[j];
		order[j] = i;
	}
	for (size_t i = 0; i < n; i++)
		counted += read_number(program, order[i]);
	free(order);
	return counted;
}

START_TEST(who_reads_here_and_there_counts)
{
	ck_assert_uint_eq(read_shuffled(PROGRAM, 100000, random_seed()), 100000);
	ck_assert_int_eq(walkers_passage(walkers, PROGRAM, TABLE, 1), PASSAGE_NONE);
}
END_TEST

START_TEST(whoever_has_listed_the_table_walks_in_whichever_order)
{
	walkers_listed(walkers, PROGRAM, TABLE);
	ck_assert_int_eq(walkers_passage(walkers, PROGRAM, TABLE, hash_of("7.json")), PASSAGE_FIRST);
	ck_assert_uint_eq(read_shuffled(PROGRAM, 100000, random_seed()), 0);
	/* Others are others, and so are other tables. */
	ck_assert_uint_eq(read_number(OTHER, 7), 1);
	ck_assert_uint_eq(walkers_read(walkers, PROGRAM, TABLE + 1, "7.json", 1), 1);
}
END_TEST

static void sort_names(char (*names)[32], size_t n, int (*compare)(const void *, const void *))
{
	qsort(names, n, sizeof(*names), compare);
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* As a locale has it: punctuation does not count. */
static int by_letters(const void *a, const void *b)
{
	char x[32], y[32];

	strcpy(x, a);
	strcpy(y, b);
	*strchr(x, '.') = *strchr(y, '.') = 'j';
	return strcmp(x, y);
}

START_TEST(whoever_goes_by_the_names_walks_after_a_few)
{
	static char names[20000][32];
	static int (*const orders[])(const void *, const void *) = {NULL, by_bytes, by_letters};

	for (int o = 0; o < 3; o++) {
		unsigned counted = 0;

		for (size_t i = 0; i < 20000; i++)
			snprintf(names[i], sizeof(names[i]), "%zu.json", i + 1);
		if (orders[o])
			sort_names(names, 20000, orders[o]);
		for (size_t i = 0; i < 20000; i++)
			counted += read_name(100 + o, names[i]);
		fprintf(stderr, "order %d: %u counted\n", o, counted);
		ck_assert_uint_lt(counted, 200);
	}
	/* It leaves the order, and counts again. */
	for (int i = 0; i < 10; i++)
		read_name(100, i % 2 ? "1.json" : "9.json");
	ck_assert_uint_eq(read_name(100, "5.json"), 1);
}
END_TEST

START_TEST(a_row_that_a_walker_comes_back_to_counts_twice_and_then_once)
{
	walkers_listed(walkers, PROGRAM, TABLE);
	ck_assert_uint_eq(read_number(PROGRAM, 1), 0);
	ck_assert_int_eq(walkers_passage(walkers, PROGRAM, TABLE, hash_of("1.json")), PASSAGE_BACK);
	ck_assert_int_eq(walkers_passage(walkers, PROGRAM, TABLE, hash_of("2.json")), PASSAGE_FIRST);
	ck_assert_uint_eq(read_number(PROGRAM, 2), 0);
	ck_assert_uint_eq(read_number(PROGRAM, 1), 2);
	ck_assert_uint_eq(read_number(PROGRAM, 1), 1);
	ck_assert_uint_eq(read_number(PROGRAM, 1), 1);
	ck_assert_uint_eq(read_number(PROGRAM, 2), 2);
}
END_TEST

/* A server that begins with a look at the directory. */
START_TEST(who_lists_once_and_then_reads_as_users_do_is_soon_no_walker)
{
	struct zipf zipf;
	int reads = 0;

	zipf_begin(&zipf, 50000, 0.99, random_seed());
	walkers_listed(walkers, PROGRAM, TABLE);
	while (walkers_passage(walkers, PROGRAM, TABLE, 1) != PASSAGE_NONE && reads < 10000) {
		read_number(PROGRAM, zipf_next(&zipf));
		reads++;
	}
	fprintf(stderr, "%d reads\n", reads);
	ck_assert_int_lt(reads, 2000);
	zipf_end(&zipf);
}
END_TEST

START_TEST(a_loop_over_a_table_is_a_walk_each_time_and_looking_around_is_none)
{
	for (int i = 0; i < 5; i++) {
		walkers_listed(walkers, PROGRAM, TABLE);
		ck_assert_uint_eq(read_shuffled(PROGRAM, 400, random_seed()), 0);
	}
	for (unsigned i = 0; i < 5; i++) {
		walkers_listed(walkers, OTHER, TABLE);
		ck_assert_uint_eq(read_number(OTHER, 7), i == 0 ? 0 : i == 1 ? 2 : 1);
		ck_assert_uint_eq(read_number(OTHER, 1000 + i), 0);
	}
}
END_TEST

START_TEST(nobody_knows_which_program)
{
	walkers_listed(walkers, 0, TABLE);
	ck_assert_int_eq(walkers_passage(walkers, 0, TABLE, 1), PASSAGE_NONE);
	for (size_t i = 0; i < 100; i++)
		ck_assert_uint_eq(read_number(0, i), 1);
}
END_TEST

START_TEST(many_programs_do_not_disturb_a_walk)
{
	unsigned counted = 0;

	walkers_listed(walkers, PROGRAM, TABLE);
	for (size_t i = 0; i < 2000; i++) {
		ck_assert_uint_eq(read_number((pid_t)(10000 + i), 7), 1);
		counted += read_number(PROGRAM, i);
	}
	ck_assert_uint_eq(counted, 0);
}
END_TEST

static void *walk(void *arg)
{
	size_t from = (size_t)(uintptr_t)arg;

	for (size_t i = from; i < 20000; i += 4)
		ck_assert_uint_eq(read_number(PROGRAM, i), 0);
	return NULL;
}

START_TEST(threads_of_one_program_walk_together)
{
	pthread_t threads[4];

	walkers_listed(walkers, PROGRAM, TABLE);
	for (uintptr_t t = 0; t < 4; t++)
		ck_assert_int_eq(pthread_create(&threads[t], NULL, walk, (void *)t), 0);
	for (int t = 0; t < 4; t++)
		pthread_join(threads[t], NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("walkers");
	TCase *test = tcase_create("walkers");

	tcase_set_timeout(test, 60);
	tcase_add_checked_fixture(test, open_walkers, close_walkers);
	tcase_add_test(test, who_reads_here_and_there_counts);
	tcase_add_test(test, whoever_has_listed_the_table_walks_in_whichever_order);
	tcase_add_test(test, whoever_goes_by_the_names_walks_after_a_few);
	tcase_add_test(test, a_row_that_a_walker_comes_back_to_counts_twice_and_then_once);
	tcase_add_test(test, who_lists_once_and_then_reads_as_users_do_is_soon_no_walker);
	tcase_add_test(test, a_loop_over_a_table_is_a_walk_each_time_and_looking_around_is_none);
	tcase_add_test(test, nobody_knows_which_program);
	tcase_add_test(test, many_programs_do_not_disturb_a_walk);
	tcase_add_test(test, threads_of_one_program_walk_together);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
