#include "array_literal.h"

#include <string.h>
#include <strings.h>

void array_walk_start(struct array_walk *walk, const char *text, size_t len, char delimiter)
{
	*walk = (struct array_walk){.p = text, .end = text + len, .delimiter = delimiter};
}

/* What PostgreSQL skips around elements. */
static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static void skip_space(struct array_walk *walk)
{
	while (walk->p < walk->end && is_space(*walk->p))
		walk->p++;
}

/* To the closing quote, behind the opening one. */
static enum array_event quoted(struct array_walk *walk)
{
	const char *p = walk->p + 1;

	walk->element = p;
	walk->escaped = false;
	for (; p < walk->end && *p != '"'; p++) {
		if (*p != '\\')
			continue;
		walk->escaped = true;
		if (++p == walk->end)
			break;
	}
	if (p == walk->end)
		return ARRAY_BROKEN;
	walk->len = (size_t)(p - walk->element);
	walk->p = p + 1;
	return ARRAY_ELEMENT;
}

static enum array_event unquoted(struct array_walk *walk)
{
	const char *p = walk->p, *last = p; /* behind the last byte that is not space */

	walk->element = p;
	walk->escaped = false;
	for (; p < walk->end && *p != walk->delimiter && *p != '}'; p++) {
		if (*p == '"' || *p == '{')
			return ARRAY_BROKEN;
		if (*p == '\\') {
			walk->escaped = true;
			if (++p == walk->end)
				return ARRAY_BROKEN;
			last = p + 1;
		} else if (!is_space(*p)) {
			last = p + 1;
		}
	}
	walk->len = (size_t)(last - walk->element);
	walk->p = p;
	if (walk->len == 0)
		return ARRAY_BROKEN;
	if (walk->len == 4 && !walk->escaped && strncasecmp(walk->element, "NULL", 4) == 0)
		return ARRAY_NULL;
	return ARRAY_ELEMENT;
}

static enum array_event value(struct array_walk *walk)
{
	enum array_event event;

	if (walk->depth == 0 && *walk->p != '{')
		return ARRAY_BROKEN;
	walk->after_comma = false;
	if (*walk->p == '{') {
		walk->p++;
		walk->depth++;
		return ARRAY_OPEN;
	}
	event = *walk->p == '"' ? quoted(walk) : unquoted(walk);
	walk->after_value = true;
	return event;
}

enum array_event array_walk_next(struct array_walk *walk)
{
	skip_space(walk);
	if (walk->p == walk->end)
		return walk->depth == 0 && walk->after_value ? ARRAY_END : ARRAY_BROKEN;
	if (walk->depth == 0 && walk->after_value)
		return ARRAY_BROKEN;
	if (*walk->p == '}') {
		if (walk->depth == 0 || walk->after_comma)
			return ARRAY_BROKEN;
		walk->p++;
		walk->depth--;
		walk->after_value = true;
		return ARRAY_CLOSE;
	}
	if (!walk->after_value)
		return value(walk);
	if (*walk->p != walk->delimiter)
		return ARRAY_BROKEN;
	walk->p++;
	walk->after_value = false;
	walk->after_comma = true;
	skip_space(walk);
	return walk->p == walk->end ? ARRAY_BROKEN : *walk->p == '}' ? ARRAY_BROKEN : value(walk);
}

void array_walk_text(const struct array_walk *walk, struct buf *out)
{
	const char *p = walk->element, *end = p + walk->len;

	while (walk->escaped && p < end) {
		const char *backslash = memchr(p, '\\', (size_t)(end - p));

		if (!backslash)
			break;
		buf_add(out, p, (size_t)(backslash - p));
		buf_addc(out, backslash[1]);
		p = backslash + 2;
	}
	buf_add(out, p, (size_t)(end - p));
}
