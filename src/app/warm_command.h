/* `rowfs warm`: rows are put into Redis before anybody reads them, or taken out, or counted there. */
#pragma once

#include "exit.h"

enum exit_code warm_command_run(int argc, char **argv);
