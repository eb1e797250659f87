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
 * Others remove the row and create it anew (mv from outside, tar x, git checkout). With delete_grace the DELETE is
 * put off for as long, so that the two become one UPDATE:
 *
 *             deferred                  created
 *   PLAIN ───────────────► UNLINKED ◄─────────────► RECREATED ─── committed, dropped ──► PLAIN
 *                             │     removed,            │
 *                     expired │     moved away          │ expired: without content, and
 *                             ▼         created         ▼ with no handle
 *                          DELETING ◄─────────────► CLEARING
 *                             │         removed, …      │
 *            kept ── PLAIN ◄──┼────────── kept ─────────┤
 *            deleted           ▼                         ▼ deleted
 *                            GONE ── expired ──► PLAIN   PENDING
 *
 * PLAIN       whatever PostgreSQL says; such names are not in the table
 * DETACHED    moved to a scratch name; hidden; the row itself is untouched. A name that nobody
 *             creates again within detach_grace is PLAIN again: nothing was ever deleted
 * REPLACING   created over a detached name: its commit is an UPDATE of that row
 * PENDING     created where there was no row: its commit is an INSERT; until then an empty file
 * UNLINKED    removed, which the database would allow; hidden; the row is there until the grace is over
 * RECREATED   created over an unlinked name: its commit is an UPDATE. If it is refused, so is the whole: the row
 *             stays. The grace does not end while a handle is open that may still commit it
 * DELETING    the DELETE is being made, on a seat of the write lane; hidden
 * CLEARING    the same, and there is an empty file of the name, whose commit will be an INSERT
 * GONE        PLAIN, but for listings that were begun before it was deleted
 *
 * `base` is the row's text when it was moved away or removed; a replacement is compared with it. Thread-safe; no
 * I/O. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "rowfs/engine/refusal.h"
#include "rowfs/engine/text.h"

struct names;

enum name_state {
	NAME_PLAIN,
	NAME_DETACHED,
	NAME_REPLACING,
	NAME_PENDING,
	NAME_UNLINKED,
	NAME_RECREATED,
	NAME_DELETING,
	NAME_CLEARING,
	NAME_GONE,
	NAME_STATES
};

enum name_event {
	NAME_MOVED_AWAY, /* renamed to a scratch name */
	NAME_CREATED,
	NAME_COMMITTED, /* its text is in the database, or it was put back unchanged */
	NAME_REMOVED,   /* unlinked before it was committed */
	NAME_DROPPED,   /* closed for good with a text that was refused */
	NAME_EXPIRED,   /* nobody created it within the grace; raised by names.c itself */
	NAME_DEFERRED,  /* the row was unlinked, and its DELETE put off */
	NAME_OVERWRITTEN, /* another file or row was renamed to it, and that was committed */
	NAME_DELETED,   /* the DELETE was made */
	NAME_KEPT,      /* it failed */
	NAME_EVENTS
};

/* Hidden: the mount says that there is no such file. Empty: it says that there is one without content. */
bool name_is_hidden(enum name_state state);
bool name_is_empty(enum name_state state);

struct names_settings {
	unsigned detach_grace_ms, delete_grace_ms;
	uint64_t removed_max; /* bytes of the texts of rows whose DELETE waits */
};

/* A listing's page is read within this time: so long is a name GONE. */
enum { NAMES_GONE_MS = 60000 };

/* The transition table: the state that follows, or -1 where the event cannot happen. */
int names_next(enum name_state state, enum name_event event);

int names_new(const struct names_settings *settings, struct names **ret) _must_check_;
void names_free(struct names *names);

/* The state now, PLAIN for one that is GONE; with it, if `ret_base` is not NULL, a reference to the base or NULL. */
enum name_state names_state(struct names *names, uint32_t relation, const char *name,
			    struct text **ret_base);

/* Let an event happen. `base` is kept for NAME_MOVED_AWAY of a PLAIN name, and must be there for that; else it
 * may be NULL. NAME_DEFERRED is names_defer()'s, NAME_EXPIRED names_expire()'s and names_take()'s. Returns the state
 * that follows, or -EBUSY where the event does not fit the state any more, or
 * -ENOMEM. */
int names_event(struct names *names, uint32_t relation, const char *name, enum name_event event,
		struct text *base);

/* Who holds a name that is UNLINKED or RECREATED puts off its DELETE until he lets go. NULL holds nothing. */
struct name_hold;
void names_let_go(struct names *names, struct name_hold *hold);

/* The state, the base and a hold in one step, so that nothing comes in between. */
enum name_state names_hold(struct names *names, uint32_t relation, const char *name, struct text **ret_base,
			   struct name_hold **ret_hold);

/* NAME_CREATED, likewise: a reference to the base of a name that is then REPLACING or RECREATED, NULL for one that
 * is PENDING or CLEARING. */
int names_create(struct names *names, uint32_t relation, const char *name, struct text **ret_base,
		 struct name_hold **ret_hold) _must_check_;

/* Let go of one name that was moved away and whose grace has run out: true with its relation, false if there is none. */
bool names_expire(struct names *names, uint32_t *ret_relation);

/* --- DELETEs that wait ------------------------------------------------------------------------- */

/* NAME_DEFERRED: `base` was unlinked by `who`, whose path is not kept. -EBUSY if the name is not PLAIN any more, -ENOSPC
 * where more would wait than may. */
int names_defer(struct names *names, uint32_t relation, const char *name, struct text *base,
		const struct asker *who) _must_check_;

/* A row that is to be deleted now. */
struct removed {
	uint32_t relation;
	char *name;
	struct text *base;
	struct asker who;
};

/* NAME_EXPIRED for one name whose grace is over, or, if `now`, for any that nobody holds; of one relation, unless that
 * is 0. False: there is none, or no memory. True: what to delete, and then say NAME_DELETED or NAME_KEPT. */
bool names_take(struct names *names, uint32_t relation, bool now, struct removed *ret);
void removed_done(struct removed *removed);

/* Wait until the DELETE that is being made of this name's row, if any, has ended; or all of a relation's, if `name` is
 * NULL. Who makes it has a seat already, so who has another may wait here. */
void names_await(struct names *names, uint32_t relation, const char *name);

/* Is the name hidden by a DELETE that waits or is being made, or was it at this time (clock_monotonic_ms()) or later?
 * A listing that was read since then has a row that it must not have. */
bool names_was_removed(struct names *names, uint32_t relation, const char *name, int64_t since_ms);

/* Call `visit` for each name of a relation that is not PLAIN, without locks held. */
void names_visit(struct names *names, uint32_t relation,
		 void (*visit)(void *arg, const char *name, enum name_state state), void *arg);

/* How many names are in each state, for status and the report at unmount. */
void names_count(struct names *names, unsigned ret[NAME_STATES]);
