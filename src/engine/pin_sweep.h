/* Going through what does not expire in Redis, relation by relation, and removing what may not stay. For engine/pins.h,
 * whose thread owns it. A zeroed struct has nothing to do. */
#pragma once

#include "pin_rules.h"

struct pin_sweep {
	bool all_due; /* of every relation, whichever worker has pinned it; else of tables whose sweep_due says so */
	bool under_way;
	struct buf relations; /* uint32_t each; */
	size_t at;            /* which one; */
	uint64_t cursor;      /* how far; */
	bool takes_all;       /* nothing of it was let stay so far */
};

/* There is, or it is being done. */
bool pin_sweep_due(const struct pin_sweep *sweep, const struct pin_rules *rules);

/* Some of it. *ret_busy becomes true if there was something to do. After a failure pin_sweep_fail(). */
int pin_sweep_work(struct pin_sweep *sweep, struct pin_rules *rules, struct pinner *pinner, bool *ret_busy,
		   struct error *e) _must_check_;

/* The connection is gone: from the beginning, later. */
void pin_sweep_fail(struct pin_sweep *sweep);
void pin_sweep_done(struct pin_sweep *sweep);
