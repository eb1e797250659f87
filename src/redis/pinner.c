#include "pinner.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "call.h"
#include "proof.h"

/* KEYS; ARGV: the lease, how copies begin that count. What expires is replaced, so that what does not is always what a
 * worker has put there after it had found that the row is to be pinned. */
static const char script_lease[] =
        "local own, valid, out, set = ARGV[1], ARGV[2], {}, {} "
        "for i, key in ipairs(KEYS) do "
        "local found, v = 'L', redis.pcall('GETRANGE', key, 0, #valid - 1) "
        "if type(v) == 'table' and not string.find(v.err, 'WRONGTYPE', 1, true) then return v end "
        "if v == valid and redis.call('PTTL', key) == -1 then found = 'H' "
        "elseif type(v) == 'string' and string.sub(v, 1, 2) == '" LEASE_MARK "' then found = 'B' end "
        "out[i] = found "
        "if found == 'L' then set[#set + 1] = key set[#set + 1] = own end end "
        "if #set > 0 then redis.call('MSET', unpack(set)) end "
        "return table.concat(out)";

/* KEYS: the set of names, the lease on the relation, the rows; ARGV: the lease, what to do, where names begin in keys, the
 * values of those that are filled. A command over all keys costs a tenth of what one for each does. */
static const char script_settle[] =
        "local own, todo, at, set, filled, free, gone = ARGV[1], ARGV[2], 3, {}, 0, {}, {} "
        "local held = redis.call('MGET', unpack(KEYS, 3)) "
        "for i = 1, #held do local key, action = KEYS[i + 2], string.sub(todo, i, i) "
        "if action == 'S' then at = at + 1 end "
        "if held[i] == own then "
        "if action == 'S' then filled = filled + 2 set[filled - 1] = key set[filled] = ARGV[at] "
        "else free[#free + 1] = key "
        "if action == 'R' then gone[#gone + 1] = string.sub(key, ARGV[3]) end end end end "
        "if #free > 0 then redis.call('UNLINK', unpack(free)) end "
        "if #gone > 0 then redis.call('SREM', KEYS[1], unpack(gone)) end "
        "if filled > 0 then redis.call('UNLINK', KEYS[2]) redis.call('MSET', unpack(set)) end "
        "return filled / 2";

/* --- Pieces ----------------------------------------------------------------------------------- */

/* Some of the keys that are leased together. */
struct piece {
	size_t begin, end;
	const char *names; /* from the first on */
};

/* After `*piece`, which is zeroed before the first. False: there is none. */
static bool next_piece(const struct pinner_keys *keys, struct piece *piece)
{
	if (!piece->end)
		piece->names = keys->names->data;
	for (; piece->begin < piece->end; piece->begin++)
		piece->names += strlen(piece->names) + 1;
	piece->end = piece->begin + PINNER_PIECE < keys->n ? piece->begin + PINNER_PIECE : keys->n;
	return piece->begin < piece->end;
}

/* A script over the keys for which `actions` (NULL: all) has something, with others in front; its arguments are to be added. */
static void begin_script(struct pinner *pinner, const char *script, const struct piece *piece, const char *actions,
                         const char *const *first, size_t n_first, size_t arguments)
{
	const char *name = piece->names;
	size_t found = 0;
	char n[24];

	for (size_t i = piece->begin; i < piece->end; i++)
		found += !actions || actions[i] != PIN_NONE;
	found += n_first;
	pinner_begin(pinner, 3 + found + arguments);
	pinner_adds(pinner, "EVAL");
	pinner_adds(pinner, script);
	snprintf(n, sizeof(n), "%zu", found);
	pinner_adds(pinner, n);
	for (size_t i = 0; i < n_first; i++)
		pinner_add_key(pinner, first[i], strlen(first[i]));
	for (size_t i = piece->begin; i < piece->end; i++) {
		size_t len = strlen(name);

		if (!actions || actions[i] != PIN_NONE)
			pinner_add_key(pinner, name, len);
		name += len + 1;
	}
}

/* --- Opening ---------------------------------------------------------------------------------- */

int pinner_open(struct cache *cache, struct pinner **ret, struct error *e)
{
	struct pinner *pinner = calloc(1, sizeof(*pinner));
	struct endpoint endpoint;
	int r;

	if (!pinner)
		return error_set(e, ENOMEM, "out of memory");
	pinner->cache = cache;
	r = cache->configured ? connection_reach(&cache->pool.address, PINNER_TIMEOUT_MS, &pinner->connection,
	                                         &endpoint, e)
	                      : error_set(e, EOPNOTSUPP, "redis=none");
	if (r < 0) {
		free(pinner);
		return r;
	}
	*ret = pinner;
	return 0;
}

void pinner_close(struct pinner *pinner)
{
	if (!pinner)
		return;
	connection_close(pinner->connection);
	buf_done(&pinner->message);
	free(pinner);
}

uint64_t pinner_pinned(const struct pinner *pinner)
{
	return pinner->pinned;
}

/* --- Leases ----------------------------------------------------------------------------------- */

int pinner_make_token(char ret[CACHE_TOKEN_SIZE], struct error *e)
{
	unsigned char random[16];

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return error_set(e, EIO, "the system gives no random numbers");
	strcpy(ret, LEASE_PIN_MARK);
	for (size_t i = 0; i < sizeof(random); i++)
		sprintf(ret + strlen(LEASE_PIN_MARK) + 2 * i, "%02x", random[i]);
	return 0;
}

static void note_out(struct pinner *pinner, struct request request)
{
	assert(pinner->n_out < PINNER_WINDOW);
	pinner->out[pinner->n_out++] = request;
}

void pinner_set_key(uint32_t relation, char ret[PINNER_SET_KEY])
{
	snprintf(ret, PINNER_SET_KEY, "p:%" PRIu32, relation);
}

/* How long "r:<oid>:" is. */
static size_t row_prefix(uint32_t relation)
{
	return (size_t)snprintf(NULL, 0, "r:%" PRIu32 ":", relation);
}

void pinner_add_names(struct pinner *pinner, uint32_t relation, const char *names, size_t n)
{
	size_t prefix = row_prefix(relation);
	char set[PINNER_SET_KEY];

	pinner_set_key(relation, set);
	pinner_begin(pinner, 2 + n);
	pinner_adds(pinner, "SADD");
	pinner_add_key(pinner, set, strlen(set));
	for (size_t i = 0; i < n; i++) {
		pinner_adds(pinner, names + prefix);
		names += strlen(names) + 1;
	}
}

/* Mostly there is nothing yet; then a plain command does it. */
static void add_leases(struct pinner *pinner, const struct pinner_keys *keys, const struct piece *piece)
{
	const char *name = piece->names;

	pinner_begin(pinner, 1 + 2 * (piece->end - piece->begin));
	pinner_adds(pinner, "MSETNX");
	for (size_t i = piece->begin; i < piece->end; i++) {
		size_t len = strlen(name);

		pinner_add_key(pinner, name, len);
		pinner_adds(pinner, keys->token);
		name += len + 1;
	}
}

void pinner_add_epochs(struct pinner *pinner, uint32_t relation)
{
	char table[16];

	snprintf(table, sizeof(table), "t:%" PRIu32, relation);
	pinner_begin(pinner, 4);
	pinner_adds(pinner, "MGET");
	pinner_add_key(pinner, "hb", 2);
	pinner_add_key(pinner, "epoch", 5);
	pinner_add_key(pinner, table, strlen(table));
	pinner_add_info(pinner, "memory");
}

/* The epochs come first, so they are of before the lease. */
int pinner_lease(struct pinner *pinner, struct pinner_keys *keys, struct error *e)
{
	struct piece piece = {0};
	unsigned replies = PINNER_EPOCHS_REPLIES;
	int r = pinner_make_token(keys->token, e);

	if (r < 0)
		return r;
	assert(keys->n && keys->n <= PINNER_KEYS);
	pinner_add_epochs(pinner, keys->relation);
	/* Both or none: a lease whose name is not in the set would be found by no sweep. */
	for (; next_piece(keys, &piece); replies += PINNER_TRANSACTION_REPLIES) {
		pinner_add_word(pinner, "MULTI");
		pinner_add_names(pinner, keys->relation, piece.names, piece.end - piece.begin);
		add_leases(pinner, keys, &piece);
		pinner_add_word(pinner, "EXEC");
	}
	r = pinner_send(pinner, replies, e);
	if (r < 0)
		return r;
	note_out(pinner, (struct request){.kind = REQUEST_LEASE, .keys = keys->n, .sent_before = pinner->sent});
	pinner->sent += keys->n * PINNER_KEY_COST + 3 * keys->names->len;
	return 0;
}

static int read_piece(struct pinner *pinner, size_t i, struct error *e)
{
	_cleanup_reply_ redisReply *done = NULL;
	struct answer *answer = &pinner->answer;
	struct error failure = {0};
	int r = pinner_read_transaction(pinner, &done, &failure);

	if (r == -ENOSPC) {
		answer->full = failure;
		return 0;
	}
	if (r < 0) {
		*e = failure;
		return r;
	}
	if (!done || done->elements != 2 || done->element[1]->type != REDIS_REPLY_INTEGER)
		return pinner_fail(pinner, -EPROTO, e);
	answer->leased[i] = done->element[1]->integer == 1;
	return 0;
}

int pinner_read_epochs(struct pinner *pinner, struct cache_proof *ret, struct pinner_room *ret_room, struct error *e)
{
	_cleanup_reply_ redisReply *epochs = NULL;
	_cleanup_reply_ redisReply *info = NULL;
	int r = pinner_read_as(pinner, REDIS_REPLY_ARRAY, &epochs, e);

	if (r == 0 && epochs->elements != 3)
		r = pinner_fail(pinner, -EPROTO, e);
	if (r == 0)
		r = pinner_read_as(pinner, REDIS_REPLY_STRING, &info, e);
	if (r < 0)
		return r;
	proof_of_reply(epochs, ret);
	pinner_read_room(info->str, ret_room);
	return 0;
}

static int read_lease(struct pinner *pinner, const struct request *request, struct error *e)
{
	struct answer *answer = &pinner->answer;
	int r;

	assert(!answer->there);
	*answer = (struct answer){.there = true, .sent_before = request->sent_before};
	r = pinner_read_epochs(pinner, &answer->proof, &answer->room, e);
	for (size_t i = 0; r == 0 && i * PINNER_PIECE < request->keys; i++)
		r = read_piece(pinner, i, e);
	return r;
}

static int read_settled(struct pinner *pinner, const struct request *request, struct error *e)
{
	_cleanup_reply_ redisReply *reply = NULL;
	int r = pinner_read_as(pinner, REDIS_REPLY_INTEGER, &reply, e);

	if (r == -ENOSPC) {
		pinner->full = *e;
		return 0;
	}
	if (r < 0)
		return r;
	pinner->pinned += (uint64_t)reply->integer;
	pinner->leased -= request->keys;
	return 0;
}

/* The oldest that is out. */
static int read_next(struct pinner *pinner, struct error *e)
{
	struct request request = pinner->out[0];

	assert(pinner->n_out);
	memmove(pinner->out, pinner->out + 1, --pinner->n_out * sizeof(*pinner->out));
	return request.kind == REQUEST_LEASE ? read_lease(pinner, &request, e) : read_settled(pinner, &request, e);
}

static int read_all(struct pinner *pinner, struct error *e)
{
	int r = 0;

	while (r == 0 && pinner->n_out)
		r = read_next(pinner, e);
	return r;
}

/* What holds the keys of a piece, of which some are taken? What may be replaced, is. */
static int look_closer(struct pinner *pinner, const struct pinner_keys *keys, const struct piece *piece, char *ret_found,
                       struct error *e)
{
	_cleanup_reply_ redisReply *found = NULL;
	int r;

	begin_script(pinner, script_lease, piece, NULL, NULL, 0, 2);
	pinner_adds(pinner, keys->token);
	pinner_adds(pinner, keys->valid);
	r = pinner_send(pinner, 1, e);
	if (r == 0)
		r = read_all(pinner, e);
	if (r == 0)
		r = pinner_read_as(pinner, REDIS_REPLY_STRING, &found, e);
	if (r == 0 && found->len != piece->end - piece->begin)
		r = pinner_fail(pinner, -EPROTO, e);
	if (r == 0)
		memcpy(ret_found + piece->begin, found->str, found->len);
	return r;
}

static void note_leased(struct pinner *pinner, const char *found, const struct piece *piece)
{
	for (size_t i = piece->begin; i < piece->end; i++)
		pinner->leased += found[i] == PIN_LEASED;
}

int pinner_await(struct pinner *pinner, const struct pinner_keys *keys, struct cache_proof *ret_proof,
                 char *ret_found, struct error *e)
{
	struct piece piece = {0};
	bool leased[PINNER_PIECES];
	struct error full;
	int r = 0;

	while (r == 0 && !pinner->answer.there)
		r = read_next(pinner, e);
	if (r < 0)
		return r;
	pinner->answer.there = false;
	full = pinner->answer.full;
	memcpy(leased, pinner->answer.leased, sizeof(leased));
	*ret_proof = pinner->answer.proof;
	pinner_note_room(pinner, &pinner->answer.room, pinner->answer.sent_before);
	memset(ret_found, PIN_LEASED, keys->n);
	for (size_t i = 0; r == 0 && next_piece(keys, &piece); i++) {
		if (!leased[i] && !full.err)
			r = look_closer(pinner, keys, &piece, ret_found, e);
		if (r == 0 && (leased[i] || !full.err))
			note_leased(pinner, ret_found, &piece);
	}
	if (r == 0 && full.err) {
		*e = full;
		r = -ENOSPC;
	}
	return r;
}

int pinner_known(struct pinner *pinner, const struct pinner_keys *keys, bool *ret_known, struct error *e)
{
	_cleanup_reply_ redisReply *reply = NULL;
	const char *name = keys->names->data;
	size_t prefix = row_prefix(keys->relation);
	char set[PINNER_SET_KEY];
	int r;

	pinner_set_key(keys->relation, set);
	pinner_begin(pinner, 2 + keys->n);
	pinner_adds(pinner, "SMISMEMBER");
	pinner_add_key(pinner, set, strlen(set));
	for (size_t i = 0; i < keys->n; i++) {
		pinner_adds(pinner, name + prefix);
		name += strlen(name) + 1;
	}
	r = pinner_send(pinner, 1, e);
	if (r == 0)
		r = pinner_read_as(pinner, REDIS_REPLY_ARRAY, &reply, e);
	if (r == 0 && reply->elements != keys->n)
		r = pinner_fail(pinner, -EPROTO, e);
	for (size_t i = 0; r == 0 && i < keys->n; i++)
		ret_known[i] = reply->element[i]->type == REDIS_REPLY_INTEGER && reply->element[i]->integer == 1;
	return r;
}

/* --- Settling --------------------------------------------------------------------------------- */

static int settle(struct pinner *pinner, const struct pinner_keys *keys, const struct piece *piece, const char *actions,
                  const struct pin_value *values, const struct buf *bytes, struct error *e)
{
	_cleanup_buf_ struct buf todo = {0};
	char set[PINNER_SET_KEY], lease[PINNER_SET_KEY], from[24];
	size_t fills = 0;
	uint64_t filled = 0;
	int r = 0;

	for (size_t i = piece->begin; i < piece->end; i++) {
		fills += actions[i] == PIN_FILL;
		filled += actions[i] == PIN_FILL ? values[i].len : 0;
		if (actions[i] != PIN_NONE)
			buf_addc(&todo, actions[i]);
	}
	if (todo.failed)
		return error_set(e, ENOMEM, "out of memory");
	if (!todo.len)
		return 0;
	while (r == 0 && pinner->n_out >= PINNER_WINDOW - 1)
		r = read_next(pinner, e);
	if (r < 0)
		return r;
	pinner_set_key(keys->relation, set);
	snprintf(from, sizeof(from), "%zu", pinner->cache->prefix_len + row_prefix(keys->relation) + 1);
	pinner_lease_key(keys->relation, lease);
	begin_script(pinner, script_settle, piece, actions, (const char *const[]){set, lease}, 2, 3 + fills);
	pinner_adds(pinner, keys->token);
	pinner_adds(pinner, todo.data);
	pinner_adds(pinner, from);
	for (size_t i = piece->begin; i < piece->end; i++)
		if (actions[i] == PIN_FILL)
			pinner_add(pinner, bytes->data + values[i].at, values[i].len, "", 0);
	r = pinner_send(pinner, 1, e);
	if (r < 0)
		return r;
	note_out(pinner, (struct request){.kind = REQUEST_SETTLE, .keys = todo.len});
	pinner->sent += filled * 5 / 4;
	return 0;
}

int pinner_settle(struct pinner *pinner, const struct pinner_keys *keys, const char *actions,
                  const struct pin_value *values, const struct buf *bytes, struct error *e)
{
	struct piece piece = {0};
	int r = 0;

	while (r == 0 && next_piece(keys, &piece))
		r = settle(pinner, keys, &piece, actions, values, bytes, e);
	return r;
}

bool pinner_clean(const struct pinner *pinner)
{
	return pinner->connection && !pinner->n_out && !pinner->answer.there && !pinner->leased;
}

void pinner_disown(struct pinner *pinner)
{
	if (!pinner->n_out && !pinner->answer.there)
		pinner->leased = 0;
}

int pinner_finish(struct pinner *pinner, struct error *e)
{
	int r = read_all(pinner, e);

	if (r < 0 || !pinner->full.err)
		return r;
	*e = pinner->full;
	pinner->full = (struct error){0};
	return -ENOSPC;
}
