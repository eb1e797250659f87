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

/* The text is about to change, all but its beginning, and whoever it is lent to needs what it was. */
static int set_aside(struct draft *draft, size_t beginning)
{
	struct buf copy = {0};
	size_t len = draft->text.len;

	if (!draft->lent || draft->aside.data)
		return 0;
	buf_add(&copy, draft->text.data, beginning < len ? beginning : len);
	if (copy.failed)
		return -ENOMEM;
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

/* Bytes are missing; of several such writes, all from the first to the last. True when the text has just ceased to be
 * whole. */
static bool note_missing(struct draft *draft, size_t offset, size_t len, int r)
{
	size_t end = len > SIZE_MAX - offset ? SIZE_MAX : offset + len;
	bool first = !draft->cut;

	if (first || offset < draft->cut_at)
		draft->cut_at = offset;
	if (first || end > draft->cut_end)
		draft->cut_end = end;
	draft->cut = r;
	return first;
}

/* Bytes that were missing may have come after all. */
static void note_come(struct draft *draft, size_t offset, size_t len)
{
	if (offset <= draft->cut_at && offset + len > draft->cut_at)
		draft->cut_at = offset + len;
	if (offset < draft->cut_end && offset + len >= draft->cut_end)
		draft->cut_end = offset;
	if (draft->cut_at >= draft->cut_end)
		draft->cut = 0;
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
	int r;

	if (offset > TEXT_MAX || len > TEXT_MAX - offset)
		return -EFBIG;
	r = set_aside(draft, before);
	if (r == 0 && offset + len > before)
		r = resize(draft, offset + len);
	if (r < 0)
		return r;
	memcpy(draft->text.data + offset, data, len);
	draft->generation++;
	*ret_progress = scan(draft, before, offset, data, len);
	return 0;
}

int draft_write(struct draft *draft, size_t offset, const void *data, size_t len, enum json_progress *ret_progress,
		bool *ret_cut)
{
	int r;

	*ret_progress = JSON_INCOMPLETE;
	*ret_cut = false;
	if (!len)
		return 0;
	r = put(draft, offset, data, len, ret_progress);
	if (r < 0)
		*ret_cut = note_missing(draft, offset, len, r);
	else
		note_come(draft, offset, len);
	return r;
}

int draft_truncate(struct draft *draft, size_t size)
{
	int r = 0;

	if (size != draft->text.len) {
		r = set_aside(draft, size);
		if (r == 0)
			r = resize(draft, size);
		if (r == 0)
			draft->generation++;
	}
	if (r < 0)
		return r;
	if (size)
		draft->sequential = false;
	if (size < draft->cut_end)
		draft->cut_end = size;
	if (draft->cut_at >= draft->cut_end)
		draft->cut = 0;
	return 0;
}

bool draft_has(const struct draft *draft, size_t offset, const void *data, size_t len)
{
	return len && offset <= draft->text.len && len <= draft->text.len - offset &&
	       memcmp(draft->text.data + offset, data, len) == 0;
}
