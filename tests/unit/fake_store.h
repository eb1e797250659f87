/* store.h without PostgreSQL: a handful of rows of the sample relations (sample_engine.h), and a
 * hook by which a test answers, refuses, loses or holds up any statement.
 *
 * Events: "fetch" "cold" "key" "page" "canonical" "value" "update" "insert" "delete" "replace" for statements,
 * by their SQL; "rehearse" for one that is taken back; "gone?" for store_backend_gone(). */
#pragma once

#include "rowfs/engine/store.h"

struct fake_call {
	const char *verb; /* its event */
	enum store_set set;
	const struct statement *statement;
	store_line_fn *line;
	void *arg;
	struct error *e; /* never NULL */
};

enum { FAKE_PASS = 4711 };

/* Asked first for each statement. What it returns is store_run()'s result, but for FAKE_PASS: then
 * the rows below answer a SELECT, and anything else affects one row (transaction 900; key 77 for
 * INSERT). */
typedef int fake_store_fn(void *arg, const struct fake_call *call);
void fake_store_on(fake_store_fn *fn, void *arg);

/* Hand over one line of `n` texts, NULL for SQL's NULL. */
int fake_line(const struct fake_call *call, size_t n, ...);

/* Fail with this errno (positive) and SQLSTATE. */
int fake_refuse(const struct fake_call *call, int err, const char *sqlstate);

/* The connection broke after the statement was sent. */
int fake_lose(const struct fake_call *call);

/* A row: PostgreSQL's text of the head and of each column. */
struct fake_row {
	const char *xid, *mtime;
	const char *id, *name, *price, *total;
};

/* Put a row, replacing the one with this id; take one away; hand one over as an answer. Literals or
 * other strings that outlive the test. */
void fake_store_put(const struct fake_row *row);
void fake_store_remove(const char *id);
int fake_store_line(const struct fake_call *call, const struct fake_row *row);

/* What store_backend_gone() says from now on: `answer` after `first` times 0. */
void fake_store_gone(int answer, unsigned first);

/* Is the server there, as store_status() says? */
void fake_store_reach(bool reachable);

/* It is a standby. */
void fake_store_lag(bool may_lag);

/* What store_load_schema() gives; a reference is taken. */
void fake_store_schema(struct schema *schema);

/* Or who gives it: called without locks, in store_load_schema()'s place. */
typedef int fake_load_fn(void *arg, struct schema **ret, struct error *e);
void fake_store_on_load(fake_load_fn *fn, void *arg);

/* How many statements there were; with this verb, or of all if NULL. */
unsigned fake_store_count(const char *verb);

struct store *fake_store(void);
