/* The few row names that for now are not what PostgreSQL says.
 *
 * Editors save by moving the row aside and creating it anew; touch and shells create a file before it has
 * content. None of that is SQL until there is a text to commit, so such a name has a state of its own:
 *
 *             moved away                created
 *   PLAIN ───────────────► DETACHED ──────────────► REPLACING
 *    ▲ │                    │  ▲                      │  │
 *    │ │ created            │  └──────────────────────┘  │
 *    │ ▼            expired,│    removed, dropped,       │
 *    │ PENDING    committed │    moved away              │ committed
 *    │  │                   ▼                            ▼
 *    └──┴── committed, removed, dropped, moved away ── PLAIN
 *
 * PLAIN       whatever PostgreSQL says; such names are not in the table
 * DETACHED    moved to a scratch name; hidden; the row itself is untouched. A name that nobody
 *             creates again within detach_grace is PLAIN again: nothing was ever deleted
 * REPLACING   created over a detached name: its commit is an UPDATE of that row
 * PENDING     created where there was no row: its commit is an INSERT; until then an empty file
 *
 * `base` is the row's text when it was moved away; a replacement is compared with it. Thread-safe; no
 * I/O. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "rowfs/engine/text.h"

struct names;

enum name_state { NAME_PLAIN, NAME_DETACHED, NAME_REPLACING, NAME_PENDING, NAME_STATES };

enum name_event {
	NAME_MOVED_AWAY, /* renamed to a scratch name */
	NAME_CREATED,
	NAME_COMMITTED, /* its text is in the database, or it was put back unchanged */
	NAME_REMOVED,   /* unlinked before it was committed */
	NAME_DROPPED,   /* closed for good with a text that was refused */
	NAME_EXPIRED,   /* nobody created it within the grace; raised by names.c itself */
	NAME_EVENTS
};

/* The transition table: the state that follows, or -1 where the event cannot happen. */
int names_next(enum name_state state, enum name_event event);

int names_new(unsigned detach_grace_ms, struct names **ret) _must_check_;
void names_free(struct names *names);

/* The state now; with it, if `ret_base` is not NULL, a reference to the base or NULL. */
enum name_state names_state(struct names *names, uint32_t relation, const char *name,
			    struct text **ret_base);

/* Let an event happen. `base` is kept for NAME_MOVED_AWAY of a PLAIN name, and must be there for that; else it
 * may be NULL. Returns the state that follows, or -EBUSY where the event does not fit the state any more, or
 * -ENOMEM. */
int names_event(struct names *names, uint32_t relation, const char *name, enum name_event event,
		struct text *base);

/* NAME_CREATED. With it, in one step, so that nothing comes in between: a reference to the base of a name that
 * is then REPLACING, NULL for one that is PENDING. */
int names_create(struct names *names, uint32_t relation, const char *name, struct text **ret_base)
	_must_check_;

/* Let go of one name whose grace has run out: true with its relation, false if there is none. */
bool names_expire(struct names *names, uint32_t *ret_relation);

/* Call `visit` for each name of a relation that is not PLAIN, without locks held. */
void names_visit(struct names *names, uint32_t relation,
		 void (*visit)(void *arg, const char *name, enum name_state state), void *arg);

/* How many names are in each state, for status and the report at unmount. */
void names_count(struct names *names, unsigned ret[NAME_STATES]);
