/* The text of a file that is being written: its bytes, whether they are whole, and how far they are JSON. Counts
 * against memory_max, but for what was lent and is written to: one copy for a commit that is on its way. Not
 * thread-safe: an edit's lock guards it. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rowfs/base/buf.h"
#include "rowfs/model/json.h"

/* A zeroed one is an empty text. */
struct draft {
	struct buf text;
	_Atomic size_t size;    /* of it, for those who only look, without the lock */
	uint64_t generation;    /* counts changes to it */
	int cut;                /* why bytes between these two are missing, -errno; 0: none are */
	size_t cut_at, cut_end;
	bool sequential;        /* all of it was written, each piece after the other, */
	struct json_scan scan;  /* and is that far */
	int64_t charged;        /* bytes of the memory budget */
	bool lent;
	struct buf aside;       /* what was lent, since the text was changed meanwhile */
};

void draft_done(struct draft *draft);

/* It is these bytes; that is no change of it. Not while it is lent. 0, -EFBIG, -ENOMEM. */
int draft_begin(struct draft *draft, const void *data, size_t len) _must_check_;

/* 0; -EFBIG beyond TEXT_MAX or -ENOMEM, and then the text is cut until those bytes have come, or it is truncated before
 * them: *ret_cut is true if it was whole before. *ret_progress: how far it is, JSON_INCOMPLETE where it was not written
 * from its beginning on. */
int draft_write(struct draft *draft, size_t offset, const void *data, size_t len, enum json_progress *ret_progress,
		bool *ret_cut) _must_check_;

/* 0, -EFBIG or -ENOMEM. */
int draft_truncate(struct draft *draft, size_t size) _must_check_;

/* Are these bytes in it already? */
bool draft_has(const struct draft *draft, size_t offset, const void *data, size_t len);

/* The text as it is stays where it is, whatever is written, until draft_take_back(). Nothing is copied before it is
 * changed, which hardly ever happens. */
const char *draft_lend(struct draft *draft);
void draft_take_back(struct draft *draft);
