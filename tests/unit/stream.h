/* Messages of a logical replication stream: recorded ones (tests/fuzz/corpus/change), and such as a test makes up. */
#pragma once

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "rowfs/base/buf.h"

/* A file of messages, each behind its length in four bytes, as the fuzzer's corpus has them. RECORDED is their
 * directory (see meson.build). */
struct recorded {
	struct buf bytes;
	size_t at;
};

static inline struct recorded recorded_open(const char *name)
{
	struct recorded recorded = {0};
	char path[4096], chunk[4096];
	size_t n;

	snprintf(path, sizeof(path), "%s/%s", RECORDED, name);

	FILE *file = fopen(path, "r");

	ck_assert_msg(file != NULL, "%s", path);
	while ((n = fread(chunk, 1, sizeof(chunk), file)) > 0)
		buf_add(&recorded.bytes, chunk, n);
	fclose(file);
	return recorded;
}

static inline void recorded_done(struct recorded *recorded)
{
	buf_done(&recorded->bytes);
}

#define _cleanup_recorded_ _cleanup_(recorded_done)

/* The next message, as an allocation of its own, so that reading behind its end is seen; NULL at the end. */
static inline char *recorded_next(struct recorded *recorded, size_t *ret_len)
{
	const unsigned char *p = (unsigned char *)recorded->bytes.data + recorded->at;
	size_t len;
	char *message;

	if (recorded->at == recorded->bytes.len)
		return NULL;
	len = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
	message = malloc(len);
	memcpy(message, p + 4, len);
	recorded->at += len + 4;
	*ret_len = len;
	return message;
}

static inline void put_integer(struct buf *b, uint64_t value, unsigned len)
{
	while (len-- > 0)
		buf_addc(b, (char)(value >> (8 * len)));
}

static inline void put_string(struct buf *b, const char *string)
{
	buf_add(b, string, strlen(string) + 1);
}

static inline void put_begin(struct buf *b, uint32_t xid)
{
	buf_addc(b, 'B');
	put_integer(b, 0x100, 8);
	put_integer(b, 0, 8);
	put_integer(b, xid, 4);
}

static inline void put_commit(struct buf *b, uint64_t end_lsn)
{
	buf_addc(b, 'C');
	put_integer(b, 0, 1);
	put_integer(b, 0x100, 8);
	put_integer(b, end_lsn, 8);
	put_integer(b, 0, 8);
}

static inline void put_stream_start(struct buf *b, uint32_t xid, bool first)
{
	buf_addc(b, 'S');
	put_integer(b, xid, 4);
	put_integer(b, first, 1);
}

static inline void put_stream_commit(struct buf *b, uint32_t xid, uint64_t end_lsn)
{
	buf_addc(b, 'c');
	put_integer(b, xid, 4);
	put_integer(b, 0, 1);
	put_integer(b, 0x100, 8);
	put_integer(b, end_lsn, 8);
	put_integer(b, 0, 8);
}

static inline void put_stream_abort(struct buf *b, uint32_t xid, uint32_t subxid)
{
	buf_addc(b, 'A');
	put_integer(b, xid, 4);
	put_integer(b, subxid, 4);
}

/* `letter`; in a streamed block (xid not 0), the transaction; the relation. */
static inline void put_head(struct buf *b, char letter, uint32_t xid, uint32_t relation)
{
	buf_addc(b, letter);
	if (xid)
		put_integer(b, xid, 4);
	put_integer(b, relation, 4);
}

/* `columns`: names, those of the identity with a '*' before; ends with NULL. */
static inline void put_relation(struct buf *b, uint32_t xid, uint32_t relation, char identity,
                                const char *const *columns)
{
	size_t n = 0;

	while (columns[n])
		n++;
	put_head(b, 'R', xid, relation);
	put_string(b, "public");
	put_string(b, "t");
	buf_addc(b, identity);
	put_integer(b, n, 2);
	for (size_t i = 0; i < n; i++) {
		put_integer(b, columns[i][0] == '*', 1);
		put_string(b, columns[i] + (columns[i][0] == '*'));
		put_integer(b, 25, 4);
		put_integer(b, UINT32_MAX, 4);
	}
}

/* `values`: "=text", or "n", "u" for what has no text, "b=bytes"; ends with NULL. */
static inline void put_tuple(struct buf *b, char letter, const char *const *values)
{
	size_t n = 0;

	while (values[n])
		n++;
	buf_addc(b, letter);
	put_integer(b, n, 2);
	for (size_t i = 0; i < n; i++) {
		const char *text = strchr(values[i], '=');

		buf_addc(b, values[i][0] == '=' ? 't' : values[i][0]);
		if (!text)
			continue;
		put_integer(b, strlen(text + 1), 4);
		buf_adds(b, text + 1);
	}
}
