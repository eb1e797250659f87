/* What each program has read of the rows, or made of them, last: the base that its next save is compared with.
 *
 *   program    open, read, close         …          save (a new open, or a rename)
 *   base            └─ bases_note() ─────────────────► bases_get()
 *   somebody else               UPDATE of a column
 *
 * An editor closes a file long before it saves what it has made of it. Compared with the row as it is at the save,
 * its text would take back whatever others have changed meanwhile; compared with what it had read, it changes what
 * its user has changed, and a column that both have changed is a conflict.
 *
 * A program is a thread group; a number that is used again is told apart by when its process began. Bounded: of one
 * program BASES_OF_ONE rows, the last ones, and of all together BASES_MAX and some bytes of text, those of programs that
 * have ended first, among the oldest. What was forgotten has the base that the handle has. Thread-safe. */
#pragma once

#include "rowfs/engine/text.h"

struct bases;

/* A person has a few files open in an editor; what reads more rows than that at a time is no editor. Larger texts are not
 * kept, since a few would take the room of all others. */
enum { BASES_MAX = 4096, BASES_OF_ONE = 256, BASES_TEXT_MAX = 4 << 20 };

/* `max_bytes` of text at most. */
int bases_new(size_t max_bytes, struct bases **ret) _must_check_;
void bases_free(struct bases *bases); /* accepts NULL */

/* The program (0: nobody knows which) has opened the row, and reads this. */
void bases_note(struct bases *bases, uint32_t relation, const char *name, pid_t program, struct text *text);

/* It has saved the row, which is `text` now for all that it knows (commit_save(); NULL: unknown). Of a program that never
 * read the row nothing is noted: it goes by what its handle has. */
void bases_saved(struct bases *bases, uint32_t relation, const char *name, pid_t program, struct text *text);

/* How many rows are remembered now, for all programs. */
unsigned bases_count(struct bases *bases);

/* What the program takes the row to be: a reference, or NULL. *ret_saved: it is what it saved, so that triggers may have
 * made something else of it. */
struct text *bases_get(struct bases *bases, uint32_t relation, const char *name, pid_t program, bool *ret_saved)
	_must_check_;
