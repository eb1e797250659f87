#include "rowfs/engine/edit.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "rowfs/base/switches.h"
#include "rowfs/engine/commit.h"
#include "rowfs/engine/draft.h"
#include "rowfs/model/json.h"

struct edit {
	struct engine *engine;
	struct rowref ref;
	struct asker asker;
	char *path;
	pid_t thread_group;
	bool created;
	bool edited; /* the text began as the base's */
	struct name_hold *hold; /* [lock] */

	pthread_mutex_t lock;
	struct draft draft;         /* [lock] */
	uint64_t committed;         /* [lock] generation of it that PostgreSQL has */
	uint64_t refused;           /* [lock] generation that was refused last, 0: none */
	int error;                  /* [lock] why, -errno */
	bool surrendered;           /* [lock] */
	bool unnamed;               /* [lock] */
	bool busy;                  /* [lock] a commit is on its way */
	struct edit_request *waiting; /* [lock] for it to end */

	/* Of the commit on its way; only its task touches these while busy. */
	struct lane_task task;
	enum edit_intent intent;
	struct text *base; /* NULL before an INSERT */
	struct text *belief; /* what the program took the row to be when it opened this handle; NULL once it is the base */
	bool believed;       /* the base is that, or what this handle has saved */
	bool saved;          /* and that is what its program has saved */
	const char *sent;    /* lent by the draft */
	size_t sent_len;
	uint64_t sent_hash;
	uint64_t sent_generation;
	struct edit_request *sender;
};

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

static void edit_free(struct edit *edit)
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

/* --- Committing ------------------------------------------------------------------------------ */

static int write_through(struct edit *edit, struct text **ret_now, struct error *e)
{
	struct save save = {
		.base = edit->base,
		.edited = edit->edited,
		.believed = edit->believed,
		.saved = edit->believed && edit->saved,
		.open = true,
		.text = edit->sent,
		.len = edit->sent_len,
	};

	if (edit->intent == EDIT_NEW)
		return commit_new(edit->engine, edit->ref.relation->oid, save.text, save.len, e);
	if (edit->intent == EDIT_UPDATE && !edit->base) /* there was none for what the row became */
		return error_set(e, ENOMEM, "out of memory");
	return commit_save(edit->engine, &edit->ref, &save, ret_now, e);
}

/* To the name, unless that is another's by now. */
static void happened(struct edit *edit, enum name_event event)
{
	bool unnamed;

	pthread_mutex_lock(&edit->lock);
	unnamed = edit->unnamed;
	pthread_mutex_unlock(&edit->lock);
	if (!unnamed)
		(void)names_event(edit->engine->names, edit->ref.relation->oid, edit->ref.name, event, NULL);
}

static void committed(struct edit *edit, struct text *now)
{
	if (edit->intent == EDIT_NEW)
		return;
	edit->intent = EDIT_UPDATE;
	if (now != edit->base)
		edit->believed = edit->saved = true;
	bases_saved(edit->engine->bases, edit->ref.relation->oid, edit->ref.name, edit->thread_group, now);
	text_unref(edit->base);
	edit->base = now;
	happened(edit, NAME_COMMITTED);
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

/* With the lock held, while no commit is on its way. White space after a row that was committed makes no other of it. */
static bool only_space_since(const struct edit *edit)
{
	const struct buf *text = &edit->draft.text;
	size_t len = edit->sent_len;

	return edit->committed && edit->committed == edit->sent_generation && text->len >= len &&
	       text_hash(text->data, len) == edit->sent_hash &&
	       json_progress(text->data + len, text->len - len) == JSON_EMPTY;
}

/* With the lock held: what there is to do. 1: commit; else what to answer at once. */
static int decide(struct edit *edit, pid_t thread_group)
{
	const struct draft *draft = &edit->draft;

	if (!edit->busy && only_space_since(edit))
		edit->committed = edit->sent_generation = draft->generation;
	if (edit->surrendered)
		return 0;
	if (draft->cut)
		return draft->cut;
	if (draft->generation == edit->committed)
		return 0;
	if (SWITCHED_OFF("dirty") && edit->committed)
		return 0;
	if (edit->refused == draft->generation)
		return edit->error;
	switch (json_progress(draft->text.data, draft->text.len)) {
	case JSON_EMPTY:
		return 0;
	case JSON_INCOMPLETE:
		if (thread_group && edit->thread_group && thread_group != edit->thread_group)
			return 0;
		return 1;
	default:
		return 1;
	}
}

/* With the lock held. */
static void prepare(struct edit *edit)
{
	edit->sent = draft_lend(&edit->draft);
	edit->sent_len = edit->draft.text.len;
	edit->sent_hash = text_hash(edit->sent, edit->sent_len);
	edit->sent_generation = edit->draft.generation;
	edit->busy = true;
}

static void refuse_text(struct edit *edit, const struct error *e, const char *data, size_t len, struct text *theirs)
{
	const struct kept_text kept = {
		.data = data,
		.len = len,
		.base = edit->base,
		.inserted = edit->intent != EDIT_UPDATE,
		.theirs = theirs,
	};

	refusals_add(edit->engine->refusals, &edit->asker, e, &kept);
}

static int commit(struct edit *edit)
{
	struct text *now = NULL;
	struct error e = {0};
	int r = write_through(edit, &now, &e);

	if (r == 0) {
		committed(edit, now);
	} else {
		refuse_text(edit, &e, edit->sent, edit->sent_len, now);
		text_unref(now);
	}
	return r;
}

/* With the lock held. */
static void settle(struct edit *edit, int r)
{
	edit->busy = false;
	draft_take_back(&edit->draft);
	if (r == 0) {
		edit->committed = edit->sent_generation;
	} else if (edit->draft.generation == edit->sent_generation) {
		edit->refused = edit->sent_generation;
		edit->error = r;
	}
}

static void commit_task(struct lane_task *task);

/* What becomes of a request: it is answered (with request->err), it waits for the commit that is on its way,
 * or it is what the next one is made for, which is then ready to run. */
enum turn { ANSWERED, WAITS, RUNS };

/* With the lock held. */
static enum turn take_turn(struct edit *edit, struct edit_request *request)
{
	int r = decide(edit, request->thread_group);

	if (r == 1 && edit->busy) {
		request->next = edit->waiting;
		edit->waiting = request;
		return WAITS;
	}
	if (r == 1) {
		prepare(edit);
		edit->task.run = commit_task;
		edit->sender = request;
		return RUNS;
	}
	request->err = r;
	return ANSWERED;
}

/* With the lock held: those who waited; the ones that can be answered are put before *answered. */
static bool take_turns(struct edit *edit, struct edit_request **answered)
{
	struct edit_request *waiting = edit->waiting, *next;
	bool runs = false;

	edit->waiting = NULL;
	for (; waiting; waiting = next) {
		enum turn turn;

		next = waiting->next;
		turn = take_turn(edit, waiting);
		runs |= turn == RUNS;
		if (turn == ANSWERED) {
			waiting->next = *answered;
			*answered = waiting;
		}
	}
	return runs;
}

/* The handle may be released as soon as the last who asked is told. So those who need another commit are
 * sorted out first; while it is not made, they keep the handle. */
static void commit_task(struct lane_task *task)
{
	struct edit *edit = container_of(task, struct edit, task);
	struct edit_request *answered = edit->sender, *next;
	bool runs;
	int r = commit(edit);

	answered->err = r;
	answered->next = NULL;
	pthread_mutex_lock(&edit->lock);
	settle(edit, r);
	runs = take_turns(edit, &answered);
	pthread_mutex_unlock(&edit->lock);

	for (; answered; answered = next) {
		next = answered->next;
		answered->done(answered, answered->err);
	}
	if (runs)
		lane_run(edit->engine->writes, &edit->task);
}

void edit_commit(struct edit *edit, pid_t thread_group, struct edit_request *request)
{
	enum turn turn;

	request->thread_group = thread_group;
	pthread_mutex_lock(&edit->lock);
	turn = take_turn(edit, request);
	pthread_mutex_unlock(&edit->lock);
	if (turn == RUNS)
		lane_run(edit->engine->writes, &edit->task);
	else if (turn == ANSWERED)
		request->done(request, request->err);
}

/* --- The end --------------------------------------------------------------------------------- */

static bool is_empty(const struct edit *edit)
{
	const struct draft *draft = &edit->draft;

	return !draft->cut && json_progress(draft->text.data, draft->text.len) == JSON_EMPTY;
}

static void edit_end(struct edit *edit)
{
	bool dirty = !edit->surrendered && (edit->draft.cut || edit->draft.generation != edit->committed);

	/* Who made the name could not save what it was made for; or that of a name whose row waits for its DELETE. */
	if (dirty && !is_empty(edit) && (edit->created || edit->hold) && edit->committed == 0)
		happened(edit, NAME_DROPPED);
	edit_free(edit);
}

static void close_task(struct lane_task *task)
{
	struct edit *edit = container_of(task, struct edit, task);
	int r = commit(edit);

	pthread_mutex_lock(&edit->lock);
	settle(edit, r);
	pthread_mutex_unlock(&edit->lock);
	edit_end(edit);
}

static void keep_incomplete(struct edit *edit)
{
	struct error e;

	(void)error_set(&e, EINVAL, "the file was closed with a text that was never complete");
	refuse_text(edit, &e, edit->draft.text.data, edit->draft.text.len, NULL);
}

void edit_close(struct edit *edit)
{
	bool incomplete;
	int r;

	pthread_mutex_lock(&edit->lock);
	r = decide(edit, 0);
	incomplete = r == 1 && json_progress(edit->draft.text.data, edit->draft.text.len) == JSON_INCOMPLETE;
	if (r == 1 && !incomplete) {
		prepare(edit);
		edit->task.run = close_task;
		pthread_mutex_unlock(&edit->lock);
		lane_run(edit->engine->writes, &edit->task);
		return;
	}
	pthread_mutex_unlock(&edit->lock);
	if (incomplete)
		keep_incomplete(edit);
	edit_end(edit);
}
