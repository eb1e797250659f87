/* Redis as rows are pinned in it: copies like any reader's (engine/copy.h), but many at a time, and without expiry. So
 * what comes and goes by reading cannot push them out: Redis' volatile-* policies only evict keys that expire.
 * src/redis defines these functions; a unit test links a fake instead.
 *
 * The rule is the readers' (R5): what is put there was read after a lease on its key stood, under epochs that stood
 * before that, and it is put there only if the lease stands still. So nothing here needs the worker's own connection,
 * and whatever fails here leaves no copy that is wrong.
 *
 * Leases on rows do not expire here, as those of readers do, since many keys are leased by one command; so every one must be
 * given back, and where that fails a sweep must follow (pinner_clean()), or the next worker's does. It finds all of them: a key's
 * name is in the relation's set before the key is leased, or neither comes about.
 *
 * A connection of its own, used by one thread. Requests are sent without waiting, so that Redis works while
 * PostgreSQL does; one lease at most is out beside that which is being worked on:
 *
 *   pinner_lease(1)  pinner_lease(2)  pinner_await(1)  SELECT  pinner_settle(1)  pinner_lease(3)  pinner_await(2) …
 *
 * After any failure but -ENOSPC, and -EAGAIN where that is said, close it. */
#pragma once

#include <inttypes.h>

#include "rowfs/base/buf.h"
#include "rowfs/base/error.h"
#include "rowfs/engine/cache.h"

struct pinner;

enum { PINNER_TIMEOUT_MS = 2000, PINNER_WINDOW = 12 };

/* Keys that are leased together, for one SELECT. They go in pieces: Redis serves nobody else while it works on one, and
 * takes longer for each key of a larger one, whose values leave the processor's caches. */
enum { PINNER_KEYS = 2000, PINNER_PIECE = 500 };

/* What a request for a lease found, a byte for each key. */
enum pin_found {
	PIN_LEASED = 'L', /* nothing, or what expires; the lease is ours now */
	PIN_HELD = 'H',   /* a copy of the present epochs that does not: it was pinned, and has not changed since */
	PIN_BUSY = 'B',   /* somebody else's lease */
};

/* What becomes of a key: a byte for each. */
enum pin_action {
	PIN_NONE = '-',
	PIN_FILL = 'S',     /* put the value there, if the lease stands */
	PIN_RELEASE = 'R',  /* give the lease back, and forget the name */
	PIN_POSTPONE = 'P', /* give the lease back; the name stays, so that it is known when its turn comes again */
};

/* Of a value, in a buffer of all. */
struct pin_value {
	size_t at, len;
};

struct pinner_room {
	uint64_t used, max; /* bytes; max 0: no bound */
	bool evicts_all;    /* its policy takes keys that do not expire, too */
	uint64_t evictable; /* bytes, about, that it would let go; only pinner_room() says that */
};

/* As broker_open(). The cache must outlive it. */
int pinner_open(struct cache *cache, struct pinner **ret, struct error *e) _must_check_;
void pinner_close(struct pinner *pinner); /* accepts NULL */

/* Keys are as copy_row_key() makes them for the relation, each followed by a NUL; PINNER_KEYS at most. `valid`: how a copy begins that
 * counts. */
struct pinner_keys {
	uint32_t relation;
	const struct buf *names;
	size_t n;
	const char *valid;
	char token[CACHE_TOKEN_SIZE]; /* pinner_lease() makes it */
};

/* Ask for the epochs, for the room in Redis, and for leases on the keys. Sent. */
int pinner_lease(struct pinner *pinner, struct pinner_keys *keys, struct error *e) _must_check_;

/* Which of the keys were leased or pinned already. Awaited; nothing may be out. */
int pinner_known(struct pinner *pinner, const struct pinner_keys *keys, bool *ret_known, struct error *e) _must_check_;

/* The answers to what was sent, up to those of the oldest lease, which is that of `keys`. `ret_found` has room for them.
 * -ENOSPC: Redis is full, and some leases may have been taken all the same: sweep, unless pinner_clean(). */
int pinner_await(struct pinner *pinner, const struct pinner_keys *keys, struct cache_proof *ret_proof,
		 char *ret_found, struct error *e) _must_check_;

/* Do to the keys what `actions` says; value i in `values` is that of key i. Sent; may be called again for other keys of
 * the same lease. */
int pinner_settle(struct pinner *pinner, const struct pinner_keys *keys, const char *actions,
		  const struct pin_value *values, const struct buf *bytes, struct error *e) _must_check_;

/* With nothing out: leases that could not be given back are a sweep's affair from now on. */
void pinner_disown(struct pinner *pinner);

/* All answers that are out; no lease may be among them. -ENOSPC: Redis was full, and some of what was to be settled was
 * not: sweep. */
int pinner_finish(struct pinner *pinner, struct error *e) _must_check_;

/* --- Pages of rows at once ---------------------------------------------------------------------
 *
 * Where nothing of a relation is pinned yet, one lease on all of it saves those on its rows: a key that the worker drops
 * whenever it drops a row of the relation, and before that; so does whoever fills one (cache_fill(), pinner_settle()). While
 * it stands, nothing that was read after it was taken has been dropped since, and what is put there replaces nothing that
 * is later (docs/models/cache.pml, R1).
 *
 *   pinner_take  SELECT  pinner_put  pinner_await_put  pinner_put  pinner_await_put  …  pinner_leave */
#define PINNER_RELATION_LEASE "l:%" PRIu32

/* Take the lease, and the epochs of before. Awaited; nothing may be out. -EAGAIN: a change has come already. */
int pinner_take(struct pinner *pinner, uint32_t relation, struct cache_proof *ret_proof, struct error *e) _must_check_;

/* Put a copy under each key, PINNER_PIECE at most, if the lease stands; all of them or none. Sent. */
int pinner_put(struct pinner *pinner, const struct pinner_keys *keys, const struct pin_value *values,
	       const struct buf *bytes, struct error *e) _must_check_;

/* What became of it, and does the lease stand still? Awaited. -ENOSPC: Redis is full; nothing was put. */
int pinner_await_put(struct pinner *pinner, bool *ret_put, bool *ret_stands, struct error *e) _must_check_;

/* Give the lease back, also after -ENOSPC. Awaited; nothing may be out. */
int pinner_leave(struct pinner *pinner, uint32_t relation, struct error *e) _must_check_;

/* --- Room -------------------------------------------------------------------------------------- */

/* The room in Redis. Awaited; nothing may be out. */
int pinner_room(struct pinner *pinner, struct pinner_room *ret, struct error *e) _must_check_;

/* Have that answered, unless it was a moment ago. As pinner_room(). */
int pinner_look_at_room(struct pinner *pinner, struct error *e) _must_check_;

/* What there was by the last answer, less what was sent since. */
struct pinner_room pinner_room_left(const struct pinner *pinner);

/* Nothing is out, and every lease was settled. */
bool pinner_clean(const struct pinner *pinner);

/* How many keys were filled by what has been answered. */
uint64_t pinner_pinned(const struct pinner *pinner);

/* --- Copies that are of no use any more --------------------------------------------------------
 *
 * What does not expire must be removed by somebody: copies of epochs that are over, of rows or tables that are not
 * pinned any more, leases that were not given back. So that it is found without a look at all that is in Redis, which
 * may be others', names are kept beside the rows:
 *
 *   p:<oid>  a set: the names of what is leased or pinned of a relation
 *   pins     a set: the relations that have one
 *
 * These are awaited; nothing may be out. */

/* Before a relation's first lease; and when nothing of it can be left. */
int pinner_mark(struct pinner *pinner, uint32_t relation, struct error *e) _must_check_;
int pinner_unmark(struct pinner *pinner, uint32_t relation, struct error *e) _must_check_;

/* How many names a relation has: of what is pinned, if nothing is leased and every change was heeded. */
int pinner_count(struct pinner *pinner, uint32_t relation, uint64_t *ret, struct error *e) _must_check_;

/* The relations of which something may have been pinned, by whichever worker; uint32_t each, appended. */
int pinner_marked(struct pinner *pinner, struct buf *ret, struct error *e) _must_check_;

/* A step of going through what was pinned of a relation: a copy that begins with `valid` stays; NULL: none does. The first
 * also ends a lease on the whole. *cursor begins with 0, and is 0 after the last step. */
int pinner_sweep(struct pinner *pinner, uint32_t relation, const char *valid, uint64_t *cursor, struct error *e)
	_must_check_;

/* Some of the names in a relation's set, each with a NUL, appended. As pinner_sweep(). */
int pinner_names(struct pinner *pinner, uint32_t relation, uint64_t *cursor, struct buf *ret, size_t *ret_n,
		 struct error *e) _must_check_;

/* Remove these keys, whatever they hold. */
int pinner_drop(struct pinner *pinner, const struct buf *names, size_t n, struct error *e) _must_check_;
