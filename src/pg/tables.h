/* The tables of the database as the sync worker sees them: what can tell their changes, and what they were when they
 * were looked at last. Partitions are part of their root. */
#pragma once

#include <libpq-fe.h>

#include "answer.h"
#include "rowfs/engine/feed.h"
#include "rowfs/model/transaction.h"
#include "snapshot.h"

/* A table that comes into the publication while it is streamed: transactions that were under way then are not
 * told. They must end. Servers before PostgreSQL 13.21, 14.18, 15.13, 16.9 and 17.5 moreover go on forgetting the
 * table if one of those wrote to it, until the publication is touched again; what began in between must end,
 * too. */
enum wal_state {
	WAL_OUT,      /* not in the publication, or of no use there */
	WAL_DRAINING, /* until those of `since` have ended */
	WAL_TOUCHED,  /* the same again, after the publication was touched */
	WAL_IN,
};

struct table {
	uint32_t relation;
	char *name;         /* quoted and qualified, as SQL wants it */
	uint64_t version;   /* another number: another table, columns, storage, grants … */
	char *wal_unfit;    /* why logical decoding cannot serve it, or NULL */
	char *log_unfit;    /* the same for the change log */
	bool owned;         /* this role may alter it */
	bool published;     /* its key is in the publication, for every change */
	bool listed;        /* it is in the publication by its name */
	uint64_t membership; /* another number: it left the publication, and came back */
	bool harmful;       /* listed so that the application's UPDATEs fail */
	bool logged;        /* its triggers are all there */
	bool partly;        /* some of them are: a partition came, the key was renamed */
	bool pinned;        /* its key's text depends on settings */
	char *logger;       /* the trigger function for its key, or NULL */
	char **columns;     /* its key */
	size_t n_columns;
	enum wal_state wal; /* kept from one look to the next */
	struct snapshot since;
	enum feed_source source;
};

/* Sorted by relation. */
struct tables {
	struct table *at;
	size_t n;
};

int tables_read(PGconn *pg, const struct settings *settings, struct tables *ret, struct error *e)
        _must_check_;
void tables_done(struct tables *tables);

#define _cleanup_tables_ _cleanup_(tables_done)

/* Tell the stream's reader the keys of all. */
int tables_teach(const struct tables *tables, struct transactions *transactions, struct error *e)
        _must_check_;

/* How many have a source. */
size_t tables_count(const struct tables *tables, enum feed_source source);
