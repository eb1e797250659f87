/* What the mount is, does and waits for: .rowfs/status as lines of `name: value`, for people and for `rowfs status`;
 * .rowfs/metrics for Prometheus. */
#pragma once

#include "rowfs/engine/engine.h"

/* Answers from memory; asks no database. (Redis is asked what a worker elsewhere says of itself.) */
void status_print(struct engine *engine, struct buf *out);
void status_print_metrics(struct engine *engine, struct buf *out);
