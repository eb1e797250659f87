/* What anybody's commits change in the database, in order, as the sync worker needs it. src/pg defines
 * these functions; a unit test links a fake instead.
 *
 * A feed has one source for each table, the best that there is (docs/architecture.md, "Change capture"):
 *
 *   FEED_WAL  logical decoding (pgoutput) of a temporary slot, which dies with its connection
 *   FEED_LOG  the change log that statement triggers write (`rowfs sync install`)
 *   FEED_NONE neither: such a table's rows are not in the shared cache while there is a feed
 *
 * It is used by one thread, the worker's, and has connections of its own, made directly to the server. Any
 * failure but -EAGAIN ends a feed: close it and open another, which begins a new epoch.
 *
 *   feed_open ── elected ── feed_begin ── begun ── feed_next, feed_visible, feed_mark … ── feed_close */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "rowfs/base/error.h"
#include "rowfs/engine/store.h"
#include "rowfs/model/batch.h"

struct feed;

enum feed_source { FEED_NONE, FEED_WAL, FEED_LOG, FEED_SOURCES };

/* Could this role have a feed here (settings->changes says which)? Makes the publication if it may. 0; -EOPNOTSUPP
 * with a sentence that says what would be needed; another -errno. */
int feed_check(struct store *store, const struct settings *settings, struct error *e) _must_check_;

/* Connect and become the only worker for `token`, which names the Redis: two Redis servers of one database
 * have a worker each. Returns 0; -EBUSY if somebody else is the worker; -EOPNOTSUPP with the reason if no
 * source of changes can be had here (which settings->changes asks for); another -errno. */
int feed_open(struct store *store, const struct settings *settings, const char *token,
	      struct feed **ret, struct error *e) _must_check_;

/* Accepts NULL. Leaves no slot, no lock, and a log that nobody writes to. */
void feed_close(struct feed *feed);

/* Go on with preparing: publication, slot, log. Returns 1 when the feed has begun: whatever commits from
 * now on will come out of feed_next(), but for what feed_missed() tells. 0: not yet, after at most
 * `timeout_ms` (a slot must wait for open write transactions; feed_status() names them). */
int feed_begin(struct feed *feed, int timeout_ms, struct error *e) _must_check_;

/* --- Changes --------------------------------------------------------------------------------- */

/* Add what has been committed since the last call to `batch`, waiting up to `timeout_ms` if there is nothing
 * yet. Bounded: stops when the batch has some thousand changes. Returns 0 or -errno. */
int feed_next(struct feed *feed, int timeout_ms, struct batch *batch, struct error *e)
	_must_check_;

/* Can new statements see every transaction of the batch? 1 or 0. The stream runs ahead of that, and a reader
 * who came in between would fill the old row after its invalidation. One round trip. */
int feed_visible(struct feed *feed, const struct batch *batch, struct error *e) _must_check_;

/* --- Marks ----------------------------------------------------------------------------------- */

/* Note where the server is now. What had been committed by then has been handed over as soon as
 * feed_passed() says so. One mark is under way at a time. */
int feed_mark(struct feed *feed, struct error *e) _must_check_;
bool feed_passed(const struct feed *feed);

/* After feed_passed(): has a transaction that was older than the feed ended by then, committed, without
 * being part of it? 1 or 0. Then what readers saw until now proves nothing. */
int feed_missed(struct feed *feed, struct error *e) _must_check_;

/* --- Tables ---------------------------------------------------------------------------------- */

/* Look at the catalog: tables that came, went, or are not what they were (columns, storage, grants, row
 * security, source). To be called after feed_mark() and before that mark is relied upon. Those are added to `batch` as
 * BATCH_RELATION, and feed_tables() tells the new state. Cheap when nothing changed. */
int feed_inspect(struct feed *feed, struct batch *batch, struct error *e) _must_check_;

/* The relations that the feed covers, each with its source; valid until the next feed_inspect(). */
struct feed_table {
	uint32_t relation;
	enum feed_source source;
};
const struct feed_table *feed_tables(const struct feed *feed, size_t *ret_n);

/* --- Status ---------------------------------------------------------------------------------- */

struct feed_status {
	enum feed_source best;      /* the best source in use */
	size_t tables[FEED_SOURCES]; /* how many tables have which */
	uint64_t lag_bytes;         /* of the stream behind the server */
	char waits_for[256];        /* why it has not begun: pids, transactions; or "" */
	char better[512];           /* what would be needed for a better source, or "" */
	char position[32];          /* LSN handed over last, or "" */
};
void feed_status(const struct feed *feed, struct feed_status *ret);
