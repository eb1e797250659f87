/* The placement rules that the database keeps, as every mount and worker reads them: rows of rowfs.placement.
 *
 * The table is the database's, so it may be anything, and be held by anybody: it is read only if it may be trusted
 * (rules_sql.h), within bounds, in a transaction of its own, and waiting a moment at most. While that fails, what was read last
 * counts; before anything was read, there are no rules. */
#pragma once

#include <pthread.h>

#include "answer.h"
#include "session.h"

/* More rules are not read, nor longer ones, in bytes. A name has two parts of 63 bytes. */
enum { RULES_MAX = 10000, RULES_NAME_BYTES = 127, RULES_TEXT_BYTES = 8192 };

/* How long to wait for the table, and for an answer. Reading is no part of anything that may not be late. Before anything
 * was read there is nothing to fall back on: a server that has a slow second is then given time. */
enum { RULES_LOCK_TIMEOUT_MS = 100, RULES_STATEMENT_TIMEOUT_MS = 1000, RULES_FIRST_STATEMENT_TIMEOUT_MS = 10000 };

/* One reading. */
struct ruleset {
	bool there;       /* there is something called so */
	PGresult *lines;  /* name, and rule (NULL: too long); NULL: no rules count */
	bool mine;        /* it is this role's or a superuser's, so that it may say what SQL this role runs */
	uint64_t version; /* another number for other rules; 0: there are none */
	char note[512];   /* what is to be said of it, or "" */
};

struct rules {
	pthread_mutex_t lock;
	struct ruleset last; /* [lock] */
	bool known;          /* [lock] `last` was read */
	bool troubled;       /* [lock] the last reading failed */
};

void rules_init(struct rules *rules);
void rules_done(struct rules *rules);
void ruleset_done(struct ruleset *ruleset);

/* Here `e` is never NULL. Whatever the table is, the outcome is RUN_DONE; others are the connection's, or a server's that
 * does not answer. The session is in no transaction, before and after.
 *
 * Read the rules. */
enum outcome rules_load(struct rules *rules, struct session *session, struct ruleset *ret, struct error *e) _must_check_;

/* The version that they would have now. */
enum outcome rules_look(struct rules *rules, struct session *session, uint64_t *ret, struct error *e) _must_check_;

/* name, rule: as far as both are not too long (NULL), in the order of the names; one more than RULES_MAX at most. */
extern const char rules_lines_sql[];

/* What the database's owner has called something, for messages of one line: a blank for a line end or a tab, `?` for what else would
 * have an effect on a terminal. */
void rules_print_name(const char *name, struct buf *out);
