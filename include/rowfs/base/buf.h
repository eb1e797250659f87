/* A growable byte buffer. Running out of memory sets `failed` and makes every later call a
 * no-op, so that a printer checks once, at its end. `data` is NUL-terminated whenever it is
 * not NULL; `len` does not count that byte. A zeroed struct is an empty buffer. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "rowfs/base/cleanup.h"

struct buf {
	char *data;
	size_t len;
	size_t cap;
	bool failed;
};

void buf_add(struct buf *b, const void *bytes, size_t len);
void buf_adds(struct buf *b, const char *string);
void buf_addf(struct buf *b, const char *format, ...) _printf_(2, 3);

/* Inline, since printers add many single bytes. */
static inline void buf_addc(struct buf *b, char c)
{
	if (b->failed || b->cap - b->len < 2) {
		buf_add(b, &c, 1);
		return;
	}
	b->data[b->len++] = c;
	b->data[b->len] = '\0';
}

bool buf_equal(const struct buf *b, const void *bytes, size_t len);

/* Make the buffer `len` bytes long; bytes that are new are zero. */
void buf_resize(struct buf *b, size_t len);

/* Empty it, keep its memory, forget that it failed. */
void buf_reset(struct buf *b);

/* Release its memory and leave an empty buffer; safe to repeat. */
void buf_done(struct buf *b);

/* The bytes, which the caller now owns (free()); NULL if the buffer had failed. Never NULL for
 * an empty buffer that has not failed. The buffer is empty afterwards. */
char *buf_steal(struct buf *b) _must_check_;

#define _cleanup_buf_ _cleanup_(buf_done)
