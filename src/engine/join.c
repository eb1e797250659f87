#include "join.h"

#include <errno.h>
#include <stdlib.h>

#include "rowfs/base/counters.h"
#include "rowfs/engine/copy.h"

struct joining {
	const struct rowref *ref;
	const struct text *bare;
	struct patch patch;
	struct text *text;
	bool no_room; /* in memory_max for it */
	int mismatch; /* why there is no text */
};

static bool is_of_xid(struct cell cell, uint32_t xid)
{
	return cell.data && strtoull(cell.data, NULL, 10) == xid;
}

static int put_together(struct joining *joining, const struct cell *cold)
{
	const struct relation *relation = joining->ref->relation;
	_cleanup_buf_ struct buf out = {0};

	for (size_t i = 0; i < relation->n_columns; i++)
		if (relation->columns[i].cold)
			joining->patch.cells[i] = *cold++;
	text_begin(&out);
	json_print(relation, joining->patch.cells, &out);
	if (out.failed)
		return -ENOMEM;
	joining->text = text_finish(&out, &joining->bare->version.mtime, joining->bare->xid);
	joining->no_room = !joining->text;
	if (!joining->text)
		return -ENOMEM;
	if (!version_equal(&joining->text->version, &joining->bare->version)) {
		text_unref(joining->text);
		joining->text = NULL;
		joining->mismatch = -EBADMSG;
	}
	return 0;
}

static int take_line(void *arg, const struct cell *cells, size_t n)
{
	struct joining *joining = arg;

	if (n != 1 + joining->ref->relation->n_cold)
		return -EPROTO;
	if (joining->text || !is_of_xid(cells[0], joining->bare->xid))
		return 0;
	return put_together(joining, cells + 1);
}

/* A name that is a hash leads to a scan, and the copy knows the key. */
static int key_of(const struct joining *joining, struct cells *ret)
{
	const struct relation *relation = joining->ref->relation;
	struct cell key[KEY_PARTS_MAX];

	if (!joining->ref->hash[0])
		return cells_copy(joining->ref->key.at, joining->ref->key.n, ret);
	for (size_t i = 0; i < relation->n_parts; i++)
		key[i] = joining->patch.cells[relation->parts[i].column];
	return cells_copy(key, relation->n_parts, ret);
}

static int ask(const struct fetch_from *from, struct joining *joining, struct error *e)
{
	_cleanup_statement_ struct statement statement = {0};
	_cleanup_cells_ struct cells key = {0};
	int r = key_of(joining, &key);

	if (r == 0)
		r = statement_fetch_cold(joining->ref->relation, &key, &statement);
	count(store_fetches);
	statement.abandoned = from->abandoned;
	if (r == 0)
		r = store_run(from->store, from->set, &statement, take_line, joining, e);
	if (r == 0 || r == -ESTALE)
		return r;
	if (joining->no_room)
		return text_no_room(e);
	return fetch_explain(from, joining->ref, r, e);
}

int join_row(const struct fetch_from *from, const struct rowref *ref, const struct text *bare, const struct buf *value,
	     struct text **ret, struct error *e)
{
	struct joining joining = {.ref = ref, .bare = bare, .mismatch = -EAGAIN};
	int r = copy_cells(ref->relation, value, &joining.patch);

	if (r < 0)
		return r == -ENOMEM ? error_set(e, ENOMEM, "out of memory") : -EBADMSG;
	r = ask(from, &joining, e);
	patch_done(&joining.patch);
	if (r == 0 && joining.text) {
		count(cache_joined);
		*ret = joining.text;
		return 0;
	}
	if (joining.text)
		text_unref(joining.text);
	if (r < 0 && r != -ESTALE)
		return r;
	/* A column that is gone says nothing about the row. */
	count(cache_unjoined);
	*e = (struct error){0};
	return r < 0 ? -EAGAIN : joining.mismatch;
}
