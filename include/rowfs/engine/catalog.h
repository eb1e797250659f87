/* The current schema snapshot: swapped when DDL happens, shared by reference count, so that a reader
 * keeps the one it began with. */
#pragma once

#include "rowfs/base/error.h"
#include "rowfs/engine/store.h"
#include "rowfs/model/schema.h"

struct catalog;

/* DDL made by others shows after at most this long plus the time to read the catalog. */
enum { CATALOG_POLL_MS = 1000 };

int catalog_open(struct store *store, struct catalog **ret, struct error *e) _must_check_;
void catalog_close(struct catalog *catalog);

/* The current snapshot; the caller holds a reference. Never NULL, never waits. */
struct schema *catalog_get(struct catalog *catalog);

/* Ask whether the catalog changed and read it again if so, which is true; called by the background thread.
 * Without an answer the old snapshot stays: a server that is gone has lost no tables. */
bool catalog_poll(struct catalog *catalog);

/* The snapshot `known` turned out to be out of date: read the catalog now, unless that has been done. Blocks
 * like a statement. */
void catalog_renew(struct catalog *catalog, const struct schema *known);

/* A statement met a table or column that is gone: the next poll reads the catalog again. */
void catalog_suspect(struct catalog *catalog);

static inline void cleanup_schema(struct schema **schema)
{
	schema_unref(*schema);
}

#define _cleanup_schema_ _cleanup_(cleanup_schema)
