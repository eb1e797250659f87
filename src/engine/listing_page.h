/* A page of a listing: what one SELECT gave. */
#pragma once

#include <stdatomic.h>

#include "rowfs/engine/cache.h"
#include "rowfs/engine/listing.h"

/* Where a page begins. */
struct page_start {
	uint64_t row;       /* number of its first row */
	struct cells after; /* key of the row before it; empty for the first page */
	unsigned limit;
};

struct page_row {
	struct listing_entry entry;
	size_t text_at; /* where the page's texts have its own; 0: they have not */
	size_t key_at;  /* where `keys` has its key's parts, if the page has keys only */
	uint32_t xid;
};

/* The chunk of sizes (sizes.h) that a page begins or ends in the midst of. Pages that follow each other hand it on; it is of
 * the rows before number `row`. */
struct open_chunk {
	uint64_t row;
	bool large;           /* the sizes of its rows are worth remembering */
	uint64_t asked_until; /* Redis was asked of the rows before that number, and does not know them */
	unsigned keys;        /* so many keys are worth asking for next; 0: as many as can be */
	bool known;           /* it is known which it is, and all of its rows were seen, */
	uint64_t id;
	struct buf records;   /* which are these, */
	struct cache_proof proof; /* and were read under this one */
};

struct page {
	struct page_start start;
	bool whole;       /* it has been read; else there is none */
	bool keys_only;   /* that is how it is being read */
	unsigned limit;   /* lines that were asked for */
	unsigned read;    /* lines that the server sent */
	struct page_row *rows;
	size_t n_rows;
	struct buf names; /* what the entries' names point into, once it is whole */
	struct cells last;
	size_t bytes;     /* of row text */
	struct buf keys;  /* of the last row, or of all if there is nothing else; */
	struct cell cells[KEY_PARTS_MAX]; /* the last one's, which is in there, */
	size_t n_cells;   /* so many; 0: there is none yet */
	struct buf printed; /* texts that the page may keep, and the one that is being printed; */
	struct text_page *texts; /* once it is whole; NULL: it keeps none */
	int64_t began_us;
	uint64_t mark;
	bool fed;
	struct cache_proof proof; /* of that */
	bool broken;      /* more may follow than was read */
	bool spoilt;      /* a line could not be taken */
	bool end;         /* there is no row after this page */
	struct open_chunk chunk;
};

/* Whose pages they are. */
struct page_source {
	struct engine *engine;
	struct schema *schema;
	const struct relation *relation;
};

/* May Redis have something of it? Whoever has a handle open may know the table as it was, and the rule as it was. */
bool source_may_cache(const struct page_source *source);

int page_start_set(struct page_start *start, uint64_t row, const struct cells *after, unsigned limit) _must_check_;
void page_start_done(struct page_start *start);
bool page_start_equal(const struct page_start *a, const struct page_start *b);

/* A page is not cleared of its chunk, with which the next goes on. */
void page_clear(struct page *page);
void page_hand_on(const struct page *from, struct page *to);
void page_done(struct page *page);

/* Read it, from its start on. Then it is whole, or cleared and `e` says why. `abandoned`: nobody wants it any more; may be
 * NULL. */
int page_fetch(struct page *page, const struct page_source *source, const atomic_bool *abandoned, struct error *e)
	_must_check_;

/* How many rows the page after it may have. */
unsigned page_next_limit(const struct page *page);
