/* unlink: of a row, of a name that has no row yet, of a scratch file. */
#include <errno.h>
#include <string.h>

#include "mount.h"
#include "report.h"
#include "rowfs/engine/removal.h"

static void unlink_scratch(struct call *call)
{
	_cleanup_close_ int dir = spool_dir(call->mount, call->node, false);
	int r = dir < 0 ? dir : spool_remove(call->mount, call->node, dir, call->name, 0);

	if (r < 0) {
		call_error(call, r);
		return;
	}
	nodes_unname(call->mount->nodes, call->node, call->name);
	call_error(call, 0);
}

/* Those that were surrendered, in the order of the array. */
static void for_each(const struct buf *given, void (*edit_does)(struct edit *edit))
{
	struct backing **at = (struct backing **)given->data;

	for (size_t i = 0; i < given->len / sizeof *at; i++)
		edit_does(at[i]->edit);
}

static void given_done(struct buf *given)
{
	struct backing **at = (struct backing **)given->data;

	for (size_t i = 0; i < given->len / sizeof *at; i++)
		backing_unref(at[i]);
	buf_done(given);
}

/* What the handles on a name still hold is meant for nothing. -EBUSY while one commits; whatever becomes of it, `ret` has
 * those that gave up theirs, and needs given_done(). */
static int surrender_all(struct mount *mount, uint32_t relation, const char *name, struct buf *ret)
{
	struct backing *editing;
	int r = 0;

	while (r == 0 && (editing = files_editing(mount, relation, name))) {
		r = edit_surrender(editing->edit, NULL);
		if (r == 0)
			buf_add(ret, &editing, sizeof editing);
		if (ret->failed) {
			edit_resume(editing->edit);
			r = -ENOMEM;
		}
		if (r < 0)
			backing_unref(editing);
	}
	return r;
}

/* Who has the row open goes on with that, and not with what has its name next. */
static void unname_handles(struct mount *mount, uint32_t relation, const char *name)
{
	struct backing *editing;

	while ((editing = files_editing(mount, relation, name))) {
		edit_unname(editing->edit);
		backing_unref(editing);
	}
}

static void unlink_row(struct call *call)
{
	struct mount *mount = call->mount;
	int r = removal_unlink(&mount->engine, &call->ref, call_asker(call), &call->error);

	if (r < 0) {
		call_refuse(call, CALL_PATH, r, NULL);
		return;
	}
	unname_handles(mount, call->relation, call->name);
	nodes_unname(mount->nodes, call->node, call->name);
	call_error(call, 0);
}

/* A file that was created and not committed when we looked. If it has been since, it is a row. */
static void unlink_pending(struct call *call)
{
	struct mount *mount = call->mount;
	struct names *names = mount->engine.names;
	_cleanup_(given_done) struct buf given = {0};
	int r = surrender_all(mount, call->relation, call->name, &given);
	bool is_row = false;

	if (r == 0) {
		r = names_event(names, call->relation, call->name, NAME_REMOVED, NULL);
		is_row = r == -EBUSY && names_state(names, call->relation, call->name, NULL) == NAME_PLAIN;
		if (r == -EBUSY) /* the name is hidden, and the row is not ours to delete */
			r = -ENOENT;
	}
	for_each(&given, r < 0 ? edit_resume : edit_let_go);
	if (is_row) {
		call_work(call, unlink_row);
		return;
	}
	if (r >= 0)
		nodes_unname(mount->nodes, call->node, call->name);
	call_error(call, r < 0 ? r : 0);
}

void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct mount *mount = mount_of(req);
	struct call *call = call_new(req, node_of(mount, parent), name);
	int r;

	if (!call)
		return;
	if (is_scratch_name(mount, call->node, name)) {
		if (strcmp(name, REPORT_NEW_ROW) == 0)
			call_error(call, -EPERM);
		else
			unlink_scratch(call);
		return;
	}
	if (call->kind != NODE_TABLE) {
		call_error(call, -EPERM);
		return;
	}
	r = rowref_of_name(mount->engine.catalog, call->relation, name, &call->ref, NULL);
	if (r < 0)
		call_error(call, r == -ESTALE ? -EIO : r);
	else if (names_state(mount->engine.names, call->relation, name, NULL) != NAME_PLAIN)
		unlink_pending(call);
	else
		call_work(call, unlink_row);
}
