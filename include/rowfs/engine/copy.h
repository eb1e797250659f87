/* A row's copy in Redis, as `redis-cli GET` shows it:
 *
 *   ttl:1000 8c1f0e55a3b2d417 7421 1763805200.123456000 5d2c1b0a99887766
 *   {
 *     "id": 42,
 *   …
 *
 * The header line is `epoch fingerprint xid mtime hash`. Without change capture the epoch is `ttl:` and the
 * milliseconds that the copy lives, counted from before its SELECT and kept by Redis (PX): it is valid by
 * its age alone, to those who may use one that old. The fingerprint is the relation's, so that a copy made
 * from other columns, or under another mtime rule, is not used. The hash is the text's: a value that was cut
 * or damaged is garbage. */
#pragma once

#include "rowfs/base/buf.h"
#include "rowfs/engine/rowref.h"
#include "rowfs/engine/text.h"

/* The key of a row's aged copy, "a:<relation oid>:<file name without suffix>". */
void copy_key(const struct rowref *ref, struct buf *out);

void copy_print(const struct relation *relation, const struct text *text, int64_t ttl_ms,
		struct buf *out);

/* The text in a copy; NULL if `value` is not a copy of this relation as it is now, or one that may live
 * longer than `ttl_ms`. *ret_garbage says that it is no copy at all. */
struct text *copy_parse(const struct relation *relation, const struct buf *value, int64_t ttl_ms,
			bool *ret_garbage) _must_check_;
