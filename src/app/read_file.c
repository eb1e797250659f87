#include "read_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "say.h"

/* What a mount says of itself may be another text for the next read(2): one takes it all. */
enum { PART = 1 << 20 };

int read_file(const char *path, struct buf *ret)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_free_ char *part = malloc(PART);
	ssize_t n;

	if (fd < 0 || !part)
		return fd < 0 ? -errno : -ENOMEM;
	while ((n = read(fd, part, PART)) > 0)
		buf_add(ret, part, (size_t)n);
	if (n < 0)
		return -errno;
	buf_adds(ret, "");
	return ret->failed ? -ENOMEM : 0;
}

enum exit_code read_report(const char *mountpoint, const char *name, struct buf *ret)
{
	_cleanup_buf_ struct buf path = {0};
	int r;

	buf_addf(&path, "%s/.rowfs/%s", mountpoint, name);
	r = path.failed ? -ENOMEM : read_file(path.data, ret);
	if (r == 0)
		return EXIT_DONE;
	say("%s: %s", mountpoint, r == -ENOENT ? "no rowfs is mounted there" : strerror(-r));
	return EXIT_MOUNTPOINT;
}
