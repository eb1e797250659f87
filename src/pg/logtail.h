/* The end of the change log (engine/changelog.h) that the worker reads.
 *
 * The triggers write only while somebody reads: each tries to take the log's lock shared, for its transaction, and
 * writes only if it cannot. The reader holds the lock exclusively. While it waits in the queue the triggers
 * already write; once it has the lock, every transaction that did not write has ended. A transaction's
 * entries become visible together with its changes, so what is read need not wait for anything. */
#pragma once

#include <libpq-fe.h>

#include "rowfs/model/batch.h"
#include "store.h"

enum logtail_state { LOGTAIL_CLOSED, LOGTAIL_OPEN, LOGTAIL_QUEUED, LOGTAIL_READING };

struct logtail {
	PGconn *pg;
	enum logtail_state state;
	int64_t read_us;    /* when the last read began */
	int64_t emptied_us; /* when the last one began that left nothing */
};

/* Numbers of our own: the log's lock, and its reader's, of whom a database has one, whatever Redis he writes to. */
#define LOGTAIL_LOCK   "7308613580338057001"
#define LOGTAIL_READER "7308613580338057002"

/* How often the log is read while nothing happens. */
enum { LOGTAIL_PAUSE_US = 50000 };

/* Here `e` is never NULL. -EBUSY: another worker reads this database's log. */
int logtail_open(struct logtail *log, const struct store *store, char *server, struct error *e)
        _must_check_;
void logtail_close(struct logtail *log, PGconn *by); /* `by` as in stream_close() */

/* Begin to wait for the lock, and go on with it. 1: it is held, and what others left is gone; 0: not yet. */
int logtail_lock(struct logtail *log, struct error *e) _must_check_;

/* Move what is there, up to a bound, from the log into the batch. */
int logtail_read(struct logtail *log, struct batch *batch, struct error *e) _must_check_;
