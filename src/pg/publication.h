/* The publication that names the tables to be streamed.
 *
 * It is made if it is missing, and kept complete as far as this role may: whoever owns both the publication and a
 * table adds the table. Never one whose UPDATEs that would make fail, for want of a primary key or with another
 * replica identity; and one that has become so is taken out again. What an administrator has published is
 * used as it is. */
#pragma once

#include <libpq-fe.h>

#include "rowfs/base/error.h"
#include "tables.h"

struct publication {
	const char *name; /* the settings' */
	bool exists;
	bool complete;    /* inserts, updates, deletes and truncations */
	bool via_root;    /* partitions are told as their root */
	bool owned;       /* this role may alter it */
	bool everything;  /* FOR ALL TABLES */
};

/* Here `e` is never NULL. Find it, or make it. -EACCES: it does not exist, and this role may not create one. */
int publication_open(PGconn *pg, const char *name, struct publication *ret, struct error *e)
        _must_check_;

/* Take out what does harm, add what can be streamed. Tables that could not be altered are left for the next time.
 * 1: the publication changed; 0; -errno: the connection is gone. */
int publication_adjust(PGconn *pg, const struct publication *publication,
                       const struct tables *tables, struct error *e) _must_check_;

/* Is there a table that it should have adjusted, and could not? */
bool publication_unfinished(const struct publication *publication, const struct tables *tables);

/* Make the stream's server look at it again. */
int publication_touch(PGconn *pg, const struct publication *publication, struct error *e)
        _must_check_;
