/* DELETE, and what takes a row from its name: mv. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "commit_run.h"

/* What is to go. */
struct leaving {
	const struct rowref *ref;
	const struct rowref *to; /* its new name; NULL for a DELETE */
	struct cells key;
	uint32_t xid; /* a transaction of which it was before; 0: unknown */
};

static int no_row(const struct rowref *ref, struct error *e)
{
	return error_set(e, ENOENT, "there is no row %s", ref->name);
}

/* Is that the one spelling of the key's name? Whoever made the hash up may have cut the key elsewhere. */
static int check_spelling(const struct rowref *ref, const struct cells *key, struct error *e)
{
	_cleanup_buf_ struct buf name = {0};

	name_print(key->at, key->n, &name);
	if (name.failed)
		return commit_no_memory(e);
	return strcmp(name.data, ref->name) == 0 ? 0 : no_row(ref, e);
}

/* The key that a hashed name stands for. The row may be too large to be read, which is a reason to remove it. */
static int find_hashed(struct engine *engine, const struct rowref *ref, struct cells *ret, uint32_t *ret_xid,
		       struct error *e)
{
	_cleanup_statement_ struct statement statement = {0};
	struct answer answer = {0};
	int r;

	if (statement_key_hashed(ref->relation, ref->hash, &statement) < 0)
		return commit_no_memory(e);
	r = commit_run(engine, &statement, &answer, e);
	if (r == 0)
		r = answer.lines ? check_spelling(ref, &answer.key, e) : no_row(ref, e);
	if (r < 0) {
		cells_done(&answer.key);
		return r;
	}
	*ret = answer.key;
	*ret_xid = answer.xid;
	return 0;
}

/* The key of `ref`, which for a hashed name takes a look at the row. */
static int resolve(struct engine *engine, const struct rowref *ref, struct cells *ret, uint32_t *ret_xid,
		   struct error *e)
{
	if (ref->hash[0])
		return find_hashed(engine, ref, ret, ret_xid, e);
	*ret_xid = reader_seen(engine->reader, ref);
	return cells_copy(ref->key.at, ref->key.n, ret) < 0 ? commit_no_memory(e) : 0;
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
	return no_row(leaving->ref, e);
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
	if (statement_delete(ref->relation, &leaving.key, NULL, &statement) < 0)
		return commit_no_memory(e);
	return run_gone(engine, &leaving, &statement, e);
}

/* The key of a row that was read. */
static int key_of(const struct rowref *ref, const struct text *row, struct cells *ret, struct error *e)
{
	_cleanup_patch_ struct patch patch = {0};
	int r = commit_check_writable(ref->relation, e);

	if (r == 0 && ref->hash[0])
		r = json_parse(ref->relation, row->data, row->len, &patch, e);
	if (r < 0)
		return r;
	return commit_key(ref, &patch, ret) < 0 ? commit_no_memory(e) : 0;
}

int commit_rehearse_delete(struct engine *engine, const struct rowref *ref, const struct text *row,
			   struct error *e)
{
	_cleanup_statement_ struct statement statement = {0};
	_cleanup_(leaving_done) struct leaving leaving = {.ref = ref, .xid = row->xid};
	int r = key_of(ref, row, &leaving.key, e);

	if (r < 0)
		return r;
	if (statement_delete(ref->relation, &leaving.key, NULL, &statement) < 0)
		return commit_no_memory(e);
	statement.rehearsed = true;
	statement.writes = false; /* what was lost may be repeated */
	return gone_try(engine, &leaving, &statement, e);
}

static int refuse_changed(struct error *e)
{
	(void)error_set(e, ESTALE, "conflict: the row was changed by somebody else after it was removed, so it was not "
				   "deleted");
	snprintf(e->hint, sizeof e->hint, "read it again, and remove it then");
	return -ESTALE;
}

/* What is there now, where it is not what it was: 0 if nothing is, -ESTALE. */
static int check_unchanged(struct engine *engine, const struct rowref *ref, const struct text *row, bool *ret_gone,
			   struct error *e)
{
	_cleanup_text_ struct text *now = NULL;
	int r = commit_look(engine, ref, 0, &now, e);

	*ret_gone = r == 0 && !now;
	if (r < 0 || !now)
		return r;
	if (row->xid ? now->xid == row->xid : version_equal(&now->version, &row->version))
		return 0;
	return refuse_changed(e);
}

/* Views and foreign tables have no transaction that the statement could ask for: they are looked at before. */
static int delete_where_unchanged(struct engine *engine, const struct leaving *leaving, const struct text *row,
				  struct error *e)
{
	_cleanup_statement_ struct statement statement = {0};
	bool gone = false;
	char xid[16];
	int r = row->xid ? 0 : check_unchanged(engine, leaving->ref, row, &gone, e);

	if (r < 0 || gone)
		return r;
	snprintf(xid, sizeof xid, "%" PRIu32, row->xid);
	if (statement_delete(leaving->ref->relation, &leaving->key, row->xid ? xid : NULL, &statement) < 0)
		return commit_no_memory(e);
	r = run_gone(engine, leaving, &statement, e);
	if (r != -EPERM || e->sqlstate[0] || !row->xid)
		return r == -ENOENT ? 0 : r;
	/* No line: it is another row now, or a trigger keeps it. */
	return check_unchanged(engine, leaving->ref, row, &gone, &(struct error){0}) == -ESTALE ? refuse_changed(e) : r;
}

int commit_delete_unchanged(struct engine *engine, const struct rowref *ref, const struct text *row,
			    struct error *e)
{
	_cleanup_(leaving_done) struct leaving leaving = {.ref = ref, .xid = row->xid};
	int r = key_of(ref, row, &leaving.key, e);

	return r < 0 ? r : delete_where_unchanged(engine, &leaving, row, e);
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
