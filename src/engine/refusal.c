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

struct refusals {
	pthread_mutex_t lock;
	uint64_t max_bytes;
	int dir;
	struct refusal ring[REFUSALS_KEPT]; /* [lock] */
	int logged_err;                     /* [lock] what the log was told last, and when */
	int64_t logged_ms;                  /* [lock] */
	char logged[1024];                  /* [lock] */
	unsigned total;                     /* [lock] the newest is at (total - 1) mod REFUSALS_KEPT */
};

int refusals_open(const struct settings *settings, struct refusals **ret, struct error *e)
{
	struct refusals *refusals = calloc(1, sizeof *refusals);

	if (!refusals)
		return error_set(e, ENOMEM, "out of memory");
	refusals->max_bytes = settings->rejected_max;
	refusals->dir = directory_make_in(settings->state_dir, "rejected");
	if (refusals->dir < 0) {
		int err = -refusals->dir;

		free(refusals);
		return error_set(e, err, "cannot make %s/rejected for refused texts: %s",
				 settings->state_dir, strerror(err));
	}
	pthread_mutex_init(&refusals->lock, NULL);
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
	close(refusals->dir);
	pthread_mutex_destroy(&refusals->lock);
	free(refusals);
}

int refusals_dir(const struct refusals *refusals)
{
	return refusals->dir;
}

/* --- Kept texts ------------------------------------------------------------------------------ */

static uint64_t used(int dir, char *ret_oldest, size_t size)
{
	int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;
	uint64_t total = 0;

	ret_oldest[0] = '\0';
	if (!stream) {
		if (copy >= 0)
			close(copy);
		return 0;
	}
	while ((entry = readdir(stream))) {
		struct stat st;

		if (entry->d_name[0] == '.' || fstatat(dir, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		total += (uint64_t)st.st_size;
		/* Names begin with the time, so the first by name is the oldest. */
		if (!ret_oldest[0] || strcmp(entry->d_name, ret_oldest) < 0)
			snprintf(ret_oldest, size, "%s", entry->d_name);
	}
	closedir(stream);
	return total;
}

/* The newest is always kept: it is what somebody just typed. One that is too large altogether passes the
 * bound for a while; pushing out the others would not help it. */
static void make_room(struct refusals *refusals, size_t len)
{
	char oldest[256];

	if (len > refusals->max_bytes)
		return;
	while (used(refusals->dir, oldest, sizeof oldest) + len > refusals->max_bytes && oldest[0])
		if (unlinkat(refusals->dir, oldest, 0) < 0)
			return;
}

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
static int keep(struct refusals *refusals, const struct asker *asker, const char *text, size_t len,
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

/* A walk over a database that is gone fails once for each row; the log needs to hear of it once a second.
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

void refusals_add(struct refusals *refusals, const struct asker *asker, const struct error *e,
		  const char *text, size_t len)
{
	struct buf line = {0}, json = {0};
	struct refusal *slot;
	const char *kept = NULL;
	char name[256];
	bool repeated;
	int r = 0;

	count(refusals);
	if (text) {
		make_room(refusals, len);
		r = keep(refusals, asker, text, len, name, sizeof name);
		kept = name;
	}
	print_line(asker, e, r < 0 ? NULL : kept, &line);
	print_json(asker, e, r < 0 ? NULL : kept, &json);
	if (r < 0)
		log_error("the refused text of %s could not be kept: %s", asker->path, strerror(-r));
	pthread_mutex_lock(&refusals->lock);
	repeated = same_as_last(refusals, e);
	slot = &refusals->ring[refusals->total++ % REFUSALS_KEPT];
	refusal_done(slot);
	slot->uid = asker->uid;
	slot->line = buf_steal(&line);
	slot->json = buf_steal(&json);
	if (!repeated && slot->line)
		log_warning("%.*s (pid %d, uid %u)", (int)strlen(slot->line) - 1, slot->line,
			    (int)asker->pid, (unsigned)asker->uid);
	pthread_mutex_unlock(&refusals->lock);
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
