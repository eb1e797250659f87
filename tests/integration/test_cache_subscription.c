/* The subscription of broker.h on a real Redis, also one that is stopped or killed. */
#include "private_feed.h"

#include <errno.h>
#include <string.h>

START_TEST(a_message_of_any_bytes)
{
	struct subscription *subscription = subscribe();
	char bytes[512];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)i;
	publish(bytes, sizeof(bytes));
	hears(subscription, bytes, sizeof(bytes));
	publish("", 0);
	hears(subscription, "", 0);
	publish("message", 7);
	hears(subscription, "message", 7);
	subscription_close(subscription);
}
END_TEST

START_TEST(two_subscribers_hear_the_same)
{
	enum { N = 5000 };
	struct subscription *a = subscribe(), *b = subscribe();
	char number[16];

	for (int i = 0; i < N; i++) {
		snprintf(number, sizeof(number), "%d", i);
		publish(number, strlen(number));
	}
	for (int i = 0; i < N; i++) {
		snprintf(number, sizeof(number), "%d", i);
		hears(a, number, strlen(number));
		hears(b, number, strlen(number));
	}
	ck_assert_int_eq(subscription_next(a, 0, &(struct buf){0}, &error), 0);
	subscription_close(a);
	subscription_close(b);
}
END_TEST

START_TEST(the_largest_message)
{
	struct subscription *subscription = subscribe();
	size_t len = BROKER_MESSAGE_MAX, too_long = len + (1 << 20);
	_cleanup_free_ char *bytes = malloc(too_long);

	for (size_t i = 0; i < too_long; i++)
		bytes[i] = (char)(i * 31);
	publish(bytes, len);
	publish("next", 4);
	hears(subscription, bytes, len);
	hears(subscription, "next", 4);
	ck_assert_int_eq(
	        broker_publish(broker, &(struct buf){.data = bytes, .len = len + 1}, &error),
	        -EMSGSIZE);
	ask("PUBLISH " P ":ch %b", bytes, too_long);
	ck_assert_int_eq(subscription_next(subscription, START_MS, &(struct buf){0}, &error),
	                 -EMSGSIZE);
	subscription_close(subscription);
}
END_TEST

START_TEST(a_subscriber_waits_no_longer_than_asked)
{
	struct subscription *subscription = subscribe();
	int64_t start = clock_monotonic_ms(), took;

	ck_assert_int_eq(subscription_next(subscription, 100, &(struct buf){0}, &error), 0);
	took = clock_monotonic_ms() - start;
	ck_assert_int_ge(took, 99);
	ck_assert_int_le(took, 100 + SLACK_MS);
	publish("x", 1);
	hears(subscription, "x", 1);
	subscription_close(subscription);
}
END_TEST

START_TEST(a_subscriber_notices_a_stopped_redis)
{
	struct subscription *subscription = subscribe();
	int64_t start = clock_monotonic_ms(), took;
	int r = 0;

	kill(server, SIGSTOP);
	while (!r && clock_monotonic_ms() < start + START_MS)
		r = subscription_next(subscription, 100, &(struct buf){0}, &error);
	took = clock_monotonic_ms() - start;
	ck_assert_int_eq(r, -ETIMEDOUT);
	ck_assert_int_ge(took, 1900);
	ck_assert_int_le(took, 2000 + SLACK_MS);
	kill(server, SIGCONT);
	ck_assert_int_eq(subscription_next(subscription, 100, &(struct buf){0}, &error), -ENOTCONN);
	subscription_close(subscription);
}
END_TEST

START_TEST(a_subscriber_notices_a_killed_redis)
{
	struct subscription *subscription = subscribe();
	int64_t start = clock_monotonic_ms();

	publish("last", 4);
	hears(subscription, "last", 4);
	server_end(SIGKILL);
	server_start(NULL);
	ck_assert_int_eq(subscription_next(subscription, START_MS, &(struct buf){0}, &error),
	                 -ECONNRESET);
	ck_assert_int_lt(clock_monotonic_ms() - start, START_MS);
	ck_assert_ptr_nonnull(strstr(error.message, address));
	ck_assert_int_eq(subscription_next(subscription, 100, &(struct buf){0}, &error), -ENOTCONN);
	subscription_close(subscription);
}
END_TEST

/* One that does not read is cut off by Redis, and finds out. */
START_TEST(a_subscriber_that_is_cut_off_notices)
{
	struct subscription *subscription = subscribe();
	size_t len = 1 << 20;
	_cleanup_free_ char *bytes = calloc(1, len);
	_cleanup_buf_ struct buf got = {0};
	int r = 1, heard = -1;

	for (int i = 0; i < 64; i++)
		publish(bytes, len);
	for (; r == 1; heard++)
		r = subscription_next(subscription, START_MS, &got, &error);
	ck_assert_int_eq(r, -ECONNRESET);
	ck_assert_int_lt(heard, 64);
	subscription_close(subscription);
}
END_TEST

/* Redis' channels belong to no database, so their names must tell them apart. */
START_TEST(databases_of_one_redis_hear_their_own)
{
	struct subscription *first = subscribe(), *other;
	char redis[100];

	snprintf(redis, sizeof(redis), over_tls ? "%s/3" : "%s?db=3", address);
	broker_close(broker);
	broker = NULL;
	subscription_close(first);
	close_cache();
	open_cache(redis);
	other = subscribe();
	ask("PUBLISH " P ":ch not-ours");
	ck_assert_int_eq(broker_open(cache, &broker, &error), 0);
	publish("ours", 4);
	hears(other, "ours", 4);
	subscription_close(other);
}
END_TEST

static void add_subscriptions(TCase *tcase)
{
	tcase_add_test(tcase, a_message_of_any_bytes);
	tcase_add_test(tcase, two_subscribers_hear_the_same);
	tcase_add_test(tcase, the_largest_message);
	tcase_add_test(tcase, a_subscriber_waits_no_longer_than_asked);
	tcase_add_test(tcase, a_subscriber_notices_a_stopped_redis);
	tcase_add_test(tcase, a_subscriber_notices_a_killed_redis);
	tcase_add_test(tcase, a_subscriber_that_is_cut_off_notices);
	tcase_add_test(tcase, databases_of_one_redis_hear_their_own);
}

int main(void)
{
	Suite *suite = suite_create("cache_subscription");

	feed_case(suite, "subscriptions", add_subscriptions);
	return redis_suite_run(suite);
}
