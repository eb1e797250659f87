#include "private_redis.h"

#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

char directory[] = "/tmp/rowfs-test-redis-XXXXXX";
char socket_path[64], address[80];
bool over_tls;

pid_t server;
struct cache *cache;
struct settings settings;
struct error error;

static redisContext *control;

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

int free_port(void)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(in);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	/* Before the tests begin, there is nobody to assert to. */
	if (bind(fd, (struct sockaddr *)&in, len) < 0 ||
	    getsockname(fd, (struct sockaddr *)&in, &len) < 0)
		abort();
	close(fd);
	return ntohs(in.sin_port);
}

static char tls_port[8], certificates[80];

static const char *const tls_arguments[] = {"--bind",
                                            "127.0.0.1",
                                            "--tls-port",
                                            tls_port,
                                            "--tls-cert-file",
                                            "server.pem",
                                            "--tls-key-file",
                                            "key.pem",
                                            "--tls-ca-cert-file",
                                            "server.pem",
                                            "--tls-auth-clients",
                                            "no",
                                            NULL};

/* The server's certificate is its own CA here; tls.bats has the others. */
static bool make_certificate(void)
{
	char command[400];

	snprintf(command, sizeof(command),
	         "cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
	         "-keyout key.pem -out server.pem -subj /CN=localhost -days 2 "
	         "-addext subjectAltName=DNS:localhost >/dev/null 2>&1",
	         directory);
	return system(command) == 0;
}

static bool use_tls(void)
{
	over_tls = true;
	snprintf(tls_port, sizeof(tls_port), "%d", free_port());
	snprintf(address, sizeof(address), "rediss://localhost:%s", tls_port);
	snprintf(certificates, sizeof(certificates), "%s/server.pem", directory);
	settings.redis_ca = certificates;
	return make_certificate();
}

static void remove_files(void)
{
	static const char *const names[] = {"redis.sock", "key.pem", "server.pem"};
	char path[80];

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
		unlink(path);
	}
	rmdir(directory);
}

void server_start(const char *const more[])
{
	const char *argv[48] = {"redis-server", "--port",     "0",      "--unixsocket",
	                        socket_path,    "--save",     "",       "--appendonly",
	                        "no",           "--loglevel", "warning"};
	int n = 11;

	for (int i = 0; over_tls && tls_arguments[i]; i++)
		argv[n++] = tls_arguments[i];
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

void server_end(int signal)
{
	kill(server, signal);
	kill(server, SIGCONT);
	waitpid(server, NULL, 0);
	server = 0;
	redisFree(control);
	control = NULL;
}

const char *ask(const char *format, ...)
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

void ask_anew(void)
{
	redisFree(control);
	control = connect_control();
}

const char *documented_rights(const char *user)
{
	static char line[1024];
	FILE *file = fopen(REDIS_ACL, "r");
	char start[64];

	ck_assert_ptr_nonnull(file);
	snprintf(start, sizeof(start), "user %s on >change-me ", user);
	while (fgets(line, sizeof(line), file))
		if (strncmp(line, start, strlen(start)) == 0)
			break;
	fclose(file);
	ck_assert_msg(strncmp(line, start, strlen(start)) == 0, "%s", user);
	line[strcspn(line, "\n")] = '\0';
	return line + strlen(start);
}

void allow(const char *user, const char *password, const char *rights)
{
	char command[1200];

	snprintf(command, sizeof(command), "ACL SETUSER %s reset on %s %s", user, password, rights);
	ck_assert_str_eq(ask(command), "OK");
}

uint64_t counted(enum counter counter)
{
	return atomic_load(&counters[counter]);
}

void open_cache(const char *redis)
{
	settings.redis = (char *)redis;
	error = (struct error){0};
	ck_assert_msg(cache_open(&settings, "7.16384", &cache, &error) == 0, "%s", error.message);
}

void close_cache(void)
{
	cache_close(cache);
	cache = NULL;
}

void redis_setup(void)
{
	server_start(NULL);
	open_cache(address);
	becomes_reachable();
}

void redis_teardown(void)
{
	if (cache)
		close_cache();
	if (server)
		server_end(SIGKILL);
}

enum cache_answer get(const char *key, struct buf *ret)
{
	return cache_get(cache, key, strlen(key), ret);
}

bool lease(const char *key, char token[CACHE_TOKEN_SIZE])
{
	return cache_lease(cache, key, strlen(key), NULL, NULL, token);
}

void fill(const char *key, const char *token, const char *value)
{
	cache_fill(cache, 0, key, strlen(key), token, value, strlen(value), 60000);
}

void drop(const char *key)
{
	cache_drop(cache, key, strlen(key));
}

void holds(const char *key, const char *value)
{
	_cleanup_buf_ struct buf got = {0};
	enum cache_answer answer = get(key, &got);

	/* TLS on a busy machine may take longer than readers wait. */
	while (over_tls && answer == CACHE_DOWN) {
		becomes_reachable();
		answer = get(key, &got);
	}
	ck_assert_int_eq(answer, CACHE_HIT);
	ck_assert_str_eq(got.data, value);
}

void put(const char *key, const char *value)
{
	char token[CACHE_TOKEN_SIZE];
	bool taken = lease(key, token);

	while (over_tls && !taken) {
		becomes_reachable();
		taken = lease(key, token);
	}
	ck_assert(taken);
	fill(key, token, value);
}

void becomes_reachable(void)
{
	int64_t end = clock_monotonic_ms() + START_MS;

	while (cache_probe(cache, &error) && clock_monotonic_ms() < end)
		poll(NULL, 0, 10);
	ck_assert_msg(cache_probe(cache, &error) == 0, "%s", error.message);
}

enum { NO_REDIS = 77 };

int redis_suite_run(Suite *suite)
{
	int status;

	if (system("redis-server --version >/dev/null 2>&1") != 0) {
		puts("1..0 # SKIP redis-server is missing");
		return getenv("CK_TAP_LOG_FILE_NAME") ? 0 : NO_REDIS;
	}
	if (!mkdtemp(directory))
		return 1;
	snprintf(socket_path, sizeof(socket_path), "%s/redis.sock", directory);
	snprintf(address, sizeof(address), "unix:%s", socket_path);
	if (getenv("ROWFS_TEST_TLS") && !use_tls())
		return 1;
	status = suite_run(suite);
	remove_files();
	return status;
}
