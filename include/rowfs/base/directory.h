/* Directories for this process alone. What is kept there was private where it came from, and a link that
 * somebody else could put in our way would make us write, with our rights, where he wants. */
#pragma once

#include "rowfs/base/cleanup.h"

/* Is the open directory this user's, and may nobody else write to it? 0, -EPERM, or -errno. */
int directory_check(int fd) _must_check_;

/* Open `name` in the open directory `parent`, making it (0700) if need be. A descriptor for the caller to close,
 * or -errno: also if it is a link, or not private. */
int directory_make(int parent, const char *name) _must_check_;

/* The same in a directory that is opened by its path, and has to be private too. */
int directory_make_in(const char *path, const char *name) _must_check_;
