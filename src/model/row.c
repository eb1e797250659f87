#include "rowfs/model/row.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int cells_copy(const struct cell *from, size_t n, struct cells *ret)
{
	size_t size = n * sizeof(*from);

	for (size_t i = 0; i < n; i++)
		size += from[i].data ? from[i].len + 1 : 0;

	struct cell *at = malloc(size ? size : 1);
	char *bytes = (char *)(at + n);

	if (!at)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		at[i] = (struct cell){0};
		if (!from[i].data)
			continue;
		memcpy(bytes, from[i].data, from[i].len);
		bytes[from[i].len] = '\0';
		at[i] = (struct cell){bytes, from[i].len};
		bytes += from[i].len + 1;
	}
	*ret = (struct cells){n, at};
	return 0;
}

void cells_done(struct cells *cells)
{
	free(cells->at);
	*cells = (struct cells){0};
}

bool cell_equal(struct cell a, struct cell b)
{
	if (!a.data || !b.data)
		return !a.data && !b.data;
	return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

bool cells_equal(const struct cells *a, const struct cells *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!cell_equal(a->at[i], b->at[i]))
			return false;
	return true;
}

struct cell cell_of(const char *string)
{
	return (struct cell){string, string ? strlen(string) : 0};
}

/* The seconds and nanoseconds of "1700000000.25"; false for what is no such number (Infinity) or
 * lies beyond any file system's time. */
static bool parse_time(const char *text, struct timespec *ret)
{
	char *end;
	bool negative = text[0] == '-';
	long long seconds;
	long nanoseconds = 0;

	if (!(text[negative] >= '0' && text[negative] <= '9'))
		return false;
	errno = 0;
	seconds = strtoll(text, &end, 10);
	if (errno || seconds > INT64_MAX / 4 || seconds < INT64_MIN / 4)
		return false;
	if (*end == '.') {
		long unit = 100000000;

		for (end++; *end >= '0' && *end <= '9'; end++, unit /= 10)
			nanoseconds += (*end - '0') * unit;
	}
	if (*end)
		return false;
	/* A timespec counts its nanoseconds forward, also before 1970. */
	if (negative && nanoseconds > 0) {
		seconds--;
		nanoseconds = 1000000000 - nanoseconds;
	}
	*ret = (struct timespec){.tv_sec = seconds, .tv_nsec = nanoseconds};
	return true;
}

static int parse_xid(struct cell cell, uint32_t *ret)
{
	char *end;
	unsigned long long xid;

	if (!cell.data) {
		*ret = 0;
		return 0;
	}
	if (!(cell.data[0] >= '0' && cell.data[0] <= '9'))
		return -EPROTO;
	errno = 0;
	xid = strtoull(cell.data, &end, 10);
	if (errno || *end || xid > UINT32_MAX)
		return -EPROTO;
	*ret = (uint32_t)xid;
	return 0;
}

int row_view(const struct relation *relation, const struct cell *cells, size_t n,
             struct row_view *ret)
{
	struct row_view view = {0};

	if (n != ROW_HEAD + relation->n_columns)
		return -EPROTO;

	int r = parse_xid(cells[ROW_XID], &view.xid);

	if (r < 0)
		return r;
	view.cells = cells + ROW_HEAD;
	view.ctid = cells[ROW_CTID];
	view.tableoid = cells[ROW_TABLEOID];
	if (cells[ROW_MTIME].data)
		view.has_mtime = parse_time(cells[ROW_MTIME].data, &view.mtime);
	if (!view.has_mtime && cells[ROW_XID].data) {
		view.has_mtime = true;
		view.mtime = row_mtime_derived(view.xid);
	}
	*ret = view;
	return 0;
}

void row_view_key(const struct relation *relation, const struct row_view *view, struct cell *ret)
{
	switch (relation->key_kind) {
	case KEY_COLUMNS:
		for (size_t i = 0; i < relation->n_parts; i++)
			ret[i] = view->cells[relation->parts[i].column];
		break;
	case KEY_CTID:
		ret[0] = view->ctid;
		break;
	case KEY_TABLEOID_CTID:
		ret[0] = view->tableoid;
		ret[1] = view->ctid;
		break;
	}
}

struct timespec row_mtime_derived(uint64_t x)
{
	return (struct timespec){.tv_sec = 315532800 + (time_t)(x % (UINT64_C(1) << 30))};
}
