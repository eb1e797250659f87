#include "rowfs/model/sketch.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

/* Sixteen counters a word. */
enum { PER_WORD = 16, WORDS = SKETCH_COLUMNS / PER_WORD };

struct sketch {
	_Atomic uint32_t seen; /* in this window */
	_Atomic uint64_t words[SKETCH_ROWS][WORDS];
};

int sketch_new(struct sketch **ret)
{
	*ret = calloc(1, sizeof **ret);
	return *ret ? 0 : -ENOMEM;
}

void sketch_free(struct sketch *sketch)
{
	free(sketch);
}

/* Two hashes make all others: Kirsch and Mitzenmacher, Less Hashing, Same Performance (ESA 2006). */
static unsigned column_of(uint64_t hash, unsigned row)
{
	return ((uint32_t)hash + row * ((uint32_t)(hash >> 32) | 1)) & (SKETCH_COLUMNS - 1);
}

static unsigned read_counter(const struct sketch *sketch, unsigned row, unsigned column)
{
	uint64_t word = atomic_load_explicit(&sketch->words[row][column / PER_WORD], memory_order_relaxed);

	return word >> (column % PER_WORD * 4) & SKETCH_MAX;
}

unsigned sketch_estimate(const struct sketch *sketch, uint64_t hash)
{
	unsigned least = SKETCH_MAX;

	for (unsigned row = 0; row < SKETCH_ROWS; row++) {
		unsigned n = read_counter(sketch, row, column_of(hash, row));

		least = n < least ? n : least;
	}
	return least;
}

/* Whoever finds the word changed meanwhile looks again: its other counters must not be lost. */
static void raise_counter(struct sketch *sketch, unsigned row, unsigned column, unsigned from)
{
	_Atomic uint64_t *word = &sketch->words[row][column / PER_WORD];
	unsigned shift = column % PER_WORD * 4;
	uint64_t old = atomic_load_explicit(word, memory_order_relaxed);

	while ((old >> shift & SKETCH_MAX) == from &&
	       !atomic_compare_exchange_weak_explicit(word, &old, old + (UINT64_C(1) << shift),
						      memory_order_relaxed, memory_order_relaxed))
		;
}

static void halve(struct sketch *sketch)
{
	for (unsigned row = 0; row < SKETCH_ROWS; row++)
		for (unsigned i = 0; i < WORDS; i++) {
			_Atomic uint64_t *word = &sketch->words[row][i];
			uint64_t old = atomic_load_explicit(word, memory_order_relaxed);

			if (old)
				atomic_store_explicit(word, old >> 1 & UINT64_C(0x7777777777777777),
						      memory_order_relaxed);
		}
}

unsigned sketch_add(struct sketch *sketch, uint64_t hash)
{
	unsigned least = sketch_estimate(sketch, hash);

	if (least < SKETCH_MAX)
		for (unsigned row = 0; row < SKETCH_ROWS; row++)
			raise_counter(sketch, row, column_of(hash, row), least);
	/* Exactly one thread is the last of a window. */
	if (atomic_fetch_add_explicit(&sketch->seen, 1, memory_order_relaxed) % SKETCH_WINDOW == SKETCH_WINDOW - 1)
		halve(sketch);
	return least < SKETCH_MAX ? least + 1 : SKETCH_MAX;
}
