/* What this mount has seen for itself: its own saves and the reads that PostgreSQL answered.
 *
 * A shared copy in Redis may be older than that for a while (somebody else's fill of an older version, a
 * drop that got lost). So for a window after each, a copy of that row is accepted only if it is of the
 * very transaction seen; else the reader asks PostgreSQL. Model: docs/architecture.md, "Own reads and
 * writes". Bounded: when it is full, every row of a relation counts as seen. Thread-safe. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "rowfs/base/cleanup.h"

struct own;

/* Rows remembered at once; about 120 bytes each. At 50,000 reads a second it holds one second's. */
enum { OWN_MAX = 65536 };

/* `window_ms`: how long an entry counts, from the moment it is noted. */
int own_new(int64_t window_ms, struct own **ret) _must_check_;
void own_free(struct own *own);

/* Transaction `xid` is what this mount saw of the row last. 0: unknown, accept no copy. */
void own_note(struct own *own, uint32_t relation, const char *name, uint32_t xid);

/* The transaction that this mount saw of the row last; 0: none that is remembered, or unknown. */
uint32_t own_seen(struct own *own, uint32_t relation, const char *name);

/* What Redis says may be older than what it said before: accept no copy for one window. */
void own_doubt(struct own *own);

/* May a copy that was made by `xid` be used? */
bool own_accepts(struct own *own, uint32_t relation, const char *name, uint32_t xid);
