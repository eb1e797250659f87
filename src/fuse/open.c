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
#include "rowfs/engine/commit.h"

static bool wants_write(const struct fuse_file_info *fi)
{
	return (fi->flags & O_ACCMODE) != O_RDONLY;
}

static bool reads_what_is_there(const struct fuse_file_info *fi)
{
	return (fi->flags & O_ACCMODE) != O_WRONLY && !(fi->flags & O_TRUNC);
}

/* --- OPEN ------------------------------------------------------------------------------------ */

static void reply_open(struct call *call, struct file *file)
{
	call->fi.fh = (uint64_t)(uintptr_t)file;
	/* What was not written has nothing to commit when it is closed. */
	call->fi.noflush = !wants_write(&call->fi);
	if (fuse_reply_open(call->req, &call->fi) < 0)
		file_close(file);
	call_free(call);
}

/* Takes the hold. */
static struct backing *start_edit(struct call *call, enum edit_intent intent, struct text *base, bool created,
				  struct name_hold *hold, int *ret_err)
{
	const struct rowref *ref = &call->ref;
	bool saved = false;
	pid_t program = process_group(call->asker.pid);
	/* What this handle reads, it knows. */
	_cleanup_text_ struct text *belief =
		base && !reads_what_is_there(&call->fi) ?
			bases_get(call->mount->engine.bases, ref->relation->oid, ref->name, program, &saved) :
			NULL;
	struct edit_options options = {
		.intent = intent,
		.base = base,
		.belief = belief,
		.saved = saved,
		.truncated = call->fi.flags & O_TRUNC,
		.created = created,
		.hold = hold,
		.asker = *call_asker(call),
		.thread_group = program,
	};
	struct edit *edit;
	int r = edit_new(&call->mount->engine, &call->ref, &options, &edit);

	*ret_err = r < 0 ? r : -ENOMEM;
	return r < 0 ? NULL : backing_edit(edit);
}

/* A handle that sees `text`, with an edit if it is opened for writing; NULL and *ret_err otherwise. Takes the hold. */
static struct file *make_file(struct call *call, struct node *node, struct text *text, enum edit_intent intent,
			      struct text *base, struct name_hold *hold, int *ret_err)
{
	struct backing *backing = NULL;

	*ret_err = -ENOMEM;
	if (wants_write(&call->fi))
		backing = start_edit(call, intent, base, false, hold, ret_err);
	else
		names_let_go(call->mount->engine.names, hold);
	if (!wants_write(&call->fi) && text)
		backing = backing_text(text_ref(text));
	return file_new(call->mount, node, &call->asker, backing);
}

/* Is the node still what it was when the call came? If a rename has made something else of it, or its row was removed,
 * that may have missed this handle; one that is listed after this it will find. */
static bool unchanged(const struct call *call)
{
	bool same;

	nodes_lock(call->mount->nodes);
	same = call->node->kind == call->kind;
	nodes_unlock(call->mount->nodes);
	return same && (call->kind != NODE_ROW ||
			!name_is_hidden(names_state(call->mount->engine.names, call->relation, call->row_name, NULL)));
}

/* Reply with a handle that a rename may change; ESTALE makes the kernel look the name up again. */
static void reply_listed(struct call *call, struct file *file)
{
	file_list(file);
	if (unchanged(call)) {
		reply_open(call, file);
		return;
	}
	file_close(file);
	call_error(call, -ESTALE);
}

/* The program reads the row. */
static void note_read(struct call *call, struct text *row, enum tier tier)
{
	struct engine *engine = &call->mount->engine;
	pid_t program = process_group(call->asker.pid);

	bases_note(engine->bases, call->relation, call->row_name, program, row);
	access_note(engine->access, program, call->relation, call->row_name, tier, row->len);
}

/* No handle came about. Memory is refused by its bound, and that is worth a line. */
static void open_failed(struct call *call, int r)
{
	if (r == -ENOMEM) {
		r = text_no_room(&call->error);
		call_refuse(call, CALL_OTHER, r, NULL);
	} else {
		call_error(call, r);
	}
}

/* Enter a handle at its node and answer. `version`: what the kernel must have been told; NULL: nothing. `row`: what its
 * program will take the row to be, and where that came from; NULL: nothing. */
static void admit(struct call *call, struct file *file, struct text *row, enum tier tier,
		  const struct version *version, const struct look *look)
{
	bool writes = wants_write(&call->fi);
	enum admission admission = nodes_admit(call->mount->nodes, call->node, writes ? file : NULL,
					       version, look);

	if (admission == ADMIT_STALE) {
		count(stale_opens);
		file_unref(file);
		call_error(call, -ESTALE);
		return;
	}
	if (admission == ADMIT_NO_MEMORY) {
		file_unref(file);
		open_failed(call, -ENOMEM);
		return;
	}
	if (row)
		note_read(call, row, tier);
	call->fi.direct_io = admission == ADMIT_DIRECT;
	call->fi.keep_cache = admission == ADMIT_KEEP;
	if (writes)
		reply_listed(call, file);
	else
		reply_open(call, file);
}

/* Open a row whose text is known. */
static void open_text(struct call *call, struct text *text, enum tier tier, const struct look *look)
{
	int r;
	struct file *file = make_file(call, call->node, text, EDIT_UPDATE, text, NULL, &r);

	if (file)
		admit(call, file, reads_what_is_there(&call->fi) ? text : NULL, tier,
		      call->fi.flags & O_TRUNC ? NULL : &text->version, look);
	else
		open_failed(call, r);
}

static enum tier origin(const struct text *text)
{
	return text->copied ? TIER_REDIS : TIER_STORE;
}

static void open_row_done(struct call *call, struct text *text, const struct error *e)
{
	struct look look = call_look(call, text && text->copied);

	if (!text) {
		call_fail(call, CALL_OTHER, e);
		return;
	}
	if (look.fed)
		nodes_keep(call->mount->nodes, call->node, text);
	open_text(call, text, origin(text), &look);
}

static struct text *empty_text(void)
{
	struct version version = version_of("", 0, NULL);

	return text_new("", 0, &version, 0);
}

/* A row name that was created and has no content in PostgreSQL yet. */
static void open_pending(struct call *call, struct text *base, struct name_hold *hold)
{
	_cleanup_text_ struct text *empty = empty_text();
	struct look look = {.mark = MARK_LOOKED_UP, .pid = call->asker.pid};
	enum edit_intent intent = base ? EDIT_UPDATE : EDIT_INSERT;
	struct file *file;
	int r;

	call->fi.flags |= O_TRUNC;
	file = make_file(call, call->node, empty, intent, base, hold, &r);
	if (file)
		admit(call, file, NULL, TIER_MEMORY, wants_write(&call->fi) ? NULL : &empty->version, &look);
	else
		call_error(call, r);
}

/* What was listed is for who walks through the table; what anybody else reads goes its usual way, so that Redis has what is
 * wanted again. A copy, since a program may hold it for long. */
static struct text *walkers_text(struct call *call, const struct text *listed)
{
	struct engine *engine = &call->mount->engine;

	if (!access_passes(engine->access, process_group(call->asker.pid), call->relation, call->row_name) ||
	    !reader_shows(engine->reader, &call->ref, listed->xid))
		return NULL;
	return text_new(listed->data, listed->len, &listed->version, listed->xid);
}

static void open_row(struct call *call)
{
	struct mount *mount = call->mount;
	_cleanup_text_ struct text *base = NULL, *kept = NULL;
	struct look look = {.fed = true, .pid = call->asker.pid};
	struct name_hold *hold;
	enum name_state state;
	bool live;
	int r = rowref_of_name(mount->engine.catalog, call->relation, call->row_name, &call->ref,
			       NULL);

	if (r < 0) {
		call_error(call, r);
		return;
	}
	state = names_hold(mount->engine.names, call->relation, call->row_name, &base, &hold);
	if (name_is_empty(state)) {
		open_pending(call, base, hold);
		return;
	}
	names_let_go(mount->engine.names, hold);
	if (name_is_hidden(state)) {
		call_error(call, -ENOENT);
		return;
	}
	live = follow_live(mount->engine.follow);
	kept = nodes_kept(mount->nodes, call->node, live, call->asker.pid, &look.mark);
	if (kept && kept->listed) {
		struct text *own = walkers_text(call, kept);

		text_unref(kept);
		kept = own;
	}
	if (!kept) {
		call_read(call, open_row_done);
		return;
	}
	if (look.mark == MARK_LOOKED_UP) {
		open_text(call, kept, origin(kept), &look);
		return;
	}
	count(memory_opens);
	open_text(call, kept, TIER_MEMORY, &look);
}

/* Reports and what is read whole when it is opened: past the page cache, since their size is not
 * known before. */
static void open_report(struct call *call)
{
	const struct report *report = call->node->more->report;
	struct version version;
	struct file *file;

	if (wants_write(&call->fi)) { /* default_permissions let root through */
		call_error(call, -EACCES);
		return;
	}
	report->print(&call->mount->engine, call->asker.uid, &call->buf);
	version = version_of(call->buf.data ? call->buf.data : "", call->buf.len, NULL);
	file = file_new(call->mount, NULL, &call->asker,
			backing_text(text_new(call->buf.data ? call->buf.data : "", call->buf.len, &version, 0)));
	if (!file) {
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
		.relation = schema_relation(schema, call->relation),
		.name = strdup(REPORT_NEW_ROW),
	};
	if (!call->ref.relation || !call->ref.name)
		r = call->ref.relation ? -ENOMEM : -ESTALE;
	else
		file = make_file(call, NULL, empty, EDIT_NEW, NULL, NULL, &r);
	if (!file) {
		call_error(call, r);
		return;
	}
	if (wants_write(&call->fi))
		file_list(file);
	call->fi.direct_io = 1;
	reply_open(call, file);
}

/* O_APPEND is the kernel's business, which sends offsets: pwrite() would ignore them. So is O_DIRECT, which would ask
 * for memory of another alignment. What is written may become a row's text, so it must be possible to read it. */
static int open_in_spool(int path_fd, int flags)
{
	char path[40];
	int fd = -1;

	snprintf(path, sizeof path, "/proc/self/fd/%d", path_fd);
	flags = (flags & ~(O_APPEND | O_DIRECT | O_NOFOLLOW | O_CREAT | O_EXCL)) | O_CLOEXEC;
	if ((flags & O_ACCMODE) == O_WRONLY)
		fd = open(path, (flags & ~O_ACCMODE) | O_RDWR);
	return fd < 0 ? open(path, flags) : fd;
}

/* Kept texts have a quota of their own. */
static bool is_kept(const struct call *call)
{
	bool kept;

	nodes_lock(call->mount->nodes);
	kept = call->node->parent && call->node->parent->kind == NODE_KEPT;
	nodes_unlock(call->mount->nodes);
	return kept;
}

static void open_scratch(struct call *call)
{
	struct scratch *scratch = call->mount->engine.scratch;
	struct stat st;
	struct file *file;
	bool cut;
	int fd;

	if (!nodes_admit_scratch(call->mount->nodes, call->node, call->asker.pid)) {
		count(stale_opens);
		call_error(call, -ESTALE);
		return;
	}
	cut = (call->fi.flags & O_TRUNC) && !is_kept(call) && fstat(call->node->more->path_fd, &st) == 0;
	fd = open_in_spool(call->node->more->path_fd, call->fi.flags);
	if (fd < 0) {
		call_error(call, -errno);
		return;
	}
	file = file_new(call->mount, call->node, &call->asker, backing_scratch(scratch, fd));
	if (!file) {
		call_error(call, -ENOMEM);
		return;
	}
	if (cut)
		scratch_cut(scratch, &st);
	nodes_enter(call->mount->nodes, call->node);
	reply_listed(call, file);
}

void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct call *call;

	if (mount_of(req)->unopened) {
		fuse_reply_err(req, ENOSYS); /* the kernel does not ask again */
		return;
	}
	call = call_new(req, node_of(mount_of(req), ino), NULL);
	if (!call)
		return;
	call->fi = *fi;
	switch (call->kind) {
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

/* `pending`: see reply_pending(). */
static void reply_create(struct call *call, struct file *file, const struct stat *attr, bool pending)
{
	struct fuse_entry_param entry;
	struct node *node = file->node;

	attr_entry(call->mount, node, attr, BELIEVE_SHORTLY, NULL, &entry);
	if (pending)
		entry.entry_timeout = 0;
	file_list(file);
	call->fi.fh = (uint64_t)(uintptr_t)file;
	if (fuse_reply_create(call->req, &entry, &call->fi) < 0) {
		file_close(file);
		nodes_forget(call->mount->nodes, node, 1);
	}
	call_free(call);
}

/* The file is this caller's own, or it is not made: what has the name since he looked is for the kernel to see,
 * and to judge by its mode. */
static int create_in_spool(struct call *call, mode_t mode)
{
	struct scratch *scratch = call->mount->engine.scratch;
	_cleanup_close_ int dir = spool_dir(call->mount, call->node, true);
	int fd, r = dir < 0 ? dir : scratch_add(scratch);

	if (r < 0)
		return r;
	fd = openat(dir, call->name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0) {
		r = errno == EEXIST && !(call->fi.flags & O_EXCL) ? -ESTALE : -errno;
		scratch_removed(scratch, &(struct stat){.st_mode = S_IFREG});
		return r;
	}
	spool_settle(call->req, dir, call->name, mode);
	return fd;
}

static void create_scratch(struct call *call, mode_t mode)
{
	struct mount *mount = call->mount;
	int r = 0, fd = create_in_spool(call, mode);
	struct file *file = NULL;
	struct node *node;
	struct stat attr;

	if (fd == -ENOSPC) {
		spool_full(call, CALL_OTHER, SCRATCH_NAME_BYTES, 1);
		return;
	}
	if (fd < 0) {
		call_error(call, fd);
		return;
	}
	node = spool_node(mount, call->node, call->name, &r);
	if (node)
		r = attr_scratch(mount, node, &attr);
	if (r == 0)
		file = file_new(mount, node, &call->asker, backing_scratch(mount->engine.scratch, fd));
	else
		close(fd);
	if (!file) {
		if (node)
			nodes_forget(mount->nodes, node, 1);
		call_error(call, r < 0 ? r : -ENOMEM);
		return;
	}
	nodes_enter(mount->nodes, node);
	reply_create(call, file, &attr, false);
}

/* Take back a name that was created. */
static void uncreate_row(struct call *call, struct node *node, int err)
{
	names_event(call->mount->engine.names, call->relation, call->name, NAME_REMOVED, NULL);
	if (node)
		nodes_forget(call->mount->nodes, node, 1);
	call_error(call, err);
}

/* The name is a row's, spelled as PostgreSQL would. */
static void create_row(struct call *call)
{
	struct mount *mount = call->mount;
	_cleanup_text_ struct text *base = NULL;
	struct version empty = version_of("", 0, NULL);
	uint64_t ino = ino_of_name(call->relation, call->name);
	struct backing *backing = NULL;
	struct file *file = NULL;
	struct name_hold *hold = NULL;
	struct node *node;
	struct stat attr;
	int r = names_create(mount->engine.names, call->relation, call->name, &base, &hold);

	if (r < 0) {
		call_error(call, r == -EBUSY ? -EEXIST : r);
		return;
	}
	node = nodes_create(mount->nodes, call->node, call->name, NODE_ROW, call->relation, ino);
	call->fi.flags |= O_TRUNC;
	r = -ENOMEM;
	if (node)
		backing = start_edit(call, base ? EDIT_UPDATE : EDIT_INSERT, base, true, hold, &r);
	else
		names_let_go(mount->engine.names, hold);
	if (backing)
		file = file_new(mount, node, &call->asker, backing);
	if (!file) {
		uncreate_row(call, node, r);
		return;
	}
	if (nodes_admit(mount->nodes, node, file, NULL, &(struct look){.pid = call->asker.pid}) == ADMIT_NO_MEMORY) {
		file_unref(file);
		uncreate_row(call, node, -ENOMEM);
		return;
	}
	attr_row(mount, call->ref.relation, ino, &empty, &attr);
	attr.st_size = 0;
	reply_create(call, file, &attr, true);
}

static void create_row_checked(struct call *call)
{
	int r = commit_check_name(&call->mount->engine, &call->ref, &call->error);

	if (r < 0)
		call_refuse(call, CALL_OTHER, r, NULL);
	else
		create_row(call);
}

static void refuse_name(struct call *call)
{
	int r = rowref_explain(call->mount->engine.catalog, call->relation, call->name, &call->error);

	call_refuse(call, CALL_OTHER, r, NULL);
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
	if (call->kind == NODE_SCRATCH || call->kind == NODE_KEPT) {
		create_scratch(call, mode);
		return;
	}
	if (call->kind != NODE_TABLE) {
		call_error(call, -EPERM);
		return;
	}
	r = rowref_of_name(call->mount->engine.catalog, call->relation, name, &call->ref, &kind);
	if (r == -ENOENT && kind == NAME_SCRATCH)
		create_scratch(call, mode);
	else if (r == -ENOENT)
		refuse_name(call);
	else if (r < 0)
		call_error(call, r);
	else
		call_work(call, create_row_checked);
}
