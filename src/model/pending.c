#include "pending.h"

#include <stdlib.h>
#include <string.h>

#include "rowfs/model/transaction.h"

enum { WHOLE_FIRST = 4 };

/* Index of the first that is not smaller. */
static size_t whole_at(const struct pending *pending, uint32_t relation)
{
	size_t low = 0, high = pending->n_whole;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (pending->whole[middle] < relation)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool has_whole(const struct pending *pending, uint32_t relation)
{
	size_t at = whole_at(pending, relation);

	return at < pending->n_whole && pending->whole[at] == relation;
}

static bool grow_whole(struct pending *pending)
{
	size_t cap = pending->whole_cap ? pending->whole_cap * 2 : WHOLE_FIRST;
	uint32_t *whole = realloc(pending->whole, cap * sizeof(*whole));

	if (!whole)
		return false;
	pending->whole = whole;
	pending->whole_cap = cap;
	return true;
}

static void add_whole(struct pending *pending, uint32_t relation)
{
	size_t at = whole_at(pending, relation);

	if (at < pending->n_whole && pending->whole[at] == relation)
		return;
	if (pending->n_whole == pending->whole_cap && !grow_whole(pending)) {
		pending->failed = true;
		return;
	}
	memmove(pending->whole + at + 1, pending->whole + at,
	        (pending->n_whole - at) * sizeof(*pending->whole));
	pending->whole[at] = relation;
	pending->n_whole++;
}

/* Forget the rows' names and keep their relations. */
static void collapse(struct pending *pending)
{
	struct batch_change change;
	size_t at = 0;

	while (batch_next(&pending->rows, &at, &change))
		add_whole(pending, change.relation);
	batch_done(&pending->rows);
	pending->last = 0;
	pending->collapsed = true;
}

static bool is_last(const struct pending *pending, const struct batch_change *change)
{
	struct batch_change last;
	size_t at = pending->last;

	return batch_next(&pending->rows, &at, &last) && last.op == change->op &&
	       last.relation == change->relation && strcmp(last.name, change->name) == 0;
}

static void add_row(struct pending *pending, const struct batch_change *change)
{
	size_t at = pending->rows.changes.len;

	if (is_last(pending, change))
		return;
	if (pending->rows.n_changes == BATCH_ROWS_MAX) {
		collapse(pending);
		add_whole(pending, change->relation);
		return;
	}
	batch_add(&pending->rows, change);
	pending->last = at;
	pending->failed = pending->failed || batch_failed(&pending->rows);
}

static void add(struct pending *pending, const struct batch_change *change)
{
	if (pending->collapsed || change->op == BATCH_RELATION)
		add_whole(pending, change->relation);
	else
		add_row(pending, change);
}

bool pending_is_whole(const struct pending *pending, uint32_t relation)
{
	return pending->collapsed || has_whole(pending, relation);
}

void pending_tell(const struct pending *pending, struct batch *batch)
{
	struct batch_change change;
	size_t at = 0;

	while (batch_next(&pending->rows, &at, &change))
		if (!has_whole(pending, change.relation))
			batch_add(batch, &change);
	for (size_t i = 0; i < pending->n_whole; i++) {
		change = (struct batch_change){pending->whole[i], BATCH_RELATION, ""};
		batch_add(batch, &change);
	}
}

/* --- All of them ----------------------------------------------------------------------------- */

static size_t bytes_of(const struct pending *pending)
{
	return sizeof(*pending) + pending->rows.changes.cap +
	       pending->whole_cap * sizeof(*pending->whole);
}

void open_drop(struct open *open, struct pending *pending)
{
	open->bytes -= bytes_of(pending);
	HASH_DEL(open->by_xid, pending);
	batch_done(&pending->rows);
	free(pending->whole);
	free(pending);
}

void open_done(struct open *open)
{
	while (open->by_xid)
		open_drop(open, open->by_xid);
}

struct pending *open_find(const struct open *open, uint32_t xid)
{
	struct pending *pending;

	HASH_FIND(hh, open->by_xid, &xid, sizeof(xid), pending);
	return pending;
}

struct pending *open_add(struct open *open, uint32_t xid)
{
	struct pending *pending = calloc(1, sizeof(*pending));

	if (!pending)
		return NULL;
	pending->xid = xid;
	HASH_ADD(hh, open->by_xid, xid, sizeof(pending->xid), pending);
	if (!pending->hh.tbl) {
		free(pending);
		return NULL;
	}
	open->bytes += bytes_of(pending);
	return pending;
}

/* The one that holds most names; NULL if none holds any. */
static struct pending *largest(const struct open *open)
{
	struct pending *pending, *next, *ret = NULL;

	HASH_ITER (hh, open->by_xid, pending, next)
		if (!pending->collapsed && (!ret || bytes_of(pending) > bytes_of(ret)))
			ret = pending;
	return ret;
}

/* Each can be the largest once only, so this stays cheap however many are open. */
static bool keep_bound(struct open *open)
{
	struct pending *pending;

	while (open->bytes > TRANSACTIONS_BYTES_MAX && (pending = largest(open))) {
		open->bytes -= bytes_of(pending);
		collapse(pending);
		open->bytes += bytes_of(pending);
		if (pending->failed)
			return false;
	}
	return true;
}

bool open_note(struct open *open, struct pending *pending, const struct batch_change *change)
{
	open->bytes -= bytes_of(pending);
	add(pending, change);
	open->bytes += bytes_of(pending);
	return !pending->failed && keep_bound(open);
}
