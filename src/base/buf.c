#include "rowfs/base/buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 256 };

/* No memory yet is no capacity, so there is never room in an empty struct. */
static inline bool has_room(const struct buf *b, size_t more)
{
	return !b->failed && more < b->cap - b->len;
}

static bool grow(struct buf *b, size_t more)
{
	if (b->failed)
		return false;

	size_t need, cap = b->cap ? b->cap : FIRST_CAPACITY;

	if (__builtin_add_overflow(b->len, more, &need) || __builtin_add_overflow(need, 1, &need)) {
		b->failed = true;
		return false;
	}
	while (cap < need)
		cap = cap > SIZE_MAX / 2 ? need : cap * 2;

	char *data = realloc(b->data, cap);

	if (!data) {
		b->failed = true;
		return false;
	}
	b->data = data;
	b->cap = cap;
	return true;
}

/* Make room for `more` bytes and the NUL; false (and `failed`) if there is none. */
static inline bool reserve(struct buf *b, size_t more)
{
	return has_room(b, more) || grow(b, more);
}

void buf_add(struct buf *b, const void *bytes, size_t len)
{
	if (!reserve(b, len))
		return;
	if (len > 0)
		memcpy(b->data + b->len, bytes, len);
	b->len += len;
	b->data[b->len] = '\0';
}

bool buf_equal(const struct buf *b, const void *bytes, size_t len)
{
	return b->len == len && (len == 0 || memcmp(b->data, bytes, len) == 0);
}

void buf_adds(struct buf *b, const char *string)
{
	buf_add(b, string, strlen(string));
}

static int format_into(struct buf *b, const char *format, va_list arguments)
{
	return vsnprintf(b->data + b->len, b->cap - b->len, format, arguments);
}

void buf_addf(struct buf *b, const char *format, ...)
{
	va_list arguments;
	int len;

	if (!reserve(b, 0))
		return;
	va_start(arguments, format);
	len = format_into(b, format, arguments);
	va_end(arguments);
	if (len >= 0 && (size_t)len >= b->cap - b->len) {
		/* It was cut; the length that it wants is known now. */
		b->data[b->len] = '\0';
		if (!reserve(b, (size_t)len))
			return;
		va_start(arguments, format);
		len = format_into(b, format, arguments);
		va_end(arguments);
	}
	if (len < 0)
		b->failed = true;
	else
		b->len += (size_t)len;
}

void buf_resize(struct buf *b, size_t len)
{
	size_t more = len > b->len ? len - b->len : 0;

	if (!reserve(b, more))
		return;
	memset(b->data + b->len, 0, more);
	b->len = len;
	b->data[len] = '\0';
}

void buf_reset(struct buf *b)
{
	b->len = 0;
	b->failed = false;
	if (b->data)
		b->data[0] = '\0';
}

void buf_done(struct buf *b)
{
	free(b->data);
	*b = (struct buf){0};
}

char *buf_steal(struct buf *b)
{
	reserve(b, 0);
	if (b->failed) {
		buf_done(b);
		return NULL;
	}

	char *data = b->data;

	data[b->len] = '\0';
	*b = (struct buf){0};
	return data;
}
