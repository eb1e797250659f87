/* Who asked, and for which path (relative to the mount point). */
#pragma once

#include <sys/types.h>

struct asker {
	uid_t uid;
	gid_t gid;
	pid_t pid;
	const char *path;
};
