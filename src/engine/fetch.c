#include "fetch.h"

#include <errno.h>
#include <string.h>

#include "rowfs/base/counters.h"
#include "rowfs/model/json.h"

struct fetched {
	const struct rowref *ref;
	struct text *text;
	bool no_room; /* in memory_max for it */
};

/* Only the spelling that PostgreSQL prints is the row's name: `042` finds row 42, whose name it is not. */
static bool is_canonical(const struct rowref *ref, const struct row_view *view)
{
	struct cell key[KEY_PARTS_MAX];
	_cleanup_buf_ struct buf name = {0};

	row_view_key(ref->relation, view, key);
	name_print(key, relation_key_len(ref->relation), &name);
	return !name.failed && strcmp(name.data, ref->name) == 0;
}

static int take_line(void *arg, const struct cell *cells, size_t n)
{
	struct fetched *fetched = arg;
	const struct relation *relation = fetched->ref->relation;
	_cleanup_buf_ struct buf out = {0};
	struct row_view view;
	int r = row_view(relation, cells, n, &view);

	if (r < 0)
		return r;
	if (fetched->text || !is_canonical(fetched->ref, &view))
		return 0;
	text_begin(&out);
	json_print(relation, view.cells, &out);
	if (out.failed)
		return -ENOMEM;
	if (text_begun_len(&out) > TEXT_MAX)
		return -EFBIG;
	fetched->text = text_finish(&out, view.has_mtime ? &view.mtime : NULL, view.xid);
	fetched->no_room = !fetched->text;
	return fetched->text ? 0 : -ENOMEM;
}

static int fetch_statement(const struct rowref *ref, struct statement *ret)
{
	if (ref->hash[0])
		return statement_fetch_hashed(ref->schema, ref->relation, ref->hash, ret);
	return statement_fetch(ref->schema, ref->relation, &ref->key, ret);
}

static int ignore_line(void *arg, const struct cell *cells, size_t n)
{
	return 0;
}

/* Does PostgreSQL refuse the key itself ("abc" for a date)? Then no row has it. Other errors of the same
 * class come from the row, such as a view's division by zero, and do not say that it is not there. */
static bool is_bad_key(struct store *store, const struct rowref *ref, enum store_set set)
{
	_cleanup_statement_ struct statement statement = {0};
	struct error e;

	return !ref->hash[0] && ref->relation->key_kind == KEY_COLUMNS &&
	       statement_canonical(ref->relation, &ref->key, &statement) == 0 &&
	       store_run(store, set, &statement, ignore_line, NULL, &e) == -EINVAL;
}

static int no_row(const struct rowref *ref, struct error *e)
{
	return error_set(e, ENOENT, "there is no row %s", ref->name);
}

int fetch_explain(const struct fetch_from *from, const struct rowref *ref, int r, struct error *e)
{
	if (r == -ESTALE || r == -EACCES)
		catalog_suspect(from->catalog);
	if (r == -EINVAL && is_bad_key(from->store, ref, from->set))
		return no_row(ref, e);
	if (r == -EFBIG && !e->sqlstate[0])
		return error_set(e, EFBIG, "the row %s is too large for a file: a row's text may have %d MiB",
				 ref->name, TEXT_MAX >> 20);
	r = error_ensure(e, r); /* there may have been no memory for a statement */
	/* EINVAL would speak of the call, and the fault is the row's. */
	if (r == -EINVAL)
		e->err = EIO;
	return -e->err;
}

int fetch_row(const struct fetch_from *from, const struct rowref *ref, struct text **ret, struct error *e)
{
	_cleanup_statement_ struct statement statement = {0};
	struct fetched fetched = {.ref = ref};
	struct error local = {0};
	int r = fetch_statement(ref, &statement);

	count(store_fetches);
	statement.abandoned = from->abandoned;
	if (r == 0)
		r = store_run(from->store, from->set, &statement, take_line, &fetched, &local);
	if (r < 0) {
		text_unref(fetched.text);
		r = fetched.no_room ? text_no_room(&local) : fetch_explain(from, ref, r, &local);
	} else if (!fetched.text) {
		r = no_row(ref, &local);
	} else {
		*ret = fetched.text;
		return 0;
	}
	if (e)
		*e = local;
	return r;
}

int fetch_row_renewed(const struct fetch_from *from, const struct rowref *ref, bool *ret_renewed, struct text **ret,
		      struct error *e)
{
	struct rowref renewed;
	int r = fetch_row(from, ref, ret, e);

	*ret_renewed = false;
	if (r != -ESTALE || strcmp(e->sqlstate, "42703") != 0)
		return r;
	catalog_renew(from->catalog, ref->schema);
	if (rowref_of_name(from->catalog, ref->relation->oid, ref->name, &renewed, NULL) < 0)
		return r;
	*e = (struct error){0};
	r = fetch_row(from, &renewed, ret, e);
	rowref_done(&renewed);
	*ret_renewed = true;
	return r;
}
