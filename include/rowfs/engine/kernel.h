/* What the engine tells the kernel adapter. src/fuse defines it; a unit test links a fake. It returns at
 * once and may be called from any thread, without locks held. */
#pragma once

#include <stdint.h>

/* The row under this name changed, appeared or went, by this mount's own doing. */
void kernel_row_changed(uint32_t relation, const char *name);
