/* One page of a listing: `limit` rows in key order, after the last key of the page before. Each
 * form below is one that PostgreSQL answers from the key's index, without a sort, for any page.
 *
 *   int, text, (a, b) …    (a, b) > ($1, $2) ORDER BY a, b
 *   (a, b) of two schemas  a >= $1 AND (a > $1 OR a = $1 AND b > $2)
 *   with NULLs             rows that hold one first, then as above
 *   ctid                   ctid > $1
 *   tableoid, ctid         (tableoid, ctid) > ($1, $2), sorted for each page: partitions have no
 *                          common index */
#include "statement_build.h"

#include <string.h>

void build_order(struct build *b, const struct relation *relation)
{
	build_sql(b, " ORDER BY ");
	for (size_t i = 0; i < relation->n_parts; i++) {
		if (i > 0)
			build_sql(b, ", ");
		build_part(b, relation, &relation->parts[i]);
		build_sql(b, " USING");
		build_operator(b, relation->parts[i].operator_schema, "<");
		build_sql(b, "NULLS LAST");
	}
}

void build_limit(struct build *b, unsigned limit)
{
	/* Not a parameter: a plan for every limit would be one for a tenth of the table. */
	buf_addf(&b->sql, " LIMIT %u", limit);
}

/* (a, b) > ($1, $2), or a > $1 */
static void after_as_row(struct build *b, const struct relation *relation,
                         const struct cells *after)
{
	build_sql(b, "(");
	for (size_t i = 0; i < relation->n_parts; i++) {
		build_sql(b, i > 0 ? ", " : "");
		build_part(b, relation, &relation->parts[i]);
	}
	build_sql(b, ")");
	build_operator(b, relation->parts[0].operator_schema, ">");
	build_sql(b, "(");
	for (size_t i = 0; i < relation->n_parts; i++) {
		build_sql(b, i > 0 ? ", " : "");
		build_param(b, build_part_type(relation, i), after->at[i]);
	}
	build_sql(b, ")");
}

static void compare(struct build *b, const struct relation *relation, size_t part, const char *op,
                    size_t number)
{
	build_part(b, relation, &relation->parts[part]);
	build_operator(b, relation->parts[part].operator_schema, op);
	build_ref(b, number);
}

/* NULL follows every value, and nothing follows NULL. */
static void compare_nulls(struct build *b, const struct relation *relation, size_t part, bool equal,
                          size_t number)
{
	build_sql(b, "(");
	compare(b, relation, part, equal ? "=" : ">", number);
	build_sql(b, " OR ");
	build_column(b, &relation->columns[relation->parts[part].column]);
	buf_addf(&b->sql, equal ? " IS NULL AND $%zu IS NULL)" : " IS NULL AND $%zu IS NOT NULL)",
	         number);
}

/* a > $1 OR a = $1 AND b > $2 OR … */
static void after_part_by_part(struct build *b, const struct relation *relation,
                               const struct cells *after, bool nulls)
{
	size_t first = b->n + 1;

	for (size_t i = 0; i < relation->n_parts; i++)
		build_value(b, build_part_type(relation, i), after->at[i]);
	if (!nulls) {
		compare(b, relation, 0, ">=", first); /* where in the index to begin */
		build_sql(b, " AND ");
	}
	build_sql(b, "(");
	for (size_t last = 0; last < relation->n_parts; last++) {
		build_sql(b, last > 0 ? " OR " : "");
		for (size_t i = 0; i <= last; i++) {
			build_sql(b, i > 0 ? " AND " : "");
			if (nulls)
				compare_nulls(b, relation, i, i < last, first + i);
			else
				compare(b, relation, i, i < last ? "=" : ">", first + i);
		}
	}
	build_sql(b, ")");
}

static bool one_operator_schema(const struct relation *relation)
{
	for (size_t i = 1; i < relation->n_parts; i++)
		if (strcmp(relation->parts[i].operator_schema,
		           relation->parts[0].operator_schema) != 0)
			return false;
	return true;
}

void build_after(struct build *b, const struct relation *relation, const struct cells *after)
{
	if (one_operator_schema(relation))
		after_as_row(b, relation, after);
	else
		after_part_by_part(b, relation, after, false);
}

static bool has_null(const struct cells *key)
{
	for (size_t i = 0; i < key->n; i++)
		if (!key->at[i].data)
			return true;
	return false;
}

/* `a IS NULL OR b IS NULL`, or `a IS NOT NULL AND b IS NOT NULL` */
static void nulls_in_key(struct build *b, const struct relation *relation, bool some)
{
	const char *between = "";

	for (size_t i = 0; i < relation->n_parts; i++) {
		if (!relation->parts[i].nullable)
			continue;
		build_sql(b, between);
		build_column(b, &relation->columns[relation->parts[i].column]);
		build_sql(b, some ? " IS NULL" : " IS NOT NULL");
		between = some ? " OR " : " AND ";
	}
}

/* One branch of a page over nullable columns, as a subquery. */
static void page_branch(struct build *b, const struct schema *schema,
                        const struct relation *relation, const struct cells *after, bool nulls,
                        unsigned limit)
{
	build_sql(b, "SELECT ");
	build_select(b, schema, relation);
	build_sql(b, " WHERE (");
	nulls_in_key(b, relation, nulls);
	build_sql(b, ")");
	if (after) {
		build_sql(b, " AND ");
		if (nulls)
			after_part_by_part(b, relation, after, true);
		else
			build_after(b, relation, after);
	}
	build_order(b, relation);
	build_limit(b, limit);
}

/* Keys with a NULL come first, in an order of their own, so that all later pages (usually: all)
 * are one plain range of the index. */
static void page_of_nullable(struct build *b, const struct schema *schema,
                             const struct relation *relation, const struct cells *after,
                             unsigned limit)
{
	if (after && !has_null(after)) {
		page_branch(b, schema, relation, after, false, limit);
		return;
	}
	build_sql(b, "(");
	page_branch(b, schema, relation, after, true, limit);
	build_sql(b, ") UNION ALL (");
	page_branch(b, schema, relation, NULL, false, limit);
	build_sql(b, ")");
	build_limit(b, limit);
}

static void page_of_ctid(struct build *b, const struct cells *after, unsigned limit)
{
	if (after) {
		build_sql(b, " WHERE t.ctid OPERATOR(pg_catalog.>) ");
		build_param(b, OID_TID, after->at[0]);
	}
	/* The heap is read in ctid order, from its start or from $1 (a TID range scan), as sessions
	 * pin synchronize_seqscans off and do without parallel workers. ORDER BY would sort the
	 * whole table for every page. */
	build_limit(b, limit);
}

static void page_of_tableoid_ctid(struct build *b, const struct cells *after, unsigned limit)
{
	if (after) {
		build_sql(b, " WHERE (t.tableoid, t.ctid) OPERATOR(pg_catalog.>) (");
		build_param(b, OID_OID, after->at[0]);
		build_sql(b, ", ");
		build_param(b, OID_TID, after->at[1]);
		build_sql(b, ")");
	}
	build_sql(b, " ORDER BY t.tableoid, t.ctid");
	build_limit(b, limit);
}

static void page_of_columns(struct build *b, const struct relation *relation,
                            const struct cells *after, unsigned limit)
{
	if (after) {
		build_sql(b, " WHERE ");
		build_after(b, relation, after);
	}
	build_order(b, relation);
	build_limit(b, limit);
}

int statement_page_keys(const struct schema *schema, const struct relation *relation, const struct cells *after,
                        unsigned limit, struct statement *ret)
{
	_cleanup_build_ struct build b = {0};

	build_sql(&b, "SELECT ");
	build_select_key(&b, schema, relation);
	page_of_columns(&b, relation, after, limit);
	return build_finish(&b, ret);
}

int statement_page(const struct schema *schema, const struct relation *relation,
                   const struct cells *after, unsigned limit, struct statement *ret)
{
	_cleanup_build_ struct build b = {0};

	if (relation->key_kind == KEY_COLUMNS && relation_key_nullable(relation)) {
		page_of_nullable(&b, schema, relation, after, limit);
		return build_finish(&b, ret);
	}
	build_sql(&b, "SELECT ");
	build_select(&b, schema, relation);
	if (relation->key_kind == KEY_COLUMNS)
		page_of_columns(&b, relation, after, limit);
	else if (relation->key_kind == KEY_CTID)
		page_of_ctid(&b, after, limit);
	else
		page_of_tableoid_ctid(&b, after, limit);
	return build_finish(&b, ret);
}
