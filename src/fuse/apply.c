/* IOCTL: set what is proposed for this table. */
#include "rowfs/engine/apply.h"

#include <errno.h>
#include <stdio.h>

#include "ioctl.h"
#include "rowfs/fuse/apply.h"

static void set_rule(struct call *call)
{
	_cleanup_buf_ struct buf because = {0};
	struct apply_exchange exchange = {0};
	bool set = false;
	int r = apply_advice(&call->mount->engine, call->relation, &set, &call->buf, &because, &call->error);

	exchange.err = -r;
	exchange.set = set;
	snprintf(exchange.rule, sizeof exchange.rule, "%s", call->buf.data ? call->buf.data : "");
	snprintf(exchange.because, sizeof exchange.because, "%s",
		 r < 0 ? call->error.message : because.data ? because.data : "");
	fuse_reply_ioctl(call->req, 0, &exchange, sizeof exchange);
	call_free(call);
}

void ioctl_apply(struct call *call)
{
	int r = call->kind == NODE_TABLE ? ioctl_check_owner(call) : -ENOENT;

	if (r < 0)
		call_error(call, r);
	else
		call_work(call, set_rule);
}
