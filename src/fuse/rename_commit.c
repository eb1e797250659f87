/* A rename that makes a text a row's: of a scratch file, or of one that was refused and kept. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "rename.h"
#include "rowfs/engine/commit.h"
#include "rowfs/engine/kernel.h"

/* Whoever makes a text a row's shows it to all who may read the row, so he must be one who may read the text. */
static int get_scratch(struct call *call)
{
	_cleanup_close_ int dir = spool_dir(call->mount, call->node, false);
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (dir < 0)
		return dir;
	fd = openat(dir, call->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ELOOP ? -EPERM : -errno; /* a symlink is no text */
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return -EPERM;
	if (!spool_allows(call, &st, R_OK))
		return -EACCES;
	return scratch_get(fd, &call->buf);
}

/* The text is a row now. The scratch file's node has its name until it is looked up; the one it replaces lives
 * on without. Its handles are edits of the row; those that are being opened see that the node has changed. */
static void scratch_is_row(struct call *call, struct text *now)
{
	struct mount *mount = call->mount;
	struct node *node = nodes_find(mount->nodes, call->node, call->name);
	_cleanup_close_ int dir = spool_dir(mount, call->node, false);
	struct version version = version_of(call->buf.data ? call->buf.data : "", call->buf.len, NULL);
	uint32_t oid = call->target->relation;
	struct stat st;

	names_event(mount->engine.names, oid, call->new_name, NAME_OVERWRITTEN, NULL);
	if (node)
		nodes_make_row(mount->nodes, node, oid, ino_of_name(oid, call->new_name), &version);
	if (dir >= 0 && fstatat(dir, call->name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		handles_return(call, &st, now);
		spool_remove(mount, call->node, dir, call->name, 0);
	}
	if (call->kind == NODE_KEPT)
		kept_settled(call->node->more->kept_dir, call->name);
	rename_reply(call, node);
}

static struct text *known_target(const struct call *call, bool *ret_saved)
{
	return bases_get(call->mount->engine.bases, call->target->relation, call->new_name,
			 process_group(call->asker.pid), ret_saved);
}

/* What the program takes the row to be that its text becomes. A text that comes back as it went changes nothing. */
static struct text *believed_target(const struct call *call, bool *ret_saved)
{
	const struct text *now = call->text;

	if (!now || buf_equal(&call->buf, now->data, now->len))
		return NULL;
	return known_target(call, ret_saved);
}

/* Where rm and a new file are one, a text that is refused undoes the rm. */
static void target_stays(struct call *call, enum name_state state)
{
	if (state != NAME_UNLINKED && state != NAME_RECREATED)
		return;
	names_event(call->mount->engine.names, call->target->relation, call->new_name, NAME_OVERWRITTEN, NULL);
	kernel_row_changed(call->target->relation, call->new_name);
	kernel_listing_changed(call->target->relation);
}

static struct save save_of(const struct call *call, struct text *base)
{
	return (struct save){
		.base = base,
		.text = call->buf.data ? call->buf.data : "",
		.len = call->buf.len,
	};
}

/* *ret_now: see commit_save(). */
static int commit_text_of(struct call *call, const struct save *save, struct text **ret_now)
{
	struct engine *engine = &call->mount->engine;
	int r = save->base ? 0 : commit_check_name(engine, &call->new_ref, &call->error);

	return r < 0 ? r : commit_save(engine, &call->new_ref, save, ret_now, &call->error);
}

static void text_is_row(struct call *call, struct text *now)
{
	/* What came back as it went was not this program's to know. */
	if (now != call->text)
		bases_saved(call->mount->engine.bases, call->target->relation, call->new_name,
			    process_group(call->asker.pid), now);
	scratch_is_row(call, now);
}

static void commit_held(struct call *call, enum name_state state)
{
	_cleanup_text_ struct text *now = NULL, *believed = NULL;
	struct save save;
	int r = 0;

	if (state == NAME_PLAIN)
		r = rename_read_target(call);
	else if (!name_is_hidden(state) && (call->flags & RENAME_NOREPLACE))
		r = error_set(&call->error, EEXIST, "there is a file %s already", call->new_name);
	save = save_of(call, call->text);
	if (r < 0) { /* what the row is could not be seen; what the program takes it to be may be known */
		believed = known_target(call, &save.saved);
		rename_failed(call, r, &(struct kept_text){.data = save.text, .len = save.len, .base = believed});
		return;
	}
	believed = believed_target(call, &save.saved);
	if (believed) {
		save.base = believed;
		save.believed = true;
	}
	r = commit_text_of(call, &save, &now);
	if (r < 0) {
		target_stays(call, state);
		rename_failed(call, r, &(struct kept_text){save.text, save.len, save.base, !save.base, now});
	} else {
		text_is_row(call, now);
	}
}

static void commit_scratch(struct call *call)
{
	rename_with_target(call, commit_held);
}

/* --- A text that was refused, to its row ------------------------------------------------------ */

/* It is a change of what it was made of; if others have changed that, what it had changed is made to theirs. */
static int commit_origin(struct call *call, const struct kept_origin *origin, struct text **ret_now)
{
	struct save save = save_of(call, origin->theirs ? origin->theirs : origin->deleted ? NULL : origin->base);

	save.believed = save.base;
	save.origin = origin->theirs ? origin->base : NULL;
	return commit_text_of(call, &save, ret_now);
}

static void commit_kept_held(struct call *call, enum name_state state)
{
	struct kept_origin origin = {0};
	_cleanup_text_ struct text *now = NULL;
	int r = kept_origin(call->node->more->kept_dir, call->name, call_asker(call)->path, &origin);

	if (r == 0 && (!origin.known || (call->flags & RENAME_NOREPLACE))) {
		kept_origin_done(&origin);
		commit_held(call, state);
		return;
	}
	if (r == 0)
		r = commit_origin(call, &origin, &now);
	kept_origin_done(&origin);
	if (r < 0) {
		target_stays(call, state);
		rename_failed(call, r, &(struct kept_text){.theirs = now});
	} else {
		text_is_row(call, now);
	}
}

static void commit_kept(struct call *call)
{
	rename_with_target(call, commit_kept_held);
}

void rename_scratch_to_row(struct call *call)
{
	int r = get_scratch(call);

	if (r == -EFBIG) {
		r = text_too_long(&call->error);
		call_refuse(call, CALL_PATH, r, NULL);
	} else if (r < 0) {
		call_error(call, r);
	} else {
		call_work(call, call->kind == NODE_KEPT ? commit_kept : commit_scratch);
	}
}
