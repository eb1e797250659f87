#include "rowfs/engine/kept.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "rowfs/base/clock.h"
#include "rowfs/base/directory.h"
#include "rowfs/base/log.h"
#include "rowfs/base/write.h"
#include "rowfs/engine/scratch.h"

const char *const kept_suffixes[KEPT_SUFFIXES] = {KEPT_BASE, KEPT_ERROR, KEPT_THEIRS};

/* `bytes` is what it takes in the directory. */
struct kept_file {
	char *name;
	uint64_t bytes;
};

struct kept {
	enum kept_place place;
	int dir;
	uint64_t max_bytes;
	pthread_mutex_t lock;     /* the directory is read once, when it is opened */
	struct kept_file *files;  /* [lock] oldest first, from `first` on */
	size_t first, end, room;  /* [lock] */
	uint64_t bytes;           /* [lock] */
};

const char *kept_place_name(enum kept_place place)
{
	static const char *const names[KEPT_PLACES] = {[KEPT_REJECTED] = "rejected", [KEPT_CONFLICTS] = "conflicts"};

	return names[place];
}

enum kept_place kept_place(const struct kept *kept)
{
	return kept->place;
}

int kept_dir(const struct kept *kept)
{
	return kept->dir;
}

/* Does the file belong to the text of this name? */
static bool is_beside(const char *name, const char *text)
{
	size_t len = strlen(text);

	for (size_t i = 0; strncmp(name, text, len) == 0 && i < KEPT_SUFFIXES; i++)
		if (strcmp(name + len, kept_suffixes[i]) == 0)
			return true;
	return false;
}

/* --- What is there; with the lock held ------------------------------------------------------- */

static uint64_t blocks(uint64_t len)
{
	return (len + KEPT_BLOCK - 1) / KEPT_BLOCK * KEPT_BLOCK;
}

/* Make room for one more at the end. */
static int grow(struct kept *kept)
{
	size_t n = kept->end - kept->first;
	struct kept_file *grown;

	if (kept->end < kept->room)
		return 0;
	if (n)
		memmove(kept->files, kept->files + kept->first, n * sizeof *grown);
	kept->first = 0;
	kept->end = n;
	if (n < kept->room / 2)
		return 0;
	grown = realloc(kept->files, (2 * n + 64) * sizeof *grown);
	if (!grown)
		return -ENOMEM;
	kept->files = grown;
	kept->room = 2 * n + 64;
	return 0;
}

/* One that cannot be remembered for want of memory counts again when the directory is read anew. */
static void remember(struct kept *kept, const char *name, uint64_t bytes)
{
	char *copy = strdup(name);

	if (!copy || grow(kept) < 0) {
		free(copy);
		return;
	}
	kept->files[kept->end++] = (struct kept_file){copy, bytes};
	kept->bytes += bytes;
}

static void drop_first(struct kept *kept)
{
	struct kept_file *file = &kept->files[kept->first++];

	unlinkat(kept->dir, file->name, 0);
	kept->bytes -= file->bytes;
	free(file->name);
}

/* With what stands beside it. */
static void drop_oldest(struct kept *kept)
{
	_cleanup_free_ char *text = strdup(kept->files[kept->first].name);

	drop_first(kept);
	while (text && kept->first < kept->end && is_beside(kept->files[kept->first].name, text))
		drop_first(kept);
}

static bool is_newest(const struct kept *kept, size_t i)
{
	for (size_t after = i + 1; after < kept->end; after++)
		if (!is_beside(kept->files[after].name, kept->files[i].name))
			return false;
	return true;
}

/* For so much more, which is what somebody just typed: it is kept, though it may be too large altogether and pass the
 * bound, until something else comes. `more` false: for nothing, and what is newest stays. */
static void make_room(struct kept *kept, uint64_t bytes, unsigned files, bool more)
{
	uint64_t left = bytes <= kept->max_bytes ? kept->max_bytes - bytes : kept->max_bytes;

	while (kept->first < kept->end && (kept->end - kept->first + files > KEPT_FILES_MAX || kept->bytes > left) &&
	       (more || !is_newest(kept, kept->first)))
		drop_oldest(kept);
}

/* Names begin with the time, so their order is that of their age. */
static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct kept_file *)a)->name, ((const struct kept_file *)b)->name);
}

static void read_directory(struct kept *kept)
{
	int copy = openat(kept->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;
	struct stat st;

	if (!stream) {
		if (copy >= 0)
			close(copy);
		return;
	}
	while ((entry = readdir(stream)))
		if (fstatat(kept->dir, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
			remember(kept, entry->d_name, blocks((uint64_t)st.st_size));
	closedir(stream);
	if (kept->end)
		qsort(kept->files, kept->end, sizeof *kept->files, by_name);
	make_room(kept, 0, 0, false);
}

/* --- Open, close ----------------------------------------------------------------------------- */

int kept_open(const struct settings *settings, enum kept_place place, struct kept **ret, struct error *e)
{
	struct kept *kept = calloc(1, sizeof *kept);

	if (!kept)
		return error_set(e, ENOMEM, "out of memory");
	kept->place = place;
	kept->dir = directory_make_in(settings->state_dir, kept_place_name(place));
	if (kept->dir < 0) {
		int err = -kept->dir;

		free(kept);
		return error_set(e, err, "cannot make %s/%s for refused texts: %s", settings->state_dir,
				 kept_place_name(place), strerror(err));
	}
	kept->max_bytes = settings->rejected_max;
	read_directory(kept);
	pthread_mutex_init(&kept->lock, NULL);
	*ret = kept;
	return 0;
}

void kept_close(struct kept *kept)
{
	if (!kept)
		return;
	for (size_t i = kept->first; i < kept->end; i++)
		free(kept->files[i].name);
	free(kept->files);
	close(kept->dir);
	pthread_mutex_destroy(&kept->lock);
	free(kept);
}

/* --- Names ----------------------------------------------------------------------------------- */

enum { STAMP_LEN = sizeof "20260102T030405Z-123456-" - 1, TAIL_MAX = 180 };

/* The end of a path as the end of a name: '/' as '+'. */
static void print_tail(const char *path, char ret[TAIL_MAX + 1])
{
	size_t len = strlen(path);
	const char *tail = len > TAIL_MAX ? path + len - TAIL_MAX : path;

	while (((unsigned char)*tail & 0xc0) == 0x80) /* not in the middle of a character */
		tail++;
	snprintf(ret, TAIL_MAX + 1, "%s", tail);
	for (char *c = ret; *c; c++)
		if (*c == '/')
			*c = '+';
}

/* The time, to the microsecond, then the path. */
static void print_name(int64_t us, const char *path, char ret[KEPT_NAME_SIZE])
{
	time_t seconds = (time_t)(us / 1000000);
	char tail[TAIL_MAX + 1];
	struct tm tm;
	size_t n;

	gmtime_r(&seconds, &tm);
	n = strftime(ret, KEPT_NAME_SIZE, "%Y%m%dT%H%M%SZ-", &tm);
	print_tail(path, tail);
	snprintf(ret + n, KEPT_NAME_SIZE - n, "%06u-%s", (unsigned)(us % 1000000), tail);
}

bool kept_is_of(const char *name, const char *path)
{
	char tail[TAIL_MAX + 1];

	print_tail(path, tail);
	return strlen(name) > STAMP_LEN && strcmp(name + STAMP_LEN, tail) == 0;
}

static void print_beside(const char *name, const char *suffix, char ret[KEPT_NAME_SIZE])
{
	snprintf(ret, KEPT_NAME_SIZE, "%s%s", name, suffix);
}

/* --- Writing --------------------------------------------------------------------------------- */

/* Fill an open file, over what it has: shortened last, so that it is never without content in between. */
static int fill_file(int fd, const struct asker *asker, const char *data, size_t len)
{
	int r = write_all(fd, data, len);

	if (r == 0 && ftruncate(fd, (off_t)len) < 0)
		r = -errno;
	if (r == 0 && geteuid() == 0 && fchown(fd, asker->uid, asker->gid) < 0)
		r = -errno;
	return r == 0 && fsync(fd) < 0 ? -errno : r;
}

/* `flags` O_EXCL: a file that is not there yet. 0 or -errno; then there is none. */
static int write_file(struct kept *kept, const struct asker *asker, const char *name, int flags, const char *data,
		      size_t len)
{
	_cleanup_close_ int fd =
		openat(kept->dir, name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC | flags, 0600);
	int r;

	if (fd < 0)
		return -errno;
	if (!(flags & O_EXCL))
		kept_taken(kept, name);
	r = fill_file(fd, asker, data, len);
	if (r < 0) {
		unlinkat(kept->dir, name, 0);
		return r;
	}
	pthread_mutex_lock(&kept->lock);
	remember(kept, name, blocks(len));
	pthread_mutex_unlock(&kept->lock);
	return 0;
}

/* What others have put there is not written to, nor believed. */
static bool is_of(struct kept *kept, const char *name, uid_t uid)
{
	struct stat st;

	return fstatat(kept->dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
	       (geteuid() != 0 || st.st_uid == uid);
}

/* What stands beside a text, in place of what did: the same file, since the kernel may know it. */
static int write_beside(struct kept *kept, const struct asker *asker, const char *name, const char *suffix,
			const char *data, size_t len)
{
	char beside[KEPT_NAME_SIZE];

	print_beside(name, suffix, beside);
	if (!is_of(kept, beside, asker->uid) && unlinkat(kept->dir, beside, 0) == 0)
		kept_taken(kept, beside);
	return write_file(kept, asker, beside, 0, data, len);
}

static int write_text(struct kept *kept, const struct asker *asker, const struct kept_text *text,
		      char ret_name[KEPT_NAME_SIZE])
{
	int64_t us = clock_us(CLOCK_REALTIME);
	int r;

	do { /* of two that come at once, here or in another mount, one is a microsecond later */
		print_name(us++, asker->path, ret_name);
		r = write_file(kept, asker, ret_name, O_EXCL, text->data, text->len);
	} while (r == -EEXIST);
	return r;
}

static uint64_t needs(const struct kept_text *text)
{
	uint64_t bytes = blocks(text->len) + KEPT_BLOCK; /* and its .error */

	if (text->base)
		bytes += blocks(text->base->len);
	if (text->theirs)
		bytes += blocks(text->theirs->len);
	return bytes;
}

int kept_add(struct kept *kept, const struct asker *asker, const struct kept_text *text, bool conflict,
	     char ret_name[KEPT_NAME_SIZE])
{
	int r, beside = 0;

	pthread_mutex_lock(&kept->lock);
	make_room(kept, needs(text), 1 + KEPT_SUFFIXES, true);
	pthread_mutex_unlock(&kept->lock);
	r = write_text(kept, asker, text, ret_name);
	if (r < 0)
		return r;
	if (text->base || text->inserted)
		beside = write_beside(kept, asker, ret_name, KEPT_BASE, text->base ? text->base->data : "",
				      text->base ? text->base->len : 0);
	if (beside == 0 && conflict)
		beside = kept_put_theirs(kept, asker, ret_name, text->theirs);
	if (fsync(kept->dir) < 0)
		log_warning("the directory of kept texts cannot be synchronised: %s", strerror(errno));
	if (beside < 0) /* the text itself is there */
		log_error("what %s was made of could not be kept: %s", ret_name, strerror(-beside));
	return 0;
}

int kept_put_error(struct kept *kept, const struct asker *asker, const char *name, const struct buf *error)
{
	return write_beside(kept, asker, name, KEPT_ERROR, error->data, error->len);
}

int kept_put_theirs(struct kept *kept, const struct asker *asker, const char *name, const struct text *theirs)
{
	return write_beside(kept, asker, name, KEPT_THEIRS, theirs ? theirs->data : "", theirs ? theirs->len : 0);
}

/* --- What a text was made of ----------------------------------------------------------------- */

/* 0 with a text, also an empty one; NULL if there is no such file. */
static int read_beside(struct kept *kept, const char *name, const char *suffix, struct text **ret)
{
	char beside[KEPT_NAME_SIZE];
	_cleanup_buf_ struct buf data = {0};
	_cleanup_close_ int fd = -1;
	struct version version;
	struct stat st;
	int r;

	*ret = NULL;
	print_beside(name, suffix, beside);
	if (fstatat(kept->dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !is_of(kept, beside, st.st_uid))
		return 0;
	fd = openat(kept->dir, beside, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	r = scratch_get(fd, &data);
	if (r < 0)
		return r;
	version = version_of(data.data ? data.data : "", data.len, NULL);
	*ret = text_new(data.data ? data.data : "", data.len, &version, 0);
	return *ret ? 0 : -ENOMEM;
}

void kept_origin_done(struct kept_origin *origin)
{
	text_unref(origin->base);
	text_unref(origin->theirs);
	*origin = (struct kept_origin){0};
}

/* An empty file says that there is no row. */
static void take_none(struct text **text, bool *ret_none)
{
	*ret_none = *text && (*text)->len == 0;
	if (!*ret_none)
		return;
	text_unref(*text);
	*text = NULL;
}

int kept_origin(struct kept *kept, const char *name, const char *path, struct kept_origin *ret)
{
	struct kept_origin origin = {0};
	bool inserted = false;
	int r = 0;

	if (kept_is_of(name, path))
		r = read_beside(kept, name, KEPT_BASE, &origin.base);
	origin.known = origin.base;
	if (r == 0 && origin.known)
		r = read_beside(kept, name, KEPT_THEIRS, &origin.theirs);
	take_none(&origin.base, &inserted);
	take_none(&origin.theirs, &origin.deleted);
	if (r < 0)
		kept_origin_done(&origin);
	*ret = origin;
	return r;
}

void kept_settled(struct kept *kept, const char *name)
{
	char beside[KEPT_NAME_SIZE];

	for (size_t i = 0; i < KEPT_SUFFIXES; i++) {
		print_beside(name, kept_suffixes[i], beside);
		if (unlinkat(kept->dir, beside, 0) == 0)
			kept_taken(kept, beside);
	}
}

void kept_taken(struct kept *kept, const char *name)
{
	struct kept_file *file = NULL;

	pthread_mutex_lock(&kept->lock);
	for (size_t i = kept->first; i < kept->end && !file; i++)
		if (strcmp(kept->files[i].name, name) == 0)
			file = &kept->files[i];
	if (file) {
		free(file->name);
		kept->bytes -= file->bytes;
		kept->end--;
		memmove(file, file + 1, (size_t)(&kept->files[kept->end] - file) * sizeof *file);
	}
	pthread_mutex_unlock(&kept->lock);
}

void kept_came(struct kept *kept, const char *name)
{
	struct stat st;

	kept_taken(kept, name);
	if (fstatat(kept->dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return;
	pthread_mutex_lock(&kept->lock);
	remember(kept, name, blocks((uint64_t)st.st_size));
	pthread_mutex_unlock(&kept->lock);
}
