/* IOCTL: have these rows in Redis, or not. */
#include "rowfs/fuse/warm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ioctl.h"
#include "rowfs/engine/preload.h"

/* The question in the call's buffer becomes the answer. */
static struct warm_exchange *exchange_of(struct call *call)
{
	return (struct warm_exchange *)(void *)call->buf.data;
}

static void reply(struct call *call)
{
	fuse_reply_ioctl(call->req, 0, call->buf.data, sizeof(struct warm_exchange));
	call_free(call);
}

/* False: there are not as many names as it says. */
static bool read_names(const struct warm_exchange *exchange, struct warm_row *rows)
{
	const char *name = exchange->names, *end = name + sizeof exchange->names;

	for (uint32_t i = 0; i < exchange->n; i++) {
		const char *nul = memchr(name, '\0', (size_t)(end - name));

		if (!nul)
			return false;
		rows[i] = (struct warm_row){.name = name, .outcome = WARM_UNTRIED};
		name = nul + 1;
	}
	return true;
}

/* By any signal: what was done is the answer, and whoever lives on asks for the rest. */
static void interrupted(fuse_req_t req, void *preloader)
{
	preloader_stop(preloader);
}

static void run_batch(struct call *call, struct warm_batch *batch)
{
	struct preloader preloader;

	preloader_init(&preloader, call->mount->engine.reader);
	batch->preloader = &preloader;
	preloaders_add(&call->mount->engine.warming, &preloader);
	fuse_req_interrupt_func(call->req, interrupted, &preloader);
	warm_batch_run(&call->mount->engine, batch);
	/* No interrupt is heard from then on, and one that is being heard has ended. */
	fuse_req_interrupt_func(call->req, NULL, NULL);
	preloaders_remove(&call->mount->engine.warming, &preloader);
	preloader_done(&preloader);
}

static void run(struct lane_task *task)
{
	struct call *call = container_of(task, struct call, task);
	struct warm_exchange *exchange = exchange_of(call);
	struct warm_row rows[WARM_ROWS_MAX];
	struct warm_batch batch = {
		.relation = call->relation,
		.action = (enum warm_action)exchange->action,
		.rows = rows,
		.n = exchange->n,
	};

	if (!read_names(exchange, rows)) {
		call_error(call, -EINVAL);
		return;
	}
	run_batch(call, &batch);
	for (uint32_t i = 0; i < exchange->n; i++)
		exchange->outcomes[i] = (uint8_t)rows[i].outcome;
	snprintf(exchange->reason, sizeof exchange->reason, "%s", batch.reason);
	reply(call);
}

void ioctl_warm(struct call *call, const struct warm_exchange *asked)
{
	buf_add(&call->buf, asked, sizeof *asked);
	if (call->buf.failed)
		call_error(call, -ENOMEM);
	else if (asked->n > WARM_ROWS_MAX || asked->action > WARM_CHECK)
		call_error(call, -EINVAL);
	else if (asked->n == 0)
		reply(call);
	else if (call->kind != NODE_TABLE)
		call_error(call, -ENOENT);
	else if (asked->action == WARM_EVICT && ioctl_check_owner(call) == -EPERM)
		call_error(call, -EPERM);
	else {
		call->task.run = run;
		lane_run(call->mount->engine.warms, &call->task);
	}
}
