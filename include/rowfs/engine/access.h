/* What is read, how often and from where; and so, what of it belongs in Redis.
 *
 *   OPEN of a row, answered ── access_note() ──► walkers: is it one that counts?
 *                                                 └─ yes ──► sketch, list of the hottest, counts of the table
 *   reader, before it takes a lease ── access_admits() ──► read before, or by another mount, and not in a walk?
 *
 * A row enters Redis when it is read for the second time (admit=second) within the sketch's window, since most rows of
 * most tables are read once: what comes once would push out what comes often. Whoever walks a whole table admits nothing
 * (engine/walkers.h). What is there already is used by everybody. A read is an OPEN that is answered; ls -l and stat are
 * none.
 *
 * "Lately" is since the list of the hottest was halved, with half of what was before that. What other mounts read comes
 * from their summaries (engine/hot.h). Thread-safe; a row that is read takes one lock, its program's. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "rowfs/base/settings.h"
#include "rowfs/model/popularity.h"

struct access;

int access_new(const struct settings *settings, struct access **ret) _must_check_; /* -ENOMEM */
void access_free(struct access *access);                                          /* accepts NULL */

/* By which a row is known in all counts; 64 good bits. */
uint64_t row_hash(uint32_t relation, const char *name);

/* The program (a thread group; 0: unknown) has opened the table's directory. */
void access_listed(struct access *access, pid_t program, uint32_t relation);

/* It has opened the row and reads a text of so many bytes, which came from there. */
void access_note(struct access *access, pid_t program, uint32_t relation, const char *name, enum tier tier,
		 uint64_t bytes);

/* Thread `thread` asks for a row that Redis does not have, or (`stale`) of which it has something that cannot be used:
 * shall it be put there? Whatever was there before was worth it once. */
bool access_admits(struct access *access, pid_t thread, uint32_t relation, const char *name, bool stale);

/* Does the program walk through the table, and has not been at this row lately? */
bool access_passes(struct access *access, pid_t program, uint32_t relation, const char *name);

/* How often the row was read lately, as far as this mount can count. */
enum { ACCESS_READS_MAX = 15 };
unsigned access_reads(const struct access *access, uint32_t relation, const char *name);

/* Add what this mount has seen; settled by the caller. */
void access_summarize(struct access *access, struct popularity *ret);

/* What other mounts read lately counts here, too, instead of what they did before. */
void access_learn(struct access *access, const struct popularity *others);
