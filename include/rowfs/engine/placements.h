/* The placement rules that the database keeps, in rowfs.placement: what `rowfs place` does. src/pg defines these.
 *
 * All make a connection of their own, directly to the server. 0, or -errno with a sentence. A table is named as
 * "schema.name", in the database's spelling. */
#pragma once

#include "rowfs/base/buf.h"
#include "rowfs/engine/store.h"
#include "rowfs/model/placement.h"

/* Keep a rule for a table, instead of the one that it may have, after PostgreSQL has found it good for that table. */
int placements_set(struct store *store, const char *table, const struct placement *placement, struct error *e)
	_must_check_;

/* -ENOENT if it has none. */
int placements_drop(struct store *store, const char *table, struct error *e) _must_check_;

/* "schema.name: rule", one a line. */
int placements_list(struct store *store, struct buf *ret, struct error *e) _must_check_;
