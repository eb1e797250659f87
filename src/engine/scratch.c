#include "rowfs/engine/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <uthash.h>

#include "rowfs/base/clock.h"
#include "rowfs/base/directory.h"
#include "rowfs/base/log.h"
#include "rowfs/base/options.h"
#include "rowfs/engine/text.h"

struct file_id {
	dev_t dev;
	ino_t ino;
};

/* A file that is open. */
struct held {
	UT_hash_handle hh;
	struct file_id id;
	unsigned handles;
	bool nameless; /* its name was removed, and its bytes count until the last handle goes */
	int fd;        /* one handle's; */
	bool copied;   /* or a copy, which there is none of until it is needed, since descriptors are few */
};

struct scratch {
	char *path;
	int dir;
	uint64_t max;
	unsigned max_files;
	pthread_mutex_t lock;
	/* Upper bounds on what is used: what is lost from sight (a file that another took the name of by other ways)
	 * counts until it is measured anew, which happens when there is no room. [lock] */
	uint64_t bytes;
	unsigned files;
	int64_t measured_ms; /* [lock] */
	struct held *held;   /* [lock] */
};

/* --- Files that are open; with the lock held ------------------------------------------------- */

static struct held *find_held(struct scratch *scratch, const struct stat *st)
{
	const struct file_id id = {st->st_dev, st->st_ino};
	struct held *held;

	HASH_FIND(hh, scratch->held, &id, sizeof id, held);
	return held;
}

static void drop_held(struct scratch *scratch, struct held *held)
{
	HASH_DEL(scratch->held, held);
	if (held->copied)
		close(held->fd);
	free(held);
}

static struct held *add_held(struct scratch *scratch, const struct stat *st, int fd)
{
	struct held *held = calloc(1, sizeof *held);
	unsigned before = HASH_COUNT(scratch->held);

	if (!held)
		return NULL;
	held->id = (struct file_id){st->st_dev, st->st_ino};
	held->fd = fd;
	HASH_ADD(hh, scratch->held, id, sizeof held->id, held);
	if (HASH_COUNT(scratch->held) > before)
		return held;
	free(held);
	return NULL;
}

/* This handle goes; the others stay. */
static void leave_held(struct held *held, int fd)
{
	if (held->copied || held->fd != fd)
		return;
	held->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	held->copied = held->fd >= 0;
}

/* What is open and has no name. */
static uint64_t nameless_bytes(const struct scratch *scratch)
{
	struct held *held, *next;
	uint64_t bytes = 0;
	struct stat st;

	HASH_ITER(hh, scratch->held, held, next)
		if (held->nameless && fstat(held->fd, &st) == 0)
			bytes += (uint64_t)st.st_size;
	return bytes;
}

/* --- Measuring ------------------------------------------------------------------------------- */

/* nftw() has no argument for its callback; measuring and clearing away happen on one thread each. */
static _Thread_local uint64_t walk_bytes;
static _Thread_local unsigned walk_names; /* with directories */

static uint64_t size_of(const struct stat *st)
{
	return SCRATCH_NAME_BYTES + (S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0);
}

/* The folders of the tables are ours; what is below them is the users'. */
static int visit_size(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	if (type != FTW_D || ftw->level > 1) {
		walk_bytes += size_of(st);
		walk_names++;
	}
	return 0;
}

/* With the lock held, or before there is anybody else. */
static void measure(struct scratch *scratch)
{
	walk_bytes = 0;
	walk_names = 0;
	nftw(scratch->path, visit_size, 16, FTW_PHYS);
	scratch->bytes = walk_bytes + nameless_bytes(scratch);
	scratch->files = walk_names;
	scratch->measured_ms = clock_monotonic_ms();
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

	if (type == FTW_D)
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

/* What was being put when the program was killed. */
static int visit_staged(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	if (type == FTW_F && ftw->level == 1)
		unlink(path);
	return 0;
}

static int visit_clear(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	if (type == FTW_DP && ftw->level == 1)
		rmdir(path); /* refuses what is not empty, as it should */
	return 0;
}

uint64_t scratch_used(struct scratch *scratch)
{
	uint64_t bytes;

	pthread_mutex_lock(&scratch->lock);
	bytes = scratch->bytes;
	pthread_mutex_unlock(&scratch->lock);
	return bytes;
}

/* Every name that the kernel knows is a descriptor, and every open one another. */
static unsigned most_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_max == RLIM_INFINITY ||
	    limit.rlim_max / 3 > SCRATCH_FILES_MAX)
		return SCRATCH_FILES_MAX;
	return (unsigned)(limit.rlim_max / 3);
}

/* --- Open, close ----------------------------------------------------------------------------- */

static int open_spool(const char *state_dir, const char *identity)
{
	_cleanup_close_ int spool = directory_make_in(state_dir, "spool");

	return spool < 0 ? spool : directory_make(spool, identity);
}

int scratch_open(const struct settings *settings, const char *identity, struct scratch **ret,
		 struct error *e)
{
	struct scratch *scratch = calloc(1, sizeof *scratch);
	struct buf path = {0};
	int r;

	if (!scratch)
		return error_set(e, ENOMEM, "out of memory");
	scratch->dir = open_spool(settings->state_dir, identity);
	buf_addf(&path, "%s/spool/%s", settings->state_dir, identity);
	scratch->path = buf_steal(&path);
	if (scratch->dir < 0 || !scratch->path) {
		r = scratch->dir < 0 ? scratch->dir : -ENOMEM;
		(void)error_set(e, -r, "cannot make the spool %s/spool for temporary files: %s",
				settings->state_dir, strerror(-r));
		if (scratch->dir >= 0)
			close(scratch->dir);
		free(scratch->path);
		free(scratch);
		return r;
	}
	scratch->max = settings->scratch_max;
	scratch->max_files = most_files();
	pthread_mutex_init(&scratch->lock, NULL);
	nftw(scratch->path, visit_staged, 16, FTW_PHYS);
	measure(scratch);
	*ret = scratch;
	return 0;
}

void scratch_close(struct scratch *scratch)
{
	struct held *held, *next;

	if (!scratch)
		return;
	HASH_ITER(hh, scratch->held, held, next)
		drop_held(scratch, held);
	nftw(scratch->path, visit_clear, 16, FTW_PHYS | FTW_DEPTH);
	close(scratch->dir);
	pthread_mutex_destroy(&scratch->lock);
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
	fd = openat(scratch->dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* --- Bytes ----------------------------------------------------------------------------------- */

/* With the lock held. */
static bool has_room_for_names(const struct scratch *scratch, unsigned names)
{
	return scratch->files + names <= scratch->max_files;
}

/* With the lock held. */
static bool has_room(const struct scratch *scratch, uint64_t bytes, unsigned names)
{
	return bytes <= scratch->max && scratch->bytes <= scratch->max - bytes &&
	       has_room_for_names(scratch, names);
}

/* Measuring walks over all that is there: not more often than this, however often there is no room. */
enum { MEASURE_EVERY_MS = 1000 };

static int take(struct scratch *scratch, uint64_t bytes, unsigned names)
{
	int r = 0;

	if (bytes == 0 && names == 0)
		return 0;
	pthread_mutex_lock(&scratch->lock);
	if (!has_room(scratch, bytes, names) &&
	    clock_monotonic_ms() - scratch->measured_ms >= MEASURE_EVERY_MS)
		measure(scratch);
	if (has_room(scratch, bytes, names)) {
		scratch->bytes += bytes;
		scratch->files += names;
	} else {
		r = -ENOSPC;
	}
	pthread_mutex_unlock(&scratch->lock);
	return r;
}

/* With the lock held. */
static void lessen(struct scratch *scratch, uint64_t bytes, unsigned names)
{
	scratch->bytes -= bytes < scratch->bytes ? bytes : scratch->bytes;
	scratch->files -= names < scratch->files ? names : scratch->files;
}

static void give(struct scratch *scratch, uint64_t bytes, unsigned names)
{
	pthread_mutex_lock(&scratch->lock);
	lessen(scratch, bytes, names);
	pthread_mutex_unlock(&scratch->lock);
}

int scratch_add(struct scratch *scratch)
{
	return take(scratch, SCRATCH_NAME_BYTES, 1);
}

int scratch_adopt(struct scratch *scratch, const struct stat *st)
{
	return take(scratch, size_of(st), 1);
}

void scratch_removed(struct scratch *scratch, const struct stat *st)
{
	struct held *held;

	pthread_mutex_lock(&scratch->lock);
	held = find_held(scratch, st);
	if (held)
		held->nameless = true;
	lessen(scratch, held ? SCRATCH_NAME_BYTES : size_of(st), 1);
	pthread_mutex_unlock(&scratch->lock);
}

int scratch_hold(struct scratch *scratch, int fd)
{
	struct held *held;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	pthread_mutex_lock(&scratch->lock);
	held = find_held(scratch, &st);
	if (!held)
		held = add_held(scratch, &st, fd);
	if (held)
		held->handles++;
	pthread_mutex_unlock(&scratch->lock);
	return held ? 0 : -ENOMEM;
}

void scratch_release(struct scratch *scratch, int fd)
{
	struct held *held;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return;
	pthread_mutex_lock(&scratch->lock);
	held = find_held(scratch, &st);
	if (held && --held->handles > 0) {
		leave_held(held, fd);
	} else if (held) {
		lessen(scratch, held->nameless ? (uint64_t)st.st_size : 0, 0);
		drop_held(scratch, held);
	}
	pthread_mutex_unlock(&scratch->lock);
}

void scratch_cut(struct scratch *scratch, const struct stat *st)
{
	give(scratch, size_of(st) - SCRATCH_NAME_BYTES, 0);
}

/* A handle may cut its file, whatever the mode is by now; an O_PATH descriptor cannot be cut itself. */
static int cut_file(int fd, off_t size)
{
	char path[40];

	if (ftruncate(fd, size) == 0)
		return 0;
	if (errno != EBADF)
		return -1;
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	return truncate(path, size);
}

int scratch_resize(struct scratch *scratch, int fd, off_t size)
{
	struct stat st;

	if (size < 0)
		return -EINVAL;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (size > st.st_size && take(scratch, (uint64_t)(size - st.st_size), 0) < 0)
		return -ENOSPC;
	if (cut_file(fd, size) < 0) {
		int err = errno;

		if (size > st.st_size)
			give(scratch, (uint64_t)(size - st.st_size), 0);
		return -err;
	}
	if (size < st.st_size)
		give(scratch, (uint64_t)(st.st_size - size), 0);
	return 0;
}

int scratch_full(struct scratch *scratch, uint64_t bytes, unsigned names, struct error *e)
{
	char size[OPTION_SIZE_TEXT];
	bool room, room_for_names;

	pthread_mutex_lock(&scratch->lock);
	room = has_room(scratch, bytes, names);
	room_for_names = has_room_for_names(scratch, names);
	pthread_mutex_unlock(&scratch->lock);
	option_print_size(scratch->max, size);
	if (!room_for_names)
		return error_set(e, ENOSPC, "there may be %u temporary files, links and directories together%s",
				 scratch->max_files,
				 scratch->max_files < SCRATCH_FILES_MAX ?
					 ", a third of the descriptors that rowfs may have (ulimit -n)" :
					 "");
	if (!room)
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
	if (take(scratch, more, 0) < 0)
		return -ENOSPC;
	n = pwrite(fd, data, len, offset);
	if (n >= 0)
		return n;
	n = -errno;
	give(scratch, more, 0);
	return n;
}

int scratch_write_whole(struct scratch *scratch, int fd, const void *data, size_t len)
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
	return scratch_write_whole(scratch, fd, data, len);
}

/* Under another name first, so that what has the name is lost only when all of the new is there; and beside the
 * tables' folders, where nobody takes what a killed program has left of it for his own. */
static int put(struct scratch *scratch, int dir, const char *name, const void *data, size_t len, uid_t uid,
	       gid_t gid)
{
	static _Atomic unsigned sequence;
	char staged[64];
	struct stat st;
	bool replaces;
	int r;

	snprintf(staged, sizeof staged, ".rowfs-%d-%u", (int)getpid(), sequence++);
	r = fill_file(scratch, scratch->dir, staged, data, len, uid, gid);
	replaces = r == 0 && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
	if (r == 0 && renameat(scratch->dir, staged, dir, name) < 0)
		r = -errno;
	if (r == 0 && replaces)
		scratch_removed(scratch, &st);
	if (r < 0 && fstatat(scratch->dir, staged, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    unlinkat(scratch->dir, staged, 0) == 0)
		scratch_cut(scratch, &st);
	return r;
}

int scratch_put(struct scratch *scratch, int dir, const char *name, const void *data, size_t len,
		uid_t uid, gid_t gid)
{
	int r = scratch_add(scratch);

	if (r < 0)
		return r;
	r = put(scratch, dir, name, data, len, uid, gid);
	if (r < 0)
		give(scratch, SCRATCH_NAME_BYTES, 1);
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
