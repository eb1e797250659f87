#include <errno.h>
#include <stdio.h>

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

/* After a second without an answer. */
static void attempt_fails(void)
{
	ck_assert_int_eq(breaker_enter(&breaker, &e), 0);
	breaker_report(&breaker, clock_monotonic_us() - 1000000, &failure);
}

/* By the server, with a SQLSTATE, or by a socket where nobody listens. */
static void attempt_is_refused(const char *sqlstate)
{
	struct error refusal = failure;

	snprintf(refusal.sqlstate, sizeof(refusal.sqlstate), "%s", sqlstate);
	ck_assert_int_eq(breaker_enter(&breaker, &e), 0);
	breaker_report(&breaker, clock_monotonic_us(), &refusal);
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
		breaker_report(&breaker, clock_monotonic_us(), NULL);
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
	breaker_report(&breaker, clock_monotonic_us(), NULL);
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
		breaker_report(&breaker, clock_monotonic_us(), NULL);
	}
}
END_TEST

/* Nobody is told of a refusal that came before he asked. */
START_TEST(test_a_refusal_is_asked_again)
{
	int64_t began = clock_monotonic_us();

	for (int i = 0; i < 10; i++)
		attempt_is_refused("57P03");
	/* Nor is the server hammered: each has waited for a pause. */
	ck_assert_int_ge(clock_monotonic_us() - began, 9 * BREAKER_QUICK_PAUSE_MS * 500);
	ck_assert_int_le(clock_monotonic_us() - began, 9 * BREAKER_QUICK_PAUSE_MS * 1000 + 1000000);
	/* Where nobody is hammered, nobody waits: a walk over what is gone ends soon. */
	began = clock_monotonic_us();
	for (int i = 0; i < 10000; i++)
		attempt_is_refused("");
	ck_assert_int_le(clock_monotonic_us() - began, 1000000);
}
END_TEST

struct waiter {
	pthread_t thread;
	struct error e;
	int r;
};

static void *enter(void *arg)
{
	struct waiter *waiter = arg;

	waiter->r = breaker_enter(&breaker, &waiter->e);
	return NULL;
}

/* Who comes while another tries waits for what comes of it: a success lets him in, a failure that began after
 * he asked is his. */
START_TEST(test_others_wait_for_who_tries)
{
	struct waiter waiter = {0};
	int64_t began;

	attempt_is_refused("57P03");
	ck_assert_int_eq(breaker_enter(&breaker, &e), 0);
	ck_assert_int_eq(pthread_create(&waiter.thread, NULL, enter, &waiter), 0);
	if (_i == 0) {
		breaker_report(&breaker, clock_monotonic_us(), NULL);
		pthread_join(waiter.thread, NULL);
		ck_assert_int_eq(waiter.r, 0);
		return;
	}
	/* One who tries for long is not waited for. */
	began = clock_monotonic_us();
	pthread_join(waiter.thread, NULL);
	ck_assert_int_eq(waiter.r, -EIO);
	ck_assert_str_eq(waiter.e.message, "gone");
	ck_assert_int_le(clock_monotonic_us() - began, BREAKER_QUICK_WAIT_MS * 1000 + 1000000);
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
	tcase_add_test(c, test_a_refusal_is_asked_again);
	tcase_add_loop_test(c, test_others_wait_for_who_tries, 0, 2);
	suite_add_tcase(s, c);
	return suite_run(s);
}
