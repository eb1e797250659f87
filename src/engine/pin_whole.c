/* The first load of a table: pages of whole rows, put into Redis as they come, under one lease on the relation. Where that is
 * lost, to a change or to a reader's fill, the page ends; what did not get there, and the next page, is leased row by row
 * like what changes. */
#include "pin_table.h"

#include <errno.h>
#include <string.h>

#include "rowfs/base/clock.h"
#include "rowfs/model/name.h"

/* A page on its way. Rows are collected in one batch while Redis works on the other. */
struct passage {
	struct pin_table *table;
	struct pin_work *work;
	struct pin_target target;
	struct pin_batch *batch, *sent; /* sent NULL: nothing is out */
	bool stands;                    /* the lease, as far as is known */
	struct buf name, text;          /* of the row at hand */
	uint64_t read;                  /* bytes that came, */
	bool cut;                       /* and that was enough */
	int64_t began_ms;
	uint64_t rows, bytes;           /* that were put */
	struct error error;             /* the pinner's, which has stopped it */
};

/* --- Putting ---------------------------------------------------------------------------------- */

/* Row by row, then. */
static void leave_for_later(struct passage *passage, const struct pin_batch *batch)
{
	if (batch->n)
		buf_add(&passage->table->page.names, batch->names.data, batch->names.len);
}

static int await_sent(struct passage *passage, struct error *e)
{
	struct pin_batch *sent = passage->sent;
	bool put = false;
	int r = sent ? pinner_await_put(passage->work->pinner, &put, &passage->stands, e) : 0;

	passage->sent = NULL;
	if (r < 0 || !sent)
		return r;
	if (!put)
		leave_for_later(passage, sent);
	passage->rows += put ? sent->n : 0;
	passage->bytes += put ? sent->bytes.len : 0;
	return 0;
}

static int put(struct passage *passage, struct error *e)
{
	struct pin_batch *batch = passage->batch;
	int r = batch->names.failed || batch->keys.failed ? error_set(e, ENOMEM, "out of memory")
							  : pinner_look_at_room(passage->work->pinner, e);

	if (r == 0)
		r = pin_batch_find_room(batch, passage->work->pinner, e);
	if (r < 0)
		return r;
	batch->leased = (struct pinner_keys){
		.relation = passage->target.relation->oid,
		.names = &batch->keys,
		.n = batch->n,
	};
	r = pinner_put(passage->work->pinner, &batch->leased, batch->values, &batch->bytes, e);
	if (r == 0)
		passage->sent = batch;
	return r;
}

/* What was collected. */
static int pass_on(struct passage *passage, struct error *e)
{
	struct pin_batch *batch = passage->batch;
	int r = await_sent(passage, e);

	if (r == 0 && batch->n && passage->stands)
		r = put(passage, e);
	else if (r == 0)
		leave_for_later(passage, batch);
	if (r < 0)
		return r;
	passage->batch = &passage->work->batches[batch == &passage->work->batches[0]];
	pin_batch_begin(passage->batch, PINNER_PIECE);
	return 0;
}

/* --- Reading ---------------------------------------------------------------------------------- */

static int add_row(struct passage *passage, const struct row_view *view)
{
	struct pin_batch *batch = passage->batch;
	size_t n = batch->n;
	struct pin_value value;
	int r = pin_batch_print(batch, &passage->target, view, &passage->text, &value);

	if (r < 0 || !value.len)
		return r;
	pin_batch_add(batch, passage->target.relation, passage->name.data);
	if (batch->n > n) {
		batch->values[n] = value;
	} else if (batch->names.failed || batch->keys.failed) {
		return -ENOMEM;
	} else { /* a key that is there twice, in an index that is broken */
		buf_resize(&batch->bytes, value.at);
	}
	if (batch->bytes.len < PIN_PIECE && !pin_batch_full(batch))
		return 0;
	return pass_on(passage, &passage->error);
}

static int sort_row(struct passage *passage, const struct row_view *view, const struct cell *key)
{
	const struct relation *relation = passage->table->relation;

	buf_reset(&passage->name);
	name_print(key, relation_key_len(relation), &passage->name);
	if (passage->name.failed)
		return -ENOMEM;
	/* A hashed name does not give its key back. */
	if (name_is_hashed(passage->name.data) || !placement_shares(&relation->placement, passage->name.data))
		return 0;
	return add_row(passage, view);
}

/* How long its rows are, and how long they take, is not known before; and others wait meanwhile. */
static bool is_enough(const struct passage *passage)
{
	return !passage->stands || passage->read >= PIN_WHOLE_BYTES ||
	       clock_monotonic_ms() - passage->began_ms >= PIN_WHOLE_MS;
}

static int cut(struct passage *passage)
{
	passage->cut = true;
	passage->table->page.limit = passage->table->page.lines;
	return -ECANCELED;
}

static int take_row(void *arg, const struct cell *cells, size_t n)
{
	struct passage *passage = arg;
	struct pin_page *page = &passage->table->page;
	const struct relation *relation = passage->table->relation;
	struct cell key[KEY_PARTS_MAX];
	struct row_view view;
	int r = row_view(relation, cells, n, &view);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		passage->read += cells[i].len;
	row_view_key(relation, &view, key);
	r = sort_row(passage, &view, key);
	page->lines++;
	if (r < 0 || (page->lines < page->limit && !is_enough(passage)))
		return r;
	r = cells_copy(key, relation_key_len(relation), &page->last);
	return r < 0 || page->lines == page->limit ? r : cut(passage);
}

static int read_rows(struct passage *passage, struct error *e)
{
	struct pin_table *table = passage->table;
	_cleanup_statement_ struct statement statement = {0};
	int r = statement_pin_page(passage->target.schema, table->relation, table->relation->placement.hot,
				   table->after.n ? &table->after : NULL, (unsigned)table->page.limit, &statement);

	statement.abandoned = passage->work->abandoned;
	statement.streamed = true;
	if (r == 0)
		r = store_run(passage->work->store, STORE_PINS, &statement, take_row, passage, e);
	if (passage->cut)
		return 0;
	if (r < 0 && passage->error.err)
		*e = passage->error;
	return r < 0 ? error_ensure(e, r) : 0;
}

/* --- The page --------------------------------------------------------------------------------- */

/* A few numbers, since each makes a statement of its own. */
static size_t next_limit(const struct passage *passage)
{
	uint64_t average = passage->read / (passage->table->page.lines + 1) + 1;
	size_t limit = PIN_PAGE;

	while (limit > 1 && limit * average > PIN_WHOLE_BYTES)
		limit /= 2;
	return limit;
}

static int carry(struct passage *passage, struct error *e)
{
	struct error ignored;
	int r = read_rows(passage, e), awaited;

	if (r == 0)
		r = pass_on(passage, e);
	awaited = await_sent(passage, r < 0 ? &ignored : e);
	if (r < 0 || awaited < 0)
		return r < 0 ? r : awaited;
	return passage->table->page.names.failed ? error_set(e, ENOMEM, "out of memory") : 0;
}

/* What a page that failed has put is put again. */
static void note_put(struct pin_table *table, const struct passage *passage, bool done)
{
	table->rows += done ? passage->rows : 0;
	table->asked += passage->rows;
	table->filled += passage->rows;
	table->bytes += passage->bytes;
	table->miscounted = true;
	table->keys_next = !passage->stands;
	table->whole_limit = next_limit(passage);
}

/* Begins where the page before has ended. */
static void begin_page(struct pin_table *table)
{
	buf_reset(&table->page.names);
	cells_done(&table->page.last);
	table->page.at = table->page.lines = 0;
	table->page.limit = table->whole_limit;
}

int pin_table_put_page(struct pin_table *table, struct pin_work *work, struct error *e)
{
	struct passage passage = {
		.table = table,
		.work = work,
		.target = pin_table_target(table, work),
		.batch = &work->batches[0],
		.began_ms = clock_monotonic_ms(),
	};
	struct cache_proof proof;
	struct error ignored;
	int r = pinner_take(work->pinner, table->relation->oid, &proof, e), left;
	bool taken = r == 0;

	passage.stands = taken;
	if (r == -EAGAIN)
		r = 0;
	if (r == 0 && (!proof.fresh || !cache_proof_same(&proof, &table->proof)))
		r = error_set(e, ESTALE, "another epoch has begun");
	begin_page(table);
	pin_batch_begin(passage.batch, PINNER_PIECE);
	if (r == 0 && taken)
		r = carry(&passage, e);
	left = pinner_leave(work->pinner, table->relation->oid, r < 0 ? &ignored : e);
	r = r < 0 ? r : left;
	note_put(table, &passage, r == 0);
	table->page.there = r == 0 && taken;
	buf_done(&passage.name);
	buf_done(&passage.text);
	return r;
}
