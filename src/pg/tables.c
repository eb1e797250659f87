#include "tables.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

#include "direct.h"
#include "feed_sql.h"
#include "load.h"

static void table_done(struct table *table)
{
	for (size_t i = 0; i < table->n_columns; i++)
		free(table->columns[i]);
	free(table->columns);
	free(table->name);
	free(table->wal_unfit);
	free(table->log_unfit);
	free(table->logger);
	snapshot_done(&table->since);
}

void tables_done(struct tables *tables)
{
	for (size_t i = 0; i < tables->n; i++)
		table_done(&tables->at[i]);
	free(tables->at);
	*tables = (struct tables){0};
}

/* False without memory; NULL stays NULL. */
static bool copy_text(const PGresult *lines, int line, int field, char **ret)
{
	const char *text = load_text(lines, line, field);

	*ret = text ? strdup(text) : NULL;
	return !text || *ret;
}

static uint64_t hash_text(const PGresult *lines, int line, int field)
{
	return XXH3_64bits(PQgetvalue(lines, line, field), (size_t)PQgetlength(lines, line, field));
}

/* The lines [first, last) are the table's; one of them at least. */
static bool read_columns(struct table *table, const PGresult *lines, int first, int last)
{
	table->columns = calloc((size_t)(last - first), sizeof(*table->columns));
	if (!table->columns)
		return false;
	for (int line = first; line < last; line++) {
		if (PQgetisnull(lines, line, TABLE_COLUMN))
			break;
		if (!copy_text(lines, line, TABLE_COLUMN, &table->columns[table->n_columns]))
			return false;
		table->n_columns++;
	}
	return true;
}

static bool read_table(struct table *table, const PGresult *lines, int first, int last)
{
	*table = (struct table){
	        .relation = load_oid(lines, first, TABLE_OID),
	        .version = hash_text(lines, first, TABLE_VERSION),
	        .membership = hash_text(lines, first, TABLE_MEMBERSHIP),
	        .owned = load_flag(lines, first, TABLE_OWNED),
	        .published = load_flag(lines, first, TABLE_PUBLISHED),
	        .listed = load_flag(lines, first, TABLE_LISTED),
	        .harmful = load_flag(lines, first, TABLE_HARMFUL),
	        .logged = load_flag(lines, first, TABLE_LOGGED),
	        .partly = load_flag(lines, first, TABLE_PARTLY),
	        .pinned = load_flag(lines, first, TABLE_PINNED),
	};
	return copy_text(lines, first, TABLE_NAME, &table->name) &&
	       copy_text(lines, first, TABLE_WAL_UNFIT, &table->wal_unfit) &&
	       copy_text(lines, first, TABLE_LOG_UNFIT, &table->log_unfit) &&
	       copy_text(lines, first, TABLE_LOGGER, &table->logger) &&
	       read_columns(table, lines, first, last);
}

static bool read_lines(const PGresult *lines, struct tables *ret)
{
	int n = PQntuples(lines), last;

	ret->at = calloc((size_t)n + 1, sizeof(*ret->at));
	if (!ret->at)
		return false;
	for (int first = 0; first < n; first = last) {
		uint32_t relation = load_oid(lines, first, TABLE_OID);

		for (last = first + 1; last < n; last++)
			if (load_oid(lines, last, TABLE_OID) != relation)
				break;
		if (!read_table(&ret->at[ret->n++], lines, first, last))
			return false;
	}
	return true;
}

int tables_read(PGconn *pg, const struct settings *settings, struct tables *ret, struct error *e)
{
	_cleanup_tables_ struct tables tables = {0};
	_cleanup_buf_ struct buf sql = {0}, configured = {0};
	_cleanup_result_ PGresult *lines = NULL;
	int r;

	feed_print_tables_sql(PQserverVersion(pg), &sql);
	load_print_configured(settings, &configured);
	if (sql.failed || configured.failed)
		return error_set(e, ENOMEM, "out of memory");

	const char *const values[] = {settings->publication, configured.data};

	r = direct_query(pg, sql.data, 2, values, &lines, e);
	if (r < 0)
		return r;
	if (!read_lines(lines, &tables))
		return error_set(e, ENOMEM, "out of memory");
	tables_done(ret);
	*ret = tables;
	tables = (struct tables){0};
	return 0;
}

int tables_teach(const struct tables *tables, struct transactions *transactions, struct error *e)
{
	for (size_t i = 0; i < tables->n; i++) {
		const struct table *table = &tables->at[i];

		if (transactions_set_key(transactions, table->relation,
		                         (const char *const *)table->columns, table->n_columns) < 0)
			return error_set(e, ENOMEM, "out of memory");
	}
	return 0;
}

size_t tables_count(const struct tables *tables, enum feed_source source)
{
	size_t n = 0;

	for (size_t i = 0; i < tables->n; i++)
		n += tables->at[i].source == source;
	return n;
}
