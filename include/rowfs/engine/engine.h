/* All of the engine, wired: what a file system operation needs to do its work. */
#pragma once

#include "rowfs/base/periodic.h"
#include "rowfs/base/settings.h"
#include "rowfs/engine/access.h"
#include "rowfs/engine/bases.h"
#include "rowfs/engine/cache.h"
#include "rowfs/engine/catalog.h"
#include "rowfs/engine/follow.h"
#include "rowfs/engine/hot.h"
#include "rowfs/engine/lane.h"
#include "rowfs/engine/marks.h"
#include "rowfs/engine/names.h"
#include "rowfs/engine/preload.h"
#include "rowfs/engine/reader.h"
#include "rowfs/engine/refusal.h"
#include "rowfs/engine/scratch.h"
#include "rowfs/engine/store.h"
#include "rowfs/engine/sync.h"

/* Who has rows loaded (engine/warm.h) waits for reads, so these seats are not theirs. */
enum { ENGINE_WARMERS = 2 };

/* FUSE workers: as many again as may wait for PostgreSQL, so that half are always free to answer what
 * needs no database. */
enum { ENGINE_WORKERS = 2 * (STORE_READERS + STORE_WRITERS + ENGINE_WARMERS) };

/* A PostgreSQL restart takes a second or two; a closing editor should not hang for much longer. */
enum { COMMIT_SETTLE_MS = 10000 };

/* A read that has queued for so long is told that PostgreSQL is busy; a save waits, since what was typed counts more
 * than its time. Longer than any burst of short reads lasts, and than five waits for a lock in a row. */
enum { ENGINE_READ_PATIENCE_MS = 10000 };

/* The share of memory_max that the texts may take which programs have read and may save (engine/bases.h). */
enum { ENGINE_BASES_SHARE = 8 };

/* Of the rows that were removed: what the task is about that deletes them. */
enum sweep { SWEEP_IDLE, SWEEP_UNDER_WAY, SWEEP_MORE /* idle, but more are due */ };

struct engine {
	const struct settings *settings;
	struct store *store;
	struct cache *cache;
	struct catalog *catalog;
	struct access *access;
	struct hot *hot;
	struct reader *reader;
	struct names *names;
	struct bases *bases;
	struct scratch *scratch;
	struct refusals *refusals;
	struct lane *reads;  /* STORE_READERS seats, by relation */
	struct lane *writes; /* STORE_WRITERS seats */
	struct lane *warms;  /* ENGINE_WARMERS seats, */
	struct preloaders warming; /* and what works there */
	int64_t settle_ms;   /* how long a lost save is asked after: COMMIT_SETTLE_MS */
	struct marks *marks;
	struct follow *follow;
	struct sync *sync;      /* NULL: this process is never the sync worker */
	atomic_bool feed;       /* copies are proved by a feed of changes, not by their age */
	char no_feed[512];      /* why they are not, or "" */
	struct periodic chores; /* background thread */
	int64_t size_due_ms;    /* its own */
	_Atomic uint64_t database_bytes; /* for df; refreshed by the background thread */
	struct last_insert *last_insert;
	struct periodic sweeper;     /* engine/removal.h, as is what follows */
	struct lane_task sweep_task;
	_Atomic enum sweep sweep;
	atomic_bool sweep_ends;
};

/* Wire it and read the catalog. `settings`, `store`, `cache` outlive it. No thread yet. */
int engine_open(const struct settings *settings, struct store *store, struct cache *cache,
		struct engine *ret, struct error *e) _must_check_;

/* Start the threads: one for chores (polls the catalog, probes Redis while it is away), one that follows the feed
 * of changes, one that may be the sync worker. */
int engine_start(struct engine *engine) _must_check_;

/* End all that goes on by itself, and wait for what is being read and written: from then on kernel.h is not called. */
void engine_stop(struct engine *engine);

/* The same, and free it. */
void engine_close(struct engine *engine);

/* The path of the row that `.new.json` inserted last, for .rowfs/last-insert. */
void engine_note_insert(struct engine *engine, const struct relation *relation, const char *name);
void engine_print_last_insert(struct engine *engine, struct buf *out);

/* `schema/table` of a relation as the mount shows it, without a leading slash. */
void engine_print_path(const struct engine *engine, const struct relation *relation, struct buf *out);
