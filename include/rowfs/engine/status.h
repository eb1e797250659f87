/* .rowfs/status: what the mount is, does and waits for, as lines of `name: value`. */
#pragma once

#include "rowfs/engine/engine.h"

/* Answers from memory; asks no server. */
void status_print(struct engine *engine, struct buf *out);
