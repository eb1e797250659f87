#include "rowfs/engine/commit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "rowfs/base/clock.h"
#include "rowfs/base/counters.h"
#include "rowfs/engine/kernel.h"
#include "rowfs/model/diff.h"
#include "rowfs/model/json.h"
#include "rowfs/model/statement.h"

/* How often a statement is sent again after its answer was lost and it turned out not to have run. */
enum { ATTEMPTS = 3 };

/* --- Running --------------------------------------------------------------------------------- */

struct answer {
	uint32_t xid;
	unsigned lines;
	struct cells key; /* of an insert */
};

static int take_line(void *arg, const struct cell *cells, size_t n)
{
	struct answer *answer = arg;

	answer->lines++;
	answer->xid = n && cells[0].data ? (uint32_t)strtoul(cells[0].data, NULL, 10) : 0;
	cells_done(&answer->key);
	return n > 1 ? cells_copy(cells + 1, n - 1, &answer->key) : 0;
}

static int run(struct engine *engine, const struct statement *statement, struct answer *ret,
	       struct error *e)
{
	int r = store_run(engine->store, STORE_WRITE, statement, take_line, ret, NULL, e);

	if (r == -ESTALE)
		catalog_suspect(engine->catalog);
	return r;
}

static void tell(struct engine *engine, const struct rowref *ref, uint32_t xid)
{
	reader_saved(engine->reader, ref, xid);
	kernel_row_changed(ref->relation->oid, ref->name);
}

static void announce(struct engine *engine, const struct rowref *ref, uint32_t xid)
{
	count(commits);
	tell(engine, ref, xid);
}

static int no_memory(struct error *e)
{
	return error_set(e, ENOMEM, "out of memory");
}

/* --- Settling a lost answer ------------------------------------------------------------------ */

static void pause_ms(long ms)
{
	nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

static int unknown(struct error *e)
{
	struct error because = *e;

	(void)error_set(e, EIO, "outcome unknown: the connection to PostgreSQL broke while the change "
				"was being committed; read the row again before you repeat it");
	memcpy(e->detail, because.message, sizeof e->detail);
	return -EIO;
}

/* Wait until the transaction whose answer was lost is decided, one way or the other. */
static int wait_decided(struct engine *engine, struct error *e)
{
	int64_t deadline = clock_monotonic_ms() + COMMIT_SETTLE_MS;

	do {
		if (store_backend_gone(engine->store, e) == 1)
			return 0;
		pause_ms(50);
	} while (clock_monotonic_ms() < deadline);
	return unknown(e);
}

/* The row as it is now: 0 with a text, 0 without one if there is none, or -errno. Only then is `e` touched,
 * which may still hold why it is looked for. */
static int look(struct engine *engine, const struct rowref *ref, struct text **ret, struct error *e)
{
	struct error failure;
	int r = reader_fetch(engine->reader, ref, STORE_WRITE, ret, &failure);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		*e = failure;
	return r;
}

/* --- Update ---------------------------------------------------------------------------------- */

struct update {
	const struct rowref *ref;
	struct cells key;
	struct patch base, edited;
	bool *changed;
	size_t n_changed;
};

static void update_done(struct update *update)
{
	cells_done(&update->key);
	patch_done(&update->base);
	patch_done(&update->edited);
	free(update->changed);
}

/* The key: the name's, or for a hashed name the one in the row's own text. */
static int key_of(const struct rowref *ref, const struct patch *row, struct cells *ret)
{
	const struct relation *relation = ref->relation;
	struct cell key[KEY_PARTS_MAX];

	if (!ref->hash[0])
		return cells_copy(ref->key.at, ref->key.n, ret);
	for (size_t i = 0; i < relation->n_parts; i++)
		key[i] = row->cells[relation->parts[i].column];
	return cells_copy(key, relation->n_parts, ret);
}

static int update_prepare(const struct rowref *ref, const struct text *base, const char *text,
			  size_t len, struct update *ret, struct error *e)
{
	const struct relation *relation = ref->relation;
	int r;

	ret->ref = ref;
	r = json_parse(relation, text, len, &ret->edited, e);
	if (r < 0)
		return r;
	r = json_parse(relation, base->data, base->len, &ret->base, e);
	if (r == -EINVAL) /* columns came or went since it was printed */
		return error_set(e, ESTALE, "the table's columns have changed since the row was read");
	if (r < 0)
		return r;
	ret->changed = calloc(relation->n_columns + 1, sizeof *ret->changed);
	if (!ret->changed || key_of(ref, &ret->base, &ret->key) < 0)
		return no_memory(e);
	return diff_patch(relation, &ret->key, ret->base.cells, &ret->edited, ret->changed,
			  &ret->n_changed, e);
}

enum verdict { OURS, BASE, OTHERS, GONE };

/* What the row holds in the columns that were to change. `ret_column`: of OTHERS, the first that is
 * neither; where some are ours and the rest the base's, the first that is not the base's. */
static enum verdict compare(const struct update *update, const struct patch *now, size_t *ret_column)
{
	const struct relation *relation = update->ref->relation;
	bool ours = true, base = true, neither = false;

	for (size_t i = 0; i < relation->n_columns; i++) {
		const struct type *type = relation->columns[i].type;

		if (!update->changed[i])
			continue;
		bool is_ours = json_same_value(type, now->cells[i], update->edited.cells[i]);
		bool is_base = json_same_value(type, now->cells[i], update->base.cells[i]);

		if (!is_base && (base || (!is_ours && !neither)))
			*ret_column = i;
		neither |= !is_ours && !is_base;
		ours &= is_ours;
		base &= is_base;
	}
	return ours ? OURS : base ? BASE : OTHERS;
}

static int judge(struct engine *engine, const struct update *update, enum verdict *ret,
		 size_t *ret_column, uint32_t *ret_xid, struct error *e)
{
	_cleanup_text_ struct text *text = NULL;
	_cleanup_patch_ struct patch now = {0};
	int r = look(engine, update->ref, &text, e);

	if (r < 0)
		return r;
	if (!text) {
		*ret = GONE;
		return 0;
	}
	r = json_parse(update->ref->relation, text->data, text->len, &now, e);
	if (r < 0)
		return r;
	*ret = compare(update, &now, ret_column);
	*ret_xid = text->xid;
	return 0;
}

static int conflict(const struct update *update, enum verdict verdict, size_t column, struct error *e)
{
	const char *name;

	if (verdict == GONE)
		return error_set(e, ESTALE, "conflict: the row was deleted by somebody else");
	name = update->ref->relation->columns[column].name;
	(void)error_set(e, ESTALE, "conflict: column \"%s\" was changed by somebody else meanwhile", name);
	snprintf(e->field, sizeof e->field, "%s", name);
	snprintf(e->hint, sizeof e->hint, "read the row again and make the change on top of it");
	return -ESTALE;
}

/* One try. Returns 1 when it must be made again. */
static int update_try(struct engine *engine, const struct update *update,
		      const struct statement *statement, uint32_t *ret_xid, struct error *e)
{
	struct answer answer = {0};
	enum verdict verdict;
	size_t column = 0;
	bool lost;
	int r = run(engine, statement, &answer, e);

	*ret_xid = answer.xid;
	if (r == 0 && answer.lines)
		return 0;
	lost = r < 0 && e->outcome_unknown;
	if (r < 0 && !lost)
		return r;
	if (lost && (r = wait_decided(engine, e)) < 0)
		return r;
	r = judge(engine, update, &verdict, &column, ret_xid, e);
	if (r < 0)
		return lost ? unknown(e) : r;
	if (verdict == OURS)
		return 0;
	if (verdict != BASE)
		return lost ? unknown(e) : conflict(update, verdict, column, e);
	if (lost)
		return 1;
	return error_set(e, EPERM, "the database kept the row as it was: a trigger or rule refused "
				   "the change without saying why");
}

int commit_update(struct engine *engine, const struct rowref *ref, const struct text *base,
		  const char *text, size_t len, struct error *e)
{
	_cleanup_statement_ struct statement statement = {0};
	_cleanup_(update_done) struct update update = {0};
	uint32_t xid = 0;
	int r = update_prepare(ref, base, text, len, &update, e);

	if (r < 0 || update.n_changed == 0)
		return r;
	if (!relation_writable(ref->relation))
		return error_set(e, EACCES, "this table is read-only here");
	r = statement_patch(ref->relation, &update.key, update.base.cells, &update.edited,
			    update.changed, &statement);
	if (r < 0)
		return no_memory(e);
	for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
		r = update_try(engine, &update, &statement, &xid, e);
		if (r <= 0)
			break;
	}
	if (r > 0)
		r = unknown(e);
	if (r == 0)
		announce(engine, ref, xid);
	else
		reader_saved(engine->reader, ref, 0); /* whatever was cached may be why it failed */
	return r;
}

/* --- Insert ---------------------------------------------------------------------------------- */

/* Is the row that is there now the one that this text would have made? */
static bool is_ours(struct engine *engine, const struct rowref *ref, const struct patch *patch,
		    struct error *e, bool *ret_there)
{
	_cleanup_text_ struct text *text = NULL;
	_cleanup_patch_ struct patch now = {0};

	*ret_there = true;
	if (look(engine, ref, &text, e) < 0)
		return false;
	*ret_there = text != NULL;
	if (!text || json_parse(ref->relation, text->data, text->len, &now, e) < 0)
		return false;
	for (size_t i = 0; i < ref->relation->n_columns; i++)
		if (patch->present[i] && !json_same_value(ref->relation->columns[i].type,
							  now.cells[i], patch->cells[i]))
			return false;
	return true;
}

static int insert_try(struct engine *engine, const struct rowref *ref, const struct patch *patch,
		      const struct statement *statement, struct answer *answer, struct error *e)
{
	int r = run(engine, statement, answer, e);
	bool there;

	if (r == 0 && answer->lines)
		return 0;
	if (r == 0)
		return error_set(e, EPERM, "the database inserted no row: a trigger or rule refused it "
					   "without saying why");
	if (!e->outcome_unknown)
		return r;
	r = wait_decided(engine, e);
	if (r < 0)
		return r;
	if (is_ours(engine, ref, patch, e, &there))
		return 0;
	return there ? unknown(e) : 1;
}

/* For a hashed name the key must come from the text; otherwise it is the name's. */
static int insert_key(const struct rowref *ref, const struct patch *patch, struct cells *ret,
		      struct error *e)
{
	const struct relation *relation = ref->relation;
	_cleanup_buf_ struct buf name = {0};

	for (size_t i = 0; ref->hash[0] && i < relation->n_parts; i++)
		if (!patch->present[relation->parts[i].column])
			return error_set(e, EINVAL, "this name stands for a long key, which the text must have");
	if (key_of(ref, patch, ret) < 0)
		return no_memory(e);
	if (!ref->hash[0])
		return 0;
	name_print(ret->at, ret->n, &name);
	if (name.failed || strcmp(name.data, ref->name) != 0)
		return error_set(e, EINVAL, "the key in the text is not the one that the name stands for");
	return 0;
}

int commit_insert(struct engine *engine, const struct rowref *ref, const char *text, size_t len,
		  struct error *e)
{
	_cleanup_statement_ struct statement statement = {0};
	_cleanup_patch_ struct patch patch = {0};
	_cleanup_cells_ struct cells key = {0};
	struct answer answer = {0};
	int r = json_parse(ref->relation, text, len, &patch, e);

	if (r == 0)
		r = insert_key(ref, &patch, &key, e);
	if (r == 0)
		r = diff_insert(ref->relation, &key, &patch, e);
	if (r < 0)
		return r;
	if (statement_insert(ref->relation, &key, &patch, &statement) < 0)
		return no_memory(e);
	for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
		r = insert_try(engine, ref, &patch, &statement, &answer, e);
		if (r <= 0)
			break;
	}
	cells_done(&answer.key);
	if (r > 0)
		return unknown(e);
	if (r == 0)
		announce(engine, ref, answer.xid);
	return r;
}

int commit_new(struct engine *engine, uint32_t oid, const char *text, size_t len, struct error *e)
{
	_cleanup_statement_ struct statement statement = {0};
	_cleanup_schema_ struct schema *schema = catalog_get(engine->catalog);
	const struct relation *relation = schema_relation(schema, oid);
	_cleanup_patch_ struct patch patch = {0};
	_cleanup_buf_ struct buf name = {0};
	struct answer answer = {0};
	int r;

	if (!relation)
		return error_set(e, ESTALE, "the table is gone");
	r = json_parse(relation, text, len, &patch, e);
	if (r == 0)
		r = diff_insert(relation, NULL, &patch, e);
	if (r < 0)
		return r;
	if (statement_insert(relation, NULL, &patch, &statement) < 0)
		return no_memory(e);
	r = run(engine, &statement, &answer, e);
	if (r < 0)
		return e->outcome_unknown ? unknown(e) : r;
	if (!answer.lines)
		return error_set(e, EPERM, "the database inserted no row: a trigger or rule refused it "
					   "without saying why");
	count(commits);
	name_print(answer.key.at, answer.key.n, &name);
	if (!name.failed) {
		engine_note_insert(engine, relation, name.data);
		kernel_row_changed(oid, name.data);
	}
	cells_done(&answer.key);
	return 0;
}

/* --- Delete, rename -------------------------------------------------------------------------- */

/* `ref` with its key known, which for a hashed name takes a look at the row. */
static int resolve(struct engine *engine, const struct rowref *ref, struct cells *ret, struct error *e)
{
	_cleanup_text_ struct text *text = NULL;
	_cleanup_patch_ struct patch row = {0};
	int r;

	if (ref->hash[0]) {
		r = reader_fetch(engine->reader, ref, STORE_WRITE, &text, e);
		if (r == 0)
			r = json_parse(ref->relation, text->data, text->len, &row, e);
		if (r < 0)
			return r;
	}
	return key_of(ref, &row, ret) < 0 ? no_memory(e) : 0;
}

/* A lost DELETE, or the lost renaming to `to` (NULL for a DELETE): it was done if the row is gone, and there
 * under its new name. 1: it was not. */
static int settle_gone(struct engine *engine, const struct rowref *ref, const struct rowref *to,
		       struct error *e)
{
	_cleanup_text_ struct text *text = NULL, *renamed = NULL;

	if (look(engine, ref, &text, e) < 0)
		return unknown(e);
	if (text)
		return 1;
	if (to && (look(engine, to, &renamed, e) < 0 || !renamed))
		return unknown(e);
	return 0;
}

/* One try to make `ref` go. Returns 1 when it must be made again. */
static int gone_try(struct engine *engine, const struct rowref *ref, const struct rowref *to,
		    const struct statement *statement, struct error *e)
{
	_cleanup_text_ struct text *text = NULL;
	struct answer answer = {0};
	int r = run(engine, statement, &answer, e);

	if (r == 0 && answer.lines)
		return 0;
	if (r < 0 && !e->outcome_unknown)
		return r;
	if (r < 0) {
		r = wait_decided(engine, e);
		return r < 0 ? r : settle_gone(engine, ref, to, e);
	}
	r = look(engine, ref, &text, e);
	if (r < 0)
		return r;
	if (text)
		return error_set(e, EPERM, "the database kept the row: a trigger or rule refused it "
					   "without saying why");
	return error_set(e, ENOENT, "there is no row %s", ref->name);
}

static int run_gone(struct engine *engine, const struct rowref *ref, const struct rowref *to,
		    const struct statement *statement, struct error *e)
{
	int r = 0;

	for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
		r = gone_try(engine, ref, to, statement, e);
		if (r <= 0)
			break;
	}
	if (r > 0)
		r = unknown(e);
	if (r == 0)
		announce(engine, ref, 0);
	else
		reader_saved(engine->reader, ref, 0); /* a copy must not say otherwise */
	return r;
}

int commit_delete(struct engine *engine, const struct rowref *ref, struct error *e)
{
	_cleanup_statement_ struct statement statement = {0};
	_cleanup_cells_ struct cells key = {0};
	int r;

	if (!relation_writable(ref->relation))
		return error_set(e, EACCES, "this table is read-only here");
	r = resolve(engine, ref, &key, e);
	if (r < 0)
		return r;
	if (statement_delete(ref->relation, &key, &statement) < 0)
		return no_memory(e);
	return run_gone(engine, ref, NULL, &statement, e);
}

int commit_rename(struct engine *engine, const struct rowref *from, const struct rowref *to, bool onto,
		  struct error *e)
{
	_cleanup_statement_ struct statement statement = {0};
	_cleanup_cells_ struct cells from_key = {0}, to_key = {0};
	int r;

	if (!relation_writable(from->relation))
		return error_set(e, EACCES, "this table is read-only here");
	if (to->hash[0] && !onto)
		return error_set(e, EINVAL, "the key of a new name must be short enough to stand in it");
	r = resolve(engine, from, &from_key, e);
	if (r == 0)
		r = resolve(engine, to, &to_key, e);
	if (r < 0)
		return r;
	if (onto)
		r = statement_replace(from->relation, &from_key, &to_key, &statement);
	else
		r = statement_rekey(from->relation, &from_key, &to_key, &statement);
	if (r < 0)
		return no_memory(e);
	r = run_gone(engine, from, to, &statement, e);
	if (r == 0)
		tell(engine, to, 0);
	return r;
}

/* --- Names ----------------------------------------------------------------------------------- */

struct spelling {
	const char *name;
	bool same;
};

static int compare_spelling(void *arg, const struct cell *cells, size_t n)
{
	struct spelling *spelling = arg;
	_cleanup_buf_ struct buf name = {0};

	name_print(cells, n, &name);
	if (name.failed)
		return -ENOMEM;
	spelling->same = strcmp(name.data, spelling->name) == 0;
	return 0;
}

/* Types whose every value is spelled as it is typed, or whose spelling name_parse() checks. */
static bool spelled_freely(const struct relation *relation)
{
	enum { OID_TEXT = 25, OID_VARCHAR = 1043 }; /* pg_type.dat */

	for (size_t i = 0; i < relation->n_parts; i++) {
		const struct type *type = relation->columns[relation->parts[i].column].type;

		if (type->kind != TYPE_INTEGER && type->oid != OID_TEXT && type->oid != OID_VARCHAR)
			return false;
	}
	return true;
}

int commit_check_name(struct engine *engine, const struct rowref *ref, struct error *e)
{
	_cleanup_statement_ struct statement statement = {0};
	struct spelling spelling = {.name = ref->name};
	int r;

	if (ref->hash[0] || spelled_freely(ref->relation))
		return 0;
	if (statement_canonical(ref->relation, &ref->key, &statement) < 0)
		return no_memory(e);
	r = store_run(engine->store, STORE_WRITE, &statement, compare_spelling, &spelling, NULL, e);
	if (r < 0)
		return r;
	if (!spelling.same)
		return error_set(e, EINVAL, "PostgreSQL spells this key differently, so the name "
					    "would not be the row's");
	return 0;
}
