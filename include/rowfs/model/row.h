/* A row as PostgreSQL prints it: cells of text, and the version it is of.
 *
 * Everything above the database works on these cells. They are never interpreted beyond what
 * the row's text needs: a number stays the digits the server sent. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "rowfs/base/cleanup.h"
#include "rowfs/model/schema.h"

/* One value. `data` NULL is SQL's NULL; else it is NUL-terminated at data[len] and holds no NUL
 * before that (PostgreSQL's text cannot). */
struct cell {
	const char *data;
	size_t len;
};

/* An owned copy of some cells, in one allocation. The key of a row is one of these. */
struct cells {
	size_t n;
	struct cell *at;
};

/* Copy; returns 0 or -ENOMEM. */
int cells_copy(const struct cell *from, size_t n, struct cells *ret) _must_check_;
void cells_done(struct cells *cells);
bool cell_equal(struct cell a, struct cell b);
bool cells_equal(const struct cells *a, const struct cells *b);
struct cell cell_of(const char *string); /* NULL gives SQL's NULL */

#define _cleanup_cells_ _cleanup_(cells_done)

/* Every statement that reads rows yields, before the relation's columns, this many cells. */
enum { ROW_XID, ROW_MTIME, ROW_CTID, ROW_TABLEOID, ROW_HEAD };

/* A row from the cells of one result line: ROW_HEAD head cells, then the columns. ROW_MTIME is a
 * Unix time with fraction or NULL; without it the mtime is derived from xmin as documented
 * (docs/filesystem.md, "Metadata"). The view borrows `cells`; nothing is copied. */
struct row_view {
	const struct cell *cells; /* the relation's columns */
	struct cell ctid, tableoid;
	uint32_t xid;
	bool has_mtime;
	struct timespec mtime;
};

/* Returns 0, or -EPROTO for a line that is not of this shape. */
int row_view(const struct relation *relation, const struct cell *cells, size_t n,
	     struct row_view *ret) _must_check_;

/* The key cells of a viewed row, borrowed; `ret` has room for relation_key_len() of them. */
void row_view_key(const struct relation *relation, const struct row_view *view, struct cell *ret);

/* 315532800 + (x mod 2^30): between 1980 and 2014, so never in the future. */
struct timespec row_mtime_derived(uint64_t x);
