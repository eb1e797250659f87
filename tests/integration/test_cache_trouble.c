/* What happens to a reader when Redis is stopped, killed, restarted, locked, used by many at once,
 * or is no Redis at all. */
#include "private_redis.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

/* What a busy machine may add to a deadline. */
enum { SLACK_MS = 100 };

START_TEST(a_restart_is_not_noticed)
{
	put("k", "v");
	holds("k", "v");
	server_end(SIGTERM);
	server_start(NULL);
	ck_assert_int_eq(get("k", &(struct buf){0}), CACHE_MISS);
	put("k", "w");
	holds("k", "w");
	ck_assert_uint_eq(counted(COUNTER_cache_errors), 0);
}
END_TEST

START_TEST(killed_and_back)
{
	struct cache_status status;
	int64_t start;

	put("k", "v");
	server_end(SIGKILL);
	start = clock_monotonic_ms();
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(get("k", &(struct buf){0}), CACHE_DOWN);
	drop("k");
	ck_assert_int_lt(clock_monotonic_ms() - start, CACHE_TIMEOUT_MS + SLACK_MS);
	ck_assert_uint_eq(counted(COUNTER_cache_errors), 1);
	cache_status(cache, &status);
	ck_assert(!status.reachable);
	ck_assert_ptr_nonnull(strstr(status.last_error, address));
	ck_assert_int_lt(cache_probe(cache, &error), 0);
	server_start(NULL);
	/* Only a probe closes the breaker. */
	poll(NULL, 0, 300);
	ck_assert_int_eq(get("k", &(struct buf){0}), CACHE_DOWN);
	becomes_reachable();
	put("k", "w");
	holds("k", "w");
	cache_status(cache, &status);
	ck_assert(status.reachable);
}
END_TEST

START_TEST(stopped_costs_one_timeout)
{
	int64_t start, took;

	put("a", "1");
	put("b", "2");
	holds("b", "2");
	kill(server, SIGSTOP);
	start = clock_monotonic_ms();
	ck_assert_int_eq(get("a", &(struct buf){0}), CACHE_DOWN);
	took = clock_monotonic_ms() - start;
	ck_assert_int_ge(took, CACHE_TIMEOUT_MS - 1);
	ck_assert_int_le(took, CACHE_TIMEOUT_MS + SLACK_MS);
	start = clock_monotonic_ms();
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(get("a", &(struct buf){0}), CACHE_DOWN);
	ck_assert_int_lt(clock_monotonic_ms() - start, CACHE_TIMEOUT_MS);
	kill(server, SIGCONT);
	becomes_reachable();
	/* The reply to the first GET has come by now, and belongs to nobody. */
	holds("b", "2");
	holds("a", "1");
}
END_TEST

/* Sent in time, executed late: the copy began to live when Redis came to it, and others' commits were not
 * seen for that much longer than ttl. */
START_TEST(a_fill_that_comes_late_lives_no_longer)
{
	char token[CACHE_TOKEN_SIZE];

	put("warm", "v");
	ck_assert(lease("short", token));
	cache_fill(cache, 0, "short", 5, token, "v", 1, 60000);
	ck_assert(lease("k", token));
	holds("short", "v");
	kill(server, SIGSTOP);
	cache_fill(cache, 0, "k", 1, token, "v", 1, 1000);
	poll(NULL, 0, 1200);
	kill(server, SIGCONT);
	ask("PING");
	ck_assert_int_eq(get("k", &(struct buf){0}), CACHE_MISS);
	ck_assert_uint_eq(counted(COUNTER_cache_fills), 2);

	/* What is left of its life is counted from the lease, too. */
	drop("k");
	ck_assert(lease("k", token));
	kill(server, SIGSTOP);
	cache_fill(cache, 0, "k", 1, token, "v", 1, 2500);
	poll(NULL, 0, 500);
	kill(server, SIGCONT);
	ask("PING");
	holds("k", "v");
	ck_assert_int_le(atoll(ask("PTTL rf:{7.16384}:k")), 2000);
}
END_TEST

START_TEST(probes_pause)
{
	int64_t start, end;
	unsigned attempts = 0;

	kill(server, SIGSTOP);
	ck_assert_int_eq(get("a", &(struct buf){0}), CACHE_DOWN);
	end = clock_monotonic_ms() + 1500;
	while (clock_monotonic_ms() < end) {
		start = clock_monotonic_ms();
		ck_assert_int_lt(cache_probe(cache, &error), 0);
		ck_assert(error.message[0]);
		attempts += clock_monotonic_ms() - start >= CACHE_TIMEOUT_MS / 2;
		poll(NULL, 0, 10);
	}
	/* After 0.1, 0.2, 0.4, 0.8 s, less up to a quarter each. */
	ck_assert_uint_ge(attempts, 2);
	ck_assert_uint_le(attempts, 5);
	kill(server, SIGCONT);
	becomes_reachable();
}
END_TEST

START_TEST(down_from_the_start)
{
	close_cache();
	server_end(SIGKILL);
	open_cache(address);
	ck_assert_int_ne(error.err, 0);
	ck_assert_ptr_nonnull(strstr(error.message, address));
	ck_assert_int_eq(get("k", &(struct buf){0}), CACHE_DOWN);
	server_start(NULL);
	becomes_reachable();
	put("k", "v");
	holds("k", "v");
}
END_TEST

START_TEST(many_unawaited_commands)
{
	char key[32];
	int64_t start;

	for (int i = 0; i < 5000; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		drop(key);
	}
	put("k", "v");
	holds("k", "v");
	kill(server, SIGSTOP);
	start = clock_monotonic_ms();
	for (int i = 0; i < 100000; i++)
		drop("k");
	ck_assert_int_lt(clock_monotonic_ms() - start, over_tls ? 10000 : 1000);
	kill(server, SIGCONT);
	becomes_reachable();
	ck_assert_int_ne(get("k", &(struct buf){0}), CACHE_DOWN);
}
END_TEST

/* More than the pool has connections for: some then do without. */
enum { THREADS = 24, ROUNDS = 200 };

static void *use_cache(void *arg)
{
	char key[32], value[64];

	for (int i = 0; i < ROUNDS; i++) {
		_cleanup_buf_ struct buf got = {0};
		char token[CACHE_TOKEN_SIZE];

		snprintf(key, sizeof(key), "%d-%d", *(int *)arg, i);
		snprintf(value, sizeof(value), "value of %s", key);
		if (!lease(key, token))
			continue;
		fill(key, token, value);
		if (get(key, &got) == CACHE_HIT)
			ck_assert_str_eq(got.data, value);
	}
	return NULL;
}

static void use_cache_in_threads(void)
{
	pthread_t threads[THREADS];
	int numbers[THREADS];

	for (int i = 0; i < THREADS; i++) {
		numbers[i] = i;
		ck_assert_int_eq(pthread_create(&threads[i], NULL, use_cache, &numbers[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

/* This test's own connection counts too. */
static int connected_clients(void)
{
	return atoi(strstr(ask("INFO clients"), "connected_clients:") +
	            strlen("connected_clients:"));
}

START_TEST(threads_get_their_own_replies)
{
	uint64_t errors;

	/* On a busy machine one of so many may wait too long, and all do without Redis then. */
	do {
		becomes_reachable();
		ask("FLUSHALL");
		errors = counted(COUNTER_cache_errors);
		use_cache_in_threads();
	} while (counted(COUNTER_cache_errors) > errors);
	ck_assert_int_gt(connected_clients(), 2);
	ck_assert_int_le(connected_clients(), 16 + 1);
	close_cache();
	ck_assert_uint_eq(counted(COUNTER_cache_errors), errors);
	ck_assert_uint_gt(counted(COUNTER_cache_fills), ROUNDS);
}
END_TEST

static void *get_late(void *arg)
{
	poll(NULL, 0, CACHE_TIMEOUT_MS * 2 / 3);
	*(enum cache_answer *)arg = get("k", &(struct buf){0});
	return NULL;
}

/* One of many connections times out: none of those that existed then is used again, be it idle or
 * still waiting, for an answer that comes in time. */
START_TEST(a_failure_ends_all_connections)
{
	int64_t end = clock_monotonic_ms() + START_MS;
	enum cache_answer late;
	pthread_t thread;

	use_cache_in_threads();
	kill(server, SIGSTOP);
	ck_assert_int_eq(pthread_create(&thread, NULL, get_late, &late), 0);
	ck_assert_int_eq(get("k", &(struct buf){0}), CACHE_DOWN);
	kill(server, SIGCONT);
	pthread_join(thread, NULL);
	becomes_reachable();
	while (connected_clients() > 2 && clock_monotonic_ms() < end)
		poll(NULL, 0, 10);
	ck_assert_int_eq(connected_clients(), 2);
}
END_TEST

static const char *const with_password[] = {"--requirepass", "sesame", NULL};

/* Redis came back with another password: no reader waits, status says why, and it heals. */
START_TEST(a_password_refused_later)
{
	struct cache_status status;

	server_end(SIGKILL);
	server_start(with_password);
	ask("AUTH sesame");
	ck_assert_int_eq(get("k", &(struct buf){0}), CACHE_DOWN);
	ask("CONFIG SET requirepass battery");
	poll(NULL, 0, 150);
	ck_assert_int_eq(cache_probe(cache, &error), -EACCES);
	cache_status(cache, &status);
	ck_assert(!status.reachable);
	ck_assert_ptr_nonnull(strstr(status.last_error, "password"));
	ask_anew();
	ask("AUTH battery");
	ask("CONFIG SET requirepass %s", "");
	becomes_reachable();
	put("k", "v");
	holds("k", "v");
}
END_TEST

/* A server that sends a byte now and then: each read succeeds, and the answer never ends. */
static void *dribble(void *arg)
{
	int listener = *(int *)arg, fd = accept(listener, NULL, NULL);
	char request[256];

	if (read(fd, request, sizeof(request)) < 0 || write(fd, "+PONG\r\n", 7) < 0)
		return NULL;
	if (read(fd, request, sizeof(request)) < 0)
		return NULL;
	if (write(fd, "$1000\r\n", 7) < 0)
		return NULL;
	while (send(fd, "x", 1, MSG_NOSIGNAL) == 1)
		poll(NULL, 0, 5);
	close(fd);
	return NULL;
}

static int listen_here(void)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(un.sun_path, sizeof(un.sun_path), "%s", socket_path);
	unlink(socket_path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	ck_assert_int_eq(listen(fd, 5), 0);
	return fd;
}

START_TEST(a_server_that_dribbles)
{
	int listener = listen_here();
	pthread_t thread;
	int64_t start;

	ck_assert_int_eq(pthread_create(&thread, NULL, dribble, &listener), 0);
	open_cache(address);
	ck_assert_msg(error.err == 0, "%s", error.message);
	start = clock_monotonic_ms();
	ck_assert_int_eq(get("k", &(struct buf){0}), CACHE_DOWN);
	ck_assert_int_lt(clock_monotonic_ms() - start, CACHE_TIMEOUT_MS + SLACK_MS);
	pthread_join(thread, NULL);
	close(listener);
}
END_TEST

/* Not Redis at all. */
static void *talk_nonsense(void *arg)
{
	int listener = *(int *)arg, fd = accept(listener, NULL, NULL);

	if (write(fd, "HTTP/1.1 400 Bad Request\r\n\r\n", 28) < 0)
		return NULL;
	poll(NULL, 0, 50);
	close(fd);
	return NULL;
}

START_TEST(a_server_that_is_none)
{
	int listener = listen_here();
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, talk_nonsense, &listener), 0);
	open_cache(address);
	ck_assert_int_ne(error.err, 0);
	ck_assert_int_eq(get("k", &(struct buf){0}), CACHE_DOWN);
	pthread_join(thread, NULL);
	close(listener);
}
END_TEST

static void add_strangers(Suite *suite)
{
	TCase *strangers = tcase_create("strangers");

	tcase_add_checked_fixture(strangers, NULL, redis_teardown);
	tcase_add_test(strangers, a_server_that_dribbles);
	tcase_add_test(strangers, a_server_that_is_none);
	suite_add_tcase(suite, strangers);
}

int main(void)
{
	Suite *suite = suite_create("cache_trouble");
	TCase *tcase = tcase_create("trouble");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, redis_setup, redis_teardown);
	tcase_add_test(tcase, a_restart_is_not_noticed);
	tcase_add_test(tcase, killed_and_back);
	tcase_add_test(tcase, stopped_costs_one_timeout);
	tcase_add_test(tcase, a_fill_that_comes_late_lives_no_longer);
	tcase_add_test(tcase, probes_pause);
	tcase_add_test(tcase, down_from_the_start);
	tcase_add_test(tcase, many_unawaited_commands);
	tcase_add_test(tcase, threads_get_their_own_replies);
	tcase_add_test(tcase, a_failure_ends_all_connections);
	tcase_add_test(tcase, a_password_refused_later);
	suite_add_tcase(suite, tcase);
	/* They know no TLS. */
	if (!getenv("ROWFS_TEST_TLS"))
		add_strangers(suite);
	return redis_suite_run(suite);
}
