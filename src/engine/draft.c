#include "rowfs/engine/draft.h"

#include <errno.h>
#include <string.h>

#include "rowfs/engine/text.h"

void draft_done(struct draft *draft)
{
	draft_take_back(draft);
	(void)text_charge(-draft->charged);
	buf_done(&draft->text);
}

/* The text is about to change, and whoever it is lent to needs what it was. */
static int set_aside(struct draft *draft)
{
	struct buf copy = {0};
	size_t len = draft->text.len;

	if (!draft->lent || draft->aside.data)
		return 0;
	if (text_charge((int64_t)len) < 0)
		return -ENOMEM;
	buf_add(&copy, draft->text.data, len);
	if (copy.failed) {
		(void)text_charge(-(int64_t)len);
		return -ENOMEM;
	}
	draft->aside = draft->text;
	draft->text = copy;
	return 0;
}

const char *draft_lend(struct draft *draft)
{
	draft->lent = true;
	return draft->text.data;
}

void draft_take_back(struct draft *draft)
{
	draft->lent = false;
	(void)text_charge(-(int64_t)draft->aside.len);
	buf_done(&draft->aside);
}

static int resize(struct draft *draft, size_t size)
{
	int64_t more = (int64_t)size - draft->charged;

	if (size > TEXT_MAX)
		return -EFBIG;
	if (more > 0) {
		if (text_charge(more) < 0)
			return -ENOMEM;
		draft->charged += more;
	}
	buf_resize(&draft->text, size);
	draft->size = draft->text.len;
	if (!draft->text.failed)
		return 0;
	draft->text.failed = false; /* what it holds is still whole */
	return -ENOMEM;
}

int draft_begin(struct draft *draft, const void *data, size_t len)
{
	int r = resize(draft, len);

	if (r == 0 && len)
		memcpy(draft->text.data, data, len);
	return r;
}

/* After a write: bytes that are missing, or that were and have come after all. True when the text has just ceased to
 * be whole. */
static bool note_cut(struct draft *draft, size_t offset, size_t len, int r)
{
	bool first = r < 0 && !draft->cut;

	if (first)
		draft->cut_at = offset;
	if (r < 0)
		draft->cut = r;
	else if (offset <= draft->cut_at && draft->cut_at - offset < len)
		draft->cut = 0;
	return first;
}

/* After a write at `offset` to a text that was `before` bytes long: what it is by now. */
static enum json_progress scan(struct draft *draft, size_t before, size_t offset, const void *data, size_t len)
{
	if (before == 0 && offset == 0) {
		draft->sequential = true;
		draft->scan = (struct json_scan){0};
	} else if (offset != before) {
		draft->sequential = false;
	}
	return draft->sequential ? json_scan(&draft->scan, data, len) : JSON_INCOMPLETE;
}

static int put(struct draft *draft, size_t offset, const void *data, size_t len, enum json_progress *ret_progress)
{
	size_t before = draft->text.len;
	int r = offset > TEXT_MAX || len > TEXT_MAX - offset ? -EFBIG : len ? set_aside(draft) : 0;

	*ret_progress = JSON_INCOMPLETE;
	if (r == 0 && offset + len > before)
		r = resize(draft, offset + len);
	if (r < 0 || !len)
		return r;
	memcpy(draft->text.data + offset, data, len);
	draft->generation++;
	*ret_progress = scan(draft, before, offset, data, len);
	return 0;
}

int draft_write(struct draft *draft, size_t offset, const void *data, size_t len, enum json_progress *ret_progress,
		bool *ret_cut)
{
	int r = put(draft, offset, data, len, ret_progress);

	*ret_cut = note_cut(draft, offset, len, r);
	return r;
}

int draft_truncate(struct draft *draft, size_t size)
{
	int r = 0;

	if (size != draft->text.len) {
		r = set_aside(draft);
		if (r == 0)
			r = resize(draft, size);
		if (r == 0)
			draft->generation++;
	}
	if (r < 0)
		return r;
	if (size)
		draft->sequential = false;
	if (size <= draft->cut_at)
		draft->cut = 0;
	return 0;
}

bool draft_has(const struct draft *draft, size_t offset, const void *data, size_t len)
{
	return len && offset <= draft->text.len && len <= draft->text.len - offset &&
	       memcmp(draft->text.data + offset, data, len) == 0;
}
