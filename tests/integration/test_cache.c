/* cache.h on a real Redis, private to each test, and what happens to a reader when that Redis is
 * stopped, killed, locked, restarted, or filled with things that are no rows. */
#include "rowfs/engine/cache.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "rowfs/base/clock.h"
#include "rowfs/base/counters.h"
#include "suite.h"

/* What a busy machine may add to a deadline. */
enum { SLACK_MS = 100, START_MS = 10000 };

enum { NO_REDIS = 77 };

static char directory[] = "/tmp/rowfs-test-cache-XXXXXX";
static char socket_path[64], address[80];

static pid_t server;
static redisContext *control; /* to Redis, past the cache */
static struct cache *cache;
static struct settings settings;
static struct error error;

static redisContext *connect_control(void)
{
	int64_t end = clock_monotonic_ms() + START_MS;

	while (clock_monotonic_ms() < end) {
		redisContext *c = redisConnectUnix(socket_path);

		if (c && !c->err)
			return c;
		if (c)
			redisFree(c);
		poll(NULL, 0, 5);
	}
	ck_abort_msg("redis-server does not start");
	return NULL;
}

/* `more`: further arguments, ended by NULL, or NULL. */
static void server_start(const char *const more[])
{
	const char *argv[32] = {"redis-server", "--port",     "0",      "--unixsocket",
	                        socket_path,    "--save",     "",       "--appendonly",
	                        "no",           "--loglevel", "warning"};
	int n = 11;

	while (more && *more)
		argv[n++] = *more++;
	unlink(socket_path);
	server = fork();
	if (server == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (!freopen("/dev/null", "w", stdout) || chdir(directory) < 0)
			_exit(1);
		execvp(argv[0], (char **)argv);
		_exit(1);
	}
	control = connect_control();
}

static void server_end(int signal)
{
	kill(server, signal);
	kill(server, SIGCONT);
	waitpid(server, NULL, 0);
	server = 0;
	redisFree(control);
	control = NULL;
}

/* Ask Redis itself. The reply's text, or "(nil)", or a number; valid until the next call. */
static const char *ask(const char *format, ...)
{
	static char text[512];
	redisReply *reply;
	va_list arguments;

	va_start(arguments, format);
	reply = redisvCommand(control, format, arguments);
	va_end(arguments);
	ck_assert_ptr_nonnull(reply);
	if (reply->type == REDIS_REPLY_INTEGER)
		snprintf(text, sizeof(text), "%lld", reply->integer);
	else
		snprintf(text, sizeof(text), "%s",
		         reply->type == REDIS_REPLY_NIL ? "(nil)"
		         : reply->str                   ? reply->str
		                                        : "");
	freeReplyObject(reply);
	return text;
}

static uint64_t counted(enum counter counter)
{
	return atomic_load(&counters[counter]);
}

static void open_cache(const char *redis)
{
	settings.redis = (char *)redis;
	error = (struct error){0};
	ck_assert_msg(cache_open(&settings, "7.16384", &cache, &error) == 0, "%s", error.message);
}

static void close_cache(void)
{
	cache_close(cache);
	cache = NULL;
}

static void setup(void)
{
	server_start(NULL);
	open_cache(address);
	ck_assert_msg(error.err == 0, "%s", error.message);
}

static void teardown(void)
{
	if (cache)
		close_cache();
	if (server)
		server_end(SIGKILL);
}

static enum cache_answer get(const char *key, struct buf *ret)
{
	return cache_get(cache, key, strlen(key), ret);
}

static bool lease(const char *key, char token[CACHE_TOKEN_SIZE])
{
	return cache_lease(cache, key, strlen(key), NULL, token);
}

static void fill(const char *key, const char *token, const char *value)
{
	cache_fill(cache, key, strlen(key), token, value, strlen(value), 60000);
}

static void drop(const char *key)
{
	cache_drop(cache, key, strlen(key));
}

static void holds(const char *key, const char *value)
{
	_cleanup_buf_ struct buf got = {0};

	ck_assert_int_eq(get(key, &got), CACHE_HIT);
	ck_assert_str_eq(got.data, value);
}

/* Put a value the way a reader does. */
static void put(const char *key, const char *value)
{
	char token[CACHE_TOKEN_SIZE];

	ck_assert(lease(key, token));
	fill(key, token, value);
}

static void becomes_reachable(void)
{
	int64_t end = clock_monotonic_ms() + START_MS;

	while (cache_probe(cache, &error) && clock_monotonic_ms() < end)
		poll(NULL, 0, 10);
	ck_assert_msg(cache_probe(cache, &error) == 0, "%s", error.message);
}

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

	ck_assert(cache_lease(cache, key, sizeof(key), NULL, token));
	cache_fill(cache, key, sizeof(key), token, value, sizeof(value), 60000);
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
	ck_assert(!cache_lease(cache, "k", 1, &other, token));
	ck_assert(cache_lease(cache, "k", 1, &bad, token));
	ck_assert(!cache_lease(cache, "k", 1, &bad, token));
	fill("k", token, "good");
	holds("k", "good");
	ck_assert(cache_lease(cache, "absent", 6, &bad, token));
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
	cache_fill(cache, "k", 1, token, value, len + 1, 60000);
	ck_assert_int_eq(get("k", &got), CACHE_BUSY);
	cache_fill(cache, "k", 1, token, value, len, 60000);
	ck_assert_int_eq(get("k", &got), CACHE_HIT);
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
	ck_assert(cache_lease(cache, "k", 1, &bad, token));
	ask("SCRIPT FLUSH");
	ask("SET rf:{7.16384}:k bad");
	ck_assert(cache_lease(cache, "k", 1, &bad, token));
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
	ck_assert_ptr_nonnull(strstr(status.last_error, socket_path));
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
	ck_assert_ptr_nonnull(strstr(error.message, socket_path));
	ck_assert_int_eq(get("k", &(struct buf){0}), CACHE_DOWN);
	server_start(NULL);
	becomes_reachable();
	put("k", "v");
	holds("k", "v");
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
	ck_assert_uint_eq(counted(COUNTER_cache_fills), 50);
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
	ck_assert_int_lt(clock_monotonic_ms() - start, 1000);
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
	use_cache_in_threads();
	ck_assert_int_gt(connected_clients(), 2);
	ck_assert_int_le(connected_clients(), 16 + 1);
	close_cache();
	ck_assert_uint_eq(counted(COUNTER_cache_errors), 0);
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
	redisFree(control);
	control = connect_control();
	ask("AUTH battery");
	ask("CONFIG SET requirepass %s", "");
	becomes_reachable();
	put("k", "v");
	holds("k", "v");
}
END_TEST

static int free_port(void)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(in);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&in, len), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	close(fd);
	return ntohs(in.sin_port);
}

/* The documented user needs no more than this. */
START_TEST(least_privilege)
{
	static const char rules[] =
	        "ACL SETUSER mount on >sesame resetkeys ~rf:{7.16384}* resetchannels "
	        "-@all +ping +get +set +unlink +eval +evalsha +select";
	struct buf bad = {.data = (char *)"bad", .len = 3};
	char token[CACHE_TOKEN_SIZE], redis[100];
	int port = free_port();

	close_cache();
	ask(rules);
	ask("CONFIG SET port %d", port);
	/* A user's name has its place in a TCP address only. */
	snprintf(redis, sizeof(redis), "redis://mount:ses%%61me@localhost:%d/1", port);
	open_cache(redis);
	ck_assert_msg(error.err == 0, "%s", error.message);
	put("k", "v");
	holds("k", "v");
	ask("SELECT 1");
	ask("SET rf:{7.16384}:x bad");
	ck_assert(cache_lease(cache, "x", 1, &bad, token));
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
	snprintf(redis, sizeof(redis), "%s?db=3", address);
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
        "rediss://h",
        "redis://:a%00b@h",
};

START_TEST(unusable_addresses)
{
	settings.redis = (char *)unusable[_i];
	ck_assert_msg(cache_open(&settings, "7.1", &cache, &error) == -EINVAL, "%s", unusable[_i]);
	ck_assert_ptr_nonnull(strstr(error.message, "redis="));
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

static void add_behaviour(Suite *suite)
{
	TCase *tcase = tcase_create("behaviour");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
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
	tcase_add_test(tcase, unawaited_replies_are_read);
	tcase_add_test(tcase, many_unawaited_commands);
	tcase_add_test(tcase, threads_get_their_own_replies);
	tcase_add_test(tcase, closing_waits_for_what_was_sent);
	suite_add_tcase(suite, tcase);
}

static void add_trouble(Suite *suite)
{
	TCase *tcase = tcase_create("trouble");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, a_restart_is_not_noticed);
	tcase_add_test(tcase, killed_and_back);
	tcase_add_test(tcase, stopped_costs_one_timeout);
	tcase_add_test(tcase, a_failure_ends_all_connections);
	tcase_add_test(tcase, probes_pause);
	tcase_add_test(tcase, down_from_the_start);
	tcase_add_test(tcase, passwords);
	tcase_add_test(tcase, a_password_refused_later);
	tcase_add_test(tcase, least_privilege);
	tcase_add_test(tcase, a_database_number);
	suite_add_tcase(suite, tcase);
}

static void add_strangers(Suite *suite)
{
	TCase *tcase = tcase_create("strangers");

	tcase_add_checked_fixture(tcase, NULL, teardown);
	tcase_add_loop_test(tcase, unusable_addresses, 0, sizeof(unusable) / sizeof(*unusable));
	tcase_add_test(tcase, a_server_that_dribbles);
	tcase_add_test(tcase, a_server_that_is_none);
	suite_add_tcase(suite, tcase);
}

int main(void)
{
	Suite *suite = suite_create("cache");
	int status;

	if (system("redis-server --version >/dev/null 2>&1") != 0) {
		puts("1..0 # SKIP redis-server is missing");
		return getenv("CK_TAP_LOG_FILE_NAME") ? 0 : NO_REDIS;
	}
	if (!mkdtemp(directory))
		return 1;
	snprintf(socket_path, sizeof(socket_path), "%s/redis.sock", directory);
	snprintf(address, sizeof(address), "unix:%s", socket_path);
	add_behaviour(suite);
	add_trouble(suite);
	add_strangers(suite);
	status = suite_run(suite);
	unlink(socket_path);
	rmdir(directory);
	return status;
}
