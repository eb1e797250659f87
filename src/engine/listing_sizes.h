/* Pages of a table of large rows, whose sizes Redis remembers (sizes.h): those that it knows are made of keys alone. */
#pragma once

#include "listing_page.h"

/* Rows whose texts have this many bytes on average are large: a page has few of them, and they take longer to be read than what
 * Redis remembers of hundreds. */
enum { LARGE_BYTES = 1 << 14, LARGE_ROWS = LISTING_PAGE_BYTES / LARGE_BYTES };

/* Before the page is read: which chunk it begins in, and whether its rows are large, as far as that is known. `first`: what
 * Redis has under the key of the table's first chunk, if it is the table's first page. */
void page_begin_sizes(struct page *page, const struct page_source *source, const struct buf *first);

/* Is it worth the while to ask Redis for its rows' sizes? */
bool page_may_be_known(const struct page *page);

/* The page has its keys. Those rows that Redis knows, up to the first that it does not, are the page: true. Else it does not
 * know the first *ret_unknown, if that many. */
bool page_take_known(struct page *page, const struct page_source *source, unsigned *ret_unknown);

/* After it has been read: which chunk it ends in, and what Redis does not have of those that it has come to the end of. */
void page_end_sizes(struct page *page, const struct page_source *source);
