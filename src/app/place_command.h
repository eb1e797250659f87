/* `rowfs place`: the placement rules that the database keeps (model/placement.h). */
#pragma once

#include "exit.h"

enum exit_code place_command_run(int argc, char **argv);
