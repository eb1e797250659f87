#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "mount.h"
#include "rowfs/base/clock.h"

struct mount *mount_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

struct call *call_new(fuse_req_t req, struct node *node, const char *name)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	struct call *call = calloc(1, sizeof *call);

	if (call && name)
		call->name = strdup(name);
	if (!call || (name && !call->name)) {
		free(call);
		fuse_reply_err(req, ENOMEM);
		return NULL;
	}
	call->mount = mount_of(req);
	call->req = req;
	call->node = node;
	call->began_us = clock_monotonic_us();
	call->timed = timed_take();
	nodes_lock(call->mount->nodes);
	call->kind = node->kind;
	call->relation = node->relation;
	call->ino = node->ino;
	if (node->kind == NODE_ROW)
		snprintf(call->row_name, sizeof call->row_name, "%s", node_name(node));
	nodes_unlock(call->mount->nodes);
	call->asker = (struct asker){.uid = ctx->uid, .gid = ctx->gid, .pid = ctx->pid, .path = ""};
	return call;
}

void call_free(struct call *call)
{
	timed_done(&call->timed);
	rowref_done(&call->ref);
	rowref_done(&call->new_ref);
	backing_unref(call->backing);
	text_unref(call->text);
	buf_done(&call->buf);
	free(call->name);
	free(call->new_name);
	free(call->path);
	free(call);
}

/* Path of a node from the mount point; with the nodes' lock held, since renames change it. */
static void print_path(const struct node *node, struct buf *out)
{
	if (!node->parent)
		return;
	print_path(node->parent, out);
	if (out->len)
		buf_addc(out, '/');
	buf_adds(out, node_name(node));
}

const struct asker *call_asker(struct call *call)
{
	struct buf path = {0};

	if (call->path)
		return &call->asker;
	nodes_lock(call->mount->nodes);
	print_path(call->target ? call->target : call->node, &path);
	nodes_unlock(call->mount->nodes);
	if (call->new_name || call->name)
		buf_addf(&path, "%s%s", path.len ? "/" : "",
			 call->new_name ? call->new_name : call->name);
	call->path = buf_steal(&path);
	call->asker.path = call->path ? call->path : "?";
	return &call->asker;
}

void call_error(struct call *call, int err)
{
	fuse_reply_err(call->req, -err);
	call_free(call);
}

int call_errno(enum call_kind kind, int err)
{
	if (err == ESTALE && kind == CALL_LOOKUP)
		return ENOENT;
	/* The kernel repeats these on ESTALE, and mv misreads EINVAL. */
	if ((err == ESTALE || err == EINVAL) && kind == CALL_PATH)
		return EIO;
	return err;
}

/* Whoever failed without a word failed all the same: an error of 0 would tell the kernel that it was done. */
static struct error in_words(const struct error *e, int err)
{
	struct error words = *e;

	if (!words.err)
		(void)error_set(&words, err, "%s", strerror(err));
	return words;
}

void call_fail(struct call *call, enum call_kind kind, const struct error *e)
{
	struct error words = in_words(e, EIO);

	/* A name that is not there is an answer; so is a killed caller. */
	if (words.err != ENOENT && words.err != EINTR)
		refusals_add_read(call->mount->engine.refusals, call_asker(call), &words);
	call_error(call, -call_errno(kind, words.err));
}

void call_refuse(struct call *call, enum call_kind kind, int err, const struct kept_text *text)
{
	struct error words = in_words(&call->error, -err);

	refusals_add(call->mount->engine.refusals, call_asker(call), &words, text);
	call_error(call, -call_errno(kind, -err));
}

/* What the node of its name was told is not so any more, though the feed may not have said it yet: it may have lapsed for
 * a moment, and the node would count as known again. */
static void row_is_gone(const struct call *call)
{
	struct nodes *nodes = call->mount->nodes;
	struct node *node = nodes_find_row(nodes, call->ref.relation->oid, call->ref.name);

	if (!node)
		return;
	nodes_spoil(nodes, node);
	nodes_release(nodes, node);
}

static void read_done(struct read_request *request, struct text *text, const struct error *e)
{
	struct call *call = container_of(request, struct call, read);

	/* No interrupt is heard from then on, and one that is being heard has ended. */
	fuse_req_interrupt_func(call->req, NULL, NULL);
	interrupts_done(call);
	if (!text && e->err == ENOENT)
		row_is_gone(call);
	call->then(call, text, e);
}

void call_read(struct call *call, void (*then)(struct call *call, struct text *text, const struct error *e))
{
	call->then = then;
	call->read.done = read_done;
	call->read.thread = call->asker.pid;
	fuse_req_interrupt_func(call->req, interrupts_came, call);
	reader_get(call->mount->engine.reader, &call->ref, &call->read);
}

struct look call_look(const struct call *call, bool copied)
{
	return (struct look){
		.began_us = call->read.began_us,
		.mark = call->read.mark,
		.fed = call->read.fed,
		.copied = copied,
		.pid = call->asker.pid,
	};
}

static void work_task(struct lane_task *task)
{
	struct call *call = container_of(task, struct call, task);

	call->work(call);
}

void call_work(struct call *call, void (*work)(struct call *call))
{
	call->work = work;
	call->task.run = work_task;
	lane_run(call->mount->engine.writes, &call->task);
}
