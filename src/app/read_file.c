#include "read_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "say.h"

int read_file(const char *path, struct buf *ret)
{
	char part[4096];
	FILE *file = fopen(path, "re");
	size_t n;
	int r;

	if (!file)
		return -errno;
	errno = 0;
	while ((n = fread(part, 1, sizeof(part), file)) > 0)
		buf_add(ret, part, n);
	r = ferror(file) ? -(errno ? errno : EIO) : 0;
	fclose(file);
	buf_adds(ret, "");
	return r < 0 ? r : ret->failed ? -ENOMEM : 0;
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
