/* `rowfs status MOUNTPOINT [--json]`: what a mount says of itself in .rowfs/status, for people or programs. */
#pragma once

#include "exit.h"

enum exit_code status_run(int argc, char **argv);
