/* write(2), until all is written. */
#pragma once

#include <stddef.h>

#include "rowfs/base/cleanup.h"

/* 0 or -errno; then some of it may have been. */
int write_all(int fd, const char *data, size_t len) _must_check_;
