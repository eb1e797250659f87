#include "call.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "rowfs/base/clock.h"
#include "rowfs/base/counters.h"
#include "rowfs/base/timings.h"

static const char *const script_text[SCRIPT_COUNT] = {
        /* KEYS[1], ARGV: the lease, its life, a value that it may replace, how those begin that it
           may not. What is no string is garbage, which any lease may replace, and so is a lease
           that has no end, unless it is the pinner's. A copy that counts and has no end is pinned,
           and stays also for who has no use for it. */
        [SCRIPT_LEASE] =
                "local key = KEYS[1] " LUA_GET
                "local garbage = type(v) == 'table' "
                "if type(v) == 'string' and string.sub(v, 1, 2) == '" LEASE_MARK "' then "
                "if string.sub(v, 1, 4) == '" LEASE_PIN_MARK "' or redis.call('PTTL', key) >= 0 then "
                "return false end "
                "garbage = true "
                "elseif type(v) == 'string' and v ~= ARGV[3] and "
                "string.sub(v, 1, #ARGV[4]) == ARGV[4] then return false "
                "elseif ARGV[4] ~= '' and v == ARGV[3] and string.sub(v, 1, #ARGV[4]) == ARGV[4] and "
                "redis.call('PTTL', key) == -1 then return false end "
                "local set = redis.call('SET', key, ARGV[1], 'PX', ARGV[2]) "
                "return garbage and redis.status_reply('GARBAGE') or set",
        /* KEYS[1] and the lease on its relation, which ends by it; ARGV: the lease, the value, how long after the
         * lease it may be used, the lease's life. The lease stood before the row was read, so its age by Redis' own
         * clock is at least the copy's, however long the fill was on its way. One that comes too late, or is none,
         * ends the lease. */
        [SCRIPT_FILL] = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return false end "
                        "local life = ARGV[3] - (ARGV[4] - redis.call('PTTL', KEYS[1])) "
                        "if life <= 0 then redis.call('UNLINK', KEYS[1]) return false end "
                        "redis.call('UNLINK', KEYS[2]) "
                        "return redis.call('SET', KEYS[1], ARGV[2], 'PX', life)",
};

void cache_key(const struct cache *cache, const char *name, char ret[KEY_MAX])
{
	memcpy(ret, cache->prefix, cache->prefix_len);
	strcpy(ret + cache->prefix_len, name);
}

void cache_channel(const struct cache *cache, char ret[KEY_MAX])
{
	unsigned db = cache->pool.address.db;
	char name[16] = "ch";

	if (db)
		snprintf(name, sizeof(name), "ch%u", db);
	cache_key(cache, name, ret);
}

int call_hash_scripts(struct cache *cache, struct error *e)
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

/* A fill that was stored says OK, one that lost its lease nil, a drop a number. */
void call_owed(void *arg, const redisReply *reply)
{
	struct cache *cache = arg;

	if (reply->type == REDIS_REPLY_STATUS)
		count(cache_fills);
	if (reply->type != REDIS_REPLY_ERROR)
		return;
	count(cache_errors);
	pool_note(&cache->pool, reply->str);
}

bool call_begin(struct call *call, struct cache *cache, const char *key, size_t key_len)
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

void call_end(struct call *call, int r)
{
	pool_put(&call->cache->pool, call->connection, r);
	buf_done(&call->key);
}

void call_add_key(struct call *call, struct command *command)
{
	command_add(command, call->key.data, call->key.len);
}

int call_ask(struct call *call, const struct command *command, redisReply **ret)
{
	struct connection *connection = call->connection;
	int64_t began_ns = timing_now_ns();
	int r = connection_send(connection, command, call->deadline_us);

	if (!r)
		r = connection_settle(connection, 1, call->deadline_us, call_owed, call->cache);
	if (!r)
		r = connection_reply(connection, call->deadline_us, ret);
	timing_add(TIMING_REDIS, began_ns);
	return r;
}

/* A script goes whole the first time on a connection, by its hash after that; a Redis that restarts
 * and forgets it has ended the connection too. */
void call_add_script(struct call *call, struct command *command, enum script script, const char *second)
{
	bool known = call->connection->scripts & (1u << script);

	command_adds(command, known ? "EVALSHA" : "EVAL");
	command_adds(command, known ? call->cache->script_sha[script] : script_text[script]);
	command_adds(command, second ? "2" : "1");
	call_add_key(call, command);
	if (second)
		command_adds(command, second);
	call->connection->scripts |= 1u << script;
}

void call_note_error(struct call *call, const redisReply *reply)
{
	count(cache_errors);
	pool_note(&call->cache->pool, reply->str);
}

static bool is_lease(const redisReply *reply)
{
	return reply->len >= strlen(LEASE_MARK) &&
	       memcmp(reply->str, LEASE_MARK, strlen(LEASE_MARK)) == 0;
}

enum cache_answer call_judge(const redisReply *reply, struct buf *ret)
{
	if (reply->type == REDIS_REPLY_NIL)
		return CACHE_MISS;
	if (reply->type != REDIS_REPLY_STRING)
		return CACHE_DOWN;
	if (is_lease(reply))
		return CACHE_BUSY;
	buf_reset(ret);
	buf_add(ret, reply->str, reply->len);
	return ret->failed ? CACHE_DOWN : CACHE_HIT;
}
