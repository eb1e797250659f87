/* What --help and --version print. */
#pragma once

#include "rowfs/base/buf.h"

/* The command line's flags, for the manual too. Ends with a NULL flag. */
struct flag_help {
	const char *flag, *meaning;
};

extern const struct flag_help flags_help[];

void help_print(struct buf *out);
void help_print_version(struct buf *out);
