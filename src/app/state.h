/* The state directory of a mount: temporary files and refused texts live there, so it is private,
 * survives the daemon, and belongs to one mount at a time. */
#pragma once

#include "rowfs/base/error.h"
#include "rowfs/base/settings.h"

/* Choose it if the user has not (by the mount point's path), create it with mode 0700, see that it
 * is ours alone, and lock it for as long as the process lives. Returns 0 or -errno with a sentence. */
int state_prepare(struct settings *settings, struct error *e) _must_check_;
