/* unlink and rename: where names that are rows and names that are not meet. docs/filesystem.md, "Names that
 * are not rows", has the table that this file follows.
 *
 *                 to: scratch name            to: row name
 *   from scratch  a rename in the spool       commit the text there (UPDATE or INSERT)
 *   from row      detach: no SQL              UPDATE of the key
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "mount.h"
#include "report.h"
#include "rowfs/engine/commit.h"
#include "rowfs/engine/kernel.h"

/* --- UNLINK ---------------------------------------------------------------------------------- */

static void unlink_scratch(struct call *call)
{
	_cleanup_close_ int dir = spool_dir(call->mount, call->node, false);

	if (dir < 0 || unlinkat(dir, call->name, 0) < 0) {
		call_error(call, dir < 0 ? dir : -errno);
		return;
	}
	nodes_unname(call->mount->nodes, call->node, call->name);
	call_error(call, 0);
}

/* What the handles on a name still hold is meant for nothing. -EBUSY while one commits. */
static int surrender_all(struct mount *mount, uint32_t relation, const char *name)
{
	struct file *file;
	int r = 0;

	while (r == 0 && (file = files_editing(mount, relation, name))) {
		_cleanup_buf_ struct buf dropped = {0};

		r = edit_surrender(file->edit, &dropped);
		file_unref(file);
	}
	return r;
}

/* A file that was created and never committed. */
static void unlink_pending(struct call *call)
{
	struct mount *mount = call->mount;
	int r = surrender_all(mount, call->node->relation, call->name);

	if (r == 0) {
		names_event(mount->engine.names, call->node->relation, call->name, NAME_REMOVED, NULL);
		nodes_unname(mount->nodes, call->node, call->name);
	}
	call_error(call, r);
}

static void unlink_row(struct call *call)
{
	struct mount *mount = call->mount;
	int r = commit_delete(&mount->engine, &call->ref, &call->error);

	if (r < 0) {
		call_refuse(call, CALL_PATH, &call->error, NULL, 0);
		return;
	}
	nodes_unname(mount->nodes, call->node, call->name);
	call_error(call, 0);
}

void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct mount *mount = mount_of(req);
	struct call *call = call_new(req, node_of(mount, parent), name);
	int r;

	if (!call)
		return;
	if (is_scratch_name(mount, call->node, name)) {
		if (strcmp(name, REPORT_NEW_ROW) == 0)
			call_error(call, -EPERM);
		else
			unlink_scratch(call);
		return;
	}
	if (call->node->kind != NODE_TABLE) {
		call_error(call, -EPERM);
		return;
	}
	if (names_state(mount->engine.names, call->node->relation, name, NULL) != NAME_PLAIN) {
		unlink_pending(call);
		return;
	}
	r = rowref_of_name(mount->engine.catalog, call->node->relation, name, &call->ref, NULL);
	if (r < 0)
		call_error(call, r == -ESTALE ? -EIO : r);
	else
		call_work(call, unlink_row);
}

/* --- RENAME: what is refused ----------------------------------------------------------------- */

/* Whether the name is free is a question (mv -n), and that it is not is the answer: no refusal. */
static void rename_failed(struct call *call, const char *text, size_t len)
{
	if ((call->flags & RENAME_NOREPLACE) && call->error.err == EEXIST && !call->error.sqlstate[0])
		call_error(call, -EEXIST);
	else
		call_refuse(call, CALL_PATH, &call->error, text, len);
}

/* --- RENAME: scratch to scratch -------------------------------------------------------------- */

static void reply_renamed(struct call *call, struct node *node)
{
	struct mount *mount = call->mount;

	if (node) {
		nodes_rename(mount->nodes, node, call->target, call->new_name);
		notify_inode(mount->session, ino_of(node));
		nodes_release(mount->nodes, node);
	} else {
		nodes_unname(mount->nodes, call->node, call->name);
		nodes_unname(mount->nodes, call->target, call->new_name);
	}
	call_error(call, 0);
}

static void rename_in_spool(struct call *call)
{
	struct mount *mount = call->mount;
	_cleanup_close_ int from = spool_dir(mount, call->node, false);
	_cleanup_close_ int to = spool_dir(mount, call->target, true);

	if (from < 0 || to < 0) {
		call_error(call, from < 0 ? from : to);
		return;
	}
	if (renameat2(from, call->name, to, call->new_name, call->flags) < 0) {
		call_error(call, -errno);
		return;
	}
	reply_renamed(call, nodes_find(mount->nodes, call->node, call->name));
}

/* --- RENAME: scratch to row ------------------------------------------------------------------ */

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
	return scratch_get(fd, &call->buf);
}

/* The text is a row now. The scratch file's node has its name until it is looked up; the one it replaces lives
 * on without. */
static void scratch_is_row(struct call *call)
{
	struct mount *mount = call->mount;
	struct node *node = nodes_find(mount->nodes, call->node, call->name);
	_cleanup_close_ int dir = spool_dir(mount, call->node, false);

	names_event(mount->engine.names, call->target->relation, call->new_name, NAME_COMMITTED, NULL);
	if (dir >= 0)
		unlinkat(dir, call->name, 0);
	if (node) {
		nodes_lock(mount->nodes);
		node->kind = NODE_ROW;
		node->relation = call->target->relation;
		node->ino = ino_of_name(node->relation, call->new_name);
		node->has_told = false; /* its size is the scratch file's: the next LOOKUP gives another */
		nodes_unlock(mount->nodes);
	}
	reply_renamed(call, node);
}

/* The row that has the new name now, into call->text; none is no error. */
static int read_target(struct call *call)
{
	int r = reader_read(call->mount->engine.reader, &call->new_ref, STORE_WRITE, &call->text,
			    &call->error);

	if (r == -ENOENT)
		return 0;
	if (r == 0 && (call->flags & RENAME_NOREPLACE))
		return error_set(&call->error, EEXIST, "there is a row %s already", call->new_name);
	return r;
}

static int commit_scratch_text(struct call *call)
{
	struct engine *engine = &call->mount->engine;
	struct error *e = &call->error;
	const char *text = call->buf.data ? call->buf.data : "";
	int r;

	if (call->text)
		return commit_update(engine, &call->new_ref, call->text, text, call->buf.len, NULL, e);
	r = commit_check_name(engine, &call->new_ref, e);
	return r < 0 ? r : commit_insert(engine, &call->new_ref, text, call->buf.len, e);
}

static void commit_scratch(struct call *call)
{
	enum name_state state = names_state(call->mount->engine.names, call->target->relation,
					    call->new_name, &call->text);
	int r = 0;

	if (state == NAME_PLAIN)
		r = read_target(call);
	else if (state != NAME_DETACHED && (call->flags & RENAME_NOREPLACE))
		r = error_set(&call->error, EEXIST, "there is a file %s already", call->new_name);
	if (r == 0)
		r = commit_scratch_text(call);
	if (r < 0)
		rename_failed(call, call->buf.data, call->buf.len);
	else
		scratch_is_row(call);
}

static void rename_scratch_to_row(struct call *call)
{
	int r = get_scratch(call);

	if (r == -EFBIG) {
		(void)text_too_long(&call->error);
		call_refuse(call, CALL_PATH, &call->error, NULL, 0);
	} else if (r < 0) {
		call_error(call, r);
	} else {
		call_work(call, commit_scratch);
	}
}

/* --- RENAME: row to scratch ------------------------------------------------------------------ */

/* Uncommitted handles follow the name; one that commits just now is a row's and stays. */
static void follow_all(struct call *call, int dir)
{
	struct mount *mount = call->mount;
	struct file *file;
	int r = 0;

	while (r == 0 && (file = files_editing(mount, call->node->relation, call->name))) {
		int fd = openat(dir, call->new_name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);

		r = fd < 0 ? -errno : file_follow(mount, file, fd);
		if (r < 0 && fd >= 0)
			close(fd);
		file_unref(file);
	}
}

/* The node goes with the scratch name. */
static struct node *row_is_scratch(struct call *call, int dir)
{
	struct mount *mount = call->mount;
	struct node *node = nodes_find(mount->nodes, call->node, call->name);
	int path_fd = openat(dir, call->new_name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (node && path_fd >= 0 && fstat(path_fd, &st) == 0) {
		nodes_lock(mount->nodes);
		node->kind = NODE_SCRATCH;
		node->ino = (uint64_t)st.st_ino << 2 | 1;
		/* Others may be using the number: it is filled anew, never closed. */
		if (node->path_fd < 0) {
			node->path_fd = path_fd;
			path_fd = -1;
		} else {
			dup3(path_fd, node->path_fd, O_CLOEXEC);
		}
		nodes_unlock(mount->nodes);
	}
	if (path_fd >= 0)
		close(path_fd);
	return node;
}

/* Let the name go. A name that was pending when we looked, and was committed since, is a row whose text we
 * do not have: -EBUSY. */
static int move_away(struct call *call, enum name_state before)
{
	struct names *names = call->mount->engine.names;
	uint32_t oid = call->node->relation;
	_cleanup_text_ struct text *base = NULL;
	int r = names_event(names, oid, call->name, NAME_MOVED_AWAY, call->text);

	if (r != NAME_DETACHED || before == NAME_PLAIN)
		return r < 0 ? r : 0;
	names_state(names, oid, call->name, &base);
	if (base)
		return 0;
	names_event(names, oid, call->name, NAME_COMMITTED, NULL);
	return -EBUSY;
}

/* The name is free; the file under the scratch name holds the row's text, and the handles of the name go
 * with it. */
static void detach(struct call *call, enum name_state before)
{
	struct mount *mount = call->mount;
	const struct settings *settings = mount->engine.settings;
	_cleanup_close_ int dir = spool_dir(mount, call->target, true);
	int r = dir < 0 ? dir : move_away(call, before);

	if (r < 0) {
		call_error(call, r);
		return;
	}
	r = scratch_put(mount->engine.scratch, dir, call->new_name, call->text ? call->text->data : "",
			call->text ? call->text->len : 0, settings->uid, settings->gid);
	if (r < 0) {
		names_event(mount->engine.names, call->node->relation, call->name,
			    before == NAME_PLAIN ? NAME_COMMITTED : NAME_CREATED, NULL);
		if (r == -ENOSPC) {
			(void)scratch_full(mount->engine.scratch, call->text ? call->text->len : 0, &call->error);
			call_refuse(call, CALL_PATH, &call->error, NULL, 0);
		} else {
			call_error(call, r);
		}
		return;
	}
	follow_all(call, dir);
	reply_renamed(call, row_is_scratch(call, dir));
}

static void row_known(struct call *call, struct text *text, const struct error *e)
{
	if (!text) {
		call_fail(call, CALL_PATH, e);
		return;
	}
	call->text = text_ref(text);
	detach(call, NAME_PLAIN);
}

static void rename_row_to_scratch(struct call *call)
{
	struct mount *mount = call->mount;
	enum name_state state;

	if (call->flags & RENAME_NOREPLACE) {
		struct stat st;
		_cleanup_close_ int dir = spool_dir(mount, call->target, false);

		if (dir >= 0 && fstatat(dir, call->new_name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
			call_error(call, -EEXIST);
			return;
		}
	}
	state = names_state(mount->engine.names, call->node->relation, call->name, NULL);
	if (state == NAME_PLAIN)
		call_read(call, row_known);
	else
		detach(call, state); /* pending: what its handle holds follows it */
}

/* --- RENAME: row to row ---------------------------------------------------------------------- */

static void rekey(struct call *call)
{
	struct mount *mount = call->mount;
	struct names *names = mount->engine.names;
	uint32_t oid = call->node->relation;
	struct node *node;
	int r;

	if (names_state(names, oid, call->new_name, NULL) == NAME_DETACHED)
		call->flags &= ~(unsigned)RENAME_NOREPLACE; /* hidden, so it is free */
	r = read_target(call);
	if (r == 0 && !call->text)
		r = commit_check_name(&mount->engine, &call->new_ref, &call->error);
	if (r == 0)
		r = commit_rename(&mount->engine, &call->ref, &call->new_ref, call->text != NULL,
				  &call->error);
	if (r < 0) {
		rename_failed(call, NULL, 0);
		return;
	}
	names_event(names, oid, call->new_name, NAME_COMMITTED, NULL); /* hidden it may have been, or pending */
	node = nodes_find(mount->nodes, call->node, call->name);
	if (node) {
		/* Handles that are open on it go on seeing, and being told, what they opened. */
		nodes_outdate(mount->nodes, node);
		nodes_lock(mount->nodes);
		node->ino = ino_of_name(node->relation, call->new_name);
		nodes_unlock(mount->nodes);
	}
	reply_renamed(call, node);
}

/* A file that has no content yet takes another key; a row it would hide stays. */
static void rename_pending(struct call *call)
{
	struct names *names = call->mount->engine.names;
	uint32_t oid = call->node->relation;
	struct error *e = &call->error;
	int r = read_target(call);

	if (r == 0 && call->text)
		r = error_set(e, EEXIST, "%s has no content yet, and cannot take the place of the row %s",
			      call->name, call->new_name);
	if (r == 0)
		r = commit_check_name(&call->mount->engine, &call->new_ref, e);
	if (r == 0 && names_event(names, oid, call->new_name, NAME_CREATED, NULL) < 0)
		r = error_set(e, EEXIST, "there is a file %s already", call->new_name);
	if (r < 0) {
		rename_failed(call, NULL, 0);
		return;
	}
	names_event(names, oid, call->name, NAME_REMOVED, NULL);
	reply_renamed(call, nodes_find(call->mount->nodes, call->node, call->name));
}

static void rename_row_to_row(struct call *call)
{
	struct mount *mount = call->mount;
	uint32_t oid = call->node->relation;
	struct file *editing;
	bool clean = true;

	if (call->target->relation != oid) {
		call_error(call, -EXDEV);
		return;
	}
	if (names_state(mount->engine.names, oid, call->name, NULL) == NAME_PLAIN) {
		call_work(call, rekey);
		return;
	}
	/* An edit knows which row it is of; it would commit under the name it was opened by. One that holds
	 * nothing may just wait for its RELEASE, which comes after close() has returned. */
	editing = files_editing(mount, oid, call->name);
	if (editing) {
		clean = edit_is_clean(editing->edit);
		file_unref(editing);
	}
	if (clean && surrender_all(mount, oid, call->name) == 0)
		call_work(call, rename_pending);
	else
		call_error(call, -EBUSY);
}

/* --- RENAME ---------------------------------------------------------------------------------- */

enum side { SIDE_SCRATCH, SIDE_ROW, SIDE_NEITHER };

static enum side side_of(struct call *call, struct node *directory, const char *name, struct rowref *ref)
{
	if (is_scratch_name(call->mount, directory, name))
		return strcmp(name, REPORT_NEW_ROW) == 0 ? SIDE_NEITHER : SIDE_SCRATCH;
	if (directory->kind != NODE_TABLE)
		return SIDE_NEITHER;
	return rowref_of_name(call->mount->engine.catalog, directory->relation, name, ref, NULL) == 0 ?
		       SIDE_ROW :
		       SIDE_NEITHER;
}

static void rename_call(struct call *call)
{
	struct mount *mount = call->mount;
	enum side from = side_of(call, call->node, call->name, &call->ref);
	enum side to = side_of(call, call->target, call->new_name, &call->new_ref);

	if (from == SIDE_NEITHER) {
		call_error(call, -EPERM);
	} else if (to == SIDE_NEITHER) {
		if (call->target->kind == NODE_TABLE && strcmp(call->new_name, REPORT_NEW_ROW) != 0)
			(void)rowref_explain(mount->engine.catalog, call->target->relation, call->new_name,
					     &call->error);
		else
			(void)error_set(&call->error, EINVAL, "%s can be no row and no temporary file here",
					call->new_name);
		call_refuse(call, CALL_PATH, &call->error, NULL, 0);
	} else if (from == SIDE_SCRATCH) {
		if (to == SIDE_SCRATCH)
			rename_in_spool(call);
		else
			rename_scratch_to_row(call);
	} else if (to == SIDE_SCRATCH) {
		rename_row_to_scratch(call);
	} else {
		rename_row_to_row(call);
	}
}

void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
	       const char *new_name, unsigned flags)
{
	struct mount *mount = mount_of(req);
	struct call *call;

	if (flags & ~(unsigned)RENAME_NOREPLACE) {
		fuse_reply_err(req, EINVAL);
		return;
	}
	call = call_new(req, node_of(mount, parent), name);
	if (!call)
		return;
	call->target = node_of(mount, new_parent);
	call->flags = flags;
	call->new_name = strdup(new_name);
	if (!call->new_name)
		call_error(call, -ENOMEM);
	else
		rename_call(call);
}
