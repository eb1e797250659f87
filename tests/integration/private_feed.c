#include "private_feed.h"

#include <string.h>

struct broker *broker;
struct cache_proof proof;

void feed_setup(void)
{
	server_start(NULL);
	open_cache(address);
	becomes_reachable();
	ck_assert_msg(broker_open(cache, &broker, &error) == 0, "%s", error.message);
}

void feed_teardown(void)
{
	broker_close(broker);
	broker = NULL;
	redis_teardown();
}

void reopen(void)
{
	broker_close(broker);
	ck_assert_msg(broker_open(cache, &broker, &error) == 0, "%s", error.message);
}

int64_t redis_now(void)
{
	int64_t now;

	ck_assert_int_eq(broker_time_us(broker, &now, &error), 0);
	return now;
}

int beat_for(int64_t life_ms)
{
	return broker_beat(broker, EPOCH, 7, redis_now() + life_ms * 1000, &error);
}

int set_table(const char *epoch)
{
	return broker_set_tables(broker, &(uint32_t){TABLE}, 1, epoch, &error);
}

void begin_feed(void)
{
	ck_assert_msg(broker_begin_epoch(broker, EPOCH, &error) == 0, "%s", error.message);
	ck_assert_msg(set_table(TABLE_EPOCH) == 0, "%s", error.message);
	ck_assert_msg(beat_for(60000) == 1, "%s", error.message);
}

enum cache_answer read_row(struct buf *ret)
{
	return cache_read(cache, TABLE, "k", 1, &proof, ret);
}

enum cache_answer read_nothing(void)
{
	return cache_read(cache, TABLE, NULL, 0, &proof, NULL);
}

void proof_is(const char *epoch, const char *table, bool fresh)
{
	ck_assert_str_eq(proof.epoch, epoch);
	ck_assert_str_eq(proof.table, table);
	ck_assert_int_eq(proof.fresh, fresh);
}

bool lease_if_not(const char *valid, char token[CACHE_TOKEN_SIZE])
{
	return cache_lease(cache, "k", 1, NULL, valid, token);
}

struct subscription *subscribe(void)
{
	struct subscription *subscription;

	ck_assert_msg(subscription_open(cache, &subscription, &error) == 0, "%s", error.message);
	return subscription;
}

void publish(const void *bytes, size_t len)
{
	struct buf message = {.data = (char *)bytes, .len = len};

	ck_assert_msg(broker_publish(broker, &message, &error) == 0, "%s", error.message);
}

void hears(struct subscription *subscription, const void *bytes, size_t len)
{
	_cleanup_buf_ struct buf got = {0};

	ck_assert_msg(subscription_next(subscription, START_MS, &got, &error) == 1, "%s",
	              error.message);
	ck_assert_uint_eq(got.len, len);
	ck_assert_mem_eq(got.data, bytes, len);
}

void feed_case(Suite *suite, const char *name, void (*add)(TCase *tcase))
{
	TCase *tcase = tcase_create(name);

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, feed_setup, feed_teardown);
	add(tcase);
	suite_add_tcase(suite, tcase);
}
