#include "kept_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "read_file.h"
#include "record.h"
#include "rowfs/engine/kept.h"

/* Without what stands after the name of a text. */
static void strip_suffix(char *path)
{
	size_t len = strlen(path);

	for (size_t i = 0; i < KEPT_SUFFIXES; i++) {
		size_t n = strlen(kept_suffixes[i]);

		if (len > n && strcmp(path + len - n, kept_suffixes[i]) == 0)
			path[len - n] = '\0';
	}
}

/* What is before /.rowfs/rejected/NAME or /.rowfs/conflicts/NAME; NULL if the path is none such. */
static char *find_mountpoint(const char *path)
{
	for (enum kept_place place = 0; place < KEPT_PLACES; place++) {
		char directory[64];
		const char *at;

		snprintf(directory, sizeof(directory), "/.rowfs/%s/", kept_place_name(place));
		at = strstr(path, directory);
		if (at && !strchr(at + strlen(directory), '/'))
			return strndup(path, at == path ? 1 : (size_t)(at - path));
	}
	return NULL;
}

/* 0 also if it is not there. */
static int read_beside(const struct kept_file *file, const char *suffix, struct buf *ret, bool *ret_has)
{
	_cleanup_buf_ struct buf path = {0};
	int r;

	buf_addf(&path, "%s%s", file->path, suffix);
	r = path.failed ? -ENOMEM : read_file(path.data, ret);
	*ret_has = r == 0;
	return r == -ENOENT ? 0 : r;
}

/* Whoever wrote the text can write its .error, too, and has others try it again. */
static bool is_row_of(const struct kept_file *file, const char *row)
{
	const char *name = strrchr(file->path, '/') + 1;

	for (const char *part = row; part; part = strchr(part, '/') ? strchr(part, '/') + 1 : NULL)
		if (*part == '\0' || *part == '/' || strncmp(part, "./", 2) == 0 || strncmp(part, "../", 3) == 0)
			return false;
	return kept_is_of(name, row);
}

/* What the .error says. */
static int read_reason(struct kept_file *file, struct error *e)
{
	_cleanup_buf_ struct buf line = {0};
	const char *row;
	yajl_val record;
	bool has;
	int r = read_beside(file, KEPT_ERROR, &line, &has);

	if (r < 0)
		return error_set(e, -r, "%s.error: %s", file->path, strerror(-r));
	record = has ? record_parse(line.data) : NULL;
	row = record ? record_get(record, "path") : NULL;
	if (!row) {
		yajl_tree_free(record);
		return error_set(e, ENOENT, "%s.error says nothing, so the text's row is not known; it can be moved there "
					    "by mv", file->path);
	}
	if (!is_row_of(file, row)) {
		yajl_tree_free(record);
		return error_set(e, EINVAL, "%s.error names another row than the text's", file->path);
	}
	file->row = strdup(row);
	record_print_reason(record, "", &file->reason);
	yajl_tree_free(record);
	file->record = buf_steal(&line);
	return file->row && file->record && !file->reason.failed ? 0 : error_set(e, ENOMEM, "out of memory");
}

static void forget_reason(struct kept_file *file)
{
	free(file->row);
	free(file->record);
	file->row = file->record = NULL;
	buf_reset(&file->reason);
}

bool kept_file_refused_again(struct kept_file *file)
{
	_cleanup_free_ char *before = file->record;

	file->record = NULL;
	forget_reason(file);
	return read_reason(file, NULL) == 0 && strcmp(file->record, before) != 0;
}

static int read_texts(struct kept_file *file, struct error *e)
{
	int r = read_file(file->path, &file->mine);

	if (r == 0)
		r = read_beside(file, KEPT_BASE, &file->base, &file->has_base);
	if (r == 0)
		r = read_beside(file, KEPT_THEIRS, &file->theirs, &file->has_theirs);
	return r < 0 ? error_set(e, -r, "%s: %s", file->path, strerror(-r)) : 0;
}

static int find(const char *path, struct kept_file *file, struct error *e)
{
	file->path = realpath(path, NULL);
	if (!file->path)
		return error_set(e, errno, "%s: %s", path, strerror(errno));
	strip_suffix(file->path);
	file->mountpoint = find_mountpoint(file->path);
	if (!file->mountpoint)
		return error_set(e, EINVAL, "%s is not in a mount's .rowfs/rejected or .rowfs/conflicts", path);
	return 0;
}

int kept_file_open(const char *path, struct kept_file *ret, struct error *e)
{
	struct kept_file file = {0};
	int r = find(path, &file, e);

	if (r == 0)
		r = read_reason(&file, e);
	if (r == 0)
		r = read_texts(&file, e);
	if (r < 0) {
		kept_file_done(&file);
		return r;
	}
	*ret = file;
	return 0;
}

void kept_file_done(struct kept_file *file)
{
	free(file->path);
	free(file->mountpoint);
	forget_reason(file);
	buf_done(&file->reason);
	buf_done(&file->mine);
	buf_done(&file->base);
	buf_done(&file->theirs);
}
