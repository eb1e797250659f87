/* One table whose rule pins rows, and what has become of that. For engine/pins.h, whose thread owns it. */
#pragma once

#include "pin_batch.h"
#include "rowfs/model/seen.h"

enum pin_state {
	PIN_CLEARING, /* until what was pinned by another rule is gone */
	PIN_LOADING,
	PIN_LOADED,
	PIN_FULL,     /* Redis has no room for the rest */
	PIN_FAILED,   /* the rule cannot be evaluated */
	PIN_UNFIT,    /* nothing of such a table can be pinned */
	PIN_OFF,      /* place=off: nothing of it may be in Redis; `after`: what is there is being removed */
};

/* Keys that were found in PostgreSQL, in order, as file names. */
struct pin_page {
	bool there;
	struct buf names; /* each with its NUL; of a page that was put at once, those that were not */
	size_t at;        /* the first that was not taken yet */
	size_t lines, limit;
	struct cells last; /* with which a full page ended */
};

struct pin_table {
	const struct relation *relation;
	enum pin_state state;
	bool swept;               /* CLEARING: by the sweep that is under way */
	unsigned removals;        /* OFF: how often its rows are to be removed yet */
	bool marked;              /* it has its mark in Redis */
	bool unfed;               /* no feed covers it */
	struct cache_proof proof; /* under which it is pinned */
	struct buf valid;
	bool checked;             /* PostgreSQL has planned the predicate */
	struct cells after;       /* LOADING, OFF: the last key of the page before */
	struct pin_page page;
	uint64_t rows;            /* of the load */
	uint64_t filled, bytes;   /* rows, and what they took, of all loads: how long a row is */
	uint64_t count;           /* of what is pinned, */
	bool miscounted;          /* but something has changed since */
	bool crowds;              /* Redis is full, so what is pinned takes the place of what is not */
	uint64_t asked;           /* fills, */
	uint64_t pinned;          /* and those that came about, as the pinner counts */
	int64_t due_ms;           /* when it is looked at again */
	int64_t pause_ms;         /* for how long it was left */
	int64_t resume_ms;        /* it had trouble that is not its rule's: nothing is tried until then, */
	int64_t backoff_ms;       /* which was so long; 0: it has none */
	int64_t failed_ms;        /* for how long it was left when its rule failed last */
	enum pin_state said;      /* what the log knows */
	bool sweep_due;           /* copies of it that do not expire may be of no use any more */
	bool whole;               /* LOADING: nothing is pinned under these epochs yet, so pages are put at once, */
	size_t whole_limit;       /* of so many rows, */
	bool keys_next;           /* but for the next */
	bool audits;              /* LOADING: what is pinned is good, and may have to leave; */
	bool skips;               /* LOADING: for that alone, since there is no room */
	int64_t audited_ms;       /* when that was done last */
	struct seen seen;         /* LOADING, and while it is weeded: the names that are to stay */
	bool weeding;
	uint64_t weeded;          /* how far */
	int64_t began_ms, took_ms;
	char why[512];
};

/* Rows of a page, at most: so many that for a part of a table that is worth pinning PostgreSQL goes through the table
 * once, and not along the key. And of them those that are taken before anybody else's turn comes. */
enum { PIN_PAGE = 100000, PIN_TURN = 10000 };

/* Of a page that is put at once: bytes of rows, and how long it is read, about. And of what share of the rows at least it is
 * worth while to read all. */
enum { PIN_WHOLE_BYTES = 64 << 20, PIN_WHOLE_MS = 2000, PIN_WHOLE_SHARE = 4 };

/* How long a table is left: after its rows were looked at (or as settings say); when something was missing, at first; where
 * there was no room; where the rule failed, or somebody holds the table, at first and at most. */
enum { PIN_AUDIT_MS = 600000, PIN_SOON_MS = 2000, PIN_FULL_MS = 15000 };
enum { PIN_PAUSE_MS = 100, PIN_FAILED_MS = 30000, PIN_FAILED_MOST_MS = 600000, PIN_BACKOFF_MS = 1000, PIN_BACKOFF_MOST_MS = 60000 };

/* Bytes of a batch, about. */
enum { PIN_BATCH_BYTES = 16 << 20 };

/* Of a row, as long as none was seen. */
enum { PIN_LIKELY_BYTES = 4096 };

/* A mount that has not yet heard of place=off may put something there: its rows are removed once more after that. */
enum { PIN_STRAGGLERS_MS = 3000, PIN_REMOVALS = 2 };

/* What the thread works with. */
struct pin_work {
	struct store *store;
	struct pinner *pinner;
	const struct schema *schema;
	const atomic_bool *abandoned;
	int64_t audit_ms;
	struct pin_batch batches[2];
};

void pin_work_done(struct pin_work *work);

/* Why no row of a relation could be pinned; NULL: some could. `lags`: rows are read from a standby. */
const char *pin_unfit(const struct relation *relation, bool lags);

/* How many rows a batch takes of it: so that a statement does not take too long. */
size_t pin_table_limit(const struct pin_table *table);

/* Trouble of its own that will pass: not now. */
bool pin_table_waits(const struct pin_table *table);

void pin_table_begin(struct pin_table *table, const struct cache_proof *proof, int64_t audit_ms);
void pin_table_done(struct pin_table *table);

/* OFF: remove some of what readers have put there. As pin_table_load(). */
int pin_table_remove(struct pin_table *table, struct pin_work *work, struct error *e) _must_check_;

/* How copies begin that may stay without expiry; NULL: none may. */
const char *pin_table_valid(const struct pin_table *table);

/* LOADING: a turn. 0, whatever has become of the table; -errno: PostgreSQL or Redis cannot be reached now. */
int pin_table_load(struct pin_table *table, struct pin_work *work, struct error *e) _must_check_;

/* What its rows are copied as. */
struct pin_target pin_table_target(const struct pin_table *table, const struct pin_work *work);

/* LOADING, whole: read a page and put its rows into Redis under one lease (pin_whole.c). What is left is in the page then; or
 * there is none, since that cannot be done now. For pin_table_load(). */
int pin_table_put_page(struct pin_table *table, struct pin_work *work, struct error *e) _must_check_;

/* Pin the rows of a batch, whose names were added, if the rule wants them. As above; look at `found` after. -EAGAIN: not
 * now. */
int pin_table_take(struct pin_table *table, struct pin_work *work, struct pin_batch *batch, struct error *e)
	_must_check_;

/* LOADED or FULL, weeding: a step. What was pinned and was not seen any more when the table was looked through last goes, and comes
 * back if the rule wants it all the same. As pin_table_load(). */
int pin_table_weed(struct pin_table *table, struct pin_work *work, struct error *e) _must_check_;

/* Count what is pinned, and look whether there is room again, if something has changed since the last time. As
 * pin_table_load(). */
int pin_table_count(struct pin_table *table, struct pin_work *work, struct error *e) _must_check_;

void pin_table_print(const struct pin_table *table, struct buf *out);
