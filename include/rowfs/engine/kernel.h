/* What the engine tells the kernel adapter. src/fuse defines it; a unit test links a fake. It returns at
 * once and may be called from any thread, without locks held. Whoever calls has marked the change before
 * (engine/marks.h): what is told to the kernel from then on knows of it. */
#pragma once

#include <stdint.h>

/* The row under this name changed, appeared or went. */
void kernel_row_changed(uint32_t relation, const char *name);

/* The table's listing has other names, by a change that did not come through the kernel. */
void kernel_listing_changed(uint32_t relation);

/* So may every row of it. */
void kernel_relation_changed(uint32_t relation);

/* Nothing that the kernel holds is sure any more. */
void kernel_everything_changed(void);
