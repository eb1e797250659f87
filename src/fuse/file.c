/* Open files: a handle opened for reading pins one version of the row's text; one opened for writing has an
 * edit; a scratch file has a descriptor. open.c makes them, handle_switch.c turns one into the other. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <utlist.h>

#include "mount.h"

/* --- What is behind a handle ----------------------------------------------------------------- */

static struct backing *backing_new(enum file_kind kind)
{
	struct backing *backing = calloc(1, sizeof *backing);

	if (!backing)
		return NULL;
	atomic_init(&backing->refs, 1);
	backing->kind = kind;
	backing->fd = -1;
	return backing;
}

struct backing *backing_text(struct text *text)
{
	struct backing *backing = text ? backing_new(FILE_TEXT) : NULL;

	if (backing)
		backing->text = text;
	else
		text_unref(text);
	return backing;
}

struct backing *backing_edit(struct edit *edit)
{
	struct backing *backing = backing_new(FILE_EDIT);

	if (backing)
		backing->edit = edit;
	else
		edit_close(edit);
	return backing;
}

struct backing *backing_scratch(struct scratch *scratch, int fd)
{
	struct backing *backing = backing_new(FILE_SCRATCH);
	struct stat st;

	if (!backing || fstat(fd, &st) < 0 || scratch_hold(scratch, fd) < 0) {
		free(backing);
		close(fd);
		return NULL;
	}
	backing->scratch = scratch;
	backing->fd = fd;
	backing->spool_dev = st.st_dev;
	backing->spool_ino = st.st_ino;
	return backing;
}

void backing_unref(struct backing *backing)
{
	if (!backing || atomic_fetch_sub(&backing->refs, 1) != 1)
		return;
	if (backing->edit)
		edit_close(backing->edit);
	text_unref(backing->text);
	if (backing->fd >= 0) {
		scratch_release(backing->scratch, backing->fd);
		close(backing->fd);
	}
	free(backing);
}

struct backing *file_backing(struct file *file)
{
	struct backing *backing;

	pthread_mutex_lock(&file->lock);
	backing = file->backing;
	atomic_fetch_add(&backing->refs, 1);
	pthread_mutex_unlock(&file->lock);
	return backing;
}

void file_switch(struct file *file, struct backing *backing)
{
	struct backing *before = file->backing;

	pthread_mutex_lock(&file->mount->lock);
	file->backing = backing;
	pthread_mutex_unlock(&file->mount->lock);
	backing_unref(before);
}

/* --- A handle -------------------------------------------------------------------------------- */

struct file *file_new(struct mount *mount, struct node *node, const struct asker *opener,
		      struct backing *backing)
{
	struct file *file = backing ? calloc(1, sizeof *file) : NULL;

	if (!file) {
		backing_unref(backing);
		return NULL;
	}
	atomic_init(&file->refs, 1);
	pthread_mutex_init(&file->lock, NULL);
	file->mount = mount;
	file->opener = *opener;
	file->opener.path = "";
	file->backing = backing;
	file->node = node;
	if (node)
		nodes_hold(mount->nodes, node);
	return file;
}

void file_unref(struct file *file)
{
	if (atomic_fetch_sub(&file->refs, 1) != 1)
		return;
	backing_unref(file->backing);
	if (file->node)
		nodes_release(file->mount->nodes, file->node);
	pthread_mutex_destroy(&file->lock);
	free(file);
}

void file_close(struct file *file)
{
	struct mount *mount = file->mount;

	pthread_mutex_lock(&mount->lock);
	if (file->prev)
		DL_DELETE(mount->files, file);
	file->prev = file->next = NULL;
	pthread_mutex_unlock(&mount->lock);

	/* Whoever found it in the list before that sees that he is too late. */
	pthread_mutex_lock(&file->lock);
	file->closed = true;
	pthread_mutex_unlock(&file->lock);
	if (file->node)
		nodes_leave(mount->nodes, file->node, file);
	file_unref(file);
}

/* --- Handles that a rename may change -------------------------------------------------------- */

void file_list(struct file *file)
{
	pthread_mutex_lock(&file->mount->lock);
	file->walked = file->mount->walks;
	DL_APPEND(file->mount->files, file);
	pthread_mutex_unlock(&file->mount->lock);
}

uint64_t files_walk(struct mount *mount)
{
	uint64_t walk;

	pthread_mutex_lock(&mount->lock);
	walk = ++mount->walks;
	pthread_mutex_unlock(&mount->lock);
	return walk;
}

struct file *files_next(struct mount *mount, uint64_t walk, file_match_fn *match, const void *what)
{
	struct file *file;

	pthread_mutex_lock(&mount->lock);
	DL_FOREACH(mount->files, file)
		if (file->walked < walk && match(file->backing, what))
			break;
	if (file) {
		file->walked = walk;
		atomic_fetch_add(&file->refs, 1);
	}
	pthread_mutex_unlock(&mount->lock);
	return file;
}

bool file_edits_row(const struct backing *backing, const void *what)
{
	const struct row_name *row = what;

	return backing->kind == FILE_EDIT && edit_is_of(backing->edit, row->relation, row->name);
}

struct backing *files_editing(struct mount *mount, uint32_t relation, const char *name)
{
	struct row_name row = {relation, name};
	struct backing *backing = NULL;
	struct file *file;

	pthread_mutex_lock(&mount->lock);
	DL_FOREACH(mount->files, file)
		if (file_edits_row(file->backing, &row))
			break;
	if (file) {
		backing = file->backing;
		atomic_fetch_add(&backing->refs, 1);
	}
	pthread_mutex_unlock(&mount->lock);
	return backing;
}

/* --- Commits --------------------------------------------------------------------------------- */

/* The handle may be released as soon as the kernel has the answer, and its edit is then to end with it. */
static void answer_commit(struct call *call, int err)
{
	backing_unref(call->backing);
	call->backing = NULL;
	call_error(call, err);
}

/* From fsync, EINVAL is read as "cannot be synchronised" and ignored (emacs). */
static void fsync_done(struct edit_request *request, int err)
{
	answer_commit(container_of(request, struct call, edit), err == -EINVAL ? -EIO : err);
}

/* What makes a tool try another way: again, or unlink and copy. */
static int not_retried(int err)
{
	bool retried = err == -EINTR || err == -EAGAIN || err == -ETXTBSY || err == -EXDEV;

	return retried ? -EIO : err;
}

static void flush_done(struct edit_request *request, int err)
{
	answer_commit(container_of(request, struct call, edit), not_retried(err));
}

static void write_done(struct edit_request *request, int err)
{
	struct call *call = container_of(request, struct call, edit);

	if (err) {
		answer_commit(call, not_retried(err));
		return;
	}
	backing_unref(call->backing);
	call->backing = NULL;
	fuse_reply_write(call->req, call->size);
	call_free(call);
}

/* Takes the backing. `program`: see edit_commit(). `size`: of a WRITE. */
static void commit(fuse_req_t req, fuse_ino_t ino, struct backing *backing, pid_t program, size_t size,
		   void (*done)(struct edit_request *request, int err))
{
	struct call *call = call_new(req, node_of(mount_of(req), ino), NULL);

	if (!call) {
		backing_unref(backing);
		return;
	}
	call->backing = backing;
	call->size = size;
	call->edit.done = done;
	edit_commit(backing->edit, program, &call->edit);
}

/* --- READ, WRITE ----------------------------------------------------------------------------- */

/* The kernel may release the handle as soon as it has the reply, while a call is still returning from it: what
 * is read from is referenced. */
static void read_scratch(fuse_req_t req, const struct backing *backing, size_t size, off_t offset)
{
	struct fuse_bufvec bytes = FUSE_BUFVEC_INIT(size);

	bytes.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK;
	bytes.buf[0].fd = backing->fd;
	bytes.buf[0].pos = offset;
	fuse_reply_data(req, &bytes, FUSE_BUF_SPLICE_MOVE);
}

static void read_edit(fuse_req_t req, const struct backing *backing, size_t size, off_t offset)
{
	_cleanup_buf_ struct buf out = {0};

	edit_read(backing->edit, (size_t)offset, size, &out);
	if (out.failed)
		fuse_reply_err(req, ENOMEM);
	else
		fuse_reply_buf(req, out.data, out.len);
}

static void read_text(fuse_req_t req, const struct backing *backing, size_t size, off_t offset)
{
	const struct text *text = backing->text;
	size_t at = (size_t)offset, rest = at < text->len ? text->len - at : 0;

	fuse_reply_buf(req, rest ? text->data + at : NULL, rest < size ? rest : size);
}

void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	struct backing *backing;

	if (!fi->fh) {
		unopened_read(req, ino, size, offset);
		return;
	}
	backing = file_backing(file_of(fi));
	switch (backing->kind) {
	case FILE_SCRATCH:
		read_scratch(req, backing, size, offset);
		break;
	case FILE_EDIT:
		read_edit(req, backing, size, offset);
		break;
	case FILE_TEXT:
		read_text(req, backing, size, offset);
	}
	backing_unref(backing);
}

/* With the file's lock held: bytes written or -errno. *ret_complete: with them a text is complete (edit_write()). */
static ssize_t put_bytes(struct file *file, const char *data, size_t size, off_t offset, bool *ret_complete)
{
	const struct backing *backing = file->backing;
	int r;

	if (file->error)
		return file->error;
	switch (backing->kind) {
	case FILE_SCRATCH:
		return scratch_write(file->mount->engine.scratch, backing->fd, data, size, offset);
	case FILE_EDIT:
		r = edit_write(backing->edit, (size_t)offset, data, size);
		*ret_complete = r == 1;
		return r < 0 ? r : (ssize_t)size;
	default:
		return -EBADF;
	}
}

bool file_first_full(struct file *file)
{
	bool first;

	pthread_mutex_lock(&file->lock);
	first = !file->full;
	file->full = true;
	pthread_mutex_unlock(&file->lock);
	return first;
}

/* A WRITE up to there that the spool has no room for. */
static void refuse_full(fuse_req_t req, fuse_ino_t ino, struct file *file, uint64_t end)
{
	uint64_t size = file_size(file);
	struct call *call = call_new(req, node_of(mount_of(req), ino), NULL);

	if (call)
		spool_full(call, CALL_OTHER, end > size ? end - size : 0, 0);
}

void op_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t offset,
	      struct fuse_file_info *fi)
{
	struct file *file = file_of(fi);
	struct backing *complete = NULL;
	bool is_complete = false, in_spool;
	ssize_t n;

	if (!file) { /* mounted read only, and made writable since by mount(8) */
		fuse_reply_err(req, EROFS);
		return;
	}
	pthread_mutex_lock(&file->lock);
	in_spool = file->backing->kind == FILE_SCRATCH;
	n = put_bytes(file, data, size, offset, &is_complete);
	if (is_complete) {
		complete = file->backing;
		atomic_fetch_add(&complete->refs, 1);
	}
	pthread_mutex_unlock(&file->lock);
	if (complete)
		commit(req, ino, complete, 0, size, write_done);
	else if (n == -ENOSPC && in_spool && file_first_full(file))
		refuse_full(req, ino, file, (uint64_t)offset + size);
	else if (n < 0)
		fuse_reply_err(req, -not_retried((int)n));
	else
		fuse_reply_write(req, (size_t)n);
}

uint64_t file_size(struct file *file)
{
	struct backing *backing = file_backing(file);
	uint64_t size = 0;
	struct stat st;

	switch (backing->kind) {
	case FILE_SCRATCH:
		size = fstat(backing->fd, &st) == 0 ? (uint64_t)st.st_size : 0;
		break;
	case FILE_EDIT:
		size = edit_size(backing->edit);
		break;
	case FILE_TEXT:
		size = backing->text->len;
	}
	backing_unref(backing);
	return size;
}

/* With the file's lock held. */
static int cut(struct file *file, size_t size)
{
	const struct backing *backing = file->backing;

	if (file->error)
		return file->error;
	switch (backing->kind) {
	case FILE_SCRATCH:
		return scratch_resize(file->mount->engine.scratch, backing->fd, (off_t)size);
	case FILE_EDIT:
		return edit_truncate(backing->edit, size);
	default:
		return -EBADF;
	}
}

int file_truncate(struct file *file, size_t size)
{
	int r;

	pthread_mutex_lock(&file->lock);
	r = cut(file, size);
	pthread_mutex_unlock(&file->lock);
	return r;
}

/* --- FLUSH, FSYNC, RELEASE ------------------------------------------------------------------- */

static void sync_file(fuse_req_t req, fuse_ino_t ino, struct file *file, bool flush)
{
	struct backing *backing = file_backing(file);
	int r;

	if (backing->kind == FILE_EDIT) {
		if (flush)
			commit(req, ino, backing, process_group(fuse_req_ctx(req)->pid), 0, flush_done);
		else
			commit(req, ino, backing, 0, 0, fsync_done);
		return;
	}
	pthread_mutex_lock(&file->lock);
	r = file->error;
	pthread_mutex_unlock(&file->lock);
	if (r == 0 && !flush && backing->kind == FILE_SCRATCH && fsync(backing->fd) < 0)
		r = -errno;
	backing_unref(backing);
	fuse_reply_err(req, -r);
}

/* Of a file without a handle nothing was written; the kernel stops asking after ENOSYS. */
void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	if (fi->fh)
		sync_file(req, ino, file_of(fi), true);
	else
		fuse_reply_err(req, ENOSYS);
}

void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	if (fi->fh)
		sync_file(req, ino, file_of(fi), false);
	else
		fuse_reply_err(req, 0);
}

void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct file *file = file_of(fi);
	struct backing *backing = file_backing(file);
	bool edited = backing->kind == FILE_EDIT;

	backing_unref(backing);
	file_close(file);
	if (edited)
		notify_row(mount_of(req)->notifier, node_of(mount_of(req), ino));
	fuse_reply_err(req, 0);
}

/* --- The end --------------------------------------------------------------------------------- */

enum edit_use files_use(struct mount *mount)
{
	enum edit_use most = EDIT_UNTOUCHED;

	pthread_mutex_lock(&mount->lock);
	for (struct file *file = mount->files; file; file = file->next) {
		enum edit_use use = file->backing->kind == FILE_EDIT ? edit_use(file->backing->edit) : EDIT_UNTOUCHED;

		most = use > most ? use : most;
	}
	pthread_mutex_unlock(&mount->lock);
	return most;
}

static void told_nobody(struct edit_request *request, int err)
{
}

void files_end(struct mount *mount)
{
	struct file *file;

	while ((file = mount->files)) {
		struct edit_request request = {.done = told_nobody};

		/* Nobody else is left to take a seat, so this commits before it returns. */
		if (file->backing->kind == FILE_EDIT)
			edit_commit(file->backing->edit, 0, &request);
		file_close(file);
	}
}
