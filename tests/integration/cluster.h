/* A private PostgreSQL cluster for a test program, started and stopped by the functions of
 * tests/lib/servers.bash, and what tests need of a store on it. Failures end the test. */
#pragma once

#include "rowfs/engine/store.h"

/* Begin and end of the program. 77: there is no PostgreSQL here, and the reason was printed. */
int cluster_begin(void);
void cluster_end(void);

/* cluster_stop, cluster_start, … with the cluster's directory; see servers.bash. */
void cluster_call(const char *function, const char *argument);

/* A new database from a file of SQL. */
void cluster_file(const char *database, const char *path);

/* "host=… user=… dbname=…"; valid until the next call. */
const char *cluster_source(const char *user, const char *database);

/* Run SQL as the superuser; the first value of the last result, "" if there is none, valid until the
 * next call. `format` is printf's. */
const char *cluster_sql(const char *database, const char *format, ...) _printf_(2, 3);

/* A superuser's session that runs SQL and then sits there, its transaction or its temporary tables
 * still open, until released. */
void cluster_hold(const char *database, const char *sql);
void cluster_release(void);

/* A store on the cluster, settings and all. `settings` may be NULL. */
struct store *cluster_store(const char *user, const char *database, struct settings *settings);

/* Every line of a result as "a|b|c\n", NULL as \N; empties and fills `out`. */
struct buf;
int cluster_run(struct store *store, enum store_set set, const struct statement *statement,
		struct buf *out, struct error *e);
