/* Where the cells of a parsed text are made: PostgreSQL's text of each value, written one behind
 * the other into memory that is sized before, so that the cells never move. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "rowfs/model/json.h"

struct json_cells {
	char *start, *to, *end; /* the value being written, the next byte, the end of the memory */
	bool overrun;           /* more was written than there is room: nothing can be used */
};

/* Allocate a patch for a text of `len` bytes, no column present; 0 or -ENOMEM. */
int json_cells_start(const struct relation *relation, size_t len, struct patch *ret,
                     struct json_cells *cells) _must_check_;

void json_cells_add(struct json_cells *cells, const char *bytes, size_t len);

/* An element of an array literal, in quotes. */
void json_cells_add_quoted(struct json_cells *cells, const char *bytes, size_t len);

/* Close the value that was added and give it as a cell. */
struct cell json_cells_take(struct json_cells *cells);
