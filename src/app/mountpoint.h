/* Is this a place to mount on? Asked before any server is, since the answer costs nothing. */
#pragma once

#include "rowfs/base/error.h"

/* 0 if `path` is an empty directory on which nothing is mounted; *ret is then its real path, for
 * the caller to free. Else -errno with what to do. */
int mountpoint_check(const char *path, char **ret, struct error *e) _must_check_;

/* 0 if /dev/fuse is there, else -errno with what to do. */
int mountpoint_check_device(struct error *e) _must_check_;
