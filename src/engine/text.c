#include "rowfs/engine/text.h"

#include <errno.h>
#include <string.h>
#include <xxhash.h>

#include "rowfs/base/options.h"
#include "rowfs/model/row.h"

static _Atomic int64_t held;
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
	text->copied = text->bare = text->listed = text->merged = false;
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

struct text *text_new_listed(const char *data, size_t len, const struct version *version, uint32_t xid)
{
	struct text *text = fits((int64_t)len, limit / 2) ? text_make(data, len, version, xid) : NULL;

	if (text)
		text->listed = true;
	return text;
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

struct text *text_ref(struct text *text)
{
	atomic_fetch_add_explicit(&text->refs, 1, memory_order_relaxed);
	return text;
}

void text_unref(struct text *text)
{
	if (!text || atomic_fetch_sub_explicit(&text->refs, 1, memory_order_acq_rel) != 1)
		return;
	(void)text_charge(-(int64_t)text->len);
	free(text);
}
