/* The operations of the file system, and where each lives. What is not here is answered by the kernel:
 * getattr and setxattr stay away on purpose, since the kernel stops asking after the first ENOSYS, and
 * `ls -l` is seven times faster without a question about security labels for each file. */
#include "ops.h"

#include "mount.h"

const struct fuse_lowlevel_ops operations = {
	.init = op_init,

	/* lookup.c */
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,

	/* getattr.c */
	.getattr = op_getattr,
	.setattr = op_setattr,

	/* directory.c */
	.opendir = op_opendir,
	.readdir = op_readdir,
	.readdirplus = op_readdirplus,
	.releasedir = op_releasedir,
	.fsyncdir = op_fsyncdir,

	/* open.c */
	.open = op_open,
	.create = op_create,

	/* file.c */
	.read = op_read,
	.write = op_write,
	.flush = op_flush,
	.fsync = op_fsync,
	.release = op_release,

	/* unlink.c */
	.unlink = op_unlink,

	/* rename.c */
	.rename = op_rename,

	/* scratch_ops.c */
	.mkdir = op_mkdir,
	.rmdir = op_rmdir,
	.symlink = op_symlink,
	.readlink = op_readlink,
	.mknod = op_mknod,
	.link = op_link,

	.statfs = op_statfs,

	/* where.c */
	.ioctl = op_ioctl,
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
