/* cache.h on one Redis: keys, leases, fills. The connections and the breaker are pool.c's. */
#include "rowfs/engine/cache.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include <openssl/evp.h>

#include "pool.h"
#include "rowfs/base/clock.h"
#include "rowfs/base/counters.h"

/* What marks a value as a lease: no row copy begins so (see copy_print in the engine). */
#define LEASE_MARK "L:"

enum { PREFIX_MAX = 256 };

/* Scripts, since only Redis itself can compare and set in one step. */
enum script { SCRIPT_REPLACE, SCRIPT_FILL, SCRIPT_COUNT };

static const char *const script_text[SCRIPT_COUNT] = {
        /* KEYS[1], ARGV: the lease, the bad value it may replace, its life */
        [SCRIPT_REPLACE] = "local v = redis.call('GET', KEYS[1]) "
                           "if v and v ~= ARGV[2] then return false end "
                           "return redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])",
        /* KEYS[1], ARGV: the lease, the value, how long after the lease it may be used, the lease's life. The
         * lease stood before the row was read, so its age by Redis' own clock is at least the copy's, however
         * long the fill was on its way. */
        [SCRIPT_FILL] = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return false end "
                        "local life = ARGV[3] - (ARGV[4] - redis.call('PTTL', KEYS[1])) "
                        "if life <= 0 then return false end "
                        "return redis.call('SET', KEYS[1], ARGV[2], 'PX', life)",
};

struct cache {
	bool configured;
	struct pool pool;
	char prefix[PREFIX_MAX]; /* of every key: "rf:{<identity>}<namespace>:" */
	size_t prefix_len;
	char script_sha[SCRIPT_COUNT][41];
};

/* A reply to a fill or a drop. A fill that was stored says OK, one that lost its lease nil, a drop
 * a number. */
static void owed(void *arg, const redisReply *reply)
{
	struct cache *cache = arg;

	if (reply->type == REDIS_REPLY_STATUS)
		count(cache_fills);
	if (reply->type != REDIS_REPLY_ERROR)
		return;
	count(cache_errors);
	pool_note(&cache->pool, reply->str);
}

static int hash_scripts(struct cache *cache, struct error *e)
{
	for (int i = 0; i < SCRIPT_COUNT; i++) {
		unsigned char digest[EVP_MAX_MD_SIZE];
		unsigned len;

		if (!EVP_Digest(script_text[i], strlen(script_text[i]), digest, &len, EVP_sha1(),
		                NULL))
			return error_set(e, EIO,
			                 "OpenSSL offers no SHA-1, by which Redis names scripts");
		for (unsigned j = 0; j < len; j++)
			sprintf(cache->script_sha[i] + 2 * j, "%02x", digest[j]);
	}
	return 0;
}

static int make_prefix(struct cache *cache, const struct settings *settings, const char *identity,
                       struct error *e)
{
	const char *name_space = settings->name_space ? settings->name_space : "";
	int len =
	        snprintf(cache->prefix, sizeof(cache->prefix), "rf:{%s}%s:", identity, name_space);

	if (len >= (int)sizeof(cache->prefix))
		return error_set(e, EINVAL, "namespace= is too long: at most 128 bytes");
	cache->prefix_len = (size_t)len;
	return 0;
}

static int cache_new(const struct settings *settings, const char *identity, struct cache **ret,
                     struct error *e)
{
	_cleanup_address_ struct address address = {0};
	_cleanup_free_ struct cache *cache = calloc(1, sizeof(*cache));
	int r;

	if (!cache)
		return error_set(e, ENOMEM, "out of memory");
	r = address_parse(settings, &address, e);
	if (!r)
		r = make_prefix(cache, settings, identity, e);
	if (!r)
		r = hash_scripts(cache, e);
	if (r)
		return r;
	cache->configured = address.kind != ADDRESS_NONE;
	pool_init(&cache->pool, &address, owed, cache);
	*ret = cache;
	cache = NULL;
	return 0;
}

int cache_open(const struct settings *settings, const char *identity, struct cache **ret,
               struct error *e)
{
	struct cache *cache;
	int r;

	if (e)
		*e = (struct error){0};
	r = cache_new(settings, identity, &cache, e);
	if (r)
		return r;
	/* Down is no failure here, and `e` says it. A refused password is one: waiting will not
	 * cure it. */
	if (cache->configured && pool_probe(&cache->pool, e) == -EACCES) {
		cache_close(cache);
		return -EACCES;
	}
	*ret = cache;
	return 0;
}

void cache_close(struct cache *cache)
{
	if (!cache)
		return;
	pool_done(&cache->pool);
	free(cache);
}

int cache_probe(struct cache *cache, struct error *e)
{
	return cache->configured ? pool_probe(&cache->pool, e) : 0;
}

void cache_status(struct cache *cache, struct cache_status *ret)
{
	struct cache_status status = {.configured = cache->configured};

	pthread_mutex_lock(&cache->pool.lock);
	status.reachable = !cache->pool.open;
	memcpy(status.last_error, cache->pool.last_error, sizeof(status.last_error));
	pthread_mutex_unlock(&cache->pool.lock);
	memcpy(status.address, cache->pool.address.label, sizeof(status.address));
	*ret = status;
}

/* One command on its way: whose connection, until when, and the full key. */
struct call {
	struct cache *cache;
	struct connection *connection;
	int64_t deadline_us;
	struct buf key;
};

/* Begin; false if there is no Redis for it now, and then nothing needs to be ended. */
static bool call_begin(struct call *call, struct cache *cache, const char *key, size_t key_len)
{
	*call = (struct call){.cache = cache,
	                      .deadline_us = clock_monotonic_us() + CACHE_TIMEOUT_MS * 1000};
	if (!cache->configured)
		return false;
	buf_add(&call->key, cache->prefix, cache->prefix_len);
	buf_add(&call->key, key, key_len);
	if (!call->key.failed)
		call->connection = pool_take(&cache->pool, call->deadline_us);
	if (!call->connection)
		buf_done(&call->key);
	return call->connection;
}

static void call_end(struct call *call, int r)
{
	pool_put(&call->cache->pool, call->connection, r);
	buf_done(&call->key);
}

static void add_key(struct call *call, struct command *command)
{
	command_add(command, call->key.data, call->key.len);
}

/* Send, skip what earlier commands are owed, and wait for this one's reply. */
static int ask(struct call *call, const struct command *command, redisReply **ret)
{
	struct connection *connection = call->connection;
	int r = connection_send(connection, command, call->deadline_us);

	if (!r)
		r = connection_settle(connection, 1, call->deadline_us, owed, call->cache);
	if (!r)
		r = connection_reply(connection, call->deadline_us, ret);
	return r;
}

static void note_error(struct call *call, const redisReply *reply)
{
	count(cache_errors);
	pool_note(&call->cache->pool, reply->str);
}

static int send_unlink(struct call *call)
{
	struct command command = {0};

	command_adds(&command, "UNLINK");
	add_key(call, &command);
	return connection_send(call->connection, &command, call->deadline_us);
}

static bool is_lease(const redisReply *reply)
{
	return reply->len >= strlen(LEASE_MARK) &&
	       memcmp(reply->str, LEASE_MARK, strlen(LEASE_MARK)) == 0;
}

/* What a reply to GET means. *ret_drop: the key holds what no row copy can be, and must go. */
static enum cache_answer judge(struct call *call, const redisReply *reply, struct buf *ret,
                               bool *ret_drop)
{
	*ret_drop = false;
	if (reply->type == REDIS_REPLY_NIL)
		return CACHE_MISS;
	if (reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "WRONGTYPE", 9) == 0) {
		count(cache_garbage);
		*ret_drop = true;
		return CACHE_MISS;
	}
	if (reply->type != REDIS_REPLY_STRING) {
		if (reply->type == REDIS_REPLY_ERROR)
			note_error(call, reply);
		return CACHE_DOWN;
	}
	if (is_lease(reply))
		return CACHE_BUSY;
	buf_reset(ret);
	buf_add(ret, reply->str, reply->len);
	return ret->failed ? CACHE_DOWN : CACHE_HIT;
}

enum cache_answer cache_get(struct cache *cache, const char *key, size_t key_len, struct buf *ret)
{
	_cleanup_reply_ redisReply *reply = NULL;
	struct command command = {0};
	enum cache_answer answer = CACHE_DOWN;
	struct call call;
	bool drop = false;
	int r;

	if (!call_begin(&call, cache, key, key_len))
		return cache->configured ? CACHE_DOWN : CACHE_MISS;
	command_adds(&command, "GET");
	add_key(&call, &command);
	r = ask(&call, &command, &reply);
	if (!r)
		answer = judge(&call, reply, ret, &drop);
	if (drop)
		r = send_unlink(&call);
	call_end(&call, r);
	if (r == -EMSGSIZE) {
		/* Nothing that rowfs stores is that large. */
		count(cache_garbage);
		cache_drop(cache, key, key_len);
		return CACHE_MISS;
	}
	return answer;
}

static bool make_token(char ret[CACHE_TOKEN_SIZE])
{
	unsigned char random[16];
	char *out = ret + strlen(LEASE_MARK);

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return false;
	strcpy(ret, LEASE_MARK);
	for (size_t i = 0; i < sizeof(random); i++, out += 2)
		sprintf(out, "%02x", random[i]);
	return true;
}

/* A script goes whole the first time on a connection, by its hash after that; a Redis that restarts
 * and forgets it has ended the connection too. */
static void begin_script(struct call *call, struct command *command, enum script script)
{
	bool known = call->connection->scripts & (1u << script);

	command_adds(command, known ? "EVALSHA" : "EVAL");
	command_adds(command, known ? call->cache->script_sha[script] : script_text[script]);
	command_adds(command, "1");
	add_key(call, command);
	call->connection->scripts |= 1u << script;
}

/* SET … NX: the plain lease, on an absent key. */
static int lease_absent(struct call *call, const char *token, const char *px, redisReply **ret)
{
	struct command command = {0};

	command_adds(&command, "SET");
	add_key(call, &command);
	command_adds(&command, token);
	command_adds(&command, "NX");
	command_adds(&command, "PX");
	command_adds(&command, px);
	return ask(call, &command, ret);
}

/* The lease in place of a bad value, if that is still there. */
static int lease_replacing(struct call *call, const struct buf *bad, const char *token,
                           const char *px, redisReply **ret)
{
	for (;;) {
		bool by_hash = call->connection->scripts & (1u << SCRIPT_REPLACE);
		_cleanup_reply_ redisReply *reply = NULL;
		struct command command = {0};
		int r;

		begin_script(call, &command, SCRIPT_REPLACE);
		command_adds(&command, token);
		command_add(&command, bad->data ? bad->data : "", bad->len);
		command_adds(&command, px);
		r = ask(call, &command, &reply);
		if (r)
			return r;
		/* By its hash, and Redis has forgotten it: once more, whole. */
		if (by_hash && !call->connection->scripts)
			continue;
		*ret = reply;
		reply = NULL;
		return 0;
	}
}

bool cache_lease(struct cache *cache, const char *key, size_t key_len, const struct buf *replace,
                 char ret_token[CACHE_TOKEN_SIZE])
{
	_cleanup_reply_ redisReply *reply = NULL;
	char token[CACHE_TOKEN_SIZE], px[16];
	struct call call;
	bool taken = false;
	int r;

	if (!make_token(token) || !call_begin(&call, cache, key, key_len))
		return false;
	snprintf(px, sizeof(px), "%d", CACHE_LEASE_MS);
	r = replace ? lease_replacing(&call, replace, token, px, &reply)
	            : lease_absent(&call, token, px, &reply);
	if (!r && reply->type == REDIS_REPLY_ERROR)
		note_error(&call, reply);
	if (!r)
		taken = reply->type == REDIS_REPLY_STATUS;
	call_end(&call, r);
	if (taken)
		memcpy(ret_token, token, sizeof(token));
	return taken;
}

void cache_fill(struct cache *cache, const char *key, size_t key_len, const char *token,
                const void *value, size_t len, int64_t px)
{
	struct command command = {0};
	struct call call;
	char life[32], lease[16];

	if (px <= 0 || len > CACHE_VALUE_MAX || !call_begin(&call, cache, key, key_len))
		return;
	snprintf(life, sizeof(life), "%lld", (long long)px);
	snprintf(lease, sizeof(lease), "%d", CACHE_LEASE_MS);
	begin_script(&call, &command, SCRIPT_FILL);
	command_adds(&command, token);
	command_add(&command, value, len);
	command_adds(&command, life);
	command_adds(&command, lease);
	call_end(&call, connection_send(call.connection, &command, call.deadline_us));
}

void cache_drop(struct cache *cache, const char *key, size_t key_len)
{
	struct call call;

	if (call_begin(&call, cache, key, key_len))
		call_end(&call, send_unlink(&call));
}
