/* Which rows changed since when, as far as this mount has been told: by the feed, and by its own saves.
 *
 *   a read          marks_now() ─── SELECT, or a copy ─── marks_touched(…, that number)? ── no: what was read
 *                        │                                                                   still stands
 *   a change             └──── marks_row() ──► the number grows, the row's slot takes it
 *
 * A number noted before a read began and a question after it tell whether any change came in between, whichever
 * order the threads ran in. A slot serves all rows that hash to it, so the answer may be "touched" for a row that
 * was not; never the other way round. Fixed size, no I/O. Thread-safe; asking takes no lock.
 *
 * Rules K1 and K2 of docs/models/kernel.pml: the number is noted before the read; a change is marked before the
 * kernel is told. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "rowfs/base/cleanup.h"

struct marks;

/* 128 KiB of rows. With 100 changes between a read and its question, one answer in 160 is a false alarm, which costs
 * a second read. */
enum { MARKS_ROWS = 16384, MARKS_RELATIONS = 1024 };

int marks_new(struct marks **ret) _must_check_;
void marks_free(struct marks *marks); /* accepts NULL */

/* The number of the newest change. */
uint64_t marks_now(struct marks *marks);

void marks_row(struct marks *marks, uint32_t relation, const char *name);
void marks_relation(struct marks *marks, uint32_t relation);
void marks_all(struct marks *marks);

/* Has the row changed after number `since`? */
bool marks_touched(struct marks *marks, uint32_t relation, const char *name, uint64_t since);

/* Has any row of the relation? Exact but for other relations in its slot. */
bool marks_relation_touched(struct marks *marks, uint32_t relation, uint64_t since);
