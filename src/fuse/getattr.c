#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "mount.h"
#include "rowfs/base/counters.h"

/* --- GETATTR --------------------------------------------------------------------------------- */

static void reply_attr(struct call *call, const struct stat *attr, enum belief belief, const struct look *look)
{
	fuse_reply_attr(call->req, attr, mount_timeout(call->mount, belief, look));
	call_free(call);
}

/* The handle that was named, if it is one that may have a size of its own: readers are told what the node was. */
static struct file *handle_of(const struct call *call)
{
	struct file *file = call->fi.fh ? file_of(&call->fi) : NULL;
	struct backing *backing = file ? file_backing(file) : NULL;
	bool own = backing && backing->kind != FILE_TEXT;

	backing_unref(backing);
	return own ? file : NULL;
}

static void getattr_row_done(struct call *call, struct text *text, const struct error *e)
{
	struct mount *mount = call->mount;
	struct look look = call_look(call, text && text->copied);
	struct version told;
	enum belief belief;
	struct stat attr;

	if (!text) {
		call_fail(call, CALL_LOOKUP, e);
		return;
	}
	belief = nodes_attributes(mount->nodes, call->node, &text->version, &look, &told);
	/* A handle that was opened meanwhile is told what it sees. */
	if (attr_of_open_row(mount, call->node, handle_of(call), &attr))
		belief = BELIEVE_SHORTLY;
	else
		attr_row(mount, call->ref.relation, call->ino, &told, &attr);
	reply_attr(call, &attr, belief, &look);
}

/* The row is what its node was told; nobody needs to be asked. */
static bool getattr_known(struct call *call)
{
	struct mount *mount = call->mount;
	_cleanup_schema_ struct schema *schema = catalog_get(mount->engine.catalog);
	const struct relation *relation = schema_relation(schema, call->relation);
	struct version version;
	struct stat attr;

	if (!relation || !follow_live(mount->engine.follow) ||
	    !nodes_known(mount->nodes, call->node, &version))
		return false;
	count(memory_lookups);
	attr_row(mount, relation, call->ino, &version, &attr);
	reply_attr(call, &attr, BELIEVE_LONG, NULL);
	return true;
}

/* Its row was moved to a temporary name, and the handle went along, but its node did not: another had the row's name by
 * then. What others write to that file, this node's pages do not know; so the kernel asks each time whether it has changed. */
static bool getattr_moved(struct call *call)
{
	struct backing *backing = call->fi.fh ? file_backing(file_of(&call->fi)) : NULL;
	struct stat attr;
	bool moved = backing && backing->kind == FILE_SCRATCH && fstat(backing->fd, &attr) == 0;

	backing_unref(backing);
	if (moved) {
		attr.st_ino = call->ino;
		attr.st_dev = 0;
		reply_attr(call, &attr, BELIEVE_NOT, NULL);
	}
	return moved;
}

static void getattr_row(struct call *call)
{
	struct mount *mount = call->mount;
	struct stat attr;
	int r;

	if (getattr_moved(call))
		return;
	if (attr_of_open_row(mount, call->node, handle_of(call), &attr)) {
		reply_attr(call, &attr, BELIEVE_SHORTLY, NULL);
		return;
	}
	if (getattr_known(call))
		return;
	call->read.version_only = true;
	r = rowref_of_name(mount->engine.catalog, call->relation, call->row_name, &call->ref,
			   NULL);
	if (r < 0)
		call_error(call, r == -ENOMEM ? r : -ENOENT);
	else
		call_read(call, getattr_row_done);
}

/* Answer with the attributes of call->node, whatever it is; ends the call. */
static void getattr(struct call *call)
{
	struct node *node = call->node;
	enum belief belief = BELIEVE_SHORTLY;
	struct stat attr;
	int r = 0;

	switch (call->kind) {
	case NODE_ROW:
		getattr_row(call);
		return;
	case NODE_SCRATCH:
		r = attr_scratch(call->mount, node, &attr);
		break;
	case NODE_REPORT:
	case NODE_NEW:
		attr_report(call->mount, node, &attr);
		belief = BELIEVE_NOT;
		break;
	default:
		attr_directory(call->mount, node, &attr);
		belief = mount_belief(call->mount);
	}
	if (r < 0)
		call_error(call, r);
	else
		reply_attr(call, &attr, belief, NULL);
}

void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct call *call = call_new(req, node_of(mount_of(req), ino), NULL);

	if (!call)
		return;
	if (fi)
		call->fi = *fi;
	getattr(call);
}

/* --- SETATTR --------------------------------------------------------------------------------- */

/* truncate(2) by path has no close: what is left is either the row, nothing (which is never a row and
 * changes nothing), or no JSON any more. */
static void truncate_row_done(struct call *call, struct text *text, const struct error *e)
{
	struct stat attr;
	int r;

	if (!text) {
		call_fail(call, CALL_PATH, e);
		return;
	}
	if (call->size > TEXT_MAX) {
		r = text_too_long(&call->error);
		call_refuse(call, CALL_PATH, r, NULL);
		return;
	}
	if (call->size != 0 && call->size != text->len) {
		r = error_set(&call->error, EINVAL, "a row cut to %zu bytes is no row", call->size);
		call_refuse(call, CALL_PATH, r, &(struct kept_text){
			.data = text->data,
			.len = call->size < text->len ? call->size : text->len,
			.base = text,
		});
		return;
	}
	attr_row(call->mount, call->ref.relation, call->ino, &text->version, &attr);
	attr.st_size = (off_t)call->size;
	/* The kernel believes this size now; the next who asks is told the row's own. */
	nodes_spoil(call->mount->nodes, call->node);
	notify_row(call->mount->notifier, call->node);
	reply_attr(call, &attr, BELIEVE_SHORTLY, NULL);
}

static void truncate_row(struct call *call)
{
	struct mount *mount = call->mount;
	int r = rowref_of_name(mount->engine.catalog, call->relation, call->row_name, &call->ref,
			       NULL);

	if (r < 0)
		call_error(call, r == -ESTALE ? -EIO : r);
	else if (names_state(mount->engine.names, call->relation, call->row_name, NULL) == NAME_PLAIN)
		call_read(call, truncate_row_done);
	else if (call->size == 0) /* it has no content yet */
		getattr_row(call);
	else
		call_error(call, -EIO);
}

static int set_scratch_times(int fd, const struct stat *attr, int to_set)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_nsec = UTIME_OMIT}};
	char path[40];

	if (to_set & FUSE_SET_ATTR_ATIME)
		times[0] = attr->st_atim;
	if (to_set & FUSE_SET_ATTR_ATIME_NOW)
		times[0].tv_nsec = UTIME_NOW;
	if (to_set & FUSE_SET_ATTR_MTIME)
		times[1] = attr->st_mtim;
	if (to_set & FUSE_SET_ATTR_MTIME_NOW)
		times[1].tv_nsec = UTIME_NOW;
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	return utimensat(AT_FDCWD, path, times, 0) < 0 ? -errno : 0;
}

static int set_scratch(const struct node *node, const struct stat *attr, int to_set)
{
	enum { OWNER = FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID };
	enum { TIMES = FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME };
	char path[40];

	snprintf(path, sizeof path, "/proc/self/fd/%d", node->more->path_fd);
	if ((to_set & FUSE_SET_ATTR_MODE) && chmod(path, attr->st_mode & 07777) < 0)
		return -errno;
	if ((to_set & OWNER) &&
	    fchownat(node->more->path_fd, "", to_set & FUSE_SET_ATTR_UID ? attr->st_uid : (uid_t)-1,
		     to_set & FUSE_SET_ATTR_GID ? attr->st_gid : (gid_t)-1, AT_EMPTY_PATH) < 0)
		return -errno;
	return to_set & TIMES ? set_scratch_times(node->more->path_fd, attr, to_set) : 0;
}

/* The spool has no room for the size; ends the call. */
static void size_full(struct call *call, struct file *file)
{
	struct stat st = {0};
	uint64_t now;

	if (file && !file_first_full(file)) {
		call_error(call, -ENOSPC);
		return;
	}
	if (!file && fstat(call->node->more->path_fd, &st) < 0)
		st.st_size = 0;
	now = file ? file_size(file) : (uint64_t)st.st_size;
	spool_full(call, CALL_OTHER, call->size > now ? call->size - now : 0, 0);
}

/* A handle that is written to has its own idea of the file, whatever the node has become meanwhile. */
static void set_size(struct call *call)
{
	struct file *file = handle_of(call);
	int r = 0;

	if (file)
		r = file_truncate(file, call->size);
	else if (call->kind == NODE_SCRATCH)
		r = scratch_resize(call->mount->engine.scratch, call->node->more->path_fd, (off_t)call->size);
	else if (call->kind == NODE_REPORT)
		r = -EACCES;
	else if (call->kind == NODE_ROW) {
		truncate_row(call);
		return;
	}
	if (r == -ENOSPC)
		size_full(call, file);
	else if (r < 0)
		call_error(call, r);
	else
		getattr(call);
}

void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
		struct fuse_file_info *fi)
{
	struct call *call = call_new(req, node_of(mount_of(req), ino), NULL);
	int r = 0;

	if (!call)
		return;
	if (fi)
		call->fi = *fi;
	/* Owner, mode and times of rows and directories are what they are; that succeeds and changes
	 * nothing, because cp -a, rsync -a and editors take a refusal for a failed save. */
	if (call->kind == NODE_SCRATCH)
		r = set_scratch(call->node, attr, to_set);
	call->size = (size_t)attr->st_size;
	if (r < 0)
		call_error(call, r);
	else if (to_set & FUSE_SET_ATTR_SIZE)
		set_size(call);
	else
		getattr(call);
}
