/* How `rowfs where` asks a mount for a row: an ioctl on its table's directory, since opening the row, or looking it up,
 * would be a read. */
#pragma once

#include <sys/ioctl.h>

/* The file's name goes in, lines of `name: value` come out. */
struct where_exchange {
	char name[256];
	char answer[2048];
};

#define WHERE_IOCTL _IOWR('r', 1, struct where_exchange)
