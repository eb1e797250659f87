#include "mountpoint.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static int explain(const char *path, int err, struct error *e)
{
	switch (err) {
	case ENOENT:
		return error_set(e, err,
		                 "mount point %s does not exist; create it with: mkdir -p %s", path,
		                 path);
	case ENOTDIR:
		return error_set(e, err, "mount point %s is not a directory", path);
	case ENOTCONN:
		return error_set(e, err,
		                 "mount point %s is left over from a file system whose process has "
		                 "ended; free it with: fusermount3 -u %s",
		                 path, path);
	case EBUSY:
		return error_set(
		        e, err,
		        "something is mounted on %s already; unmount it with: fusermount3 -u %s",
		        path, path);
	case ENOTEMPTY:
		return error_set(
		        e, err,
		        "mount point %s is not empty, and a mount would hide what it holds; "
		        "choose an empty directory",
		        path);
	case EACCES:
		return error_set(
		        e, err,
		        "mount point %s: you may not write there, which mounting requires of "
		        "everyone but root",
		        path);
	default:
		return error_set(e, err, "mount point %s: %s", path, strerror(err));
	}
}

/* Positive errno, or 0. */
static int check_mounted(int fd)
{
	struct stat here, above;
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_TYPE, &st) < 0)
		return errno;
	if (!S_ISDIR(st.stx_mode))
		return ENOTDIR;
	if (st.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT)
		return st.stx_attributes & STATX_ATTR_MOUNT_ROOT ? EBUSY : 0;
	/* Kernels before 5.8: a device of its own says so too, bind mounts aside. */
	if (fstat(fd, &here) < 0 || fstatat(fd, "..", &above, 0) < 0)
		return errno;
	return here.st_dev != above.st_dev ? EBUSY : 0;
}

/* Takes `fd` over. */
static int check_empty(int fd)
{
	DIR *directory = fdopendir(fd);
	const struct dirent *entry;
	int r = 0;

	if (!directory) {
		r = errno;
		close(fd);
		return r;
	}
	while (!r && (entry = readdir(directory)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			r = ENOTEMPTY;
	closedir(directory);
	return r;
}

int mountpoint_check(const char *path, char **ret, struct error *e)
{
	char *real;
	int r, fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return explain(path, errno, e);
	r = check_mounted(fd);
	if (r)
		close(fd);
	else
		r = check_empty(fd);
	if (!r && geteuid() != 0 && access(path, W_OK) < 0)
		r = errno;
	if (r)
		return explain(path, r, e);
	real = realpath(path, NULL);
	if (!real)
		return explain(path, errno, e);
	*ret = real;
	return 0;
}

int mountpoint_check_device(struct error *e)
{
	if (access("/dev/fuse", F_OK) < 0)
		return error_set(e, ENODEV,
		                 "/dev/fuse is missing; load the module with: modprobe fuse (in a "
		                 "container: run it with --device /dev/fuse --cap-add SYS_ADMIN)");
	if (access("/dev/fuse", R_OK | W_OK) < 0)
		return error_set(e, EACCES,
		                 "/dev/fuse: %s; it should be readable and writable for all",
		                 strerror(errno));
	return 0;
}
