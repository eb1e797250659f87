#include "json_read.h"

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>

#include "utf8.h"

/* yajl uses what its allocator returns without looking. So the allocator does not return when
 * there is nothing to return: it jumps back to where the reading began, and all blocks, which
 * stand in a list for that purpose, are freed. yajl holds nothing but memory. */
struct block {
	struct block *next, *previous;
} __attribute__((aligned(__alignof__(max_align_t)))); /* and so are the bytes behind it */

struct reading {
	const char *text;
	size_t len; /* what is given to yajl: up to the first byte that cannot be JSON */
	json_event_fn *function;
	void *arg;
	struct json_flaw *flaw;
	yajl_handle yajl;
	struct block blocks; /* list head */
	jmp_buf no_memory;
	size_t at; /* behind the last event */
	size_t depth;
	bool finishing; /* yajl is fed a last space; what it still reports is no event */
	bool too_deep;
};

static void link_block(struct reading *r, struct block *block)
{
	block->next = r->blocks.next;
	block->previous = &r->blocks;
	block->next->previous = block;
	r->blocks.next = block;
}

static void unlink_block(struct block *block)
{
	block->next->previous = block->previous;
	block->previous->next = block->next;
}

static void *resize(void *context, void *bytes, size_t size)
{
	struct reading *r = context;
	struct block *old = bytes ? (struct block *)bytes - 1 : NULL, *block = NULL;

	if (old)
		unlink_block(old);
	if (size <= SIZE_MAX - sizeof(*block))
		block = realloc(old, sizeof(*block) + size);
	if (!block) {
		free(old);
		longjmp(r->no_memory, 1);
	}
	link_block(r, block);
	return block + 1;
}

static void *allocate(void *context, size_t size)
{
	return resize(context, NULL, size);
}

static void release(void *context, void *bytes)
{
	if (!bytes)
		return;
	unlink_block((struct block *)bytes - 1);
	free((struct block *)bytes - 1);
}

static void release_all(struct reading *r)
{
	while (r->blocks.next != &r->blocks)
		release(r, r->blocks.next + 1);
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* What stands between two events: white space, commas and colons. */
static size_t skip_between(const struct reading *r, size_t at)
{
	while (at < r->len && (is_space(r->text[at]) || r->text[at] == ',' || r->text[at] == ':'))
		at++;
	return at;
}

/* Report an event that ends where yajl now is; yajl wants 0 to stop. */
static int report(struct reading *r, enum json_kind kind, const unsigned char *string, size_t len)
{
	struct json_event event = {.kind = kind, .string = (const char *)string, .len = len};

	if (r->finishing)
		return 1;
	event.start = skip_between(r, r->at);
	event.end = yajl_get_bytes_consumed(r->yajl);
	r->at = event.end;
	if (kind == JSON_OBJECT || kind == JSON_ARRAY) {
		if (r->depth == JSON_DEPTH_MAX) {
			r->at = event.start;
			r->too_deep = true;
			return 0;
		}
		r->depth++;
	} else if (kind == JSON_OBJECT_END || kind == JSON_ARRAY_END) {
		r->depth--;
	}
	return r->function(r->arg, &event) == 0;
}

static int on_null(void *context)
{
	return report(context, JSON_NULL, NULL, 0);
}

static int on_boolean(void *context, int value)
{
	return report(context, JSON_BOOL, NULL, 0);
}

static int on_number(void *context, const char *text, size_t len)
{
	return report(context, JSON_NUMBER, NULL, 0);
}

static int on_string(void *context, const unsigned char *string, size_t len)
{
	return report(context, JSON_STRING, string, len);
}

static int on_map(void *context)
{
	return report(context, JSON_OBJECT, NULL, 0);
}

static int on_key(void *context, const unsigned char *string, size_t len)
{
	return report(context, JSON_KEY, string, len);
}

static int on_map_end(void *context)
{
	return report(context, JSON_OBJECT_END, NULL, 0);
}

static int on_array(void *context)
{
	return report(context, JSON_ARRAY, NULL, 0);
}

static int on_array_end(void *context)
{
	return report(context, JSON_ARRAY_END, NULL, 0);
}

static const yajl_callbacks callbacks = {
        .yajl_null = on_null,
        .yajl_boolean = on_boolean,
        .yajl_number = on_number,
        .yajl_string = on_string,
        .yajl_start_map = on_map,
        .yajl_map_key = on_key,
        .yajl_end_map = on_map_end,
        .yajl_start_array = on_array,
        .yajl_end_array = on_array_end,
};

static enum json_read_result broken(struct json_flaw *flaw, size_t offset, const char *reason)
{
	flaw->offset = offset;
	snprintf(flaw->reason, sizeof(flaw->reason), "%s", reason);
	return READ_BROKEN;
}

/* Where the token begins that yajl stumbled over. yajl stands behind a whole token that has no
 * business there; in the middle of one that is malformed, which is never a comma or colon. */
static size_t blamed(const struct reading *r, bool malformed)
{
	size_t consumed = yajl_get_bytes_consumed(r->yajl), at = r->at;

	for (;;) {
		while (at < r->len && is_space(r->text[at]))
			at++;
		if (at == r->len || (r->text[at] != ',' && r->text[at] != ':'))
			break;
		if (at + 1 >= consumed && !malformed)
			break;
		at++;
	}
	/* Inside a string, the character itself. */
	return malformed && at < r->len && r->text[at] == '"' ? consumed : at;
}

/* The commonest slip, for which yajl has no good words. */
static bool is_comma_before_end(const struct reading *r, size_t at)
{
	if (at == r->len || (r->text[at] != '}' && r->text[at] != ']'))
		return false;
	while (at > 0 && is_space(r->text[at - 1]))
		at--;
	return at > 0 && r->text[at - 1] == ',';
}

static enum json_read_result syntax_error(struct reading *r)
{
	const unsigned char *text = (const unsigned char *)r->text;
	/* "parse error: reason" or "lexical error: reason", and a newline */
	char *message = (char *)yajl_get_error(r->yajl, 0, text, r->len);
	bool malformed = strncmp(message, "lexical", 7) == 0;
	size_t at = blamed(r, malformed);
	char *reason = strstr(message, ": ");

	message[strcspn(message, "\n")] = '\0';
	if (is_comma_before_end(r, at))
		broken(r->flaw, at, "the last comma before this bracket is one too many");
	else
		broken(r->flaw, at, reason ? reason + 2 : message);
	yajl_free_error(r->yajl, (unsigned char *)message);
	return READ_BROKEN;
}

/* yajl waits for the end of a token, also of one that comes after all is said. */
static enum json_read_result end(struct reading *r)
{
	size_t at = r->at;

	while (at < r->len && is_space(r->text[at]))
		at++;
	if (r->depth == 0 && at < r->len)
		return broken(r->flaw, at, "trailing garbage");
	return yajl_complete_parse(r->yajl) == yajl_status_ok ? READ_COMPLETE : READ_INCOMPLETE;
}

static enum json_read_result parse(struct reading *r)
{
	yajl_alloc_funcs functions = {allocate, resize, release, r};

	r->yajl = yajl_alloc(&callbacks, &functions, r);
	/* It was checked before, and better. */
	yajl_config(r->yajl, yajl_dont_validate_strings, 1);
	switch (yajl_parse(r->yajl, (const unsigned char *)r->text, r->len)) {
	case yajl_status_ok:
		break;
	case yajl_status_client_canceled:
		return r->too_deep ? broken(r->flaw, r->at, "nested too deep") : READ_STOPPED;
	case yajl_status_error:
		return syntax_error(r);
	}
	r->finishing = true;
	return end(r);
}

/* Everything on the way back from longjmp() is in *r, which its caller owns. */
static enum json_read_result parse_guarded(struct reading *r)
{
	if (setjmp(r->no_memory))
		return READ_NO_MEMORY;
	return parse(r);
}

/* The text up to the first byte that no JSON text holds, and why not. A sequence that the end of
 * the text cuts off is no flaw: the rest may follow. */
static size_t sound_length(const char *text, size_t len, struct json_flaw *flaw)
{
	size_t valid = utf8_valid(text, len);

	for (size_t i = 0; i < valid; i++) {
		unsigned char byte = (unsigned char)text[i];

		if (byte >= ' ' || byte == '\n' || byte == '\t' || byte == '\r')
			continue;
		if (byte == 0)
			broken(flaw, i, "a NUL byte");
		else
			broken(flaw, i, "a control character, which JSON writes as \\u00XX");
		return i;
	}
	if (valid == len || utf8_begins(text + valid, text + len))
		return len;
	broken(flaw, valid, "bytes that are not UTF-8");
	return valid;
}

/* What comes first decides whether it can be an object at all. */
static enum json_read_result check_start(const char *text, size_t len, struct json_flaw *flaw)
{
	size_t at = 0;

	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		return broken(flaw, 0,
		              "a byte order mark (BOM) at the start: save as UTF-8 without BOM");
	while (at < len && is_space(text[at]))
		at++;
	if (at == len)
		return READ_INCOMPLETE;
	return text[at] == '{' ? READ_COMPLETE
	                       : broken(flaw, at, "a row is one JSON object, in braces");
}

enum json_read_result json_read(const char *text, size_t len, json_event_fn *function, void *arg,
                                struct json_flaw *ret_flaw)
{
	struct json_flaw flaw = {.offset = len};
	struct reading r = {.text = text, .function = function, .arg = arg, .flaw = &flaw};
	enum json_read_result result = check_start(text, len, &flaw);

	if (result == READ_COMPLETE) {
		r.len = sound_length(text, len, &flaw);
		r.blocks.next = r.blocks.previous = &r.blocks;
		result = parse_guarded(&r);
		release_all(&r);
		/* Fine so far, but this is not where the text ends. */
		if (r.len < len && (result == READ_COMPLETE || result == READ_INCOMPLETE))
			result = READ_BROKEN;
	}
	if (result == READ_BROKEN)
		*ret_flaw = flaw;
	return result;
}
