/* The tables with a placement rule, as a snapshot of the catalog has them. For engine/pins.h, whose thread owns it. */
#pragma once

#include "pin_table.h"

struct pin_rules {
	struct schema *schema; /* held; NULL: none yet */
	struct pin_table *tables;
	size_t n;
};

/* Take the rules of a snapshot. What was known of a table is kept as far as it is the same, with the same rule.
 * `lags`: rows are read from a standby.
 * *ret_sweep: some copies that do not expire may not stay. */
int pin_rules_take(struct pin_rules *rules, struct schema *schema, bool lags, bool *ret_sweep) _must_check_;
void pin_rules_done(struct pin_rules *rules);

/* NULL: it has none. */
struct pin_table *pin_rules_find(const struct pin_rules *rules, uint32_t relation);

/* "; shop.old: lazy, since there is no such table": the rules of tables that the snapshot does not have. */
void pin_rules_print_unplaced(const struct pin_rules *rules, struct buf *out);
