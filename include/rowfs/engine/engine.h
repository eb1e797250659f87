/* All of the engine, wired: what a file system operation needs to do its work. */
#pragma once

#include "rowfs/base/settings.h"
#include "rowfs/engine/cache.h"
#include "rowfs/engine/catalog.h"
#include "rowfs/engine/lane.h"
#include "rowfs/engine/names.h"
#include "rowfs/engine/reader.h"
#include "rowfs/engine/refusal.h"
#include "rowfs/engine/scratch.h"
#include "rowfs/engine/store.h"

/* FUSE workers: as many again as may wait for PostgreSQL, so that half are always free to answer what
 * needs no database. */
enum { ENGINE_WORKERS = 2 * (STORE_READERS + STORE_WRITERS) };

/* A PostgreSQL restart takes a second or two; a closing editor should not hang for much longer. */
enum { COMMIT_SETTLE_MS = 10000 };

/* A read that has queued for so long is told that PostgreSQL is busy; a save waits, since what was typed counts more
 * than its time. Longer than any burst of short reads lasts, and than five waits for a lock in a row. */
enum { ENGINE_READ_PATIENCE_MS = 10000 };

struct engine {
	const struct settings *settings;
	struct store *store;
	struct cache *cache;
	struct catalog *catalog;
	struct reader *reader;
	struct names *names;
	struct scratch *scratch;
	struct refusals *refusals;
	struct lane *reads;  /* STORE_READERS seats, by relation */
	struct lane *writes; /* STORE_WRITERS seats */
	int64_t settle_ms;   /* how long a lost save is asked after: COMMIT_SETTLE_MS */
	struct beat *beat;   /* background thread */
	_Atomic uint64_t database_bytes; /* for df; refreshed by the background thread */
	struct last_insert *last_insert;
};

/* Wire it and read the catalog. `settings`, `store`, `cache` outlive it. No thread yet. */
int engine_open(const struct settings *settings, struct store *store, struct cache *cache,
		struct engine *ret, struct error *e) _must_check_;

/* Start the background thread: polls the catalog, probes Redis while it is away. */
int engine_start(struct engine *engine) _must_check_;

/* Waits for what is being written. */
void engine_close(struct engine *engine);

/* The path of the row that `.new.json` inserted last, for .rowfs/last-insert. */
void engine_note_insert(struct engine *engine, const struct relation *relation, const char *name);
void engine_print_last_insert(struct engine *engine, struct buf *out);

/* `schema/table` of a relation as the mount shows it, without a leading slash. */
void engine_print_path(const struct engine *engine, const struct relation *relation, struct buf *out);
