/* What the files of this folder share of a feed.
 *
 *   feed.c         open, election, begin, next, close
 *   feed_choose.c  which sources there can be, and what would be needed for better ones
 *   feed_marks.c   marks, visibility, what was missed
 *   feed_look.c    the catalog: tables that come, go and change, and what covers them
 *   feed_arrive.c  tables that come into the publication while it is streamed
 *
 * All functions here take an `e` that is not NULL. */
#pragma once

#include "direct.h"
#include "logtail.h"
#include "publication.h"
#include "rowfs/engine/feed.h"
#include "stream.h"
#include "tables.h"

/* A place in the server's history, to be passed. */
struct mark {
	bool set;
	int64_t since_us;
	uint64_t lsn;
	struct snapshot at;
	int64_t asked_us; /* the server was last asked how far the stream is */
	int64_t urged_us; /* its log was last flushed for our sake */
};

struct feed {
	struct store *store;
	const struct settings *settings;
	char server[DIRECT_SERVER_SIZE];
	PGconn *sql;
	bool begun;

	bool wal; /* logical decoding is in use */
	struct stream stream;
	struct publication publication;
	struct transactions *transactions;
	uint64_t *older; /* transactions that were under way when the stream began, and are not in it so far */
	size_t n_older;

	bool may_log; /* this worker may read the change log */
	struct logtail log;

	struct mark mark;

	struct tables tables;
	struct feed_table *covered;
	size_t n_covered;
	char *watch_sql;
	uint64_t watched, watched_all; /* what the catalog's state was; 0: unknown */
	bool unfinished;               /* a table was in somebody's hands: try again */
	int64_t read_us;               /* the tables were read last */

	int64_t looked_us;       /* who is waited for */
	char waits_for[256];
	char better[512];
};

/* feed_choose.c: after the election. -EOPNOTSUPP with the reason if there can be no source. */
int feed_choose(struct feed *feed, struct error *e) _must_check_;

/* feed_look.c: read the tables, put the publication in order. 1: it was altered. */
int feed_read_tables(struct feed *feed, struct tables *ret, struct error *e) _must_check_;

/* Give each table its source, by its state and by what is running. */
int feed_assign(struct feed *feed, struct tables *tables, struct error *e) _must_check_;

/* feed_arrive.c: is the table streamed, now or soon? */
bool feed_can_stream(const struct feed *feed, const struct table *table);

/* Tables that are new there begin to wait for the transactions that run. */
int feed_arrive(struct feed *feed, struct error *e) _must_check_;

/* Go on with them. `seen`: a snapshot of a moment ago. 1: one has come in. */
int feed_drain(struct feed *feed, const struct snapshot *seen, struct error *e) _must_check_;

/* feed_look.c: does a table need the change log? */
bool feed_wants_log(const struct feed *feed, const struct tables *tables);

/* feed_marks.c: a snapshot that lists every transaction that runs. */
int feed_snapshot_all(struct feed *feed, struct snapshot *ret, struct error *e) _must_check_;

/* Note the transactions that the stream need not have (R3). */
int feed_note_older(struct feed *feed, struct error *e) _must_check_;

/* Of the batch's transactions from `first` on, forget those that had been noted. */
void feed_note_seen(struct feed *feed, const struct batch *batch, size_t first);

/* Help the server to get past the mark, if it is time. *ret_us: when to come again at the latest. */
int feed_urge(struct feed *feed, int64_t *ret_us, struct error *e) _must_check_;
