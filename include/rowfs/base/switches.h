/* Protections that a test build can switch off, to prove that the race harness, or the model, would notice
 * (docs/testing.md). In any other build SWITCHED_OFF() is a constant false.
 *
 *   meson setup build-switches -Dswitches=enabled;  ROWFS_OFF=barrier,lease build-switches/rowfs … */
#pragma once

#include <stdbool.h>

#ifdef ROWFS_SWITCHES
bool switched_off(const char *protection);
#define SWITCHED_OFF(protection) switched_off(protection)
#else
#define SWITCHED_OFF(protection) false
#endif
