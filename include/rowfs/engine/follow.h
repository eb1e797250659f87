/* What a mount hears of others' changes, and how long it may rely on having heard all.
 *
 *   subscription ── message ── next number, same epoch? ── no: EVERYTHING may be another; begin anew
 *                                    └── yes, in order:  change ──► mark, then tell the kernel
 *                                                       heartbeat ──► LIVE until its deadline
 *   connection lost, or a deadline that passes: EVERYTHING, and not live until a heartbeat is heard again
 *
 * While it is live, whatever was told to the kernel, or kept in memory, and has not been marked since
 * (engine/marks.h) is what PostgreSQL has, but for changes younger than max_staleness. The deadline is on Redis' clock;
 * here it is counted on the monotonic one, from before Redis was asked what time it is (K4).
 *
 * One thread, which serves no request, so it may notify the kernel. Rules K2 to K6 of docs/models/kernel.pml. */
#pragma once

#include "rowfs/base/settings.h"
#include "rowfs/engine/cache.h"
#include "rowfs/engine/marks.h"

struct follow;

/* `marks` and `cache` outlive it. Without a thread yet; follow_start() begins it, and from then on kernel.h is
 * called. A follow that is never started is never live. */
int follow_new(const struct settings *settings, struct cache *cache, struct marks *marks,
	       struct follow **ret) _must_check_;
int follow_start(struct follow *follow) _must_check_;
void follow_free(struct follow *follow); /* ends the thread; accepts NULL */

/* Is everything said now? Takes no lock. */
bool follow_live(struct follow *follow);

/* For how long it is still, if nothing more is heard: until then what has not been marked is no older than max_staleness.
 * 0: it is not. Takes no lock. */
int64_t follow_rest_us(struct follow *follow);

/* Is it live, and is this the epoch that it hears? */
bool follow_hears(struct follow *follow, const char *epoch);

/* Has a heartbeat ever been heard? */
bool follow_has_heard(struct follow *follow);

struct follow_status {
	bool connected, live;
	char epoch[EPOCH_SIZE];
	uint64_t number;
	int64_t heartbeat_age_ms; /* -1: none yet */
	char last_error[256];
};
void follow_status(struct follow *follow, struct follow_status *ret);
