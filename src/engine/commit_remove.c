/* DELETE, and what takes a row from its name: mv. */
#include <errno.h>

#include "commit_run.h"

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
	return commit_key(ref, &row, ret) < 0 ? commit_no_memory(e) : 0;
}

/* A lost DELETE, or the lost renaming to `to` (NULL for a DELETE): it was done if the row is gone, and there
 * under its new name. 1: it was not. */
static int settle_gone(struct engine *engine, const struct rowref *ref, const struct rowref *to,
		       struct error *e)
{
	_cleanup_text_ struct text *text = NULL, *renamed = NULL;
	int64_t deadline = commit_deadline(engine);
	int r = commit_wait_decided(engine, deadline, e);

	if (r < 0)
		return r;

	if (commit_look(engine, ref, deadline, &text, e) < 0)
		return commit_unknown(e);
	if (text)
		return 1;
	if (to && (commit_look(engine, to, deadline, &renamed, e) < 0 || !renamed))
		return commit_unknown(e);
	return 0;
}

/* One try to make `ref` go. Returns 1 when it must be made again. */
static int gone_try(struct engine *engine, const struct rowref *ref, const struct rowref *to,
		    const struct statement *statement, struct error *e)
{
	_cleanup_text_ struct text *text = NULL;
	struct answer answer = {0};
	int r = commit_run(engine, statement, &answer, e);

	if (r == 0 && answer.lines)
		return 0;
	if (r < 0 && !e->outcome_unknown)
		return r;
	if (r < 0)
		return settle_gone(engine, ref, to, e);
	r = commit_look(engine, ref, 0, &text, e);
	if (r < 0 && r != -EFBIG)
		return r;
	if (text || r == -EFBIG)
		return error_set(e, EPERM, "the database kept the row: a trigger or rule refused it "
					   "without saying why");
	return error_set(e, ENOENT, "there is no row %s", ref->name);
}

static int run_gone(struct engine *engine, const struct rowref *ref, const struct rowref *to,
		    const struct statement *statement, struct error *e)
{
	int r = 0;

	for (int attempt = 0; attempt < COMMIT_ATTEMPTS; attempt++) {
		r = gone_try(engine, ref, to, statement, e);
		if (r <= 0)
			break;
	}
	if (r > 0)
		r = commit_unknown(e);
	if (r == 0)
		commit_announce(engine, ref, 0);
	else
		reader_saved(engine->reader, ref, 0); /* a copy must not say otherwise */
	return r;
}

int commit_delete(struct engine *engine, const struct rowref *ref, struct error *e)
{
	_cleanup_statement_ struct statement statement = {0};
	_cleanup_cells_ struct cells key = {0};
	int r = commit_check_writable(ref->relation, e);

	if (r == 0)
		r = resolve(engine, ref, &key, e);
	if (r < 0)
		return r;
	if (statement_delete(ref->relation, &key, &statement) < 0)
		return commit_no_memory(e);
	return run_gone(engine, ref, NULL, &statement, e);
}

int commit_rename(struct engine *engine, const struct rowref *from, const struct rowref *to, bool onto,
		  struct error *e)
{
	_cleanup_statement_ struct statement statement = {0};
	_cleanup_cells_ struct cells from_key = {0}, to_key = {0};
	int r = commit_check_writable(from->relation, e);

	if (r < 0)
		return r;
	if (onto && from->relation->partial)
		return error_set(e, EPERM, "some of this table's columns are hidden from you and would be lost");
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
		return commit_no_memory(e);
	r = run_gone(engine, from, to, &statement, e);
	if (r == 0)
		commit_tell(engine, to, 0);
	return r;
}
