#include "loggers.h"

#include <errno.h>
#include <stdio.h>

#include "direct.h"
#include "load.h"
#include "logtail.h"
#include "rowfs/model/batch.h"

static const char log_sql[] =
        "CREATE SCHEMA IF NOT EXISTS rowfs;"
        "CREATE UNLOGGED TABLE IF NOT EXISTS rowfs.changes (relation oid NOT NULL,"
        " op \"char\" NOT NULL, key text[])"
        /* Every row is soon deleted. */
        " WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,"
        " autovacuum_vacuum_cost_delay = 0);"
        "COMMENT ON SCHEMA rowfs IS"
        " 'change log of rowfs; see \"rowfs sync\"'";

int loggers_create_log(PGconn *pg, struct error *e)
{
	return direct_query(pg, log_sql, 0, NULL, NULL, e);
}

/* "ARRAY[prefix.column::text, …]" */
static void print_key(PGconn *pg, const struct table *table, struct buf *out)
{
	buf_adds(out, "ARRAY[");
	for (size_t i = 0; i < table->n_columns; i++) {
		buf_adds(out, i > 0 ? ", r." : "r.");
		direct_add_name(pg, table->columns[i], out);
		buf_adds(out, "::pg_catalog.text");
	}
	buf_adds(out, "]");
}

/* "'a', 'b'" */
static void print_names(PGconn *pg, const struct table *table, struct buf *out)
{
	for (size_t i = 0; i < table->n_columns; i++) {
		buf_adds(out, i > 0 ? ", " : "");
		direct_add_literal(pg, table->columns[i], out);
	}
}

/* One entry for the table stands for as many rows. */
static void print_many(const char *rows, struct buf *out)
{
	buf_addf(out, "(SELECT count(*) FROM (SELECT FROM %s LIMIT %d) AS r) > %d", rows,
	         BATCH_ROWS_MAX + 1, BATCH_ROWS_MAX);
}

/* What an event writes. */
static void print_rows(PGconn *pg, const struct table *table, const char *rows, char op,
                       struct buf *out)
{
	buf_adds(out, "IF ");
	print_many(rows, out);
	buf_addf(out,
	         " THEN INSERT INTO rowfs.changes VALUES (TG_RELID, 'R', NULL);"
	         " ELSE INSERT INTO rowfs.changes SELECT TG_RELID, '%c', ",
	         op);
	print_key(pg, table, out);
	buf_addf(out, " FROM %s AS r; END IF;", rows);
}

/* A key that is in both is of a row that stayed. */
static void print_update(PGconn *pg, const struct table *table, struct buf *out)
{
	buf_adds(out, "IF ");
	print_many("rowfs_new", out);
	buf_adds(out,
	         " THEN INSERT INTO rowfs.changes VALUES (TG_RELID, 'R', NULL);"
	         " ELSE INSERT INTO rowfs.changes SELECT TG_RELID,"
	         " CASE WHEN bool_and(k.old) THEN 'D' WHEN bool_or(k.old) THEN 'U' ELSE 'I' END,"
	         " k.key FROM (SELECT true AS old, ");
	print_key(pg, table, out);
	buf_adds(out, " AS key FROM rowfs_old AS r UNION ALL SELECT false, ");
	print_key(pg, table, out);
	buf_adds(out, " FROM rowfs_new AS r) AS k GROUP BY k.key; END IF;");
}

/* A column that has been renamed must not make the application's statement fail: then the whole
 * table is logged until somebody installs again. The statements below are planned only when they
 * are reached. */
static void print_body(PGconn *pg, const struct table *table, struct buf *out)
{
	buf_adds(out, "BEGIN IF pg_try_advisory_xact_lock_shared(" LOGTAIL_LOCK ") THEN"
	              " RETURN NULL; END IF;"
	              " IF TG_OP = 'TRUNCATE' OR (SELECT count(*) FROM pg_attribute AS a"
	              " WHERE a.attrelid = TG_RELID AND a.attname IN (");
	print_names(pg, table, out);
	buf_addf(out, ")) <> %zu THEN INSERT INTO rowfs.changes VALUES (TG_RELID, 'R', NULL);",
	         table->n_columns);
	buf_adds(out, " ELSIF TG_OP = 'INSERT' THEN ");
	print_rows(pg, table, "rowfs_new", 'I', out);
	buf_adds(out, " ELSIF TG_OP = 'DELETE' THEN ");
	print_rows(pg, table, "rowfs_old", 'D', out);
	buf_adds(out, " ELSE ");
	print_update(pg, table, out);
	buf_adds(out, " END IF; RETURN NULL; END");
}

/* Settings that the key's text depends on are pinned where it does: each costs a little in every
 * call. */
static void print_function(PGconn *pg, const struct table *table, struct buf *out)
{
	_cleanup_buf_ struct buf body = {0};

	buf_addf(out,
	         "CREATE OR REPLACE FUNCTION rowfs.%s() RETURNS trigger LANGUAGE plpgsql"
	         " SECURITY DEFINER SET search_path TO pg_catalog, pg_temp",
	         table->logger);
	if (table->pinned)
		buf_adds(out, " SET DateStyle TO 'ISO' SET IntervalStyle TO 'iso_8601'"
		              " SET TimeZone TO 'UTC' SET bytea_output TO 'hex'"
		              " SET extra_float_digits TO 1 SET lc_monetary TO 'C'");
	print_body(pg, table, &body);
	buf_adds(out, " AS ");
	if (!body.failed)
		direct_add_literal(pg, body.data, out);
	out->failed = out->failed || body.failed;
	buf_addf(out, "; REVOKE ALL ON FUNCTION rowfs.%s() FROM PUBLIC", table->logger);
}

/* Any event of these two has rows before it, and after it. */
static const struct {
	const char *name, *event, *rows;
} triggers[] = {
        {"rowfs_insert", "INSERT", " REFERENCING NEW TABLE AS rowfs_new"},
        {"rowfs_update", "UPDATE", " REFERENCING OLD TABLE AS rowfs_old NEW TABLE AS rowfs_new"},
        {"rowfs_delete", "DELETE", " REFERENCING OLD TABLE AS rowfs_old"},
        {"rowfs_truncate", "TRUNCATE", ""},
};

static void print_triggers(const char *relation, const char *logger, struct buf *out)
{
	for (size_t i = 0; i < sizeof(triggers) / sizeof(*triggers); i++) {
		buf_addf(out, "DROP TRIGGER IF EXISTS %s ON %s;", triggers[i].name, relation);
		buf_addf(out,
		         "CREATE TRIGGER %s AFTER %s ON %s%s FOR EACH STATEMENT"
		         " EXECUTE FUNCTION rowfs.%s();",
		         triggers[i].name, triggers[i].event, relation, triggers[i].rows, logger);
		buf_addf(out, "ALTER TABLE %s ENABLE ALWAYS TRIGGER %s;", relation,
		         triggers[i].name);
	}
}

/* The table and its partitions that have not all of them. */
static const char missing_sql[] =
        "WITH RECURSIVE tree(oid) AS (SELECT $1::oid UNION ALL SELECT i.inhrelid FROM tree"
        " JOIN pg_inherits AS i ON i.inhparent = tree.oid JOIN pg_class AS c ON c.oid = i.inhrelid"
        " WHERE c.relispartition)"
        " SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) FROM tree"
        " JOIN pg_class AS c ON c.oid = tree.oid JOIN pg_namespace AS n ON n.oid = c.relnamespace"
        " WHERE (SELECT count(*) FROM pg_trigger AS t JOIN pg_proc AS f ON f.oid = t.tgfoid"
        " JOIN pg_namespace AS fn ON fn.oid = f.pronamespace"
        " WHERE t.tgrelid = c.oid AND t.tgenabled = 'A' AND t.tgname IN"
        " ('rowfs_insert', 'rowfs_update', 'rowfs_delete', 'rowfs_truncate')"
        " AND fn.nspname = 'rowfs' AND f.proname = $2::name) < 4";

int loggers_create(PGconn *pg, const struct table *table, struct error *e)
{
	_cleanup_buf_ struct buf sql = {0};
	_cleanup_result_ PGresult *missing = NULL;
	char relation[16];
	const char *const values[] = {relation, table->logger};
	int r;

	snprintf(relation, sizeof(relation), "%u", table->relation);
	r = direct_query(pg, missing_sql, 2, values, &missing, e);
	if (r < 0)
		return r;
	/* One text is one transaction. */
	print_function(pg, table, &sql);
	buf_addc(&sql, ';');
	for (int line = 0; line < PQntuples(missing); line++)
		print_triggers(load_text(missing, line, 0), table->logger, &sql);
	if (sql.failed)
		return error_set(e, ENOMEM, "out of memory");
	return direct_query(pg, sql.data, 0, NULL, NULL, e);
}
