/* The names that a directory handle has read, by their offset: first the extras, then a table's rows as far as they
 * are remembered (directory.c). What the kernel keeps of a listing was numbered by the handle that read it; so that
 * another handle can go on where the kernel's copy was lost, the names are kept as long as that copy. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "rowfs/base/buf.h"

struct entries {
	_Atomic unsigned refs;
	struct buf names;   /* a type byte (DT_*), then the name with its NUL, one after the other */
	struct buf starts;  /* of each ENTRIES_STEP-th in `names`, a uint32_t each */
	size_t n;
	struct buf inos;    /* of the extras, a uint64_t each */
	size_t n_extras;    /* the first so many are no rows */
};

/* Of one listing so many bytes are remembered: a million names and more. */
enum { ENTRIES_BYTES_MAX = 24 << 20, ENTRIES_STEP = 16 };

struct entries *entries_new(void); /* NULL without memory */
struct entries *entries_ref(struct entries *entries);
void entries_unref(struct entries *entries); /* accepts NULL */

int entries_add(struct entries *entries, unsigned char type, const char *name) _must_check_; /* -ENOMEM */

/* The same for one that is no row, and has a number that its name does not tell. */
int entries_add_extra(struct entries *entries, unsigned char type, uint64_t ino, const char *name) _must_check_;

unsigned char entries_type(const struct entries *entries, size_t i);
const char *entries_name(const struct entries *entries, size_t i);

/* Of an extra. */
static inline uint64_t entries_ino(const struct entries *entries, size_t i)
{
	uint64_t ino;

	memcpy(&ino, entries->inos.data + i * sizeof ino, sizeof ino);
	return ino;
}

/* The memory it takes, at least; at most twice that. */
size_t entries_bytes(const struct entries *entries);
