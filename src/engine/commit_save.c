/* A text becomes a row. */
#include <errno.h>

#include "commit_run.h"

/* `columns` and `cells` have room for those of the relation. */
static struct text *print_known(const struct relation *relation, const struct patch *row, uint32_t xid,
				struct column *columns, struct cell *cells)
{
	struct relation known = *relation;
	_cleanup_buf_ struct buf out = {0};
	struct version version;

	known.columns = columns;
	known.n_columns = 0;
	for (size_t i = 0; i < relation->n_columns; i++) {
		if (!row->present[i])
			continue;
		columns[known.n_columns] = relation->columns[i];
		cells[known.n_columns++] = row->cells[i];
	}
	json_print(&known, cells, &out);
	if (out.failed)
		return NULL;
	version = version_of(out.data, out.len, NULL);
	return text_new(out.data, out.len, &version, xid);
}

struct text *commit_text(const struct relation *relation, const struct patch *row, uint32_t xid)
{
	_cleanup_free_ struct column *columns = calloc(relation->n_columns + 1, sizeof *columns);
	_cleanup_free_ struct cell *cells = calloc(relation->n_columns + 1, sizeof *cells);

	return columns && cells ? print_known(relation, row, xid, columns, cells) : NULL;
}

/* Nothing differed, but from a copy that may have been older than what the text was to replace. A name that was
 * moved away and comes back is compared with what it was then. */
static bool may_have_missed(struct engine *engine, const struct rowref *ref, const struct save *save)
{
	return save->base && save->base->copied && !save->edited &&
	       names_state(engine->names, ref->relation->oid, ref->name, NULL) == NAME_PLAIN;
}

static int save_anew(struct engine *engine, const struct rowref *ref, const struct save *save,
		     struct text **ret_now, struct error *e)
{
	_cleanup_text_ struct text *fresh = NULL;
	struct save anew = *save;
	int r = reader_fetch(engine->reader, ref, STORE_WRITE, &fresh, e);

	if (r == -ENOENT)
		return error_set(e, ESTALE, "conflict: the row was deleted by somebody else");
	if (r < 0)
		return r;
	anew.base = fresh;
	return commit_update(engine, ref, &anew, ret_now, e);
}

int commit_save(struct engine *engine, const struct rowref *ref, const struct save *save,
		struct text **ret_now, struct error *e)
{
	struct text *now = NULL;
	int r = save->base ? commit_update(engine, ref, save, &now, e) :
			     commit_insert(engine, ref, save, &now, e);

	if (r == 0 && now == save->base && may_have_missed(engine, ref, save)) {
		text_unref(now);
		now = NULL;
		r = save_anew(engine, ref, save, &now, e);
	}
	if (r == 0 && ret_now)
		*ret_now = now;
	else
		text_unref(now);
	return r;
}
