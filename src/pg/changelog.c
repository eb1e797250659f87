#include "rowfs/engine/changelog.h"

#include <errno.h>

#include "direct.h"
#include "load.h"
#include "loggers.h"
#include "store.h"
#include "tables.h"

/* Tables and triggers on the worker's kind of connection. */
static int begin(struct store *store, const struct settings *settings, PGconn **ret_pg,
                 struct tables *ret, struct error *e)
{
	char server[DIRECT_SERVER_SIZE] = "";
	int r = direct_open(store, DIRECT_SQL, server, ret_pg, e);

	/* A person waits for this, who can wait for a table. */
	if (r == 0)
		r = direct_query(*ret_pg, "SET lock_timeout TO '5s'", 0, NULL, NULL, e);
	return r < 0 ? r : tables_read(*ret_pg, settings, ret, e);
}

static void finish(PGconn **pg)
{
	PQfinish(*pg);
}

static int said(const struct buf *report, struct error *e)
{
	return report->failed ? error_set(e, ENOMEM, "out of memory") : 0;
}

/* What one table gets. The log must not stand in the way of the others. */
static void install_table(PGconn *pg, const struct table *table, struct buf *report,
                          struct error *e)
{
	buf_addf(report, "%s: ", table->name);
	if (table->log_unfit)
		buf_addf(report, "left out, %s\n", table->log_unfit);
	else if (table->logged)
		buf_adds(report, "logged already\n");
	else if (!table->owned)
		buf_adds(report, "left out, this role does not own it\n");
	else if (loggers_create(pg, table, e) < 0)
		buf_addf(report, "left out, %s\n", e->message);
	else
		buf_adds(report, "logged\n");
}

int changelog_install(struct store *store, const struct settings *settings, struct buf *report,
                      struct error *e)
{
	_cleanup_(finish) PGconn *pg = NULL;
	_cleanup_tables_ struct tables tables = {0};
	struct error failure = {0};
	int r = begin(store, settings, &pg, &tables, &failure);

	if (r == 0)
		r = loggers_create_log(pg, &failure);
	for (size_t i = 0; r == 0 && i < tables.n; i++) {
		install_table(pg, &tables.at[i], report, &failure);
		if (PQstatus(pg) != CONNECTION_OK)
			r = direct_lost(pg, &failure);
	}
	if (r == 0)
		r = said(report, &failure);
	if (r < 0 && e)
		*e = failure;
	return r;
}

/* Triggers depend on their functions, and go with them. */
int changelog_uninstall(struct store *store, const struct settings *settings, struct buf *report,
                        struct error *e)
{
	_cleanup_(finish) PGconn *pg = NULL;
	_cleanup_tables_ struct tables tables = {0};
	struct error failure = {0};
	int r = begin(store, settings, &pg, &tables, &failure);

	if (r == 0)
		r = direct_query(pg, "DROP SCHEMA IF EXISTS rowfs CASCADE", 0, NULL, NULL,
		                 &failure);
	for (size_t i = 0; r == 0 && i < tables.n; i++)
		if (tables.at[i].logged)
			buf_addf(report, "%s: not logged any more\n", tables.at[i].name);
	if (r == 0)
		r = said(report, &failure);
	if (r < 0 && e)
		*e = failure;
	return r;
}

static void report_table(const struct table *table, struct buf *report)
{
	buf_addf(report, "%s: ", table->name);
	if (table->published && !table->wal_unfit)
		buf_adds(report, "logical decoding\n");
	else if (table->logged && !table->log_unfit)
		buf_addf(report, "change log; no logical decoding, since %s\n",
		         table->wal_unfit ? table->wal_unfit : "it is not in the publication");
	else
		buf_addf(report, "no change feed: %s\n",
		         table->log_unfit ? table->log_unfit
		                          : "neither in the publication nor logged");
}

int changelog_report(struct store *store, const struct settings *settings, struct buf *report,
                     struct error *e)
{
	_cleanup_(finish) PGconn *pg = NULL;
	_cleanup_tables_ struct tables tables = {0};
	struct error failure = {0};
	int r = begin(store, settings, &pg, &tables, &failure);

	for (size_t i = 0; r == 0 && i < tables.n; i++)
		report_table(&tables.at[i], report);
	if (r == 0)
		r = said(report, &failure);
	if (r < 0 && e)
		*e = failure;
	return r;
}
