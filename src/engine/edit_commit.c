/* What a handle's text becomes: a row, a refusal that keeps it, or nothing. One commit of a handle is on its way at a
 * time; who asks meanwhile waits for it, and is answered by it where it has his text. */
#include <errno.h>
#include <string.h>

#include "edit_state.h"
#include "rowfs/base/switches.h"
#include "rowfs/engine/commit.h"
#include "rowfs/model/json.h"

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
