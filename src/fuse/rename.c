/* rename: where names that are rows and names that are not meet. docs/filesystem.md, "Names that
 * are not rows", has the table that this file follows.
 *
 *                 to: scratch name            to: row name
 *   from scratch  a rename in the spool       commit the text there (UPDATE or INSERT)
 *   from row      detach: no SQL              UPDATE of the key
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "rename.h"
#include "report.h"
#include "rowfs/engine/commit.h"

/* --- What is refused -------------------------------------------------------------------------- */

/* Whether the name is free is a question (mv -n), and that it is not is the answer: no refusal. */
static bool is_answer(const struct call *call, int err)
{
	return (call->flags & RENAME_NOREPLACE) && err == -EEXIST && !call->error.sqlstate[0];
}

void rename_failed(struct call *call, int err, const struct kept_text *text)
{
	if (is_answer(call, err)) {
		call_error(call, -EEXIST);
	} else if (call->kind == NODE_KEPT && text) {
		(void)error_ensure(&call->error, err);
		refusals_add_again(call->mount->engine.refusals, call_asker(call), &call->error, call->node->more->kept_dir,
				   call->name, text->theirs);
		call_error(call, -call_errno(CALL_PATH, -err));
	} else {
		call_refuse(call, CALL_PATH, err, text);
	}
}

static void refuse_new_name(struct call *call)
{
	int r;

	if (call->target->kind == NODE_TABLE && strcmp(call->new_name, REPORT_NEW_ROW) != 0)
		r = rowref_explain(call->mount->engine.catalog, call->target->relation, call->new_name,
				   &call->error);
	else
		r = error_set(&call->error, EINVAL, "%s can be no row and no temporary file here",
			      call->new_name);
	call_refuse(call, CALL_PATH, r, NULL);
}

/* --- The target ---------------------------------------------------------------------------------- */

int rename_read_target(struct call *call)
{
	int r = reader_read(call->mount->engine.reader, &call->new_ref, STORE_WRITE, &call->text,
			    &call->error);

	if (r == -ENOENT)
		return 0;
	if (r == 0 && (call->flags & RENAME_NOREPLACE))
		return error_set(&call->error, EEXIST, "there is a row %s already", call->new_name);
	return r;
}

void rename_with_target(struct call *call, void (*rename)(struct call *call, enum name_state state))
{
	struct names *names = call->mount->engine.names;
	uint32_t oid = call->target->relation;
	struct name_hold *hold;
	enum name_state state;

	names_await(names, oid, call->new_name);
	state = names_hold(names, oid, call->new_name, &call->text, &hold);
	rename(call, state);
	names_let_go(names, hold);
}

/* --- Scratch to scratch ----------------------------------------------------------------------- */

void rename_reply(struct call *call, struct node *node)
{
	struct mount *mount = call->mount;

	if (node) {
		nodes_rename(mount->nodes, node, call->target, call->new_name);
		notify_row(mount->notifier, node);
		nodes_release(mount->nodes, node);
	} else {
		nodes_unname(mount->nodes, call->node, call->name);
		nodes_unname(mount->nodes, call->target, call->new_name);
	}
	call_error(call, 0);
}

/* Does the spool take over a kept text? That has a quota of its own. */
static bool adopts(const struct call *call)
{
	return call->node->kind == NODE_KEPT && call->target->kind != NODE_KEPT;
}

static int charge_rename(struct call *call, int from, struct stat *ret_moved)
{
	if (fstatat(from, call->name, ret_moved, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return adopts(call) ? scratch_adopt(call->mount->engine.scratch, ret_moved) : 0;
}

static void settle_rename(struct call *call, const struct stat *replaced)
{
	struct mount *mount = call->mount;

	if (replaced)
		spool_gone(mount, call->target, call->new_name, replaced);
	if (call->node->kind == NODE_KEPT)
		spool_gone(mount, call->node, call->name, NULL);
	if (call->target->kind == NODE_KEPT)
		kept_came(call->target->more->kept_dir, call->new_name);
}

static void rename_in_spool(struct call *call)
{
	struct mount *mount = call->mount;
	_cleanup_close_ int from = spool_dir(mount, call->node, false);
	_cleanup_close_ int to = spool_dir(mount, call->target, true);
	struct stat moved, st;
	bool replaces;
	int r = from < 0 ? from : to < 0 ? to : charge_rename(call, from, &moved);

	if (r == -ENOSPC) {
		spool_full(call, CALL_PATH, SCRATCH_NAME_BYTES + (uint64_t)moved.st_size, 1);
		return;
	}
	if (r < 0) {
		call_error(call, r);
		return;
	}
	replaces = fstatat(to, call->new_name, &st, AT_SYMLINK_NOFOLLOW) == 0;
	if (renameat2(from, call->name, to, call->new_name, call->flags) < 0) {
		r = -errno;
		if (adopts(call))
			scratch_removed(mount->engine.scratch, &moved);
		call_error(call, r);
		return;
	}
	settle_rename(call, replaces ? &st : NULL);
	rename_reply(call, nodes_find(mount->nodes, call->node, call->name));
}

/* The kept texts have a quota of their own, and are not exchanged with what another counts. */
static void exchange_in_spool(struct call *call)
{
	struct mount *mount = call->mount;
	_cleanup_close_ int one = spool_dir(mount, call->node, false);
	_cleanup_close_ int other = spool_dir(mount, call->target, false);
	int r = one < 0 ? one : other < 0 ? other : 0;

	if (call->kind == NODE_KEPT || call->target->kind == NODE_KEPT)
		r = -EINVAL;
	if (r == 0 && renameat2(one, call->name, other, call->new_name, RENAME_EXCHANGE) < 0)
		r = -errno;
	if (r == 0)
		nodes_exchange(mount->nodes, call->node, call->name, call->target, call->new_name);
	call_error(call, r);
}

/* --- Row to scratch --------------------------------------------------------------------------- */

/* The node goes with the scratch name. */
static struct node *row_is_scratch(struct call *call, int dir)
{
	struct mount *mount = call->mount;
	struct node *node = nodes_find(mount->nodes, call->node, call->name);
	int path_fd = openat(dir, call->new_name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (node && path_fd >= 0 && fstat(path_fd, &st) == 0)
		nodes_make_scratch(mount->nodes, node, spool_ino(st.st_ino), &path_fd);
	if (path_fd >= 0)
		close(path_fd);
	return node;
}

/* The name is free; the file under the scratch name holds the row's text, and the handles of the name go
 * with it. */
static void detach(struct call *call, enum name_state before)
{
	struct mount *mount = call->mount;
	const struct settings *settings = mount->engine.settings;
	_cleanup_close_ int dir = spool_dir(mount, call->target, true);
	struct node *node;
	int r = dir;

	/* A name that was pending when we looked, and was committed since, is a row whose text we do not have:
	 * -EBUSY. */
	if (r >= 0)
		r = names_event(mount->engine.names, call->relation, call->name, NAME_MOVED_AWAY, call->text);
	if (r < 0) {
		call_error(call, r);
		return;
	}
	r = scratch_put(mount->engine.scratch, dir, call->new_name, call->text ? call->text->data : "",
			call->text ? call->text->len : 0, settings->uid, settings->gid);
	if (r < 0) {
		names_event(mount->engine.names, call->relation, call->name,
			    before == NAME_PLAIN ? NAME_COMMITTED : NAME_CREATED, NULL);
		if (r == -ENOSPC)
			spool_full(call, CALL_PATH, SCRATCH_NAME_BYTES + (call->text ? call->text->len : 0), 1);
		else
			call_error(call, r);
		return;
	}
	/* In this order: a handle that is being opened sees that the node has changed, or is found here. */
	node = row_is_scratch(call, dir);
	handles_follow(mount, call->relation, call->name, dir, call->new_name);
	rename_reply(call, node);
}

static void row_known(struct call *call, struct text *text, const struct error *e)
{
	if (!text) {
		call_fail(call, CALL_PATH, e);
		return;
	}
	call->text = text_ref(text);
	detach(call, NAME_PLAIN);
}

static void rename_row_to_scratch(struct call *call)
{
	struct mount *mount = call->mount;
	enum name_state state;

	if (call->flags & RENAME_NOREPLACE) {
		struct stat st;
		_cleanup_close_ int dir = spool_dir(mount, call->target, false);

		if (dir >= 0 && fstatat(dir, call->new_name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
			call_error(call, -EEXIST);
			return;
		}
	}
	state = names_state(mount->engine.names, call->relation, call->name, NULL);
	if (state == NAME_PLAIN)
		call_read(call, row_known);
	else
		detach(call, state); /* pending: what its handle holds follows it */
}

/* --- Row to row ------------------------------------------------------------------------------- */

/* The node of the name, with the number of the one that it will have. Handles that are open on it go on seeing, and being
 * told, what they opened. */
static struct node *renumbered(struct call *call)
{
	struct nodes *nodes = call->mount->nodes;
	struct node *node = nodes_find(nodes, call->node, call->name);

	if (node) {
		nodes_lock(nodes);
		node->ino = ino_of_name(node->relation, call->new_name);
		nodes_unlock(nodes);
	}
	return node;
}

static void rekey_held(struct call *call, enum name_state state)
{
	struct mount *mount = call->mount;
	struct names *names = mount->engine.names;
	uint32_t oid = call->relation;
	int r;

	if (name_is_hidden(state))
		call->flags &= ~(unsigned)RENAME_NOREPLACE; /* so it is free */
	text_unref(call->text);
	call->text = NULL;
	r = rename_read_target(call);
	if (r == 0 && !call->text)
		r = commit_check_name(&mount->engine, &call->new_ref, &call->error);
	if (r == 0)
		r = commit_rename(&mount->engine, &call->ref, &call->new_ref, call->text != NULL,
				  &call->error);
	if (r < 0) {
		rename_failed(call, r, NULL);
		return;
	}
	names_event(names, oid, call->new_name, NAME_OVERWRITTEN, NULL); /* hidden it may have been, or pending */
	rename_reply(call, renumbered(call));
}

static void rekey(struct call *call)
{
	rename_with_target(call, rekey_held);
}

/* A file that has no content yet takes another key, and whoever has it open goes on there; a row it would hide stays,
 * unless that was removed. */
static void rename_pending(struct call *call)
{
	struct names *names = call->mount->engine.names;
	uint32_t oid = call->relation;
	struct error *e = &call->error;
	int r = 0;

	names_await(names, oid, call->new_name);
	if (names_state(names, oid, call->new_name, NULL) != NAME_UNLINKED)
		r = rename_read_target(call);

	if (r == 0 && call->text)
		r = error_set(e, EEXIST, "%s has no content yet, and cannot take the place of the row %s",
			      call->name, call->new_name);
	if (r == 0)
		r = commit_check_name(&call->mount->engine, &call->new_ref, e);
	if (r == 0 && names_event(names, oid, call->new_name, NAME_CREATED, NULL) < 0)
		r = error_set(e, EEXIST, "there is a file %s already", call->new_name);
	if (r < 0) {
		rename_failed(call, r, NULL);
		return;
	}
	r = handles_move(call, call->name);
	if (r < 0) {
		names_event(names, oid, call->new_name, NAME_REMOVED, NULL);
		call_error(call, r);
		return;
	}
	names_event(names, oid, call->name, NAME_REMOVED, NULL);
	rename_reply(call, renumbered(call));
}

static void rename_row_to_row(struct call *call)
{
	struct mount *mount = call->mount;
	uint32_t oid = call->relation;

	if (call->target->relation != oid) {
		call_error(call, -EXDEV);
		return;
	}
	if (names_state(mount->engine.names, oid, call->name, NULL) == NAME_PLAIN)
		call_work(call, rekey);
	else
		call_work(call, rename_pending);
}

/* --- The operation ---------------------------------------------------------------------------- */

enum side { SIDE_SCRATCH, SIDE_ROW, SIDE_NEITHER };

static enum side side_of(struct call *call, struct node *directory, const char *name, struct rowref *ref)
{
	if (is_scratch_name(call->mount, directory, name))
		return strcmp(name, REPORT_NEW_ROW) == 0 ? SIDE_NEITHER : SIDE_SCRATCH;
	if (directory->kind != NODE_TABLE)
		return SIDE_NEITHER;
	return rowref_of_name(call->mount->engine.catalog, directory->relation, name, ref, NULL) == 0 ?
		       SIDE_ROW :
		       SIDE_NEITHER;
}

static void rename_call(struct call *call)
{
	enum side from = side_of(call, call->node, call->name, &call->ref);
	enum side to = side_of(call, call->target, call->new_name, &call->new_ref);

	if (call->flags & RENAME_EXCHANGE) {
		if (from == SIDE_SCRATCH && to == SIDE_SCRATCH)
			exchange_in_spool(call);
		else
			call_error(call, -EINVAL);
	} else if (from == SIDE_NEITHER) {
		call_error(call, -EPERM);
	} else if (call->node == call->target && strcmp(call->name, call->new_name) == 0) {
		call_error(call, 0); /* the kernel answers that itself, but for a name that has two nodes just now */
	} else if (to == SIDE_NEITHER) {
		refuse_new_name(call);
	} else if (from == SIDE_SCRATCH) {
		if (to == SIDE_SCRATCH)
			rename_in_spool(call);
		else
			rename_scratch_to_row(call);
	} else if (to == SIDE_SCRATCH) {
		rename_row_to_scratch(call);
	} else {
		rename_row_to_row(call);
	}
}

void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
	       const char *new_name, unsigned flags)
{
	struct mount *mount = mount_of(req);
	struct call *call;

	if (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE)) {
		fuse_reply_err(req, EINVAL);
		return;
	}
	call = call_new(req, node_of(mount, parent), name);
	if (!call)
		return;
	call->target = node_of(mount, new_parent);
	call->flags = flags;
	call->new_name = strdup(new_name);
	if (!call->new_name)
		call_error(call, -ENOMEM);
	else
		rename_call(call);
}
