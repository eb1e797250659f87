/* What every file of this folder shares: the mount, a call being answered, an open file.
 *
 * ops.c lists the operations. Each begins on a FUSE worker, with nothing locked. What memory or the
 * spool can answer is answered there; what needs a row or PostgreSQL is carried in a `struct call` to
 * the engine and answered when that comes back, maybe on another worker. The kernel keeps every node
 * alive that a request names, so a call holds none. */
#pragma once

#include <fuse_lowlevel.h>
#include <pthread.h>

#include "nodes.h"
#include "notify.h"
#include "rowfs/engine/edit.h"
#include "rowfs/engine/engine.h"
#include "rowfs/engine/listing.h"

struct mount {
	struct engine engine;
	struct nodes *nodes;
	struct fuse_session *session;
	void (*ready)(void *arg);
	void *ready_arg;
	pthread_mutex_t lock;
	struct file *editing; /* [lock] handles with an edit, for the end */
};

/* How long the kernel may believe what it was told, without a feed of changes (docs/filesystem.md,
 * "Freshness"). */
double mount_timeout(const struct mount *mount);

/* --- Calls ----------------------------------------------------------------------------------- */

/* A request that waits for the engine. Freed by call_free(), which every way of answering ends with. */
struct call {
	struct mount *mount;
	fuse_req_t req;
	struct node *node;    /* the subject, or the directory it is in */
	struct node *target;  /* rename: the other directory */
	char *name, *new_name;
	struct rowref ref, new_ref;
	struct fuse_file_info fi;
	char row_name[NODE_NAME_SIZE]; /* of `node`, if it is a row */
	int64_t began_us;
	struct asker asker;   /* its path is made by call_asker() */
	char *path;
	unsigned flags;
	size_t size;
	off_t offset;
	struct text *text;
	struct buf buf;
	struct error error;
	void (*then)(struct call *call, struct text *text, const struct error *e);
	void (*work)(struct call *call);

	struct read_request read;
	struct edit_request edit;
	struct lane_task task;
};

/* A call for this request; NULL after replying ENOMEM. `name` may be NULL; it is copied. */
struct call *call_new(fuse_req_t req, struct node *node, const char *name);
void call_free(struct call *call);

/* Who asks and for which path, for messages. */
const struct asker *call_asker(struct call *call);

/* Thread group of a FUSE request's caller (FUSE tells a thread), 0 if it cannot be resolved. */
pid_t thread_group_of(pid_t thread);

/* Reply `err` (negative errno or 0) and end the call. */
void call_error(struct call *call, int err);

/* The errno that a kind of call may return for `err` (positive, as is the result). */
enum call_kind { CALL_LOOKUP, CALL_PATH /* rename, unlink, truncate */, CALL_OTHER };
int call_errno(enum call_kind kind, int err);

/* Reply what `e` says went wrong with a read, and record it unless the row is just not there. */
void call_fail(struct call *call, enum call_kind kind, const struct error *e);

/* Reply what `e` says was refused, and record it with the text (may be NULL) that was. */
void call_refuse(struct call *call, enum call_kind kind, const struct error *e, const char *text,
		 size_t len);

/* Read the row of call->ref, then go on with `then` (text borrowed; NULL: e says why). The caller's
 * being killed answers EINTR. */
void call_read(struct call *call,
	       void (*then)(struct call *call, struct text *text, const struct error *e));

/* Run `work` on a seat of the write lane. */
void call_work(struct call *call, void (*work)(struct call *call));

struct mount *mount_of(fuse_req_t req);
static inline struct node *node_of(struct mount *mount, fuse_ino_t ino)
{
	return ino == FUSE_ROOT_ID ? nodes_root(mount->nodes) : (struct node *)(uintptr_t)ino;
}

static inline fuse_ino_t ino_of(const struct node *node)
{
	return node->kind == NODE_ROOT ? FUSE_ROOT_ID : (fuse_ino_t)(uintptr_t)node;
}

/* --- Attributes (attr.c) --------------------------------------------------------------------- */

void attr_directory(const struct mount *mount, const struct node *node, struct stat *ret);
void attr_row(const struct mount *mount, const struct relation *relation, uint64_t ino,
	      const struct version *version, struct stat *ret);
int attr_scratch(const struct node *node, struct stat *ret);
void attr_report(const struct mount *mount, const struct node *node, struct stat *ret);
uint64_t ino_of_name(uint32_t relation, const char *name);

/* An entry for fuse_reply_entry(), with the mount's timeouts. */
void attr_entry(const struct mount *mount, const struct node *node, const struct stat *attr,
		struct fuse_entry_param *ret);

/* Reply an entry for a node that was just given a lookup, or take the lookup back. */
void reply_entry(struct mount *mount, fuse_req_t req, struct node *node, const struct stat *attr);

/* The same for a row name without a row, which may be gone at any moment: the kernel is not to remember it. */
void reply_pending(struct mount *mount, fuse_req_t req, struct node *node, const struct stat *attr);

/* Attributes of an open or pending row: what its handles see. False: ask the reader. */
bool attr_of_open_row(struct mount *mount, struct node *node, struct stat *ret);

/* --- Open files (file.c) --------------------------------------------------------------------- */

enum file_kind { FILE_TEXT, FILE_EDIT, FILE_SCRATCH };

struct file {
	_Atomic unsigned refs;
	pthread_mutex_t lock;
	enum file_kind kind;   /* [lock] EDIT becomes SCRATCH when its name is moved away */
	struct node *node;     /* referenced; NULL for reports */
	struct text *text;     /* TEXT: the version this open sees */
	struct edit *edit;     /* EDIT */
	int fd;                /* SCRATCH */
	bool wrote;            /* [lock] SCRATCH: bytes came since the last flush */
	bool full;             /* [lock] SCRATCH: it was said that there is no room */
	struct file *prev, *next; /* [mount.lock] those with an edit */
};

static inline struct file *file_of(const struct fuse_file_info *fi)
{
	return (struct file *)(uintptr_t)fi->fh;
}

struct file *file_new(enum file_kind kind, struct node *node);

/* Leave the node, finish the edit, free. */
void file_close(struct mount *mount, struct file *file);

/* Remember a handle with an edit, for files_end(). */
void file_list_edit(struct mount *mount, struct file *file);

/* Commit and close the handles that the end of the mount found open; what cannot be committed is kept. */
void files_end(struct mount *mount);

/* A handle that edits the row of this name and was not told to stop, with a reference; NULL if there is none. */
struct file *files_editing(struct mount *mount, uint32_t relation, const char *name);
void file_unref(struct file *file);

/* What row->scratch does to a handle that is being written: it follows the name, to `fd`, which it owns from
 * then on. -EBUSY while it commits. */
int file_follow(struct mount *mount, struct file *file, int fd) _must_check_;

/* --- The spool (scratch_ops.c) --------------------------------------------------------------- */

/* Descriptor of a directory's place in the spool, for the caller to close; -errno. */
int spool_dir(struct mount *mount, struct node *node, bool create);
bool is_scratch_name(struct mount *mount, struct node *parent, const char *name);
/* A node for a name in the spool, with one lookup; NULL with *ret_err set. */
struct node *spool_node(struct mount *mount, struct node *parent, const char *name, int *ret_err);

/* --- Operations ------------------------------------------------------------------------------ */

void op_init(void *userdata, struct fuse_conn_info *conn);
void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup);
void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets);
void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
		struct fuse_file_info *fi);
void op_readlink(fuse_req_t req, fuse_ino_t ino);
void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_symlink(fuse_req_t req, const char *link, fuse_ino_t parent, const char *name);
void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev);
void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name);
void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
	       const char *new_name, unsigned flags);
void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	       struct fuse_file_info *fi);
void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi);
void op_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t offset,
	      struct fuse_file_info *fi);
void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);
void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi);
void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		    struct fuse_file_info *fi);
void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);
void op_statfs(fuse_req_t req, fuse_ino_t ino);
