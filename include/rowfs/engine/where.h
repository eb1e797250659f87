/* Which tiers hold a row now: a look that changes nothing, neither what is held nor what counts as read. */
#pragma once

#include "rowfs/engine/engine.h"

/* Lines of `name: value`. `memory`: what this mount would answer from, or NULL. PostgreSQL is asked for the row over a
 * connection of `set`; 0, or -errno and `e` if it did not answer with one. */
int where_print(struct engine *engine, const struct rowref *ref, const struct text *memory, enum store_set set,
		struct buf *out, struct error *e) _must_check_;
