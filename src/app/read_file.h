/* Small files, whole. */
#pragma once

#include "rowfs/base/buf.h"

/* Append the content, which then ends in a NUL; 0 or -errno. */
int read_file(const char *path, struct buf *ret) _must_check_;
