/* Small files, whole. */
#pragma once

#include "exit.h"
#include "rowfs/base/buf.h"

/* Append the content, which then ends in a NUL; 0 or -errno. */
int read_file(const char *path, struct buf *ret) _must_check_;

/* The same of what a mount says of itself, .rowfs/NAME. DONE, or MOUNTPOINT after saying why it could not be read. */
enum exit_code read_report(const char *mountpoint, const char *name, struct buf *ret);
