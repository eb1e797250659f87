/* Listings print every row they pass, so this allocates nothing but what `out` grows by, and moves
 * bytes in runs. */
#include "json_print.h"

#include <string.h>

#include "rowfs/model/json.h"

#include "decimal.h"
#include "utf8.h"

/* A double carries every integer up to 2^53, and every decimal of 15 significant digits that is
 * far enough from its limits (1e-307, 1e308). */
#define INTEGER_MAX "9007199254740992"
enum { INTEGER_MAX_DIGITS = 16, NUMERIC_DIGITS = 15, NUMERIC_TOP = 290 };

/* What follows the backslash, 'u' for \u00XX; 0 for bytes that stand for themselves. */
static const char escapes[256] = {
        [0 ... 7] = 'u', ['\b'] = 'b', ['\t'] = 't',        ['\n'] = 'n', [11] = 'u',
        ['\f'] = 'f',    ['\r'] = 'r', [14 ... 0x1f] = 'u', ['"'] = '"',  ['\\'] = '\\',
};

static void add_escape(struct buf *out, unsigned char byte)
{
	static const char digits[] = "0123456789abcdef";
	char escape = escapes[byte];

	buf_add(out, (char[]){'\\', escape}, 2);
	if (escape == 'u')
		buf_add(out, (char[]){'0', '0', digits[byte >> 4], digits[byte & 15]}, 4);
}

void json_print_inside(const char *text, size_t len, struct buf *out)
{
	const char *p = text, *end = text + len;

	while (p < end) {
		const char *run = p;

		while (p < end && !escapes[(unsigned char)*p])
			p++;
		if (p > run)
			buf_add(out, run, (size_t)(p - run));
		if (p < end)
			add_escape(out, (unsigned char)*p++);
	}
}

static void print_string(const char *text, size_t len, struct buf *out)
{
	buf_addc(out, '"');
	json_print_inside(text, len, out);
	buf_addc(out, '"');
}

void json_print_string(const char *string, size_t len, struct buf *out)
{
	const char *p = string, *end = string + len;

	buf_addc(out, '"');
	while (p < end) {
		size_t valid = utf8_valid(p, (size_t)(end - p));

		json_print_inside(p, valid, out);
		p += valid;
		if (p < end) {
			buf_adds(out, "\xef\xbf\xbd"); /* U+FFFD */
			p++;
		}
	}
	buf_addc(out, '"');
}

/* Would a reader that keeps numbers as doubles keep this one? */
static bool number_is_safe(enum type_kind kind, const char *text, size_t len)
{
	struct decimal d;

	if (!decimal_parse(text, len, &d) || !d.json)
		return false;
	if (kind == TYPE_FLOAT)
		return true;
	if (kind == TYPE_NUMERIC)
		return d.digits == 0 ||
		       (d.digits <= NUMERIC_DIGITS && d.top < NUMERIC_TOP && d.top > -NUMERIC_TOP);
	return d.integer && (d.digits < INTEGER_MAX_DIGITS ||
	                     (d.digits == INTEGER_MAX_DIGITS &&
	                      memcmp(d.first, INTEGER_MAX, INTEGER_MAX_DIGITS) <= 0));
}

void json_print_scalar(enum type_kind kind, const char *text, size_t len, struct buf *out)
{
	bool number = kind == TYPE_INTEGER || kind == TYPE_FLOAT || kind == TYPE_NUMERIC;

	if (number && number_is_safe(kind, text, len))
		buf_add(out, text, len);
	else if (kind == TYPE_BOOL && len == 1 && text[0] == 't')
		buf_add(out, "true", 4);
	else if (kind == TYPE_BOOL && len == 1 && text[0] == 'f')
		buf_add(out, "false", 5);
	else
		print_string(text, len, out);
}

static void print_value(const struct type *type, struct cell cell, struct buf *out)
{
	if (!cell.data)
		buf_add(out, "null", 4);
	else if (type->kind == TYPE_ARRAY)
		json_print_array(type, cell.data, cell.len, out);
	else if (type->kind == TYPE_JSON || type->kind == TYPE_JSONB)
		json_print_json(type->kind, cell.data, cell.len, out);
	else
		json_print_scalar(type->kind, cell.data, cell.len, out);
}

static void print(const struct relation *relation, const struct cell *cells, bool all, struct buf *out)
{
	bool first = true;

	buf_addc(out, '{');
	for (size_t i = 0; i < relation->n_columns; i++) {
		const struct column *column = &relation->columns[i];

		if (column->cold && !all)
			continue;
		buf_adds(out, first ? "\n  " : ",\n  ");
		print_string(column->name, strlen(column->name), out);
		buf_add(out, ": ", 2);
		print_value(column->type, cells[i], out);
		first = false;
	}
	buf_adds(out, first ? "}\n" : "\n}\n");
}

void json_print(const struct relation *relation, const struct cell *cells, struct buf *out)
{
	print(relation, cells, true, out);
}

void json_print_kept(const struct relation *relation, const struct cell *cells, struct buf *out)
{
	print(relation, cells, false, out);
}
