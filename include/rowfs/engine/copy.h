/* A row's copy in Redis, as `redis-cli GET` shows it:
 *
 *   63f1c2a9-9f86d081884c7d65/63f1c2a8-2c26b46b68ffc68f 8c1f0e55a3b2d417 7421 1763805200.123456000 5d2c1b0a99887766
 *   {
 *     "id": 42,
 *   …
 *
 * The header line is `terms fingerprint xid mtime hash`. The terms say when the copy may be used:
 *
 *   r:<oid>:<name>  EPOCH/TABLE  under a feed of changes, as long as both are what they are called now (R5)
 *   a:<oid>:<name>  ttl:1000     without one, by its age alone: Redis lets it live so many milliseconds, counted
 *                                from before its SELECT, and those may use it who may use one that old
 *
 * The fingerprint is the relation's, so that a copy made from other columns, or under another mtime rule, is not
 * used. The hash is the text's: a value that was cut or damaged is garbage. */
#pragma once

#include "rowfs/base/buf.h"
#include "rowfs/engine/cache.h"
#include "rowfs/engine/rowref.h"
#include "rowfs/engine/text.h"

/* A copy under a feed lives so long at most; what expires is what Redis may evict when it is full. */
enum { COPY_LIFE_MS = 3600000 };

struct copy_terms {
	const struct cache_proof *proof; /* under a feed; NULL: by age */
	int64_t ttl_ms;
};

/* The key of a row's copy under a feed, and of its aged one: its file name without the suffix. */
void copy_row_key(uint32_t relation, const char *name, struct buf *out);
void copy_aged_key(uint32_t relation, const char *name, struct buf *out);

/* What every copy under these terms begins with; only for those under a feed. */
void copy_print_terms(const struct copy_terms *terms, struct buf *out);

void copy_print(const struct relation *relation, const struct text *text, const struct copy_terms *terms,
		struct buf *out);

/* The text in a copy; NULL if `value` is not a copy of this relation as it is now, or not under these terms (for
 * aged ones: may live longer than ttl_ms). *ret_garbage says that it is no copy at all. */
struct text *copy_parse(const struct relation *relation, const struct buf *value,
			const struct copy_terms *terms, bool *ret_garbage) _must_check_;
