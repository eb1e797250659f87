/* What every file of this folder shares: the mount, a call being answered, an open file.
 *
 * ops.c lists the operations. Each begins on a FUSE worker, with nothing locked. What memory or the
 * spool can answer is answered there; what needs a row or PostgreSQL is carried in a `struct call` to
 * the engine and answered when that comes back, maybe on another worker. The kernel keeps every node
 * alive that a request names, so a call holds none; an open file, which others find by its name, does. */
#pragma once

#include <fuse_lowlevel.h>
#include <pthread.h>

#include "nodes.h"
#include "notify.h"
#include "timed.h"
#include "rowfs/base/process.h"
#include "rowfs/engine/edit.h"
#include "rowfs/engine/engine.h"
#include "rowfs/engine/listing.h"

struct readings;

struct mount {
	struct engine engine;
	struct nodes *nodes;
	struct fuse_session *session;
	struct notifier *notifier;
	void (*ready)(void *arg);
	void *ready_arg;
	pthread_mutex_t lock;
	struct file *files;   /* [lock] handles with an edit or a scratch file */
	uint64_t walks;       /* [lock] walks over them that have begun */
	struct interrupts *interrupts;
	bool unopened;        /* see unopened.c, */
	struct readings *readings; /* of a mount that is read only */
};

/* What the kernel may believe for long, it may until it is told otherwise. Not for ever, so that even a fault would
 * mend itself. */
enum { LONG_S = 3600 };

/* How long that is, now: nothing is believed for long that no live feed would take back; and with a feed, what is
 * believed shortly is as old as its look already is. `look` NULL: it was not read, like a directory. */
double mount_timeout(const struct mount *mount, enum belief belief, const struct look *look);

/* The same for what the catalog's poll would take back: schemas and tables. */
enum belief mount_belief(const struct mount *mount);

/* --- Calls ----------------------------------------------------------------------------------- */

/* A request that waits for the engine. Freed by call_free(), which every way of answering ends with. */
struct call {
	struct mount *mount;
	fuse_req_t req;
	struct node *node;    /* the subject, or the directory it is in */
	enum node_kind kind;  /* of `node` when the call came, as are the next three: a rename may change them */
	uint32_t relation;
	uint64_t ino;
	char row_name[NODE_NAME_SIZE]; /* if it is a row */
	struct node *target;  /* rename: the other directory */
	char *name, *new_name;
	struct rowref ref, new_ref;
	struct fuse_file_info fi;
	struct backing *backing; /* FLUSH, FSYNC: what is being committed */
	int64_t began_us;
	struct timed timed;
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
	struct call *prev, *next; /* [interrupts] those that were interrupted while they wait */
	bool interrupted;         /* [interrupts] is it among them? */
};

/* A call for this request; NULL after replying ENOMEM. `name` may be NULL; it is copied. */
struct call *call_new(fuse_req_t req, struct node *node, const char *name);
void call_free(struct call *call);

/* Who asks and for which path, for messages. */
const struct asker *call_asker(struct call *call);

/* Reply `err` (negative errno or 0) and end the call. */
void call_error(struct call *call, int err);

/* The errno that a kind of call may return for `err` (positive, as is the result). */
enum call_kind { CALL_LOOKUP, CALL_PATH /* rename, unlink, truncate */, CALL_OTHER };
int call_errno(enum call_kind kind, int err);

/* Reply what `e` says went wrong with a read, and record it unless the row is just not there. */
void call_fail(struct call *call, enum call_kind kind, const struct error *e);

/* Reply that it was refused with `err` (negative), and record why, which call->error says, with the text (may be
 * NULL) that was. */
void call_refuse(struct call *call, enum call_kind kind, int err, const struct kept_text *text);

/* How the row that call_read() gave was read; `copied`: see struct text. */
struct look call_look(const struct call *call, bool copied);

/* Read the row of call->ref, then go on with `then` (text borrowed; NULL: e says why). The caller's
 * being killed answers EINTR. With call->read.version_only the text may be a bare one. */
void call_read(struct call *call,
	       void (*then)(struct call *call, struct text *text, const struct error *e));

/* Run `work` on a seat of the write lane. */
void call_work(struct call *call, void (*work)(struct call *call));

struct mount *mount_of(fuse_req_t req);
static inline struct node *node_of(struct mount *mount, fuse_ino_t ino)
{
	return ino == FUSE_ROOT_ID ? nodes_root(mount->nodes) : (struct node *)(uintptr_t)ino;
}

static inline fuse_ino_t ino_of(const struct mount *mount, const struct node *node)
{
	return node == nodes_root(mount->nodes) ? FUSE_ROOT_ID : (fuse_ino_t)(uintptr_t)node;
}

/* --- Killed callers (interrupt.c) ------------------------------------------------------------ */

/* The kernel interrupts a request once, for the first signal that wakes its caller, whichever that is; of a
 * SIGKILL that comes later it says nothing. So a read whose caller was interrupted and not killed is remembered,
 * and a thread, which sleeps while there is none, looks after it until it is answered. */
int interrupts_start(struct interrupts **ret) _must_check_;
void interrupts_end(struct interrupts *interrupts);

/* For fuse_req_interrupt_func(): the call's read is being waited for. */
void interrupts_came(fuse_req_t req, void *call);

/* The read was answered. */
void interrupts_done(struct call *call);

/* --- Attributes (attr.c) --------------------------------------------------------------------- */

void attr_directory(const struct mount *mount, const struct node *node, struct stat *ret);
void attr_row(const struct mount *mount, const struct relation *relation, uint64_t ino,
	      const struct version *version, struct stat *ret);
int attr_scratch(struct mount *mount, const struct node *node, struct stat *ret);
void attr_report(struct mount *mount, struct node *node, struct stat *ret);
uint64_t ino_of_name(uint32_t relation, const char *name);

/* The spool's own inode number, in a range that names do not hash to (they have bit 1 set). */
static inline uint64_t spool_ino(ino_t ino)
{
	return (uint64_t)ino << 2 | 1;
}

/* An entry for fuse_reply_entry(). */
void attr_entry(const struct mount *mount, const struct node *node, const struct stat *attr, enum belief belief,
		const struct look *look, struct fuse_entry_param *ret);

/* Reply an entry for a node that was just given a lookup, or take the lookup back. */
void reply_entry(struct mount *mount, fuse_req_t req, struct node *node, const struct stat *attr,
		 enum belief belief, const struct look *look);

/* The same for a row name without a row, which may be gone at any moment: the kernel is not to remember it. */
void reply_pending(struct mount *mount, fuse_req_t req, struct node *node, const struct stat *attr);

/* Attributes of an open or pending row: what its handles see, or this one (may be NULL). False: ask the reader. */
bool attr_of_open_row(struct mount *mount, struct node *node, struct file *file, struct stat *ret);

/* --- Open files (file.c) --------------------------------------------------------------------- */

enum file_kind { FILE_TEXT, FILE_EDIT, FILE_SCRATCH };

/* What is behind a handle. A rename may turn a row into a scratch file under an open handle, and back; what is
 * behind it is then replaced as a whole (handle_switch.c), so whoever uses it holds a reference. Immutable. */
struct backing {
	_Atomic unsigned refs;
	enum file_kind kind;
	struct text *text;   /* TEXT: the version this open sees */
	struct edit *edit;   /* EDIT */
	int fd;              /* SCRATCH */
	struct scratch *scratch; /* SCRATCH: where the file is held */
	dev_t spool_dev;     /* SCRATCH: which file, by its number in the spool */
	ino_t spool_ino;
};

/* Each takes what it is given, also when it fails, with NULL. */
struct backing *backing_text(struct text *text);
struct backing *backing_edit(struct edit *edit);
struct backing *backing_scratch(struct scratch *scratch, int fd);
void backing_unref(struct backing *backing);

struct file {
	_Atomic unsigned refs;
	struct mount *mount;
	struct node *node;       /* referenced; NULL for reports */
	struct asker opener;     /* without a path */
	pthread_mutex_t lock;    /* held over a WRITE, a truncation and a switch, never across PostgreSQL */
	struct backing *backing; /* [lock and mount.lock to change, either to look] */
	bool closed;             /* [lock] it has left its node */
	bool full;               /* [lock] it was said that the spool has no room for what is written to it */
	int error;               /* [lock] why what is written can go nowhere any more, -errno */
	struct file *prev, *next; /* [mount.lock] those that a rename may change */
	uint64_t walked;          /* [mount.lock] the last walk that met it */
};

static inline struct file *file_of(const struct fuse_file_info *fi)
{
	return (struct file *)(uintptr_t)fi->fh;
}

/* Takes the backing (NULL: there was no memory), also when it fails. */
struct file *file_new(struct mount *mount, struct node *node, const struct asker *opener,
		      struct backing *backing);
void file_unref(struct file *file);

/* Leave the node and finish the edit, once nobody else uses the file. */
void file_close(struct file *file);

/* Let renames and files_end() know of a handle with an edit or a scratch file. */
void file_list(struct file *file);

/* What is behind it now, with a reference. */
struct backing *file_backing(struct file *file);

/* Put something else behind it, with its lock held; takes the backing. */
void file_switch(struct file *file, struct backing *backing);

/* The size that its holder sees. */
uint64_t file_size(struct file *file);

/* Is this the first time that the spool had no room for what its holder does? That is said once for each handle, since
 * programs go on writing. */
bool file_first_full(struct file *file);

/* ftruncate(2). -EBADF if it is open for reading only. */
int file_truncate(struct file *file, size_t size) _must_check_;

/* Who has written to a row's file that is open: nobody, somebody, somebody who waits for his commit. */
enum edit_use files_use(struct mount *mount);

/* Commit and close the handles that the end of the mount found open; what cannot be committed is kept. */
void files_end(struct mount *mount);

/* Is it what a walk looks for? With mount.lock held. */
typedef bool file_match_fn(const struct backing *backing, const void *what);

/* A walk over the listed handles: each that matches is given once, with a reference; NULL after the last. */
uint64_t files_walk(struct mount *mount);
struct file *files_next(struct mount *mount, uint64_t walk, file_match_fn *match, const void *what);

/* Does it edit the row of this name, and was not told to stop? */
struct row_name {
	uint32_t relation;
	const char *name;
};

bool file_edits_row(const struct backing *backing, const void *row_name);

/* What is behind a handle that does, with a reference; NULL if there is none. */
struct backing *files_editing(struct mount *mount, uint32_t relation, const char *name);

/* --- Handles whose file changes its kind (handle_switch.c) ----------------------------------- */

/* A row was moved to a scratch name, which is `scratch_name` in the spool's folder `dir`: what its handles hold
 * and have not committed goes there, and so do they. One that is committing just now stays the row's. */
void handles_follow(struct mount *mount, uint32_t relation, const char *name, int dir,
		    const char *scratch_name);

/* A name without a row was renamed to call->new_ref, where there is none either: its handles go with it. One
 * that is committing just now stays the row's that it makes; -EBUSY if there is no other. */
int handles_move(struct call *call, const char *name) _must_check_;

/* The scratch file of this number in the spool has become the row call->new_ref: call->buf was committed, over
 * call->text if there was one, and `now` is what the row is (commit_save()). Its handles become edits of it. */
void handles_return(struct call *call, const struct stat *scratch, struct text *now);

/* --- The spool (scratch_ops.c) --------------------------------------------------------------- */

/* Descriptor of a directory's place in the spool, for the caller to close; -errno. */
int spool_dir(struct mount *mount, struct node *node, bool create);
/* May the caller open a file of the spool so (R_OK, W_OK), by its owner and mode? */
bool spool_allows(struct call *call, const struct stat *st, int access);
bool is_scratch_name(struct mount *mount, struct node *parent, const char *name);
/* A node for a name in the spool, with one lookup; NULL with *ret_err set. */
struct node *spool_node(struct mount *mount, struct node *parent, const char *name, int *ret_err);

/* What was just made there is its maker's, with the mode he asked for. */
void spool_settle(fuse_req_t req, int dir, const char *name, mode_t mode);

/* unlinkat() there, which makes room; 0 or -errno. */
int spool_remove(struct mount *mount, const struct node *parent, int dir, const char *name, int flags);

/* Refuse what there was no room for in the spool, with the limit that was met: see scratch_full(). Ends the call. */
void spool_full(struct call *call, enum call_kind kind, uint64_t bytes, unsigned names);

/* A name is gone from there in another way; `st` is what it was. */
void spool_gone(struct mount *mount, const struct node *parent, const char *name, const struct stat *st);

/* --- Without OPEN (unopened.c) --------------------------------------------------------------- */

/* INIT's answer: does this mount do without, on this kernel? */
bool unopened_may(const struct mount *mount, const struct fuse_conn_info *conn);

/* READ of a node without a handle. */
void unopened_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset);

/* What a report says now and for the next second, for its size and the READs that follow; a reference, or NULL without
 * memory. */
struct text *unopened_report(struct mount *mount, struct node *node);

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
void op_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int command, void *arg, struct fuse_file_info *fi, unsigned flags,
	      const void *in, size_t in_size, size_t out_size);
