#include "rowfs/base/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

int directory_check(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	return st.st_uid == geteuid() && !(st.st_mode & (S_IWGRP | S_IWOTH)) ? 0 : -EPERM;
}

/* Takes `fd` over. */
static int checked(int fd)
{
	int r = fd < 0 ? -errno : directory_check(fd);

	if (r < 0 && fd >= 0)
		close(fd);
	return r < 0 ? r : fd;
}

int directory_make(int parent, const char *name)
{
	if (mkdirat(parent, name, 0700) < 0 && errno != EEXIST)
		return -errno;
	return checked(openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

int directory_make_in(const char *path, const char *name)
{
	_cleanup_close_ int parent = checked(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));

	return parent < 0 ? parent : directory_make(parent, name);
}
