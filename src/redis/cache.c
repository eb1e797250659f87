/* cache.h on one Redis: rows, leases, fills. What Redis says of the feed is read by proof.c; the
 * connections and the breaker are pool.c's. */
#include "rowfs/engine/cache.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "call.h"
#include "rowfs/base/counters.h"
#include "rowfs/base/switches.h"
#include "rowfs/engine/pinner.h"

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
		r = call_hash_scripts(cache, e);
	if (r)
		return r;
	cache->configured = address.kind != ADDRESS_NONE;
	pool_init(&cache->pool, &address, call_owed, cache);
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

uint64_t cache_breaks(struct cache *cache)
{
	return cache->configured ? atomic_load(&cache->pool.breaks) : 0;
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

static int send_unlink(struct call *call)
{
	struct command command = {0};

	command_adds(&command, "UNLINK");
	call_add_key(call, &command);
	return connection_send(call->connection, &command, call->deadline_us);
}

/* What a reply to GET means. *ret_drop: the key holds what no row copy can be, and must go. */
static enum cache_answer judge(struct call *call, const redisReply *reply, struct buf *ret,
                               bool *ret_drop)
{
	*ret_drop = reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "WRONGTYPE", 9) == 0;
	if (*ret_drop) {
		count(cache_garbage);
		return CACHE_MISS;
	}
	if (reply->type == REDIS_REPLY_ERROR)
		call_note_error(call, reply);
	return call_judge(reply, ret);
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
	call_add_key(&call, &command);
	r = call_ask(&call, &command, &reply);
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

/* SET … NX: the plain lease, on an absent key. */
static int lease_absent(struct call *call, const char *token, const char *px, redisReply **ret)
{
	struct command command = {0};

	command_adds(&command, "SET");
	call_add_key(call, &command);
	command_adds(&command, token);
	command_adds(&command, "NX");
	command_adds(&command, "PX");
	command_adds(&command, px);
	return call_ask(call, &command, ret);
}

/* The lease, also in place of what it may replace. Without `replace`, only this very lease would
 * be; without `valid`, all values begin as those that stay. */
static int lease_replacing(struct call *call, const struct buf *replace, const char *valid,
                           const char *token, const char *px, redisReply **ret)
{
	for (;;) {
		bool by_hash = call->connection->scripts & (1u << SCRIPT_LEASE);
		_cleanup_reply_ redisReply *reply = NULL;
		struct command command = {0};
		int r;

		call_add_script(call, &command, SCRIPT_LEASE, NULL);
		command_adds(&command, token);
		command_adds(&command, px);
		if (replace)
			command_add(&command, replace->data ? replace->data : "", replace->len);
		else
			command_adds(&command, token);
		command_adds(&command, valid ? valid : "");
		r = call_ask(call, &command, &reply);
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

/* Is the lease ours? The script also tells what it found there. */
static bool lease_taken(struct call *call, const redisReply *reply)
{
	if (reply->type == REDIS_REPLY_ERROR)
		call_note_error(call, reply);
	if (reply->type != REDIS_REPLY_STATUS)
		return false;
	if (strcmp(reply->str, "GARBAGE") == 0)
		count(cache_garbage);
	return true;
}

bool cache_lease(struct cache *cache, const char *key, size_t key_len, const struct buf *replace,
                 const char *valid, char ret_token[CACHE_TOKEN_SIZE])
{
	_cleanup_reply_ redisReply *reply = NULL;
	char token[CACHE_TOKEN_SIZE], px[16];
	struct call call;
	bool taken;
	int r;

	if (!make_token(token) || !call_begin(&call, cache, key, key_len))
		return false;
	snprintf(px, sizeof(px), "%d", CACHE_LEASE_MS);
	r = replace || valid ? lease_replacing(&call, replace, valid, token, px, &reply)
	                     : lease_absent(&call, token, px, &reply);
	taken = !r && lease_taken(&call, reply);
	call_end(&call, r);
	if (taken)
		memcpy(ret_token, token, sizeof(token));
	return taken;
}

/* Sent, with what the script has beside the keys: the lease, the value, how long it may be used, the lease's life. */
static void send_fill(struct call *call, uint32_t relation, const char *token, const void *value, size_t len, int64_t px)
{
	char life[32], lease[16], name[16], whole[KEY_MAX];
	struct command command = {0};

	snprintf(life, sizeof(life), "%lld", (long long)px);
	snprintf(lease, sizeof(lease), "%d", CACHE_LEASE_MS);
	if (SWITCHED_OFF("lease")) {
		command_adds(&command, "SET");
		call_add_key(call, &command);
		command_add(&command, value, len);
		command_adds(&command, "PX");
		command_adds(&command, life);
	} else {
		snprintf(name, sizeof(name), PINNER_RELATION_LEASE, relation);
		cache_key(call->cache, name, whole);
		call_add_script(call, &command, SCRIPT_FILL, whole);
		command_adds(&command, token);
		command_add(&command, value, len);
		command_adds(&command, life);
		command_adds(&command, lease);
	}
	call_end(call, connection_send(call->connection, &command, call->deadline_us));
}

void cache_fill(struct cache *cache, uint32_t relation, const char *key, size_t key_len, const char *token,
                const void *value, size_t len, int64_t px)
{
	struct call call;

	if (px > 0 && len <= CACHE_VALUE_MAX && call_begin(&call, cache, key, key_len))
		send_fill(&call, relation, token, value, len, px);
}

void cache_release(struct cache *cache, const char *key, size_t key_len, const char *token)
{
	struct call call;

	if (!SWITCHED_OFF("lease") && call_begin(&call, cache, key, key_len))
		send_fill(&call, 0, token, "", 0, 0);
}

void cache_put(struct cache *cache, const char *key, const void *value, size_t len, int64_t px)
{
	struct command command = {0};
	struct call call;
	char life[32];

	if (len > CACHE_VALUE_MAX || !call_begin(&call, cache, key, strlen(key)))
		return;
	snprintf(life, sizeof(life), "%lld", (long long)px);
	/* EVAL, since the reply of a SET would be counted as a fill. */
	command_adds(&command, "EVAL");
	command_adds(&command, "redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) return 1");
	command_adds(&command, "1");
	call_add_key(&call, &command);
	command_add(&command, value, len);
	command_adds(&command, life);
	call_end(&call, connection_send(call.connection, &command, call.deadline_us));
}

int64_t cache_life_ms(struct cache *cache, const char *key, size_t key_len)
{
	_cleanup_reply_ redisReply *reply = NULL;
	struct command command = {0};
	int64_t ms = -1;
	struct call call;
	int r;

	if (!call_begin(&call, cache, key, key_len))
		return -1;
	command_adds(&command, "PTTL");
	call_add_key(&call, &command);
	r = call_ask(&call, &command, &reply);
	if (!r && reply->type == REDIS_REPLY_INTEGER)
		ms = reply->integer;
	call_end(&call, r);
	return ms;
}

void cache_drop(struct cache *cache, const char *key, size_t key_len)
{
	struct call call;

	if (call_begin(&call, cache, key, key_len))
		call_end(&call, send_unlink(&call));
}
