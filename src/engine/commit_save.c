/* A text becomes a row. */
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

int commit_save(struct engine *engine, const struct rowref *ref, const struct save *save,
		struct text **ret_now, struct error *e)
{
	struct text *now = NULL;
	int r = save->base ? commit_update(engine, ref, save, &now, e) :
			     commit_insert(engine, ref, save, &now, e);

	if (r == 0 && ret_now)
		*ret_now = now;
	else
		text_unref(now);
	return r;
}
