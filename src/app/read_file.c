#include "read_file.h"

#include <errno.h>
#include <stdio.h>

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
