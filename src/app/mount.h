/* The mount verb: from settings to a served mount, and to its end. */
#pragma once

#include "exit.h"
#include "rowfs/base/settings.h"

/* Mount and serve until unmounted. The settings are completed on the way (real mount point, state
 * directory). Says what went wrong by itself. */
enum exit_code mount_run(struct settings *settings);
