#include <errno.h>

#include "../../src/pg/breaker.h"
#include "rowfs/base/clock.h"
#include "suite.h"

static struct breaker breaker;
static struct error e;
static const struct error failure = {.err = EIO, .message = "gone"};

static void setup(void)
{
	breaker_init(&breaker);
}

static void teardown(void)
{
	breaker_done(&breaker);
}

static void attempt_fails(void)
{
	ck_assert_int_eq(breaker_enter(&breaker, &e), 0);
	breaker_report(&breaker, &failure);
}

/* As if the pause were over. */
static void pass_time(void)
{
	breaker.until_us = clock_monotonic_us() - 1;
}

START_TEST(test_reached)
{
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(breaker_enter(&breaker, &e), 0); /* together */
	for (int i = 0; i < 3; i++)
		breaker_report(&breaker, NULL);
	breaker_last(&breaker, &e);
	ck_assert_int_eq(e.err, 0);
}
END_TEST

START_TEST(test_fails_fast)
{
	attempt_fails();
	ck_assert_int_eq(breaker_enter(&breaker, &e), -EIO);
	ck_assert_str_eq(e.message, "gone");
	ck_assert_int_eq(breaker_enter(&breaker, NULL), -EIO);
	breaker_last(&breaker, &e);
	ck_assert_str_eq(e.message, "gone");
}
END_TEST

START_TEST(test_one_tries)
{
	attempt_fails();
	pass_time();
	ck_assert_int_eq(breaker_enter(&breaker, &e), 0);
	ck_assert_int_eq(breaker_enter(&breaker, &e), -EIO);
	breaker_report(&breaker, NULL);
	ck_assert_int_eq(breaker_enter(&breaker, &e), 0);
	ck_assert_int_eq(breaker_enter(&breaker, &e), 0);
	breaker_last(&breaker, &e);
	ck_assert_int_eq(e.err, 0);
}
END_TEST

/* Doubling, within half a pause of jitter, up to the maximum; a success begins anew. */
START_TEST(test_pause_grows)
{
	static const int64_t pauses_ms[] = {200, 400, 800, 1600, 2000, 2000};

	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < sizeof(pauses_ms) / sizeof(*pauses_ms); i++) {
			int64_t pause;

			attempt_fails();
			pause = breaker.until_us - clock_monotonic_us();
			ck_assert_int_le(pause, pauses_ms[i] * 1000);
			ck_assert_int_ge(pause, pauses_ms[i] * 500 - 50000);
			pass_time();
		}
		ck_assert_int_eq(breaker_enter(&breaker, &e), 0);
		breaker_report(&breaker, NULL);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("breaker");
	TCase *c = tcase_create("breaker");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, test_reached);
	tcase_add_test(c, test_fails_fast);
	tcase_add_test(c, test_one_tries);
	tcase_add_test(c, test_pause_grows);
	suite_add_tcase(s, c);
	return suite_run(s);
}
