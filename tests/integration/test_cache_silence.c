/* A subscription of broker.h that hears nothing for seconds. Apart from test_cache_subscription.c, which runs alone because
 * it measures short times: nothing here is late on a busy machine. */
#include "private_feed.h"

#include <poll.h>
#include <string.h>

START_TEST(silence_is_none_while_redis_answers)
{
	struct subscription *subscription = subscribe();

	ck_assert_int_eq(subscription_next(subscription, 3500, &(struct buf){0}, &error), 0);
	ck_assert_int_ge(atoi(strstr(ask("INFO commandstats"), "cmdstat_ping:calls=") +
	                      strlen("cmdstat_ping:calls=")),
	                 5);
	publish("x", 1);
	hears(subscription, "x", 1);
	subscription_close(subscription);
}
END_TEST

/* Nobody read for long, as when the mount itself was stopped: what came meanwhile is heard. */
START_TEST(a_subscriber_that_slept_blames_nobody)
{
	struct subscription *subscription = subscribe();

	ck_assert_int_eq(subscription_next(subscription, 1200, &(struct buf){0}, &error), 0);
	poll(NULL, 0, 2500);
	publish("x", 1);
	hears(subscription, "x", 1);
	poll(NULL, 0, 2500);
	ck_assert_int_eq(subscription_next(subscription, 100, &(struct buf){0}, &error), 0);
	subscription_close(subscription);
}
END_TEST

static void add_silences(TCase *tcase)
{
	tcase_add_test(tcase, silence_is_none_while_redis_answers);
	tcase_add_test(tcase, a_subscriber_that_slept_blames_nobody);
}

int main(void)
{
	Suite *suite = suite_create("cache_silence");

	feed_case(suite, "silence", add_silences);
	return redis_suite_run(suite);
}
