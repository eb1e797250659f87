/* The queries by which the sync worker watches the catalog. They ask for every table of the database, whatever
 * the worker's own role or settings show, since one worker serves all mounts. The sessions have nothing but
 * pg_catalog in their search_path.
 *
 * Some catalogs differ between versions; a query is printed for the server's (PQserverVersion). */
#pragma once

#include "rowfs/base/buf.h"

/* Text that stands for the state of everything a row's text, a key or a source depends on; text that stands for
 * roles, and types, which concern all tables; and pg_current_snapshot(). Cheap, since it is asked five times a
 * second. No parameters. */
enum { WATCH_CATALOG, WATCH_ALL, WATCH_SNAPSHOT };
void feed_print_watch_sql(int version, struct buf *out);

/* Tables, with a line for each column of their key, in the key's order, or one line if they have none.
 * $1: the publication. $2: text[] of "schema.name", tables whose rows are named by another key. Sorted by
 * relation. Partitions are part of their root. */
enum {
	TABLE_OID,
	TABLE_NAME,       /* quoted and qualified, as SQL wants it */
	TABLE_VERSION,    /* a number that changes when the table does */
	TABLE_WAL_UNFIT,  /* why logical decoding cannot serve it, or NULL */
	TABLE_LOG_UNFIT,  /* why the change log cannot, or NULL */
	TABLE_OWNED,      /* this role may alter it */
	TABLE_PUBLISHED,  /* completely, with its key */
	TABLE_LISTED,     /* in the publication by name */
	TABLE_HARMFUL,    /* listed so that the application's UPDATEs fail */
	TABLE_LOGGED,     /* its triggers are all there, made for this key */
	TABLE_PARTLY,     /* some of its triggers are there */
	TABLE_LOGGER,     /* name of the trigger function for this key */
	TABLE_PINNED,     /* the key's text depends on settings */
	TABLE_MEMBERSHIP, /* a number that changes when it leaves the publication and comes back */
	TABLE_COLUMN,     /* name of the key's column, or NULL */
};
void feed_print_tables_sql(int version, struct buf *out);

/* The publication $1: complete (all four operations), through the root, may be altered, FOR ALL TABLES. No line
 * if it does not exist. */
enum { PUBLICATION_COMPLETE, PUBLICATION_VIA_ROOT, PUBLICATION_OWNED, PUBLICATION_ALL };
extern const char feed_publication_sql[];

/* Would the server count the worker as no synchronous standby? Else each commit would wait for it, and it for the commit
 * to become visible. */
#define FEED_SPARED_SQL "current_setting('synchronous_standby_names') !~ '[*]'"

/* What this server and role allow: wal_level, "replication" role, slots and senders configured, the role may create
 * a publication here, or read the log, FEED_SPARED_SQL. */
enum { ALLOWS_WAL_LEVEL, ALLOWS_ROLE, ALLOWS_SLOTS, ALLOWS_CREATE, ALLOWS_LOG, ALLOWS_STANDBYS };
extern const char feed_allows_sql[];

/* Open transactions that a new slot waits for, oldest first, as one text for people. */
extern const char feed_writers_sql[];

/* The same of those that hold the lock $1 (int8) of the change log. */
extern const char feed_loggers_sql[];
