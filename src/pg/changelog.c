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

typedef int work_fn(PGconn *pg, const struct tables *tables, struct buf *report, struct error *e);

/* Do it with the tables, over a connection of its own; `e` may be NULL. */
static int run(struct store *store, const struct settings *settings, work_fn *work,
               struct buf *report, struct error *e)
{
	_cleanup_(finish) PGconn *pg = NULL;
	_cleanup_tables_ struct tables tables = {0};
	struct error ignored;
	int r;

	e = e ? e : &ignored;
	r = begin(store, settings, &pg, &tables, e);
	if (r == 0)
		r = work(pg, &tables, report, e);
	if (r == 0 && report->failed)
		r = error_set(e, ENOMEM, "out of memory");
	return r;
}

/* What one table gets. The log must not stand in the way of the others. */
static void install_table(PGconn *pg, const struct table *table, struct buf *report)
{
	struct error why = {0};

	buf_addf(report, "%s: ", table->name);
	if (table->log_unfit)
		buf_addf(report, "left out, %s\n", table->log_unfit);
	else if (table->logged)
		buf_adds(report, "logged already\n");
	else if (!table->owned)
		buf_adds(report, "left out, this role does not own it\n");
	else if (loggers_create(pg, table, &why) < 0)
		buf_addf(report, "left out, %s\n", why.message);
	else
		buf_adds(report, "logged\n");
}

static int install(PGconn *pg, const struct tables *tables, struct buf *report, struct error *e)
{
	int r = loggers_create_log(pg, e);

	for (size_t i = 0; r == 0 && i < tables->n; i++) {
		install_table(pg, &tables->at[i], report);
		if (PQstatus(pg) != CONNECTION_OK)
			r = direct_lost(pg, e);
	}
	return r;
}

int changelog_install(struct store *store, const struct settings *settings, struct buf *report,
                      struct error *e)
{
	return run(store, settings, install, report, e);
}

/* Triggers depend on their functions, and go with them. Placement rules are no part of the log, and stay. */
static const char uninstall_sql[] =
        "DO $$ DECLARE routine text; BEGIN"
        " IF to_regclass('rowfs.placement') IS NULL THEN DROP SCHEMA IF EXISTS rowfs CASCADE;"
        " ELSE DROP TABLE IF EXISTS rowfs.changes CASCADE;"
        " FOR routine IN SELECT p.oid::regprocedure FROM pg_catalog.pg_proc AS p"
        " WHERE p.pronamespace = 'rowfs'::regnamespace LOOP"
        " EXECUTE format('DROP ROUTINE %s CASCADE', routine); END LOOP; END IF; END $$";

static int uninstall(PGconn *pg, const struct tables *tables, struct buf *report, struct error *e)
{
	int r = direct_query(pg, uninstall_sql, 0, NULL, NULL, e);

	for (size_t i = 0; r == 0 && i < tables->n; i++)
		if (tables->at[i].logged)
			buf_addf(report, "%s: not logged any more\n", tables->at[i].name);
	return r;
}

int changelog_uninstall(struct store *store, const struct settings *settings, struct buf *report,
                        struct error *e)
{
	return run(store, settings, uninstall, report, e);
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

static int report_tables(PGconn *pg, const struct tables *tables, struct buf *report, struct error *e)
{
	for (size_t i = 0; i < tables->n; i++)
		report_table(&tables->at[i], report);
	return 0;
}

int changelog_report(struct store *store, const struct settings *settings, struct buf *report,
                     struct error *e)
{
	return run(store, settings, report_tables, report, e);
}
