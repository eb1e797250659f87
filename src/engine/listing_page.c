#include "listing_page.h"

#include <errno.h>
#include <string.h>

#include "listing_sizes.h"
#include "rowfs/base/clock.h"
#include "rowfs/base/counters.h"
#include "rowfs/model/json.h"
#include "rowfs/model/statement.h"
#include "sizes.h"

/* --- Starts ----------------------------------------------------------------------------------- */

int page_start_set(struct page_start *start, uint64_t row, const struct cells *after, unsigned limit)
{
	*start = (struct page_start){.row = row, .limit = limit};
	return after && after->n ? cells_copy(after->at, after->n, &start->after) : 0;
}

void page_start_done(struct page_start *start)
{
	cells_done(&start->after);
}

bool page_start_equal(const struct page_start *a, const struct page_start *b)
{
	return a->row == b->row && a->limit == b->limit && cells_equal(&a->after, &b->after);
}

/* --- Pages ------------------------------------------------------------------------------------ */

static void clear_rows(struct page *page)
{
	text_page_unref(page->texts);
	page->texts = NULL;
	buf_reset(&page->printed);
	buf_reset(&page->names);
	buf_reset(&page->keys);
	page->n_rows = page->n_cells = 0;
	page->read = 0;
	page->bytes = 0;
	page->broken = page->spoilt = page->end = false;
}

void page_clear(struct page *page)
{
	clear_rows(page);
	cells_done(&page->last);
	page->whole = false;
}

void page_hand_on(const struct page *from, struct page *to)
{
	struct buf records = to->chunk.records;

	buf_reset(&records);
	buf_add(&records, from->chunk.records.data, from->chunk.records.len);
	to->chunk = from->chunk;
	to->chunk.records = records;
}

void page_done(struct page *page)
{
	page_clear(page);
	page_start_done(&page->start);
	free(page->rows);
	buf_done(&page->names);
	buf_done(&page->keys);
	buf_done(&page->printed);
	buf_done(&page->chunk.records);
}

unsigned page_next_limit(const struct page *page)
{
	size_t average = page->read ? page->bytes / page->read + 1 : 1;
	size_t rows = LISTING_PAGE_BYTES / average;

	return rows < 1 ? 1 : rows > LISTING_PAGE_ROWS ? LISTING_PAGE_ROWS : (unsigned)rows;
}

/* --- Reading ---------------------------------------------------------------------------------- */

struct reading {
	struct page *page;
	const struct page_source *source;
};

/* Of the last row, since it is wanted of the last of all only; but of a page of keys it is not known yet which that will be. */
static int note_key(struct page *page, const struct cell *key, size_t n)
{
	size_t at;

	if (!page->keys_only)
		buf_reset(&page->keys);
	at = page->keys.len;
	for (size_t i = 0; i < n; i++)
		buf_add(&page->keys, key[i].data ? key[i].data : "", key[i].len + 1);
	if (page->keys.failed)
		return -ENOMEM;
	for (size_t i = 0; i < n; at += key[i++].len + 1)
		page->cells[i] = (struct cell){key[i].data ? page->keys.data + at : NULL, key[i].len};
	page->n_cells = n;
	return 0;
}

/* Materialised views may hold several rows whose key has the same NULLs: one name, one entry. */
static bool same_as_last(const struct page *page, const struct cell *key, size_t n)
{
	return page->n_cells == n && cells_equal(&(struct cells){n, (struct cell *)page->cells},
						 &(struct cells){n, (struct cell *)key});
}

enum { PAGE_FULL = 1 };

/* The version that its text has, and if the page keeps such, the text. */
static int take_text(struct page *page, const struct relation *relation, const struct row_view *view, struct page_row *row)
{
	size_t at = text_page_begin(&page->printed), len;
	const char *text;

	json_print(relation, view->cells, &page->printed);
	if (page->printed.failed)
		return -ENOMEM;
	text = text_page_printed(&page->printed, at, &len);
	page->bytes += len;
	row->entry.version = version_of(text, len, view->has_mtime ? &view->mtime : NULL);
	if (page->fed && len <= LISTING_TEXT_MAX) {
		text_page_end(&page->printed, at, &row->entry.version, view->xid);
		row->text_at = at;
	} else {
		buf_resize(&page->printed, at);
	}
	return 0;
}

static int take_row(const struct reading *reading, const struct cell *cells, size_t n)
{
	const struct relation *relation = reading->source->relation;
	struct page *page = reading->page;
	size_t n_key = relation_key_len(relation);
	struct cell key[KEY_PARTS_MAX];
	struct page_row *row;
	struct row_view view;
	int r = row_view(relation, cells, n, &view);

	if (r < 0)
		return r;
	page->read++;
	row_view_key(relation, &view, key);
	if (same_as_last(page, key, n_key))
		return 0;
	row = &page->rows[page->n_rows];
	*row = (struct page_row){
		.entry.name = (const char *)(uintptr_t)page->names.len, /* the buffer may still move */
		.entry.version.mtime = view.mtime,
		.key_at = page->keys.len,
		.xid = view.xid,
	};
	name_print(key, n_key, &page->names);
	buf_addc(&page->names, '\0');
	if (page->names.failed || note_key(page, key, n_key) < 0 ||
	    (!page->keys_only && take_text(page, relation, &view, row) < 0))
		return -ENOMEM;
	page->n_rows++;
	return page->bytes < LISTING_BREAK_BYTES ? 0 : PAGE_FULL;
}

static int take_line(void *arg, const struct cell *cells, size_t n)
{
	const struct reading *reading = arg;
	int r = take_row(reading, cells, n);

	reading->page->spoilt |= r < 0;
	return r;
}

static int run(struct page *page, const struct page_source *source, const atomic_bool *abandoned, struct error *e)
{
	const struct cells *after = page->start.after.n ? &page->start.after : NULL;
	_cleanup_statement_ struct statement statement = {0};
	struct reading reading = {page, source};
	int r = page->keys_only ? statement_page_keys(source->schema, source->relation, after, page->limit, &statement) :
				  statement_page(source->schema, source->relation, after, page->limit, &statement);

	if (r < 0)
		return r;
	count(store_pages);
	statement.streamed = true;
	statement.abandoned = abandoned;
	r = store_run(source->engine->store, STORE_READ, &statement, take_line, &reading, e);
	/* What the server did not finish is whole as far as it goes; what we made of it is not. */
	if (r == PAGE_FULL || (r < 0 && !page->spoilt && page->n_rows)) {
		page->broken = true;
		*e = (struct error){0};
		return 0;
	}
	return r;
}

/* At most `limit` rows from its start on. */
static int read_rows(struct page *page, const struct page_source *source, bool keys_only, unsigned limit,
		     const atomic_bool *abandoned, struct error *e)
{
	struct page_row *rows = realloc(page->rows, limit * sizeof *rows);
	int r;

	if (!rows)
		return error_set(e, ENOMEM, "out of memory");
	clear_rows(page);
	page->rows = rows;
	page->keys_only = keys_only;
	page->limit = limit;
	r = run(page, source, abandoned, e);
	for (size_t i = 0; i < page->n_rows; i++)
		page->rows[i].entry.name = page->names.data + (uintptr_t)page->rows[i].entry.name;
	page->end = page->read < page->limit && !page->broken;
	return r;
}

/* Texts and the last key stand still now. */
static int settle(struct page *page)
{
	page->texts = page->fed ? text_page_finish(&page->printed) : NULL;
	page->whole = true;
	return cells_copy(page->cells, page->n_cells, &page->last);
}

bool source_may_cache(const struct page_source *source)
{
	_cleanup_schema_ struct schema *schema = catalog_get(source->engine->catalog);
	const struct relation *relation = schema_relation(schema, source->relation->oid);

	return relation && relation->fingerprint == source->relation->fingerprint &&
	       reader_may_cache(source->engine->reader, relation);
}

/* Is it told when its rows change? And what Redis says of the table's first chunk, where the page is the table's first. */
static void ask_redis(struct page *page, const struct page_source *source, struct buf *ret_first)
{
	const struct relation *relation = source->relation;
	_cleanup_buf_ struct buf key = {0};

	page->proof = (struct cache_proof){0};
	page->fed = false;
	if (!source_may_cache(source))
		return;
	if (!page->start.after.n && sizes_may_be_kept(relation))
		sizes_print_key(relation->oid, 0, &key);
	page->fed = reader_proves(source->engine->reader, relation, &key, &page->proof, ret_first);
}

int page_fetch(struct page *page, const struct page_source *source, const atomic_bool *abandoned, struct error *e)
{
	_cleanup_buf_ struct buf first = {0};
	unsigned limit;
	bool known = false;
	int r = 0;

	page_clear(page);
	page->began_us = clock_monotonic_us();
	page->mark = marks_now(source->engine->marks);
	ask_redis(page, source, &first);
	page_begin_sizes(page, source, &first);
	limit = page_rows_limit(page);
	if (page_may_be_known(page)) {
		r = read_rows(page, source, true, page_keys_limit(page), abandoned, e);
		known = r == 0 && page_take_known(page, source, &limit);
	}
	if (r == 0 && !known)
		r = read_rows(page, source, false, limit, abandoned, e);
	if (r == 0)
		r = settle(page);
	if (r == 0)
		page_end_sizes(page, source);
	else
		page_clear(page);
	return r < 0 ? error_ensure(e, r) : 0;
}
