/* pinner.h where no row can be pinned, but sweeps can be told: who pins is tested on a real Redis
 * (tests/integration/placement.bats). Events: "mark" "unmark". */
#pragma once

#include "rowfs/engine/pinner.h"

/* A step of a sweep, as pinner_sweep(). */
typedef void fake_sweep_fn(uint32_t relation, const char *valid, uint64_t *cursor);

/* From now on a pinner can be opened, Redis has room, and this relation has its mark. NULL: none can. */
void fake_pinner_on(fake_sweep_fn *fn, uint32_t marked);
