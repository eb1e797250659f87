#include "rowfs/engine/pins.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "pin_rules.h"
#include "pin_sweep.h"
#include "rowfs/base/clock.h"
#include "rowfs/base/log.h"
#include "rowfs/base/periodic.h"
#include "rowfs/model/name.h"
#include "rowfs/model/sqlstate.h"

/* How long to sleep: while there is nothing to pin, between looks at what is there, after a failure. */
enum { IDLE_MS = 200, LOOK_MS = 20, TROUBLE_MS = 500 };

/* Epochs are asked for, and names looked at again, so often. A mount that has saved a row drops its copy by itself, a
 * little after the worker perhaps, and so after it was pinned again. */
enum { EPOCHS_MS = 100, AGAIN_MS = 700 };

/* What status says may be so old. */
enum { COUNT_MS = 500 };

/* Changed names that wait, in bytes, and those that are looked at again; with more of them every table is looked through instead. */
enum { CHANGED_MAX = 8 << 20 };

struct pins {
	struct pins_parts parts;
	struct periodic thread;
	pthread_mutex_t lock;
	bool lead;                   /* [lock] */
	uint32_t *relations;         /* [lock] those of `rules` that pin rows, */
	size_t n_relations;          /* [lock] */
	struct batch changed;        /* [lock] */
	bool overflow;               /* [lock] some were not noted */
	struct buf report;           /* [lock] */

	/* The thread's own. */
	bool leading;
	struct pin_rules rules;
	struct pin_work work;
	struct batch taken, again;
	int64_t epochs_due_ms, again_due_ms, count_due_ms;
	size_t turn;            /* whose it is to be loaded next */
	struct pin_sweep sweep;
	char trouble[256];
	bool evicts_all;
};

int pins_new(const struct pins_parts *parts, struct pins **ret)
{
	struct pins *pins = calloc(1, sizeof *pins);

	if (!pins)
		return -ENOMEM;
	pins->parts = *parts;
	pins->work.store = parts->store;
	pins->work.abandoned = &pins->thread.stop;
	pins->work.audit_ms = parts->audit_ms ? parts->audit_ms : PIN_AUDIT_MS;
	pthread_mutex_init(&pins->lock, NULL);
	*ret = pins;
	return 0;
}

/* --- What the worker says --------------------------------------------------------------------- */

void pins_lead(struct pins *pins, bool lead)
{
	pthread_mutex_lock(&pins->lock);
	pins->lead = lead;
	batch_reset(&pins->changed);
	pins->overflow = false;
	pthread_mutex_unlock(&pins->lock);
}

/* With the lock held. */
static bool pins_rows_of(const struct pins *pins, uint32_t relation)
{
	for (size_t i = 0; i < pins->n_relations; i++)
		if (pins->relations[i] == relation)
			return true;
	return false;
}

/* Of rows that went, the name must go, too, by which they are counted; of a table that is another as a whole the epoch tells. */
void pins_changed(struct pins *pins, const struct batch *batch)
{
	struct batch_change change;
	size_t at = 0;

	pthread_mutex_lock(&pins->lock);
	while (pins->n_relations && batch_next(batch, &at, &change)) {
		if (change.op == BATCH_RELATION || !pins_rows_of(pins, change.relation))
			continue;
		if (pins->changed.changes.len < CHANGED_MAX)
			batch_add(&pins->changed, &change);
		else
			pins->overflow = true;
	}
	pthread_mutex_unlock(&pins->lock);
}

/* --- Status ----------------------------------------------------------------------------------- */

void pins_print(struct pins *pins, struct buf *out)
{
	pthread_mutex_lock(&pins->lock);
	if (pins->report.data && !pins->report.failed)
		buf_adds(out, pins->report.data);
	pthread_mutex_unlock(&pins->lock);
}

static void report(struct pins *pins)
{
	pthread_mutex_lock(&pins->lock);
	buf_reset(&pins->report);
	for (size_t i = 0; pins->leading && i < pins->rules.n; i++) {
		if (i > 0)
			buf_adds(&pins->report, "; ");
		pin_table_print(&pins->rules.tables[i], &pins->report);
	}
	if (pins->leading)
		pin_rules_print_unplaced(&pins->rules, &pins->report);
	if (pins->leading && pins->rules.n && pins->trouble[0])
		buf_addf(&pins->report, "; %s", pins->trouble);
	if (pins->leading && pins->rules.n && pins->evicts_all)
		buf_adds(&pins->report, "; Redis may evict pinned rows: its maxmemory-policy takes keys that do not expire");
	pthread_mutex_unlock(&pins->lock);
}

/* --- Tables ----------------------------------------------------------------------------------- */

/* Whose changes are of interest. */
static int tell_relations(struct pins *pins)
{
	uint32_t *relations = calloc(pins->rules.n + 1, sizeof *relations), *old;
	size_t n = 0;

	if (!relations)
		return -ENOMEM;
	for (size_t i = 0; i < pins->rules.n; i++)
		if (pins->rules.tables[i].state != PIN_OFF && pins->rules.tables[i].state != PIN_UNFIT)
			relations[n++] = pins->rules.tables[i].relation->oid;
	pthread_mutex_lock(&pins->lock);
	old = pins->relations;
	pins->relations = relations;
	pins->n_relations = n;
	pthread_mutex_unlock(&pins->lock);
	free(old);
	return 0;
}

/* The rules as they are now. A load that is under way goes on with what has changed for it. */
static int adopt(struct pins *pins)
{
	_cleanup_schema_ struct schema *schema = catalog_get(pins->parts.catalog);
	bool sweep;
	int r;

	if (schema == pins->rules.schema)
		return 0;
	r = pin_rules_take(&pins->rules, schema, store_may_lag(pins->parts.store), &sweep);
	if (r < 0)
		return r;
	pins->work.schema = pins->rules.schema;
	pins->sweep.all_due = pins->sweep.all_due || sweep;
	return tell_relations(pins);
}

static void forget(struct pins *pins)
{
	pin_rules_done(&pins->rules);
	pinner_close(pins->work.pinner);
	pins->work.pinner = NULL;
	batch_reset(&pins->again);
	pin_sweep_done(&pins->sweep);
	pins->trouble[0] = '\0';
	(void)tell_relations(pins);
	report(pins);
}

/* --- Work ------------------------------------------------------------------------------------- */

static bool is_pinning(const struct pin_table *table)
{
	return table->state == PIN_LOADING || table->state == PIN_LOADED || table->state == PIN_FULL;
}

/* Another epoch makes all of a table's copies unusable, and its time may have come anyway. */
static void look_at_epochs(struct pins *pins, struct pin_table *table)
{
	struct cache_proof proof;
	struct buf none = {0};
	bool same;

	cache_read(pins->parts.cache, table->relation->oid, NULL, 0, &proof, &none);
	table->unfed = proof.alive && !proof.fresh;
	if (!proof.fresh)
		return;
	same = cache_proof_same(&proof, &table->proof);
	if (!same) {
		table->pause_ms = 0;
		table->sweep_due = true; /* copies of the epoch before do not go by themselves */
	}
	if (!same || (table->state != PIN_LOADING && clock_monotonic_ms() >= table->due_ms))
		pin_table_begin(table, &proof, pins->work.audit_ms);
}

static void look_at_all(struct pins *pins)
{
	if (clock_monotonic_ms() < pins->epochs_due_ms)
		return;
	pins->epochs_due_ms = clock_monotonic_ms() + EPOCHS_MS;
	for (size_t i = 0; i < pins->rules.n; i++) {
		struct pin_table *table = &pins->rules.tables[i];

		if (is_pinning(table) || (table->state == PIN_FAILED && clock_monotonic_ms() >= table->due_ms))
			look_at_epochs(pins, table);
	}
}

/* All tables are looked through where names were lost, and names that stand for nothing are. What is held stays, so that is
 * soon done. */
static void look_through(struct pins *pins)
{
	for (size_t i = 0; i < pins->rules.n; i++) {
		if (!is_pinning(&pins->rules.tables[i]))
			continue;
		pins->rules.tables[i].due_ms = 0;
		pins->rules.tables[i].sweep_due = true;
	}
	pins->epochs_due_ms = 0;
}

static void add_again(struct pins *pins, const struct batch_change *change)
{
	if (pins->again.changes.len < CHANGED_MAX)
		batch_add(&pins->again, change);
	if (pins->again.changes.len < CHANGED_MAX && !batch_failed(&pins->again))
		return;
	batch_reset(&pins->again);
	look_through(pins);
}

/* Whose lease was in the way, and what was pinned just now, is looked at again. */
static void note_again(struct pins *pins, const struct pin_table *table, const struct pin_batch *batch, bool all)
{
	for (size_t i = 0; i < batch->n; i++) {
		const struct batch_change change = {table->relation->oid, BATCH_UPDATE, pin_batch_name(batch, i)};

		if (all || batch->found[i] == PIN_BUSY || batch->actions[i] == PIN_FILL)
			add_again(pins, &change);
	}
}

/* The names of one relation, from `at` on, as many as a batch takes; those of others come later. */
static int take_some(struct pins *pins, struct batch *names, size_t *at, struct error *e)
{
	struct pin_batch *batch = &pins->work.batches[0];
	struct pin_table *table = NULL;
	struct batch_change change;
	size_t next = *at, before;
	int r;

	pin_batch_begin(batch, PINNER_KEYS);
	for (before = next; !pin_batch_full(batch) && batch_next(names, &next, &change); before = next) {
		struct pin_table *its = pin_rules_find(&pins->rules, change.relation);

		if (!its || !is_pinning(its) || !its->valid.len || name_is_hashed(change.name) ||
		    !placement_shares(&its->relation->placement, change.name))
			continue;
		if (table && its != table)
			break;
		if (pin_table_waits(its)) {
			add_again(pins, &change);
			continue;
		}
		table = its;
		batch->limit = pin_table_limit(table);
		pin_batch_add(batch, its->relation, change.name);
	}
	if (!table) {
		*at = next;
		return 0;
	}
	r = pin_table_take(table, &pins->work, batch, e);
	if (r < 0 && r != -EAGAIN)
		return r;
	note_again(pins, table, batch, r == -EAGAIN);
	*at = before;
	return 0;
}

static int take_names(struct pins *pins, struct batch *names, struct error *e)
{
	size_t at = 0;
	int r = 0;

	while (r == 0 && at < names->changes.len && !periodic_stopping(&pins->thread))
		r = take_some(pins, names, &at, e);
	return r;
}

static int take_changes(struct pins *pins, struct error *e)
{
	struct batch swapped;
	bool overflow;
	int r;

	batch_reset(&pins->taken);
	pthread_mutex_lock(&pins->lock);
	swapped = pins->changed;
	pins->changed = pins->taken;
	pins->taken = swapped;
	overflow = pins->overflow || batch_failed(&pins->taken);
	pins->overflow = false;
	pthread_mutex_unlock(&pins->lock);
	r = take_names(pins, &pins->taken, e);
	if (overflow || r < 0)
		look_through(pins);
	return r;
}

static int take_again(struct pins *pins, struct error *e)
{
	struct batch names = pins->again;
	int r;

	if (clock_monotonic_ms() < pins->again_due_ms)
		return 0;
	pins->again_due_ms = clock_monotonic_ms() + AGAIN_MS;
	pins->again = (struct batch){0};
	r = take_names(pins, &names, e);
	if (r < 0)
		look_through(pins);
	batch_done(&names);
	return r;
}

static bool may_load(const struct pin_table *table)
{
	return table->state == PIN_LOADING && table->valid.len && !table->unfed && !pin_table_waits(table);
}

/* In turns, so that a large table, or one in trouble, does not hold up the others. */
static struct pin_table *next_to_load(struct pins *pins)
{
	for (size_t i = 1; i <= pins->rules.n; i++) {
		size_t at = (pins->turn + i) % pins->rules.n;

		if (!may_load(&pins->rules.tables[at]))
			continue;
		pins->turn = at;
		return &pins->rules.tables[at];
	}
	return NULL;
}

/* A part of a page of one that is not loaded. */
static int load(struct pins *pins, bool *ret_busy, struct error *e)
{
	struct pin_table *table = next_to_load(pins);

	if (!table)
		return 0;
	*ret_busy = true;
	return pin_table_load(table, &pins->work, e);
}

static int weed(struct pins *pins, bool *ret_busy, struct error *e)
{
	for (size_t i = 0; i < pins->rules.n; i++) {
		struct pin_table *table = &pins->rules.tables[i];

		if (!table->weeding || !is_pinning(table) || pin_table_waits(table))
			continue;
		*ret_busy = true;
		return pin_table_weed(table, &pins->work, e);
	}
	return 0;
}

/* A page of a table that is not to be in Redis. */
static int clear_out(struct pins *pins, bool *ret_busy, struct error *e)
{
	for (size_t i = 0; i < pins->rules.n; i++) {
		struct pin_table *table = &pins->rules.tables[i];

		if (table->state != PIN_OFF || !table->removals || clock_monotonic_ms() < table->due_ms ||
		    pin_table_waits(table))
			continue;
		*ret_busy = true;
		return pin_table_remove(table, &pins->work, e);
	}
	return 0;
}

static int count_rows(struct pins *pins, struct error *e)
{
	int r = 0;

	if (clock_monotonic_ms() < pins->count_due_ms)
		return 0;
	pins->count_due_ms = clock_monotonic_ms() + COUNT_MS;
	for (size_t i = 0; r == 0 && i < pins->rules.n; i++)
		if (pins->rules.tables[i].state == PIN_LOADED || pins->rules.tables[i].state == PIN_FULL)
			r = pin_table_count(&pins->rules.tables[i], &pins->work, e);
	return r;
}

/* --- The thread ------------------------------------------------------------------------------- */

static int connect_redis(struct pins *pins, struct error *e)
{
	struct pinner_room room;
	int r = pinner_open(pins->parts.cache, &pins->work.pinner, e);

	if (r == 0 && pins->rules.n)
		r = pinner_room(pins->work.pinner, &room, e);
	if (r == 0)
		pins->evicts_all = pins->rules.n && room.max && room.evicts_all;
	return r;
}

static int work(struct pins *pins, bool *ret_busy, struct error *e)
{
	int r = adopt(pins);

	if (r < 0)
		return error_set(e, ENOMEM, "out of memory");
	if (!pins->rules.n && !pin_sweep_due(&pins->sweep, &pins->rules))
		return 0;
	if (!pins->work.pinner)
		r = connect_redis(pins, e);
	if (r == 0)
		look_at_all(pins);
	if (r == 0)
		r = take_changes(pins, e);
	if (r == 0)
		r = take_again(pins, e);
	if (r == 0)
		r = pin_sweep_work(&pins->sweep, &pins->rules, pins->work.pinner, ret_busy, e);
	if (r == 0)
		r = clear_out(pins, ret_busy, e);
	if (r == 0)
		r = load(pins, ret_busy, e);
	if (r == 0)
		r = weed(pins, ret_busy, e);
	if (r == 0)
		r = count_rows(pins, e);
	return r;
}

/* Who pins nothing need not have the rights for it. */
static void note_trouble(struct pins *pins, const struct error *e)
{
	bool needless = e->err == EACCES && !pins->rules.n;
	char trouble[sizeof pins->trouble];

	/* PostgreSQL's messages may hold what rows hold. */
	if (e->sqlstate[0])
		snprintf(trouble, sizeof trouble, "PostgreSQL: %s %s", e->sqlstate, sqlstate_name(e->sqlstate));
	else
		error_copy_text(trouble, sizeof trouble, e->message);
	if (!needless && strcmp(pins->trouble, trouble) != 0)
		log_warning("placement: %s", e->message);
	error_copy_text(pins->trouble, sizeof pins->trouble, trouble);
	pinner_close(pins->work.pinner);
	pins->work.pinner = NULL;
	pin_sweep_fail(&pins->sweep);
	pins->sweep.all_due = pins->sweep.all_due && !needless;
}

static bool leads(struct pins *pins)
{
	bool lead;

	pthread_mutex_lock(&pins->lock);
	lead = pins->lead;
	pthread_mutex_unlock(&pins->lock);
	return lead;
}

static int64_t pins_step(void *arg)
{
	struct pins *pins = arg;
	struct error e = {0};
	bool busy = false, was = pins->leading;
	int r;

	store_leave_when(&pins->thread.stop);
	pins->leading = leads(pins);
	/* Something may be left from earlier workers, under rules of other days. */
	if (pins->leading && !was)
		pins->sweep.all_due = true;
	if (!pins->leading) {
		if (was)
			forget(pins);
		return IDLE_MS;
	}
	r = work(pins, &busy, &e);
	if (r < 0)
		note_trouble(pins, &e);
	else
		pins->trouble[0] = '\0';
	report(pins);
	if (r < 0)
		return TROUBLE_MS;
	return busy ? 0 : pins->rules.n ? LOOK_MS : IDLE_MS;
}

int pins_start(struct pins *pins)
{
	return periodic_start(&pins->thread, pins_step, pins);
}

void pins_tell(struct pins *pins)
{
	if (pins)
		periodic_tell(&pins->thread);
}

void pins_free(struct pins *pins)
{
	if (!pins)
		return;
	periodic_stop(&pins->thread);
	forget(pins);
	pin_work_done(&pins->work);
	batch_done(&pins->changed);
	batch_done(&pins->taken);
	batch_done(&pins->again);
	buf_done(&pins->report);
	free(pins->relations);
	pthread_mutex_destroy(&pins->lock);
	free(pins);
}
