/* Telling where a text is wrong, and why, in words for whoever wrote it. */
#pragma once

#include <stddef.h>

#include "rowfs/base/error.h"
#include "rowfs/model/row.h"

#include "json_read.h"

/* A place in a text, as an editor shows it: line and character, both from 1. It only walks
 * forward (from the start again when asked for a place before it), so asking is linear over all. */
struct json_place {
	const char *text;
	size_t offset;
	unsigned line, column;
};

void json_place_start(struct json_place *place, const char *text);
void json_place_move(struct json_place *place, size_t offset);

/* All return -EINVAL with `e` filled; `column` NULL: it is about no column. */
int json_refuse(struct error *e, struct json_place *place, size_t offset,
                const struct column *column, const char *format, ...) _printf_(5, 6);

/* A key that no column has; hints at the nearest one. */
int json_refuse_unknown(struct error *e, struct json_place *place, const struct relation *relation,
                        const struct json_event *key);

/* A value that the column's type does not take. `element`: it stands in an array. */
int json_refuse_kind(struct error *e, struct json_place *place, const struct column *column,
                     bool element, const struct json_event *event);
