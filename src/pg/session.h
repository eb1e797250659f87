/* One connection, set up: what a session pins, its prepared statements, and running one statement
 * on it. One thread at a time owns a session (pg/sessions.h). */
#pragma once

#include <stdbool.h>

#include "rowfs/engine/store.h"
#include "answer.h"
#include "prepared.h"
#include "source.h"

/* What a statement or its answer may have for the connection to be kept. A new one takes milliseconds, which sending
 * so much takes, too. */
enum { SESSION_SWOLLEN = 8 << 20 };

struct session {
	PGconn *pg;
	struct prepared prepared;
	int backend;      /* the server process: its id, and when it started, which together name */
	char started[40]; /* it for good */
	const atomic_bool *abandoned; /* of the statement that runs, see struct statement */
	struct sink *sink;            /* the same */
	bool confined;        /* what it runs may be anybody's SQL: each statement is read only, and leaves nothing behind */
	bool swollen;         /* libpq's buffers have grown, and never shrink: better closed than kept */
	unsigned generation;  /* of the sessions, when it last answered */
	struct session *next; /* idle list of its set */
};

/* What a row's text and a statement's meaning depend on, whatever role, database or the user's `options` say.
 * One statement, since a replication connection of an old server takes no more at a time. */
extern const char session_pins_sql[];

/* For the rest of a transaction: where nobody's view is meant to be read none is, also where one has come in the place of
 * a table. Servers have that since their minor releases of August 2024. */
#define SESSION_NO_VIEWS                                                                           \
	"SELECT pg_catalog.set_config(s.name, 'view, foreign-table', true) FROM pg_catalog.pg_settings AS s"            \
	" WHERE s.name OPERATOR(pg_catalog.=) 'restrict_nonsystem_relation_kind'"

/* Here `e` is never NULL.
 *
 * Connect and pin the settings. The first session of a source learns its identity, later ones are
 * compared with it. */
int session_open(struct source *source, enum store_set set, struct session **ret,
                 struct error *e) _must_check_;
void session_close(struct session *session);

/* After idling: is it still there, as far as this side can know without asking? */
bool session_alive(struct session *session);

/* Fit for the next statement: connected, and outside any transaction. */
bool session_idle(const struct session *session);

/* What became of a statement. */
enum outcome {
	RUN_DONE,
	RUN_FAILED,    /* refused; `e` says why */
	RUN_CONFLICT,  /* serialisation failure or deadlock: worth repeating */
	RUN_STALE,     /* the prepared statement is out of date: nothing was executed */
	RUN_UNSENT,    /* the connection was gone before the server can have got it */
	RUN_LOST,      /* gone before the answer came: a write may have been committed */
	RUN_TIMED_OUT, /* no answer in time: the same, and repeating would take as long */
};

/* Run a statement in its own transaction, or in the one that session_say() has opened. RUN_DONE gives the result; any other outcome fills `e`.
 * Afterwards session_idle() says whether the session can be used again. With a `sink` (else NULL) the rows go
 * there; what comes of a statement that it has stopped is RUN_DONE, and no result. */
enum outcome session_run(struct session *session, const struct statement *statement, struct sink *sink,
                         PGresult **ret, struct error *e) _must_check_;

/* Run statements that have no parameters and whose answers nobody wants; to open and to end transactions. */
enum outcome session_say(struct session *session, const char *sql, struct error *e) _must_check_;
