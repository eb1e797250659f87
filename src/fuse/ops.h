#pragma once

#include <fuse_lowlevel.h>

extern const struct fuse_lowlevel_ops operations;
