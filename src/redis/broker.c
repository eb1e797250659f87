/* The worker's side of broker.h: one connection, every reply awaited. The first failure closes it,
 * since a reply that comes later would be taken for the next command's; after that every call
 * fails, until the worker opens another broker and begins an epoch with it. */
#include "rowfs/engine/broker.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "call.h"
#include "proof.h"
#include "rowfs/base/clock.h"
#include "sweep.h"

struct broker {
	const struct cache *cache;     /* its address and prefix, which never change */
	struct connection *connection; /* NULL after a failure */
};

/* KEYS: id; ARGV: the new name. One that no broker made is replaced, and of two workers who find
 * the same both get the same. */
static const char script_id[] =
        "local key = KEYS[1] " LUA_GET
        "if type(v) == 'string' and #v < 40 and string.find(v, '^%x+$') then return v end "
        "redis.call('SET', key, ARGV[1]) "
        "return ARGV[1]";

/* KEYS: hb, epoch; ARGV: the epoch. A script that has written goes on where memory is short, so
 * this works in a full Redis too. */
static const char script_begin_epoch[] = "redis.call('UNLINK', KEYS[1]) "
                                         "return redis.call('SET', KEYS[2], ARGV[1])";

/* KEYS: hb, epoch; ARGV: the epoch, the heartbeat, its deadline in milliseconds */
static const char script_beat[] =
        "local key = KEYS[2] " LUA_GET "if v ~= ARGV[1] then return 0 end "
        "local now = redis.call('TIME') "
        "if now[1] * 1000 + now[2] / 1000 < tonumber(ARGV[3]) then "
        "redis.call('SET', KEYS[1], ARGV[2], 'PXAT', ARGV[3]) end "
        "return 1";

int broker_open(struct cache *cache, struct broker **ret, struct error *e)
{
	_cleanup_free_ struct broker *broker = calloc(1, sizeof(*broker));
	struct endpoint endpoint;
	int r;

	if (!broker)
		return error_set(e, ENOMEM, "out of memory");
	if (!cache->configured)
		return error_set(e, EOPNOTSUPP, "redis=none");
	broker->cache = cache;
	r = connection_reach(&cache->pool.address, BROKER_TIMEOUT_MS, &broker->connection,
	                     &endpoint, e);
	if (r)
		return r;
	*ret = broker;
	broker = NULL;
	return 0;
}

void broker_close(struct broker *broker)
{
	if (!broker)
		return;
	connection_close(broker->connection);
	free(broker);
}

static const struct address *where(const struct broker *broker)
{
	return &broker->cache->pool.address;
}

static int closed(const struct broker *broker, struct error *e)
{
	return error_set(e, ENOTCONN, "Redis at %s: an earlier command has failed",
	                 where(broker)->label);
}

/* The end of every call: a failure is the last thing that happens on a connection. */
static int finish(struct broker *broker, int r)
{
	if (r < 0)
		broker->connection = connection_close(broker->connection);
	return r;
}

/* A reply of another type than the command has is not Redis speaking. */
static int misfit(struct broker *broker, struct error *e)
{
	return finish(broker, connection_error(where(broker), -EPROTO, 0, e));
}

/* One command and its reply, of which `type` is expected (an error or anything else is a failure).
 */
static int ask(struct broker *broker, const struct command *command, int type, redisReply **ret,
               struct error *e)
{
	int64_t deadline = clock_monotonic_us() + BROKER_TIMEOUT_MS * INT64_C(1000);
	_cleanup_reply_ redisReply *reply = NULL;
	int r;

	if (!broker->connection)
		return closed(broker, e);
	r = connection_send(broker->connection, command, deadline);
	if (!r)
		r = connection_reply(broker->connection, deadline, &reply);
	if (r)
		return finish(broker, connection_error(where(broker), r, BROKER_TIMEOUT_MS, e));
	if (reply->type == REDIS_REPLY_ERROR)
		return finish(broker, reply_error(reply, where(broker), e));
	if (reply->type != type)
		return misfit(broker, e);
	*ret = reply;
	reply = NULL;
	return 0;
}

/* Scripts go whole each time: a few in a second, and then none has to be known. */
static void add_script(struct command *command, const char *script, const char *keys)
{
	command_adds(command, "EVAL");
	command_adds(command, script);
	command_adds(command, keys);
}

static void make_id(char ret[BROKER_ID_SIZE])
{
	unsigned char random[16];

	/* So few bytes come whole, once the system has booted. */
	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		abort();
	for (size_t i = 0; i < sizeof(random); i++)
		sprintf(ret + 2 * i, "%02x", random[i]);
}

int broker_id(struct broker *broker, char ret[BROKER_ID_SIZE], struct error *e)
{
	_cleanup_reply_ redisReply *reply = NULL;
	struct command command = {0};
	char key[KEY_MAX], id[BROKER_ID_SIZE];
	int r;

	make_id(id);
	cache_key(broker->cache, "id", key);
	add_script(&command, script_id, "1");
	command_adds(&command, key);
	command_adds(&command, id);
	r = ask(broker, &command, REDIS_REPLY_STRING, &reply, e);
	if (r)
		return r;
	if (reply->len >= BROKER_ID_SIZE)
		return misfit(broker, e);
	memcpy(ret, reply->str, reply->len + 1);
	return 0;
}

int broker_time_us(struct broker *broker, int64_t *ret, struct error *e)
{
	_cleanup_reply_ redisReply *reply = NULL;
	struct command command = {0};
	int64_t us;
	int r;

	command_adds(&command, "TIME");
	r = ask(broker, &command, REDIS_REPLY_ARRAY, &reply, e);
	if (r)
		return r;
	us = time_of_reply(reply);
	if (us < 0)
		return misfit(broker, e);
	*ret = us;
	return 0;
}

/* --- Many keys ------------------------------------------------------------------------------- */

static int sweep(struct broker *broker, const struct sweep *sweep, size_t n, struct error *e)
{
	if (!broker->connection)
		return closed(broker, e);
	return finish(broker,
	              sweep_run(sweep, broker->connection, where(broker), n, BROKER_TIMEOUT_MS, e));
}

/* Keys that follow one another, each ended by its NUL. */
struct dropping {
	const struct buf *keys;
	size_t at;
};

static const char *next_key(void *arg)
{
	struct dropping *dropping = arg;
	const char *key = dropping->keys->data + dropping->at;

	assert(dropping->at < dropping->keys->len);
	dropping->at += strlen(key) + 1;
	return key;
}

/* How many there were is of no interest. */
static int expect_number(void *arg, const redisReply *reply)
{
	return reply->type == REDIS_REPLY_INTEGER ? 0 : -EPROTO;
}

int broker_drop(struct broker *broker, const struct buf *keys, size_t n, struct error *e)
{
	struct dropping dropping = {.keys = keys};
	struct sweep unlink = {.command = "UNLINK",
	                       .prefix = broker->cache->prefix,
	                       .next = next_key,
	                       .reply = expect_number,
	                       .arg = &dropping};

	return sweep(broker, &unlink, n, e);
}

/* The keys `t:<oid>` of relations, and how many of them were found. */
struct tables {
	const uint32_t *next;
	char key[16];
	size_t found;
};

static const char *next_table(void *arg)
{
	struct tables *tables = arg;

	snprintf(tables->key, sizeof(tables->key), "t:%" PRIu32, *tables->next++);
	return tables->key;
}

static int expect_ok(void *arg, const redisReply *reply)
{
	return reply->type == REDIS_REPLY_STATUS ? 0 : -EPROTO;
}

int broker_set_tables(struct broker *broker, const uint32_t *relations, size_t n, const char *epoch,
                      struct error *e)
{
	struct tables tables = {.next = relations};
	struct sweep set = {.command = epoch ? "MSET" : "UNLINK",
	                    .prefix = broker->cache->prefix,
	                    .value = epoch,
	                    .next = next_table,
	                    .reply = epoch ? expect_ok : expect_number,
	                    .arg = &tables};

	assert(!epoch || epoch_valid(epoch, strlen(epoch)));
	return sweep(broker, &set, n, e);
}

static int count_epochs(void *arg, const redisReply *reply)
{
	struct tables *tables = arg;
	char epoch[EPOCH_SIZE];

	if (reply->type != REDIS_REPLY_ARRAY)
		return -EPROTO;
	for (size_t i = 0; i < reply->elements; i++) {
		epoch_of_reply(reply->element[i], epoch);
		tables->found += *epoch != '\0';
	}
	return 0;
}

int broker_count_tables(struct broker *broker, const uint32_t *relations, size_t n, size_t *ret,
                        struct error *e)
{
	struct tables tables = {.next = relations};
	struct sweep get = {.command = "MGET",
	                    .prefix = broker->cache->prefix,
	                    .next = next_table,
	                    .reply = count_epochs,
	                    .arg = &tables};
	int r = sweep(broker, &get, n, e);

	if (!r)
		*ret = tables.found;
	return r;
}

/* --- The epoch, the heartbeat, messages ------------------------------------------------------ */

int broker_begin_epoch(struct broker *broker, const char *epoch, struct error *e)
{
	_cleanup_reply_ redisReply *reply = NULL;
	struct command command = {0};
	char heartbeat[KEY_MAX], key[KEY_MAX];

	assert(epoch_valid(epoch, strlen(epoch)));
	cache_key(broker->cache, "hb", heartbeat);
	cache_key(broker->cache, "epoch", key);
	add_script(&command, script_begin_epoch, "2");
	command_adds(&command, heartbeat);
	command_adds(&command, key);
	command_adds(&command, epoch);
	return ask(broker, &command, REDIS_REPLY_STATUS, &reply, e);
}

int broker_beat(struct broker *broker, const char *epoch, uint64_t number, int64_t deadline_us,
                struct error *e)
{
	_cleanup_reply_ redisReply *reply = NULL;
	struct command command = {0};
	char heartbeat[KEY_MAX], key[KEY_MAX], value[EPOCH_SIZE + 32], deadline_ms[32];
	int r;

	assert(epoch_valid(epoch, strlen(epoch)));
	cache_key(broker->cache, "hb", heartbeat);
	cache_key(broker->cache, "epoch", key);
	snprintf(value, sizeof(value), "%s:%" PRIu64, epoch, number);
	/* Redis keeps a key to the end of its last millisecond, so that must be over by then. */
	snprintf(deadline_ms, sizeof(deadline_ms), "%" PRId64, deadline_us / 1000 - 1);
	add_script(&command, script_beat, "2");
	command_adds(&command, heartbeat);
	command_adds(&command, key);
	command_adds(&command, epoch);
	command_adds(&command, value);
	command_adds(&command, deadline_ms);
	r = ask(broker, &command, REDIS_REPLY_INTEGER, &reply, e);
	return r ? r : reply->integer == 1;
}

int broker_publish(struct broker *broker, const struct buf *message, struct error *e)
{
	_cleanup_reply_ redisReply *reply = NULL;
	struct command command = {0};
	char channel[KEY_MAX];

	if (message->len > BROKER_MESSAGE_MAX)
		return finish(broker, connection_error(where(broker), -EMSGSIZE, 0, e));
	cache_channel(broker->cache, channel);
	command_adds(&command, "PUBLISH");
	command_adds(&command, channel);
	command_add(&command, message->data ? message->data : "", message->len);
	return ask(broker, &command, REDIS_REPLY_INTEGER, &reply, e);
}

int broker_note(struct broker *broker, const struct buf *note, int64_t life_ms, struct error *e)
{
	_cleanup_reply_ redisReply *reply = NULL;
	struct command command = {0};
	char key[KEY_MAX], life[32];

	cache_key(broker->cache, "worker", key);
	snprintf(life, sizeof(life), "%" PRId64, life_ms);
	command_adds(&command, "SET");
	command_adds(&command, key);
	command_add(&command, note->data ? note->data : "", note->len);
	command_adds(&command, "PX");
	command_adds(&command, life);
	return ask(broker, &command, REDIS_REPLY_STATUS, &reply, e);
}
