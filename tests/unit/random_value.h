/* Random values of every type, as PostgreSQL prints them. */
#pragma once

#include <string.h>

#include "rowfs/base/buf.h"
#include "rowfs/model/schema.h"

#include "suite.h"

static inline void random_text(uint64_t *random, struct buf *out)
{
	static const char *const pieces[] = {
	        "\"",       "\\", "\n",      "\t",   "\x01",  "\x7f", "/",    "{",   "}", "[",
	        "]",        ",",  ";",       ":",    " ",     "NULL", "null", "é",   "€", "🐘",
	        "\xc2\x80", "%",  "\\u0000", "true", "(1,2)", "'",    "0",    "1e5",
	};
	size_t n = sizeof(pieces) / sizeof(*pieces);

	for (size_t left = random_below(random, 1 + random_below(random, 40)); left > 0; left--) {
		size_t pick = random_below(random, 2 * n);

		if (pick < n)
			buf_adds(out, pieces[pick]);
		else
			buf_addc(out, (char)('a' + random_below(random, 26)));
	}
}

static inline void random_digits(uint64_t *random, size_t n, struct buf *out)
{
	buf_addc(out, (char)('1' + random_below(random, 9)));
	for (; n > 1; n--)
		buf_addc(out, (char)('0' + random_below(random, 10)));
}

static inline void random_numeric(uint64_t *random, struct buf *out)
{
	static const char *const special[] = {"NaN", "Infinity", "-Infinity", "0", "0.00"};
	size_t pick = random_below(random, 20);

	if (pick < 5) {
		buf_adds(out, special[pick]);
		return;
	}
	if (pick % 2)
		buf_addc(out, '-');
	if (pick < 10)
		buf_adds(out, "0.00");
	random_digits(random, 1 + random_below(random, 30), out);
	if (pick >= 15) {
		buf_addc(out, '.');
		random_digits(random, 1 + random_below(random, 20), out);
	}
}

static inline void random_float(uint64_t *random, struct buf *out)
{
	static const char *const special[] = {"NaN", "Infinity", "-Infinity", "-0", "0"};
	uint64_t bits = random_next(random);
	double value;

	memcpy(&value, &bits, sizeof(value));
	if (bits % 10 < 5)
		buf_adds(out, special[bits % 10]);
	else if (value - value == 0)
		buf_addf(out, "%.17g", value);
	else
		buf_adds(out, "1.5");
}

/* A JSON string, as jsonb prints it. */
static inline void random_json_string(uint64_t *random, struct buf *out)
{
	static const char *const pieces[] = {"\\\"", "\\\\", "\\n", "\\u0001", "é", "🐘", "%",
	                                     "{",    "}",    ",",   ": ",      "[", "]", " "};
	size_t n = sizeof(pieces) / sizeof(*pieces);

	buf_addc(out, '"');
	if (random_below(random, 4) == 0)
		buf_addc(out, '%');
	else
		for (size_t left = random_below(random, 8); left > 0; left--)
			buf_adds(out, pieces[random_below(random, n)]);
	buf_addc(out, '"');
}

static inline void random_space(uint64_t *random, bool loose, struct buf *out)
{
	if (loose && random_below(random, 3) == 0)
		buf_adds(out, (const char *[]){" ", "\n", "\t", "  "}[random_below(random, 4)]);
}

/* `loose`: with white space where json keeps it and jsonb does not. */
static inline void random_json(uint64_t *random, unsigned depth, bool loose, struct buf *out)
{
	static const char *const scalars[] = {"null", "true", "false", "0", "-1.50", "1e400"};
	size_t pick = random_below(random, depth < 5 ? 10 : 7);

	random_space(random, loose, out);
	if (pick < 6) {
		buf_adds(out, scalars[pick]);
	} else if (pick == 6) {
		random_json_string(random, out);
	} else {
		bool object = pick < 9;
		size_t members = random_below(random, 4);

		buf_addc(out, object ? '{' : '[');
		for (size_t i = 0; i < members; i++) {
			if (i > 0)
				buf_adds(out, loose ? "," : ", ");
			random_space(random, loose, out);
			if (object) {
				random_json_string(random, out);
				random_space(random, loose, out);
				buf_adds(out, loose ? ":" : ": ");
			}
			random_json(random, depth + 1, loose, out);
		}
		random_space(random, loose && members == 0, out);
		buf_addc(out, object ? '}' : ']');
	}
	random_space(random, loose, out);
}

static inline void random_value(uint64_t *random, const struct type *type, struct buf *out);

/* As array_out() quotes it. */
static inline void random_element(uint64_t *random, const struct type *type, struct buf *out)
{
	_cleanup_buf_ struct buf element = {0};

	if (random_below(random, 6) == 0) {
		buf_adds(out, "NULL");
		return;
	}
	buf_adds(&element, "");
	random_value(random, type->element, &element);
	bool quote = element.len == 0 || strcasecmp(element.data, "NULL") == 0 ||
	             strpbrk(element.data, "\"\\{} \t\n\r\v\f") ||
	             strchr(element.data, type->delimiter);

	if (quote)
		buf_addc(out, '"');
	for (const char *p = element.data; *p; p++) {
		if (*p == '"' || *p == '\\')
			buf_addc(out, '\\');
		buf_addc(out, *p);
	}
	if (quote)
		buf_addc(out, '"');
}

static inline void random_dimension(uint64_t *random, const struct type *type, unsigned dimensions,
                                    size_t length, struct buf *out)
{
	buf_addc(out, '{');
	for (size_t i = 0; i < length; i++) {
		if (i > 0)
			buf_addc(out, type->delimiter);
		if (dimensions > 1)
			random_dimension(random, type, dimensions - 1, length, out);
		else
			random_element(random, type, out);
	}
	buf_addc(out, '}');
}

static inline void random_array(uint64_t *random, const struct type *type, struct buf *out)
{
	unsigned dimensions = 1 + (unsigned)random_below(random, 3);
	size_t length = random_below(random, 4);

	if (length == 0) {
		buf_adds(out, "{}");
		return;
	}
	if (random_below(random, 10) == 0) {
		for (unsigned i = 0; i < dimensions; i++)
			buf_addf(out, "[0:%zu]", length - 1);
		buf_addc(out, '=');
	}
	random_dimension(random, type, dimensions, length, out);
}

static inline void random_value(uint64_t *random, const struct type *type, struct buf *out)
{
	switch (type->kind) {
	case TYPE_TEXT:
		random_text(random, out);
		break;
	case TYPE_INTEGER:
		buf_addf(out, "%lld", (long long)random_next(random) >> random_below(random, 63));
		break;
	case TYPE_FLOAT:
		random_float(random, out);
		break;
	case TYPE_NUMERIC:
		random_numeric(random, out);
		break;
	case TYPE_BOOL:
		buf_adds(out, random_below(random, 2) ? "t" : "f");
		break;
	case TYPE_JSON:
		random_json(random, 0, true, out);
		break;
	case TYPE_JSONB:
		random_json(random, 0, false, out);
		break;
	case TYPE_ARRAY:
		random_array(random, type, out);
		break;
	}
}
