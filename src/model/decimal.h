/* Decimal numbers as text, compared by value and never converted: PostgreSQL's numeric holds more
 * than any machine type, and "1.50" may not become "1.5" on its way through. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct decimal {
	bool negative;
	bool json;    /* also a number in JSON's grammar: no "+1", "01", ".5" */
	bool integer; /* neither point nor exponent */
	/* From the first digit that is not zero to the last of the mantissa; `digits` counts them,
	 * 0 for zero. A point may stand among them. */
	const char *first, *end;
	size_t digits;
	long top; /* the first digit's power of ten */
};

/* False for what is no finite decimal number (NaN, Infinity, hexadecimal, spaces). */
bool decimal_parse(const char *text, size_t len, struct decimal *ret);

/* The same value? -0 equals 0; callers to whom it does not compare `negative` too. */
bool decimal_equal(const struct decimal *a, const struct decimal *b);
