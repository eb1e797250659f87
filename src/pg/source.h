/* Where the database is: the user's SOURCE, and which database answered there first.
 *
 * SOURCE may hold a password. It is handed to libpq as it is, and is never part of a message. */
#pragma once

#include <stdbool.h>

#include <libpq-fe.h>

#include "rowfs/base/error.h"

struct source {
	const char *conninfo; /* connection string, URI or database name; the settings' */
	bool read_only;
	bool sync;        /* for the sync worker: pg_stat_activity names it so */
	bool replication; /* the connection speaks the replication protocol, too */
	/* "<system identifier>.<database oid>" of the first connection. Another database that later
	 * answers in its place (a restored cluster on the same address) is refused: rows of both
	 * would mix in Redis and in the kernel. Written once, before there is a second thread. */
	char identity[64];
	bool standby; /* the first one led to a server that lags behind the primary; written likewise */
};

/* Is it a connection string at all? 0 or -EINVAL with a sentence. */
int source_check(const struct source *source, struct error *e) _must_check_;

/* A connection that has authenticated, within STORE_CONNECT_TIMEOUT_MS a host. */
int source_connect(const struct source *source, PGconn **ret, struct error *e) _must_check_;

/* "host/database", for people; allocated, NULL without memory. */
char *source_label(PGconn *pg);
