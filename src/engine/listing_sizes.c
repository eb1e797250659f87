#include "listing_sizes.h"

#include <string.h>

#include "rowfs/base/counters.h"
#include "rowfs/engine/copy.h"
#include "sizes.h"

/* Keys are read of so many rows at least. */
enum { KEYS_LEAST = 64 };

/* --- Chunks ----------------------------------------------------------------------------------- */

/* Does another chunk begin with this row? The table's first row is in its first. */
static bool chunk_ends(bool known, bool empty, uint64_t name)
{
	return sizes_begin_chunk(name) && !(known && empty);
}

static void chunk_begin(struct open_chunk *chunk, uint64_t id, const struct cache_proof *proof)
{
	buf_reset(&chunk->records);
	chunk->known = true;
	chunk->id = id;
	chunk->proof = *proof;
}

static void chunk_put(const struct open_chunk *chunk, const struct page_source *source)
{
	_cleanup_buf_ struct buf key = {0}, value = {0};

	if (!chunk->known || chunk->records.failed)
		return;
	sizes_print_key(source->relation->oid, chunk->id, &key);
	sizes_print(source->relation, &chunk->proof, &chunk->records, &value);
	if (!key.failed && !value.failed)
		cache_put(source->engine->cache, key.data, value.data, value.len, copy_life_ms());
}

/* By which a table of large rows is known before any is read. */
static void drop_first(const struct page_source *source)
{
	_cleanup_buf_ struct buf key = {0};

	sizes_print_key(source->relation->oid, 0, &key);
	if (!key.failed)
		cache_drop(source->engine->cache, key.data, key.len);
}

/* --- What Redis knows ------------------------------------------------------------------------- */

struct remembered {
	struct buf value;
	const char *records; /* in there */
	size_t n, at;
};

static void load(struct remembered *remembered, const struct page *page, const struct page_source *source, uint64_t id)
{
	_cleanup_buf_ struct buf key = {0};
	struct cache_proof proof;

	remembered->n = remembered->at = 0;
	sizes_print_key(source->relation->oid, id, &key);
	if (key.failed || cache_read(source->engine->cache, source->relation->oid, key.data, key.len, &proof,
				     &remembered->value) != CACHE_HIT)
		return;
	if (!proof.fresh || !cache_proof_same(&proof, &page->proof) ||
	    !sizes_parse(source->relation, &proof, &remembered->value, &remembered->records, &remembered->n))
		remembered->n = 0;
}

static bool take_record(struct page_row *row, uint64_t name, struct remembered *remembered)
{
	struct size_record record;

	if (!sizes_find(remembered->records, remembered->n, &remembered->at, name, &record) || record.xid != row->xid)
		return false;
	row->entry.version.size = record.size;
	row->entry.version.hash = record.hash;
	return true;
}

/* How many rows from the first on are known, how many that follow are not, and how many of those after them, as far as that
 * matters, are again. */
struct runs {
	size_t known, unknown, after;
};

static struct runs take_records(struct page *page, const struct page_source *source)
{
	bool known = page->chunk.known, empty = known && !page->chunk.records.len;
	struct remembered remembered = {0};
	struct runs runs = {0};

	if (known)
		load(&remembered, page, source, page->chunk.id);
	for (size_t i = 0; i < page->n_rows && runs.after < LARGE_ROWS; i++) {
		uint64_t name = sizes_name(page->rows[i].entry.name);

		if (chunk_ends(known, empty, name)) {
			load(&remembered, page, source, name);
			known = true;
		}
		empty = false;
		if (!take_record(&page->rows[i], name, &remembered)) {
			if (runs.after)
				break;
			runs.unknown++;
		} else if (runs.unknown) {
			runs.after++;
		} else {
			runs.known++;
			page->bytes += page->rows[i].entry.version.size;
		}
	}
	buf_done(&remembered.value);
	return runs;
}

/* The last row is another than the one that was read last. */
static void cut(struct page *page, size_t n, size_t key_len)
{
	const char *part = page->keys.data + page->rows[n - 1].key_at;

	page->n_rows = page->read = (unsigned)n;
	page->end = false;
	for (size_t i = 0; i < key_len; i++) {
		page->cells[i] = cell_of(part);
		part += page->cells[i].len + 1;
	}
}

/* --- Pages ------------------------------------------------------------------------------------ */

void page_begin_sizes(struct page *page, const struct page_source *source, const struct buf *first)
{
	struct open_chunk *chunk = &page->chunk;
	bool begins = page->start.after.n == 0;
	const char *records;
	size_t n;

	if (begins)
		chunk_begin(chunk, 0, &page->proof);
	if (begins || chunk->row != page->start.row) {
		chunk->asked_until = 0;
		chunk->keys = 0;
	}
	if (!page->fed || (!begins && chunk->row != page->start.row) || !cache_proof_same(&chunk->proof, &page->proof))
		chunk->known = false;
	if (begins)
		chunk->large = sizes_parse(source->relation, &page->proof, first, &records, &n);
	else if (chunk->row != page->start.row)
		chunk->large = page->start.limit <= LARGE_ROWS;
	chunk->large &= page->fed && sizes_may_be_kept(source->relation);
}

bool page_may_be_known(const struct page *page)
{
	return page->chunk.large && page->start.row >= page->chunk.asked_until;
}

unsigned page_rows_limit(const struct page *page)
{
	uint64_t row = page->start.row, until = page->chunk.asked_until;
	unsigned limit = page->start.limit;

	/* What the page before was like says little if it was one row that has become small. */
	if (page->chunk.large && limit > LARGE_ROWS)
		limit = LARGE_ROWS;
	return row < until && until - row < limit ? (unsigned)(until - row) : limit;
}

unsigned page_keys_limit(const struct page *page)
{
	return page->chunk.keys ? page->chunk.keys : LISTING_PAGE_ROWS;
}

/* Where known rows and others alternate, most keys are read in vain. */
static unsigned keys_after(size_t used)
{
	return used < KEYS_LEAST / 4 ? KEYS_LEAST : used > LISTING_PAGE_ROWS / 4 ? LISTING_PAGE_ROWS : (unsigned)(4 * used);
}

bool page_take_known(struct page *page, const struct page_source *source, unsigned *limit)
{
	struct open_chunk *chunk = &page->chunk;
	struct runs runs = take_records(page, source);
	bool all = runs.known == page->n_rows;

	chunk->keys = keys_after(runs.known ? runs.known : runs.unknown);
	chunk->asked_until = page->start.row + runs.known + runs.unknown;
	if (!all && runs.known < *limit) {
		/* Few among others that are not known, or few of these among known ones, are read with what is around them. */
		if (runs.known || (runs.unknown < *limit && runs.after < *limit))
			chunk->asked_until = page->start.row + *limit;
		else if (runs.unknown < *limit)
			*limit = (unsigned)runs.unknown;
		return false;
	}
	if (!all)
		cut(page, runs.known, relation_key_len(source->relation));
	count_many(sizes_known, runs.known);
	return true;
}

static void add_record(struct open_chunk *chunk, const struct page_row *row, uint64_t name)
{
	const struct version *version = &row->entry.version;

	if (version->size > UINT32_MAX || chunk->records.len >= CACHE_VALUE_MAX)
		chunk->known = false;
	if (chunk->known)
		sizes_add(&chunk->records, &(struct size_record){name, version->hash, (uint32_t)version->size, row->xid});
}

/* A table's rows need not be large one by one. What Redis knows, and a few rows that have become small, do not say what the
 * rest is. */
static void note_average(struct page *page, const struct page_source *source)
{
	size_t average = page->read ? page->bytes / page->read : 0;
	bool small = !page->keys_only && page->read >= LARGE_ROWS && average < LARGE_BYTES / 2;

	if (average > LARGE_BYTES)
		page->chunk.large = page->fed && sizes_may_be_kept(source->relation);
	if (small && page->chunk.large && page->start.row == 0)
		drop_first(source);
	if (small || !source_may_cache(source))
		page->chunk.large = false;
}

void page_end_sizes(struct page *page, const struct page_source *source)
{
	struct open_chunk *chunk = &page->chunk;

	note_average(page, source);
	if (!chunk->large)
		chunk->known = false;
	for (size_t i = 0; chunk->large && i < page->n_rows; i++) {
		uint64_t name = sizes_name(page->rows[i].entry.name);

		if (chunk_ends(chunk->known, !chunk->records.len, name)) {
			chunk_put(chunk, source);
			chunk_begin(chunk, name, &page->proof);
		}
		add_record(chunk, &page->rows[i], name);
	}
	chunk->row = page->start.row + page->n_rows;
	if (page->end) {
		chunk_put(chunk, source);
		chunk->known = false;
	}
}
