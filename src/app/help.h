/* What --help and --version print. */
#pragma once

#include "rowfs/base/buf.h"

void help_print(struct buf *out);
void help_print_version(struct buf *out);
