/* Open files. A handle opened for reading pins one version of the row's text; one opened for writing has
 * an edit; a scratch file has a descriptor. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <utlist.h>

#include "mount.h"
#include "report.h"
#include "rowfs/base/counters.h"
#include "rowfs/base/log.h"
#include "rowfs/engine/commit.h"

struct file *file_new(enum file_kind kind, struct node *node)
{
	struct file *file = calloc(1, sizeof *file);

	if (!file)
		return NULL;
	pthread_mutex_init(&file->lock, NULL);
	file->kind = kind;
	file->node = node;
	file->fd = -1;
	return file;
}

static void file_free(struct file *file)
{
	text_unref(file->text);
	if (file->fd >= 0)
		close(file->fd);
	pthread_mutex_destroy(&file->lock);
	free(file);
}

static bool wants_write(const struct fuse_file_info *fi)
{
	return (fi->flags & O_ACCMODE) != O_RDONLY;
}

/* --- Handles on a node ----------------------------------------------------------------------- */

/* What becomes of an OPEN, given what else is open on the node and what the kernel was told. */
enum admission { ADMIT, ADMIT_DIRECT /* past the page cache */, STALE };

static enum admission admit(struct mount *mount, struct file *file, const struct version *version,
			    bool truncated)
{
	struct node *node = file->node;
	bool shared, moved;
	enum admission admission = ADMIT;

	nodes_lock(mount->nodes);
	/* Readers never share pages with a writer. */
	shared = node->writer || (file->writing && node->readers);
	moved = !truncated && version &&
		!(node->is_told && version_equal(&node->told, version));
	if (shared)
		node->split = true;
	if (shared || moved) {
		/* After one ESTALE the kernel looks the name up; if it comes back without having done so (an
		 * open through /proc/self/fd), a second one would reach the user. */
		admission = node->refused ? ADMIT_DIRECT : STALE;
		node->refused = !node->refused;
	}
	if (admission != STALE && file->writing && !node->writer)
		node->writer = file;
	else if (admission != STALE)
		node->readers++;
	nodes_unlock(mount->nodes);
	return admission;
}

static void leave(struct mount *mount, struct file *file)
{
	struct node *node = file->node;

	nodes_lock(mount->nodes);
	if (node->writer == file) {
		node->writer = NULL;
		node->is_told = false;
	} else {
		node->readers--;
	}
	nodes_unlock(mount->nodes);
}

static void list_edit(struct mount *mount, struct file *file)
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

static void file_close(struct mount *mount, struct file *file)
{
	if (file->node)
		leave(mount, file);
	if (file->edit) {
		unlist_edit(mount, file);
		edit_close(file->edit);
	}
	file_free(file);
}

/* --- OPEN ------------------------------------------------------------------------------------ */

static void reply_open(struct call *call, struct file *file)
{
	call->fi.fh = (uint64_t)(uintptr_t)file;
	if (fuse_reply_open(call->req, &call->fi) < 0)
		file_close(call->mount, file);
	call_free(call);
}

static int start_edit(struct call *call, struct file *file, enum edit_intent intent, struct text *base,
		      bool created)
{
	struct edit_options options = {
		.intent = intent,
		.base = base,
		.truncated = call->fi.flags & O_TRUNC,
		.created = created,
		.asker = *call_asker(call),
		.thread_group = thread_group_of(call->asker.pid),
	};
	int r = edit_new(&call->mount->engine, &call->ref, &options, &file->edit);

	if (r == 0) {
		file->kind = FILE_EDIT;
		list_edit(call->mount, file);
	}
	return r;
}

/* Open a row whose text is known. */
static void open_text(struct call *call, struct text *text)
{
	struct file *file = file_new(FILE_TEXT, call->node);
	bool truncated = call->fi.flags & O_TRUNC;
	enum admission admission;
	int r = 0;

	if (!file) {
		call_error(call, -ENOMEM);
		return;
	}
	file->writing = wants_write(&call->fi);
	file->text = text_ref(text);
	admission = admit(call->mount, file, &text->version, truncated);
	if (admission == STALE) {
		count(stale_opens);
		file_free(file);
		call_error(call, -ESTALE);
		return;
	}
	call->fi.direct_io = admission == ADMIT_DIRECT;
	if (file->writing)
		r = start_edit(call, file, EDIT_UPDATE, text, false);
	if (r < 0) {
		file_close(call->mount, file);
		call_error(call, r);
		return;
	}
	reply_open(call, file);
}

static void open_row_done(struct call *call, struct text *text, const struct error *e)
{
	if (text)
		open_text(call, text);
	else
		call_error(call, -call_errno(CALL_OTHER, e->err));
}

/* A row name that was created and has no content in PostgreSQL yet. */
static void open_pending(struct call *call, enum name_state state, struct text *base)
{
	struct version empty = version_of("", 0, NULL);
	struct file *file = file_new(FILE_TEXT, call->node);
	int r = 0;

	if (!file) {
		call_error(call, -ENOMEM);
		return;
	}
	file->writing = wants_write(&call->fi);
	file->text = text_new("", 0, &empty, 0);
	if (!file->text || admit(call->mount, file, NULL, true) == STALE) {
		r = file->text ? -ESTALE : -ENOMEM;
		file_free(file);
		call_error(call, r);
		return;
	}
	call->fi.flags |= O_TRUNC;
	if (file->writing)
		r = start_edit(call, file, state == NAME_PENDING ? EDIT_INSERT : EDIT_UPDATE, base, false);
	if (r < 0) {
		file_close(call->mount, file);
		call_error(call, r);
		return;
	}
	reply_open(call, file);
}

static void open_row(struct call *call)
{
	struct mount *mount = call->mount;
	_cleanup_text_ struct text *base = NULL, *kept = NULL;
	enum name_state state;
	int r = rowref_of_name(mount->engine.catalog, call->node->relation, node_name(call->node),
			       &call->ref, NULL);

	if (r < 0) {
		call_error(call, r);
		return;
	}
	state = names_state(mount->engine.names, call->node->relation, node_name(call->node), &base);
	if (state == NAME_PENDING || state == NAME_REPLACING) {
		open_pending(call, state, base);
		return;
	}
	kept = nodes_kept(mount->nodes, call->node);
	if (kept)
		open_text(call, kept);
	else
		call_read(call, open_row_done);
}

/* Reports and what is read whole when it is opened: past the page cache, since their size is not
 * known before. */
static void open_report(struct call *call)
{
	struct file *file = file_new(FILE_TEXT, NULL);
	const struct report *report = call->node->report;
	struct version version;

	report->print(&call->mount->engine, call->asker.uid, &call->buf);
	version = version_of(call->buf.data ? call->buf.data : "", call->buf.len, NULL);
	if (file)
		file->text = text_new(call->buf.data ? call->buf.data : "", call->buf.len, &version, 0);
	if (!file || !file->text) {
		if (file)
			file_free(file);
		call_error(call, -ENOMEM);
		return;
	}
	call->fi.direct_io = 1;
	reply_open(call, file);
}

/* .new.json: reads as empty; what is written to it becomes a row with a key that the server assigns. */
static void open_new(struct call *call)
{
	struct version empty = version_of("", 0, NULL);
	struct schema *schema = catalog_get(call->mount->engine.catalog);
	struct file *file = file_new(FILE_TEXT, NULL);
	int r = 0;

	call->ref = (struct rowref){
		.schema = schema,
		.relation = schema_relation(schema, call->node->relation),
		.name = strdup(REPORT_NEW_ROW),
	};
	if (!call->ref.relation)
		r = -ESTALE;
	else if (!file || !call->ref.name || !(file->text = text_new("", 0, &empty, 0)))
		r = -ENOMEM;
	else if (wants_write(&call->fi))
		r = start_edit(call, file, EDIT_NEW, NULL, false);
	if (r < 0) {
		if (file)
			file_free(file);
		call_error(call, r);
		return;
	}
	call->fi.direct_io = 1;
	reply_open(call, file);
}

static void open_scratch(struct call *call)
{
	struct file *file = file_new(FILE_SCRATCH, call->node);
	char path[40];

	if (!file) {
		call_error(call, -ENOMEM);
		return;
	}
	snprintf(path, sizeof path, "/proc/self/fd/%d", call->node->path_fd);
	/* O_APPEND is the kernel's business, which sends offsets; pwrite() would ignore them. */
	file->fd = open(path, (call->fi.flags & ~(O_APPEND | O_NOFOLLOW | O_CREAT | O_EXCL)) | O_CLOEXEC);
	if (file->fd < 0) {
		int err = errno;

		file_free(file);
		call_error(call, -err);
		return;
	}
	nodes_lock(call->mount->nodes);
	call->node->readers++;
	nodes_unlock(call->mount->nodes);
	reply_open(call, file);
}

void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct call *call = call_new(req, node_of(mount_of(req), ino), NULL);

	if (!call)
		return;
	call->fi = *fi;
	switch (call->node->kind) {
	case NODE_ROW:
		open_row(call);
		break;
	case NODE_SCRATCH:
		open_scratch(call);
		break;
	case NODE_REPORT:
		open_report(call);
		break;
	case NODE_NEW:
		open_new(call);
		break;
	default:
		call_error(call, -EISDIR);
	}
}

/* --- CREATE ---------------------------------------------------------------------------------- */

static void reply_create(struct call *call, struct file *file, const struct stat *attr)
{
	struct fuse_entry_param entry;

	attr_entry(call->mount, file->node, attr, &entry);
	call->fi.fh = (uint64_t)(uintptr_t)file;
	if (fuse_reply_create(call->req, &entry, &call->fi) < 0) {
		struct node *node = file->node;

		file_close(call->mount, file);
		nodes_forget(call->mount->nodes, node, 1);
	}
	call_free(call);
}

static void create_scratch(struct call *call, mode_t mode)
{
	struct mount *mount = call->mount;
	_cleanup_close_ int dir = spool_dir(mount, call->node, true);
	struct file *file = NULL;
	struct node *node;
	struct stat attr;
	int r = dir, fd;

	fd = dir < 0 ? -1 : openat(dir, call->name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC |
					(call->fi.flags & (O_EXCL | O_TRUNC)), mode);
	if (fd < 0) {
		call_error(call, dir < 0 ? dir : -errno);
		return;
	}
	if (geteuid() == 0 && fchown(fd, call->asker.uid, call->asker.gid) < 0)
		log_debug("a scratch file keeps its owner: %s", strerror(errno));
	node = spool_node(mount, call->node, call->name, &r);
	if (node)
		r = attr_scratch(node, &attr);
	if (node && r == 0 && !(file = file_new(FILE_SCRATCH, node)))
		r = -ENOMEM;
	if (!node || r < 0) {
		close(fd);
		if (node)
			nodes_forget(mount->nodes, node, 1);
		call_error(call, r);
		return;
	}
	file->fd = fd;
	nodes_lock(mount->nodes);
	node->readers++;
	nodes_unlock(mount->nodes);
	reply_create(call, file, &attr);
}

/* The name is a row's, spelled as PostgreSQL would. */
static void create_row(struct call *call)
{
	struct mount *mount = call->mount;
	uint32_t oid = call->node->relation;
	_cleanup_text_ struct text *base = NULL;
	struct version empty = version_of("", 0, NULL);
	struct node *node = NULL, *parent = call->node;
	struct file *file = NULL;
	struct stat attr;
	int r = names_event(mount->engine.names, oid, call->name, NAME_CREATED, NULL);

	if (r < 0) {
		call_error(call, r == -EBUSY ? -EEXIST : r);
		return;
	}
	names_state(mount->engine.names, oid, call->name, &base);
	node = nodes_create(mount->nodes, parent, call->name, NODE_ROW, oid, ino_of_name(oid, call->name));
	file = node ? file_new(FILE_EDIT, node) : NULL;
	if (file) {
		file->writing = true;
		(void)admit(mount, file, NULL, true);
		call->fi.flags |= O_TRUNC;
		r = start_edit(call, file, r == NAME_PENDING ? EDIT_INSERT : EDIT_UPDATE, base, true);
	} else {
		r = -ENOMEM;
	}
	if (r < 0) {
		names_event(mount->engine.names, oid, call->name, NAME_REMOVED, NULL);
		if (file)
			file_close(mount, file);
		if (node)
			nodes_forget(mount->nodes, node, 1);
		call_error(call, r);
		return;
	}
	attr_row(mount, call->ref.relation, node->ino, &empty, &attr);
	attr.st_size = 0;
	reply_create(call, file, &attr);
}

static void create_row_checked(struct call *call)
{
	int r = commit_check_name(&call->mount->engine, &call->ref, &call->error);

	if (r < 0)
		call_refuse(call, CALL_OTHER, &call->error, NULL, 0);
	else
		create_row(call);
}

static void refuse_name(struct call *call)
{
	(void)error_set(&call->error, EINVAL, "%s can be no row of this table: the name is no key that "
			"PostgreSQL would print", call->name);
	call_refuse(call, CALL_OTHER, &call->error, NULL, 0);
}

void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	       struct fuse_file_info *fi)
{
	struct call *call = call_new(req, node_of(mount_of(req), parent), name);
	enum name_kind kind;
	int r;

	if (!call)
		return;
	call->fi = *fi;
	if (call->node->kind == NODE_SCRATCH) {
		create_scratch(call, mode);
		return;
	}
	if (call->node->kind != NODE_TABLE) {
		call_error(call, -EPERM);
		return;
	}
	r = rowref_of_name(call->mount->engine.catalog, call->node->relation, name, &call->ref, &kind);
	if (r == -ENOENT && kind == NAME_SCRATCH)
		create_scratch(call, mode);
	else if (r == -ENOENT)
		refuse_name(call);
	else if (r < 0)
		call_error(call, r);
	else
		call_work(call, create_row_checked);
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

static void read_text(fuse_req_t req, const struct text *text, size_t size, off_t offset)
{
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
		pthread_mutex_lock(&file->lock);
		file->wrote = true;
		pthread_mutex_unlock(&file->lock);
		break;
	case FILE_EDIT:
		r = edit_write(file->edit, (size_t)offset, data, size);
		n = r < 0 ? r : n;
		break;
	default:
		n = -EBADF;
	}
	if (n < 0)
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

	if (r == 0)
		r = rowref_of_name(call->mount->engine.catalog, call->node->relation,
				   node_name(call->node), &call->ref, NULL);
	if (r == 0)
		r = reader_fetch(call->mount->engine.reader, &call->ref, STORE_WRITE, &base, &call->error);
	if (r == 0) {
		r = commit_update(&call->mount->engine, &call->ref, base, call->buf.data, call->buf.len,
				  &call->error);
		text_unref(base);
	}
	if (r < 0 && call->error.err)
		call_refuse(call, CALL_PATH, &call->error, call->buf.data, call->buf.len);
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
		notify_inode(mount->notifier, ino);
	fuse_reply_err(req, 0);
}

/* --- Others' doing --------------------------------------------------------------------------- */

void file_follow(struct mount *mount, struct file *file, int fd)
{
	_cleanup_buf_ struct buf text = {0};

	nodes_lock(mount->nodes);
	if (file->node->writer == file) {
		file->node->writer = NULL;
		file->node->readers++;
	}
	nodes_unlock(mount->nodes);
	pthread_mutex_lock(&file->lock);
	edit_surrender(file->edit, &text);
	file->fd = fd;
	file->kind = FILE_SCRATCH;
	pthread_mutex_unlock(&file->lock);
	if (!text.failed && ftruncate(fd, 0) == 0 &&
	    scratch_write(mount->engine.scratch, fd, text.data, text.len, 0) < 0)
		log_warning("a moved file could not be written whole: %s", strerror(errno));
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
