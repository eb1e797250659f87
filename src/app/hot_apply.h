/* `rowfs hot MOUNTPOINT [TABLE] --apply`: a table gets the rule that its reads speak for. */
#pragma once

#include "exit.h"

/* `table` is the path of its directory below the mount point. Prints what was set, or why there was nothing to do, which
 * is no failure. */
enum exit_code hot_apply(const char *mountpoint, const char *table);
