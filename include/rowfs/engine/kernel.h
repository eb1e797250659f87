/* What the engine tells the kernel adapter. src/fuse defines these; a unit test links a fake. Both
 * return at once (the telling happens on a thread of its own) and may be called from any thread,
 * without locks held. */
#pragma once

#include <stdint.h>

/* The row under this name changed, appeared or went, by this mount's own doing. */
void kernel_row_changed(uint32_t relation, const char *name);

/* A table's set of names changed without the kernel having asked for it. */
void kernel_directory_changed(uint32_t relation);
