/* The manual page, rowfs(8). It is printed by the program (`rowfs --manual`) and installed from
 * that, so that it tells of the options and exit codes that there are. */
#pragma once

#include "rowfs/base/buf.h"

/* Append the page, in man(7)'s language. */
void manual_print(struct buf *out);
