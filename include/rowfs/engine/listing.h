/* A table's rows as a directory handle reads them: pages in key order, two in memory at a time, the one that is looked at and
 * the next, so that a table of any size starts at once and costs two pages. Every entry comes with the version that its text
 * has, since `ls -l` and rsync trust st_size; and with that text, as long as there is room, since who walks through a table
 * opens what he has listed.
 *
 *   row number   0 ........ 99 | 100 ............ 1123 | 1124 …
 *   page              0        |           1           |  the current one: entries in memory
 *   starts           NULL      |  key of row 99        |  key of row 1123   (all kept, for seekdir)
 *
 * A page that is fetched again (a seek backward) shows the table as it is then; if it ends elsewhere than it
 * did, the pages after it are cut anew, so that no row falls between two. A page
 * whose reading fails after some rows ends there, and the next begins with the failure, if it lasts. One thread at a time: the
 * kernel holds the file position of a directory handle while it reads. */
#pragma once

#include "rowfs/engine/engine.h"

struct listing;

struct listing_entry {
	const char *name;
	struct version version;
};

/* Longer texts are not kept with their entries. */
enum { LISTING_TEXT_MAX = 1 << 16 };

/* A page is about this many bytes of row text, and at most this many rows. How many rows it may have is guessed from
 * the page before; where they turn out to be much larger it is broken off, which costs a connection to say so. */
enum {
	LISTING_PAGE_BYTES = 1 << 20,
	LISTING_BREAK_BYTES = 2 * LISTING_PAGE_BYTES,
	LISTING_PAGE_ROWS = 2000,
	LISTING_FIRST_ROWS = 64,
};

/* -ESTALE if there is no such relation any more. */
int listing_new(struct engine *engine, uint32_t relation, struct listing **ret) _must_check_;
void listing_free(struct listing *listing);

struct listing_request {
	void (*done)(struct listing_request *request, const struct error *e);
	struct listing_request *next;
};

/* Make the page that holds row number `row` the current one. `done` may be called at once. */
void listing_seek(struct listing *listing, uint64_t row, struct listing_request *request);

/* The entry of a row of the current page, NULL if it is not there. Valid until the next seek. */
const struct listing_entry *listing_at(const struct listing *listing, uint64_t row);

/* The text of a row of the current page: a reference; NULL where it is long, no feed tells when it changes, memory is
 * short, or the page's last row had its own already: with that all go, since a handle may stay open for long. */
struct text *listing_text(struct listing *listing, uint64_t row) _must_check_;

/* Is the table that is listed, as it was when the handle came about, what this relation says? */
bool listing_is_of(const struct listing *listing, const struct relation *relation);

/* Is it known that the table has no row number `row`? */
bool listing_ended(const struct listing *listing, uint64_t row);

/* Forget all pages: from now on row number `row` is the first after the key `after`, or the first of all if that is
 * NULL, as the table is when it is read. -ESTALE if the relation has no such keys; -ENOMEM. */
int listing_start(struct listing *listing, uint64_t row, const struct cells *after) _must_check_;

/* Is that row number the one after the current page? */
bool listing_follows(const struct listing *listing, uint64_t row);

/* The marks' number from before the current page's SELECT was sent. */
uint64_t listing_mark(const struct listing *listing);

/* Are changes of the table told by a live feed? Asked of Redis when the handle is new, and again with every page. */
bool listing_is_fed(const struct listing *listing);

/* Monotonic time at which the current page's SELECT was sent. */
int64_t listing_began_us(const struct listing *listing);
