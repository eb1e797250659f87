#include "decimal.h"

#include <string.h>

/* Nine digits of exponent fit a long on every machine; a number that needs more has no value that
 * PostgreSQL could hold. */
enum { EXPONENT_DIGITS = 9 };

static const char *skip_digits(const char *p, const char *end)
{
	while (p < end && *p >= '0' && *p <= '9')
		p++;
	return p;
}

static bool parse_exponent(const char *p, const char *end, long *ret)
{
	bool negative = p < end && *p == '-';
	long value = 0;

	if (p < end && (*p == '-' || *p == '+'))
		p++;

	const char *stop = skip_digits(p, end);

	if (stop != end || p == end || end - p > EXPONENT_DIGITS)
		return false;
	for (; p < end; p++)
		value = value * 10 + (*p - '0');
	*ret = negative ? -value : value;
	return true;
}

/* Find the first digit that counts among whole digits [p, point) and those after the point. */
static void find_digits(const char *p, const char *point, const char *end, struct decimal *d)
{
	const char *first = p;

	while (first < end && (*first == '0' || *first == '.'))
		first++;
	d->first = first;
	d->end = end;
	if (first == end)
		return;
	d->digits = (size_t)(end - first);
	if (first < point) {
		d->digits -= point < end;
		d->top += point - first - 1;
	} else {
		d->top -= first - point;
	}
}

bool decimal_parse(const char *text, size_t len, struct decimal *ret)
{
	const char *p = text, *end = text + len;
	struct decimal d = {.json = true, .integer = true};

	if (p < end && (*p == '-' || *p == '+')) {
		d.negative = *p == '-';
		d.json = d.negative;
		p++;
	}

	const char *point = skip_digits(p, end), *stop = point;

	if (point == p || (*p == '0' && point - p > 1))
		d.json = false;
	if (point < end && *point == '.') {
		stop = skip_digits(point + 1, end);
		d.json = d.json && stop > point + 1;
		d.integer = false;
	}
	if (stop - p - (stop > point) <= 0)
		return false;
	if (stop < end) {
		if ((*stop != 'e' && *stop != 'E') || !parse_exponent(stop + 1, end, &d.top))
			return false;
		d.integer = false;
	}
	find_digits(p, point, stop, &d);
	*ret = d;
	return true;
}

/* The next digit of a mantissa, '0' for ever after its last one. */
static char next_digit(const char **p, const char *end)
{
	if (*p < end && **p == '.')
		(*p)++;
	return *p < end ? *(*p)++ : '0';
}

bool decimal_equal(const struct decimal *a, const struct decimal *b)
{
	const char *p = a->first, *q = b->first;

	if (a->digits == 0 || b->digits == 0)
		return a->digits == b->digits;
	if (a->negative != b->negative || a->top != b->top)
		return false;
	while (p < a->end || q < b->end)
		if (next_digit(&p, a->end) != next_digit(&q, b->end))
			return false;
	return true;
}
