/* Columns that hold structure. What has to be looked at before it is known how to print it (an
 * array that turns out to be no literal we know, an element to be wrapped) is printed first and
 * corrected in place, since nothing here may allocate. */
#include "json_print.h"

#include <string.h>

#include "array_literal.h"
#include "json_token.h"

/* Values nested deeper than this stay on one line: every line's indent grows with the depth, and a
 * small value of a few thousand brackets would become a huge text. */
enum { INDENT_DEPTH = 64 };

static const char wrap_open[] = "{\"%\": ";

/* Two spaces for each depth there can be. */
static void new_line(struct buf *out, size_t depth)
{
	static const char text[] = {'\n', [1 ... 2 * INDENT_DEPTH] = ' '};

	buf_add(out, text, 1 + 2 * depth);
}

/* The column's own depth is 1. */
static void print_indented(const char *text, size_t len, struct buf *out)
{
	const char *p = text, *end = text + len;
	struct json_token token;
	size_t depth = 1;
	bool opened = false; /* just behind an opening bracket */

	while (json_token_next(&p, end, &token)) {
		bool opens = token.kind == '{' || token.kind == '[';
		bool closes = token.kind == '}' || token.kind == ']';

		if (closes)
			depth -= depth > 1;
		if (closes != opened) /* an empty object or array stays together */
			new_line(out, depth);
		opened = opens && depth < INDENT_DEPTH;
		if (opens && !opened) {
			p = token.at;
			json_token_skip(&p, end);
			token.len = (size_t)(p - token.at);
		}
		depth += opened;
		buf_add(out, token.at, token.len);
		if (token.kind == ',')
			new_line(out, depth);
		else if (token.kind == ':')
			buf_addc(out, ' ');
	}
}

void json_print_json(enum type_kind kind, const char *text, size_t len, struct buf *out)
{
	bool wrap = json_must_wrap(text, len);

	if (wrap)
		buf_adds(out, wrap_open);
	if (kind == TYPE_JSONB)
		print_indented(text, len, out);
	else
		buf_add(out, text, len);
	if (wrap)
		buf_addc(out, '}');
}

/* An element that is JSON, on the array's line. */
static void print_json_element(const struct array_walk *walk, struct buf *out)
{
	const size_t room = sizeof(wrap_open) - 1, start = out->len;

	array_walk_text(walk, out);

	const size_t len = out->len - start;

	if (out->failed || !json_must_wrap(out->data + start, len))
		return;
	buf_resize(out, out->len + room);
	if (out->failed)
		return;
	memmove(out->data + start + room, out->data + start, len);
	memcpy(out->data + start, wrap_open, room);
	buf_addc(out, '}');
}

static void print_escaped_element(const struct array_walk *walk, struct buf *out)
{
	const char *p = walk->element, *end = p + walk->len, *backslash;

	buf_addc(out, '"');
	while ((backslash = memchr(p, '\\', (size_t)(end - p)))) {
		json_print_inside(p, (size_t)(backslash - p), out);
		json_print_inside(backslash + 1, 1, out);
		p = backslash + 2;
	}
	json_print_inside(p, (size_t)(end - p), out);
	buf_addc(out, '"');
}

static void print_element(const struct type *type, const struct array_walk *walk, struct buf *out)
{
	if (type->kind == TYPE_JSON || type->kind == TYPE_JSONB)
		print_json_element(walk, out);
	else if (walk->escaped)
		print_escaped_element(walk, out);
	else
		/* An array in an array is a domain's: its literal in a string, since nesting it
		 * would read as one more dimension. */
		json_print_scalar(type->kind, walk->element, walk->len, out);
}

/* False if it is no literal that array_walk understands; `out` then has part of it. */
static bool print_elements(const struct type *type, struct array_walk *walk, struct buf *out)
{
	bool first = true;

	for (;;) {
		enum array_event event = array_walk_next(walk);

		if (event == ARRAY_END || event == ARRAY_BROKEN)
			return event == ARRAY_END;
		if (!first && event != ARRAY_CLOSE)
			buf_add(out, ", ", 2);
		first = event == ARRAY_OPEN;
		if (event == ARRAY_OPEN)
			buf_addc(out, '[');
		else if (event == ARRAY_CLOSE)
			buf_addc(out, ']');
		else if (event == ARRAY_NULL)
			buf_add(out, "null", 4);
		else
			print_element(type->element, walk, out);
	}
}

/* JSON elements of more than one dimension would nest ambiguously. */
static bool nests(const struct type *type, const char *text, size_t len)
{
	bool json = type->element->kind == TYPE_JSON || type->element->kind == TYPE_JSONB;

	return !(json && len > 1 && text[1] == '{');
}

void json_print_array(const struct type *type, const char *text, size_t len, struct buf *out)
{
	size_t start = out->len;
	struct array_walk walk;

	array_walk_start(&walk, text, len, type->delimiter);
	if (nests(type, text, len) && print_elements(type, &walk, out))
		return;
	if (!out->failed)
		buf_resize(out, start);
	json_print_scalar(TYPE_TEXT, text, len, out);
}
