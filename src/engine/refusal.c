#include "rowfs/engine/refusal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "rowfs/base/clock.h"
#include "rowfs/base/counters.h"
#include "rowfs/base/directory.h"
#include "rowfs/base/log.h"
#include "rowfs/model/json.h"

struct refusal {
	uid_t uid;
	char *line; /* for people */
	char *json; /* for programs */
};

/* A text in the directory. `bytes` is what it takes there. */
struct kept_text {
	char *name;
	uint64_t bytes;
};

struct refusals {
	pthread_mutex_t lock;
	int dir;
	pthread_mutex_t kept_lock;  /* the directory is read once, when it is opened */
	struct kept_text *kept;     /* [kept_lock] oldest first, from `first` on */
	size_t first, end, room;    /* [kept_lock] */
	uint64_t bytes, max_bytes;  /* [kept_lock] */
	struct refusal ring[REFUSALS_KEPT]; /* [lock] */
	int logged_err;                     /* [lock] what the log was told last, and when */
	int64_t logged_ms;                  /* [lock] */
	char logged[1024];                  /* [lock] */
	unsigned total;                     /* [lock] the newest is at (total - 1) mod REFUSALS_KEPT */
};

/* --- What is kept; with the lock held -------------------------------------------------------- */

static uint64_t blocks(uint64_t len)
{
	return (len + REFUSALS_BLOCK - 1) / REFUSALS_BLOCK * REFUSALS_BLOCK;
}

/* Make room for one more at the end. */
static int grow(struct refusals *refusals)
{
	size_t n = refusals->end - refusals->first;
	struct kept_text *grown;

	if (refusals->end < refusals->room)
		return 0;
	if (n)
		memmove(refusals->kept, refusals->kept + refusals->first, n * sizeof *grown);
	refusals->first = 0;
	refusals->end = n;
	if (n < refusals->room / 2)
		return 0;
	grown = realloc(refusals->kept, (2 * n + 64) * sizeof *grown);
	if (!grown)
		return -ENOMEM;
	refusals->kept = grown;
	refusals->room = 2 * n + 64;
	return 0;
}

/* One that cannot be remembered for want of memory counts again when the directory is read anew. */
static void remember(struct refusals *refusals, const char *name, uint64_t bytes)
{
	char *copy = strdup(name);

	if (!copy || grow(refusals) < 0) {
		free(copy);
		return;
	}
	refusals->kept[refusals->end++] = (struct kept_text){copy, bytes};
	refusals->bytes += bytes;
}

static void drop_oldest(struct refusals *refusals)
{
	struct kept_text *oldest = &refusals->kept[refusals->first++];

	unlinkat(refusals->dir, oldest->name, 0);
	refusals->bytes -= oldest->bytes;
	free(oldest->name);
}

/* The newest is always kept: it is what somebody just typed. One that is too large altogether passes the
 * bound for a while; pushing out the others would not help it. */
static void make_room(struct refusals *refusals, uint64_t bytes)
{
	bool helps = bytes <= refusals->max_bytes;

	while (refusals->first < refusals->end &&
	       (refusals->end - refusals->first >= REFUSALS_TEXTS_MAX ||
		(helps && refusals->bytes + bytes > refusals->max_bytes)))
		drop_oldest(refusals);
}

/* Names begin with the time, so their order is that of their age. */
static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct kept_text *)a)->name, ((const struct kept_text *)b)->name);
}

static void read_directory(struct refusals *refusals)
{
	int copy = openat(refusals->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;
	struct stat st;

	if (!stream) {
		if (copy >= 0)
			close(copy);
		return;
	}
	while ((entry = readdir(stream)))
		if (fstatat(refusals->dir, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode))
			remember(refusals, entry->d_name, blocks((uint64_t)st.st_size));
	closedir(stream);
	if (refusals->end)
		qsort(refusals->kept, refusals->end, sizeof *refusals->kept, by_name);
	make_room(refusals, 0);
}

/* --- Open, close ----------------------------------------------------------------------------- */

int refusals_open(const struct settings *settings, struct refusals **ret, struct error *e)
{
	struct refusals *refusals = calloc(1, sizeof *refusals);

	if (!refusals)
		return error_set(e, ENOMEM, "out of memory");
	refusals->dir = directory_make_in(settings->state_dir, "rejected");
	if (refusals->dir < 0) {
		int err = -refusals->dir;

		free(refusals);
		return error_set(e, err, "cannot make %s/rejected for refused texts: %s",
				 settings->state_dir, strerror(err));
	}
	refusals->max_bytes = settings->rejected_max;
	read_directory(refusals);
	pthread_mutex_init(&refusals->lock, NULL);
	pthread_mutex_init(&refusals->kept_lock, NULL);
	*ret = refusals;
	return 0;
}

static void refusal_done(struct refusal *refusal)
{
	free(refusal->line);
	free(refusal->json);
	*refusal = (struct refusal){0};
}

void refusals_close(struct refusals *refusals)
{
	if (!refusals)
		return;
	for (unsigned i = 0; i < REFUSALS_KEPT; i++)
		refusal_done(&refusals->ring[i]);
	for (size_t i = refusals->first; i < refusals->end; i++)
		free(refusals->kept[i].name);
	free(refusals->kept);
	close(refusals->dir);
	pthread_mutex_destroy(&refusals->kept_lock);
	pthread_mutex_destroy(&refusals->lock);
	free(refusals);
}

int refusals_dir(const struct refusals *refusals)
{
	return refusals->dir;
}

/* --- Kept texts ------------------------------------------------------------------------------ */

static int write_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

/* A file name of the time, to the microsecond, and the path, '/' as '+'. */
static void kept_name(int64_t us, const char *path, char *ret, size_t size)
{
	size_t path_len = strlen(path);
	const char *tail = path_len > 180 ? path + path_len - 180 : path;
	time_t seconds = (time_t)(us / 1000000);
	struct tm tm;
	size_t n;

	gmtime_r(&seconds, &tm);
	n = strftime(ret, size, "%Y%m%dT%H%M%SZ-", &tm);
	snprintf(ret + n, size - n, "%06u-%s", (unsigned)(us % 1000000), tail);
	for (char *c = ret; *c; c++)
		if (*c == '/')
			*c = '+';
}

/* Returns 0 and the file's name, or -errno. */
static int write_kept(struct refusals *refusals, const struct asker *asker, const char *text, size_t len,
		char *ret_name, size_t size)
{
	int64_t us = clock_us(CLOCK_REALTIME);
	_cleanup_close_ int fd = -1;
	int r;

	do { /* of two that come at once, here or in another mount, one is a microsecond later */
		kept_name(us++, asker->path, ret_name, size);
		fd = openat(refusals->dir, ret_name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	} while (fd < 0 && errno == EEXIST);
	if (fd < 0)
		return -errno;
	r = write_all(fd, text, len);
	if (r == 0 && geteuid() == 0 && fchown(fd, asker->uid, asker->gid) < 0)
		r = -errno;
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(refusals->dir, ret_name, 0);
	return r;
}

static int keep(struct refusals *refusals, const struct asker *asker, const char *text, size_t len,
		char *ret_name, size_t size)
{
	uint64_t bytes = blocks(len);
	int r;

	pthread_mutex_lock(&refusals->kept_lock);
	make_room(refusals, bytes);
	pthread_mutex_unlock(&refusals->kept_lock);
	r = write_kept(refusals, asker, text, len, ret_name, size);
	if (r == 0) {
		pthread_mutex_lock(&refusals->kept_lock);
		remember(refusals, ret_name, bytes);
		pthread_mutex_unlock(&refusals->kept_lock);
	}
	return r;
}

void refusals_taken(struct refusals *refusals, const char *name)
{
	struct kept_text *kept = NULL;

	pthread_mutex_lock(&refusals->kept_lock);
	for (size_t i = refusals->first; i < refusals->end && !kept; i++)
		if (strcmp(refusals->kept[i].name, name) == 0)
			kept = &refusals->kept[i];
	if (kept) {
		free(kept->name);
		refusals->bytes -= kept->bytes;
		refusals->end--;
		memmove(kept, kept + 1, (size_t)(&refusals->kept[refusals->end] - kept) * sizeof *kept);
	}
	pthread_mutex_unlock(&refusals->kept_lock);
}

/* --- Lines ----------------------------------------------------------------------------------- */

static void print_time(struct buf *out)
{
	char text[40];
	time_t now = time(NULL);
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
	buf_adds(out, text);
}

static void print_line(const struct asker *asker, const struct error *e, const char *kept,
		       struct buf *out)
{
	print_time(out);
	buf_addf(out, " %s: %s: ", asker->path, strerrorname_np(e->err));
	if (e->line)
		buf_addf(out, "line %u, column %u: ", e->line, e->column);
	buf_adds(out, e->message);
	if (e->detail[0])
		buf_addf(out, "; %s", e->detail);
	if (e->hint[0])
		buf_addf(out, "; hint: %s", e->hint);
	if (e->sqlstate[0])
		buf_addf(out, " [SQLSTATE %s]", e->sqlstate);
	if (kept)
		buf_addf(out, " (the text is kept in .rowfs/rejected/%s)", kept);
	/* No file name or message shall make up a line, or drive the terminal that shows it. */
	for (size_t i = 0; i < out->len; i++)
		if ((unsigned char)out->data[i] < 0x20 || out->data[i] == 0x7f)
			out->data[i] = ' ';
	buf_addc(out, '\n');
}

static void print_member(const char *name, const char *value, struct buf *out)
{
	if (!value || !value[0])
		return;
	buf_addf(out, ", \"%s\": ", name);
	json_print_string(value, strlen(value), out);
}

static void print_json(const struct asker *asker, const struct error *e, const char *kept,
		       struct buf *out)
{
	buf_adds(out, "{\"time\": \"");
	print_time(out);
	buf_addf(out, "\", \"pid\": %d, \"uid\": %u", (int)asker->pid, (unsigned)asker->uid);
	print_member("path", asker->path, out);
	print_member("errno", strerrorname_np(e->err), out);
	print_member("sqlstate", e->sqlstate, out);
	print_member("message", e->message, out);
	print_member("detail", e->detail, out);
	print_member("hint", e->hint, out);
	print_member("field", e->field, out);
	if (e->line)
		buf_addf(out, ", \"line\": %u, \"column\": %u", e->line, e->column);
	if (kept) {
		_cleanup_buf_ struct buf path = {0};

		buf_addf(&path, ".rowfs/rejected/%s", kept);
		print_member("kept", path.data, out);
	}
	buf_adds(out, "}\n");
}

/* A walk over a database that is gone fails once for each row; it is enough to hear of it once a second.
 * With the lock held. */
static bool same_as_last(struct refusals *refusals, const struct error *e)
{
	int64_t now = clock_monotonic_ms();
	bool same = refusals->logged_err == e->err && now - refusals->logged_ms < 1000 &&
		    strcmp(refusals->logged, e->message) == 0;

	if (!same) {
		refusals->logged_err = e->err;
		refusals->logged_ms = now;
		memcpy(refusals->logged, e->message, sizeof refusals->logged);
	}
	return same;
}

/* What is repeated is not logged again; a save's refusal is recorded all the same. `kept`: the text's file. */
static void record(struct refusals *refusals, const struct asker *asker, const struct error *e,
		   const char *kept, bool save)
{
	struct buf line = {0}, json = {0};
	struct refusal *slot;
	bool repeated;

	pthread_mutex_lock(&refusals->lock);
	repeated = same_as_last(refusals, e);
	if (save || !repeated) {
		print_line(asker, e, kept, &line);
		print_json(asker, e, kept, &json);
		slot = &refusals->ring[refusals->total++ % REFUSALS_KEPT];
		refusal_done(slot);
		slot->uid = asker->uid;
		slot->line = buf_steal(&line);
		slot->json = buf_steal(&json);
		if (!repeated && slot->line)
			log_warning("%.*s (pid %d, uid %u)", (int)strlen(slot->line) - 1, slot->line,
				    (int)asker->pid, (unsigned)asker->uid);
	}
	pthread_mutex_unlock(&refusals->lock);
}

void refusals_add(struct refusals *refusals, const struct asker *asker, const struct error *e,
		  const char *text, size_t len)
{
	char name[256];
	int r = 0;

	count(refusals);
	if (text)
		r = keep(refusals, asker, text, len, name, sizeof name);
	if (r < 0)
		log_error("the refused text of %s could not be kept: %s", asker->path, strerror(-r));
	record(refusals, asker, e, text && r == 0 ? name : NULL, true);
}

void refusals_add_read(struct refusals *refusals, const struct asker *asker, const struct error *e)
{
	record(refusals, asker, e, NULL, false);
}

/* --- Reading --------------------------------------------------------------------------------- */

static bool visible(const struct refusal *refusal, uid_t reader)
{
	return refusal->line && refusal->json && (reader == 0 || refusal->uid == reader);
}

void refusals_print_last(struct refusals *refusals, uid_t reader, struct buf *out)
{
	pthread_mutex_lock(&refusals->lock);
	for (unsigned i = refusals->total; i && refusals->total - i < REFUSALS_KEPT; i--) {
		struct refusal *refusal = &refusals->ring[(i - 1) % REFUSALS_KEPT];

		if (visible(refusal, reader)) {
			buf_adds(out, refusal->line);
			break;
		}
	}
	pthread_mutex_unlock(&refusals->lock);
}

void refusals_print_all(struct refusals *refusals, uid_t reader, struct buf *out)
{
	unsigned first;

	pthread_mutex_lock(&refusals->lock);
	first = refusals->total > REFUSALS_KEPT ? refusals->total - REFUSALS_KEPT : 0;
	for (unsigned i = first; i < refusals->total; i++)
		if (visible(&refusals->ring[i % REFUSALS_KEPT], reader))
			buf_adds(out, refusals->ring[i % REFUSALS_KEPT].json);
	pthread_mutex_unlock(&refusals->lock);
}
