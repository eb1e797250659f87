/* cache.h on a real Redis: leases, fills, drops, what is garbage, who may log in. */
#include "private_redis.h"

#include <errno.h>
#include <string.h>
#include <poll.h>

START_TEST(a_miss_a_lease_a_fill_a_hit)
{
	_cleanup_buf_ struct buf got = {0};
	char token[CACHE_TOKEN_SIZE], other[CACHE_TOKEN_SIZE];

	ck_assert_int_eq(get("k", &got), CACHE_MISS);
	ck_assert(lease("k", token));
	ck_assert_int_eq(strncmp(token, "L:", 2), 0);
	ck_assert_int_eq(get("k", &got), CACHE_BUSY);
	ck_assert(!lease("k", other));
	fill("k", token, "the row");
	holds("k", "the row");
	ck_assert(!lease("k", other));
	ck_assert_uint_eq(counted(COUNTER_cache_fills), 1);
	ck_assert_uint_eq(counted(COUNTER_cache_errors), 0);
}
END_TEST

START_TEST(keys_carry_the_database)
{
	struct cache *other;

	put("k", "v");
	holds("k", "v");
	ck_assert_str_eq(ask("GET rf:{7.16384}:k"), "v");
	ck_assert_int_eq(cache_open(&settings, "8.16384", &other, NULL), 0);
	ck_assert_int_eq(cache_get(other, "k", 1, &(struct buf){0}), CACHE_MISS);
	cache_close(other);
	close_cache();
	settings.name_space = (char *)"clone";
	open_cache(address);
	ck_assert_int_eq(get("k", &(struct buf){0}), CACHE_MISS);
	put("k", "w");
	holds("k", "w");
	ck_assert_str_eq(ask("GET rf:{7.16384}clone:k"), "w");
}
END_TEST

START_TEST(keys_and_values_are_any_bytes)
{
	static const char key[] = "a\0 \r\n*1\xff", value[] = "v\0\r\n$-1\r\n\xfe";
	_cleanup_buf_ struct buf got = {0};
	char token[CACHE_TOKEN_SIZE];

	ck_assert(cache_lease(cache, key, sizeof(key), NULL, NULL, token));
	cache_fill(cache, 0, key, sizeof(key), token, value, sizeof(value), 60000);
	ck_assert_int_eq(cache_get(cache, key, sizeof(key), &got), CACHE_HIT);
	ck_assert_uint_eq(got.len, sizeof(value));
	ck_assert_mem_eq(got.data, value, sizeof(value));
	ck_assert_int_eq(cache_get(cache, key, sizeof(key) - 1, &got), CACHE_MISS);
}
END_TEST

START_TEST(both_lives_end)
{
	char token[CACHE_TOKEN_SIZE];
	long long left;

	ck_assert(lease("k", token));
	left = atoll(ask("PTTL rf:{7.16384}:k"));
	ck_assert_int_gt(left, 0);
	ck_assert_int_le(left, CACHE_LEASE_MS);
	fill("k", token, "v");
	holds("k", "v");
	left = atoll(ask("PTTL rf:{7.16384}:k"));
	ck_assert_int_gt(left, CACHE_LEASE_MS);
	ck_assert_int_le(left, 60000);
}
END_TEST

START_TEST(a_drop_kills_the_lease)
{
	char token[CACHE_TOKEN_SIZE], later[CACHE_TOKEN_SIZE];

	ck_assert(lease("k", token));
	drop("k");
	fill("k", token, "from before the drop");
	ck_assert_int_eq(get("k", &(struct buf){0}), CACHE_MISS);
	ck_assert(lease("k", later));
	fill("k", token, "from before the drop");
	ck_assert_int_eq(get("k", &(struct buf){0}), CACHE_BUSY);
	fill("k", later, "fresh");
	holds("k", "fresh");
	drop("k");
	ck_assert_int_eq(get("k", &(struct buf){0}), CACHE_MISS);
	ck_assert_uint_eq(counted(COUNTER_cache_fills), 1);
}
END_TEST

START_TEST(a_lease_replaces_exactly_the_bad_value)
{
	struct buf bad = {.data = (char *)"bad\0value", .len = 9};
	struct buf other = {.data = (char *)"bad", .len = 3};
	char token[CACHE_TOKEN_SIZE];

	ask("SET rf:{7.16384}:k %b", bad.data, bad.len);
	ck_assert(!cache_lease(cache, "k", 1, &other, NULL, token));
	ck_assert(cache_lease(cache, "k", 1, &bad, NULL, token));
	ck_assert(!cache_lease(cache, "k", 1, &bad, NULL, token));
	fill("k", token, "good");
	holds("k", "good");
	ck_assert(cache_lease(cache, "absent", 6, &bad, NULL, token));
	ck_assert_int_le(atoll(ask("PTTL rf:{7.16384}:absent")), CACHE_LEASE_MS);
}
END_TEST

START_TEST(another_type_is_garbage_and_goes)
{
	_cleanup_buf_ struct buf got = {0};

	ask("LPUSH rf:{7.16384}:k a b");
	ck_assert_int_eq(get("k", &got), CACHE_MISS);
	ck_assert_uint_eq(counted(COUNTER_cache_garbage), 1);
	put("k", "v");
	holds("k", "v");
}
END_TEST

START_TEST(a_value_of_many_megabytes_is_garbage_and_goes)
{
	size_t len = 8 << 20;
	_cleanup_free_ char *value = calloc(1, len);

	put("small", "v");
	ask("SET rf:{7.16384}:k %b", value, len);
	/* On a machine that is busy with other things its first megabyte may come too late. */
	while (get("k", &(struct buf){0}) != CACHE_MISS)
		becomes_reachable();
	ck_assert_uint_eq(counted(COUNTER_cache_garbage), 1);
	ck_assert_int_eq(get("k", &(struct buf){0}), CACHE_MISS);
	ck_assert_uint_eq(counted(COUNTER_cache_garbage), 1);
	holds("small", "v");
}
END_TEST

START_TEST(the_largest_value)
{
	size_t len = CACHE_VALUE_MAX;
	_cleanup_free_ char *value = malloc(len + 1);
	_cleanup_buf_ struct buf got = {0};
	char token[CACHE_TOKEN_SIZE];

	memset(value, 'x', len + 1);
	ck_assert(lease("k", token));
	cache_fill(cache, 0, "k", 1, token, value, len + 1, 60000);
	ck_assert_int_eq(get("k", &got), CACHE_BUSY);
	cache_fill(cache, 0, "k", 1, token, value, len, 60000);
	while (get("k", &got) != CACHE_HIT)
		becomes_reachable();
	ck_assert_uint_eq(got.len, len);
	ck_assert_mem_eq(got.data, value, len);
}
END_TEST

START_TEST(forgotten_scripts_are_sent_again)
{
	struct buf bad = {.data = (char *)"bad", .len = 3};
	char token[CACHE_TOKEN_SIZE];

	put("a", "1");
	ask("SET rf:{7.16384}:k bad");
	ck_assert(cache_lease(cache, "k", 1, &bad, NULL, token));
	ask("SCRIPT FLUSH");
	ask("SET rf:{7.16384}:k bad");
	ck_assert(cache_lease(cache, "k", 1, &bad, NULL, token));
	fill("k", token, "good");
	holds("k", "good");
	ask("SCRIPT FLUSH");
	/* Nobody waits for a fill, so this one is lost; the next is not. */
	put("b", "2");
	ck_assert_int_eq(get("b", &(struct buf){0}), CACHE_BUSY);
	ck_assert_uint_eq(counted(COUNTER_cache_errors), 1);
	put("c", "3");
	holds("c", "3");
}
END_TEST

START_TEST(an_error_reply_is_counted_and_told)
{
	struct cache_status status;
	char token[CACHE_TOKEN_SIZE];

	put("k", "v");
	ask("CONFIG SET maxmemory 1");
	ck_assert(!lease("x", token));
	holds("k", "v");
	ck_assert_uint_eq(counted(COUNTER_cache_errors), 1);
	cache_status(cache, &status);
	ck_assert_ptr_nonnull(strstr(status.last_error, "OOM"));
	ck_assert(status.reachable);
	/* The next command on the connection finds what became of the drop and the fill. */
	fill("k", "L:none", "w");
	holds("k", "v");
	ck_assert_uint_ge(counted(COUNTER_cache_errors), 1);
}
END_TEST

START_TEST(none_holds_nothing)
{
	struct cache_status status;
	char token[CACHE_TOKEN_SIZE];

	close_cache();
	open_cache("none");
	ck_assert_int_eq(error.err, 0);
	ck_assert_int_eq(get("k", &(struct buf){0}), CACHE_MISS);
	ck_assert(!lease("k", token));
	fill("k", "L:x", "v");
	drop("k");
	ck_assert_int_eq(cache_probe(cache, &error), 0);
	cache_status(cache, &status);
	ck_assert(!status.configured);
	ck_assert_uint_eq(counted(COUNTER_cache_errors), 0);
}
END_TEST

/* The last drop is not awaited, and must not be lost with the mount. */
START_TEST(closing_waits_for_what_was_sent)
{
	for (int i = 0; i < 50; i++) {
		put("k", "v");
		drop("k");
		close_cache();
		ck_assert_str_eq(ask("EXISTS rf:{7.16384}:k"), "0");
		open_cache(address);
	}
	ck_assert_uint_ge(counted(COUNTER_cache_fills), over_tls ? 1 : 50);
}
END_TEST

/* Commands that wait for nothing read what earlier ones are owed, so that it does not pile up. */
START_TEST(unawaited_replies_are_read)
{
	enum { N = 100 };
	char tokens[N][CACHE_TOKEN_SIZE], key[32];

	for (int i = 0; i < N; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		ck_assert(lease(key, tokens[i]));
	}
	for (int i = 0; i < N; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		fill(key, tokens[i], "v");
	}
	for (int i = 0; i < 1000 && counted(COUNTER_cache_fills) < N; i++) {
		drop("other");
		poll(NULL, 0, 1);
	}
	ck_assert_uint_eq(counted(COUNTER_cache_fills), N);
}
END_TEST

static const char *const with_password[] = {"--requirepass", "sesame", NULL};

static void restart_with_password(void)
{
	close_cache();
	server_end(SIGKILL);
	server_start(with_password);
	ask("AUTH sesame");
}

static void expect_refusal(const char *redis)
{
	settings.redis = (char *)redis;
	ck_assert_int_eq(cache_open(&settings, "7.16384", &cache, &error), -EACCES);
	ck_assert_ptr_null(cache);
	ck_assert_ptr_nonnull(strstr(error.message, "password"));
	ck_assert_ptr_null(strstr(error.message, "sesame"));
	ck_assert_ptr_null(strstr(error.message, "battery"));
}

START_TEST(passwords)
{
	char path[64];
	FILE *file;

	restart_with_password();
	expect_refusal(address);
	setenv("ROWFS_REDIS_PASSWORD", "battery", 1);
	expect_refusal(address);
	setenv("ROWFS_REDIS_PASSWORD", "sesame", 1);
	open_cache(address);
	put("k", "v");
	holds("k", "v");
	close_cache();
	unsetenv("ROWFS_REDIS_PASSWORD");
	snprintf(path, sizeof(path), "%s/passfile", directory);
	settings.redis_passfile = path;
	file = fopen(path, "w");
	fputs("sesame\nand more\n", file);
	fclose(file);
	open_cache(address);
	holds("k", "v");
	close_cache();
	file = fopen(path, "w");
	fputs("battery\n", file);
	fclose(file);
	expect_refusal(address);
	unlink(path);
	ck_assert_int_eq(cache_open(&settings, "7.16384", &cache, &error), -ENOENT);
	ck_assert_ptr_nonnull(strstr(error.message, path));
}
END_TEST

/* The documented user needs no more than this. */
START_TEST(least_privilege)
{
	struct buf bad = {.data = (char *)"bad", .len = 3};
	char token[CACHE_TOKEN_SIZE], redis[100];
	int port = free_port();

	close_cache();
	allow("mount", ">sesame", documented_rights("rowfs-mount"));
	ask("CONFIG SET port %d", port);
	/* A user's name has its place in a TCP address only. */
	snprintf(redis, sizeof(redis), "redis://mount:ses%%61me@localhost:%d/1", port);
	settings.redis_ca = NULL;
	open_cache(redis);
	becomes_reachable();
	put("k", "v");
	holds("k", "v");
	ask("SELECT 1");
	ask("SET rf:{7.16384}:x bad");
	ck_assert(cache_lease(cache, "x", 1, &bad, NULL, token));
	fill("x", token, "good");
	holds("x", "good");
	drop("x");
	ck_assert_int_eq(get("x", &(struct buf){0}), CACHE_MISS);
	ck_assert_uint_eq(counted(COUNTER_cache_errors), 0);
}
END_TEST

START_TEST(a_database_number)
{
	char redis[100];

	close_cache();
	snprintf(redis, sizeof(redis), over_tls ? "%s/3" : "%s?db=3", address);
	open_cache(redis);
	put("k", "v");
	holds("k", "v");
	ck_assert_str_eq(ask("EXISTS rf:{7.16384}:k"), "0");
	ask("SELECT 3");
	ck_assert_str_eq(ask("GET rf:{7.16384}:k"), "v");
}
END_TEST

static const char *const unusable[] = {
        "",
        "localhost",
        "redis:",
        "redis://h:x",
        "redis://h:0",
        "redis://h:65536",
        "redis://h/x",
        "redis://h?db=1",
        "redis://u@h",
        "redis://u:p%zz@h",
        "redis://[::1",
        "redis://[::1]x",
        "unix:",
        "unix:/s?db=x",
        "rediss://h:x",
        "redis://:a%00b@h",
};

START_TEST(unusable_addresses)
{
	settings.redis = (char *)unusable[_i];
	ck_assert_msg(cache_open(&settings, "7.1", &cache, &error) == -EINVAL, "%s", unusable[_i]);
	ck_assert_ptr_nonnull(strstr(error.message, "redis="));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cache");
	TCase *tcase = tcase_create("redis"), *addresses = tcase_create("addresses");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, redis_setup, redis_teardown);
	tcase_add_test(tcase, a_miss_a_lease_a_fill_a_hit);
	tcase_add_test(tcase, keys_carry_the_database);
	tcase_add_test(tcase, keys_and_values_are_any_bytes);
	tcase_add_test(tcase, both_lives_end);
	tcase_add_test(tcase, a_drop_kills_the_lease);
	tcase_add_test(tcase, a_lease_replaces_exactly_the_bad_value);
	tcase_add_test(tcase, another_type_is_garbage_and_goes);
	tcase_add_test(tcase, a_value_of_many_megabytes_is_garbage_and_goes);
	tcase_add_test(tcase, the_largest_value);
	tcase_add_test(tcase, forgotten_scripts_are_sent_again);
	tcase_add_test(tcase, an_error_reply_is_counted_and_told);
	tcase_add_test(tcase, none_holds_nothing);
	tcase_add_test(tcase, closing_waits_for_what_was_sent);
	tcase_add_test(tcase, unawaited_replies_are_read);
	tcase_add_test(tcase, passwords);
	tcase_add_test(tcase, least_privilege);
	tcase_add_test(tcase, a_database_number);
	suite_add_tcase(suite, tcase);
	tcase_add_loop_test(addresses, unusable_addresses, 0, sizeof(unusable) / sizeof(*unusable));
	suite_add_tcase(suite, addresses);
	return redis_suite_run(suite);
}
