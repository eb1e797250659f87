/* How `rowfs warm` has a mount load rows: an ioctl on their table's directory, for many at once. Without any row it is
 * answered by every directory of a mount, and by no other. */
#pragma once

#include <stdint.h>
#include <sys/ioctl.h>

#include "rowfs/engine/warm.h"

/* An ioctl takes 16 KiB at most. */
enum { WARM_ROWS_MAX = 256, WARM_NAMES_SIZE = 12288 };

struct warm_exchange {
	uint32_t action; /* enum warm_action */
	uint32_t n;
	char names[WARM_NAMES_SIZE];     /* n of them, each with its NUL */
	uint8_t outcomes[WARM_ROWS_MAX]; /* out: enum warm_outcome, of each */
	char reason[512];                /* out: struct warm_batch */
};

#define WARM_IOCTL _IOWR('r', 3, struct warm_exchange)
