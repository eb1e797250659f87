#include "rowfs/model/transaction.h"

#include <errno.h>
#include <stdlib.h>

#include "pending.h"
#include "stream_keys.h"

/* Where in the stream we are. Blocks do not nest.
 *
 *   BETWEEN ── BEGIN ──► WHOLE ── rows ── COMMIT ──► BETWEEN
 *      └────── STREAM START ──► PART ── rows ── STREAM STOP ──► BETWEEN ── STREAM COMMIT, STREAM
 * ABORT */
enum place { BETWEEN, WHOLE, PART };

struct transactions {
	struct change_decoder *decoder;
	struct stream_keys keys;
	struct open open;
	struct pending *current; /* in WHOLE and PART: whose rows come */
	enum place place;
	uint64_t now;
	size_t bytes;             /* of all that are open */
	bool lost;                /* an error: what comes now cannot be understood any more */
	struct buf before, after; /* names being made */
};

int transactions_new(struct transactions **ret)
{
	struct transactions *transactions = calloc(1, sizeof(*transactions));

	if (!transactions)
		return -ENOMEM;
	if (change_decoder_new(&transactions->decoder) < 0) {
		free(transactions);
		return -ENOMEM;
	}
	*ret = transactions;
	return 0;
}

void transactions_free(struct transactions *transactions)
{
	if (!transactions)
		return;
	open_done(&transactions->open);
	stream_keys_done(&transactions->keys);
	change_decoder_free(transactions->decoder);
	buf_done(&transactions->before);
	buf_done(&transactions->after);
	free(transactions);
}

int transactions_set_key(struct transactions *transactions, uint32_t relation,
                         const char *const *columns, size_t n)
{
	return stream_keys_set(&transactions->keys, relation, columns, n);
}

void transactions_set_now(struct transactions *transactions, uint64_t xid)
{
	transactions->now = xid;
}

/* The id nearest to now that ends in these 32 bits; there is none before the first. */
static uint64_t complete(uint64_t now, uint32_t xid)
{
	int32_t distance = (int32_t)(xid - (uint32_t)now);

	if (distance < 0 && now < (uint64_t) - (int64_t)distance)
		return xid;
	return now + (uint64_t)(int64_t)distance;
}

/* --- Errors ---------------------------------------------------------------------------------- */

static int out_of_memory(struct error *e)
{
	return error_set(e, ENOMEM, "out of memory");
}

static int lost(struct error *e, const char *what, uint32_t xid)
{
	return error_set(e, EPROTO, "the change stream %s (transaction %u)", what, xid);
}

static int add(struct transactions *t, uint32_t xid, struct error *e)
{
	t->current = open_add(&t->open, xid);
	return t->current ? 0 : out_of_memory(e);
}

/* Add to the current one; false when out of memory. */
static bool note(struct transactions *t, uint32_t relation, enum batch_op op, const char *name)
{
	return open_note(&t->open, t->current, &(struct batch_change){relation, op, name});
}

/* --- Rows ------------------------------------------------------------------------------------ */

/* With both names printed. */
static bool note_names(struct transactions *t, const struct change *change)
{
	if (t->before.failed || t->after.failed)
		return false;
	if (change->kind == CHANGE_INSERT)
		return note(t, change->relation, BATCH_INSERT, t->after.data);
	if (change->kind == CHANGE_DELETE)
		return note(t, change->relation, BATCH_DELETE, t->before.data);
	if (strcmp(t->before.data, t->after.data) == 0)
		return note(t, change->relation, BATCH_UPDATE, t->after.data);
	return note(t, change->relation, BATCH_DELETE, t->before.data) &&
	       note(t, change->relation, BATCH_INSERT, t->after.data);
}

static bool note_row(struct transactions *t, const struct stream_key *key,
                     const struct change *change)
{
	if (pending_is_whole(t->current, change->relation))
		return note(t, change->relation, BATCH_RELATION, "");
	buf_reset(&t->before);
	buf_reset(&t->after);
	if (!stream_key_names(key, change, &t->before, &t->after))
		return note(t, change->relation, BATCH_RELATION, "");
	return note_names(t, change);
}

static int take_row(struct transactions *t, const struct change *change, struct error *e)
{
	const struct stream_key *key = stream_keys_find(&t->keys, change->relation);

	if (!stream_key_agrees(key, &change->before) || !stream_key_agrees(key, &change->after))
		return error_set(e, EPROTO,
		                 "the change stream holds a row of relation %u that is not "
		                 "as the relation was described",
		                 change->relation);
	return note_row(t, key, change) ? 0 : out_of_memory(e);
}

static int take_truncate(struct transactions *t, const struct change *change, struct error *e)
{
	for (size_t i = 0; i < change->n_relations; i++)
		if (!note(t, change->relations[i], BATCH_RELATION, ""))
			return out_of_memory(e);
	return 0;
}

/* --- Blocks ---------------------------------------------------------------------------------- */

static int take_begin(struct transactions *t, const struct change *change, struct error *e)
{
	if (open_find(&t->open, change->xid))
		return lost(e, "begins a transaction twice", change->xid);
	return add(t, change->xid, e);
}

static int take_stream_start(struct transactions *t, const struct change *change, struct error *e)
{
	t->current = open_find(&t->open, change->xid);
	if (t->current)
		return 0;
	if (!change->first)
		return lost(e, "goes on with a transaction that was not begun", change->xid);
	return add(t, change->xid, e);
}

static int tell(struct transactions *t, struct pending *pending, struct batch *batch,
                struct error *e)
{
	pending_tell(pending, batch);
	batch_add_transaction(batch, complete(t->now, pending->xid));
	open_drop(&t->open, pending);
	return batch_failed(batch) ? out_of_memory(e) : 0;
}

static int take_stream_commit(struct transactions *t, const struct change *change,
                              struct batch *batch, struct error *e)
{
	struct pending *pending = open_find(&t->open, change->xid);

	if (!pending)
		return lost(e, "commits a transaction that was not begun", change->xid);
	return tell(t, pending, batch, e);
}

static void take_stream_abort(struct transactions *t, const struct change *change)
{
	struct pending *pending = open_find(&t->open, change->xid);

	/* Of a part that is rolled back, the rest may still be committed. */
	if (pending && change->xid == change->subxid)
		open_drop(&t->open, pending);
}

/* --- The stream ------------------------------------------------------------------------------ */

/* Where each kind of message may come, and where it leads. */
static const struct {
	bool in[PART + 1];
	enum place to[PART + 1];
} moves[] = {
        [CHANGE_BEGIN] = {{[BETWEEN] = true}, {[BETWEEN] = WHOLE}},
        [CHANGE_COMMIT] = {{[WHOLE] = true}, {[WHOLE] = BETWEEN}},
        [CHANGE_STREAM_START] = {{[BETWEEN] = true}, {[BETWEEN] = PART}},
        [CHANGE_STREAM_STOP] = {{[PART] = true}, {[PART] = BETWEEN}},
        [CHANGE_STREAM_COMMIT] = {{[BETWEEN] = true}, {BETWEEN}},
        [CHANGE_STREAM_ABORT] = {{[BETWEEN] = true}, {BETWEEN}},
        [CHANGE_RELATION] = {{true, true, true}, {BETWEEN, WHOLE, PART}},
        [CHANGE_INSERT] = {{false, true, true}, {BETWEEN, WHOLE, PART}},
        [CHANGE_UPDATE] = {{false, true, true}, {BETWEEN, WHOLE, PART}},
        [CHANGE_DELETE] = {{false, true, true}, {BETWEEN, WHOLE, PART}},
        [CHANGE_TRUNCATE] = {{false, true, true}, {BETWEEN, WHOLE, PART}},
        [CHANGE_OTHER] = {{true, true, true}, {BETWEEN, WHOLE, PART}},
};

static int act(struct transactions *t, const struct change *change, struct batch *batch,
               struct error *e)
{
	switch (change->kind) {
	case CHANGE_BEGIN:
		return take_begin(t, change, e);
	case CHANGE_STREAM_START:
		return take_stream_start(t, change, e);
	case CHANGE_COMMIT:
		return tell(t, t->current, batch, e);
	case CHANGE_STREAM_COMMIT:
		return take_stream_commit(t, change, batch, e);
	case CHANGE_STREAM_ABORT:
		take_stream_abort(t, change);
		return 0;
	case CHANGE_RELATION:
		return stream_keys_describe(&t->keys, change) < 0 ? out_of_memory(e) : 0;
	case CHANGE_INSERT:
	case CHANGE_UPDATE:
	case CHANGE_DELETE:
		return take_row(t, change, e);
	case CHANGE_TRUNCATE:
		return take_truncate(t, change, e);
	case CHANGE_STREAM_STOP:
	case CHANGE_OTHER:
		break;
	}
	return 0;
}

static int move(struct transactions *t, const struct change *change, struct batch *batch,
                struct error *e)
{
	enum place from = t->place;
	int r;

	if (!moves[change->kind].in[from])
		return error_set(e, EPROTO, "the change stream is out of order");
	r = act(t, change, batch, e);
	if (r < 0)
		return r;
	t->place = moves[change->kind].to[from];
	if (t->place == BETWEEN)
		t->current = NULL;
	return 0;
}

int transactions_take(struct transactions *transactions, const void *message, size_t len,
                      struct batch *batch, uint64_t *ret_lsn, struct error *e)
{
	struct transactions *t = transactions;
	struct change change;
	int r;

	if (t->lost)
		return error_set(e, EPROTO, "the change stream was lost before");
	r = change_parse(t->decoder, message, len, t->place == PART, &change, e);
	if (r == 0)
		r = move(t, &change, batch, e);
	t->lost = r < 0;
	if (r == 0 && ret_lsn)
		*ret_lsn = change.end_lsn;
	return r;
}

size_t transactions_open(const struct transactions *transactions)
{
	return HASH_COUNT(transactions->open.by_xid);
}

size_t transactions_bytes(const struct transactions *transactions)
{
	return transactions->open.bytes;
}
