/* A page of a listing: what one SELECT gave. */
#pragma once

#include <stdatomic.h>

#include "rowfs/engine/listing.h"

/* Where a page begins. */
struct page_start {
	uint64_t row;       /* number of its first row */
	struct cells after; /* key of the row before it; empty for the first page */
	unsigned limit;
};

struct page {
	struct page_start start;
	bool whole;       /* it has been read; else there is none */
	struct listing_entry *entries;
	size_t n_entries;
	struct buf names; /* what the entries' names point into, once it is whole */
	struct cells last;
	unsigned read;    /* lines that the server sent */
	size_t bytes;     /* of row text */
	struct buf key;   /* of the last row, */
	struct cell cells[KEY_PARTS_MAX]; /* which are in there, */
	size_t n_cells;   /* so many; 0: there is none yet */
	struct buf printed; /* texts that the page may keep, and the one that is being printed; */
	struct text_page *texts; /* once it is whole; NULL: it keeps none */
	int64_t began_us;
	uint64_t mark;
	bool fed;
	bool broken;      /* more may follow than was read */
	bool spoilt;      /* a line could not be taken */
	bool end;         /* there is no row after this page */
};

/* Whose pages they are. */
struct page_source {
	struct engine *engine;
	struct schema *schema;
	const struct relation *relation;
};

int page_start_set(struct page_start *start, uint64_t row, const struct cells *after, unsigned limit) _must_check_;
void page_start_done(struct page_start *start);
bool page_start_equal(const struct page_start *a, const struct page_start *b);

void page_clear(struct page *page);
void page_done(struct page *page);

/* Read it, from its start on. Then it is whole, or cleared and `e` says why. `abandoned`: nobody wants it any more; may be
 * NULL. */
int page_fetch(struct page *page, const struct page_source *source, const atomic_bool *abandoned, struct error *e)
	_must_check_;

/* How many rows the page after it may have. */
unsigned page_next_limit(const struct page *page);
