/* IOCTL: where is this row? */
#include "rowfs/fuse/where.h"

#include <errno.h>
#include <stdio.h>

#include "ioctl.h"
#include "rowfs/engine/where.h"

/* What an OPEN would be answered from; a reference, or NULL. */
static struct text *held_in_memory(struct mount *mount, uint32_t relation, const char *name)
{
	struct node *node = nodes_find_row(mount->nodes, relation, name);
	struct text *text = NULL;
	uint64_t mark;

	if (!node)
		return NULL;
	text = nodes_kept(mount->nodes, node, follow_live(mount->engine.follow), 0, &mark);
	nodes_release(mount->nodes, node);
	return text;
}

static void answer_where(struct call *call)
{
	struct where_exchange exchange = {0};
	_cleanup_text_ struct text *memory = held_in_memory(call->mount, call->relation, call->ref.name);
	int r = where_print(&call->mount->engine, &call->ref, memory, STORE_READ, &call->buf, &call->error);

	if (r < 0) {
		call_error(call, r);
		return;
	}
	snprintf(exchange.name, sizeof exchange.name, "%s", call->ref.name);
	snprintf(exchange.answer, sizeof exchange.answer, "%s", call->buf.data);
	fuse_reply_ioctl(call->req, 0, &exchange, sizeof exchange);
	call_free(call);
}

static void where_task(struct lane_task *task)
{
	struct call *call = container_of(task, struct call, task);

	if (task->late)
		call_error(call, lane_late(&call->error));
	else
		answer_where(call);
}

/* On a seat of the readers, so that no save waits for those who look. */
static void look(struct call *call)
{
	call->task.run = where_task;
	call->task.group = call->relation;
	lane_run(call->mount->engine.reads, &call->task);
}

void ioctl_where(struct call *call)
{
	int r = call->kind == NODE_TABLE ?
			rowref_of_name(call->mount->engine.catalog, call->relation, call->name, &call->ref, NULL) :
			-ENOENT;

	if (r < 0)
		call_error(call, r == -ENOMEM ? r : -ENOENT);
	else
		look(call);
}
