/* Which rows are read most, and how often: the largest few thousand of however many.
 *
 *   hash ──► a set of HOTTEST_WAYS slots ── it has one: count it there, without a lock
 *                                        └── no: was it seen more often than the set's smallest was counted? Then that
 *                                             slot is its own. Else the smallest loses one with probability 1.08^-count
 *
 * That is HeavyKeeper (Yang et al., USENIX ATC 2018, which also has the 1.08): who comes seldom cannot push out who comes
 * often, and does not inherit his count, as he would with Space-Saving; so a long tail, which is what reads are made of,
 * blurs nothing. What the sketch has seen of a row already (model/sketch.h) is its first count, so that the many who come
 * once contend with nobody. Sets instead of one list, so that a read touches a few cache lines and no other thread's.
 *
 * Counts are halved after HOTTEST_WINDOW reads, so that the list is of the present. Thread-safe; only a change of a slot's
 * row, and printing, take a lock, and a newcomer who finds it taken is not counted. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "rowfs/base/cleanup.h"

struct hottest;

/* 4,096 rows, about 300 KiB with their names. However they fall into the sets, of the first quarter one in a hundred
 * finds no slot or loses it. */
enum { HOTTEST_SETS = 256, HOTTEST_WAYS = 16, HOTTEST_MAX = HOTTEST_SETS * HOTTEST_WAYS };

/* Longer than the sketch's window: a distribution has a tail that a short look does not show. */
enum { HOTTEST_WINDOW = 1 << 20 };

int hottest_new(struct hottest **ret) _must_check_; /* -ENOMEM */
void hottest_free(struct hottest *hottest);         /* accepts NULL */

/* The row was read; its text has `bytes`. `hash` is of relation and name. `seen`: how often it was lately, this time
 * included. True for the read that ends a window: counts
 * that go with these are halved, too. */
bool hottest_add(struct hottest *hottest, uint64_t hash, uint32_t relation, const char *name, uint32_t bytes,
		 unsigned seen);

struct hot_row {
	uint64_t count;
	uint32_t relation, bytes;
	const char *name; /* valid during the call */
};

/* Each row that has a slot, in no order, under the lock: `fn` calls nothing here. */
void hottest_visit(struct hottest *hottest, void (*fn)(void *arg, const struct hot_row *row), void *arg);
