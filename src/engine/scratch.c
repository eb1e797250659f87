#include "rowfs/engine/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "rowfs/base/log.h"
#include "rowfs/base/options.h"
#include "rowfs/engine/text.h"

struct scratch {
	char *path;
	int dir;
	uint64_t max;
	/* An upper bound on what is used: writes add, nothing subtracts; measured anew when it is full. */
	_Atomic uint64_t used;
};

static int make_directory(struct buf *path, const char *more)
{
	buf_addf(path, "/%s", more);
	if (path->failed)
		return -ENOMEM;
	return mkdir(path->data, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

/* --- Measuring ------------------------------------------------------------------------------- */

/* nftw() has no argument for its callback; measuring and clearing away happen on one thread each. */
static _Thread_local uint64_t walk_bytes;

static int visit_size(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	if (type == FTW_F || type == FTW_SL)
		walk_bytes += (uint64_t)st->st_size;
	return 0;
}

static uint64_t measure(const struct scratch *scratch)
{
	walk_bytes = 0;
	nftw(scratch->path, visit_size, 16, FTW_PHYS);
	return walk_bytes;
}

/* Files that remain, by whether a table of this snapshot shows them. */
struct remains {
	unsigned files;
	char first[256], folder[512]; /* of the first */
};

static _Thread_local struct remains walk_shown, walk_lost;
static _Thread_local const struct schema *walk_schema;
static _Thread_local size_t walk_root; /* length of the spool's path */

static int visit_remains(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	struct remains *remains = &walk_lost;

	if (type != FTW_F && type != FTW_SL)
		return 0;
	/* A table's folder is named by its oid. */
	if (schema_relation(walk_schema, (uint32_t)strtoul(path + walk_root + 1, NULL, 10)))
		remains = &walk_shown;
	if (remains->files++ == 0) {
		snprintf(remains->first, sizeof remains->first, "%s", path + ftw->base);
		snprintf(remains->folder, sizeof remains->folder, "%.*s", ftw->base - 1, path);
	}
	return 0;
}

static const char *plural(unsigned n)
{
	return n == 1 ? "" : "s";
}

void scratch_report(const struct scratch *scratch, const struct schema *schema, bool end)
{
	walk_shown = walk_lost = (struct remains){0};
	walk_schema = schema;
	walk_root = strlen(scratch->path);
	nftw(scratch->path, visit_remains, 16, FTW_PHYS);
	if (walk_shown.files && end)
		log_warning("%u temporary file%s remain%s, the first is %s; the next mount shows them again (%s)",
			    walk_shown.files, plural(walk_shown.files), walk_shown.files == 1 ? "s" : "",
			    walk_shown.first, scratch->path);
	else if (walk_shown.files)
		log_warning("temporary files of an earlier mount are still in their places: %s%s (%s)",
			    walk_shown.first, walk_shown.files > 1 ? " and more" : "", scratch->path);
	if (walk_lost.files)
		log_warning("no table of this mount shows %u temporary file%s any more, the first is %s; to be "
			    "had, or removed, only below %s", walk_lost.files, plural(walk_lost.files),
			    walk_lost.first, walk_lost.folder);
}

static int visit_clear(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	if (type == FTW_DP && ftw->level == 1)
		rmdir(path); /* refuses what is not empty, as it should */
	return 0;
}

uint64_t scratch_used(struct scratch *scratch)
{
	return atomic_load(&scratch->used);
}

/* --- Open, close ----------------------------------------------------------------------------- */

int scratch_open(const struct settings *settings, const char *identity, struct scratch **ret,
		 struct error *e)
{
	struct scratch *scratch = calloc(1, sizeof *scratch);
	struct buf path = {0};
	int r;

	if (!scratch)
		return error_set(e, ENOMEM, "out of memory");
	buf_adds(&path, settings->state_dir);
	r = make_directory(&path, "spool");
	if (r == 0)
		r = make_directory(&path, identity);
	scratch->path = buf_steal(&path);
	scratch->dir = r == 0 ? open(scratch->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (scratch->dir < 0) {
		r = r < 0 ? r : -errno;
		(void)error_set(e, -r, "cannot make the spool %s/spool for temporary files: %s",
				settings->state_dir, strerror(-r));
		free(scratch->path);
		free(scratch);
		return r;
	}
	scratch->max = settings->scratch_max;
	atomic_init(&scratch->used, measure(scratch));
	*ret = scratch;
	return 0;
}

void scratch_close(struct scratch *scratch)
{
	if (!scratch)
		return;
	nftw(scratch->path, visit_clear, 16, FTW_PHYS | FTW_DEPTH);
	close(scratch->dir);
	free(scratch->path);
	free(scratch);
}

int scratch_table(struct scratch *scratch, uint32_t relation, bool create)
{
	char name[16];
	int fd;

	snprintf(name, sizeof name, "%" PRIu32, relation);
	if (create && mkdirat(scratch->dir, name, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(scratch->dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* --- Bytes ----------------------------------------------------------------------------------- */

int scratch_room(struct scratch *scratch, uint64_t bytes)
{
	if (atomic_load(&scratch->used) + bytes <= scratch->max)
		return 0;
	atomic_store(&scratch->used, measure(scratch));
	return atomic_load(&scratch->used) + bytes <= scratch->max ? 0 : -ENOSPC;
}

int scratch_full(struct scratch *scratch, uint64_t bytes, struct error *e)
{
	char size[OPTION_SIZE_TEXT];

	option_print_size(scratch->max, size);
	if (scratch_room(scratch, bytes) < 0)
		return error_set(e, ENOSPC, "temporary files may take scratch_max=%s together", size);
	return error_set(e, ENOSPC, "the disk is full that holds the temporary files: %s", scratch->path);
}

ssize_t scratch_write(struct scratch *scratch, int fd, const void *data, size_t len, off_t offset)
{
	struct stat st;
	uint64_t end = (uint64_t)offset + len, more;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return -errno;
	more = end > (uint64_t)st.st_size ? end - (uint64_t)st.st_size : 0;
	if (more && scratch_room(scratch, more) < 0)
		return -ENOSPC;
	n = pwrite(fd, data, len, offset);
	if (n < 0)
		return -errno;
	atomic_fetch_add(&scratch->used, more);
	return n;
}

static int write_whole(struct scratch *scratch, int fd, const void *data, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = scratch_write(scratch, fd, (const char *)data + done, len - done,
					  (off_t)done);

		if (n < 0)
			return (int)n;
		done += (size_t)n;
	}
	return 0;
}

static int fill_file(struct scratch *scratch, int dir, const char *name, const void *data, size_t len,
		     uid_t uid, gid_t gid)
{
	_cleanup_close_ int fd =
		openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	if (geteuid() == 0 && fchown(fd, uid, gid) < 0)
		return -errno;
	return write_whole(scratch, fd, data, len);
}

/* Under another name first, so that what has the name is lost only when all of the new is there. */
int scratch_put(struct scratch *scratch, int dir, const char *name, const void *data, size_t len,
		uid_t uid, gid_t gid)
{
	static _Atomic unsigned sequence;
	char staged[64];
	int r;

	snprintf(staged, sizeof staged, ".rowfs-%d-%u", (int)getpid(), sequence++);
	r = fill_file(scratch, dir, staged, data, len, uid, gid);
	if (r == 0 && renameat(dir, staged, dir, name) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(dir, staged, 0);
	return r;
}

int scratch_get(int fd, struct buf *ret)
{
	struct stat st;
	size_t done = 0;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size > TEXT_MAX)
		return -EFBIG;
	buf_resize(ret, (size_t)st.st_size);
	if (ret->failed)
		return -ENOMEM;
	while (done < ret->len) {
		ssize_t n = pread(fd, ret->data + done, ret->len - done, (off_t)done);

		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	buf_resize(ret, done);
	return 0;
}
