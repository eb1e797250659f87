#include "rowfs/base/periodic.h"

#include <stdatomic.h>

#include "latch.h"
#include "rowfs/base/clock.h"
#include "suite.h"

enum { NEVER_MS = 3600000, SHORT_MS = 20 };

static struct periodic periodic;

struct count {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned steps; /* [lock] */
	int64_t sleep_ms;
};

#define COUNT_INIT {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER}

static int64_t count_step(void *arg)
{
	struct count *count = arg;

	pthread_mutex_lock(&count->lock);
	count->steps++;
	pthread_cond_broadcast(&count->changed);
	pthread_mutex_unlock(&count->lock);
	return count->sleep_ms;
}

static void await_steps(struct count *count, unsigned n)
{
	pthread_mutex_lock(&count->lock);
	while (count->steps < n)
		pthread_cond_wait(&count->changed, &count->lock);
	pthread_mutex_unlock(&count->lock);
}

START_TEST(the_first_step_comes_at_once)
{
	struct count count = COUNT_INIT;

	count.sleep_ms = NEVER_MS;
	ck_assert_int_eq(periodic_start(&periodic, count_step, &count), 0);
	await_steps(&count, 1);
	periodic_stop(&periodic);
	ck_assert_uint_eq(count.steps, 1);
}
END_TEST

START_TEST(a_step_sleeps_for_as_long_as_it_says)
{
	struct count count = COUNT_INIT;
	int64_t began = clock_monotonic_ms();

	count.sleep_ms = SHORT_MS;
	ck_assert_int_eq(periodic_start(&periodic, count_step, &count), 0);
	await_steps(&count, 3);
	ck_assert_int_ge(clock_monotonic_ms() - began, 2 * SHORT_MS - 2);
	periodic_stop(&periodic);
}
END_TEST

/* 0: at once; and a time that is past is no reason to wait for ever. */
START_TEST(a_step_that_does_not_sleep_is_repeated_at_once)
{
	struct count count = COUNT_INIT;

	count.sleep_ms = -_i;
	ck_assert_int_eq(periodic_start(&periodic, count_step, &count), 0);
	await_steps(&count, 1000);
	periodic_stop(&periodic);
}
END_TEST

/* The test would end with Check's timeout if it did not. */
START_TEST(stopping_wakes_it_from_its_sleep_and_no_step_follows)
{
	struct count count = COUNT_INIT;
	unsigned steps;

	count.sleep_ms = NEVER_MS;
	ck_assert_int_eq(periodic_start(&periodic, count_step, &count), 0);
	await_steps(&count, 1);
	periodic_stop(&periodic);
	steps = count.steps;
	ck_assert(!periodic.started);
	ck_assert_uint_eq(steps, 1);
}
END_TEST

/* --- A step that waits for something --------------------------------------------------------- */

struct waiting {
	struct latch inside;
	atomic_bool ended;
};

static int64_t wait_for_the_end(void *arg)
{
	struct waiting *waiting = arg;

	ck_assert(!periodic_stopping(&periodic));
	latch_pass(&waiting->inside);
	while (!periodic_stopping(&periodic))
		sched_yield();
	waiting->ended = true;
	return 0;
}

START_TEST(a_step_sees_that_it_is_to_end_and_stopping_waits_for_it)
{
	struct waiting waiting = {.inside = LATCH_INIT};

	latch_open(&waiting.inside);
	ck_assert_int_eq(periodic_start(&periodic, wait_for_the_end, &waiting), 0);
	latch_await(&waiting.inside, 1);
	ck_assert(!waiting.ended);
	periodic_stop(&periodic);
	ck_assert(waiting.ended);
	ck_assert_uint_eq(latch_arrived(&waiting.inside), 1);
}
END_TEST

START_TEST(one_that_was_not_started_may_be_stopped)
{
	struct periodic none = {0};

	periodic_stop(&none);
	periodic_stop(&none);
}
END_TEST

START_TEST(it_can_be_stopped_twice_and_started_again)
{
	struct count count = COUNT_INIT;

	count.sleep_ms = NEVER_MS;
	for (unsigned round = 1; round <= 3; round++) {
		ck_assert_int_eq(periodic_start(&periodic, count_step, &count), 0);
		await_steps(&count, round);
		periodic_stop(&periodic);
		periodic_stop(&periodic);
	}
	ck_assert_uint_eq(count.steps, 3);
}
END_TEST

/* At any moment: before its first step, in one, between two. */
START_TEST(stopping_at_any_moment_ends_it)
{
	uint64_t random = random_seed();

	for (int i = 0; i < 50; i++) {
		struct count count = COUNT_INIT;

		count.sleep_ms = (int64_t)random_below(&random, 2) * NEVER_MS;
		ck_assert_int_eq(periodic_start(&periodic, count_step, &count), 0);
		if (random_below(&random, 2))
			await_steps(&count, 1);
		for (size_t n = random_below(&random, 100); n; n--)
			sched_yield();
		periodic_stop(&periodic);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("periodic");
	TCase *test = tcase_create("periodic");

	tcase_set_timeout(test, 30);
	tcase_add_test(test, the_first_step_comes_at_once);
	tcase_add_test(test, a_step_sleeps_for_as_long_as_it_says);
	tcase_add_loop_test(test, a_step_that_does_not_sleep_is_repeated_at_once, 0, 2);
	tcase_add_test(test, stopping_wakes_it_from_its_sleep_and_no_step_follows);
	tcase_add_test(test, a_step_sees_that_it_is_to_end_and_stopping_waits_for_it);
	tcase_add_test(test, one_that_was_not_started_may_be_stopped);
	tcase_add_test(test, it_can_be_stopped_twice_and_started_again);
	tcase_add_test(test, stopping_at_any_moment_ends_it);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
