/* How `rowfs hot --apply` has a mount set what it proposes for a table: an ioctl on the table's directory. No rule goes in,
 * since whoever may read a mount may not have it run SQL of his. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/ioctl.h>

struct apply_exchange {
	int32_t err;  /* 0, or the errno for which PostgreSQL did not take the rule; `because` is its sentence then */
	uint8_t set;  /* it has the rule now; else there was nothing to do */
	char rule[512], because[1024];
};

#define APPLY_IOCTL _IOR('r', 2, struct apply_exchange)
