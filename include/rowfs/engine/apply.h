/* `rowfs hot --apply`: what .rowfs/hot proposes for a table becomes its rule in the database. */
#pragma once

#include "rowfs/engine/engine.h"

/* True in *ret_set: it has the rule in `rule` now. False: there was nothing to do. `because` says why, either way. 0, or
 * -errno with a sentence: PostgreSQL did not take it, or there is no such relation (-ESTALE). Waits for PostgreSQL. */
int apply_advice(struct engine *engine, uint32_t relation, bool *ret_set, struct buf *rule, struct buf *because,
		 struct error *e) _must_check_;
