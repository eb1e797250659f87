/* .rowfs/hot: one JSON object a table and line, the most read table first; `rowfs hot` prints it for people. */
#pragma once

#include "rowfs/engine/engine.h"

/* What a copy takes in Redis beside its text: key, header line and Redis' own bookkeeping, as MEMORY USAGE has it. */
enum { COPY_OVERHEAD = 300 };

/* The rows that are named for each table. */
enum { HOT_REPORT_ROWS = 20 };

void hot_report_print(struct engine *engine, struct buf *out);

/* What it proposes for one table, as advise() does (model/advice.h); false, and no rule, too, if nothing was read. */
bool hot_report_advise(struct engine *engine, const struct relation *relation, struct buf *rule, struct buf *because);
