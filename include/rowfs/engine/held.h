/* What Redis has under a row's key: a look, which neither reads the row nor leads to its being put there. */
#pragma once

#include "rowfs/engine/engine.h"

struct held {
	enum cache_answer answer;
	struct cache_proof proof; /* under a feed */
	struct text *text;        /* of a copy under the terms that hold, a bare one of a partial copy; NULL: none */
	bool complement;          /* a partial one, of the very columns that the rule says */
	bool garbage;
	bool foreign;             /* a copy that others can use: see copy_is_foreign() */
	int64_t life_ms, age_ms;  /* of what is there; negative: unknown, or life without an end */
};

void held_look(struct engine *engine, const struct rowref *ref, struct held *ret);
void held_done(struct held *held);

/* Would a read be answered from it now? */
bool held_is_usable(struct engine *engine, const struct rowref *ref, const struct held *held);

/* Is it a copy that the sync worker has pinned? */
bool held_is_pinned(struct engine *engine, const struct held *held);

/* The key of the row's copy as this mount reads and makes it. */
void held_print_key(struct engine *engine, const struct rowref *ref, struct buf *out);

#define _cleanup_held_ _cleanup_(held_done)
