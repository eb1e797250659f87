/* `rowfs where`: which tier holds a row now. */
#pragma once

#include "exit.h"

enum exit_code where_run(int argc, char **argv);
