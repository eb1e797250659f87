#include "rowfs/engine/removal.h"

#include <errno.h>
#include <stdio.h>

#include "rowfs/base/clock.h"
#include "rowfs/base/log.h"
#include "rowfs/engine/commit.h"
#include "rowfs/engine/kernel.h"

/* Rows that are deleted before others who wait for a seat have their turn. */
enum { ROWS_A_TURN = 100 };

/* An unmount deletes what waits, but waits itself for so long at most for what is not deleted then: each row that somebody
 * else has locked takes STORE_LOCK_TIMEOUT_MS. */
enum { WASTED_MAX_MS = 10000 };

/* How often the thread looks while nothing is due. */
enum { LOOK_MIN_MS = 10, LOOK_MAX_MS = 500 };

/* --- rm -------------------------------------------------------------------------------------- */

/* What a new row would not have, the UPDATE would leave: columns that this role does not see. */
static bool may_wait(const struct engine *engine, const struct rowref *ref)
{
	return engine->settings->delete_grace_ms && !ref->relation->partial;
}

/* 1: it cannot wait. */
static int put_off(struct engine *engine, const struct rowref *ref, const struct asker *asker, struct error *e)
{
	_cleanup_text_ struct text *row = NULL;
	int r = reader_fetch(engine->reader, ref, STORE_WRITE, &row, e);

	if (r == -EFBIG || r == -ENOMEM)
		return 1;
	if (r == 0)
		r = commit_rehearse_delete(engine, ref, row, e);
	if (r < 0)
		return r;
	r = names_defer(engine->names, ref->relation->oid, ref->name, row, asker);
	if (r == -EBUSY) /* somebody has moved it away meanwhile */
		return error_set(e, ENOENT, "there is no row %s", ref->name);
	if (r < 0)
		return 1;
	kernel_listing_changed(ref->relation->oid);
	return 0;
}

int removal_unlink(struct engine *engine, const struct rowref *ref, const struct asker *asker, struct error *e)
{
	int r = may_wait(engine, ref) ? put_off(engine, ref, asker, e) : 1;

	return r == 1 ? commit_delete(engine, ref, e) : r;
}

/* --- The DELETE ------------------------------------------------------------------------------ */

static void record(struct engine *engine, const struct removed *removed, const struct relation *relation,
		   const struct error *e)
{
	_cleanup_buf_ struct buf path = {0};
	struct asker who = removed->who;

	if (relation) {
		engine_print_path(engine, relation, &path);
		buf_addc(&path, '/');
	}
	buf_adds(&path, removed->name);
	who.path = path.failed ? removed->name : path.data;
	refusals_add(engine->refusals, &who, e, NULL);
}

/* The row shows again. */
static void show(const struct removed *removed)
{
	kernel_row_changed(removed->relation, removed->name);
	kernel_listing_changed(removed->relation);
}

static int make_delete(struct engine *engine, const struct removed *removed)
{
	_cleanup_rowref_ struct rowref ref = {0};
	struct error e = {0};
	int r = rowref_of_name(engine->catalog, removed->relation, removed->name, &ref, NULL);

	if (r == 0)
		r = commit_delete_unchanged(engine, &ref, removed->base, &e);
	else if (r == -ESTALE)
		return 0; /* the table went with it */
	if (r < 0) {
		(void)error_ensure(&e, r);
		record(engine, removed, ref.relation, &e);
	}
	return r;
}

static int delete_taken(struct engine *engine, struct removed *removed)
{
	int r = make_delete(engine, removed);

	names_event(engine->names, removed->relation, removed->name, r < 0 ? NAME_KEPT : NAME_DELETED, NULL);
	if (r < 0)
		show(removed);
	removed_done(removed);
	return r;
}

int removal_sync(struct engine *engine, uint32_t relation)
{
	struct removed removed;
	int r = 0;

	while (names_take(engine->names, relation, true, &removed)) {
		int made = delete_taken(engine, &removed);

		if (r == 0)
			r = made;
	}
	names_await(engine->names, relation, NULL);
	return r;
}

/* --- What is due ----------------------------------------------------------------------------- */

static void sweep_task(struct lane_task *task)
{
	struct engine *engine = container_of(task, struct engine, sweep_task);
	struct removed removed;
	int rows = 0;

	while (rows < ROWS_A_TURN && !atomic_load(&engine->sweep_ends) && names_take(engine->names, 0, false, &removed)) {
		(void)delete_taken(engine, &removed);
		rows++;
	}
	atomic_store(&engine->sweep, rows < ROWS_A_TURN ? SWEEP_IDLE : SWEEP_MORE);
}

static int64_t look(void *arg)
{
	struct engine *engine = arg;
	int64_t grace_ms = engine->settings->delete_grace_ms;

	if (atomic_exchange(&engine->sweep, SWEEP_UNDER_WAY) != SWEEP_UNDER_WAY)
		lane_run(engine->writes, &engine->sweep_task);
	if (atomic_load(&engine->sweep) == SWEEP_MORE)
		return 0;
	return grace_ms < LOOK_MIN_MS ? LOOK_MIN_MS : grace_ms > LOOK_MAX_MS ? LOOK_MAX_MS : grace_ms;
}

int removal_start(struct engine *engine)
{
	if (!engine->settings->delete_grace_ms)
		return 0;
	engine->sweep_task.run = sweep_task;
	return periodic_start(&engine->sweeper, look, engine);
}

static bool is_away(struct engine *engine)
{
	struct store_status status;

	store_status(engine->store, &status);
	return !status.reachable;
}

/* A server that cannot be reached is not waited for once more for each row, nor others' locks for ever. */
void removal_stop(struct engine *engine)
{
	int64_t wasted_ms = 0;
	unsigned names[NAME_STATES];
	struct removed removed;
	bool away = false;

	if (!engine->sweeper.started)
		return;
	atomic_store(&engine->sweep_ends, true);
	periodic_stop(&engine->sweeper);
	while (!away && wasted_ms < WASTED_MAX_MS && names_take(engine->names, 0, true, &removed)) {
		int64_t began_ms = clock_monotonic_ms();
		int r = delete_taken(engine, &removed);

		wasted_ms += r < 0 ? clock_monotonic_ms() - began_ms : 0;
		away = r == -EIO && is_away(engine);
	}
	names_count(engine->names, names);
	if (names[NAME_UNLINKED] + names[NAME_RECREATED])
		log_warning("%u rows that were removed are not deleted, since %s",
			    names[NAME_UNLINKED] + names[NAME_RECREATED],
			    away ? "PostgreSQL cannot be reached" : "others keep too many of them locked");
}
