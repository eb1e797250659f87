#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include <xxhash.h>

#include "rowfs/base/buf.h"
#include "rowfs/base/directory.h"

/* The mount point as one file name: /mnt/my-shop → mnt-my%2Dshop. Longer ones are cut and told
 * apart by a hash. */
enum { ESCAPED_MAX = 200, ESCAPED_CUT = 150 };

static void escape_path(const char *path, struct buf *out)
{
	size_t start = out->len;
	const char *p = path + (*path == '/');

	if (!*p)
		buf_adds(out, "%root");
	for (; *p; p++) {
		if (*p == '/')
			buf_addc(out, '-');
		else if (*p == '-' || *p == '%' || (p[0] == '.' && out->len == start))
			buf_addf(out, "%%%02X", (unsigned char)*p);
		else
			buf_addc(out, *p);
	}
	if (!out->failed && out->len - start > ESCAPED_MAX) {
		buf_resize(out, start + ESCAPED_CUT);
		buf_addf(out, "%%~%016llx", (unsigned long long)XXH3_64bits(path, strlen(path)));
	}
}

/* As root the system's place, else the user's (XDG base directories). */
static int add_base(struct buf *out, struct error *e)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

	if (geteuid() == 0)
		buf_adds(out, "/var/lib");
	else if (state && *state == '/')
		buf_adds(out, state);
	else if (home && *home == '/')
		buf_addf(out, "%s/.local/state", home);
	else
		return error_set(
		        e, EINVAL,
		        "no place for temporary files: HOME is not set; use -o state_dir=DIR");
	buf_adds(out, "/rowfs/");
	return 0;
}

static int choose(struct settings *settings, struct error *e)
{
	_cleanup_buf_ struct buf path = {0};
	int r = add_base(&path, e);

	if (r)
		return r;
	escape_path(settings->mountpoint, &path);
	settings->state_dir = buf_steal(&path);
	return settings->state_dir ? 0 : error_set(e, ENOMEM, "out of memory");
}

/* mkdir -p, what is made being private. `path` is absolute; it is cut at a directory that cannot be
 * made. */
static int make_directories(char *path)
{
	for (char *p = path + 1;; p++) {
		char c = *p;

		if (c && c != '/')
			continue;
		*p = '\0';
		if (mkdir(path, 0700) < 0 && errno != EEXIST)
			return -errno;
		*p = c;
		if (!c)
			return 0;
	}
}

static int refuse(const char *path, int err, struct error *e)
{
	return error_set(e, err, "state_dir %s: %s; choose another with -o state_dir=DIR", path,
	                 strerror(err));
}

/* Whoever unmounts and mounts again meets the process that is just ending. */
enum { LOCK_WAIT_MS = 3000, LOCK_PAUSE_MS = 50 };

static int take_lock(int fd)
{
	for (int waited = 0;; waited += LOCK_PAUSE_MS) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK || waited >= LOCK_WAIT_MS)
			return errno;
		nanosleep(&(struct timespec){.tv_nsec = LOCK_PAUSE_MS * 1000000}, NULL);
	}
}

/* The descriptor stays open: the lock ends with the process, however that ends. */
static int lock(const char *path, struct error *e)
{
	int err, fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return refuse(path, errno, e);
	if (directory_check(fd) < 0) {
		close(fd);
		return error_set(e, EPERM,
		                 "state_dir %s is somebody else's, or others may write there; choose "
		                 "another with -o state_dir=DIR",
		                 path);
	}
	err = take_lock(fd);
	if (!err)
		return 0;
	close(fd);
	if (err != EWOULDBLOCK)
		return refuse(path, err, e);
	return error_set(e, EBUSY,
	                 "state_dir %s is in use by another mount; give each its own with "
	                 "-o state_dir=DIR",
	                 path);
}

int state_prepare(struct settings *settings, struct error *e)
{
	int r = settings->state_dir ? 0 : choose(settings, e);

	if (r)
		return r;
	r = make_directories(settings->state_dir);
	if (!r && access(settings->state_dir, R_OK | W_OK | X_OK) < 0)
		r = -errno;
	/* After a failure the path is cut where mkdir() failed, which is the place to name. */
	if (r)
		return refuse(settings->state_dir, -r, e);
	return lock(settings->state_dir, e);
}
