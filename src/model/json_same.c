#include "rowfs/model/json.h"

#include <stdlib.h>
#include <string.h>

#include "array_literal.h"
#include "decimal.h"
#include "json_token.h"

static bool same_decimal(struct cell a, struct cell b, bool signed_zero)
{
	struct decimal x, y;

	return decimal_parse(a.data, a.len, &x) && decimal_parse(b.data, b.len, &y) &&
	       decimal_equal(&x, &y) && (!signed_zero || x.negative == y.negative);
}

/* "0.1" and "0.1000000000000000055" are one double. */
static bool same_double(struct cell a, struct cell b)
{
	char *a_end, *b_end;
	double x = strtod(a.data, &a_end), y = strtod(b.data, &b_end);

	return a_end == a.data + a.len && b_end == b.data + b.len && memcmp(&x, &y, sizeof(x)) == 0;
}

/* Explicit bounds, "[0:1]=", are compared as they stand. */
static bool same_bounds(struct cell *a, struct cell *b)
{
	const char *x = a->data[0] == '[' ? strchr(a->data, '=') : a->data;
	const char *y = b->data[0] == '[' ? strchr(b->data, '=') : b->data;

	if (!x || !y || x - a->data != y - b->data || memcmp(a->data, b->data, x - a->data) != 0)
		return false;
	x += *x == '=';
	y += *y == '=';
	*a = (struct cell){x, a->len - (x - a->data)};
	*b = (struct cell){y, b->len - (y - b->data)};
	return true;
}

static bool same_element(const struct type *type, const struct array_walk *a,
                         const struct array_walk *b, struct buf *x, struct buf *y)
{
	buf_reset(x);
	buf_reset(y);
	array_walk_text(a, x);
	array_walk_text(b, y);
	/* Out of memory: called different, which at worst writes the same value once more. */
	if (x->failed || y->failed)
		return false;
	return json_same_value(type, (struct cell){x->data, x->len},
	                       (struct cell){y->data, y->len});
}

static bool same_array(const struct type *type, struct cell a, struct cell b)
{
	_cleanup_buf_ struct buf x = {0}, y = {0};
	struct array_walk p, q;
	enum array_event event;

	if (!same_bounds(&a, &b))
		return false;
	array_walk_start(&p, a.data, a.len, type->delimiter);
	array_walk_start(&q, b.data, b.len, type->delimiter);
	do {
		event = array_walk_next(&p);
		if (event == ARRAY_BROKEN || array_walk_next(&q) != event)
			return false;
		if (event == ARRAY_ELEMENT && !same_element(type->element, &p, &q, &x, &y))
			return false;
	} while (event != ARRAY_END);
	return true;
}

bool json_same_value(const struct type *type, struct cell a, struct cell b)
{
	if (cell_equal(a, b))
		return true;
	if (!a.data || !b.data)
		return false;
	switch (type->kind) {
	case TYPE_INTEGER:
	case TYPE_NUMERIC:
		return same_decimal(a, b, false);
	case TYPE_FLOAT:
		return same_decimal(a, b, true) || same_double(a, b);
	case TYPE_JSON:
	case TYPE_JSONB:
		return json_same_tokens(a.data, a.len, b.data, b.len);
	case TYPE_ARRAY:
		return same_array(type, a, b);
	case TYPE_TEXT:
	case TYPE_BOOL:
		break;
	}
	return false;
}
