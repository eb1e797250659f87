#include "rowfs/engine/warm.h"

#include <errno.h>

#include "rowfs/base/clock.h"
#include "rowfs/engine/copy.h"
#include "rowfs/engine/held.h"
#include "rowfs/engine/preload.h"

/* Fills are not awaited, so the copy may come a moment after the answer. */
enum { LOOKS = 4, LOOK_MS = 5 };

/* How a look into Redis alone ends, if no more can be done. */
static enum warm_outcome judge(struct engine *engine, const struct rowref *ref, const struct held *held)
{
	if (held_is_usable(engine, ref, held))
		return WARM_THERE;
	if (held->answer == CACHE_DOWN)
		return WARM_DOWN;
	return engine->feed && !held->proof.fresh ? WARM_UNPROVED : WARM_ABSENT;
}

static enum warm_outcome look(struct engine *engine, const struct rowref *ref)
{
	_cleanup_held_ struct held held = {0};

	held_look(engine, ref, &held);
	return judge(engine, ref, &held);
}

static enum warm_outcome look_for_fill(struct engine *engine, const struct rowref *ref)
{
	enum warm_outcome found = WARM_ABSENT;

	for (int i = 0; i < LOOKS && found == WARM_ABSENT; i++) {
		if (i)
			clock_pause_us(LOOK_MS * 1000);
		found = look(engine, ref);
	}
	if (found == WARM_THERE)
		return WARM_DONE;
	return found == WARM_ABSENT ? WARM_LEFT_OUT : found;
}

/* The reader has found that Redis can have no copy now. */
static enum warm_outcome look_why(struct engine *engine, const struct rowref *ref)
{
	enum warm_outcome found = look(engine, ref);

	return found == WARM_ABSENT ? WARM_BUSY : found;
}

static enum warm_outcome out_of_memory(struct warm_batch *batch)
{
	error_copy_text(batch->reason, sizeof batch->reason, "out of memory");
	return WARM_FAILED;
}

static enum warm_outcome load(struct engine *engine, const struct rowref *ref, struct warm_batch *batch)
{
	enum warm_outcome before = look(engine, ref);
	struct error e = {0};
	size_t len;
	int r;

	if (before != WARM_ABSENT)
		return before;
	r = preload(batch->preloader, ref, &len, &e);
	switch (-r) {
	case 0:
		return !copy_may_fit(ref->relation, len) ? WARM_LARGE : look_for_fill(engine, ref);
	case ENOENT:
		return WARM_NO_ROW;
	case EINTR:
		return WARM_UNTRIED;
	case EBUSY:
		if (!e.sqlstate[0])
			return look_why(engine, ref);
	}
	error_copy_text(batch->reason, sizeof batch->reason, e.message);
	return WARM_FAILED;
}

/* A lease goes, too: what is being read just now is not put there. */
static enum warm_outcome evict(struct engine *engine, const struct rowref *ref, struct warm_batch *batch)
{
	_cleanup_held_ struct held held = {0};
	_cleanup_buf_ struct buf key = {0};

	held_look(engine, ref, &held);
	if (held.answer == CACHE_DOWN)
		return WARM_DOWN;
	if (held.answer == CACHE_MISS)
		return WARM_ABSENT;
	if (held_is_pinned(engine, &held))
		return WARM_PINNED;
	held_print_key(engine, ref, &key);
	if (key.failed)
		return out_of_memory(batch);
	cache_drop(engine->cache, key.data, key.len);
	return WARM_DONE;
}

/* What is barred has no copies; nothing is asked of Redis for it. */
static bool is_barred(struct engine *engine, const struct relation *relation, struct warm_batch *batch)
{
	const char *why = reader_bars(engine->reader, relation).why;
	struct cache_status status;

	cache_status(engine->cache, &status);
	if (!why && relation->placement.off)
		why = "place=off";
	if (!status.configured)
		why = "this mount has no Redis";
	if (why)
		error_copy_text(batch->reason, sizeof batch->reason, why);
	return why;
}

static enum warm_outcome run_row(struct engine *engine, struct warm_batch *batch, const char *name)
{
	_cleanup_rowref_ struct rowref ref = {0};
	int r = rowref_of_name(engine->catalog, batch->relation, name, &ref, NULL);

	if (r == -ENOMEM)
		return out_of_memory(batch);
	if (r < 0)
		return WARM_NO_ROW;
	if (is_barred(engine, ref.relation, batch))
		return WARM_BARRED;
	switch (batch->action) {
	case WARM_LOAD:
		return load(engine, &ref, batch);
	case WARM_EVICT:
		return evict(engine, &ref, batch);
	case WARM_CHECK:
		break;
	}
	return look(engine, &ref);
}

/* What goes wrong with one row takes its time with each, or passes by itself. */
static bool ends_batch(enum warm_outcome outcome)
{
	return outcome == WARM_FAILED || outcome == WARM_UNTRIED || outcome == WARM_DOWN || outcome == WARM_UNPROVED;
}

void warm_batch_run(struct engine *engine, struct warm_batch *batch)
{
	for (size_t i = 0; i < batch->n && !preloader_stopped(batch->preloader); i++) {
		batch->rows[i].outcome = run_row(engine, batch, batch->rows[i].name);
		if (ends_batch(batch->rows[i].outcome))
			return;
	}
}
