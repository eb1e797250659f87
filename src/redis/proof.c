#include "proof.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "call.h"
#include "rowfs/base/counters.h"

static const char digits[] = "0123456789";

/* The digits of a 64-bit number, at most. */
enum { NUMBER_MAX = 20 };

static bool only(const char *bytes, size_t len, const char *of)
{
	for (size_t i = 0; i < len; i++)
		if (!bytes[i] || !strchr(of, bytes[i]))
			return false;
	return true;
}

bool epoch_valid(const char *epoch, size_t len)
{
	return len > 0 && len < EPOCH_SIZE && only(epoch, len, "0123456789abcdefABCDEF/-");
}

void epoch_of_reply(const redisReply *reply, char ret[EPOCH_SIZE])
{
	bool valid = reply->type == REDIS_REPLY_STRING && epoch_valid(reply->str, reply->len);
	size_t len = valid ? reply->len : 0;

	memcpy(ret, valid ? reply->str : "", len);
	ret[len] = '\0';
}

/* Is it `epoch:number`? */
static bool is_heartbeat_of(const redisReply *reply, const char *epoch)
{
	size_t len = strlen(epoch);

	return reply->type == REDIS_REPLY_STRING && reply->len > len + 1 &&
	       reply->len <= len + 1 + NUMBER_MAX && memcmp(reply->str, epoch, len) == 0 &&
	       reply->str[len] == ':' && only(reply->str + len + 1, reply->len - len - 1, digits);
}

static int64_t number_of_reply(const redisReply *reply, int64_t max)
{
	int64_t value;

	/* Short enough for any int64_t. */
	if (reply->type != REDIS_REPLY_STRING || !reply->len || reply->len > 18 ||
	    !only(reply->str, reply->len, digits))
		return -1;
	value = strtoll(reply->str, NULL, 10);
	return value <= max ? value : -1;
}

int64_t time_of_reply(const redisReply *reply)
{
	int64_t seconds, us;

	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2)
		return -1;
	seconds = number_of_reply(reply->element[0], INT64_MAX / 2000000);
	us = number_of_reply(reply->element[1], 999999);
	return seconds < 0 || us < 0 ? -1 : seconds * 1000000 + us;
}

/* The order of the keys in the MGET. */
enum { READ_HEARTBEAT, READ_EPOCH, READ_TABLE, READ_ROW, READ_KEYS };

void proof_of_reply(const redisReply *reply, struct cache_proof *ret)
{
	epoch_of_reply(reply->element[READ_EPOCH], ret->epoch);
	epoch_of_reply(reply->element[READ_TABLE], ret->table);
	ret->alive = *ret->epoch && is_heartbeat_of(reply->element[READ_HEARTBEAT], ret->epoch);
	ret->fresh = ret->alive && *ret->table;
}

static enum cache_answer judge(struct call *call, const redisReply *reply, size_t keys,
                               struct cache_proof *ret_proof, struct buf *ret)
{
	if (reply->type == REDIS_REPLY_ERROR)
		call_note_error(call, reply);
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != keys)
		return CACHE_DOWN;
	proof_of_reply(reply, ret_proof);
	return keys == READ_KEYS ? call_judge(reply->element[READ_ROW], ret) : CACHE_MISS;
}

static int ask_read(struct call *call, uint32_t relation, bool row, redisReply **ret)
{
	char names[READ_ROW][KEY_MAX], table[16];
	struct command command = {0};

	snprintf(table, sizeof(table), "t:%" PRIu32, relation);
	cache_key(call->cache, "hb", names[READ_HEARTBEAT]);
	cache_key(call->cache, "epoch", names[READ_EPOCH]);
	cache_key(call->cache, table, names[READ_TABLE]);
	command_adds(&command, "MGET");
	for (int i = 0; i < READ_ROW; i++)
		command_adds(&command, names[i]);
	if (row)
		call_add_key(call, &command);
	return call_ask(call, &command, ret);
}

enum cache_answer cache_read(struct cache *cache, uint32_t relation, const char *key,
                             size_t key_len, struct cache_proof *ret_proof, struct buf *ret)
{
	_cleanup_reply_ redisReply *reply = NULL;
	size_t keys = key_len ? READ_KEYS : READ_ROW;
	enum cache_answer answer = CACHE_DOWN;
	struct cache_proof proof = {0};
	struct call call;
	int r;

	*ret_proof = proof;
	if (!call_begin(&call, cache, key, key_len))
		return cache->configured ? CACHE_DOWN : CACHE_MISS;
	r = ask_read(&call, relation, key_len > 0, &reply);
	if (!r)
		answer = judge(&call, reply, keys, &proof, ret);
	call_end(&call, r);
	if (r == -EMSGSIZE) {
		/* Nothing that rowfs stores is that large. Which of the keys it is cannot be told;
		 * those of the feed are the worker's, who soon writes them anew. */
		if (key_len) {
			count(cache_garbage);
			cache_drop(cache, key, key_len);
		}
		return CACHE_MISS;
	}
	if (answer != CACHE_DOWN)
		*ret_proof = proof;
	return answer;
}

int64_t cache_time_us(struct cache *cache)
{
	_cleanup_reply_ redisReply *reply = NULL;
	struct command command = {0};
	int64_t us = -1;
	struct call call;
	int r;

	if (!call_begin(&call, cache, "", 0))
		return -1;
	command_adds(&command, "TIME");
	r = call_ask(&call, &command, &reply);
	if (!r && reply->type == REDIS_REPLY_ERROR)
		call_note_error(&call, reply);
	if (!r)
		us = time_of_reply(reply);
	call_end(&call, r);
	return us;
}

bool cache_worker_note(struct cache *cache, struct buf *ret)
{
	static const char key[] = "worker";

	return cache_get(cache, key, strlen(key), ret) == CACHE_HIT;
}
