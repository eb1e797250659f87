/* argv → settings: rowfs [mount] SOURCE MOUNTPOINT [-o OPTION,…] [-f] [-d]
 *                  rowfs sync SOURCE [-o OPTION,…] [-d]
 *                  rowfs place …, whose own words are taken out before
 *
 * Also what mount(8) calls for `mount -t fuse.rowfs SOURCE MOUNTPOINT`. -o is read before the
 * configuration file, which it names, and once more after it, since -o goes before it. */
#pragma once

#include "rowfs/base/error.h"
#include "rowfs/base/settings.h"

enum command { COMMAND_MOUNT, COMMAND_HELP, COMMAND_VERSION, COMMAND_MANUAL, COMMAND_SHOW_CONFIG };

/* What stands after the verb. */
enum places { PLACES_SOURCE_AND_MOUNTPOINT, PLACES_SOURCE, PLACES_RULE };

/* Parse; argv is reordered. *ret (settings_done()) is filled for COMMAND_MOUNT, and without source
 * and mount point for COMMAND_SHOW_CONFIG. Returns 0 or -errno with a sentence; the mount point is
 * not looked at yet. */
int command_line_parse(int argc, char **argv, enum places places, enum command *ret_command,
                       struct settings *ret, struct error *e) _must_check_;
