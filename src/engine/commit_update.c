/* UPDATE: a text becomes the columns in which it differs from its base. */
#include <errno.h>
#include <stdio.h>

#include "commit_run.h"
#include "rowfs/model/diff.h"

struct update {
	const struct rowref *ref;
	struct cells key;
	struct patch base, edited, stored;
	struct cell *compared; /* the base, but what the server has made of it where that is known */
	bool *changed;
	size_t n_changed;
	bool *checked; /* these must still be as the base has them */
	bool merged;   /* see struct text; of the last try */
};

static void update_done(struct update *update)
{
	cells_done(&update->key);
	patch_done(&update->base);
	patch_done(&update->edited);
	patch_done(&update->stored);
	free(update->changed);
	free(update->checked);
	free(update->compared);
}

/* What the base does not have may be anything in the row, so that NULL is a change too. */
static void mark_unknown(struct update *update)
{
	const struct relation *relation = update->ref->relation;

	for (size_t i = 0; i < relation->n_columns; i++) {
		if (!update->edited.present[i] || update->base.present[i] || update->changed[i] ||
		    relation_is_key(relation, i) || relation->columns[i].generated)
			continue;
		update->changed[i] = true;
		update->n_changed++;
	}
}

/* What the server has made of the base is the value of a column that the base does not have. A generated column may be
 * there as the base has it, or as it has become. */
static int take_stored(struct update *update, const struct text *stored, struct error *e)
{
	const struct relation *relation = update->ref->relation;
	struct patch *base = &update->base, *now = &update->stored;
	int r = json_parse(relation, stored->data, stored->len, now, e);

	for (size_t i = 0; r == 0 && i < relation->n_columns; i++) {
		const struct column *column = &relation->columns[i];

		if (!now->present[i] ||
		    (base->present[i] &&
		     !(column->generated && update->edited.present[i] &&
		       json_same_value(column->type, update->edited.cells[i], now->cells[i]))))
			continue;
		base->cells[i] = now->cells[i];
		base->present[i] = true;
	}
	return r;
}

/* What changes is compared with what the server has made of the base. */
static void choose_compared(struct update *update)
{
	for (size_t i = 0; i < update->ref->relation->n_columns; i++)
		update->compared[i] = update->stored.present && update->stored.present[i] && update->checked[i] ?
					      update->stored.cells[i] :
					      update->base.cells[i];
}

static bool is_value(const struct relation *relation, size_t i)
{
	return !relation_is_key(relation, i) && !relation->columns[i].generated;
}

bool patch_names_all(const struct relation *relation, const struct patch *patch, const struct patch *base)
{
	for (size_t i = 0; i < relation->n_columns; i++)
		if (is_value(relation, i) && base->present[i] && !patch->present[i])
			return false;
	return true;
}

/* What must still be as the base has it: what is changed; and of a program that had read the row before, what it names,
 * unless it names all: who sends a whole row leaves what he had read as it was, who names a few columns wants them so. */
static bool must_be_so(const struct update *update, const struct save *save, enum conflict policy, bool whole, size_t i)
{
	switch (policy) {
	case CONFLICT_LAST:
		return false;
	case CONFLICT_FAIL:
		return update->base.present[i] || update->changed[i];
	case CONFLICT_MERGE:
		break;
	}
	return update->changed[i] ||
	       (save->believed && !whole && update->edited.present[i] && update->base.present[i]);
}

static void choose_checked(struct update *update, const struct save *save, enum conflict policy)
{
	const struct relation *relation = update->ref->relation;
	bool whole = patch_names_all(relation, &update->edited, &update->base);

	for (size_t i = 0; i < relation->n_columns; i++)
		update->checked[i] = is_value(relation, i) && must_be_so(update, save, policy, whole, i);
}

/* Of a text that others were quicker with, only what it had changed is its own. */
static int take_own(struct update *update, const struct text *origin, struct error *e)
{
	const struct relation *relation = update->ref->relation;
	_cleanup_free_ bool *own = calloc(relation->n_columns + 1, sizeof *own);
	_cleanup_patch_ struct patch before = {0};
	size_t n;
	int r = own ? json_parse(relation, origin->data, origin->len, &before, e) : commit_no_memory(e);

	if (r == 0)
		r = diff_patch(relation, &update->key, before.cells, &update->edited, own, &n, e);
	for (size_t i = 0; r == 0 && i < relation->n_columns; i++)
		if (before.present[i] && !own[i])
			update->edited.present[i] = false;
	return r;
}

static int update_prepare(const struct rowref *ref, const struct save *save, const struct text *stored,
			  enum conflict policy, struct update *ret, struct error *e)
{
	const struct relation *relation = ref->relation;
	int r;

	ret->ref = ref;
	r = json_parse(relation, save->text, save->len, &ret->edited, e);
	if (r < 0)
		return r;
	r = json_parse(relation, save->base->data, save->base->len, &ret->base, e);
	if (r == -EINVAL) /* columns came or went since it was printed */
		return error_set(e, ESTALE, "the table's columns have changed since the row was read");
	if (r == 0 && stored)
		r = take_stored(ret, stored, e);
	if (r < 0)
		return r;
	ret->changed = calloc(relation->n_columns + 1, sizeof *ret->changed);
	ret->checked = calloc(relation->n_columns + 1, sizeof *ret->checked);
	ret->compared = calloc(relation->n_columns + 1, sizeof *ret->compared);
	if (!ret->changed || !ret->checked || !ret->compared || commit_key(ref, &ret->base, &ret->key) < 0)
		return commit_no_memory(e);
	if (save->origin)
		r = take_own(ret, save->origin, e);
	if (r == 0)
		r = diff_patch(relation, &ret->key, ret->base.cells, &ret->edited, ret->changed,
			       &ret->n_changed, e);
	if (r < 0)
		return r;
	mark_unknown(ret);
	choose_checked(ret, save, policy);
	choose_compared(ret);
	return 0;
}

/* The base with what was changed. */
static struct text *update_result(struct update *update, uint32_t xid)
{
	struct text *text;

	for (size_t i = 0; i < update->ref->relation->n_columns; i++) {
		if (!update->changed[i])
			continue;
		update->base.cells[i] = update->edited.cells[i];
		update->base.present[i] = true;
	}
	text = commit_text(update->ref->relation, &update->base, xid);
	if (text)
		text->merged = update->merged;
	return text;
}

enum verdict { OURS, BASE, OTHERS, GONE };

/* What the row holds in the columns that were to change, or to be as they were. `ret_column`: of OTHERS, the first that is
 * neither; where some are ours and the rest the base's, the first that is not the base's. */
static enum verdict compare(const struct update *update, const struct patch *now, size_t *ret_column)
{
	const struct relation *relation = update->ref->relation;
	bool ours = true, base = true, neither = false;

	for (size_t i = 0; i < relation->n_columns; i++) {
		const struct type *type = relation->columns[i].type;

		if (!update->changed[i] && !update->checked[i])
			continue;
		bool is_ours = update->changed[i] && json_same_value(type, now->cells[i], update->edited.cells[i]);
		bool is_base = json_same_value(type, now->cells[i], update->compared[i]);

		if (!is_base && (base || (!is_ours && !neither)))
			*ret_column = i;
		neither |= !is_ours && !is_base;
		ours &= is_ours || (!update->changed[i] && is_base);
		base &= is_base;
	}
	return ours ? OURS : base ? BASE : OTHERS;
}

/* *ret_now: the row, NULL if it is gone. */
static int judge(struct engine *engine, const struct update *update, int64_t deadline,
		 enum verdict *ret, size_t *ret_column, struct text **ret_now, struct error *e)
{
	_cleanup_patch_ struct patch now = {0};
	struct text *text = NULL;
	int r = commit_look(engine, update->ref, deadline, &text, e);

	*ret_now = text;
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
	return 0;
}

static int conflict(const struct update *update, enum verdict verdict, size_t column, struct error *e)
{
	const char *name;

	if (verdict == GONE)
		return commit_gone(e);
	name = update->ref->relation->columns[column].name;
	(void)error_set(e, ESTALE, "conflict: column \"%s\" was changed by somebody else meanwhile", name);
	return commit_conflict(name, e);
}

/* Had others changed the row since the base was read? What they changed is in the row by now, with our change. */
static bool was_merged(const struct save *save, const struct answer *answer)
{
	const struct cell *before = answer->key.n > 1 ? &answer->key.at[1] : NULL;

	if (save->base->merged || !before)
		return save->base->merged;
	return !before->data || (uint32_t)strtoul(before->data, NULL, 10) != save->base->xid;
}

static bool was_kept(const struct answer *answer)
{
	return answer->key.n && answer->key.at[0].data && *answer->key.at[0].data == 't';
}

/* Has somebody else made of it what this save may not pass over? */
static bool is_conflict(const struct update *update, enum verdict verdict)
{
	bool checked = false;

	for (size_t i = 0; i < update->ref->relation->n_columns; i++)
		checked |= update->checked[i];
	return verdict == GONE || (verdict == OTHERS && checked);
}

/* What came of one try: of which transaction the row was last seen, the one that wrote it, if that was the server's
 * answer, and what others made of it. */
struct outcome {
	uint32_t seen, ours;
	struct text *theirs;
};

/* One try. Returns 1 when it must be made again. */
static int update_try(struct engine *engine, struct update *update, const struct save *save,
		      const struct statement *statement, struct outcome *ret, struct error *e)
{
	_cleanup_text_ struct text *now = NULL;
	struct answer answer = {0};
	enum verdict verdict;
	int64_t deadline = 0;
	size_t column = 0;
	bool lost, kept;
	int r = commit_run(engine, statement, &answer, e);

	ret->seen = ret->ours = answer.xid;
	kept = was_kept(&answer);
	update->merged = was_merged(save, &answer);
	cells_done(&answer.key);
	if (r == 0 && answer.lines && !kept)
		return 0;
	lost = r < 0 && e->outcome_unknown;
	if (r == 0 && !answer.lines)
		r = commit_check_single(engine, update->ref, &update->key, e);
	if (r < 0 && !lost)
		return r;
	if (lost) {
		deadline = commit_deadline(engine);
		r = commit_wait_decided(engine, deadline, e);
		if (r < 0)
			return r;
	}
	r = judge(engine, update, deadline, &verdict, &column, &now, e);
	if (now)
		ret->seen = now->xid;
	if (r < 0)
		return lost ? commit_unknown(e) : r;
	if (verdict == OURS) { /* by whoever: what else has changed is not known */
		ret->ours = ret->seen;
		update->merged = true;
		return 0;
	}
	if (lost)
		return verdict == BASE ? 1 : commit_unknown(e);
	if (is_conflict(update, verdict) && !kept) {
		ret->theirs = now ? text_ref(now) : NULL;
		return conflict(update, verdict, column, e);
	}
	return error_set(e, EPERM, "the database kept the row as it was: a trigger or rule refused "
				   "the change without saying why");
}

int commit_update(struct engine *engine, const struct rowref *ref, const struct save *save,
		  const struct text *stored, struct text **ret_now, struct error *e)
{
	_cleanup_statement_ struct statement statement = {0};
	_cleanup_(update_done) struct update update = {0};
	struct outcome outcome = {0};
	int r = update_prepare(ref, save, stored, engine->settings->conflict, &update, e);

	if (r == 0 && update.n_changed == 0)
		*ret_now = text_ref(save->base);
	if (r < 0 || update.n_changed == 0)
		return r;
	r = commit_check_writable(ref->relation, e);
	if (r < 0)
		return r;
	r = statement_patch(ref->relation, &update.key, update.compared, &update.edited,
			    update.changed, update.checked, &statement);
	if (r < 0)
		return commit_no_memory(e);
	for (int attempt = 0; attempt < COMMIT_ATTEMPTS; attempt++) {
		r = update_try(engine, &update, save, &statement, &outcome, e);
		if (r <= 0)
			break;
	}
	if (r > 0)
		r = commit_unknown(e);
	if (r == 0)
		commit_announce(engine, ref, outcome.seen);
	else
		reader_saved(engine->reader, ref, 0); /* whatever was cached may be why it failed */
	*ret_now = r == 0 ? update_result(&update, outcome.ours) : outcome.theirs;
	if (r == -EACCES)
		commit_forbidden(ref->relation, update.changed, false, e);
	if (r == -EINVAL)
		commit_blame(engine, ref->relation, &update.edited, update.changed, e);
	return r;
}
