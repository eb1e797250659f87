/* The bytes of one message, taken from the front. Like struct buf in reverse: a message that is too
 * short sets `bad`, after which everything that is taken is zero, so that a decoder checks once, at
 * its end. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct message {
	const unsigned char *at, *end;
	bool bad;
};

/* NULL (and `bad`) if there are not as many. */
static inline const unsigned char *message_bytes(struct message *m, size_t len)
{
	const unsigned char *bytes = m->at;

	if (m->bad || len > (size_t)(m->end - m->at)) {
		m->bad = true;
		return NULL;
	}
	m->at += len;
	return bytes;
}

/* An integer of `len` bytes in network order. */
static inline uint64_t message_integer(struct message *m, size_t len)
{
	const unsigned char *bytes = message_bytes(m, len);
	uint64_t value = 0;

	for (size_t i = 0; bytes && i < len; i++)
		value = value << 8 | bytes[i];
	return value;
}

static inline unsigned char message_u8(struct message *m)
{
	return (unsigned char)message_integer(m, 1);
}

static inline uint16_t message_u16(struct message *m)
{
	return (uint16_t)message_integer(m, 2);
}

static inline uint32_t message_u32(struct message *m)
{
	return (uint32_t)message_integer(m, 4);
}

static inline uint64_t message_u64(struct message *m)
{
	return message_integer(m, 8);
}

/* Borrowed from the message, with its NUL; "" if there is none. */
static inline const char *message_string(struct message *m)
{
	const unsigned char *nul = m->bad ? NULL : memchr(m->at, '\0', (size_t)(m->end - m->at));

	if (!nul) {
		m->bad = true;
		return "";
	}
	return (const char *)message_bytes(m, (size_t)(nul - m->at) + 1);
}
