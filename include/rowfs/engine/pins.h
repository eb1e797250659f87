/* The rows that are pinned in Redis, as the tables' placement rules say (model/placement.h): the sync worker's second
 * thread. It loads them when the worker begins to lead and whenever an epoch, a rule or a table has become another, and
 * again what has changed; and it removes what does not expire and is of no use any more.
 *
 * It is a reader like any other (R5, see engine/pinner.h): the worker drops a changed row's copy, pinned or not, and
 * then tells this thread its name. A row that does not satisfy its rule any more is gone by that, and is not pinned
 * again. So a pinned row is never less fresh than another.
 *
 *   CLEARING ── swept ──► LOADING ── all read ──► LOADED ── another epoch, or an audit is due ──► LOADING
 *                           │  └─ no room in Redis: FULL, again after a while
 *                           └──── the predicate fails: FAILED, as if there were no rule, again after a while
 *
 * A table that somebody holds, say, waits, and tables are loaded in turns, so none holds up another for longer than a
 * statement may take. A rule that speaks of the time is true for other rows later: so all tables are looked through in
 * audits, after which what was found in none leaves (pin_weed.c). A failure may leave leases, so a sweep follows it.
 *
 * Rows are found in pages in key order, and pinned in batches. The statements are over a connection of their own, with
 * the rights of the worker's role, and change nothing. */
#pragma once

#include "rowfs/base/settings.h"
#include "rowfs/engine/cache.h"
#include "rowfs/engine/catalog.h"
#include "rowfs/engine/store.h"
#include "rowfs/model/batch.h"

struct pins;

struct pins_parts {
	struct store *store;
	struct cache *cache;
	struct catalog *catalog; /* polled by somebody else */
	int64_t audit_ms;        /* how often what is pinned is compared with its rules; 0: PIN_AUDIT_MS */
};

int pins_new(const struct pins_parts *parts, struct pins **ret) _must_check_;
int pins_start(struct pins *pins) _must_check_;
void pins_tell(struct pins *pins); /* it is to end, but is not waited for yet; accepts NULL */
void pins_free(struct pins *pins); /* ends the thread; accepts NULL */

/* This process is the worker from now on, or not any more. */
void pins_lead(struct pins *pins, bool lead);

/* The worker has dropped what the batch names. */
void pins_changed(struct pins *pins, const struct batch *batch);

/* "public.goods: 400 rows pinned; …": each table with a rule, and what there is to say; nothing if there is none. */
void pins_print(struct pins *pins, struct buf *out);
