/* `rowfs sync SOURCE`: the sync worker as a process of its own, for mounts whose roles may not have a feed of changes,
 * or to keep it off their machines. `rowfs sync install|uninstall|status SOURCE`: the change log, for servers without
 * logical decoding. */
#pragma once

#include "exit.h"

enum exit_code sync_command_run(int argc, char **argv);
