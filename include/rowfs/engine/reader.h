/* One row: from Redis if a copy may be used, else from PostgreSQL.
 *
 *   reader_get ── copy in Redis? ── usable: answer at once, on the caller's thread
 *                     └── no: is somebody fetching this row? ── join their flight, thread goes home
 *                                └── no: new flight, on a seat of the read lane:
 *                                      lease ─ SELECT ─ print ─ fill ─ answer all who joined
 *                                      (lease and fill if the row is to be in Redis: engine/access.h)
 *
 * A copy may be partial (engine/copy.h). It answers who wants no more than the row's version; for others a flight asks
 * PostgreSQL for the columns that it lacks (engine/join.h), without lease and fill.
 *
 * Rules that keep a copy from outliving what it copies: the lease stands before the SELECT begins; a fill
 * goes in only while the lease does; a save, or the worker for it, drops the copy, lease included, and *supersedes* a flight
 * that began before it, so that no later reader joins it and its fill is not made. Nor does anybody join one that
 * began before the row was marked, or before a copy of it was used: it may be older than what was read since.
 *
 * Under a feed of changes (engine/follow.h) a copy is used, and made, only under the epochs that stood in the same
 * moment, together with a heartbeat, when Redis was asked for it (R5). Without one, copies count by their age. */
#pragma once

#include "rowfs/base/settings.h"
#include "rowfs/engine/access.h"
#include "rowfs/engine/cache.h"
#include "rowfs/engine/follow.h"
#include "rowfs/engine/lane.h"
#include "rowfs/engine/rowref.h"
#include "rowfs/engine/store.h"
#include "rowfs/engine/text.h"

struct reader;

/* A question to the reader, embedded in the caller's own struct, which lives until `done`. */
struct read_request {
	/* Called once, maybe before reader_get() returns, maybe on another thread. `text` is borrowed;
	 * NULL means `e` says why: ENOENT only if PostgreSQL said so. */
	void (*done)(struct read_request *request, struct text *text, const struct error *e);
	struct read_request *next; /* the reader's own, zeroed by the caller */
	struct flight *flight;     /* the same */
	bool abandoned;            /* the same */
	pid_t thread;              /* who asks; 0: unknown */
	bool version_only;         /* size and time will do: the answer may be a bare text */
	bool load;                 /* nobody wants to read it: only to have it in Redis. Who finds that he cannot put it
	                            * there is answered EBUSY. The answer may be a bare text, too */
	/* The answer's, valid in `done`: the marks' number from before the row was read (K1), when that was, and whether
	 * the feed that this mount hears tells when it changes. */
	uint64_t mark;
	int64_t began_us;
	bool fed;
};

/* What a reader works with; all of it outlives it. */
struct reader_parts {
	const struct settings *settings;
	struct store *store;
	struct cache *cache;
	struct catalog *catalog;
	struct lane *lane;
	struct marks *marks;
	struct follow *follow;
	struct access *access;
};

int reader_new(const struct reader_parts *parts, struct reader **ret) _must_check_;
void reader_free(struct reader *reader);

/* From now on copies are proved by a feed, not by their age; or the other way round. */
void reader_use_feed(struct reader *reader, bool use);

/* What keeps rows out of Redis on this mount, whatever their placement rule is: a shared copy must not show one role what
 * only another may see. */
struct reader_bar {
	const char *why; /* a few words; NULL: nothing does */
	bool everywhere; /* it lies in the table, and so holds for all mounts of this kind */
};
struct reader_bar reader_bars(const struct reader *reader, const struct relation *relation);

/* May rows of this relation be in Redis? If nothing bars them, and the rule is not place=off. */
bool reader_may_cache(const struct reader *reader, const struct relation *relation);

/* Are changes of this relation told by the feed that this mount hears? One command to Redis. For listings, whose
 * rows are not read one by one. */
bool reader_is_fed(struct reader *reader, const struct relation *relation);

/* The same, what proves it, and what Redis held at that moment under a key of the relation's; both are empty if there is
 * none. */
bool reader_proves(struct reader *reader, const struct relation *relation, const struct buf *key,
		   struct cache_proof *ret_proof, struct buf *ret) _must_check_;

/* `ref` is copied. */
void reader_get(struct reader *reader, const struct rowref *ref, struct read_request *request);

/* The caller was killed: stop waiting, or do not begin to. True: `done` will not be called any more. False:
 * it was, or is about to be. */
bool reader_abandon(struct reader *reader, struct read_request *request);

/* Ask PostgreSQL now, on this thread, over connections of `set`; no cache, no flight. */
int reader_fetch(struct reader *reader, const struct rowref *ref, enum store_set set,
		 struct text **ret, struct error *e) _must_check_;

/* The same, but a copy in Redis will do if it may be used. */
int reader_read(struct reader *reader, const struct rowref *ref, enum store_set set,
		struct text **ret, struct error *e) _must_check_;

/* The transaction of which this mount saw the row last; 0: unknown. It was so at some time before this. */
uint32_t reader_seen(struct reader *reader, const struct rowref *ref);

/* May somebody be shown what transaction `xid` made of the row: read from PostgreSQL a while ago, by nobody, and unchanged
 * since as far as this mount has been told? Not if something else was seen of the row meanwhile. If so, after this returns no
 * read of this mount gives what was before. */
bool reader_shows(struct reader *reader, const struct rowref *ref, uint32_t xid);

/* This mount changed the row in transaction `xid` (0: unknown, or the row is gone). After this returns no
 * read of this mount gives what was before. */
void reader_saved(struct reader *reader, const struct rowref *ref, uint32_t xid);
