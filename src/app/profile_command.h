/* `rowfs profile MOUNTPOINT [SECONDS]`: where the time of a mount goes, by what the kernel asked for and by what was waited
 * for: .rowfs/metrics now and then, compared. */
#pragma once

#include "exit.h"

enum exit_code profile_run(int argc, char **argv);
