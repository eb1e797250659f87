#include "rowfs/engine/text.h"

#include <errno.h>
#include <stdalign.h>
#include <string.h>
#include <xxhash.h>

#include "rowfs/base/options.h"
#include "rowfs/model/row.h"

static _Atomic int64_t held;
static _Atomic size_t in_pages; /* of that */
static int64_t limit = INT64_MAX;
static struct {
	void (*fn)(void *arg);
	void *arg;
} sheds[TEXT_SHEDS];

void text_set_limit(uint64_t bytes)
{
	limit = bytes > INT64_MAX ? INT64_MAX : (int64_t)bytes;
}

uint64_t text_bytes(void)
{
	return (uint64_t)atomic_load(&held);
}

void text_add_shed(void (*fn)(void *arg), void *arg)
{
	for (size_t i = 0; i < TEXT_SHEDS; i++)
		if (!sheds[i].fn) {
			sheds[i].fn = fn;
			sheds[i].arg = arg;
			return;
		}
}

void text_remove_shed(const void *arg)
{
	for (size_t i = 0; i < TEXT_SHEDS; i++)
		if (sheds[i].arg == arg)
			sheds[i].fn = NULL;
}

static bool fits(int64_t bytes, int64_t most)
{
	int64_t now = atomic_fetch_add(&held, bytes) + bytes;

	if (bytes <= 0 || now <= most)
		return true;
	atomic_fetch_sub(&held, bytes);
	return false;
}

int text_charge(int64_t bytes)
{
	bool fit = fits(bytes, limit);

	for (size_t i = TEXT_SHEDS; !fit && i-- > 0;)
		if (sheds[i].fn) {
			sheds[i].fn(sheds[i].arg);
			fit = fits(bytes, limit);
		}
	return fit ? 0 : -ENOMEM;
}

int text_too_long(struct error *e)
{
	return error_set(e, EFBIG, "a row's text may have %d MiB", TEXT_MAX >> 20);
}

int text_no_room(struct error *e)
{
	char size[OPTION_SIZE_TEXT];

	option_print_size((uint64_t)limit, size);
	return error_set(e, ENOMEM, "no memory for the row's text: those of all open files may take "
				    "memory_max=%s together", size);
}

bool version_equal(const struct version *a, const struct version *b)
{
	return a->size == b->size && a->hash == b->hash && a->mtime.tv_sec == b->mtime.tv_sec &&
	       a->mtime.tv_nsec == b->mtime.tv_nsec;
}

uint64_t text_hash(const char *data, size_t len)
{
	return XXH3_64bits(data, len);
}

struct version version_of(const char *data, size_t len, const struct timespec *mtime)
{
	uint64_t hash = text_hash(data, len);

	return (struct version){
		.size = len,
		.hash = hash,
		.mtime = mtime ? *mtime : row_mtime_derived(hash),
	};
}

static void text_init(struct text *text, size_t len, const struct version *version, uint32_t xid)
{
	atomic_init(&text->refs, 1);
	text->xid = xid;
	text->listed = 0;
	text->copied = text->bare = text->merged = false;
	text->version = *version;
	text->len = len;
}

/* Its bytes have been charged. */
static struct text *text_make(const char *data, size_t len, const struct version *version, uint32_t xid)
{
	struct text *text = malloc(sizeof *text + len + 1);

	if (!text) {
		(void)text_charge(-(int64_t)len);
		return NULL;
	}
	text_init(text, len, version, xid);
	memcpy(text->data, data, len);
	text->data[len] = '\0';
	return text;
}

struct text *text_new(const char *data, size_t len, const struct version *version, uint32_t xid)
{
	return text_charge((int64_t)len) < 0 ? NULL : text_make(data, len, version, xid);
}

struct text *text_new_bare(const struct version *version, uint32_t xid)
{
	struct text *text = text_new("", 0, version, xid);

	if (text)
		text->copied = text->bare = true;
	return text;
}

void text_begin(struct buf *out)
{
	buf_resize(out, offsetof(struct text, data));
}

size_t text_begun_len(const struct buf *out)
{
	return out->len - offsetof(struct text, data);
}

struct text *text_finish(struct buf *out, const struct timespec *mtime, uint32_t xid)
{
	size_t len = text_begun_len(out);
	struct version version;
	struct text *text;

	if (text_charge((int64_t)len) < 0)
		return NULL;
	text = realloc(out->data, sizeof *text + len + 1);
	if (!text) {
		(void)text_charge(-(int64_t)len);
		return NULL;
	}
	*out = (struct buf){0};
	version = version_of(text->data, len, mtime);
	text_init(text, len, &version, xid);
	return text;
}

/* --- Pages ------------------------------------------------------------------------------------ */

struct text_page {
	_Atomic unsigned refs; /* of its texts, too, which have none of their own */
	size_t size;
	alignas(struct text) char texts[];
};

size_t text_page_begin(struct buf *out)
{
	size_t end = out->len ? out->len : sizeof(struct text_page);
	size_t at = (end + alignof(struct text) - 1) / alignof(struct text) * alignof(struct text);

	buf_resize(out, at + offsetof(struct text, data));
	return at;
}

const char *text_page_printed(const struct buf *out, size_t at, size_t *ret_len)
{
	at += offsetof(struct text, data);
	*ret_len = out->len - at;
	return out->data + at;
}

void text_page_end(struct buf *out, size_t at, const struct version *version, uint32_t xid)
{
	size_t len = out->len - at - offsetof(struct text, data);

	buf_addc(out, '\0');
	if (out->failed)
		return;
	text_init((struct text *)(void *)(out->data + at), len, version, xid);
	((struct text *)(void *)(out->data + at))->listed = (uint32_t)at;
}

struct text_page *text_page_finish(struct buf *out)
{
	struct text_page *page;
	size_t size = out->len;

	if (out->failed || size == 0 || size > UINT32_MAX || !fits((int64_t)size, limit / 2)) {
		buf_done(out);
		return NULL;
	}
	atomic_fetch_add(&in_pages, size);
	page = realloc(out->data, size);
	if (!page)
		page = (struct text_page *)(void *)out->data;
	*out = (struct buf){0};
	atomic_init(&page->refs, 1);
	page->size = size;
	return page;
}

void text_page_unref(struct text_page *page)
{
	if (!page || atomic_fetch_sub_explicit(&page->refs, 1, memory_order_acq_rel) != 1)
		return;
	(void)text_charge(-(int64_t)page->size);
	atomic_fetch_sub(&in_pages, page->size);
	free(page);
}

size_t text_pages_bytes(void)
{
	return atomic_load(&in_pages);
}

struct text *text_page_get(struct text_page *page, size_t at)
{
	return text_ref((struct text *)(void *)((char *)page + at));
}

static struct text_page *page_of(struct text *text)
{
	return (struct text_page *)(void *)((char *)text - text->listed);
}

/* --- References ------------------------------------------------------------------------------- */

struct text *text_ref(struct text *text)
{
	atomic_fetch_add_explicit(text->listed ? &page_of(text)->refs : &text->refs, 1, memory_order_relaxed);
	return text;
}

void text_unref(struct text *text)
{
	if (text && text->listed) {
		text_page_unref(page_of(text));
		return;
	}
	if (!text || atomic_fetch_sub_explicit(&text->refs, 1, memory_order_acq_rel) != 1)
		return;
	(void)text_charge(-(int64_t)text->len);
	free(text);
}
