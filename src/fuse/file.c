/* Open files: a handle opened for reading pins one version of the row's text; one opened for writing has an
 * edit; a scratch file has a descriptor. open.c makes them. */
#include <errno.h>
#include <string.h>
#include <utlist.h>

#include "mount.h"
#include "rowfs/base/log.h"
#include "rowfs/engine/commit.h"

struct file *file_new(enum file_kind kind, struct node *node)
{
	struct file *file = calloc(1, sizeof *file);

	if (!file)
		return NULL;
	atomic_init(&file->refs, 1);
	pthread_mutex_init(&file->lock, NULL);
	file->kind = kind;
	file->node = node;
	file->fd = -1;
	return file;
}

void file_unref(struct file *file)
{
	if (atomic_fetch_sub(&file->refs, 1) != 1)
		return;
	if (file->edit)
		edit_close(file->edit);
	text_unref(file->text);
	if (file->fd >= 0)
		close(file->fd);
	pthread_mutex_destroy(&file->lock);
	free(file);
}

/* --- Handles that are edits, for the end of the mount ----------------------------------------- */

void file_list_edit(struct mount *mount, struct file *file)
{
	pthread_mutex_lock(&mount->lock);
	DL_APPEND(mount->editing, file);
	pthread_mutex_unlock(&mount->lock);
}

static void unlist_edit(struct mount *mount, struct file *file)
{
	pthread_mutex_lock(&mount->lock);
	if (file->prev)
		DL_DELETE(mount->editing, file);
	file->prev = file->next = NULL;
	pthread_mutex_unlock(&mount->lock);
}

void file_close(struct mount *mount, struct file *file)
{
	if (file->node)
		nodes_leave(mount->nodes, file->node, file);
	if (file->edit)
		unlist_edit(mount, file);
	file_unref(file);
}

struct file *files_editing(struct mount *mount, uint32_t relation, const char *name)
{
	struct file *file, *found = NULL;

	pthread_mutex_lock(&mount->lock);
	DL_FOREACH(mount->editing, file) {
		if (edit_is_of(file->edit, relation, name)) {
			found = file;
			atomic_fetch_add(&found->refs, 1);
			break;
		}
	}
	pthread_mutex_unlock(&mount->lock);
	return found;
}

/* --- READ, WRITE ----------------------------------------------------------------------------- */

static void read_scratch(fuse_req_t req, const struct file *file, size_t size, off_t offset)
{
	struct fuse_bufvec bytes = FUSE_BUFVEC_INIT(size);

	bytes.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK;
	bytes.buf[0].fd = file->fd;
	bytes.buf[0].pos = offset;
	fuse_reply_data(req, &bytes, FUSE_BUF_SPLICE_MOVE);
}

static void read_edit(fuse_req_t req, struct file *file, size_t size, off_t offset)
{
	_cleanup_buf_ struct buf out = {0};

	edit_read(file->edit, (size_t)offset, size, &out);
	if (out.failed)
		fuse_reply_err(req, ENOMEM);
	else
		fuse_reply_buf(req, out.data, out.len);
}

/* The kernel may release the handle as soon as it has the reply, while this call is still returning from it:
 * a reference of its own keeps the text. */
static void read_text(fuse_req_t req, struct text *pinned, size_t size, off_t offset)
{
	_cleanup_text_ struct text *text = text_ref(pinned);
	size_t at = (size_t)offset, rest = at < text->len ? text->len - at : 0;

	fuse_reply_buf(req, rest ? text->data + at : NULL, rest < size ? rest : size);
}

/* An edit may turn into a scratch file under the handle; see file_follow(). */
static enum file_kind kind_of(struct file *file)
{
	enum file_kind kind;

	pthread_mutex_lock(&file->lock);
	kind = file->kind;
	pthread_mutex_unlock(&file->lock);
	return kind;
}

void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	struct file *file = file_of(fi);

	switch (kind_of(file)) {
	case FILE_SCRATCH:
		read_scratch(req, file, size, offset);
		break;
	case FILE_EDIT:
		read_edit(req, file, size, offset);
		break;
	default:
		read_text(req, file->text, size, offset);
	}
}

static void set_wrote(struct file *file, bool wrote)
{
	pthread_mutex_lock(&file->lock);
	file->wrote = wrote;
	pthread_mutex_unlock(&file->lock);
}

/* Once for each handle: programs go on writing. */
static void refuse_full(fuse_req_t req, struct file *file, size_t size)
{
	struct call *call;
	bool said;

	pthread_mutex_lock(&file->lock);
	said = file->full;
	file->full = true;
	pthread_mutex_unlock(&file->lock);
	if (said) {
		fuse_reply_err(req, ENOSPC);
		return;
	}
	call = call_new(req, file->node, NULL);
	if (!call)
		return;
	(void)scratch_full(call->mount->engine.scratch, size, &call->error);
	call_refuse(call, CALL_OTHER, &call->error, NULL, 0);
}

void op_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t offset,
	      struct fuse_file_info *fi)
{
	struct mount *mount = mount_of(req);
	struct file *file = file_of(fi);
	ssize_t n = (ssize_t)size;
	int r;

	switch (kind_of(file)) {
	case FILE_SCRATCH:
		n = scratch_write(mount->engine.scratch, file->fd, data, size, offset);
		/* What was written before a rename onto a row went with it. */
		if (file->node->kind == NODE_ROW)
			set_wrote(file, true);
		break;
	case FILE_EDIT:
		r = edit_write(file->edit, (size_t)offset, data, size);
		n = r < 0 ? r : n;
		break;
	default:
		n = -EBADF;
	}
	if (n == -ENOSPC)
		refuse_full(req, file, size);
	else if (n < 0)
		fuse_reply_err(req, (int)-n);
	else
		fuse_reply_write(req, (size_t)n);
}

/* --- FLUSH, FSYNC, RELEASE ------------------------------------------------------------------- */

/* From fsync, EINVAL is read as "cannot be synchronised" and ignored (emacs). */
static void fsync_done(struct edit_request *request, int err)
{
	call_error(container_of(request, struct call, edit), err == -EINVAL ? -EIO : err);
}

/* FLUSH never says what makes a tool try another way: unlink and copy. */
static void flush_done(struct edit_request *request, int err)
{
	bool retried = err == -EINTR || err == -EAGAIN || err == -ETXTBSY || err == -EXDEV;

	call_error(container_of(request, struct call, edit), retried ? -EIO : err);
}

/* A scratch file that was renamed onto a row while it was open: what is written to it afterwards is meant
 * for the row. */
static void flush_renamed(struct call *call)
{
	struct file *file = file_of(&call->fi);
	struct text *base;
	int r = scratch_get(file->fd, &call->buf);

	if (r == -EFBIG)
		r = text_too_long(&call->error);
	if (r == 0)
		r = rowref_of_name(call->mount->engine.catalog, call->node->relation, call->row_name,
				   &call->ref, NULL);
	if (r == 0)
		r = reader_fetch(call->mount->engine.reader, &call->ref, STORE_WRITE, &base, &call->error);
	if (r == 0) {
		r = commit_update(&call->mount->engine, &call->ref, base, call->buf.data, call->buf.len,
				  NULL, &call->error);
		text_unref(base);
	}
	if (r < 0)
		set_wrote(file, true); /* the next flush says so again */
	if (r < 0 && call->error.err)
		call_refuse(call, CALL_OTHER, &call->error, call->buf.data, call->buf.len);
	else
		call_error(call, r);
}

static bool meant_for_row(struct file *file)
{
	bool meant;

	pthread_mutex_lock(&file->lock);
	meant = file->wrote && file->node->kind == NODE_ROW;
	file->wrote = false;
	pthread_mutex_unlock(&file->lock);
	return meant;
}

static void sync_file(fuse_req_t req, fuse_ino_t ino, const struct fuse_file_info *fi,
		      void (*done)(struct edit_request *request, int err))
{
	struct file *file = file_of(fi);
	enum file_kind kind = kind_of(file);
	struct call *call;

	if (kind == FILE_TEXT || (kind == FILE_SCRATCH && !meant_for_row(file))) {
		fuse_reply_err(req, 0);
		return;
	}
	call = call_new(req, node_of(mount_of(req), ino), NULL);
	if (!call)
		return;
	call->fi = *fi;
	if (kind == FILE_SCRATCH) {
		call_work(call, flush_renamed);
		return;
	}
	call->edit.done = done;
	edit_commit(file->edit, thread_group_of(call->asker.pid), &call->edit);
}

void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	sync_file(req, ino, fi, flush_done);
}

void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	struct file *file = file_of(fi);

	if (kind_of(file) == FILE_SCRATCH && file->node->kind == NODE_SCRATCH && fsync(file->fd) < 0)
		fuse_reply_err(req, errno);
	else
		sync_file(req, ino, fi, fsync_done);
}

void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct mount *mount = mount_of(req);
	struct file *file = file_of(fi);
	bool edited = kind_of(file) == FILE_EDIT;

	file_close(mount, file);
	if (edited)
		notify_inode(mount->session, ino);
	fuse_reply_err(req, 0);
}

/* --- Others' doing --------------------------------------------------------------------------- */

int file_follow(struct mount *mount, struct file *file, int fd)
{
	_cleanup_buf_ struct buf text = {0};
	int r = edit_surrender(file->edit, &text);

	if (r < 0)
		return r;
	nodes_lock(mount->nodes);
	if (file->node && file->node->writer == file) {
		file->node->writer = NULL;
		file->node->readers++;
	}
	nodes_unlock(mount->nodes);
	pthread_mutex_lock(&file->lock);
	file->fd = fd;
	file->kind = FILE_SCRATCH;
	pthread_mutex_unlock(&file->lock);
	if (text.failed || ftruncate(fd, 0) < 0 ||
	    scratch_write(mount->engine.scratch, fd, text.data, text.len, 0) < 0)
		log_warning("a moved file could not be written whole: %s", strerror(errno));
	return 0;
}

static void told_nobody(struct edit_request *request, int err)
{
}

void files_end(struct mount *mount)
{
	while (mount->editing) {
		struct edit_request request = {.done = told_nobody};

		/* Nobody else is left to take a seat, so this commits before it returns. */
		edit_commit(mount->editing->edit, 0, &request);
		file_close(mount, mount->editing);
	}
}
