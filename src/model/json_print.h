/* The pieces of json_print: scalars (json_print.c), json and arrays (json_print_nested.c). */
#pragma once

#include "rowfs/base/buf.h"
#include "rowfs/model/row.h"

/* The inside of a JSON string; the text is UTF-8. */
void json_print_inside(const char *text, size_t len, struct buf *out);

/* A value that is neither json, jsonb nor array. */
void json_print_scalar(enum type_kind kind, const char *text, size_t len, struct buf *out);

void json_print_json(enum type_kind kind, const char *text, size_t len, struct buf *out);
void json_print_array(const struct type *type, const char *text, size_t len, struct buf *out);
