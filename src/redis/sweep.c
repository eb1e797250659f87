#include "sweep.h"

#include <string.h>

#include "rowfs/base/clock.h"

/* One argument, in two parts, as Redis' protocol has it. */
static void print_argument(struct buf *out, const char *head, const char *tail)
{
	size_t head_len = strlen(head), tail_len = strlen(tail);

	buf_addf(out, "$%zu\r\n", head_len + tail_len);
	buf_add(out, head, head_len);
	buf_add(out, tail, tail_len);
	buf_adds(out, "\r\n");
}

static void print_piece(const struct sweep *sweep, size_t keys, struct buf *out)
{
	buf_reset(out);
	buf_addf(out, "*%zu\r\n", 1 + keys * (sweep->value ? 2 : 1));
	print_argument(out, sweep->command, "");
	for (size_t i = 0; i < keys; i++) {
		print_argument(out, sweep->prefix, sweep->next(sweep->arg));
		if (sweep->value)
			print_argument(out, sweep->value, "");
	}
}

static int64_t deadline_from_now(int timeout_ms)
{
	return clock_monotonic_us() + timeout_ms * INT64_C(1000);
}

static int take_reply(const struct sweep *sweep, struct connection *connection,
                      const struct address *address, int timeout_ms, struct error *e)
{
	_cleanup_reply_ redisReply *reply = NULL;
	int r = connection_reply(connection, deadline_from_now(timeout_ms), &reply);

	if (!r && reply->type == REDIS_REPLY_ERROR)
		return reply_error(reply, address, e);
	if (!r)
		r = sweep->reply(sweep->arg, reply);
	return r ? connection_error(address, r, timeout_ms, e) : 0;
}

static int send_piece(const struct sweep *sweep, struct connection *connection,
                      const struct address *address, size_t keys, int timeout_ms, struct error *e)
{
	_cleanup_buf_ struct buf piece = {0};
	int r;

	print_piece(sweep, keys, &piece);
	r = connection_send_printed(connection, &piece, deadline_from_now(timeout_ms));
	return r ? connection_error(address, r, timeout_ms, e) : 0;
}

int sweep_run(const struct sweep *sweep, struct connection *connection,
              const struct address *address, size_t n, int timeout_ms, struct error *e)
{
	while (n || connection->owed) {
		size_t keys = n < SWEEP_KEYS ? n : SWEEP_KEYS;
		bool send = n && connection->owed < SWEEP_WINDOW;
		int r = send ? send_piece(sweep, connection, address, keys, timeout_ms, e)
		             : take_reply(sweep, connection, address, timeout_ms, e);

		if (r)
			return r;
		n -= send ? keys : 0;
	}
	return 0;
}
