/* What the tests of JSON share: one value in the text of a row that has no other. */
#pragma once

#include "rowfs/model/json.h"

#include <string.h>

#include "sample.h"
#include "suite.h"

/* A relation of one nullable column "c" of a type. */
static struct column one_column;
static struct key_part one_part;

static inline struct relation one(const struct type *type)
{
	one_column = (struct column){.name = (char *)"c", .type = type};
	return sample_relation(&one_column, 1, &one_part, 0);
}

/* The value as it stands in the text. */
static inline char *print_one(const struct type *type, struct cell cell)
{
	struct relation relation = one(type);
	struct buf out = {0};
	size_t head = strlen("{\n  \"c\": "), tail = strlen("\n}\n");

	json_print(&relation, &cell, &out);
	ck_assert(!out.failed);
	ck_assert_mem_eq(out.data, "{\n  \"c\": ", head);
	ck_assert_str_eq(out.data + out.len - tail, "\n}\n");
	memmove(out.data, out.data + head, out.len - head - tail);
	out.data[out.len - head - tail] = '\0';
	return out.data;
}

static inline int parse_one(const struct type *type, const char *value, struct patch *ret, struct error *e)
{
	struct relation relation = one(type);
	_cleanup_buf_ struct buf text = {0};

	buf_addf(&text, "{\"c\":%s}", value);
	return json_parse(&relation, text.data, text.len, ret, e);
}

static inline void check_parse(const struct type *type, const char *value, const char *expected)
{
	_cleanup_patch_ struct patch patch = {0};
	struct error e = {0};

	ck_assert_msg(parse_one(type, value, &patch, &e) == 0, "%s: %s", value, e.message);
	ck_assert(patch.present[0]);
	if (!expected) {
		ck_assert_ptr_null(patch.cells[0].data);
		return;
	}
	ck_assert_ptr_nonnull(patch.cells[0].data);
	ck_assert_str_eq(patch.cells[0].data, expected);
	ck_assert_uint_eq(patch.cells[0].len, strlen(expected));
}

/* PostgreSQL's text, its place in a row's text, and back to something of the same value. */
static inline void check_both(const struct type *type, const char *cell, const char *value)
{
	_cleanup_patch_ struct patch patch = {0};
	_cleanup_free_ char *printed = print_one(type, cell_of(cell));
	struct error e = {0};

	ck_assert_str_eq(printed, value);
	ck_assert_msg(parse_one(type, value, &patch, &e) == 0, "%s: %s", value, e.message);
	ck_assert_msg(json_same_value(type, cell_of(cell), patch.cells[0]), "%s became %s", cell,
	              patch.cells[0].data);
}

/* A row that is printed and read back says the same, byte for byte; for json the cell is the same. */
static inline void check_exact(const struct type *type, const char *text)
{
	_cleanup_buf_ struct buf printed = {0}, again = {0};
	_cleanup_patch_ struct patch patch = {0};
	struct relation relation = one(type);
	struct cell cell = cell_of(text);
	struct error e = {0};

	json_print(&relation, &cell, &printed);
	ck_assert_msg(json_parse(&relation, printed.data, printed.len, &patch, &e) == 0, "%s: %s",
	              printed.data, e.message);
	if (type->kind == TYPE_JSON)
		ck_assert_str_eq(patch.cells[0].data, text);
	json_print(&relation, patch.cells, &again);
	ck_assert_str_eq(again.data, printed.data);
}
