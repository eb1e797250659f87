/* `rowfs errors MOUNTPOINT [--follow] [--json]`: what the mount has refused lately, and why. */
#pragma once

#include "exit.h"

enum exit_code errors_run(int argc, char **argv);
