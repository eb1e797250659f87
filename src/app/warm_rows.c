#include "warm_rows.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rowfs/base/cleanup.h"
#include "rowfs/fuse/warm.h"
#include "rowfs/model/name.h"

void warm_rows_done(struct warm_rows *rows)
{
	for (size_t i = 0; i < rows->n_directories; i++) {
		free(rows->directories[i].path);
		buf_done(&rows->directories[i].names);
	}
	free(rows->directories);
	*rows = (struct warm_rows){0};
}

static int out_of_memory(struct error *e)
{
	return error_set(e, ENOMEM, "out of memory");
}

/* The last one, if it is this; else another. NULL: out of memory. */
static struct warm_directory *directory_of(struct warm_rows *rows, const char *path, bool named)
{
	struct warm_directory *last = rows->n_directories ? &rows->directories[rows->n_directories - 1] : NULL, *more;

	if (last && last->named == named && strcmp(last->path, path) == 0)
		return last;
	more = realloc(rows->directories, (rows->n_directories + 1) * sizeof *more);
	if (!more)
		return NULL;
	rows->directories = more;
	last = &more[rows->n_directories];
	*last = (struct warm_directory){.path = strdup(path), .named = named};
	rows->n_directories += last->path != NULL;
	return last->path ? last : NULL;
}

static int add(struct warm_rows *rows, const char *directory, const char *name, bool named, struct error *e)
{
	struct warm_directory *to = directory_of(rows, directory, named);

	if (!to)
		return out_of_memory(e);
	buf_add(&to->names, name, strlen(name) + 1);
	if (to->names.failed)
		return out_of_memory(e);
	to->n++;
	rows->n++;
	return 0;
}

/* --- Directories ----------------------------------------------------------------------------- */

/* Before anything is listed: what is no rowfs may be large. */
static int check_mount(int fd, const char *path, struct error *e)
{
	_cleanup_free_ struct warm_exchange *nothing = calloc(1, sizeof *nothing);

	if (!nothing)
		return out_of_memory(e);
	if (ioctl(fd, WARM_IOCTL, nothing) == 0)
		return 0;
	return error_set(e, errno, "%s: %s", path, errno == ENOTTY ? "it is in no rowfs" : strerror(errno));
}

static bool is_row(const char *name)
{
	size_t len = strlen(name), suffix = strlen(NAME_SUFFIX);

	return name[0] != '.' && len > suffix && strcmp(name + len - suffix, NAME_SUFFIX) == 0;
}

static int take_directory(struct warm_rows *rows, const char *path, const char *pattern, struct error *e);

static int take_entry(struct warm_rows *rows, const char *path, const struct dirent *entry, const char *pattern,
		      struct error *e)
{
	_cleanup_buf_ struct buf below = {0};

	if (entry->d_name[0] == '.' || (pattern && fnmatch(pattern, entry->d_name, FNM_PERIOD) != 0))
		return 0;
	if (entry->d_type != DT_DIR)
		return is_row(entry->d_name) ? add(rows, path, entry->d_name, false, e) : 0;
	buf_addf(&below, "%s/%s", path, entry->d_name);
	return below.failed ? out_of_memory(e) : take_directory(rows, below.data, NULL, e);
}

static int take_entries(struct warm_rows *rows, DIR *directory, const char *path, const char *pattern, struct error *e)
{
	struct dirent *entry;
	int r = check_mount(dirfd(directory), path, e);

	while (r == 0) {
		errno = 0;
		entry = readdir(directory);
		if (!entry)
			return errno ? error_set(e, errno, "%s cannot be listed: %s", path, strerror(errno)) : 0;
		r = take_entry(rows, path, entry, pattern, e);
	}
	return r;
}

/* All that is below it; with a pattern, what of its entries matches, and all that is below that. */
static int take_directory(struct warm_rows *rows, const char *path, const char *pattern, struct error *e)
{
	DIR *directory = opendir(path);
	int r;

	if (!directory)
		return error_set(e, errno, "%s: %s", path, strerror(errno));
	r = take_entries(rows, directory, path, pattern, e);
	closedir(directory);
	return r;
}

/* --- Words ----------------------------------------------------------------------------------- */

static bool is_pattern(const char *word)
{
	return strpbrk(word, "*?[") != NULL;
}

/* "a/b/c" → "a/b", "c"; "c" → ".", "c". */
static char *split(const char *word, const char **ret_last)
{
	const char *slash = strrchr(word, '/');

	*ret_last = slash ? slash + 1 : word;
	if (!slash)
		return strdup(".");
	return strndup(word, slash == word ? 1 : (size_t)(slash - word));
}

static int take_each(struct warm_rows *rows, char *const *paths, size_t n, const char *last, struct error *e)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		struct stat st;

		if (stat(paths[i], &st) == 0 && S_ISDIR(st.st_mode))
			r = take_directory(rows, paths[i], *last ? last : NULL, e);
	}
	return r;
}

static int take_pattern(struct warm_rows *rows, const char *word, struct error *e)
{
	const char *last;
	_cleanup_free_ char *directory = split(word, &last);
	size_t before = rows->n;
	glob_t found = {0};
	int r;

	if (!directory)
		return out_of_memory(e);
	if (!is_pattern(directory)) {
		r = take_each(rows, &directory, 1, last, e);
	} else {
		r = glob(directory, 0, NULL, &found);
		r = r == 0 ? take_each(rows, found.gl_pathv, found.gl_pathc, last, e) :
		    r == GLOB_NOSPACE ? out_of_memory(e) : 0;
		globfree(&found);
	}
	if (r == 0 && rows->n == before)
		return error_set(e, ENOENT, "%s: nothing matches", word);
	return r;
}

int warm_rows_add(struct warm_rows *rows, const char *word, struct error *e)
{
	const char *name;
	_cleanup_free_ char *directory = split(word, &name);
	struct stat st;

	if (!directory)
		return out_of_memory(e);
	/* A row whose name looks like a pattern is meant as it is. */
	if (is_pattern(word) && lstat(word, &st) < 0)
		return take_pattern(rows, word, e);
	/* Looking for it would read it. */
	if (is_row(name))
		return add(rows, directory, name, true, e);
	if (stat(word, &st) < 0)
		return error_set(e, errno, "%s: %s", word, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return take_directory(rows, word, NULL, e);
	return error_set(e, EINVAL, "%s: it is neither a row nor a directory", word);
}
