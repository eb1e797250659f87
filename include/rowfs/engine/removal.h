/* rm of a row. At once it is one DELETE; with delete_grace the DELETE is put off, so that it and a new file of the name
 * become one UPDATE:
 *
 *   unlink ── SELECT ── DELETE, taken back ── refused: rm is told, and nothing has changed
 *                                └── it would do: the name is hidden (engine/names.h), rm is told so
 *   create, write, close ──────── UPDATE of that row
 *   nobody creates it ─── grace ── DELETE of that row, if it still is the one that was removed
 *                                       └── refused: the row shows again, and why is in .rowfs/errors
 *
 * One thread looks for what is due, and one task at a time makes it, on a seat of the write lane, a few rows a turn.
 * What still waits is made at the end of the mount. What a crash leaves waiting was never removed. */
#pragma once

#include "rowfs/engine/engine.h"

/* How much may wait: this share of memory_max for the rows' texts. What would be more is deleted at once. */
enum { REMOVAL_SHARE = 8 };

/* 0 or -errno with the reason; on a seat of the write lane. `asker` is told of a refusal that comes later. */
int removal_unlink(struct engine *engine, const struct rowref *ref, const struct asker *asker,
		   struct error *e) _must_check_;

/* Delete now what waits of a relation, and wait for what is being deleted; on a seat of the write lane. 0, or the
 * first failure, which has been recorded. */
int removal_sync(struct engine *engine, uint32_t relation) _must_check_;

int removal_start(struct engine *engine) _must_check_;

/* End the thread, and delete what waits. The lanes are still there. */
void removal_stop(struct engine *engine);
