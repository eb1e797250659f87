/* A text becomes a row. */
#include <errno.h>
#include <stdio.h>

#include "commit_run.h"
#include "rowfs/base/switches.h"

/* `columns` and `cells` have room for those of the relation. */
static struct text *print_known(const struct relation *relation, const struct patch *row, uint32_t xid,
				struct column *columns, struct cell *cells)
{
	struct relation known = *relation;
	_cleanup_buf_ struct buf out = {0};

	known.columns = columns;
	known.n_columns = 0;
	for (size_t i = 0; i < relation->n_columns; i++) {
		if (!row->present[i])
			continue;
		columns[known.n_columns] = relation->columns[i];
		cells[known.n_columns++] = row->cells[i];
	}
	text_begin(&out);
	json_print(&known, cells, &out);
	return out.failed ? NULL : text_finish(&out, NULL, xid);
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

static int fetch_now(struct engine *engine, const struct rowref *ref, struct text **ret, struct error *e)
{
	int r = reader_fetch(engine->reader, ref, STORE_WRITE, ret, e);

	return r == -ENOENT ? commit_gone(e) : r;
}

static int save_anew(struct engine *engine, const struct rowref *ref, const struct save *save,
		     struct text **ret_now, struct error *e)
{
	_cleanup_text_ struct text *fresh = NULL;
	struct save anew = *save;
	int r = fetch_now(engine, ref, &fresh, e);

	if (r < 0)
		return r;
	anew.base = fresh;
	return commit_update(engine, ref, &anew, NULL, ret_now, e);
}

/* What the server has made of a base that was saved, if nobody has changed the row since, nor before that unseen. */
static int read_stored(struct engine *engine, const struct rowref *ref, const struct save *save,
		       struct text **ret, struct error *e)
{
	struct text *now;
	int r;

	if (!save->saved || !save->base->xid || save->base->merged)
		return 0;
	r = fetch_now(engine, ref, &now, e);
	if (r < 0)
		return r;
	if (now->xid == save->base->xid)
		*ret = now;
	else
		text_unref(now);
	return 0;
}

static int save_patch(struct engine *engine, const struct rowref *ref, const struct save *save,
		      struct text **ret_now, struct error *e)
{
	_cleanup_text_ struct text *stored = NULL;
	int r;

	if (SWITCHED_OFF("base"))
		return save_anew(engine, ref, save, ret_now, e);
	r = read_stored(engine, ref, save, &stored, e);

	return r < 0 ? r : commit_update(engine, ref, save, stored, ret_now, e);
}

/* The base and the row as it is now are the same, whatever triggers made of it: two texts of one transaction; what views
 * show has none. Not so if the base leaves out what others had changed before. */
static bool is_overtaken(const struct save *save, const struct text *now)
{
	if (now->xid && save->base->xid)
		return now->xid != save->base->xid || save->base->merged;
	return !save->saved && !version_equal(&now->version, &save->base->version);
}

/* A text, what it is compared with, and what it was made of if that is another. */
struct sides {
	struct patch wanted, found, base, origin;
};

static void sides_done(struct sides *sides)
{
	patch_done(&sides->wanted);
	patch_done(&sides->found);
	patch_done(&sides->base);
	patch_done(&sides->origin);
}

static int parse_sides(const struct relation *relation, const struct save *save, const struct text *now,
		       struct sides *ret, struct error *e)
{
	int r = json_parse(relation, save->text, save->len, &ret->wanted, e);

	if (r == 0)
		r = json_parse(relation, now->data, now->len, &ret->found, e);
	if (r == 0)
		r = json_parse(relation, save->base->data, save->base->len, &ret->base, e);
	if (r == 0 && save->origin)
		r = json_parse(relation, save->origin->data, save->origin->len, &ret->origin, e);
	return r;
}

/* Is that column what the text says of it, or does the text not say it itself? */
static bool agrees(const struct relation *relation, const struct save *save, const struct sides *sides, size_t i)
{
	const struct type *type = relation->columns[i].type;

	if (!sides->wanted.present[i] || relation->columns[i].generated)
		return true;
	if (save->origin && sides->origin.present[i] &&
	    json_same_value(type, sides->wanted.cells[i], sides->origin.cells[i]))
		return true;
	return json_same_value(type, sides->wanted.cells[i], sides->found.cells[i]);
}

/* Does the row have what the text says? Else the name of a column in which it has not. Who saves once more all that he
 * knows of a row of which his last save left others' changes leaves these again. */
static int find_difference(const struct relation *relation, const struct save *save, const struct text *now,
			   const char **ret, struct error *e)
{
	_cleanup_(sides_done) struct sides sides = {0};
	int r = parse_sides(relation, save, now, &sides, e);

	*ret = NULL;
	if (r == 0 && now->xid && now->xid == save->base->xid && patch_names_all(relation, &sides.wanted, &sides.base))
		return 0;
	for (size_t i = 0; r == 0 && !*ret && i < relation->n_columns; i++)
		if (!agrees(relation, save, &sides, i))
			*ret = relation->columns[i].name;
	return r;
}

/* The text changes nothing of what its program had read. If that is not what the row is any more, it may be meant to
 * bring it back, or to leave it as it is; nobody can tell. */
static int refuse_overtaken(struct engine *engine, const struct rowref *ref, const struct save *save,
			    struct text **ret_theirs, struct error *e)
{
	_cleanup_text_ struct text *now = NULL;
	const char *column = NULL;
	int r = fetch_now(engine, ref, &now, e);

	if (r == 0 && is_overtaken(save, now))
		r = find_difference(ref->relation, save, now, &column, e);
	if (r < 0 || !column)
		return r;
	*ret_theirs = text_ref(now);
	(void)error_set(e, ESTALE, "conflict: column \"%s\" was changed by somebody else meanwhile, and the text is what this "
				   "program had read", column);
	return commit_conflict(column, e);
}

/* A text that has changed nothing may have been meant for another row than there is now. *ret_now is the base, and
 * becomes what the row is. */
static int save_nothing(struct engine *engine, const struct rowref *ref, const struct save *save,
			struct text **ret_now, struct error *e)
{
	struct text *theirs = NULL, *there = NULL;
	int r = 0;

	if (save->believed && engine->settings->conflict != CONFLICT_LAST) {
		r = refuse_overtaken(engine, ref, save, &theirs, e);
	} else if (may_have_missed(engine, ref, save)) {
		text_unref(*ret_now);
		*ret_now = NULL;
		return save_anew(engine, ref, save, ret_now, e);
	} else if (save->open) {
		r = fetch_now(engine, ref, &there, e);
		text_unref(there);
	}
	if (r < 0) {
		text_unref(*ret_now);
		*ret_now = theirs;
	}
	return r;
}

int commit_save(struct engine *engine, const struct rowref *ref, const struct save *save,
		struct text **ret_now, struct error *e)
{
	struct text *now = NULL;
	int r;

	names_await(engine->names, ref->relation->oid, ref->name);
	r = save->base ? save_patch(engine, ref, save, &now, e) :
			 commit_insert(engine, ref, save, &now, e);

	if (r == 0 && save->base && now == save->base)
		r = save_nothing(engine, ref, save, &now, e);
	if (ret_now)
		*ret_now = now;
	else
		text_unref(now);
	return r;
}
