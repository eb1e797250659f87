/* UTF-8, as Unicode defines it: no overlong forms, no surrogates, nothing above U+10FFFF.
 * PostgreSQL refuses the same, so checking here turns a server error into one with a place. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Length of the sequence at `p` (before `end`), 0 if there is none that is valid. */
size_t utf8_sequence(const char *p, const char *end);

/* Number of leading bytes that are valid UTF-8. */
size_t utf8_valid(const char *text, size_t len);

/* Are these bytes (fewer than a sequence) the beginning of one? */
bool utf8_begins(const char *p, const char *end);
