#include "rowfs/base/timings.h"

#include <string.h>

#include "suite.h"

START_TEST(bounds_are_steps_of_a_half_and_of_a_third)
{
	static const int64_t first[] = {1000, 1500, 2000, 3000, 4000, 6000, 8000, 12000};

	for (unsigned i = 0; i < sizeof first / sizeof *first; i++)
		ck_assert_int_eq(timing_bound_ns(i), first[i]);
	ck_assert_int_eq(timing_bound_ns(TIMING_BUCKETS - 1), INT64_MAX);
	for (unsigned i = 1; i < TIMING_BUCKETS; i++)
		ck_assert_int_gt(timing_bound_ns(i), timing_bound_ns(i - 1));
}
END_TEST

START_TEST(a_bound_is_the_last_that_its_bucket_takes)
{
	ck_assert_uint_eq(timing_bucket(0), 0);
	ck_assert_uint_eq(timing_bucket(-5), 0);
	for (unsigned i = 0; i < TIMING_BUCKETS - 1; i++) {
		ck_assert_uint_eq(timing_bucket(timing_bound_ns(i)), i);
		ck_assert_uint_eq(timing_bucket(timing_bound_ns(i) + 1), i + 1);
	}
	ck_assert_uint_eq(timing_bucket(INT64_MAX), TIMING_BUCKETS - 1);
}
END_TEST

static bool prints(const char *line)
{
	_cleanup_buf_ struct buf out = {0};

	timings_print(&out);
	ck_assert(!out.failed);
	return strstr(out.data, line);
}

START_TEST(what_never_happened_is_not_printed)
{
	ck_assert(prints("# TYPE rowfs_request_seconds histogram\n"));
	ck_assert(prints("# TYPE rowfs_wait_seconds histogram\n"));
	ck_assert(!prints("{"));
}
END_TEST

START_TEST(a_histogram_counts_what_took_no_longer)
{
	int64_t now = timing_now_ns();

	timing_add(TIMING_OPEN, now - 1000000); /* a millisecond, and a little */
	timing_add(TIMING_OPEN, now - 1000000000);
	timing_add(TIMING_REDIS, now - INT64_C(86400) * 1000000000);
	ck_assert(prints("rowfs_request_seconds_bucket{what=\"OPEN\",le=\"0.0007680\"} 0\n"));
	ck_assert(prints("rowfs_request_seconds_bucket{what=\"OPEN\",le=\"0.5242880\"} 1\n"));
	ck_assert(prints("rowfs_request_seconds_bucket{what=\"OPEN\",le=\"4.1943040\"} 2\n"));
	ck_assert(prints("rowfs_request_seconds_bucket{what=\"OPEN\",le=\"+Inf\"} 2\n"));
	ck_assert(prints("rowfs_request_seconds_sum{what=\"OPEN\"} 1."));
	ck_assert(prints("rowfs_request_seconds_count{what=\"OPEN\"} 2\n"));
	ck_assert(prints("rowfs_wait_seconds_count{what=\"Redis\"} 1\n"));
	ck_assert(prints("rowfs_wait_seconds_bucket{what=\"Redis\",le=\"+Inf\"} 1\n"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("timings");
	TCase *test = tcase_create("timings");

	tcase_add_test(test, bounds_are_steps_of_a_half_and_of_a_third);
	tcase_add_test(test, a_bound_is_the_last_that_its_bucket_takes);
	tcase_add_test(test, what_never_happened_is_not_printed);
	tcase_add_test(test, a_histogram_counts_what_took_no_longer);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
