/* Which bytes of a key's part are escaped in a file name; what name_print writes and name_parse
 * accepts must be the same set, or names would not be reversible. */
#pragma once

#include <stdbool.h>

/* '/' cannot be in a name, '%' starts an escape, ',' joins parts, control bytes would make
 * `ls` unreadable, and a leading dot would hide the row. */
static inline bool name_must_escape(unsigned char byte, bool leading)
{
	return byte < 0x20 || byte == 0x7f || byte == '/' || byte == '%' || byte == ',' ||
	       (leading && byte == '.');
}
