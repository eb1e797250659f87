/* The replication connection: a temporary slot, which dies with it, and the server's stream of changes.
 *
 *   stream_open ── stream_create ── created? ── stream_start ── stream_read, stream_tell … ── stream_close
 *
 * `position` is a place in the server's log: every transaction that had committed before it has been handed out.
 * Both the place of a change and the server's keepalives tell one, since commits are sent in their order. */
#pragma once

#include <libpq-fe.h>

#include "rowfs/model/transaction.h"
#include "store.h"

enum stream_state { STREAM_CLOSED, STREAM_OPEN, STREAM_CREATING, STREAM_CREATED, STREAM_RUNNING };

struct stream {
	PGconn *pg;
	enum stream_state state;
	char slot[32];
	uint64_t position;
	int64_t heard_us; /* the last message */
	int64_t told_us;  /* the last status update sent */
};

/* Here `e` is never NULL. `server` as in direct_open(). */
int stream_open(struct stream *stream, const struct store *store, char *server, struct error *e)
        _must_check_;

/* `by`: another connection, to end a server process that still waits to create the slot; or NULL. */
void stream_close(struct stream *stream, PGconn *by);

/* Begin to create the slot, and go on with it: 1 done, 0 not yet. It waits for all open write transactions. */
int stream_create(struct stream *stream, struct error *e) _must_check_;

/* Begin to stream what the publication lets through. */
int stream_start(struct stream *stream, const char *publication, struct error *e) _must_check_;

/* Take what has arrived, without waiting for more, until the batch is full or the time is up. */
int stream_read(struct stream *stream, struct transactions *transactions, int64_t deadline_us,
                struct batch *batch, struct error *e) _must_check_;

/* Tell the server what has been handed out, so that it keeps none of its log for this slot; `ask` it where it is. */
int stream_tell(struct stream *stream, bool ask, struct error *e) _must_check_;

/* A batch is handed over when it has this many changes or transactions. */
enum { STREAM_BATCH = 4096 };

/* "X/X". 0 for what is none. */
uint64_t stream_parse_lsn(const char *text);
