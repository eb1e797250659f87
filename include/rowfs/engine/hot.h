/* What is read most, on all mounts of a database together; and Redis has it.
 *
 *   this mount's reads (engine/access.h) ── every few seconds ──► its summary in Redis, in a place of its own
 *   the other mounts' summaries ──────────────────────────────► the sum, for `rowfs hot` and for what comes now:
 *
 * A row that another mount has read counts as read once here. A row that this mount has read again, but from its own
 * memory, is put into Redis, where the others, and whoever starts later, find it; once in an epoch, so that what Redis
 * evicts is not carried back. And when an epoch begins, which makes all copies unusable, the most read rows of the sum
 * are put there again, the most read first, so that a restart of the worker or of Redis is no stampede on PostgreSQL. All
 * of that goes by the rules of any read (engine/reader.h), one row at a time: mounts that do it at once share the work,
 * since each leaves to the others what they have leased. The mounts do it and not the sync worker, which has no catalog,
 * and whose role need not have the right to read.
 *
 * Summaries are hints: one that is lost, late or forged costs a little work or a worse report. */
#pragma once

#include "rowfs/base/settings.h"
#include "rowfs/engine/access.h"
#include "rowfs/engine/cache.h"
#include "rowfs/engine/catalog.h"
#include "rowfs/engine/follow.h"
#include "rowfs/engine/reader.h"

struct hot;

/* Mounts that tell each other; more of them only listen. A summary of a mount that has ended goes by itself. */
enum { HOT_PLACES = 32, HOT_EXCHANGE_MS = 5000, HOT_LIFE_MS = 30000 };

/* The rows in a summary, the most read first: some 30 KB of Redis for each mount. */
enum { HOT_TOLD_ROWS = 1024 };

/* All of it outlives it. */
struct hot_parts {
	const struct settings *settings;
	struct cache *cache;
	struct catalog *catalog;
	struct reader *reader;
	struct follow *follow;
	struct access *access;
};

int hot_new(const struct hot_parts *parts, struct hot **ret) _must_check_; /* -ENOMEM */
int hot_start(struct hot *hot) _must_check_; /* its thread */
void hot_stop(struct hot *hot);              /* ends it; accepts NULL */
void hot_free(struct hot *hot);              /* accepts NULL */

/* This mount's reads as they are now, with those of the others as they were some seconds ago; settled. Of tables whose
 * copies in Redis this mount may not use, the others' rows are left out: its role may not see them. How many other mounts
 * there are. */
unsigned hot_sum(struct hot *hot, struct popularity *ret);
