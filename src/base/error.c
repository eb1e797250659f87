#include "rowfs/base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Messages end up in JSON files, so a text that was cut must not end inside a UTF-8 sequence. */
static size_t whole_characters(const char *text, size_t len)
{
	size_t lead = len;

	while (lead > 0 && len - lead < 3 && ((unsigned char)text[lead - 1] & 0xc0) == 0x80)
		lead--;
	if (lead == 0 || (unsigned char)text[lead - 1] < 0xc0)
		return len;
	unsigned char byte = (unsigned char)text[lead - 1];
	size_t want = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;

	return len - lead + 1 < want ? lead - 1 : len;
}

static void fill(struct error *e, int err, const char *format, va_list arguments)
{
	/* First into a place of its own: an argument may be a field of `e`. */
	char message[sizeof(e->message)];
	int len = vsnprintf(message, sizeof(message), format, arguments);

	if (len < 0)
		message[0] = '\0';
	else if ((size_t)len >= sizeof(message))
		message[whole_characters(message, sizeof(message) - 1)] = '\0';
	memset(e, 0, sizeof(*e));
	e->err = err;
	memcpy(e->message, message, strlen(message) + 1);
}

int error_set(struct error *e, int err, const char *format, ...)
{
	va_list arguments;

	if (!e)
		return -err;
	va_start(arguments, format);
	fill(e, err, format, arguments);
	va_end(arguments);
	return -err;
}

int error_at(struct error *e, int err, unsigned line, unsigned column, const char *format, ...)
{
	va_list arguments;

	if (!e)
		return -err;
	va_start(arguments, format);
	fill(e, err, format, arguments);
	va_end(arguments);
	e->line = line;
	e->column = column;
	return -err;
}

int error_ensure(struct error *e, int r)
{
	return !e || e->err ? r : error_set(e, -r, "%s", strerror(-r));
}

void error_copy_text(char *to, size_t size, const char *from)
{
	size_t len = strlen(from);

	if (len >= size)
		len = whole_characters(from, size - 1);
	memcpy(to, from, len);
	to[len] = '\0';
}
