/* The change log: for tables whose changes cannot be had by logical decoding, triggers write the keys of changed
 * rows to the table rowfs.changes, from which the sync worker takes them. src/pg defines these functions.
 *
 * The triggers fire once a statement, on the table and on each of its partitions, for the application's roles, which
 * need no rights on the log, as for everybody. They write only while a worker reads: without one they cost a
 * lock, and the log stays empty. A statement that changes more than BATCH_ROWS_MAX rows writes one entry for the
 * whole table. The log is UNLOGGED: a crash of the server empties it, and ends the worker's feed, too.
 *
 * Whoever installs it must own the tables; what he does not own is left out, and said. */
#pragma once

#include "rowfs/base/buf.h"
#include "rowfs/engine/store.h"

/* Each appends to `report` one line a table, "schema.table: what holds for it\n". 0 or -errno. */

/* Make the log and the triggers; repeat it after tables were made. Tables that have them are left alone. */
int changelog_install(struct store *store, const struct settings *settings, struct buf *report,
                      struct error *e) _must_check_;

/* Remove all of it. */
int changelog_uninstall(struct store *store, const struct settings *settings, struct buf *report,
                        struct error *e) _must_check_;

/* What each table has, and why it has nothing better. */
int changelog_report(struct store *store, const struct settings *settings, struct buf *report,
                     struct error *e) _must_check_;
