/* A cache from inside, and one command of it on its way to Redis.
 *
 *   call_begin ── a connection from the pool, a deadline, the full key
 *   call_ask   ── one command, its reply awaited
 *   call_end   ── the connection goes back, or is closed and the breaker opens
 *
 * cache.c does this for rows, proof.c for what Redis says of the feed. */
#pragma once

#include "pool.h"
#include "rowfs/base/buf.h"
#include "rowfs/engine/cache.h"

/* KEY_MAX: of the keys that no row has. */
enum { PREFIX_MAX = 256, KEY_MAX = PREFIX_MAX + 32 };

/* Scripts, since only Redis itself can compare and set in one step. */
enum script { SCRIPT_LEASE, SCRIPT_FILL, SCRIPT_COUNT };

/* Lua that gets `key` into `v`: false if it is absent, a table if it holds no string. What else
 * fails, fails the script: it must not look like a key that may be overwritten. */
#define LUA_GET                                                                                    \
	"local v = redis.pcall('GET', key) "                                                       \
	"if type(v) == 'table' and not string.find(v.err, 'WRONGTYPE', 1, true) then return v "    \
	"end "

struct cache {
	bool configured;
	struct pool pool;
	char prefix[PREFIX_MAX]; /* of every key: "rf:{<identity>}<namespace>:" */
	size_t prefix_len;
	char script_sha[SCRIPT_COUNT][41];
};

/* One of the keys beside the rows, "epoch" or "t:16385". */
void cache_key(const struct cache *cache, const char *name, char ret[KEY_MAX]);

/* The channel of the feed. Redis' channels are shared by all its databases, so any but the first is
 * part of the name: "ch", "ch3". */
void cache_channel(const struct cache *cache, char ret[KEY_MAX]);

/* Name the scripts as Redis does. */
int call_hash_scripts(struct cache *cache, struct error *e) _must_check_;

/* The pool's owed_fn: a reply to a fill or a drop. */
void call_owed(void *cache, const redisReply *reply);

/* Whose connection, until when, and the full key. */
struct call {
	struct cache *cache;
	struct connection *connection;
	int64_t deadline_us;
	struct buf key;
};

/* Begin; false if there is no Redis for it now, and then nothing needs to be ended. */
bool call_begin(struct call *call, struct cache *cache, const char *key, size_t key_len);
void call_end(struct call *call, int r);

void call_add_key(struct call *call, struct command *command);

/* Send, skip what earlier commands are owed, and wait for this one's reply. */
int call_ask(struct call *call, const struct command *command, redisReply **ret) _must_check_;

/* Begin a command that runs a script on the key, and on a second one or NULL; its arguments are to be added. */
void call_add_script(struct call *call, struct command *command, enum script script, const char *second);

/* Count an error reply, and remember it for status. */
void call_note_error(struct call *call, const redisReply *reply);

/* What marks a value as a lease: no row copy begins so (see copy_print in the engine). */
#define LEASE_MARK "L:"

/* Of those that have no end, which only the pinner takes; its sweeps remove those that were left. */
#define LEASE_PIN_MARK "L:P:"

/* What the value of a row's key means: nil, or a string, which is then put into `ret`. */
enum cache_answer call_judge(const redisReply *reply, struct buf *ret);
