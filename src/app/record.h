/* A refusal as the mount writes it: one object of .rowfs/errors, or of a kept text's .error. */
#pragma once

#include <stdbool.h>
#include <yajl/yajl_tree.h>

#include "rowfs/base/buf.h"

/* The object of a line; NULL if it is none. Freed with yajl_tree_free(). */
yajl_val record_parse(const char *line);

/* A member's text, or that of a number; NULL if it is not there. */
const char *record_get(yajl_val record, const char *name);

/* Append a text for the terminal, which no byte of it shall drive; nothing if it is NULL. */
void record_show(const char *text, struct buf *out);

/* The message, detail and hint, one a line, each after `indent`. */
void record_print_reason(yajl_val record, const char *indent, struct buf *out);
