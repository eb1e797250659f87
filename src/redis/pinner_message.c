/* Commands on their way to Redis, and the replies to them. */
#include "pinner.h"

#include <errno.h>
#include <string.h>

#include "rowfs/base/clock.h"

/* --- Printing --------------------------------------------------------------------------------- */

static int64_t deadline(void)
{
	return clock_monotonic_us() + PINNER_TIMEOUT_MS * INT64_C(1000);
}

static const struct address *where(const struct pinner *pinner)
{
	return &pinner->cache->pool.address;
}

int pinner_fail(struct pinner *pinner, int r, struct error *e)
{
	pinner->connection = connection_close(pinner->connection);
	return connection_error(where(pinner), r, PINNER_TIMEOUT_MS, e);
}

/* `$270\r\n`. Each of a hundred thousand rows has several, for which printf() would take a while. */
static void add_number(struct buf *out, char kind, size_t n)
{
	char text[24], *at = text + sizeof(text);

	*--at = '\n';
	*--at = '\r';
	do
		*--at = (char)('0' + n % 10);
	while (n /= 10);
	*--at = kind;
	buf_add(out, at, (size_t)(text + sizeof(text) - at));
}

/* An argument, in two parts. */
void pinner_add(struct pinner *pinner, const char *head, size_t head_len, const char *tail, size_t tail_len)
{
	add_number(&pinner->message, '$', head_len + tail_len);
	buf_add(&pinner->message, head, head_len);
	buf_add(&pinner->message, tail, tail_len);
	buf_add(&pinner->message, "\r\n", 2);
}

void pinner_adds(struct pinner *pinner, const char *text)
{
	pinner_add(pinner, text, strlen(text), "", 0);
}

void pinner_add_key(struct pinner *pinner, const char *name, size_t len)
{
	pinner_add(pinner, pinner->cache->prefix, pinner->cache->prefix_len, name, len);
}

void pinner_begin(struct pinner *pinner, size_t arguments)
{
	add_number(&pinner->message, '*', arguments);
}

void pinner_add_word(struct pinner *pinner, const char *word)
{
	pinner_begin(pinner, 1);
	pinner_adds(pinner, word);
}

/* --- Sending ---------------------------------------------------------------------------------- */

/* `owes`: how many replies. */
int pinner_send(struct pinner *pinner, unsigned owes, struct error *e)
{
	int r;

	if (!pinner->connection)
		return error_set(e, ENOTCONN, "Redis at %s: an earlier command has failed", where(pinner)->label);
	r = pinner->message.failed ? -ENOMEM
	                           : connection_send_printed(pinner->connection, &pinner->message, deadline());
	buf_reset(&pinner->message);
	if (r < 0)
		return pinner_fail(pinner, r, e);
	pinner->connection->owed += owes - 1;
	return 0;
}

int pinner_read(struct pinner *pinner, redisReply **ret, struct error *e)
{
	int r;

	if (!pinner->connection)
		return error_set(e, ENOTCONN, "Redis at %s: an earlier command has failed", where(pinner)->label);
	r = connection_reply(pinner->connection, deadline(), ret);
	return r < 0 ? pinner_fail(pinner, r, e) : 0;
}

/* An error reply ends a connection, too: what else was sent may have been refused as well. */
static int refuse(struct pinner *pinner, int r)
{
	pinner->connection = connection_close(pinner->connection);
	return r;
}

/* One of this type; another, an error too, is a failure. But a Redis that is full is none: -ENOSPC. */
int pinner_read_as(struct pinner *pinner, int type, redisReply **ret, struct error *e)
{
	_cleanup_reply_ redisReply *reply = NULL;
	int r = pinner_read(pinner, &reply, e);

	if (r < 0)
		return r;
	if (reply->type == REDIS_REPLY_ERROR) {
		r = reply_error(reply, where(pinner), e);
		return r == -ENOSPC ? r : refuse(pinner, r);
	}
	if (reply->type != type)
		return pinner_fail(pinner, -EPROTO, e);
	*ret = reply;
	reply = NULL;
	return 0;
}

/* Every command of it answers, also when an earlier one was refused; the first refusal is why. */
int pinner_read_transaction(struct pinner *pinner, redisReply **ret, struct error *e)
{
	static const int types[PINNER_TRANSACTION_REPLIES] = {REDIS_REPLY_STATUS, REDIS_REPLY_STATUS,
	                                                      REDIS_REPLY_STATUS, REDIS_REPLY_ARRAY};
	int why = 0;

	for (size_t i = 0; i < PINNER_TRANSACTION_REPLIES; i++) {
		_cleanup_reply_ redisReply *reply = NULL;
		int r = pinner_read(pinner, &reply, e);

		if (r < 0)
			return r;
		if (types[i] == REDIS_REPLY_ARRAY && reply->type == REDIS_REPLY_NIL)
			continue;
		if (reply->type != REDIS_REPLY_ERROR && reply->type != types[i])
			return pinner_fail(pinner, -EPROTO, e);
		/* EXEC says why in its own words, where the memory has become short only then. */
		if (reply->type == REDIS_REPLY_ERROR && !why)
			why = strstr(reply->str, "OOM")
			              ? error_set(e, ENOSPC, "Redis at %s: %s", where(pinner)->label, reply->str)
			              : reply_error(reply, where(pinner), e);
		if (reply->type == REDIS_REPLY_ARRAY) {
			*ret = reply;
			reply = NULL;
		}
	}
	return why && why != -ENOSPC ? refuse(pinner, why) : why;
}
