/* Many copies under one lease: that on their relation. WATCH sees that it is taken away, and a GET after that, whether it had
 * been before. */
#include "pinner.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* For a page of rows, however slowly it is read; what is left of one that is not given back. */
#define LEASE_MS "60000"

void pinner_lease_key(uint32_t relation, char ret[PINNER_SET_KEY])
{
	snprintf(ret, PINNER_SET_KEY, PINNER_RELATION_LEASE, relation);
}

/* Two commands. */
static void add_watch(struct pinner *pinner, const char *lease)
{
	static const char *const commands[] = {"WATCH", "GET"};

	for (size_t i = 0; i < 2; i++) {
		pinner_begin(pinner, 2);
		pinner_adds(pinner, commands[i]);
		pinner_add_key(pinner, lease, strlen(lease));
	}
}

static int read_status(struct pinner *pinner, struct error *e)
{
	_cleanup_reply_ redisReply *reply = NULL;

	return pinner_read_as(pinner, REDIS_REPLY_STATUS, &reply, e);
}

/* Of the two. */
static int read_watch(struct pinner *pinner, bool *ret_stands, struct error *e)
{
	_cleanup_reply_ redisReply *reply = NULL;
	int r = read_status(pinner, e);

	if (r == 0)
		r = pinner_read(pinner, &reply, e);
	if (r == 0)
		*ret_stands = reply->type == REDIS_REPLY_STRING && strcmp(reply->str, pinner->token) == 0;
	return r;
}

int pinner_take(struct pinner *pinner, uint32_t relation, struct cache_proof *ret_proof, struct error *e)
{
	struct error full = {0};
	char lease[PINNER_SET_KEY];
	struct pinner_room room;
	bool stands;
	int r = pinner_make_token(pinner->token, e), set;

	if (r < 0)
		return r;
	pinner_lease_key(relation, lease);
	pinner_add_epochs(pinner, relation);
	pinner_begin(pinner, 5);
	pinner_adds(pinner, "SET");
	pinner_add_key(pinner, lease, strlen(lease));
	pinner_adds(pinner, pinner->token);
	pinner_adds(pinner, "PX");
	pinner_adds(pinner, LEASE_MS);
	add_watch(pinner, lease);
	r = pinner_send(pinner, PINNER_EPOCHS_REPLIES + 3, e);
	if (r == 0)
		r = pinner_read_epochs(pinner, ret_proof, &room, e);
	if (r < 0)
		return r;
	pinner_note_room(pinner, &room, pinner->sent);
	set = read_status(pinner, &full);
	if (set < 0)
		*e = full;
	if (set < 0 && set != -ENOSPC)
		return set;
	r = read_watch(pinner, &stands, e);
	if (r < 0 || set < 0)
		return r < 0 ? r : set;
	return stands ? 0 : error_set(e, EAGAIN, "a row has changed");
}

static void add_copies(struct pinner *pinner, const struct pinner_keys *keys, const struct pin_value *values,
                       const struct buf *bytes)
{
	const char *name = keys->names->data;

	pinner_begin(pinner, 1 + 2 * keys->n);
	pinner_adds(pinner, "MSET");
	for (size_t i = 0; i < keys->n; i++) {
		size_t len = strlen(name);

		pinner_add_key(pinner, name, len);
		pinner_add(pinner, bytes->data + values[i].at, values[i].len, "", 0);
		name += len + 1;
	}
}

int pinner_put(struct pinner *pinner, const struct pinner_keys *keys, const struct pin_value *values,
               const struct buf *bytes, struct error *e)
{
	char lease[PINNER_SET_KEY];
	int r;

	assert(keys->n && keys->n <= PINNER_PIECE && !pinner->put);
	pinner_lease_key(keys->relation, lease);
	pinner_add_word(pinner, "MULTI");
	pinner_add_names(pinner, keys->relation, keys->names->data, keys->n);
	add_copies(pinner, keys, values, bytes);
	pinner_add_word(pinner, "EXEC");
	add_watch(pinner, lease);
	r = pinner_send(pinner, PINNER_TRANSACTION_REPLIES + 2, e);
	if (r < 0)
		return r;
	pinner->put = keys->n;
	pinner->sent += keys->n * PINNER_KEY_COST + 2 * keys->names->len + bytes->len * 5 / 4;
	return 0;
}

/* Names and copies, or neither. */
static bool was_done(const redisReply *done)
{
	return done->elements == 2 && done->element[0]->type == REDIS_REPLY_INTEGER &&
	       done->element[1]->type == REDIS_REPLY_STATUS;
}

int pinner_await_put(struct pinner *pinner, bool *ret_put, bool *ret_stands, struct error *e)
{
	_cleanup_reply_ redisReply *done = NULL;
	struct error later;
	int r = pinner_read_transaction(pinner, &done, e), rest;

	assert(pinner->put);
	if (r < 0 && r != -ENOSPC)
		return r;
	if (done && !was_done(done))
		return pinner_fail(pinner, -EPROTO, e);
	rest = read_watch(pinner, ret_stands, &later);
	if (rest < 0) {
		*e = later;
		return rest;
	}
	*ret_put = done != NULL;
	pinner->pinned += done ? pinner->put : 0;
	pinner->put = 0;
	return r;
}

int pinner_leave(struct pinner *pinner, uint32_t relation, struct error *e)
{
	_cleanup_reply_ redisReply *reply = NULL;
	char lease[PINNER_SET_KEY];
	int r;

	pinner_lease_key(relation, lease);
	pinner_add_word(pinner, "UNWATCH");
	pinner_begin(pinner, 2);
	pinner_adds(pinner, "UNLINK");
	pinner_add_key(pinner, lease, strlen(lease));
	r = pinner_send(pinner, 2, e);
	if (r == 0)
		r = read_status(pinner, e);
	return r < 0 ? r : pinner_read_as(pinner, REDIS_REPLY_INTEGER, &reply, e);
}
