/* Row ↔ JSON text, exact both ways. docs/filesystem.md, "Row text", says how each type is written.
 *
 * Printing is ours: the server already hands numbers over as the text wanted. Parsing is yajl's,
 * which keeps numbers as their digits; what it does not refuse (a key twice, lone surrogates,
 * NUL, control characters, some invalid UTF-8, nesting beyond 10,000), this does. */
#pragma once

#include "rowfs/base/buf.h"
#include "rowfs/base/error.h"
#include "rowfs/model/row.h"

/* Append the row's text: one column a line, two-space indent, one final newline. */
void json_print(const struct relation *relation, const struct cell *cells, struct buf *out);

/* The same of some columns only: those that are not cold. */
void json_print_kept(const struct relation *relation, const struct cell *cells, struct buf *out);

/* What a text says about a row: for each column of the relation whether it is there, and its
 * value as PostgreSQL's text. Columns that the text does not have are absent, not NULL. */
struct patch {
	struct cell *cells;    /* n_columns; valid where present */
	bool *present;         /* n_columns */
	unsigned *line, *column; /* where the value stands, from 1 */
	void *memory;          /* all of the above lives here */
};

/* Parse. Returns 0, -EINVAL with line, column, field and reason in `e`, or -ENOMEM. */
int json_parse(const struct relation *relation, const char *text, size_t len, struct patch *ret,
	       struct error *e) _must_check_;
void patch_done(struct patch *patch);

#define _cleanup_patch_ _cleanup_(patch_done)

/* Could `text` be the beginning of one JSON object, or is it one already? For saves that arrive
 * in pieces. White space counts as nothing. */
enum json_progress { JSON_EMPTY, JSON_INCOMPLETE, JSON_COMPLETE, JSON_BROKEN };

enum json_progress json_progress(const char *text, size_t len);

/* The same of a text that comes in pieces, by its braces and quotes only: what is JSON is told exactly, of what is none
 * not all is broken here. Zeroed before the first piece. Returns what it is with this one. */
struct json_scan {
	enum json_progress progress;
	size_t depth;
	bool string, escape; /* it ends inside a string, after a backslash */
};

enum json_progress json_scan(struct json_scan *scan, const char *piece, size_t len);

/* Append a string as JSON, in quotes; for status and error lines too. Bytes that are not UTF-8 (a
 * file name may have any) become U+FFFD, so that the line stays JSON. */
void json_print_string(const char *string, size_t len, struct buf *out);

/* Do two values of one type say the same? Numbers compare by value, json and jsonb by their tokens
 * without white space between them, the rest by bytes. */
bool json_same_value(const struct type *type, struct cell a, struct cell b);
