/* `rowfs hot`: what is read, how often and from where, of .rowfs/hot. */
#pragma once

#include "exit.h"

enum exit_code hot_run(int argc, char **argv);
