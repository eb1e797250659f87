/* One connection to Redis: commands out, replies in, every step by a deadline.
 *
 * hiredis formats the commands and parses the replies; the socket is ours, for two reasons. Its
 * timeouts are per system call, so a server that dribbles could hold a reader for as long as it
 * likes; and a command whose reply nobody waits for must leave without one.
 *
 *   sent:     GET a    SET b …    UNLINK c       each one owes a reply: `owed` counts them
 *   replies:  "…"      OK         1              they come in this order
 *
 * A connection on which anything failed or came too late is closed, never used again: so a late
 * reply cannot be taken for another command's. One thread at a time uses a connection. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <hiredis/hiredis.h>

#include "rowfs/base/buf.h"
#include "rowfs/base/cleanup.h"
#include "rowfs/base/error.h"
#include "rowfs/engine/cache.h"
#include "transport.h"

/* Larger replies are not read; the slack is for what surrounds the value. */
enum { REPLY_MAX = CACHE_VALUE_MAX + 1024 };

struct connection {
	struct transport transport;
	unsigned owed;       /* replies not yet read, to commands whose sender did not wait */
	bool looks;          /* who waits for a reply looks for it a moment before he sleeps (connection_reply()) */
	bool unasked;        /* subscribed: what comes answers nothing, and nothing is owed */
	unsigned scripts;    /* bit i: Redis knows script i by its hash (see call.c) */
	uint64_t generation; /* of the pool when it was opened */
	size_t received;     /* bytes since the last whole reply */
	size_t reply_max;    /* REPLY_MAX, unless its owner says otherwise */
	redisReader *reader;
};

/* What a reply to a command nobody waited for said; called for each. */
typedef void owed_fn(void *arg, const redisReply *reply);

/* A short command; see sweep.h for those over many keys. */
enum { COMMAND_WORDS = 12 };

struct command {
	const char *argv[COMMAND_WORDS];
	size_t len[COMMAND_WORDS];
	int argc;
};

void command_add(struct command *command, const void *bytes, size_t len);
void command_adds(struct command *command, const char *string);

/* Connect, authenticate, select the database. Returns 0; -EACCES if Redis refuses the user or
 * password; another -errno with the reason. */
int connection_open(const struct address *address, const struct endpoint *endpoint,
                    int64_t deadline_us, struct connection **ret, struct error *e) _must_check_;
struct connection *connection_close(struct connection *connection);

/* Look the address up, open the first endpoint that lets us in, and PING; `timeout_ms` for each
 * endpoint, and what the resolver takes. Errors as above. */
int connection_reach(const struct address *address, int timeout_ms, struct connection **ret,
                     struct endpoint *ret_endpoint, struct error *e) _must_check_;

/* PING, awaited; errors as connection_open() gives them. */
int connection_ping(struct connection *connection, const struct address *address,
                    int64_t deadline_us, struct error *e) _must_check_;

/* Is the other side still there, as far as one can tell without asking it? For a connection that
 * has been idle: a Redis that restarted meanwhile has closed it. */
bool connection_alive(struct connection *connection);

/* Send and owe a reply. 0 or -errno; after a failure, close. */
int connection_send(struct connection *connection, const struct command *command,
                    int64_t deadline_us) _must_check_;

/* The same for a command that is printed already. */
int connection_send_printed(struct connection *connection, const struct buf *bytes,
                            int64_t deadline_us) _must_check_;

/* Read the oldest reply owed; the caller frees it. -ETIMEDOUT; -ECONNRESET when the other side is
 * gone; -EMSGSIZE for a reply over reply_max; -EPROTO for what is no reply. After a failure, close;
 * but where messages come unasked, -ETIMEDOUT only says that none has come. */
int connection_reply(struct connection *connection, int64_t deadline_us,
                     redisReply **ret) _must_check_;

/* Read replies owed until at most `leave` are. With deadline 0 only what has already come; 0 even
 * if that leaves more. */
int connection_settle(struct connection *connection, unsigned leave, int64_t deadline_us,
                      owed_fn *owed, void *arg) _must_check_;

/* Put an errno of these functions into words; returns `r`. `timeout_ms`: how long -ETIMEDOUT was.
 */
int connection_error(const struct address *address, int r, int timeout_ms, struct error *e);

/* What an error reply says, as a negative errno and in words. */
int reply_error(const redisReply *reply, const struct address *address, struct error *e);

static inline void cleanup_reply(redisReply **reply)
{
	if (*reply)
		freeReplyObject(*reply);
}

#define _cleanup_reply_ _cleanup_(cleanup_reply)
