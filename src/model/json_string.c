#include "json_string.h"

#include <string.h>

static unsigned hex4(const char *p)
{
	unsigned value = 0;

	for (int i = 0; i < 4; i++) {
		unsigned char c = (unsigned char)p[i];

		value = value * 16 + (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
	}
	return value;
}

/* Is the escape \uXXXX at `p` a character? If so *ret_len is its length, both halves of a surrogate
 * pair counted; else the reason. */
static const char *escape_flaw(const char *p, const char *end, bool nul_allowed, size_t *ret_len)
{
	unsigned code = hex4(p + 2);

	*ret_len = 6;
	if (code == 0 && !nul_allowed)
		return "\\u0000 cannot be stored: PostgreSQL's text holds no NUL";
	if (code < 0xd800 || code > 0xdfff)
		return NULL;
	*ret_len = 12;
	if (code < 0xdc00 && end - p >= 12 && p[6] == '\\' && p[7] == 'u' &&
	    (hex4(p + 8) & 0xfc00) == 0xdc00)
		return NULL;
	return "half of a surrogate pair, which is no character";
}

const char *json_string_flaw(const char *inside, size_t len, bool nul_allowed, size_t *ret_offset)
{
	const char *at = inside, *end = inside + len;

	while ((at = memchr(at, '\\', (size_t)(end - at)))) {
		size_t escape_len = 2;
		const char *reason =
		        at[1] == 'u' ? escape_flaw(at, end, nul_allowed, &escape_len) : NULL;

		if (reason) {
			*ret_offset = (size_t)(at - inside);
			return reason;
		}
		at += escape_len;
	}
	return NULL;
}
