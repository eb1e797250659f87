#include "utf8.h"

#include <stdint.h>
#include <string.h>

/* What a first byte asks for: how many bytes there are, and in which range the second one
 * must be (the ranges that are narrower shut out overlong forms, surrogates and what lies
 * beyond Unicode). Zero length: no sequence starts like this. */
struct lead {
	unsigned char len, low, high;
};

static struct lead lead_of(unsigned char byte)
{
	if (byte < 0x80)
		return (struct lead){1, 0, 0};
	if (byte < 0xc2)
		return (struct lead){0};
	if (byte < 0xe0)
		return (struct lead){2, 0x80, 0xbf};
	if (byte < 0xf0)
		return (struct lead){3, byte == 0xe0 ? 0xa0 : 0x80, byte == 0xed ? 0x9f : 0xbf};
	if (byte < 0xf5)
		return (struct lead){4, byte == 0xf0 ? 0x90 : 0x80, byte == 0xf4 ? 0x8f : 0xbf};
	return (struct lead){0};
}

/* Bytes at `p` that agree with a sequence of the length that its first byte asks for. */
static size_t agreeing(const unsigned char *p, const unsigned char *end, struct lead lead)
{
	size_t n = lead.len > 0;

	if (n == lead.len || p + 1 == end || p[1] < lead.low || p[1] > lead.high)
		return n;
	for (n = 2; n < lead.len && p + n < end && (p[n] & 0xc0) == 0x80;)
		n++;
	return n;
}

size_t utf8_sequence(const char *p, const char *end)
{
	if (p == end)
		return 0;

	struct lead lead = lead_of((unsigned char)*p);
	size_t n = agreeing((const unsigned char *)p, (const unsigned char *)end, lead);

	return n == lead.len ? n : 0;
}

bool utf8_begins(const char *p, const char *end)
{
	if (p == end)
		return true;

	struct lead lead = lead_of((unsigned char)*p);
	size_t n = agreeing((const unsigned char *)p, (const unsigned char *)end, lead);

	return n > 0 && n == (size_t)(end - p);
}

size_t utf8_valid(const char *text, size_t len)
{
	const char *p = text, *end = text + len;

	while (p < end) {
		uint64_t word;

		/* Most text is ASCII: eight bytes at a time. */
		while (end - p >= 8 &&
		       (memcpy(&word, p, 8), !(word & UINT64_C(0x8080808080808080))))
			p += 8;
		if (p == end)
			break;

		size_t n = utf8_sequence(p, end);

		if (n == 0)
			break;
		p += n;
	}
	return (size_t)(p - text);
}
