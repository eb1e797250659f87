/* The operations of the file system, and where each lives. What is not here is answered by the kernel:
 * getattr and setxattr stay away on purpose, since the kernel stops asking after the first ENOSYS, and
 * `ls -l` is seven times faster without a question about security labels for each file. */
#include "ops.h"

#include "mount.h"
#include "timed.h"

/* The operation `name`, timed as `what`. */
#define TIMED(name, what, parameters, ...)  \
	static void timed_##name parameters \
	{                                   \
		timed_begin(TIMING_##what); \
		op_##name(__VA_ARGS__);     \
		timed_end();                \
	}

TIMED(lookup, LOOKUP, (fuse_req_t req, fuse_ino_t parent, const char *name), req, parent, name)
TIMED(forget, FORGET, (fuse_req_t req, fuse_ino_t ino, uint64_t nlookup), req, ino, nlookup)
TIMED(forget_multi, FORGET, (fuse_req_t req, size_t count, struct fuse_forget_data *forgets), req, count, forgets)
TIMED(getattr, GETATTR, (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi), req, ino, fi)
TIMED(setattr, SETATTR, (fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
      struct fuse_file_info *fi), req, ino, attr, to_set, fi)
TIMED(opendir, OPENDIR, (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi), req, ino, fi)
TIMED(readdir, READDIR, (fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi),
      req, ino, size, offset, fi)
TIMED(readdirplus, READDIRPLUS, (fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
      struct fuse_file_info *fi), req, ino, size, offset, fi)
TIMED(releasedir, RELEASEDIR, (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi), req, ino, fi)
TIMED(fsyncdir, OTHER, (fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi), req, ino,
      datasync, fi)
TIMED(open, OPEN, (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi), req, ino, fi)
TIMED(create, CREATE, (fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
      struct fuse_file_info *fi), req, parent, name, mode, fi)
TIMED(read, READ, (fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi), req,
      ino, size, offset, fi)
TIMED(write, WRITE, (fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t offset,
      struct fuse_file_info *fi), req, ino, data, size, offset, fi)
TIMED(flush, FLUSH, (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi), req, ino, fi)
TIMED(fsync, FSYNC, (fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi), req, ino, datasync, fi)
TIMED(release, RELEASE, (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi), req, ino, fi)
TIMED(unlink, UNLINK, (fuse_req_t req, fuse_ino_t parent, const char *name), req, parent, name)
TIMED(rename, RENAME, (fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
      const char *new_name, unsigned flags), req, parent, name, new_parent, new_name, flags)
TIMED(mkdir, OTHER, (fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode), req, parent, name, mode)
TIMED(rmdir, OTHER, (fuse_req_t req, fuse_ino_t parent, const char *name), req, parent, name)
TIMED(symlink, OTHER, (fuse_req_t req, const char *link, fuse_ino_t parent, const char *name), req, link, parent, name)
TIMED(readlink, OTHER, (fuse_req_t req, fuse_ino_t ino), req, ino)
TIMED(mknod, OTHER, (fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev), req,
      parent, name, mode, rdev)
TIMED(link, OTHER, (fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name), req, ino, parent, name)
TIMED(statfs, OTHER, (fuse_req_t req, fuse_ino_t ino), req, ino)
TIMED(ioctl, OTHER, (fuse_req_t req, fuse_ino_t ino, unsigned int command, void *arg,
      struct fuse_file_info *fi, unsigned flags, const void *in, size_t in_size, size_t out_size),
      req, ino, command, arg, fi, flags, in, in_size, out_size)

const struct fuse_lowlevel_ops operations = {
	.init = op_init,

	/* lookup.c */
	.lookup = timed_lookup,
	.forget = timed_forget,
	.forget_multi = timed_forget_multi,

	/* getattr.c */
	.getattr = timed_getattr,
	.setattr = timed_setattr,

	/* directory.c */
	.opendir = timed_opendir,
	.readdir = timed_readdir,
	.readdirplus = timed_readdirplus,
	.releasedir = timed_releasedir,
	.fsyncdir = timed_fsyncdir,

	/* open.c */
	.open = timed_open,
	.create = timed_create,

	/* file.c */
	.read = timed_read,
	.write = timed_write,
	.flush = timed_flush,
	.fsync = timed_fsync,
	.release = timed_release,

	/* unlink.c */
	.unlink = timed_unlink,

	/* rename.c */
	.rename = timed_rename,

	/* scratch_ops.c */
	.mkdir = timed_mkdir,
	.rmdir = timed_rmdir,
	.symlink = timed_symlink,
	.readlink = timed_readlink,
	.mknod = timed_mknod,
	.link = timed_link,

	.statfs = timed_statfs,

	/* where.c */
	.ioctl = timed_ioctl,
};

/* FUSE 7.44: the kernel forgets all names at one message. */
enum { PROTOCOL_WITH_EPOCHS = 44 };

void op_init(void *userdata, struct fuse_conn_info *conn)
{
	struct mount *mount = userdata;

	/* Sizes and times are ours to say, and errors belong to the write that caused them. */
	conn->want &= ~(unsigned)FUSE_CAP_WRITEBACK_CACHE;
	/* A page of rows is read with everything in it, so its attributes cost nothing more; a LOOKUP for each
	 * name afterwards would be a query for each. */
	conn->want &= ~(unsigned)FUSE_CAP_READDIRPLUS_AUTO;
	conn->time_gran = 1;
	notifier_set_epochs(mount->notifier, conn->proto_minor >= PROTOCOL_WITH_EPOCHS);
	mount->unopened = unopened_may(mount, conn);
	if (mount->unopened)
		nodes_set_unopened(mount->nodes);
	if (mount->ready)
		mount->ready(mount->ready_arg);
}

/* What the database takes, and some room; never a COUNT(*). Free is never zero: tools refuse to write
 * to a full disk. */
void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct mount *mount = mount_of(req);
	_cleanup_schema_ struct schema *schema = catalog_get(mount->engine.catalog);
	struct statvfs st = {.f_bsize = 4096, .f_frsize = 4096, .f_namemax = 255};
	double rows = 0;

	for (size_t i = 0; i < schema->n_spaces; i++)
		for (size_t j = 0; j < schema->spaces[i].n_relations; j++)
			rows += schema->spaces[i].relations[j].tuples;
	st.f_bfree = st.f_bavail = UINT32_C(1) << 30;
	st.f_blocks = st.f_bfree + atomic_load(&mount->engine.database_bytes) / st.f_bsize;
	st.f_ffree = st.f_favail = UINT32_C(1) << 30;
	st.f_files = st.f_ffree + (fsfilcnt_t)rows;
	fuse_reply_statfs(req, &st);
}
