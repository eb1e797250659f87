#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "edit_state.h"
#include "rowfs/model/json.h"

/* Nothing of what the handle showed is left, so what is written is the program's own: made of what it had read. With
 * the lock held, or before anybody else knows the edit. */
static void begin_anew(struct edit *edit)
{
	if (!edit->belief || edit->busy || edit->committed)
		return;
	text_unref(edit->base);
	edit->base = edit->belief;
	edit->belief = NULL;
	edit->believed = true;
}

void edit_free(struct edit *edit)
{
	draft_done(&edit->draft);
	names_let_go(edit->engine->names, edit->hold);
	rowref_done(&edit->ref);
	text_unref(edit->base);
	text_unref(edit->belief);
	free(edit->path);
	pthread_mutex_destroy(&edit->lock);
	free(edit);
}

int edit_new(struct engine *engine, const struct rowref *ref, const struct edit_options *options,
	     struct edit **ret)
{
	struct edit *edit = calloc(1, sizeof *edit);
	int r;

	if (!edit) {
		names_let_go(engine->names, options->hold);
		return -ENOMEM;
	}
	pthread_mutex_init(&edit->lock, NULL);
	edit->engine = engine;
	edit->hold = options->hold;
	edit->intent = options->intent;
	edit->base = options->base ? text_ref(options->base) : NULL;
	edit->edited = !options->truncated;
	edit->belief = options->belief ? text_ref(options->belief) : NULL;
	edit->saved = options->saved;
	edit->created = options->created;
	edit->asker = options->asker;
	edit->thread_group = options->thread_group;
	edit->path = strdup(options->asker.path);
	edit->asker.path = edit->path;
	r = edit->path ? rowref_copy(ref, &edit->ref) : -ENOMEM;
	if (options->truncated)
		begin_anew(edit);
	else if (r == 0 && options->base)
		r = draft_begin(&edit->draft, options->base->data, options->base->len);
	if (r < 0) {
		edit_free(edit);
		return r;
	}
	*ret = edit;
	return 0;
}

int edit_new_saved(struct engine *engine, const struct rowref *ref, const struct edit_options *options,
		   const char *text, size_t len, struct edit **ret)
{
	struct edit *edit;
	int r = edit_new(engine, ref, options, &edit);

	if (r < 0)
		return r;
	r = draft_begin(&edit->draft, text, len);
	if (r < 0) {
		edit_free(edit);
		return r;
	}
	edit->believed = edit->saved = true;
	*ret = edit;
	return 0;
}

/* --- The buffer ------------------------------------------------------------------------------ */

void edit_read(struct edit *edit, size_t offset, size_t len, struct buf *out)
{
	pthread_mutex_lock(&edit->lock);
	if (offset < edit->draft.text.len) {
		size_t rest = edit->draft.text.len - offset;

		buf_add(out, edit->draft.text.data + offset, len < rest ? len : rest);
	}
	pthread_mutex_unlock(&edit->lock);
}

/* A size that was refused. What the text has without those bytes is not whole and no use to anybody. */
static void refuse_size(struct edit *edit, int r, const char *consequence)
{
	size_t len;
	struct error e;

	(void)(r == -EFBIG ? text_too_long(&e) : text_no_room(&e));
	len = strlen(e.message);
	snprintf(e.message + len, sizeof e.message - len, "%s", consequence);
	refusals_add(edit->engine->refusals, &edit->asker, &e, NULL);
}

/* With the lock held: why the text as it is was refused, -errno, or 0. */
static int refusal_of(const struct edit *edit)
{
	const struct draft *draft = &edit->draft;

	if (draft->sequential && draft->scan.progress == JSON_BROKEN)
		return -EINVAL;
	return edit->refused && edit->refused == draft->generation && !edit->busy ? edit->error : 0;
}

/* With the lock held: the same for bytes that it has already. (The kernel cuts a long write into pieces; of one whose
 * last piece fails the program is told that the others went well, and sends the last again, cut in another way.) */
static int refusal_again(const struct edit *edit, size_t offset, const void *data, size_t len)
{
	return draft_has(&edit->draft, offset, data, len) ? refusal_of(edit) : 0;
}

/* With the lock held: the bytes into the text. */
static int put(struct edit *edit, size_t offset, const void *data, size_t len, bool *ret_cut)
{
	struct draft *draft = &edit->draft;
	bool refused = edit->refused && edit->refused == draft->generation;
	bool complete = draft->sequential && draft->scan.progress == JSON_COMPLETE;
	enum json_progress progress;
	int r = draft_write(draft, offset, data, len, &progress, ret_cut);

	if (r < 0 || !len)
		return r;
	switch (progress) {
	case JSON_COMPLETE:
		if (!complete || !refused)
			return 1;
		edit->refused = draft->generation; /* only white space has come: it is the same text */
		return edit->error;
	case JSON_BROKEN:
		return -EINVAL;
	default:
		return 0;
	}
}

int edit_write(struct edit *edit, size_t offset, const void *data, size_t len)
{
	bool cut = false;
	int r;

	pthread_mutex_lock(&edit->lock);
	r = refusal_again(edit, offset, data, len);
	if (r == 0)
		r = put(edit, offset, data, len, &cut);
	pthread_mutex_unlock(&edit->lock);
	if (cut)
		refuse_size(edit, r, "; the text was cut off there, and is not kept");
	return r;
}

int edit_truncate(struct edit *edit, size_t size)
{
	int r;

	pthread_mutex_lock(&edit->lock);
	r = draft_truncate(&edit->draft, size);
	if (r == 0 && size == 0)
		begin_anew(edit);
	pthread_mutex_unlock(&edit->lock);
	if (r < 0)
		refuse_size(edit, r, "; the size stays as it was");
	return r;
}

size_t edit_size(struct edit *edit)
{
	return edit->draft.size;
}

bool edit_is_clean(struct edit *edit)
{
	bool clean;

	pthread_mutex_lock(&edit->lock);
	clean = !edit->busy && !edit->draft.cut && edit->draft.generation == edit->committed;
	pthread_mutex_unlock(&edit->lock);
	return clean;
}

enum edit_use edit_use(struct edit *edit)
{
	enum edit_use use;

	pthread_mutex_lock(&edit->lock);
	use = edit->busy ? EDIT_BUSY : edit->draft.generation ? EDIT_WRITTEN : EDIT_UNTOUCHED;
	pthread_mutex_unlock(&edit->lock);
	return use;
}

bool edit_is_of(struct edit *edit, uint32_t relation, const char *name)
{
	bool is;

	pthread_mutex_lock(&edit->lock);
	is = !edit->surrendered && !edit->unnamed && edit->ref.relation->oid == relation &&
	     strcmp(edit->ref.name, name) == 0;
	pthread_mutex_unlock(&edit->lock);
	return is;
}

int edit_surrender(struct edit *edit, struct buf *ret_text)
{
	bool busy;

	pthread_mutex_lock(&edit->lock);
	busy = edit->busy;
	if (!busy) {
		if (ret_text)
			buf_add(ret_text, edit->draft.text.data, edit->draft.text.len);
		edit->surrendered = true;
	}
	pthread_mutex_unlock(&edit->lock);
	return busy ? -EBUSY : 0;
}

void edit_let_go(struct edit *edit)
{
	pthread_mutex_lock(&edit->lock);
	names_let_go(edit->engine->names, edit->hold);
	edit->hold = NULL;
	pthread_mutex_unlock(&edit->lock);
}

void edit_unname(struct edit *edit)
{
	pthread_mutex_lock(&edit->lock);
	edit->unnamed = true;
	pthread_mutex_unlock(&edit->lock);
}

void edit_resume(struct edit *edit)
{
	pthread_mutex_lock(&edit->lock);
	edit->surrendered = false;
	pthread_mutex_unlock(&edit->lock);
}

/* With the lock held; takes what is in `ref`, the path and the hold. */
static void take_name(struct edit *edit, struct rowref *ref, char *path, struct text *base, struct name_hold *hold)
{
	names_let_go(edit->engine->names, edit->hold);
	rowref_done(&edit->ref);
	free(edit->path);
	text_unref(edit->base);
	text_unref(edit->belief);
	edit->ref = *ref;
	edit->asker.path = edit->path = path;
	edit->base = base ? text_ref(base) : NULL;
	edit->belief = NULL;
	edit->hold = hold;
	edit->intent = base ? EDIT_UPDATE : EDIT_INSERT;
	edit->believed = edit->saved = false;
	memset(ref, 0, sizeof *ref);
}

int edit_move(struct edit *edit, const struct rowref *ref, const char *path, struct text *base, struct name_hold *hold)
{
	_cleanup_rowref_ struct rowref to = {0};
	_cleanup_free_ char *copy = strdup(path);
	int r = copy ? rowref_copy(ref, &to) : -ENOMEM;

	pthread_mutex_lock(&edit->lock);
	if (r == 0 && edit->busy)
		r = -EBUSY;
	if (r == 0) {
		take_name(edit, &to, copy, base, hold);
		copy = NULL;
	}
	pthread_mutex_unlock(&edit->lock);
	if (r < 0)
		names_let_go(edit->engine->names, hold);
	return r;
}
