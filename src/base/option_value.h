/* An option's value: from text into its field of struct settings, and back. One place knows the
 * types, so that the table in options.c is all that a new option needs. */
#pragma once

#include "rowfs/base/options.h"

/* 0, -EINVAL for a value of another form, -ENOMEM. `value` may be NULL for a flag only. */
int option_value_set(void *field, enum option_type type, const char *value) _must_check_;

/* What a value of this type looks like, to follow "expected". */
const char *option_value_expected(enum option_type type);

/* As the configuration file writes it; a password in an address is hidden. */
void option_value_print(enum option_type type, const void *field, struct buf *out);

/* A string of the configuration file: in single quotes, where only ' and \ mean something. */
void option_value_quote(const char *string, struct buf *out);
