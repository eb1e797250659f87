/* What a pg_snapshot says: which transactions had ended when it was taken. Transaction ids are full ones
 * of 64 bits, which never come again. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rowfs/base/cleanup.h"

/* A zeroed struct is the snapshot before all transactions. */
struct snapshot {
	uint64_t next;     /* this one and later ones had not ended; they may well be running */
	uint64_t *running; /* in ascending order; subtransactions are not listed */
	size_t n;
};

/* From PostgreSQL's text, "xmin:xmax:xid,xid,…". Replaces what `ret` held. 0, -EPROTO, -ENOMEM. */
int snapshot_parse(const char *text, struct snapshot *ret) _must_check_;
void snapshot_done(struct snapshot *snapshot);

/* Had the transaction ended? If it committed, its changes are visible. */
bool snapshot_ended(const struct snapshot *snapshot, uint64_t xid);

/* Have all that were running in `older` ended in `newer`? */
bool snapshot_drained(const struct snapshot *older, const struct snapshot *newer);

#define _cleanup_snapshot_ _cleanup_(snapshot_done)
