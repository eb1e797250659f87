/* PostgreSQL's text of an array, {1,NULL,"a b",{…}}, taken apart. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "rowfs/base/buf.h"

enum array_event {
	ARRAY_OPEN,
	ARRAY_CLOSE,
	ARRAY_NULL,
	ARRAY_ELEMENT,
	ARRAY_END,
	ARRAY_BROKEN, /* not a literal that this understands */
};

struct array_walk {
	const char *p, *end;
	char delimiter;
	unsigned depth;
	bool after_value; /* a delimiter or a brace must come */
	bool after_comma; /* an element must come */
	/* ARRAY_ELEMENT: its text without quotes; `escaped` if backslashes are to be taken out. */
	const char *element;
	size_t len;
	bool escaped;
};

/* Start at the outer '{'; explicit bounds ("[0:1]=") are the caller's to skip. */
void array_walk_start(struct array_walk *walk, const char *text, size_t len, char delimiter);
enum array_event array_walk_next(struct array_walk *walk);

/* Append the element's own text, backslashes taken out. */
void array_walk_text(const struct array_walk *walk, struct buf *out);
