/* What does not expire, and is of no use any more. */
#include "pinner.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* KEYS: the set of names, the rows; ARGV: how a copy begins that may stay, "" for none, and the names. What is not there
 * or expires is not pinned. */
static const char script_sweep[] =
        "local valid, gone = ARGV[1], {} "
        "for i = 2, #KEYS do local key, life = KEYS[i], redis.call('PTTL', KEYS[i]) "
        "if life ~= -1 or valid == '' or redis.call('GETRANGE', key, 0, #valid - 1) ~= valid then "
        "if life == -1 then redis.call('UNLINK', key) end "
        "gone[#gone + 1] = ARGV[i] end end "
        "if #gone > 0 then redis.call('SREM', KEYS[1], unpack(gone)) end return #gone";

/* A set that is small comes whole, whatever COUNT says, and Redis unpacks no more than some thousand arguments. */
enum { SWEEP_PIECE = 500 };

static const char relations_key[] = "pins";

/* What was printed has one reply, a number, which is of no interest. */
static int ask(struct pinner *pinner, struct error *e)
{
	_cleanup_reply_ redisReply *reply = NULL;
	int r = pinner_send(pinner, 1, e);

	return r < 0 ? r : pinner_read_as(pinner, REDIS_REPLY_INTEGER, &reply, e);
}

/* --- Marks ------------------------------------------------------------------------------------ */

static int change_mark(struct pinner *pinner, const char *command, uint32_t relation, struct error *e)
{
	char oid[16];

	snprintf(oid, sizeof(oid), "%" PRIu32, relation);
	pinner_begin(pinner, 3);
	pinner_adds(pinner, command);
	pinner_add_key(pinner, relations_key, strlen(relations_key));
	pinner_adds(pinner, oid);
	return ask(pinner, e);
}

int pinner_mark(struct pinner *pinner, uint32_t relation, struct error *e)
{
	return change_mark(pinner, "SADD", relation, e);
}

int pinner_unmark(struct pinner *pinner, uint32_t relation, struct error *e)
{
	return change_mark(pinner, "SREM", relation, e);
}

int pinner_count(struct pinner *pinner, uint32_t relation, uint64_t *ret, struct error *e)
{
	_cleanup_reply_ redisReply *reply = NULL;
	char set[PINNER_SET_KEY];
	int r;

	pinner_set_key(relation, set);
	pinner_begin(pinner, 2);
	pinner_adds(pinner, "SCARD");
	pinner_add_key(pinner, set, strlen(set));
	r = pinner_send(pinner, 1, e);
	if (r == 0)
		r = pinner_read_as(pinner, REDIS_REPLY_INTEGER, &reply, e);
	if (r == 0)
		*ret = (uint64_t)reply->integer;
	return r;
}

int pinner_marked(struct pinner *pinner, struct buf *ret, struct error *e)
{
	_cleanup_reply_ redisReply *reply = NULL;
	int r;

	pinner_begin(pinner, 2);
	pinner_adds(pinner, "SMEMBERS");
	pinner_add_key(pinner, relations_key, strlen(relations_key));
	r = pinner_send(pinner, 1, e);
	if (r == 0)
		r = pinner_read_as(pinner, REDIS_REPLY_ARRAY, &reply, e);
	for (size_t i = 0; r == 0 && i < reply->elements; i++) {
		const redisReply *member = reply->element[i];
		uint32_t relation = member->type == REDIS_REPLY_STRING ? (uint32_t)strtoul(member->str, NULL, 10) : 0;

		buf_add(ret, &relation, sizeof(relation));
	}
	return r == 0 && ret->failed ? error_set(e, ENOMEM, "out of memory") : r;
}

/* --- Sweeping --------------------------------------------------------------------------------- */

static int scan(struct pinner *pinner, const char *set, uint64_t cursor, redisReply **ret, struct error *e)
{
	char text[24];
	int r;

	snprintf(text, sizeof(text), "%" PRIu64, cursor);
	pinner_begin(pinner, 5);
	pinner_adds(pinner, "SSCAN");
	pinner_add_key(pinner, set, strlen(set));
	pinner_adds(pinner, text);
	pinner_adds(pinner, "COUNT");
	pinner_adds(pinner, "500");
	r = pinner_send(pinner, 1, e);
	if (r == 0)
		r = pinner_read_as(pinner, REDIS_REPLY_ARRAY, ret, e);
	if (r == 0 && ((*ret)->elements != 2 || (*ret)->element[0]->type != REDIS_REPLY_STRING ||
	               (*ret)->element[1]->type != REDIS_REPLY_ARRAY))
		r = pinner_fail(pinner, -EPROTO, e);
	return r;
}

static int sweep_names(struct pinner *pinner, uint32_t relation, const char *set, const char *valid,
                       redisReply *const *names, size_t n, struct error *e)
{
	char count[24], prefix[24];

	snprintf(count, sizeof(count), "%zu", 1 + n);
	snprintf(prefix, sizeof(prefix), "r:%" PRIu32 ":", relation);
	pinner_begin(pinner, 3 + 1 + n + 1 + n);
	pinner_adds(pinner, "EVAL");
	pinner_adds(pinner, script_sweep);
	pinner_adds(pinner, count);
	pinner_add_key(pinner, set, strlen(set));
	for (size_t i = 0; i < n; i++) {
		_cleanup_buf_ struct buf key = {0};

		buf_adds(&key, prefix);
		buf_add(&key, names[i]->str, names[i]->len);
		if (key.failed)
			return error_set(e, ENOMEM, "out of memory");
		pinner_add_key(pinner, key.data, key.len);
	}
	pinner_adds(pinner, valid ? valid : "");
	for (size_t i = 0; i < n; i++)
		pinner_add(pinner, names[i]->str, names[i]->len, "", 0);
	return ask(pinner, e);
}

static bool all_strings(const redisReply *array)
{
	for (size_t i = 0; i < array->elements; i++)
		if (array->element[i]->type != REDIS_REPLY_STRING)
			return false;
	return true;
}

int pinner_names(struct pinner *pinner, uint32_t relation, uint64_t *cursor, struct buf *ret, size_t *ret_n,
                 struct error *e)
{
	_cleanup_reply_ redisReply *found = NULL;
	char set[PINNER_SET_KEY];
	int r;

	pinner_set_key(relation, set);
	r = scan(pinner, set, *cursor, &found, e);
	if (r == 0 && !all_strings(found->element[1]))
		r = pinner_fail(pinner, -EPROTO, e);
	if (r < 0)
		return r;
	*cursor = strtoull(found->element[0]->str, NULL, 10);
	*ret_n = found->element[1]->elements;
	for (size_t i = 0; i < *ret_n; i++) {
		buf_add(ret, found->element[1]->element[i]->str, found->element[1]->element[i]->len);
		buf_addc(ret, '\0');
	}
	return ret->failed ? error_set(e, ENOMEM, "out of memory") : 0;
}

int pinner_sweep(struct pinner *pinner, uint32_t relation, const char *valid, uint64_t *cursor, struct error *e)
{
	_cleanup_reply_ redisReply *found = NULL;
	char set[PINNER_SET_KEY];
	const redisReply *names;
	int r;

	pinner_set_key(relation, set);
	r = *cursor ? 0 : pinner_leave(pinner, relation, e);
	if (r == 0)
		r = scan(pinner, set, *cursor, &found, e);
	if (r < 0)
		return r;
	*cursor = strtoull(found->element[0]->str, NULL, 10);
	names = found->element[1];
	if (!all_strings(names))
		r = pinner_fail(pinner, -EPROTO, e);
	for (size_t at = 0; r == 0 && at < names->elements; at += SWEEP_PIECE)
		r = sweep_names(pinner, relation, set, valid, names->element + at,
		                names->elements - at < SWEEP_PIECE ? names->elements - at : SWEEP_PIECE, e);
	return r;
}

int pinner_drop(struct pinner *pinner, const struct buf *names, size_t n, struct error *e)
{
	const char *name = names->data;

	pinner_begin(pinner, 1 + n);
	pinner_adds(pinner, "UNLINK");
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(name);

		pinner_add_key(pinner, name, len);
		name += len + 1;
	}
	return ask(pinner, e);
}
