/* Names in the spool: files, symlinks and directories that are no rows. Each node holds an O_PATH
 * descriptor, so it goes on working after its name was changed or removed. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "mount.h"
#include "report.h"
#include "rowfs/base/log.h"

int spool_dir(struct mount *mount, struct node *node, bool create)
{
	int fd;

	if (node->kind == NODE_TABLE)
		return scratch_table(mount->engine.scratch, node->relation, create);
	if (node->kind == NODE_KEPT)
		fd = fcntl(kept_dir(node->more->kept_dir), F_DUPFD_CLOEXEC, 0);
	else if (node->kind == NODE_SCRATCH)
		fd = fcntl(node->more->path_fd, F_DUPFD_CLOEXEC, 0); /* needs no permission on it */
	else
		return -EPERM;
	return fd < 0 ? -errno : fd;
}

/* The kernel judges who opens a file; this is for what it does not see as an open. */
static bool in_group(struct call *call, gid_t group)
{
	gid_t groups[256];
	int n;

	if (call->asker.gid == group)
		return true;
	n = fuse_req_getgroups(call->req, sizeof groups / sizeof *groups, groups);
	for (int i = 0; i < n && i < (int)(sizeof groups / sizeof *groups); i++)
		if (groups[i] == group)
			return true;
	return false;
}

bool spool_allows(struct call *call, const struct stat *st, int access)
{
	mode_t mode = st->st_mode;

	if (call->asker.uid == 0)
		return true;
	if (call->asker.uid == st->st_uid)
		mode >>= 6;
	else if (in_group(call, st->st_gid))
		mode >>= 3;
	return ((int)mode & access) == access;
}

bool is_scratch_name(struct mount *mount, struct node *parent, const char *name)
{
	_cleanup_schema_ struct schema *schema = NULL;
	_cleanup_cells_ struct cells key = {0};
	const struct relation *relation;
	char hash[NAME_HASH_HEX + 1];

	if (parent->kind == NODE_SCRATCH || parent->kind == NODE_KEPT)
		return true;
	if (parent->kind != NODE_TABLE)
		return false;
	schema = catalog_get(mount->engine.catalog);
	relation = schema_relation(schema, parent->relation);
	return relation && name_parse(relation, name, &key, hash) == NAME_SCRATCH;
}

struct node *spool_node(struct mount *mount, struct node *parent, const char *name, int *ret_err)
{
	_cleanup_close_ int dir = spool_dir(mount, parent, false);
	struct node *node;
	struct stat st;
	int fd;

	fd = dir < 0 ? -1 : openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0) {
		*ret_err = dir < 0 ? dir : -errno;
		return NULL;
	}
	node = nodes_get(mount->nodes, parent, name, NODE_SCRATCH, parent->relation, spool_ino(st.st_ino));
	if (!node) {
		close(fd);
		*ret_err = -ENOMEM;
		return NULL;
	}
	nodes_lock(mount->nodes);
	if (node->more->path_fd < 0) {
		node->more->path_fd = fd;
		fd = -1;
	}
	nodes_unlock(mount->nodes);
	if (fd >= 0)
		close(fd);
	return node;
}

void spool_gone(struct mount *mount, const struct node *parent, const char *name, const struct stat *st)
{
	if (parent->kind == NODE_KEPT)
		kept_taken(parent->more->kept_dir, name);
	else
		scratch_removed(mount->engine.scratch, st);
}

int spool_remove(struct mount *mount, const struct node *parent, int dir, const char *name, int flags)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || unlinkat(dir, name, flags) < 0)
		return -errno;
	spool_gone(mount, parent, name, &st);
	return 0;
}

void spool_full(struct call *call, enum call_kind kind, uint64_t bytes, unsigned names)
{
	int r = scratch_full(call->mount->engine.scratch, bytes, names, &call->error);

	call_refuse(call, kind, r, NULL);
}

/* Where the name may be, or -errno after replying. */
static int place(fuse_req_t req, struct node *parent, const char *name)
{
	struct mount *mount = mount_of(req);
	int dir = is_scratch_name(mount, parent, name) && strcmp(name, REPORT_NEW_ROW) != 0 ?
			  spool_dir(mount, parent, true) :
			  -EPERM;

	if (dir < 0)
		fuse_reply_err(req, -dir);
	return dir;
}

/* A name that is a row's, or looks like one's, can be nothing but a file: replies why. */
static bool refuse_row_name(fuse_req_t req, struct node *parent, const char *name)
{
	struct mount *mount = mount_of(req);
	struct call *call;
	int r;

	if (parent->kind != NODE_TABLE || is_scratch_name(mount, parent, name))
		return false;
	call = call_new(req, parent, name);
	if (!call)
		return true;
	r = rowref_of_name(mount->engine.catalog, parent->relation, name, &call->ref, NULL);
	if (r == -ENOENT)
		r = rowref_explain(mount->engine.catalog, parent->relation, name, &call->error);
	else if (r == 0)
		r = error_set(&call->error, EPERM, "%s is a row's name, and a row is a file", name);
	call_refuse(call, CALL_OTHER, r, NULL);
	return true;
}

/* The same for a name that there shall be. */
static int new_place(fuse_req_t req, struct node *parent, const char *name)
{
	return refuse_row_name(req, parent, name) ? -EPERM : place(req, parent, name);
}

/* The kernel has taken the caller's umask off; the daemon's own is nobody's business. A directory with setgid hands
 * its group on. The mode comes last, since a change of owner takes setuid and setgid away. */
void spool_settle(fuse_req_t req, int dir, const char *name, mode_t mode)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	struct stat parent;
	bool hands_on = fstat(dir, &parent) == 0 && (parent.st_mode & S_ISGID);

	if (hands_on && S_ISDIR(mode))
		mode |= S_ISGID;
	if (geteuid() == 0 && fchownat(dir, name, ctx->uid, hands_on ? parent.st_gid : ctx->gid,
				       AT_SYMLINK_NOFOLLOW) < 0)
		log_debug("a temporary file keeps its owner: %s", strerror(errno));
	if (!S_ISLNK(mode) && fchmodat(dir, name, mode & 07777, 0) < 0)
		log_debug("a temporary file keeps its mode: %s", strerror(errno));
}

static int not_made(fuse_req_t req, int err, mode_t type)
{
	scratch_removed(mount_of(req)->engine.scratch, &(struct stat){.st_mode = type});
	return -err;
}

static void refuse_made(fuse_req_t req, struct node *parent, const char *name)
{
	struct call *call = call_new(req, parent, name);

	if (call)
		spool_full(call, CALL_OTHER, SCRATCH_NAME_BYTES, 1);
}

static void reply_made(fuse_req_t req, struct node *parent, const char *name, int r)
{
	struct mount *mount = mount_of(req);
	struct node *node = r < 0 ? NULL : spool_node(mount, parent, name, &r);
	struct stat attr;

	if (r == -ENOSPC) {
		refuse_made(req, parent, name);
		return;
	}
	if (!node) {
		fuse_reply_err(req, -r);
		return;
	}
	r = attr_scratch(mount, node, &attr);
	if (r < 0) {
		nodes_forget(mount->nodes, node, 1);
		fuse_reply_err(req, -r);
	} else {
		reply_entry(mount, req, node, &attr, BELIEVE_SHORTLY, NULL);
	}
}

void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct node *node = node_of(mount_of(req), parent);
	_cleanup_close_ int dir = new_place(req, node, name);
	int r;

	if (dir < 0)
		return;
	r = scratch_add(mount_of(req)->engine.scratch);
	if (r == 0 && mkdirat(dir, name, mode) < 0)
		r = not_made(req, errno, S_IFDIR);
	if (r == 0)
		spool_settle(req, dir, name, mode | S_IFDIR);
	reply_made(req, node, name, r);
}

void op_symlink(fuse_req_t req, const char *link, fuse_ino_t parent, const char *name)
{
	struct node *node = node_of(mount_of(req), parent);
	_cleanup_close_ int dir = new_place(req, node, name);
	int r;

	if (dir < 0)
		return;
	r = scratch_add(mount_of(req)->engine.scratch);
	if (r == 0 && symlinkat(link, dir, name) < 0)
		r = not_made(req, errno, S_IFLNK);
	if (r == 0)
		spool_settle(req, dir, name, S_IFLNK);
	reply_made(req, node, name, r);
}

void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	if (!refuse_row_name(req, node_of(mount_of(req), parent), name))
		fuse_reply_err(req, EPERM);
}

void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	if (!refuse_row_name(req, node_of(mount_of(req), parent), name))
		fuse_reply_err(req, EPERM);
}

void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct node *node = node_of(mount_of(req), ino);
	char target[4096];
	ssize_t n = readlinkat(node->more->path_fd, "", target, sizeof target - 1);

	if (n < 0) {
		fuse_reply_err(req, errno);
		return;
	}
	target[n] = '\0';
	fuse_reply_readlink(req, target);
}

void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct mount *mount = mount_of(req);
	struct node *node = node_of(mount, parent);
	_cleanup_close_ int dir = place(req, node, name);
	int r;

	if (dir < 0)
		return;
	r = spool_remove(mount, node, dir, name, AT_REMOVEDIR);
	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	nodes_unname(mount->nodes, node, name);
	fuse_reply_err(req, 0);
}
