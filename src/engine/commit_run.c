#include "commit_run.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "rowfs/base/clock.h"
#include "rowfs/base/counters.h"
#include "rowfs/engine/kernel.h"

static int take_line(void *arg, const struct cell *cells, size_t n)
{
	struct answer *answer = arg;

	answer->lines++;
	answer->xid = n && cells[0].data ? (uint32_t)strtoul(cells[0].data, NULL, 10) : 0;
	cells_done(&answer->key);
	return n > 1 ? cells_copy(cells + 1, n - 1, &answer->key) : 0;
}

int commit_run(struct engine *engine, const struct statement *statement, struct answer *ret,
	       struct error *e)
{
	int r = store_run(engine->store, STORE_WRITE, statement, take_line, ret, e);

	if (r == -ESTALE)
		catalog_suspect(engine->catalog);
	return r;
}

void commit_tell(struct engine *engine, const struct rowref *ref, uint32_t xid)
{
	reader_saved(engine->reader, ref, xid);
	kernel_row_changed(ref->relation->oid, ref->name);
	/* Others may have inserted the row so lately that a listing that the kernel keeps does not have it. */
	kernel_listing_changed(ref->relation->oid);
}

void commit_announce(struct engine *engine, const struct rowref *ref, uint32_t xid)
{
	count(commits);
	commit_tell(engine, ref, xid);
}

int commit_no_memory(struct error *e)
{
	return error_set(e, ENOMEM, "out of memory");
}

int commit_conflict(const char *column, struct error *e)
{
	error_copy_text(e->field, sizeof e->field, column);
	snprintf(e->hint, sizeof e->hint, "rowfs diff shows what they made of it, rowfs retry makes this change to that; or "
					  "read the row again, in the same program, and save it then");
	e->conflict = true;
	return -ESTALE;
}

int commit_gone(struct error *e)
{
	(void)error_set(e, ESTALE, "conflict: the row was deleted by somebody else");
	snprintf(e->hint, sizeof e->hint, "rowfs retry makes a new row of the text");
	e->conflict = true;
	return -ESTALE;
}

/* --- Settling a lost answer ------------------------------------------------------------------ */

int commit_unknown(struct error *e)
{
	struct error because = *e;

	(void)error_set(e, EIO, "outcome unknown: the connection to PostgreSQL broke while the change "
				"was being committed; read the row again before you repeat it");
	memcpy(e->detail, because.message, sizeof e->detail);
	return -EIO;
}

int64_t commit_deadline(const struct engine *engine)
{
	return clock_monotonic_ms() + engine->settle_ms;
}

int commit_wait_decided(struct engine *engine, int64_t deadline, struct error *e)
{
	do {
		if (store_backend_gone(engine->store, e) == 1)
			return 0;
		clock_pause_us(50000);
	} while (clock_monotonic_ms() < deadline);
	return commit_unknown(e);
}

int commit_look(struct engine *engine, const struct rowref *ref, int64_t deadline, struct text **ret,
		struct error *e)
{
	struct error failure;
	int r;

	for (;;) {
		r = reader_fetch(engine->reader, ref, STORE_WRITE, ret, &failure);
		if (r != -EIO || clock_monotonic_ms() >= deadline)
			break;
		clock_pause_us(50000);
	}
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		*e = failure;
	return r;
}

/* --- What the caller may not do, and what was wrong with it ----------------------------------- */

int commit_check_writable(const struct relation *relation, struct error *e)
{
	if (relation->kind == RELATION_MATVIEW)
		return error_set(e, EACCES, "the rows of a materialised view cannot be changed");
	if (relation->key_kind != KEY_COLUMNS)
		return error_set(e, EACCES, "the table has no key, so its rows cannot be changed: give it a "
					    "primary key, or a unique index over NOT NULL columns");
	return 0;
}

int commit_key(const struct rowref *ref, const struct patch *row, struct cells *ret)
{
	const struct relation *relation = ref->relation;
	struct cell key[KEY_PARTS_MAX];

	if (!ref->hash[0])
		return cells_copy(ref->key.at, ref->key.n, ret);
	for (size_t i = 0; i < relation->n_parts; i++)
		key[i] = row->cells[relation->parts[i].column];
	return cells_copy(key, relation->n_parts, ret);
}

static int count_line(void *arg, const struct cell *cells, size_t n)
{
	++*(unsigned *)arg;
	return 0;
}

int commit_check_single(struct engine *engine, const struct rowref *ref, const struct cells *key,
			struct error *e)
{
	_cleanup_statement_ struct statement statement = {0};
	unsigned rows = 0;
	int r;

	if (!ref->relation->key_unproven)
		return 0;
	if (statement_fetch(ref->schema, ref->relation, key, &statement) < 0)
		return commit_no_memory(e);
	r = store_run(engine->store, STORE_WRITE, &statement, count_line, &rows, e);
	if (r < 0 || rows < 2)
		return r;
	return error_set(e, EPERM, "%u rows have this key, so none can be changed: the columns that key = "
				   "names in the configuration must be unique together", rows);
}

static int ignore_line(void *arg, const struct cell *cells, size_t n)
{
	return 0;
}

static bool is_refused(struct engine *engine, const struct column *column, struct cell value)
{
	_cleanup_statement_ struct statement statement = {0};
	struct error e;

	return value.data && statement_value(column, value, &statement) == 0 &&
	       store_run(engine->store, STORE_WRITE, &statement, ignore_line, NULL, &e) == -EINVAL;
}

void commit_blame(struct engine *engine, const struct relation *relation, const struct patch *patch,
		  const bool *chosen, struct error *e)
{
	struct error said = *e;

	/* Class 22: data exceptions. */
	if (strncmp(e->sqlstate, "22", 2) != 0 || e->field[0] || e->outcome_unknown)
		return;
	for (size_t i = 0; i < relation->n_columns; i++) {
		const struct column *column = &relation->columns[i];

		if (!patch->present[i] || (chosen && !chosen[i]) ||
		    !is_refused(engine, column, patch->cells[i]))
			continue;
		snprintf(e->field, sizeof e->field, "%s", column->name);
		snprintf(e->message, sizeof e->message, "column \"%s\": %.900s", column->name, said.message);
		e->line = patch->line[i];
		e->column = patch->column[i];
		return;
	}
}

void commit_forbidden(const struct relation *relation, const bool *chosen, bool insert, struct error *e)
{
	_cleanup_buf_ struct buf list = {0};

	if (strcmp(e->sqlstate, "42501") != 0)
		return;
	for (size_t i = 0; i < relation->n_columns; i++) {
		const struct column *column = &relation->columns[i];

		if (!chosen[i] || column->generated || (insert ? column->can_insert : column->can_update))
			continue;
		buf_addf(&list, ", column \"%s\"", column->name);
		if (!e->field[0])
			error_copy_text(e->field, sizeof e->field, column->name);
	}
	if (list.failed || !list.len)
		return;
	buf_addf(&list, ": this role may not %s", insert ? "give it a value" : "change it");
	if (!list.failed)
		error_copy_text(e->detail, sizeof e->detail, list.data + strlen(", "));
}
