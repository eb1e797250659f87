/* OPEN and CREATE: from a node to a handle. A row is read first, whatever it is opened for: the text is what
 * a reader sees, and what a writer's changes are compared with. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "mount.h"
#include "report.h"
#include "rowfs/base/counters.h"
#include "rowfs/base/log.h"
#include "rowfs/engine/commit.h"

static bool wants_write(const struct fuse_file_info *fi)
{
	return (fi->flags & O_ACCMODE) != O_RDONLY;
}

/* --- OPEN ------------------------------------------------------------------------------------ */

static void reply_open(struct call *call, struct file *file)
{
	call->fi.fh = (uint64_t)(uintptr_t)file;
	if (fuse_reply_open(call->req, &call->fi) < 0)
		file_close(call->mount, file);
	call_free(call);
}

/* Give the handle an edit; before it is known to anybody. */
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

	if (r == 0)
		file->kind = FILE_EDIT;
	return r;
}

/* A handle that sees `text`, with an edit if it is opened for writing; NULL and *ret_err otherwise. */
static struct file *make_file(struct call *call, struct node *node, struct text *text,
			      enum edit_intent intent, struct text *base, int *ret_err)
{
	struct file *file = text ? file_new(FILE_TEXT, node) : NULL;
	int r = file ? 0 : -ENOMEM;

	if (file)
		file->text = text_ref(text);
	if (file && wants_write(&call->fi))
		r = start_edit(call, file, intent, base, false);
	if (r == 0)
		return file;
	if (file)
		file_unref(file);
	*ret_err = r;
	return NULL;
}

/* Enter a handle at its node and answer. `version`: what the kernel must have been told; NULL: nothing. */
static void admit(struct call *call, struct file *file, const struct version *version, bool looked_up)
{
	enum admission admission = nodes_admit(call->mount->nodes, call->node, file->edit ? file : NULL,
					       version, looked_up, call->asker.pid);

	if (admission == ADMIT_STALE) {
		count(stale_opens);
		file_unref(file);
		call_error(call, -ESTALE);
		return;
	}
	call->fi.direct_io = admission == ADMIT_DIRECT;
	if (file->edit)
		file_list_edit(call->mount, file);
	reply_open(call, file);
}

/* No handle came about. Memory is refused by its bound, and that is worth a line. */
static void open_failed(struct call *call, int r)
{
	if (r == -ENOMEM) {
		(void)text_no_room(&call->error);
		call_refuse(call, CALL_OTHER, &call->error, NULL, 0);
	} else {
		call_error(call, r);
	}
}

/* Open a row whose text is known. */
static void open_text(struct call *call, struct text *text, bool looked_up)
{
	int r;
	struct file *file = make_file(call, call->node, text, EDIT_UPDATE, text, &r);

	if (file)
		admit(call, file, call->fi.flags & O_TRUNC ? NULL : &text->version, looked_up);
	else
		open_failed(call, r);
}

static void open_row_done(struct call *call, struct text *text, const struct error *e)
{
	if (text)
		open_text(call, text, false);
	else
		call_fail(call, CALL_OTHER, e);
}

static struct text *empty_text(void)
{
	struct version version = version_of("", 0, NULL);

	return text_new("", 0, &version, 0);
}

/* A row name that was created and has no content in PostgreSQL yet. */
static void open_pending(struct call *call, enum name_state state, struct text *base)
{
	_cleanup_text_ struct text *empty = empty_text();
	enum edit_intent intent = state == NAME_PENDING ? EDIT_INSERT : EDIT_UPDATE;
	struct file *file;
	int r;

	call->fi.flags |= O_TRUNC;
	file = make_file(call, call->node, empty, intent, base, &r);
	if (file)
		admit(call, file, file->edit ? NULL : &empty->version, false);
	else
		call_error(call, r);
}

static void open_row(struct call *call)
{
	struct mount *mount = call->mount;
	_cleanup_text_ struct text *base = NULL, *kept = NULL;
	enum name_state state;
	int r = rowref_of_name(mount->engine.catalog, call->node->relation, call->row_name, &call->ref,
			       NULL);

	if (r < 0) {
		call_error(call, r);
		return;
	}
	state = names_state(mount->engine.names, call->node->relation, call->row_name, &base);
	if (state == NAME_PENDING || state == NAME_REPLACING) {
		open_pending(call, state, base);
		return;
	}
	kept = nodes_kept(mount->nodes, call->node, call->asker.pid);
	if (kept)
		open_text(call, kept, true);
	else
		call_read(call, open_row_done);
}

/* Reports and what is read whole when it is opened: past the page cache, since their size is not
 * known before. */
static void open_report(struct call *call)
{
	const struct report *report = call->node->report;
	struct version version;
	struct file *file;

	if (wants_write(&call->fi)) { /* default_permissions let root through */
		call_error(call, -EACCES);
		return;
	}
	file = file_new(FILE_TEXT, NULL);
	report->print(&call->mount->engine, call->asker.uid, &call->buf);
	version = version_of(call->buf.data ? call->buf.data : "", call->buf.len, NULL);
	if (file)
		file->text = text_new(call->buf.data ? call->buf.data : "", call->buf.len, &version, 0);
	if (!file || !file->text) {
		if (file)
			file_unref(file);
		call_error(call, -ENOMEM);
		return;
	}
	call->fi.direct_io = 1;
	reply_open(call, file);
}

/* .new.json: reads as empty; what is written to it becomes a row with a key that the server assigns. */
static void open_new(struct call *call)
{
	_cleanup_text_ struct text *empty = empty_text();
	struct schema *schema = catalog_get(call->mount->engine.catalog);
	struct file *file = NULL;
	int r = 0;

	call->ref = (struct rowref){
		.schema = schema,
		.relation = schema_relation(schema, call->node->relation),
		.name = strdup(REPORT_NEW_ROW),
	};
	if (!call->ref.relation || !call->ref.name)
		r = call->ref.relation ? -ENOMEM : -ESTALE;
	else
		file = make_file(call, NULL, empty, EDIT_NEW, NULL, &r);
	if (!file) {
		call_error(call, r);
		return;
	}
	if (file->edit)
		file_list_edit(call->mount, file);
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

		file_unref(file);
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
	if (file->edit) /* pending: see reply_pending() */
		entry.entry_timeout = 0;
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
	call->fi.flags |= O_TRUNC;
	if (file)
		r = start_edit(call, file, r == NAME_PENDING ? EDIT_INSERT : EDIT_UPDATE, base, true);
	else
		r = -ENOMEM;
	if (r < 0) {
		names_event(mount->engine.names, oid, call->name, NAME_REMOVED, NULL);
		if (file)
			file_unref(file);
		if (node)
			nodes_forget(mount->nodes, node, 1);
		call_error(call, r);
		return;
	}
	(void)nodes_admit(mount->nodes, node, file, NULL, false, call->asker.pid);
	file_list_edit(mount, file);
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
	(void)rowref_explain(call->mount->engine.catalog, call->node->relation, call->name, &call->error);
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
