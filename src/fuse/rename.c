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

/* A file that was created and never committed: what its handles still hold is meant for nothing. */
static void unlink_pending(struct call *call)
{
	struct mount *mount = call->mount;
	struct node *node = nodes_find(mount->nodes, call->node, call->name);
	_cleanup_buf_ struct buf dropped = {0};

	names_event(mount->engine.names, call->node->relation, call->name, NAME_REMOVED, NULL);
	if (node) {
		nodes_lock(mount->nodes);
		if (node->writer)
			edit_surrender(node->writer->edit, &dropped);
		nodes_unlock(mount->nodes);
		nodes_release(mount->nodes, node);
	}
	nodes_unname(mount->nodes, call->node, call->name);
	call_error(call, 0);
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

/* --- RENAME: scratch to scratch -------------------------------------------------------------- */

static void reply_renamed(struct call *call, struct node *node)
{
	struct mount *mount = call->mount;

	if (node) {
		nodes_rename(mount->nodes, node, call->target, call->new_name);
		notify_inode(mount->notifier, ino_of(node));
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

/* The text is a row now. The scratch file's node becomes the row's, the one it replaces lives on without
 * a name. */
static void scratch_is_row(struct call *call)
{
	struct mount *mount = call->mount;
	struct node *node = nodes_find(mount->nodes, call->node, call->name);
	_cleanup_close_ int dir = spool_dir(mount, call->node, false);
	int path_fd = -1;

	names_event(mount->engine.names, call->target->relation, call->new_name, NAME_COMMITTED, NULL);
	if (dir >= 0)
		unlinkat(dir, call->name, 0);
	if (node) {
		nodes_lock(mount->nodes);
		node->kind = NODE_ROW;
		node->relation = call->target->relation;
		node->ino = ino_of_name(node->relation, call->new_name);
		node->is_told = false;
		path_fd = node->path_fd;
		node->path_fd = -1;
		nodes_unlock(mount->nodes);
	}
	if (path_fd >= 0)
		close(path_fd);
	reply_renamed(call, node);
}

static void commit_scratch(struct call *call)
{
	struct engine *engine = &call->mount->engine;
	struct error *e = &call->error;
	const char *text;
	int r;

	/* What is empty is no row and changes none; a file of no bytes over a row would lose it. */
	text = call->buf.data ? call->buf.data : "";
	if (call->text)
		r = commit_update(engine, &call->new_ref, call->text, text, call->buf.len, e);
	else
		r = commit_check_name(engine, &call->new_ref, e);
	if (r == 0 && !call->text)
		r = commit_insert(engine, &call->new_ref, text, call->buf.len, e);
	if (r < 0)
		call_refuse(call, CALL_PATH, e, text, call->buf.len);
	else
		scratch_is_row(call);
}

static void target_known(struct call *call, struct text *text, const struct error *e)
{
	if (!text && e->err != ENOENT) {
		call_fail(call, CALL_PATH, e);
		return;
	}
	if (text && (call->flags & RENAME_NOREPLACE)) {
		call_error(call, -EEXIST);
		return;
	}
	call->text = text ? text_ref(text) : NULL;
	call_work(call, commit_scratch);
}

/* call_read() reads call->ref; here that is the target. */
static void read_target(struct call *call,
			void (*then)(struct call *call, struct text *text, const struct error *e))
{
	int r = rowref_copy(&call->new_ref, &call->ref);

	if (r < 0)
		call_error(call, r);
	else
		call_read(call, then);
}

static void rename_scratch_to_row(struct call *call)
{
	struct mount *mount = call->mount;
	enum name_state state;
	int r = get_scratch(call);

	if (r < 0) {
		call_error(call, r);
		return;
	}
	state = names_state(mount->engine.names, call->target->relation, call->new_name, &call->text);
	if (state == NAME_PLAIN)
		read_target(call, target_known);
	else
		call_work(call, commit_scratch);
}

/* --- RENAME: row to scratch ------------------------------------------------------------------ */

/* The name is free; the file under the scratch name holds the row's text, and the handles of the name go
 * with it. */
static void detach(struct call *call, const char *data, size_t len)
{
	struct mount *mount = call->mount;
	_cleanup_close_ int dir = spool_dir(mount, call->target, true);
	struct node *node;
	int r, fd, path_fd;
	struct stat st;

	r = dir < 0 ? dir :
		      scratch_put(mount->engine.scratch, dir, call->new_name, data, len,
				  mount->engine.settings->uid, mount->engine.settings->gid);
	if (r < 0) {
		call_error(call, r);
		return;
	}
	r = names_event(mount->engine.names, call->node->relation, call->name, NAME_MOVED_AWAY, call->text);
	if (r < 0) {
		unlinkat(dir, call->new_name, 0);
		call_error(call, r);
		return;
	}
	node = nodes_find(mount->nodes, call->node, call->name);
	path_fd = openat(dir, call->new_name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (node && path_fd >= 0 && fstat(path_fd, &st) == 0) {
		struct file *writer;

		nodes_lock(mount->nodes);
		writer = node->writer;
		node->kind = NODE_SCRATCH;
		node->ino = (uint64_t)st.st_ino << 2 | 1;
		node->path_fd = path_fd;
		nodes_unlock(mount->nodes);
		fd = writer ? openat(dir, call->new_name, O_RDWR | O_CLOEXEC) : -1;
		if (fd >= 0)
			file_follow(mount, writer, fd);
	} else if (path_fd >= 0) {
		close(path_fd);
	}
	reply_renamed(call, node);
}

static void row_known(struct call *call, struct text *text, const struct error *e)
{
	if (!text) {
		call_fail(call, CALL_PATH, e);
		return;
	}
	call->text = text_ref(text);
	detach(call, text->data, text->len);
}

static void rename_row_to_scratch(struct call *call)
{
	struct mount *mount = call->mount;

	if (call->flags & RENAME_NOREPLACE) {
		struct stat st;
		_cleanup_close_ int dir = spool_dir(mount, call->target, false);

		if (dir >= 0 && fstatat(dir, call->new_name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
			call_error(call, -EEXIST);
			return;
		}
	}
	if (names_state(mount->engine.names, call->node->relation, call->name, NULL) == NAME_PLAIN)
		call_read(call, row_known);
	else
		detach(call, "", 0); /* pending: what its handle holds follows it */
}

/* --- RENAME: row to row ---------------------------------------------------------------------- */

static void rekey(struct call *call)
{
	struct mount *mount = call->mount;
	bool onto = call->text != NULL;
	int r = onto ? 0 : commit_check_name(&mount->engine, &call->new_ref, &call->error);

	if (r == 0)
		r = commit_rename(&mount->engine, &call->ref, &call->new_ref, onto, &call->error);
	if (r < 0) {
		call_refuse(call, CALL_PATH, &call->error, NULL, 0);
		return;
	}
	if (call->flags)
		call->flags = 0;
	struct node *node = nodes_find(mount->nodes, call->node, call->name);

	if (node) {
		nodes_lock(mount->nodes);
		node->is_told = false;
		node->ino = ino_of_name(node->relation, call->new_name);
		nodes_unlock(mount->nodes);
	}
	reply_renamed(call, node);
}

static void rekey_target_known(struct call *call, struct text *text, const struct error *e)
{
	struct rowref source = {0};
	int r;

	if (!text && e->err != ENOENT) {
		call_fail(call, CALL_PATH, e);
		return;
	}
	if (text && (call->flags & RENAME_NOREPLACE)) {
		call_error(call, -EEXIST);
		return;
	}
	call->text = text ? text_ref(text) : NULL;
	r = rowref_of_name(call->mount->engine.catalog, call->node->relation, call->name, &source, NULL);
	if (r < 0) {
		call_error(call, r == -ESTALE ? -EIO : r);
		return;
	}
	rowref_done(&call->ref);
	call->ref = source;
	call_work(call, rekey);
}

/* A file that has no content yet takes another key. */
static void rename_pending(struct call *call)
{
	struct names *names = call->mount->engine.names;
	uint32_t oid = call->node->relation;
	int r = names_event(names, oid, call->new_name, NAME_CREATED, NULL);

	if (r < 0) {
		call_error(call, r);
		return;
	}
	names_event(names, oid, call->name, NAME_REMOVED, NULL);
	reply_renamed(call, nodes_find(call->mount->nodes, call->node, call->name));
}

static void rename_row_to_row(struct call *call)
{
	struct mount *mount = call->mount;
	uint32_t oid = call->node->relation;
	struct node *node;
	bool open = false;

	if (call->target->relation != oid) {
		call_error(call, -EXDEV);
		return;
	}
	if (names_state(mount->engine.names, oid, call->name, NULL) == NAME_PLAIN) {
		rowref_done(&call->ref);
		read_target(call, rekey_target_known);
		return;
	}
	node = nodes_find(mount->nodes, call->node, call->name);
	if (node) {
		nodes_lock(mount->nodes);
		open = node->writer != NULL;
		nodes_unlock(mount->nodes);
		nodes_release(mount->nodes, node);
	}
	/* An edit knows which row it is of; it would commit under the name it was opened by. */
	if (open)
		call_error(call, -EBUSY);
	else
		rename_pending(call);
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
	enum side from = side_of(call, call->node, call->name, &call->ref);
	enum side to = side_of(call, call->target, call->new_name, &call->new_ref);

	if (from == SIDE_NEITHER) {
		call_error(call, -EPERM);
	} else if (to == SIDE_NEITHER) {
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
