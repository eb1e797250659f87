/* What some committed transactions changed: which rows of which relations, not what they hold now. A change
 * that is told too often, or too coarsely, costs a read; one that is left out is a stale row. */
#pragma once

#include <stdint.h>

#include "rowfs/base/buf.h"

enum batch_op {
	BATCH_INSERT,
	BATCH_UPDATE,
	BATCH_DELETE,
	BATCH_RELATION, /* every row of the relation may be another: TRUNCATE, too many rows to name */
};

struct batch_change {
	uint32_t relation;
	enum batch_op op;
	const char *name; /* file name of the row, suffix and all; "" for BATCH_RELATION */
};

/* More rows than this in one transaction are not named one by one: all of their relations count as changed. */
enum { BATCH_ROWS_MAX = 5000 };

/* Whole transactions, oldest first. A zeroed struct is an empty batch. */
struct batch {
	struct buf changes; /* packed: op, relation, name with its NUL */
	struct buf xids;    /* uint64_t each: full transaction ids */
	size_t n_changes, n_transactions;
};

/* Out of memory sets `failed` of the buffer, which makes all later calls no-ops: check batch_failed() once. */
void batch_add(struct batch *batch, const struct batch_change *change);
void batch_add_transaction(struct batch *batch, uint64_t xid);
bool batch_failed(const struct batch *batch);
uint64_t batch_xid(const struct batch *batch, size_t i);

/* Go through the changes; *at begins with 0. The name is borrowed. False at the end. */
bool batch_next(const struct batch *batch, size_t *at, struct batch_change *ret);

void batch_reset(struct batch *batch); /* keeps its memory */
void batch_done(struct batch *batch);

#define _cleanup_batch_ _cleanup_(batch_done)
