#include "listing_page.h"

#include <errno.h>
#include <string.h>

#include "rowfs/base/clock.h"
#include "rowfs/base/counters.h"
#include "rowfs/model/json.h"
#include "rowfs/model/statement.h"

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

void page_clear(struct page *page)
{
	text_page_unref(page->texts);
	page->texts = NULL;
	buf_reset(&page->printed);
	buf_reset(&page->names);
	cells_done(&page->last);
	page->n_entries = page->n_cells = 0;
	page->read = 0;
	page->bytes = 0;
	page->whole = page->broken = page->spoilt = page->end = false;
}

void page_done(struct page *page)
{
	page_clear(page);
	page_start_done(&page->start);
	free(page->entries);
	buf_done(&page->names);
	buf_done(&page->key);
	buf_done(&page->printed);
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

/* Of the last row; without memory for each, since it is wanted of the last of all only. */
static int note_key(struct page *page, const struct cell *key, size_t n)
{
	size_t at = 0;

	buf_reset(&page->key);
	for (size_t i = 0; i < n; i++)
		buf_add(&page->key, key[i].data ? key[i].data : "", key[i].len + 1);
	if (page->key.failed)
		return -ENOMEM;
	for (size_t i = 0; i < n; at += key[i++].len + 1)
		page->cells[i] = (struct cell){key[i].data ? page->key.data + at : NULL, key[i].len};
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

static int take_row(const struct reading *reading, const struct cell *cells, size_t n)
{
	const struct relation *relation = reading->source->relation;
	struct page *page = reading->page;
	size_t n_key = relation_key_len(relation), name = page->names.len, at, len;
	struct cell key[KEY_PARTS_MAX];
	struct listing_entry *entry;
	const char *text;
	struct row_view view;
	int r = row_view(relation, cells, n, &view);

	if (r < 0)
		return r;
	page->read++;
	row_view_key(relation, &view, key);
	if (same_as_last(page, key, n_key))
		return 0;
	at = text_page_begin(&page->printed);
	json_print(relation, view.cells, &page->printed);
	name_print(key, n_key, &page->names);
	buf_addc(&page->names, '\0');
	if (page->printed.failed || page->names.failed || note_key(page, key, n_key) < 0)
		return -ENOMEM;
	text = text_page_printed(&page->printed, at, &len);
	page->bytes += len;
	entry = &page->entries[page->n_entries++];
	*entry = (struct listing_entry){
		.name = (const char *)(uintptr_t)name, /* the buffer may still move */
		.version = version_of(text, len, view.has_mtime ? &view.mtime : NULL),
	};
	if (page->fed && len <= LISTING_TEXT_MAX) {
		text_page_end(&page->printed, at, &entry->version, view.xid);
		entry->text_at = at;
	} else {
		buf_resize(&page->printed, at);
	}
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
	_cleanup_statement_ struct statement statement = {0};
	struct reading reading = {page, source};
	int r = statement_page(source->schema, source->relation, page->start.after.n ? &page->start.after : NULL,
			       page->start.limit, &statement);

	if (r < 0)
		return r;
	count(store_pages);
	statement.streamed = true;
	statement.abandoned = abandoned;
	r = store_run(source->engine->store, STORE_READ, &statement, take_line, &reading, e);
	/* What the server did not finish is whole as far as it goes; what we made of it is not. */
	if (r == PAGE_FULL || (r < 0 && !page->spoilt && page->n_entries)) {
		page->broken = true;
		*e = (struct error){0};
		return 0;
	}
	return r;
}

/* Names, texts and the last key stand still now. */
static int settle(struct page *page)
{
	page->texts = page->fed ? text_page_finish(&page->printed) : NULL;
	for (size_t i = 0; i < page->n_entries; i++)
		page->entries[i].name = page->names.data + (uintptr_t)page->entries[i].name;
	page->end = page->read < page->start.limit && !page->broken;
	page->whole = true;
	return cells_copy(page->cells, page->n_cells, &page->last);
}

int page_fetch(struct page *page, const struct page_source *source, const atomic_bool *abandoned, struct error *e)
{
	struct listing_entry *entries;
	int r;

	page_clear(page);
	entries = realloc(page->entries, page->start.limit * sizeof *entries);
	if (!entries)
		return error_set(e, ENOMEM, "out of memory");
	page->entries = entries;
	page->began_us = clock_monotonic_us();
	page->mark = marks_now(source->engine->marks);
	page->fed = reader_is_fed(source->engine->reader, source->relation);
	r = run(page, source, abandoned, e);
	if (r == 0)
		r = settle(page);
	if (r < 0)
		page_clear(page);
	return r < 0 ? error_ensure(e, r) : 0;
}
