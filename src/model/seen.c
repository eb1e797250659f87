#include "rowfs/model/seen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* Bits for each name, and those of them that it sets; bits at least and at most (16 MiB, for eight million names). */
enum { SEEN_PER_NAME = 16, SEEN_SET = 4, SEEN_LEAST = 1 << 16, SEEN_MOST = 1 << 27 };

int seen_begin(struct seen *seen, uint64_t names, uint64_t seed)
{
	size_t bits = SEEN_LEAST;

	seen_done(seen);
	while (bits < SEEN_MOST && bits / SEEN_PER_NAME < names)
		bits *= 2;
	seen->bits = calloc(bits / 64, sizeof(*seen->bits));
	seen->mask = bits - 1;
	seen->seed = seed;
	return seen->bits ? 0 : -ENOMEM;
}

/* The halves of one hash make all that are needed. */
static size_t bit(const struct seen *seen, uint64_t hash, unsigned i)
{
	return (size_t)((hash >> 32) + i * (hash | 1)) & seen->mask;
}

void seen_add(struct seen *seen, const char *name)
{
	uint64_t hash;

	if (!seen->bits)
		return;
	hash = XXH64(name, strlen(name), seen->seed);
	for (unsigned i = 0; i < SEEN_SET; i++)
		seen->bits[bit(seen, hash, i) / 64] |= UINT64_C(1) << bit(seen, hash, i) % 64;
}

bool seen_has(const struct seen *seen, const char *name)
{
	uint64_t hash;

	if (!seen->bits)
		return true;
	hash = XXH64(name, strlen(name), seen->seed);
	for (unsigned i = 0; i < SEEN_SET; i++)
		if (!(seen->bits[bit(seen, hash, i) / 64] & UINT64_C(1) << bit(seen, hash, i) % 64))
			return false;
	return true;
}

void seen_done(struct seen *seen)
{
	free(seen->bits);
	*seen = (struct seen){0};
}
