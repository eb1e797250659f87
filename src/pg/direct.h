/* The sync worker's own connections, made directly to the server: SOURCE, or `direct=` where SOURCE leads
 * through a pooler. They hold locks and a slot, so they must be the worker's alone, and must go soon when
 * it has vanished: the server is asked to notice within about five seconds.
 *
 *   DIRECT_SQL     the election's lock, the catalog, marks
 *   DIRECT_STREAM  replication protocol; what it prints is printed as sessions print it (session.h)
 *   DIRECT_LOG     the change log and its lock
 *
 * All are used by one thread. Here `e` is never NULL. */
#pragma once

#include <libpq-fe.h>

#include "answer.h"
#include "rowfs/base/buf.h"
#include "store.h"

enum direct_use { DIRECT_SQL, DIRECT_STREAM, DIRECT_LOG };

/* `server` names the server process group: the first connection learns it ("" before), later ones must
 * reach the same. Refused: another database than the store's, and a server in recovery. */
enum { DIRECT_SERVER_SIZE = 64 };
int direct_open(const struct store *store, enum direct_use use, char server[DIRECT_SERVER_SIZE],
                PGconn **ret, struct error *e) _must_check_;

/* Run a statement and wait for its end. `values` are texts; with n 0 several statements may stand in one
 * text. `ret` may be NULL. */
int direct_query(PGconn *pg, const char *sql, size_t n, const char *const *values, PGresult **ret,
                 struct error *e) _must_check_;

/* The same in two steps, for statements that wait: send, then ask until it is not -EAGAIN. */
int direct_send(PGconn *pg, const char *sql, struct error *e) _must_check_;
int direct_poll(PGconn *pg, PGresult **ret, struct error *e) _must_check_;

/* How many parameters a statement has. Several in one text are an error. */
int direct_parameters(PGconn *pg, const char *sql, int *ret, struct error *e) _must_check_;

/* The connection's last words. Returns -EIO. */
int direct_lost(PGconn *pg, struct error *e);

/* Make a server process give up what it waits for, by ending it: one that waits does not notice that
 * its client has gone. */
void direct_end(PGconn *by, PGconn **pg);

/* SQL's spelling of a name and of a string, appended. */
void direct_add_name(PGconn *pg, const char *name, struct buf *out);
void direct_add_literal(PGconn *pg, const char *string, struct buf *out);
