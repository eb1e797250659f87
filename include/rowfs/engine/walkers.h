/* Who reads a table from one end to the other: grep -r, tar, rsync, cp -r, cat *. Such a reader reads every row once, so
 * that nothing it reads says anything about what will be read again.
 *
 *   a program that has opened the table's directory, ┐   walks: rows that it has not read before are a walk's;
 *   or reads row after row in the order of the names ┘   what it reads again, it wants
 *
 * A server that lists a table once and then reads what its users want is soon none any more: it reads many rows again. A
 * reader that goes by the order of names stops being one when it leaves it. A program is a thread group. Bounded, by the
 * programs that have read something lately. Thread-safe; programs do not wait for each other. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "rowfs/base/cleanup.h"

struct walkers;

int walkers_new(struct walkers **ret) _must_check_; /* -ENOMEM */
void walkers_free(struct walkers *walkers);         /* accepts NULL */

/* The program has opened the table's directory. Program 0 is unknown, here and below, and never walks. */
void walkers_listed(struct walkers *walkers, pid_t program, uint32_t relation);

/* It has opened a row (`hash` is of relation and name): as how many reads does that count? None in a walk; two for a row
 * that it comes back to, since the first was not counted; one otherwise. */
unsigned walkers_read(struct walkers *walkers, pid_t program, uint32_t relation, const char *name, uint64_t hash);

/* It is about to read the row: does it walk, and for the first time there, or was it there lately? */
enum passage { PASSAGE_NONE, PASSAGE_FIRST, PASSAGE_BACK };
enum passage walkers_passage(struct walkers *walkers, pid_t program, uint32_t relation, uint64_t hash);
