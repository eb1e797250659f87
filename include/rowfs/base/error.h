/* Why something was refused, in enough detail to tell the person who asked.
 *
 * Functions return 0 or a negative errno; a `struct error` beside it carries what an errno
 * cannot: the server's words, the place in the text, what to do. It owns no memory, so it
 * can be copied and dropped freely; texts that do not fit are cut. Every function accepts
 * a NULL error, for callers that need the errno only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "rowfs/base/cleanup.h"

struct error {
	int err;          /* positive errno; 0: no error */
	char sqlstate[6]; /* PostgreSQL's code, or "" */
	unsigned line;    /* place in the row's text, from 1; 0: not about a place */
	unsigned column;  /* character in that line, from 1 */
	char field[128];  /* the table column concerned, or "" */
	char message[1024];
	char detail[1024];
	char hint[512];
	bool conflict; /* the row is not what the save was made of: others have changed or deleted it */
	/* The connection broke after the statement was sent: it may have been committed.
	 * `backend` and `backend_start` name the server process that was doing it. */
	bool outcome_unknown;
	int backend;
	char backend_start[40];
};

/* Fill `e` (may be NULL) with `err` (positive) and a message; what it held is gone.
 * Returns -err. */
int error_set(struct error *e, int err, const char *format, ...) _printf_(3, 4);

/* The same, with the place in the text that is to blame. */
int error_at(struct error *e, int err, unsigned line, unsigned column, const char *format, ...)
	_printf_(5, 6);

/* The failure `r` (negative errno) leaves with a message: its errno's, where nobody has filled `e` (may be
 * NULL). Returns r. */
int error_ensure(struct error *e, int r);

/* Copy a text into one of the fields above (`size` is sizeof the field), cut between characters
 * if it is too long. */
void error_copy_text(char *to, size_t size, const char *from);
