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
		file_list_edit(call->mount, file);
	}
	return r;
}

/* Open a row whose text is known. */
static void open_text(struct call *call, struct text *text)
{
	struct file *file = file_new(FILE_TEXT, call->node);
	bool writing = wants_write(&call->fi), truncated = call->fi.flags & O_TRUNC;
	enum admission admission;
	int r = 0;

	if (!file) {
		call_error(call, -ENOMEM);
		return;
	}
	file->text = text_ref(text);
	admission = nodes_admit(call->mount->nodes, call->node, writing ? file : NULL,
				truncated ? NULL : &text->version, call->asker.pid);
	if (admission == ADMIT_STALE) {
		count(stale_opens);
		file_free(file);
		call_error(call, -ESTALE);
		return;
	}
	if (admission == ADMIT_TOLD)
		notify_inode(call->mount->notifier, ino_of(call->node));
	call->fi.direct_io = admission == ADMIT_DIRECT;
	if (writing)
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
		call_fail(call, CALL_OTHER, e);
}

/* A row name that was created and has no content in PostgreSQL yet. */
static void open_pending(struct call *call, enum name_state state, struct text *base)
{
	struct version empty = version_of("", 0, NULL);
	struct file *file = file_new(FILE_TEXT, call->node);
	bool writing = wants_write(&call->fi);
	int r = 0;

	if (!file) {
		call_error(call, -ENOMEM);
		return;
	}
	file->text = text_new("", 0, &empty, 0);
	if (!file->text || nodes_admit(call->mount->nodes, call->node, writing ? file : NULL, NULL,
				       call->asker.pid) == ADMIT_STALE) {
		r = file->text ? -ESTALE : -ENOMEM;
		file_free(file);
		call_error(call, r);
		return;
	}
	call->fi.flags |= O_TRUNC;
	if (writing)
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
		(void)nodes_admit(mount->nodes, node, file, NULL, call->asker.pid);
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
