/* What was pinned, and is not wanted any more though its row has not changed. */
#include "pin_table.h"

#include <errno.h>
#include <string.h>

#include "rowfs/model/name.h"

/* Of the `*n` names from `*at` on, as many as a batch takes. */
static void add_unseen(const struct pin_table *table, const char **at, size_t *n, struct pin_batch *batch)
{
	_cleanup_buf_ struct buf name = {0};

	pin_batch_begin(batch, PINNER_KEYS);
	for (; *n > 0 && !pin_batch_full(batch); --*n, *at += strlen(*at) + 1) {
		buf_reset(&name);
		buf_addf(&name, "%s" NAME_SUFFIX, *at);
		if (!name.failed && !seen_has(&table->seen, name.data))
			pin_batch_add(batch, table->relation, name.data);
	}
}

/* It may have come to satisfy the rule since, so it is looked for like one that has changed. */
static int weed(struct pin_table *table, struct pin_work *work, struct pin_batch *batch, struct error *e)
{
	int r = pinner_drop(work->pinner, &batch->keys, batch->n, e);

	return r < 0 ? r : pin_table_take(table, work, batch, e);
}

int pin_table_weed(struct pin_table *table, struct pin_work *work, struct error *e)
{
	_cleanup_buf_ struct buf names = {0};
	struct pin_batch *batch = &work->batches[0];
	const char *at;
	size_t n;
	int r = pinner_names(work->pinner, table->relation->oid, &table->weeded, &names, &n, e);

	at = names.data;
	while (r == 0 && n > 0) {
		add_unseen(table, &at, &n, batch);
		if (batch->n)
			r = weed(table, work, batch, e);
	}
	/* What is left over is found again. */
	table->weeding = r == 0 && table->weeded != 0;
	if (!table->weeding)
		seen_done(&table->seen);
	return r == -EAGAIN ? 0 : r;
}
