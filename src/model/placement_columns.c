#include "placement_columns.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char blanks[] = " \t\r\n";

/* Is a blank here, outside of quotes, one beside a comma? */
static bool goes_on(const char *text, const char *at)
{
	const char *next = at + strspn(at, blanks);

	if (*next == ',')
		return true;
	while (at > text && strchr(blanks, at[-1]))
		at--;
	return at > text && at[-1] == ',' && *next;
}

size_t placement_columns_len(const char *text)
{
	bool quoted = false;
	const char *at;

	for (at = text; *at && (quoted || !strchr(blanks, *at) || goes_on(text, at)); at++)
		quoted ^= *at == '"';
	return (size_t)(at - text);
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || c == '_' || (c & 0x80);
}

static bool is_plain(const char *name)
{
	if (!is_letter(*name))
		return false;
	while (is_letter(*name) || (*name >= '0' && *name <= '9') || *name == '$')
		name++;
	return !*name;
}

static void print_name(const char *name, struct buf *out)
{
	if (is_plain(name)) {
		buf_adds(out, name);
		return;
	}
	buf_addc(out, '"');
	for (; *name; name++) {
		if (*name == '"')
			buf_addc(out, '"');
		buf_addc(out, *name);
	}
	buf_addc(out, '"');
}

/* Takes a name off the text, in quotes or folded to lower case, as SQL does with those of columns. False: it is none. */
static bool take_name(const char **at, char ret[PLACEMENT_NAME_MAX + 1])
{
	bool quoted = **at == '"';
	const char *p = *at + quoted;
	size_t n = 0;

	for (; *p && (quoted || !strchr(",\" \t\r\n", *p)); p++) {
		if (quoted && *p == '"' && *++p != '"') {
			quoted = false;
			break;
		}
		if (n == PLACEMENT_NAME_MAX)
			return false;
		ret[n++] = **at != '"' && *p >= 'A' && *p <= 'Z' ? (char)(*p - 'A' + 'a') : *p;
	}
	ret[n] = '\0';
	if (quoted || n == 0 || (**at != '"' && !is_plain(ret)))
		return false;
	*at = p;
	return true;
}

bool placement_next_column(const char **at, char ret[PLACEMENT_NAME_MAX + 1])
{
	*at += **at == ',';
	return take_name(at, ret);
}

static bool has_column(const char *columns, const char *name)
{
	char other[PLACEMENT_NAME_MAX + 1];

	while (columns && placement_next_column(&columns, other))
		if (strcmp(name, other) == 0)
			return true;
	return false;
}

static int add_column(const char *name, struct buf *columns, struct error *e)
{
	if (has_column(columns->data, name))
		return error_set(e, EINVAL, "columns=: \"%s\" is there twice", name);
	if (columns->len)
		buf_addc(columns, ',');
	print_name(name, columns);
	if (columns->len > PLACEMENT_COLUMNS_MAX)
		return error_set(e, EINVAL, "columns=: the list is longer than %d bytes", PLACEMENT_COLUMNS_MAX);
	return columns->failed ? error_set(e, ENOMEM, "out of memory") : 0;
}

int placement_set_columns(const char *text, struct placement *to, struct error *e)
{
	_cleanup_buf_ struct buf columns = {0};
	char name[PLACEMENT_NAME_MAX + 1];
	const char *at = text + strspn(text, blanks);
	int r = 0;

	if (!*at)
		return error_set(e, EINVAL, "columns= needs names, such as columns=id,name");
	while (r == 0) {
		if (!take_name(&at, name))
			return error_set(e, EINVAL, "columns=: expected a column's name at \"%.*s\"; one with other than "
			                            "letters, digits and _ stands in double quotes",
			                 (int)strnlen(at, 60), at);
		r = add_column(name, &columns, e);
		at += strspn(at, blanks);
		if (r == 0 && !*at)
			break;
		if (r == 0 && *at++ != ',')
			r = error_set(e, EINVAL, "columns=: expected a comma after \"%s\"", name);
		at += strspn(at, blanks);
	}
	if (r < 0)
		return r;
	to->columns = buf_steal(&columns);
	return to->columns ? 0 : error_set(e, ENOMEM, "out of memory");
}

int placement_copy_columns(const struct placement *from, struct placement *to)
{
	char *columns = from->columns ? strdup(from->columns) : NULL;

	if (from->columns && !columns)
		return -ENOMEM;
	if (columns) {
		free(to->columns);
		to->columns = columns;
	}
	return 0;
}
