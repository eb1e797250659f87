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
 * used. The hash is the text's: a value that was cut or damaged is garbage.
 *
 * Under a rule with columns= (model/placement.h) the second word also names the columns, `fingerprint/columns`, so that one
 * made under another rule is known by how it begins, and the copy is *partial*: a text of the key and these columns only,
 * beside the version of the whole one, whose `size` and `hash` it has. `check` is a hash of all that:
 *
 *   63f1c2a9-…/63f1c2a8-… 8c1f0e55a3b2d417/91b0c3d4e5f60718 7421 1763805200.123456000 5d2c1b0a99887766 104857 0123456789abcdef
 *
 * A text that cannot be taken apart and put together again to the byte is whole there, too. */
#pragma once

#include "rowfs/base/buf.h"
#include "rowfs/engine/cache.h"
#include "rowfs/engine/rowref.h"
#include "rowfs/engine/text.h"
#include "rowfs/model/json.h"

/* A copy under a feed lives so long at most; what expires is what Redis may evict when it is full. */
enum { COPY_LIFE_MS = 3600000 };

struct copy_terms {
	const struct cache_proof *proof; /* under a feed; NULL: by age */
	int64_t ttl_ms;
};

/* From longer texts no partial copy is made, which would take memory and time. */
enum { COPY_TEXT_MAX = 8 << 20 };

/* How long a copy under a feed lives that a reader makes now: not all until the same moment. */
int64_t copy_life_ms(void);

/* The key of a row's copy under a feed, and of its aged one: its file name without the suffix. */
void copy_row_key(uint32_t relation, const char *name, struct buf *out);
void copy_aged_key(uint32_t relation, const char *name, struct buf *out);
void copy_print_key(bool fed, uint32_t relation, const char *name, struct buf *out);

/* What every copy under these terms begins with; only for those under a feed. */
void copy_print_terms(const struct copy_terms *terms, struct buf *out);

/* The same, and how it goes on for a relation as it is. */
void copy_print_head(const struct relation *relation, const struct copy_terms *terms, struct buf *out);

/* May a text of this length be small enough for a copy? What is printed must have CACHE_VALUE_MAX at most. */
bool copy_may_fit(const struct relation *relation, size_t len);

void copy_print(const struct relation *relation, const struct text *text, const struct copy_terms *terms,
		struct buf *out);

/* The text in a copy, a bare one if that is partial; NULL if `value` is not a copy of this relation as it is now, or not under these terms (for
 * aged ones: may live longer than ttl_ms). *ret_garbage says that it is no copy at all. */
struct text *copy_parse(const struct relation *relation, const struct buf *value,
			const struct copy_terms *terms, bool *ret_garbage) _must_check_;

/* Of one that gave no text: is it a copy under these terms, but made with other columns or another mtime= than the
 * relation has here? */
bool copy_is_foreign(const struct relation *relation, const struct buf *value, const struct copy_terms *terms);

/* Has a partial copy, which copy_parse() has taken, all columns that the relation's rule says now, and no other? */
bool copy_is_complement(const struct relation *relation, const struct buf *value);

/* The cells of such a one: those of the columns that are not cold. 0; -EINVAL: it has others; -ENOMEM. */
int copy_cells(const struct relation *relation, const struct buf *value, struct patch *ret) _must_check_;
