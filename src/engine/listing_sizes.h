/* Pages of a table of large rows, whose sizes Redis remembers (sizes.h): those that it knows are made of keys alone. */
#pragma once

#include "listing_page.h"

/* Rows whose texts have more bytes on average are large: their texts do not stay with their entries anyway, and they take longer
 * to be read than what Redis remembers of hundreds. A page has at most so many of them. */
enum { LARGE_BYTES = LISTING_TEXT_MAX, LARGE_ROWS = LISTING_PAGE_BYTES / LARGE_BYTES };

/* Before the page is read: which chunk it begins in, and whether its rows are large, as far as that is known. `first`: what
 * Redis has under the key of the table's first chunk, if it is the table's first page. */
void page_begin_sizes(struct page *page, const struct page_source *source, const struct buf *first);

/* Is it worth the while to ask Redis for its rows' sizes? */
bool page_may_be_known(const struct page *page);

/* How many rows it may have that are read whole: as it was told to, but no more than Redis did not know when it was asked. */
unsigned page_rows_limit(const struct page *page);

/* If it is, its keys are read first, of so many rows. */
unsigned page_keys_limit(const struct page *page);

/* The page has its keys. Those rows that Redis knows, up to the first that it does not, are the page: true. But not if they are
 * fewer than *limit, which is how many may be read whole: then these are, or fewer, as *limit says then. */
bool page_take_known(struct page *page, const struct page_source *source, unsigned *limit);

/* After it has been read: which chunk it ends in; those that it has come to the end of go to Redis. */
void page_end_sizes(struct page *page, const struct page_source *source);
