#include "rowfs/engine/listing.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "listing_page.h"
#include "rowfs/base/clock.h"

/* While somebody looks at a page, the one after it is read: so PostgreSQL works beside the kernel. From this page on,
 * counted from 0, since many look at the beginning only. */
enum { AHEAD_FROM = 1 };

enum ahead {
	AHEAD_NONE,
	AHEAD_READING,
	AHEAD_READY,
};

struct listing {
	struct page_source source;
	struct page_start *starts;
	size_t n_starts;
	size_t wanted;             /* index into starts */
	struct page pages[2];
	struct page *page, *next;  /* the current one; the one that is read ahead, while the task has it its own */
	struct lane_task seek_task, ahead_task;
	struct listing_request *request;

	pthread_mutex_t lock;
	enum ahead ahead;                /* [lock] */
	int64_t ahead_until_us;          /* [lock] until then it may be shown */
	struct listing_request *waiting; /* [lock] for the page that is being read */
	bool unwanted;                   /* [lock] that is for nobody any more, */
	atomic_bool freed;               /* [lock, to write] nor is all of this: ahead_task() frees it */
};

static int add_start(struct listing *listing, uint64_t row, const struct cells *after, unsigned limit)
{
	struct page_start *grown = realloc(listing->starts, (listing->n_starts + 1) * sizeof *grown);

	if (!grown)
		return -ENOMEM;
	listing->starts = grown;
	if (page_start_set(&grown[listing->n_starts], row, after, limit) < 0)
		return -ENOMEM;
	listing->n_starts++;
	return 0;
}

static void forget_starts(struct listing *listing, size_t from)
{
	while (listing->n_starts > from)
		page_start_done(&listing->starts[--listing->n_starts]);
}

static void destroy(struct listing *listing)
{
	page_done(&listing->pages[0]);
	page_done(&listing->pages[1]);
	forget_starts(listing, 0);
	free(listing->starts);
	schema_unref(listing->source.schema);
	pthread_mutex_destroy(&listing->lock);
	free(listing);
}

/* --- The next start --------------------------------------------------------------------------- */

/* Where the page after the current one starts. A page that was fetched again may end elsewhere than it
 * did; then the pages that followed must not be used any more, or rows would fall between them. */
static int set_next_start(struct listing *listing)
{
	const struct page *page = listing->page;
	size_t next = listing->wanted + 1;
	uint64_t row = page->start.row + page->n_rows;

	if (!page->end && next < listing->n_starts && listing->starts[next].row == row &&
	    cells_equal(&listing->starts[next].after, &page->last))
		return 0;
	forget_starts(listing, next);
	return page->end ? 0 : add_start(listing, row, &page->last, page_next_limit(page));
}

/* --- Reading ahead ---------------------------------------------------------------------------- */

/* It shows the table as it was; nobody is shown what is older than he may see. */
static int64_t ahead_life_us(const struct listing *listing)
{
	const struct settings *settings = listing->source.engine->settings;
	bool ttl = !listing->page->fed && settings->ttl < settings->max_staleness;

	return settings->strong ? 0 : (int64_t)((ttl ? settings->ttl : settings->max_staleness) * 1e6);
}

/* Is the page after the current one to be read? Then ahead_task() is to run, also if the listing is freed meanwhile. */
static bool begin_ahead(struct listing *listing)
{
	const struct page_start *start = &listing->starts[listing->wanted + 1];
	int64_t life_us = ahead_life_us(listing);
	bool begins = false;

	if (listing->page->end || listing->wanted < AHEAD_FROM || life_us == 0)
		return false;
	pthread_mutex_lock(&listing->lock);
	if (listing->ahead == AHEAD_NONE) {
		page_start_done(&listing->next->start);
		begins = page_start_set(&listing->next->start, start->row, &start->after, start->limit) == 0;
		page_hand_on(listing->page, listing->next);
	}
	if (begins) {
		listing->ahead = AHEAD_READING;
		listing->ahead_until_us = clock_monotonic_us() + life_us;
		listing->unwanted = false;
	}
	pthread_mutex_unlock(&listing->lock);
	return begins;
}

/* The current page has been read, or could not be. True: the one after it is to be read. Else the listing may be gone now,
 * since who has his answer may close it. */
static bool finish(struct listing *listing, struct listing_request *request, int r, struct error *e)
{
	bool goes_on;

	if (r == 0)
		r = set_next_start(listing);
	goes_on = r == 0 && begin_ahead(listing);
	if (r < 0) {
		page_clear(listing->page);
		if (r == -ESTALE)
			catalog_suspect(listing->source.engine->catalog);
		(void)error_ensure(e, r);
	}
	request->done(request, e);
	return goes_on;
}

/* With the lock held. */
static void turn_page(struct listing *listing)
{
	struct page *page = listing->page;

	page_clear(page);
	listing->page = listing->next;
	listing->next = page;
	listing->ahead = AHEAD_NONE;
}

/* With the lock held, while nobody reads it. */
static void drop_ahead(struct listing *listing)
{
	page_clear(listing->next);
	listing->ahead = AHEAD_NONE;
}

static void forget_ahead(struct listing *listing)
{
	pthread_mutex_lock(&listing->lock);
	if (listing->ahead == AHEAD_READING)
		listing->unwanted = true;
	else
		drop_ahead(listing);
	pthread_mutex_unlock(&listing->lock);
}

static int fetch_ahead(struct listing *listing, struct error *e)
{
	bool wanted;

	pthread_mutex_lock(&listing->lock);
	wanted = !listing->unwanted && !atomic_load(&listing->freed);
	pthread_mutex_unlock(&listing->lock);
	if (!wanted)
		return -ECANCELED;
	return listing->ahead_task.late ? lane_late(e)
					: page_fetch(listing->next, &listing->source, &listing->freed, e);
}

/* Where the page is waited for already, the one after it is next; but others' turn comes before that. */
static void ahead_task(struct lane_task *task)
{
	struct listing *listing = container_of(task, struct listing, ahead_task);
	struct listing_request *waiting;
	struct error e = {0};
	int r = fetch_ahead(listing, &e);
	bool freed;

	pthread_mutex_lock(&listing->lock);
	waiting = listing->waiting;
	freed = atomic_load(&listing->freed);
	listing->waiting = NULL;
	if (r == 0 && !listing->unwanted)
		listing->ahead = AHEAD_READY;
	else
		drop_ahead(listing);
	if (waiting)
		turn_page(listing);
	pthread_mutex_unlock(&listing->lock);
	if (waiting && finish(listing, waiting, r, &e))
		lane_queue(listing->source.engine->reads, &listing->ahead_task);
	if (freed)
		destroy(listing);
}

enum claim { CLAIM_NONE, CLAIM_WAITS, CLAIM_TAKEN };

/* Is what has been read, or is being read, the page that is wanted, and not too old? */
static enum claim claim(struct listing *listing, struct listing_request *request)
{
	enum claim claim = CLAIM_NONE;
	bool same;

	pthread_mutex_lock(&listing->lock);
	same = listing->ahead != AHEAD_NONE && !listing->unwanted && clock_monotonic_us() < listing->ahead_until_us &&
	       page_start_equal(&listing->next->start, &listing->starts[listing->wanted]);
	if (listing->ahead == AHEAD_READING) {
		claim = same ? CLAIM_WAITS : CLAIM_NONE;
		listing->waiting = same ? request : NULL;
		listing->unwanted = !same;
	} else if (same) {
		claim = CLAIM_TAKEN;
		turn_page(listing);
	} else {
		drop_ahead(listing);
	}
	pthread_mutex_unlock(&listing->lock);
	return claim;
}

/* --- Seeking --------------------------------------------------------------------------------- */

static int fetch(struct listing *listing, struct error *e)
{
	const struct page_start *start = &listing->starts[listing->wanted];
	int r;

	page_clear(listing->page);
	page_start_done(&listing->page->start);
	r = page_start_set(&listing->page->start, start->row, &start->after, start->limit);
	return r < 0 ? r : page_fetch(listing->page, &listing->source, NULL, e);
}

static void seek_task(struct lane_task *task)
{
	struct listing *listing = container_of(task, struct listing, seek_task);
	struct error e = {0};
	int r = task->late ? lane_late(&e) : fetch(listing, &e);

	if (finish(listing, listing->request, r, &e))
		lane_queue(listing->source.engine->reads, &listing->ahead_task);
}

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
	const struct page *page = listing->page;

	if (!page->whole || row < page->start.row)
		return false;
	return page->end || row < page->start.row + page->n_rows;
}

void listing_seek(struct listing *listing, uint64_t row, struct listing_request *request)
{
	struct error none = {0};

	if (is_current(listing, row)) {
		request->done(request, &none);
		return;
	}
	listing->wanted = find_start(listing, row);
	switch (claim(listing, request)) {
	case CLAIM_WAITS:
		break;
	case CLAIM_TAKEN:
		if (finish(listing, request, 0, &none))
			lane_run(listing->source.engine->reads, &listing->ahead_task);
		break;
	case CLAIM_NONE:
		listing->request = request;
		lane_run(listing->source.engine->reads, &listing->seek_task);
		break;
	}
}

/* --- Handles ---------------------------------------------------------------------------------- */

int listing_new(struct engine *engine, uint32_t oid, struct listing **ret)
{
	struct listing *listing = calloc(1, sizeof *listing);
	struct page_source *source;

	if (!listing)
		return -ENOMEM;
	pthread_mutex_init(&listing->lock, NULL);
	source = &listing->source;
	source->engine = engine;
	source->schema = catalog_get(engine->catalog);
	source->relation = schema_relation(source->schema, oid);
	listing->seek_task = (struct lane_task){.run = seek_task, .group = oid};
	listing->ahead_task = (struct lane_task){.run = ahead_task, .group = oid};
	listing->page = &listing->pages[0];
	listing->next = &listing->pages[1];
	if (!source->relation || add_start(listing, 0, NULL, LISTING_FIRST_ROWS) < 0) {
		int r = source->relation ? -ENOMEM : -ESTALE;

		destroy(listing);
		return r;
	}
	listing->page->fed = reader_is_fed(engine->reader, source->relation);
	*ret = listing;
	return 0;
}

void listing_free(struct listing *listing)
{
	bool reading;

	if (!listing)
		return;
	pthread_mutex_lock(&listing->lock);
	reading = listing->ahead == AHEAD_READING;
	atomic_store(&listing->freed, reading);
	pthread_mutex_unlock(&listing->lock);
	if (!reading)
		destroy(listing);
}

const struct listing_entry *listing_at(const struct listing *listing, uint64_t row)
{
	const struct page *page = listing->page;

	return page->whole && row >= page->start.row && row - page->start.row < page->n_rows
		       ? &page->rows[row - page->start.row].entry
		       : NULL;
}

struct text *listing_text(struct listing *listing, uint64_t row)
{
	struct page *page = listing->page;
	const struct page_row *at = listing_at(listing, row) ? &page->rows[row - page->start.row] : NULL;
	struct text *text = at && at->text_at && page->texts ? text_page_get(page->texts, at->text_at) : NULL;

	if (at && at == &page->rows[page->n_rows - 1]) {
		text_page_unref(page->texts);
		page->texts = NULL;
	}
	return text;
}

bool listing_is_of(const struct listing *listing, const struct relation *relation)
{
	return listing->source.relation->fingerprint == relation->fingerprint;
}

bool listing_ended(const struct listing *listing, uint64_t row)
{
	const struct page *page = listing->page;

	return page->whole && page->end && row >= page->start.row + page->n_rows;
}

int listing_start(struct listing *listing, uint64_t row, const struct cells *after)
{
	if (after && after->n != relation_key_len(listing->source.relation))
		return -ESTALE;
	page_clear(listing->page);
	forget_ahead(listing);
	forget_starts(listing, 0);
	return add_start(listing, row, after, LISTING_FIRST_ROWS);
}

bool listing_follows(const struct listing *listing, uint64_t row)
{
	return listing->page->whole && row == listing->page->start.row + listing->page->n_rows;
}

int64_t listing_began_us(const struct listing *listing)
{
	return listing->page->began_us;
}

uint64_t listing_mark(const struct listing *listing)
{
	return listing->page->mark;
}

bool listing_is_fed(const struct listing *listing)
{
	return listing->page->fed;
}
