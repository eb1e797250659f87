/* `rowfs diff FILE`: a text that was refused, the row it was made of, and what others have made of that. */
#pragma once

#include "exit.h"

enum exit_code diff_run(int argc, char **argv);
