/* Some rows of one relation on their way to being pinned: leases, then their SELECT, then what becomes of each.
 *
 *   pin_batch_begin ── pin_batch_add … ── pin_batch_lease: sent ── pin_batch_load: awaited, read, settled
 *
 * A second batch may be leased while the first is loaded, so that Redis and PostgreSQL work at the same time. Rows go to
 * Redis as they come, so that no more than PIN_PIECE of them is in memory, and a row.
 * Used by one thread. */
#pragma once

#include "rowfs/engine/pinner.h"
#include "rowfs/engine/store.h"

enum { PIN_SLOTS = 4096 }; /* a power of two, about twice PINNER_KEYS */

/* Bytes of rows that are collected before they are sent; PINNER_PIECE rows are, too. */
enum { PIN_PIECE = 1 << 19, PIN_PIECE_LEAST = 1 << 16 };

/* Which rows, and of what they are copies. */
struct pin_target {
	const struct schema *schema;
	const struct relation *relation;
	const struct cache_proof *proof; /* the epochs under which they are pinned */
	const char *valid;               /* how such a copy begins (copy_print_head()) */
};

struct pin_batch {
	size_t n, limit;  /* rows, and how many it takes */
	struct buf names; /* file names, each with its NUL */
	struct buf keys;  /* the same for Redis */
	size_t at[PINNER_KEYS];
	unsigned short slots[PIN_SLOTS]; /* by a name's hash: its number and one; 0: free */
	struct pinner_keys leased;
	char found[PINNER_KEYS];
	char actions[PINNER_KEYS]; /* what became of each, */
	char todo[PINNER_KEYS];    /* and of that what Redis is to be told yet */
	struct pin_value values[PINNER_KEYS];
	struct buf bytes;          /* of those that are to be filled yet, */
	size_t waiting;            /* and how many they are */
	uint64_t filled;           /* bytes, of all */
	uint64_t spare;            /* so many bytes may come in though there is no room for them, */
	size_t piece;              /* in pieces of so many; PIN_PIECE where there is room */
	bool crowds;               /* some did */
};

/* An empty batch for `limit` rows, PINNER_KEYS at most. */
void pin_batch_begin(struct pin_batch *batch, size_t limit);
void pin_batch_done(struct pin_batch *batch);

static inline bool pin_batch_full(const struct pin_batch *batch)
{
	return batch->n >= batch->limit;
}

const char *pin_batch_name(const struct pin_batch *batch, size_t i);

/* A file name, unless it is there already. */
void pin_batch_add(struct pin_batch *batch, const struct relation *relation, const char *name);

/* Leave only the rows whose `keep` is true. */
void pin_batch_filter(struct pin_batch *batch, const struct relation *relation, const bool *keep);

/* So many rows more may come in though there is no room for them: for what made room for itself when it changed. */
void pin_batch_lend(struct pin_batch *batch, uint64_t bytes);

/* Which of them have been pinned before. Awaited; nothing may be out. */
int pin_batch_known(struct pin_batch *batch, struct pinner *pinner, uint32_t relation, bool *ret_known, struct error *e)
	_must_check_;

int pin_batch_lease(struct pin_batch *batch, struct pinner *pinner, const struct pin_target *target,
		    struct error *e) _must_check_;

/* 0: each row is pinned, or is not to be, or its `found` is PIN_BUSY. -ESTALE: the epochs are others now. -ENOSPC: Redis
 * has no room for them, or not for the rest. Then, and after an error of the SELECT (with its SQLSTATE), the
 * leases that are left are given back. Any other failure is the pinner's. */
int pin_batch_load(struct pin_batch *batch, struct pinner *pinner, struct store *store,
		   const struct pin_target *target, const atomic_bool *abandoned, struct error *e) _must_check_;

/* Append a row's copy to `bytes`, by way of its text; where it is in there. What is too large to be a copy stays out, as with
 * readers: then its length is 0. 0 or -ENOMEM. */
int pin_batch_print(struct pin_batch *batch, const struct pin_target *target, const struct row_view *view,
		    struct buf *text, struct pin_value *ret) _must_check_;

/* Is there room for what is in `bytes`? -ENOSPC: no. */
int pin_batch_find_room(struct pin_batch *batch, const struct pinner *pinner, struct error *e) _must_check_;

/* Give the leases back that were asked for, without loading anything. Failures are the pinner's next call's. */
void pin_batch_abandon(struct pin_batch *batch, struct pinner *pinner);

/* Is there room for so many bytes more? And how much is there for those that made room for themselves: what is left of
 * it, and a part of what Redis would let go for them. */
bool pin_room_for(const struct pinner_room *room, uint64_t bytes);
uint64_t pin_room_spare(const struct pinner_room *room);
