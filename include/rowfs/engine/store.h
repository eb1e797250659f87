/* The system of record, as the engine needs it. src/pg defines these functions; a unit test links a
 * fake instead.
 *
 * Connections come in sets, so that saves stuck behind somebody's lock leave reads alone. A call
 * blocks its thread for at most the statement timeout plus a reconnect; callers come through a lane
 * (engine/lane.h), which bounds how many do. Thread-safe. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "rowfs/base/error.h"
#include "rowfs/base/settings.h"
#include "rowfs/model/row.h"
#include "rowfs/model/schema.h"
#include "rowfs/model/statement.h"

struct store;

enum store_set { STORE_READ, STORE_WRITE, STORE_CATALOG, STORE_PINS, STORE_SETS };

/* How many connections each set may hold. One FUSE worker at most waits for each. */
enum { STORE_READERS = 4, STORE_WRITERS = 4 };

/* The server ends a statement after STATEMENT_TIMEOUT, a wait for a row lock after LOCK_TIMEOUT (an
 * editor's save should say "busy" while its user still looks). A server that does not even report
 * that is given ANSWER_GRACE more, then the connection is dropped. CONNECT_TIMEOUT is for each host,
 * unless the connection string has its own. */
enum {
	STORE_STATEMENT_TIMEOUT_MS = 30000,
	STORE_LOCK_TIMEOUT_MS = 2000,
	STORE_ANSWER_GRACE_MS = 5000,
	STORE_CONNECT_TIMEOUT_MS = 5000,
};

/* Connect once, to check everything that can be checked before mounting: the server answers, the
 * password is right, the database is not SQL_ASCII, the version is 13 or later. Returns 0; -EINVAL
 * for a connection string that is none; -EACCES for authentication; else another -errno with a
 * sentence for the user in `e`. `settings` must outlive the store. */
int store_open(const struct settings *settings, struct store **ret, struct error *e) _must_check_;
void store_close(struct store *store);

/* "<system identifier>.<database oid>": which database this is, for cache keys. */
const char *store_identity(const struct store *store);

/* Is this the mount of a standby, which shows commits later than the primary does? What is read there must not pass for
 * fresh. A mount of the primary is never answered by a standby. */
bool store_may_lag(const struct store *store);

/* "host/database" without user or password, for /proc/mounts. */
const char *store_label(const struct store *store);

/* Called for each result line; cells are valid during the call. Non-zero stops and is returned. */
typedef int store_line_fn(void *arg, const struct cell *cells, size_t n);

/* Run one statement in its own transaction and hand over its lines (`line` may be NULL).
 * Lost connections are replaced and reads repeated; a write (statement->writes) whose answer was lost
 * returns -EIO with e->outcome_unknown. Serialisation failures are tried three times, stale prepared
 * statements prepared again. Other failures map through sqlstate_errno(). Whatever failed, `e` says it.
 *
 * With statement->rehearsed it is tried and taken back, so that no lock is left: every constraint is checked, also those
 * that would wait for the COMMIT, and the triggers run. It may be repeated.
 *
 * The answer is in memory as a whole before its first line is handed over; that of a statement that is `streamed` a line
 * at a time, and when `line` stops it the server is told to leave off. Once a line was handed over it is not repeated. */
int store_run(struct store *store, enum store_set set, const struct statement *statement,
	      store_line_fn *line, void *arg, struct error *e) _must_check_;

/* From now on what the calling thread asks of PostgreSQL, by whichever connection, ends within two seconds after this
 * has become true, with an error if there was no answer. NULL: it ends in its own time. For a thread that somebody waits
 * for at the end, and that has nothing to finish then. */
void store_leave_when(const atomic_bool *flag);

/* Has the server process named by e->backend ended, so that its transaction is decided?
 * 1 yes, 0 no, -errno when the server cannot be asked. */
int store_backend_gone(struct store *store, const struct error *e) _must_check_;

/* Read the catalog (docs/architecture.md, "Catalog"). */
int store_load_schema(struct store *store, struct schema **ret, struct error *e) _must_check_;

/* A number that changes when the catalog does. */
int store_fingerprint(struct store *store, uint64_t *ret, struct error *e) _must_check_;

/* Bytes used by the database, for df. */
int store_size(struct store *store, uint64_t *ret, struct error *e) _must_check_;

/* What status shows: open connections, and whether the last attempt reached the server. */
struct store_status {
	unsigned connections;
	bool reachable;
	char last_error[256];
};
void store_status(struct store *store, struct store_status *ret);
