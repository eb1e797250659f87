/* pin_keys, pin_page, pin_check, pin_rows */
#include "statement_build.h"

#include <errno.h>

#include "rowfs/model/statement.h"

enum { OID_TEXTS = 1009 };

/* On lines of its own, since it may end in a comment. */
static void add_predicate(struct build *b, const char *hot)
{
	build_sql(b, "(\n");
	build_sql(b, hot);
	build_sql(b, "\n)");
}

/* After what is selected: which rows, in which order. */
static int finish_page(struct build *b, const struct relation *relation, const char *hot, const struct cells *after,
                       unsigned limit, struct statement *ret)
{
	if (after || hot)
		build_sql(b, " WHERE ");
	if (after)
		build_after(b, relation, after);
	if (after && hot)
		build_sql(b, " AND ");
	if (hot)
		add_predicate(b, hot);
	build_order(b, relation);
	build_limit(b, limit);
	return build_finish(b, ret);
}

int statement_pin_keys(const struct relation *relation, const char *hot, const struct cells *after, unsigned limit,
                       struct statement *ret)
{
	_cleanup_build_ struct build b = {0};

	build_sql(&b, "SELECT ");
	for (size_t i = 0; i < relation->n_parts; i++) {
		build_sql(&b, i > 0 ? ", " : "");
		build_column(&b, &relation->columns[relation->parts[i].column]);
	}
	build_sql(&b, " FROM ");
	build_relation(&b, relation);
	return finish_page(&b, relation, hot, after, limit, ret);
}

int statement_pin_page(const struct schema *schema, const struct relation *relation, const char *hot,
                       const struct cells *after, unsigned limit, struct statement *ret)
{
	_cleanup_build_ struct build b = {0};

	build_sql(&b, "SELECT ");
	build_select(&b, schema, relation);
	return finish_page(&b, relation, hot, after, limit, ret);
}

void statement_print_check(const char *table, const char *hot, struct buf *out)
{
	buf_addf(out, "SELECT pg_catalog.length((\n%s\n)::pg_catalog.text) FROM %s WHERE (\n%s\n) LIMIT 0", hot,
	         table, hot);
}

int statement_pin_check(const struct relation *relation, const char *hot, struct statement *ret)
{
	_cleanup_build_ struct build table = {0}, b = {0};

	build_relation(&table, relation);
	if (table.sql.failed)
		return -ENOMEM;
	statement_print_check(table.sql.data, hot, &b.sql);
	return build_finish(&b, ret);
}

/* What no column of a user's is called: a predicate names columns without saying whose. */
#define KEYS "rowfs_keys"
#define PART "rowfs_part_"

int statement_pin_rows(const struct schema *schema, const struct relation *relation, const char *hot,
                       const struct cell *parts, struct statement *ret)
{
	_cleanup_build_ struct build b = {0};

	build_sql(&b, "SELECT ");
	build_select(&b, schema, relation);
	build_sql(&b, ", ROWS FROM (");
	for (size_t i = 0; i < relation->n_parts; i++) {
		build_sql(&b, i > 0 ? ", pg_catalog.unnest(" : "pg_catalog.unnest(");
		build_param(&b, OID_TEXTS, parts[i]);
		build_sql(&b, ")");
	}
	build_sql(&b, ") AS " KEYS "(");
	for (size_t i = 0; i < relation->n_parts; i++)
		buf_addf(&b.sql, i > 0 ? ", " PART "%zu" : PART "%zu", i);
	build_sql(&b, ") WHERE ");
	for (size_t i = 0; i < relation->n_parts; i++) {
		build_sql(&b, i > 0 ? " AND " : "");
		build_part(&b, relation, &relation->parts[i]);
		build_operator(&b, relation->parts[i].operator_schema, "=");
		buf_addf(&b.sql, "CAST(" KEYS "." PART "%zu AS %s)", i, relation->parts[i].sql_type);
	}
	if (hot) {
		build_sql(&b, " AND ");
		add_predicate(&b, hot);
	}
	return build_finish(&b, ret);
}
