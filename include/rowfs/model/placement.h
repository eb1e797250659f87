/* Which part of a table lives in Redis: the rule that the configuration or the database has for it.
 *
 *   place=lazy            the default: rows come to Redis as they are read, and leave when it is full
 *   place=off             none of its rows is ever there
 *   hot=PREDICATE         those that satisfy it are pinned: there without being read, and without expiry
 *   hash=N/M              those in N of M buckets are; a row's bucket depends on its file name alone
 *   columns=A,"B",…       whichever rows are there, of each only the key and these columns are
 *
 * With both hot and hash a row is pinned that satisfies both. Whatever is not pinned is lazy.
 *
 * As one text, which is what the database keeps, a rule is its settings with blanks between them. A predicate may hold
 * anything, so `hot=` comes last: "hash=1/4 columns=id,stock hot=stock > 0". */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "rowfs/base/buf.h"
#include "rowfs/base/error.h"

/* Longer predicates, lists and names of columns are refused, and more buckets. */
enum {
	PLACEMENT_HOT_MAX = 4000,
	PLACEMENT_COLUMNS_MAX = 4000,
	PLACEMENT_NAME_MAX = 255,
	PLACEMENT_BUCKETS_MAX = 1000000,
};

struct placement {
	bool off;
	char *hot;               /* SQL, or NULL */
	char *columns;           /* names, quoted as in SQL where they must be, with a comma between; or NULL */
	uint32_t share, buckets; /* hash=share/buckets; 0/0: none */
};

/* From the settings, each NULL where it is not said. 0; -EINVAL with a sentence for a bad value or for settings that
 * contradict each other; -ENOMEM. `ret` is only written on success. */
int placement_of(const char *place, const char *hot, const char *hash, const char *columns, struct placement *ret,
                 struct error *e) _must_check_;

/* From one text. The same, and -EINVAL for a setting that is unknown or said twice, or for a text without any. */
int placement_parse(const char *text, struct placement *ret, struct error *e) _must_check_;

/* The one text, which parses to the same rule. */
void placement_print(const struct placement *placement, struct buf *out);

void placement_done(struct placement *placement); /* leaves "lazy" */
bool placement_equal(const struct placement *a, const struct placement *b);

/* The next name in `columns`, from *at on (first: `columns` itself), without its quotes; false at the end. */
bool placement_next_column(const char **at, char ret[PLACEMENT_NAME_MAX + 1]);

/* Take over `columns`, if there are any. 0 or -ENOMEM. */
int placement_copy_columns(const struct placement *from, struct placement *to) _must_check_;

/* Does it pin any rows? */
bool placement_pins(const struct placement *placement);

/* Is a row of this file name in the pinned buckets? True without hash=. The same in every process and for all time. */
bool placement_shares(const struct placement *placement, const char *name);

/* The bucket of a name, of so many: 0 and up. */
uint32_t placement_bucket(const char *name, uint32_t buckets);

#define _cleanup_placement_ _cleanup_(placement_done)
