#include "rowfs/model/skew.h"

#include <string.h>

#include "zipf.h"

enum { READS = 1000000, HEAD = 4096 };

static uint64_t counts[1000000];

static int falling(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? 1 : x > y ? -1 : 0;
}

/* Counts of that many reads of `n` rows, the most read first. */
static void read_rows(size_t n, double exponent)
{
	struct zipf zipf;

	memset(counts, 0, sizeof(counts));
	zipf_begin(&zipf, n, exponent, random_seed());
	for (int i = 0; i < READS; i++)
		counts[zipf_next(&zipf)]++;
	zipf_end(&zipf);
	qsort(counts, n, sizeof(*counts), falling);
}

static double exact_rows_for(double share)
{
	double left = READS * share;
	size_t i;

	for (i = 0; left > 0; i++)
		left -= (double)counts[i];
	return (double)i;
}

/* Of the rows after the head nothing is told but how many reads they have. */
START_TEST(the_head_tells_exponent_and_sets)
{
	static const struct {
		size_t n;
		double exponent, shares[3];
		double tolerance;
	} cases[] = {
	        {50000, 0.99, {0.5, 0.8, 0.95}, 0.25},
	        {1000000, 0.99, {0.5, 0.8, 0}, 0.3},
	        {50000, 1.3, {0.5, 0.8, 0.95}, 0.25},
	        {50000, 0.7, {0.5, 0.8, 0.95}, 0.25},
	};

	for (size_t c = 0; c < sizeof(cases) / sizeof(*cases); c++) {
		struct skew skew;

		read_rows(cases[c].n, cases[c].exponent);
		skew_fit(counts, HEAD, READS, &skew);
		fprintf(stderr, "%zu rows, exponent %g: %g\n", cases[c].n, cases[c].exponent, skew.exponent);
		ck_assert_double_eq_tol(skew.exponent, cases[c].exponent, 0.05);
		for (int i = 0; i < 3 && cases[c].shares[i] > 0; i++) {
			double want = exact_rows_for(cases[c].shares[i]);
			double rows = skew_rows_for(&skew, cases[c].shares[i]);

			fprintf(stderr, "  %g of the reads: %g rows, in truth %g\n", cases[c].shares[i], rows, want);
			ck_assert_double_eq_tol(rows, want, want * cases[c].tolerance + 1);
		}
	}
}
END_TEST

START_TEST(what_is_read_evenly_has_no_skew)
{
	struct skew skew;

	read_rows(1000, 0);
	skew_fit(counts, 1000, READS, &skew);
	ck_assert_double_lt(skew.exponent, 0.05);
	ck_assert_double_eq_tol(skew.rows, 1000, 0.001);
	ck_assert_double_eq_tol(skew_rows_for(&skew, 0.5), 500, 30);
	ck_assert_double_eq_tol(skew_rows_for(&skew, 1), 1000, 0.001);
}
END_TEST

START_TEST(nothing_and_little_are_no_trouble)
{
	static const uint64_t one[] = {3}, few[] = {100, 50, 20, 1};
	struct skew skew;

	skew_fit(NULL, 0, 0, &skew);
	ck_assert_double_eq_tol(skew_rows_for(&skew, 0.5), 0, 0.001);
	skew_fit(one, 1, 3, &skew);
	ck_assert_double_eq_tol(skew_rows_for(&skew, 0.95), 1, 0.001);
	ck_assert_double_eq_tol(skew.exponent, 0, 0.001);
	/* A total that is less than its parts is mistaken. */
	skew_fit(few, 4, 10, &skew);
	ck_assert_double_eq_tol(skew.total, 171, 0.001);
	ck_assert_double_eq_tol(skew_rows_for(&skew, 0.5), 1, 0.001);
	ck_assert_double_eq_tol(skew_rows_for(&skew, 0.8), 2, 0.001);
	/* One row is known, and a thousand reads of others. */
	skew_fit(one, 1, 1000, &skew);
	ck_assert_double_gt(skew.rows, 1);
	ck_assert_double_le(skew_rows_for(&skew, 0.5), skew.rows);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("skew");
	TCase *test = tcase_create("skew");

	tcase_set_timeout(test, 60);
	tcase_add_test(test, the_head_tells_exponent_and_sets);
	tcase_add_test(test, what_is_read_evenly_has_no_skew);
	tcase_add_test(test, nothing_and_little_are_no_trouble);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
