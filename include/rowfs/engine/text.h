/* A row's text at one version: immutable, shared by reference count. Open files pin one; that is
 * what makes one open see one version. All that are alive count against `memory_max`. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "rowfs/base/buf.h"
#include "rowfs/base/cleanup.h"
#include "rowfs/base/error.h"

/* What the kernel is told about a version. Two versions are the same if all of it is. */
struct version {
	uint64_t size;
	uint64_t hash; /* of the text */
	struct timespec mtime;
};

struct text {
	_Atomic unsigned refs;
	uint32_t xid;    /* xmin of the row, 0 where it has none */
	uint32_t listed; /* it came with a listing, so nobody need have read the row: how far from the beginning of its page; else 0 */
	bool copied;  /* out of Redis, so the row may have changed for up to ttl before it was read */
	bool bare;    /* nothing but its version is known: there are no data. Only for who asked for no more */
	bool merged;  /* made of a save that left others' changes in the row, which this text does not show */
	struct version version;
	size_t len;
	char data[]; /* NUL-terminated */
};

/* Row texts are at most this long; a save beyond gets EFBIG. PostgreSQL's own values end at 1 GB, but a
 * row is held whole while it is open, and 64 MiB covers a 60 MB value with its hexadecimal digits
 * already doubled by the user. */
enum { TEXT_MAX = 64 << 20 };

/* Why a text is refused that would be longer, or that the budget has no room for: -EFBIG, -ENOMEM. */
int text_too_long(struct error *e);
int text_no_room(struct error *e);

bool version_equal(const struct version *a, const struct version *b);

/* Hash of a text, as in struct version. */
uint64_t text_hash(const char *data, size_t len);

/* The version of a text: its mtime is `mtime`, or derived from the hash if that is NULL. */
struct version version_of(const char *data, size_t len, const struct timespec *mtime);

/* Copy `data`. NULL if there is no memory, or if memory_max would be passed. */
struct text *text_new(const char *data, size_t len, const struct version *version, uint32_t xid)
	_must_check_;

/* A bare one, out of Redis. NULL if there is no memory. */
struct text *text_new_bare(const struct version *version, uint32_t xid) _must_check_;

/* A text is printed where it will stay: text_begin() into an empty buffer, whatever is added to that, and
 * text_finish(), which takes the buffer's memory and says as text_new() does; its version is version_of() it. Not of
 * a buffer that has failed. What has been added so far is text_begun_len(). */
void text_begin(struct buf *out);
size_t text_begun_len(const struct buf *out);
struct text *text_finish(struct buf *out, const struct timespec *mtime, uint32_t xid) _must_check_;

/* The texts of a page of a listing are in one piece of memory, which is there, and counts against memory_max, as long as the
 * page or one of them is held: who holds one for long copies it. They are printed one after the other into an empty
 * buffer: text_page_begin() says where in it the next one is, text_page_end() that it is complete, and buf_resize() to where
 * it was takes it back. */
struct text_page;

size_t text_page_begin(struct buf *out);
const char *text_page_printed(const struct buf *out, size_t at, size_t *ret_len); /* of that one, so far */
void text_page_end(struct buf *out, size_t at, const struct version *version, uint32_t xid);

/* Takes the buffer's memory. For whoever can do without: NULL if there is none, if nothing was printed, or if half of
 * memory_max would be passed; for it nothing is shed. The caller holds the page. */
struct text_page *text_page_finish(struct buf *out) _must_check_;
void text_page_unref(struct text_page *page); /* accepts NULL */

/* Of all pages that are there. */
size_t text_pages_bytes(void);

/* A reference to the text that is there. */
struct text *text_page_get(struct text_page *page, size_t at) _must_check_;

struct text *text_ref(struct text *text);
void text_unref(struct text *text); /* accepts NULL */

static inline void cleanup_text(struct text **text)
{
	text_unref(*text);
}

#define _cleanup_text_ _cleanup_(cleanup_text)

/* Bytes held by all texts and edits, and the bound on them. text_charge() takes `bytes` (may be
 * negative) from the budget: 0 or -ENOMEM. */
void text_set_limit(uint64_t bytes);
uint64_t text_bytes(void);
int text_charge(int64_t bytes);

/* Whoever holds texts that nobody needs, only in case: called, the last that was added first, until a charge
 * fits. The caller of text_charge() or text_new() may hold locks of his own, so `fn` takes none but such under
 * which nobody charges or takes another, one at a time. Added before there is a second thread, and removed, by its `arg`, when there
 * is none any more. TEXT_SHEDS at most. */
enum { TEXT_SHEDS = 3 };
void text_add_shed(void (*fn)(void *arg), void *arg);
void text_remove_shed(const void *arg);
