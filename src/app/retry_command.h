/* `rowfs retry FILE...`: save texts that were refused, which the mount has kept. */
#pragma once

#include "exit.h"

enum exit_code retry_run(int argc, char **argv);
