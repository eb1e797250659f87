/* A feed on a private cluster with wal_level=logical, for the programs that test its sources. Each test has a
 * database of its own, "feed". Failures end the test. */
#pragma once

#include <check.h>
#include <libpq-fe.h>

#include "rowfs/engine/feed.h"

extern struct store *rig_store;
extern struct settings rig_settings;
extern struct feed *rig_feed;
extern struct error rig_error;

/* Run the suite on a cluster; gives the program's exit status. */
int rig_run(Suite *suite);

/* Around each test. */
void rig_setup(void);
void rig_teardown(void);

/* Run SQL as the superuser, in autocommit. */
const char *rig_sql(const char *format, ...) _printf_(1, 2);

/* Connections that keep a transaction open. */
PGconn *rig_session(const char *user);
void rig_in(PGconn *session, const char *sql);
int rig_pid(PGconn *session);

/* Another role's feed: closes the store, and opens it as `user`. */
void rig_become(const char *user);

/* Open the feed and wait until it has begun, at most half a minute. */
void rig_begin(void);
int rig_open(void); /* only open; what it returned */

/* Close it, and wait until the server knows: until then its lock bars the next one. */
void rig_close(void);

/* Everything that has been committed by now, one line a change: "table U 1.json", sorted, without repetitions; a table by
 * its present name, else its number. Waits until it is visible. */
const char *rig_changes(void);

/* The same for what feed_inspect() tells until the catalog is at rest. */
const char *rig_inspect(void);

/* "wal", "log" or "none". */
const char *rig_source(const char *table);

/* Repeat until the SQL gives `value`, twenty seconds at most. */
void rig_await(const char *value, const char *sql);
