/* DELETE, and what takes a row from its name: mv. */
#include <errno.h>

#include "commit_run.h"

/* What is to go. */
struct leaving {
	const struct rowref *ref;
	const struct rowref *to; /* its new name; NULL for a DELETE */
	struct cells key;
	uint32_t xid; /* a transaction of which it was before; 0: unknown */
};

/* The key of `ref`, which for a hashed name takes a look at the row. */
static int resolve(struct engine *engine, const struct rowref *ref, struct cells *ret, uint32_t *ret_xid,
		   struct error *e)
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
	*ret_xid = text ? text->xid : reader_seen(engine->reader, ref);
	return commit_key(ref, &row, ret) < 0 ? commit_no_memory(e) : 0;
}

/* A statement that was lost: it was done if the row is gone, and there under its new name. 1: it was not,
 * which only the very row shows that was there before; others may have made one of that name since. */
static int settle_gone(struct engine *engine, const struct leaving *leaving, struct error *e)
{
	_cleanup_text_ struct text *text = NULL, *renamed = NULL;
	int64_t deadline = commit_deadline(engine);
	int r = commit_wait_decided(engine, deadline, e);

	if (r < 0)
		return r;

	if (commit_look(engine, leaving->ref, deadline, &text, e) < 0)
		return commit_unknown(e);
	if (text)
		return leaving->xid && text->xid == leaving->xid ? 1 : commit_unknown(e);
	if (leaving->to && (commit_look(engine, leaving->to, deadline, &renamed, e) < 0 || !renamed))
		return commit_unknown(e);
	return 0;
}

/* One try to make it go. Returns 1 when it must be made again. */
static int gone_try(struct engine *engine, const struct leaving *leaving,
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
		return settle_gone(engine, leaving, e);
	r = commit_check_single(engine, leaving->ref, &leaving->key, e);
	if (r < 0)
		return r;
	r = commit_look(engine, leaving->ref, 0, &text, e);
	if (r < 0 && r != -EFBIG)
		return r;
	if (text || r == -EFBIG)
		return error_set(e, EPERM, "the database kept the row: a trigger or rule refused it "
					   "without saying why");
	return error_set(e, ENOENT, "there is no row %s", leaving->ref->name);
}

static void leaving_done(struct leaving *leaving)
{
	cells_done(&leaving->key);
}

static int run_gone(struct engine *engine, const struct leaving *leaving,
		    const struct statement *statement, struct error *e)
{
	int r = 0;

	for (int attempt = 0; attempt < COMMIT_ATTEMPTS; attempt++) {
		r = gone_try(engine, leaving, statement, e);
		if (r <= 0)
			break;
	}
	if (r > 0)
		r = commit_unknown(e);
	if (r == 0)
		commit_announce(engine, leaving->ref, 0);
	else
		reader_saved(engine->reader, leaving->ref, 0); /* a copy must not say otherwise */
	return r;
}

int commit_delete(struct engine *engine, const struct rowref *ref, struct error *e)
{
	_cleanup_statement_ struct statement statement = {0};
	_cleanup_(leaving_done) struct leaving leaving = {.ref = ref};
	int r = commit_check_writable(ref->relation, e);

	if (r == 0)
		r = resolve(engine, ref, &leaving.key, &leaving.xid, e);
	if (r < 0)
		return r;
	if (statement_delete(ref->relation, &leaving.key, &statement) < 0)
		return commit_no_memory(e);
	return run_gone(engine, &leaving, &statement, e);
}

int commit_rename(struct engine *engine, const struct rowref *from, const struct rowref *to, bool onto,
		  struct error *e)
{
	_cleanup_statement_ struct statement statement = {0};
	_cleanup_(leaving_done) struct leaving leaving = {.ref = from, .to = to};
	_cleanup_cells_ struct cells to_key = {0};
	uint32_t ignored;
	int r = commit_check_writable(from->relation, e);

	if (r < 0)
		return r;
	if (onto && from->relation->partial)
		return error_set(e, EPERM, "some of this table's columns are hidden from you and would be lost");
	if (to->hash[0] && !onto)
		return error_set(e, EINVAL, "the key of a new name must be short enough to stand in it");
	r = resolve(engine, from, &leaving.key, &leaving.xid, e);
	if (r == 0)
		r = resolve(engine, to, &to_key, &ignored, e);
	if (r < 0)
		return r;
	if (onto)
		r = statement_replace(from->relation, &leaving.key, &to_key, &statement);
	else
		r = statement_rekey(from->relation, &leaving.key, &to_key, &statement);
	if (r < 0)
		return commit_no_memory(e);
	r = run_gone(engine, &leaving, &statement, e);
	if (r == 0)
		commit_tell(engine, to, 0);
	return r;
}
