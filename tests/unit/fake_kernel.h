/* kernel.h without a kernel: it remembers what it was told. Event: "tell". */
#pragma once

#include <stdint.h>

/* How often it was told about this row. */
unsigned fake_kernel_told(uint32_t relation, const char *name);
