/* The triggers of the change log, made for one table and all its partitions. A function serves all tables whose key
 * has the same column names; it reads the table from its call, so that a dump can be restored. */
#pragma once

#include <libpq-fe.h>

#include "rowfs/base/error.h"
#include "tables.h"

/* Here `e` is never NULL. Schema and log table, unless they are there. */
int loggers_create_log(PGconn *pg, struct error *e) _must_check_;

/* The function and the missing triggers of a table. */
int loggers_create(PGconn *pg, const struct table *table, struct error *e) _must_check_;
