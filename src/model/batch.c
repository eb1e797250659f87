#include "rowfs/model/batch.h"

#include <string.h>

/* How a change is packed; its name follows, with the NUL. */
struct head {
	unsigned char op;
	unsigned char relation[sizeof(uint32_t)];
};

void batch_add(struct batch *batch, const struct batch_change *change)
{
	size_t name = strlen(change->name) + 1;
	size_t at = batch->changes.len;
	struct head head = {.op = (unsigned char)change->op};

	memcpy(head.relation, &change->relation, sizeof(head.relation));
	if (batch_failed(batch))
		return;
	/* Whole or not at all, so that what is there can always be read. */
	buf_resize(&batch->changes, at + sizeof(head) + name);
	if (batch->changes.failed)
		return;
	memcpy(batch->changes.data + at, &head, sizeof(head));
	memcpy(batch->changes.data + at + sizeof(head), change->name, name);
	batch->n_changes++;
}

void batch_add_transaction(struct batch *batch, uint64_t xid)
{
	if (batch_failed(batch))
		return;
	buf_add(&batch->xids, &xid, sizeof(xid));
	if (!batch->xids.failed)
		batch->n_transactions++;
}

bool batch_failed(const struct batch *batch)
{
	return batch->changes.failed || batch->xids.failed;
}

uint64_t batch_xid(const struct batch *batch, size_t i)
{
	uint64_t xid;

	memcpy(&xid, batch->xids.data + i * sizeof(xid), sizeof(xid));
	return xid;
}

bool batch_next(const struct batch *batch, size_t *at, struct batch_change *ret)
{
	struct head head;

	if (*at >= batch->changes.len)
		return false;
	memcpy(&head, batch->changes.data + *at, sizeof(head));
	ret->op = (enum batch_op)head.op;
	memcpy(&ret->relation, head.relation, sizeof(ret->relation));
	ret->name = batch->changes.data + *at + sizeof(head);
	*at += sizeof(head) + strlen(ret->name) + 1;
	return true;
}

void batch_reset(struct batch *batch)
{
	buf_reset(&batch->changes);
	buf_reset(&batch->xids);
	batch->n_changes = batch->n_transactions = 0;
}

void batch_done(struct batch *batch)
{
	buf_done(&batch->changes);
	buf_done(&batch->xids);
	*batch = (struct batch){0};
}
