/* kernel.h without a kernel: it remembers what it was told. Events: "tell" (a row) "list" (a listing) "table" "all". */
#pragma once

#include <stdint.h>

/* How often it was told about this row, this table's listing, this whole table, everything. */
unsigned fake_kernel_told(uint32_t relation, const char *name);
unsigned fake_kernel_listed(uint32_t relation);
unsigned fake_kernel_tables(uint32_t relation);
unsigned fake_kernel_all(void);

/* Called whenever it is told something, without locks held: the event, and the relation and name it is about (0 and ""
 * where there is none). NULL: nobody. */
void fake_kernel_on(void (*fn)(void *arg, const char *event, uint32_t relation, const char *name), void *arg);
