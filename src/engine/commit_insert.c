/* INSERT: under the key of a name, or under one that the server assigns. */
#include <errno.h>
#include <string.h>

#include "commit_run.h"
#include "rowfs/model/diff.h"

/* Is the row that is there now the one that this text would have made? */
static bool is_ours(struct engine *engine, const struct rowref *ref, const struct patch *patch,
		    int64_t deadline, struct error *e, bool *ret_there)
{
	_cleanup_text_ struct text *text = NULL;
	_cleanup_patch_ struct patch now = {0};

	*ret_there = true;
	if (commit_look(engine, ref, deadline, &text, e) < 0)
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
	int64_t deadline;
	int r;

	answer->lines = 0;
	r = commit_run(engine, statement, answer, e);
	deadline = commit_deadline(engine);
	bool there;

	if (r == 0 && answer->lines)
		return 0;
	if (r == 0)
		return error_set(e, EPERM, "the database inserted no row: a trigger or rule refused it "
					   "without saying why");
	if (!e->outcome_unknown)
		return r;
	r = commit_wait_decided(engine, deadline, e);
	if (r < 0)
		return r;
	if (is_ours(engine, ref, patch, deadline, e, &there))
		return 0;
	return there ? commit_unknown(e) : 1;
}

/* The server fails for a generated column as it does for a number that is none. */
static void explain_generated(const struct relation *relation, const struct patch *patch, struct error *e)
{
	if (!strstr(e->message, STATEMENT_NOT_GENERATED))
		return;
	(void)error_set(e, EINVAL, "%s", STATEMENT_NOT_GENERATED);
	error_copy_text(e->hint, sizeof e->hint, "Leave it out.");
	for (size_t i = 0; i < relation->n_columns; i++)
		if (relation->columns[i].generated && patch->present[i] && !e->field[0])
			error_copy_text(e->field, sizeof e->field, relation->columns[i].name);
}

/* What to say of a row that the server did not take. */
static void explain(struct engine *engine, const struct relation *relation, const struct patch *patch, int r,
		    struct error *e)
{
	if (r == -EACCES)
		commit_forbidden(relation, patch->present, true, e);
	if (r == -EINVAL)
		commit_blame(engine, relation, patch, NULL, e);
	if (r == -EINVAL)
		explain_generated(relation, patch, e);
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
	if (commit_key(ref, patch, ret) < 0)
		return commit_no_memory(e);
	if (!ref->hash[0])
		return 0;
	name_print(ret->at, ret->n, &name);
	if (name.failed || strcmp(name.data, ref->name) != 0)
		return error_set(e, EINVAL, "the key in the text is not the one that the name stands for");
	return 0;
}

int commit_insert(struct engine *engine, const struct rowref *ref, const struct save *save,
		  struct text **ret_now, struct error *e)
{
	_cleanup_statement_ struct statement statement = {0};
	_cleanup_patch_ struct patch patch = {0};
	_cleanup_cells_ struct cells key = {0};
	struct answer answer = {0};
	int r = json_parse(ref->relation, save->text, save->len, &patch, e);

	if (r == 0)
		r = insert_key(ref, &patch, &key, e);
	if (r == 0)
		r = diff_insert(ref->relation, &key, &patch, e);
	if (r == 0)
		r = commit_check_writable(ref->relation, e);
	if (r < 0)
		return r;
	if (statement_insert(ref->relation, &key, &patch, &statement) < 0)
		return commit_no_memory(e);
	for (int attempt = 0; attempt < COMMIT_ATTEMPTS; attempt++) {
		r = insert_try(engine, ref, &patch, &statement, &answer, e);
		if (r <= 0)
			break;
	}
	cells_done(&answer.key);
	if (r > 0)
		return commit_unknown(e);
	if (r == 0) {
		commit_announce(engine, ref, answer.xid);
		*ret_now = commit_text(ref->relation, &patch, answer.xid);
	}
	if (r < 0)
		explain(engine, ref->relation, &patch, r, e);
	return r;
}

/* The key that the server assigned may be one that a row had before, of which copies are about. */
static void new_row(struct engine *engine, struct schema *schema, const struct relation *relation,
		    const struct answer *answer)
{
	_cleanup_buf_ struct buf name = {0};
	struct rowref ref = {.schema = schema, .relation = relation, .key = answer->key};

	name_print(answer->key.at, answer->key.n, &name);
	if (name.failed)
		return;
	ref.name = name.data;
	engine_note_insert(engine, relation, name.data);
	commit_announce(engine, &ref, answer->xid);
}

int commit_new(struct engine *engine, uint32_t oid, const char *text, size_t len, struct error *e)
{
	_cleanup_statement_ struct statement statement = {0};
	_cleanup_schema_ struct schema *schema = catalog_get(engine->catalog);
	const struct relation *relation = schema_relation(schema, oid);
	_cleanup_patch_ struct patch patch = {0};
	struct answer answer = {0};
	int r;

	if (!relation)
		return error_set(e, ESTALE, "the table is gone");
	r = json_parse(relation, text, len, &patch, e);
	if (r == 0)
		r = diff_insert(relation, NULL, &patch, e);
	if (r == 0)
		r = commit_check_writable(relation, e);
	if (r < 0)
		return r;
	if (statement_insert(relation, NULL, &patch, &statement) < 0)
		return commit_no_memory(e);
	r = commit_run(engine, &statement, &answer, e);
	if (r < 0 && e->outcome_unknown)
		return commit_unknown(e);
	if (r < 0) {
		explain(engine, relation, &patch, r, e);
		return r;
	}
	if (!answer.lines)
		return error_set(e, EPERM, "the database inserted no row: a trigger or rule refused it "
					   "without saying why");
	new_row(engine, schema, relation, &answer);
	cells_done(&answer.key);
	return 0;
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
		return commit_no_memory(e);
	r = store_run(engine->store, STORE_WRITE, &statement, compare_spelling, &spelling, e);
	if (r < 0)
		return r;
	if (!spelling.same)
		return error_set(e, EINVAL, "PostgreSQL spells this key differently, so the name "
					    "would not be the row's");
	return 0;
}
