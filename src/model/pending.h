/* The transactions that are still open, and what each has changed so far: rows by name, or, where
 * that would be too many or is not possible, whole relations. */
#pragma once

#include <uthash.h>

#include "rowfs/model/batch.h"

struct pending {
	UT_hash_handle hh;
	uint32_t xid;
	struct batch rows;
	size_t last;     /* where in `rows` the last change begins */
	uint32_t *whole; /* relations that count as a whole, sorted */
	size_t n_whole, whole_cap;
	bool collapsed; /* every relation counts as a whole */
	bool failed;    /* out of memory */
};

/* May the next change of this relation be BATCH_RELATION just as well? Then no name need be made
 * for it. */
bool pending_is_whole(const struct pending *pending, uint32_t relation);

/* Add everything to a batch. */
void pending_tell(const struct pending *pending, struct batch *batch);

/* All that are open. A zeroed struct has none. */
struct open {
	struct pending *by_xid;
	size_t bytes; /* memory held */
};

void open_done(struct open *open);

struct pending *open_find(const struct open *open, uint32_t xid); /* NULL: none */
struct pending *open_add(struct open *open, uint32_t xid);        /* NULL: out of memory */
void open_drop(struct open *open, struct pending *pending);

/* Add a change to one of them; one that says what the one before it said is left out. While they
 * hold more than TRANSACTIONS_BYTES_MAX, the largest forgets its rows' names and keeps their
 * relations. False: out of memory. */
bool open_note(struct open *open, struct pending *pending,
               const struct batch_change *change) _must_check_;
