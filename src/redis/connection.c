#include "connection.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "rowfs/base/clock.h"

void command_add(struct command *command, const void *bytes, size_t len)
{
	assert(command->argc < COMMAND_WORDS);
	command->argv[command->argc] = bytes;
	command->len[command->argc++] = len;
}

void command_adds(struct command *command, const char *string)
{
	command_add(command, string, strlen(string));
}

struct connection *connection_close(struct connection *connection)
{
	if (!connection)
		return NULL;
	transport_close(&connection->transport);
	if (connection->reader)
		redisReaderFree(connection->reader);
	free(connection);
	return NULL;
}

int connection_send(struct connection *connection, const struct command *command,
                    int64_t deadline_us)
{
	char *bytes = NULL;
	long long len = redisFormatCommandArgv(&bytes, command->argc, (const char **)command->argv,
	                                       command->len);
	int r;

	if (len < 0)
		return -ENOMEM;
	r = transport_send(&connection->transport, bytes, (size_t)len, deadline_us);
	redisFreeCommand(bytes);
	if (!r && !connection->unasked)
		connection->owed++;
	return r;
}

int connection_send_printed(struct connection *connection, const struct buf *bytes,
                            int64_t deadline_us)
{
	int r = bytes->failed ? -ENOMEM
	                      : transport_send(&connection->transport, bytes->data, bytes->len,
	                                       deadline_us);

	if (!r)
		connection->owed++;
	return r;
}

/* Feed the parser what has come. -EAGAIN if that is nothing. */
static int receive(struct connection *connection)
{
	char bytes[16384];
	ssize_t n = transport_receive(&connection->transport, bytes, sizeof(bytes));

	if (n < 0)
		return (int)n;
	connection->received += (size_t)n;
	/* The last read may have brought the beginning of the next replies with it. */
	if (connection->received > connection->reply_max + sizeof(bytes))
		return -EMSGSIZE;
	return redisReaderFeed(connection->reader, bytes, (size_t)n) == REDIS_OK ? 0 : -ENOMEM;
}

/* After SCRIPT FLUSH every script must be sent whole once more. */
static void note_forgotten_scripts(struct connection *connection, const redisReply *reply)
{
	if (reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "NOSCRIPT", 8) == 0)
		connection->scripts = 0;
}

/* The next whole reply among the bytes received, or NULL in *ret. */
static int parse(struct connection *connection, redisReply **ret)
{
	void *reply = NULL;

	if (redisReaderGetReply(connection->reader, &reply) != REDIS_OK)
		return -EPROTO;
	if (reply) {
		/* A reply that nothing was asked for: whose is the next one? */
		if (!connection->owed && !connection->unasked) {
			freeReplyObject(reply);
			return -EPROTO;
		}
		if (!connection->unasked)
			connection->owed--;
		connection->received = 0;
		note_forgotten_scripts(connection, reply);
	}
	*ret = reply;
	return 0;
}

/* A Redis on this machine answers in less time than it takes to put a thread to sleep and to wake it (docs/performance.md). But
 * only who waits alone looks for it: where several wait, the cores have other work. */
enum { LOOK_US = 40 };

static atomic_uint waiting;

static int await(struct connection *connection, int64_t deadline_us)
{
	int64_t until_us = clock_monotonic_us() + LOOK_US;
	bool waits = connection->looks && deadline_us > until_us; /* else it is asked whether it has come */
	bool looks = waits && atomic_fetch_add(&waiting, 1) == 0;
	int r = -EAGAIN;

	while (looks && r == -EAGAIN && clock_monotonic_us() < until_us)
		r = receive(connection);
	if (r == -EAGAIN)
		r = transport_await(&connection->transport, deadline_us);
	if (waits)
		atomic_fetch_sub(&waiting, 1);
	return r;
}

int connection_reply(struct connection *connection, int64_t deadline_us, redisReply **ret)
{
	redisReply *reply = NULL;

	for (;;) {
		int r = parse(connection, &reply);

		if (!r && reply)
			break;
		if (!r)
			r = receive(connection);
		if (r == -EAGAIN)
			r = await(connection, deadline_us);
		if (r)
			return r;
	}
	*ret = reply;
	return 0;
}

int connection_settle(struct connection *connection, unsigned leave, int64_t deadline_us,
                      owed_fn *owed, void *arg)
{
	while (connection->owed > leave) {
		_cleanup_reply_ redisReply *reply = NULL;
		int r = connection_reply(connection, deadline_us, &reply);

		if (r == -ETIMEDOUT && deadline_us == 0)
			return 0;
		if (r)
			return r;
		owed(arg, reply);
	}
	return 0;
}

int connection_error(const struct address *address, int r, int timeout_ms, struct error *e)
{
	if (r == -ETIMEDOUT)
		return error_set(e, ETIMEDOUT, "Redis at %s did not answer within %d ms",
		                 address->label, timeout_ms);
	return error_set(e, -r, "Redis at %s: %s", address->label, strerror(-r));
}

/* How an error reply begins, and what it means here; anything else is EIO. A script's user has no code of his own: the
 * first is Redis 7.0's, the second of those after it. */
static const struct {
	const char *code;
	int err;
} error_codes[] = {
        {"NOPERM", EACCES},    {"NOAUTH", EACCES},
        {"WRONGPASS", EACCES}, {"ERR The user executing the script can't", EACCES},
        {"OOM", ENOSPC},       {"ERR ACL failure in script", EACCES},
        {"READONLY", EROFS},
};

int reply_error(const redisReply *reply, const struct address *address, struct error *e)
{
	int err = EIO;

	for (size_t i = 0; i < sizeof(error_codes) / sizeof(*error_codes); i++)
		if (strncmp(reply->str, error_codes[i].code, strlen(error_codes[i].code)) == 0)
			err = error_codes[i].err;
	return error_set(e, err, "Redis at %s: %s", address->label, reply->str);
}

/* Does this error reply say that user or password are wrong? */
static bool refused(const char *text)
{
	return strncmp(text, "WRONGPASS", 9) == 0 || strncmp(text, "NOAUTH", 6) == 0 ||
	       strstr(text, "invalid password") || strstr(text, "without any password");
}

/* One step of getting in: send, read, and turn an error reply into words. */
static int enter(struct connection *connection, const struct command *command,
                 const struct address *address, int64_t deadline_us, struct error *e)
{
	_cleanup_reply_ redisReply *reply = NULL;
	int r = connection_send(connection, command, deadline_us);

	if (!r)
		r = connection_reply(connection, deadline_us, &reply);
	if (r)
		return error_set(e, -r, "Redis at %s: %s", address->label,
		                 transport_why(&connection->transport, -r));
	if (reply->type != REDIS_REPLY_ERROR)
		return 0;
	if (refused(reply->str))
		return error_set(e, EACCES, "Redis at %s refuses the %s: %s", address->label,
		                 address->user ? "user or password" : "password", reply->str);
	return reply_error(reply, address, e);
}

static int authenticate(struct connection *connection, const struct address *address,
                        int64_t deadline_us, struct error *e)
{
	struct command command = {0};

	if (!address->password)
		return 0;
	command_adds(&command, "AUTH");
	if (address->user)
		command_adds(&command, address->user);
	command_adds(&command, address->password);
	return enter(connection, &command, address, deadline_us, e);
}

static int select_db(struct connection *connection, const struct address *address,
                     int64_t deadline_us, struct error *e)
{
	struct command command = {0};
	char number[16];

	if (!address->db)
		return 0;
	snprintf(number, sizeof(number), "%u", address->db);
	command_adds(&command, "SELECT");
	command_adds(&command, number);
	return enter(connection, &command, address, deadline_us, e);
}

int connection_ping(struct connection *connection, const struct address *address,
                    int64_t deadline_us, struct error *e)
{
	struct command command = {0};

	command_adds(&command, "PING");
	return enter(connection, &command, address, deadline_us, e);
}

bool connection_alive(struct connection *connection)
{
	ssize_t n = transport_peek(&connection->transport);

	return n == -EAGAIN || (n > 0 && connection->owed);
}

static void cleanup_connection(struct connection **connection)
{
	connection_close(*connection);
}

int connection_open(const struct address *address, const struct endpoint *endpoint,
                    int64_t deadline_us, struct connection **ret, struct error *e)
{
	_cleanup_(cleanup_connection) struct connection *connection =
	        calloc(1, sizeof(*connection));
	int r;

	if (!connection)
		return error_set(e, ENOMEM, "out of memory");
	connection->transport.fd = -1;
	connection->reply_max = REPLY_MAX;
	connection->reader = redisReaderCreate();
	if (!connection->reader)
		return error_set(e, ENOMEM, "out of memory");
	r = transport_open(&connection->transport, address, endpoint, deadline_us, e);
	if (!r)
		r = authenticate(connection, address, deadline_us, e);
	if (!r)
		r = select_db(connection, address, deadline_us, e);
	if (r)
		return r;
	*ret = connection;
	connection = NULL;
	return 0;
}

/* connection_open() and a PING. */
static int reach(const struct address *address, const struct endpoint *endpoint,
                 int64_t deadline_us, struct connection **ret, struct error *e)
{
	_cleanup_(cleanup_connection) struct connection *connection = NULL;
	int r = connection_open(address, endpoint, deadline_us, &connection, e);

	if (!r)
		r = connection_ping(connection, address, deadline_us, e);
	if (r)
		return r;
	*ret = connection;
	connection = NULL;
	return 0;
}

/* A Redis that is offered TLS where it speaks none waits for more; one that is not offered any
 * where it wants that hangs up. */
static bool looks_mismatched(const struct address *address, int r)
{
	return address->tls ? r == -ETIMEDOUT || r == -EPROTO : r == -ECONNRESET;
}

int connection_reach(const struct address *address, int timeout_ms, struct connection **ret,
                     struct endpoint *ret_endpoint, struct error *e)
{
	struct endpoint endpoints[ADDRESS_ENDPOINTS];
	int n = address_resolve(address, endpoints, e), r = n < 0 ? n : -EHOSTUNREACH;
	int64_t timeout_us = timeout_ms * INT64_C(1000);

	for (int i = 0; i < n; i++) {
		r = reach(address, &endpoints[i], clock_monotonic_us() + timeout_us, ret, e);
		if (!r) {
			*ret_endpoint = endpoints[i];
			return 0;
		}
		if (looks_mismatched(address, r) && transport_mismatch(address, &endpoints[i], e))
			r = -EPROTO;
	}
	return r;
}
