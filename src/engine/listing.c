#include "rowfs/engine/listing.h"

#include <errno.h>
#include <string.h>

#include "rowfs/base/clock.h"
#include "rowfs/base/counters.h"
#include "rowfs/model/json.h"
#include "rowfs/model/statement.h"

struct start {
	uint64_t row;       /* number of the page's first row */
	struct cells after; /* key of the row before it; empty for the first page */
	unsigned limit;
};

struct listing {
	struct engine *engine;
	struct schema *schema;
	const struct relation *relation;

	struct start *starts;
	size_t n_starts;

	/* The current page. */
	uint64_t first;
	struct listing_entry *entries;
	size_t n_entries;
	struct buf names; /* what the entries' names point into, once the page is whole */
	struct cells last;
	unsigned read;    /* lines the server sent for it */
	size_t bytes;     /* of row text */
	struct buf text;  /* scratch space for printing rows */
	int64_t began_us;
	uint64_t mark;
	bool fed;
	bool broken;      /* more may follow than was read */
	bool spoilt;      /* a line could not be taken */
	bool end;         /* there is no row after this page */

	struct lane_task task;
	size_t wanted; /* index into starts */
	struct listing_request *request;
};

static int add_start(struct listing *listing, uint64_t row, const struct cells *after, unsigned limit)
{
	struct start *grown = realloc(listing->starts, (listing->n_starts + 1) * sizeof *grown);
	struct start *start;

	if (!grown)
		return -ENOMEM;
	listing->starts = grown;
	start = &grown[listing->n_starts];
	*start = (struct start){.row = row, .limit = limit};
	if (after && cells_copy(after->at, after->n, &start->after) < 0)
		return -ENOMEM;
	listing->n_starts++;
	return 0;
}

static void forget_starts(struct listing *listing, size_t from)
{
	while (listing->n_starts > from)
		cells_done(&listing->starts[--listing->n_starts].after);
}

int listing_new(struct engine *engine, uint32_t oid, struct listing **ret)
{
	struct listing *listing = calloc(1, sizeof *listing);

	if (!listing)
		return -ENOMEM;
	listing->engine = engine;
	listing->schema = catalog_get(engine->catalog);
	listing->relation = schema_relation(listing->schema, oid);
	listing->first = UINT64_MAX; /* no page yet */
	if (!listing->relation || add_start(listing, 0, NULL, LISTING_FIRST_ROWS) < 0) {
		int r = listing->relation ? -ENOMEM : -ESTALE;

		listing_free(listing);
		return r;
	}
	listing->fed = reader_is_fed(engine->reader, listing->relation);
	*ret = listing;
	return 0;
}

static void clear(struct listing *listing)
{
	buf_reset(&listing->names);
	cells_done(&listing->last);
	listing->n_entries = 0;
	listing->read = 0;
	listing->bytes = 0;
	listing->first = UINT64_MAX;
	listing->broken = false;
	listing->spoilt = false;
	listing->end = false;
}

void listing_free(struct listing *listing)
{
	if (!listing)
		return;
	clear(listing);
	forget_starts(listing, 0);
	free(listing->starts);
	free(listing->entries);
	buf_done(&listing->names);
	buf_done(&listing->text);
	schema_unref(listing->schema);
	free(listing);
}

/* --- A page ---------------------------------------------------------------------------------- */

/* Materialised views may hold several rows whose key has the same NULLs: one name, one entry. */
static bool same_as_last(const struct listing *listing, const struct cell *key, size_t n)
{
	return listing->last.n == n && cells_equal(&listing->last, &(struct cells){n, (struct cell *)key});
}

/* The row is there, but rm has been told that it is not. */
static bool was_removed(const struct listing *listing, const char *name)
{
	return names_was_removed(listing->engine->names, listing->relation->oid, name, listing->began_us / 1000);
}

enum { PAGE_FULL = 1 };

static int take_row(struct listing *listing, const struct cell *cells, size_t n)
{
	const struct relation *relation = listing->relation;
	size_t n_key = relation_key_len(relation), offset = listing->names.len;
	struct cell key[KEY_PARTS_MAX];
	struct listing_entry *entry;
	struct row_view view;
	int r = row_view(relation, cells, n, &view);

	if (r < 0)
		return r;
	listing->read++;
	row_view_key(relation, &view, key);
	if (same_as_last(listing, key, n_key))
		return 0;
	buf_reset(&listing->text);
	json_print(relation, view.cells, &listing->text);
	name_print(key, n_key, &listing->names);
	buf_addc(&listing->names, '\0');
	if (listing->text.failed || listing->names.failed)
		return -ENOMEM;
	cells_done(&listing->last);
	if (cells_copy(key, n_key, &listing->last) < 0)
		return -ENOMEM;
	listing->bytes += listing->text.len;
	if (was_removed(listing, listing->names.data + offset)) {
		listing->names.len = offset;
		return listing->bytes < LISTING_BREAK_BYTES ? 0 : PAGE_FULL;
	}
	entry = &listing->entries[listing->n_entries++];
	entry->name = (const char *)(uintptr_t)offset; /* the buffer may still move */
	entry->version = version_of(listing->text.data, listing->text.len,
				    view.has_mtime ? &view.mtime : NULL);
	return listing->bytes < LISTING_BREAK_BYTES ? 0 : PAGE_FULL;
}

static int take_line(void *arg, const struct cell *cells, size_t n)
{
	struct listing *listing = arg;
	int r = take_row(listing, cells, n);

	listing->spoilt |= r < 0;
	return r;
}

static unsigned next_limit(const struct listing *listing)
{
	size_t average = listing->read ? listing->bytes / listing->read + 1 : 1;
	size_t rows = LISTING_PAGE_BYTES / average;

	return rows < 1 ? 1 : rows > LISTING_PAGE_ROWS ? LISTING_PAGE_ROWS : (unsigned)rows;
}

static int fetch(struct listing *listing, const struct start *start, struct error *e)
{
	_cleanup_statement_ struct statement statement = {0};
	struct listing_entry *entries;
	int r;

	clear(listing);
	entries = realloc(listing->entries, start->limit * sizeof *entries);
	if (!entries)
		return -ENOMEM;
	listing->entries = entries;
	listing->began_us = clock_monotonic_us();
	listing->mark = marks_now(listing->engine->marks);
	listing->fed = reader_is_fed(listing->engine->reader, listing->relation);
	r = statement_page(listing->schema, listing->relation, start->after.n ? &start->after : NULL,
			   start->limit, &statement);
	if (r < 0)
		return r;
	count(store_pages);
	statement.streamed = true;
	r = store_run(listing->engine->store, STORE_READ, &statement, take_line, listing, e);
	/* What the server did not finish is whole as far as it goes; what we made of it is not. */
	if (r == PAGE_FULL || (r < 0 && !listing->spoilt && listing->n_entries)) {
		listing->broken = true;
		*e = (struct error){0};
		return 0;
	}
	return r;
}

/* Where the page after the current one starts. A page that was fetched again may end elsewhere than it
 * did; then the pages that followed must not be used any more, or rows would fall between them. */
static int set_next_start(struct listing *listing)
{
	size_t next = listing->wanted + 1;
	uint64_t row = listing->first + listing->n_entries;

	if (!listing->end && next < listing->n_starts && listing->starts[next].row == row &&
	    cells_equal(&listing->starts[next].after, &listing->last))
		return 0;
	forget_starts(listing, next);
	return listing->end ? 0 : add_start(listing, row, &listing->last, next_limit(listing));
}

/* The page is whole: names stand still now, and it is known where the next page starts. */
static int settle(struct listing *listing, const struct start *start)
{
	for (size_t i = 0; i < listing->n_entries; i++)
		listing->entries[i].name = listing->names.data + (uintptr_t)listing->entries[i].name;
	listing->first = start->row;
	listing->end = listing->read < start->limit && !listing->broken;
	return set_next_start(listing);
}

static void seek_task(struct lane_task *task)
{
	struct listing *listing = container_of(task, struct listing, task);
	const struct start *start = &listing->starts[listing->wanted];
	struct error e = {0};
	int r = task->late ? lane_late(&e) : fetch(listing, start, &e);

	if (r == 0)
		r = settle(listing, start);
	if (r < 0) {
		clear(listing);
		if (r == -ESTALE)
			catalog_suspect(listing->engine->catalog);
		(void)error_ensure(&e, r);
	}
	listing->request->done(listing->request, &e);
}

/* --- Seeking --------------------------------------------------------------------------------- */

static size_t find_start(const struct listing *listing, uint64_t row)
{
	size_t low = 0, high = listing->n_starts;

	while (high - low > 1) {
		size_t middle = (low + high) / 2;

		if (listing->starts[middle].row <= row)
			low = middle;
		else
			high = middle;
	}
	return low;
}

static bool is_current(const struct listing *listing, uint64_t row)
{
	if (listing->first == UINT64_MAX || row < listing->first)
		return false;
	return listing->end || row < listing->first + listing->n_entries;
}

void listing_seek(struct listing *listing, uint64_t row, struct listing_request *request)
{
	if (is_current(listing, row)) {
		struct error none = {0};

		request->done(request, &none);
		return;
	}
	listing->wanted = find_start(listing, row);
	listing->request = request;
	listing->task.run = seek_task;
	listing->task.group = listing->relation->oid;
	lane_run(listing->engine->reads, &listing->task);
}

const struct listing_entry *listing_at(const struct listing *listing, uint64_t row)
{
	if (listing->first == UINT64_MAX || row < listing->first ||
	    row - listing->first >= listing->n_entries)
		return NULL;
	return &listing->entries[row - listing->first];
}

bool listing_ended(const struct listing *listing, uint64_t row)
{
	return listing->first != UINT64_MAX && listing->end &&
	       row >= listing->first + listing->n_entries;
}

int listing_start(struct listing *listing, uint64_t row, const struct cells *after)
{
	if (after && after->n != relation_key_len(listing->relation))
		return -ESTALE;
	clear(listing);
	forget_starts(listing, 0);
	return add_start(listing, row, after, LISTING_FIRST_ROWS);
}

bool listing_follows(const struct listing *listing, uint64_t row)
{
	return listing->first != UINT64_MAX && row == listing->first + listing->n_entries;
}

int64_t listing_began_us(const struct listing *listing)
{
	return listing->began_us;
}

uint64_t listing_mark(const struct listing *listing)
{
	return listing->mark;
}

bool listing_is_fed(const struct listing *listing)
{
	return listing->fed;
}
