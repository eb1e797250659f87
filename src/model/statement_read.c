/* fetch, fetch_cold, fetch_hashed, key_hashed, canonical, value */
#include "statement_build.h"

#include <string.h>

#include "rowfs/model/name.h"

int statement_fetch(const struct schema *schema, const struct relation *relation,
                    const struct cells *key, struct statement *ret)
{
	_cleanup_build_ struct build b = {0};

	build_sql(&b, "SELECT ");
	build_select(&b, schema, relation);
	build_sql(&b, " WHERE ");
	build_key(&b, relation, key);
	return build_finish(&b, ret);
}

int statement_fetch_cold(const struct relation *relation, const struct cells *key, struct statement *ret)
{
	_cleanup_build_ struct build b = {0};

	build_sql(&b, "SELECT t.xmin");
	for (size_t i = 0; i < relation->n_columns; i++) {
		if (!relation->columns[i].cold)
			continue;
		build_sql(&b, ", ");
		build_column(&b, &relation->columns[i]);
	}
	build_sql(&b, " FROM ");
	build_relation(&b, relation);
	build_sql(&b, " WHERE ");
	build_key(&b, relation, key);
	return build_finish(&b, ret);
}

/* `length:text` in UTF-8, as name_hash() sees the part; "-:" for NULL. concat() prints a value as
 * its type's output function does; a cast to text would strip char(n) and spell bool out. */
static void hashed_part(struct build *b, const struct column *column)
{
	build_sql(b, "CASE WHEN ");
	build_column(b, column);
	build_sql(b, " IS DISTINCT FROM NULL THEN pg_catalog.concat("
	             "pg_catalog.octet_length(pg_catalog.convert_to(pg_catalog.concat(");
	build_column(b, column);
	build_sql(b, "), 'UTF8')), ':', ");
	build_column(b, column);
	build_sql(b, ") ELSE '-:' END");
}

/* No ctid is long enough for a hashed name: such a name is that of no row. */
static void where_hashed(struct build *b, const struct relation *relation, const char *hash)
{
	build_sql(b, " WHERE pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to("
	             "pg_catalog.concat(''");
	for (size_t i = 0; i < relation->n_parts; i++) {
		build_sql(b, ", ");
		hashed_part(b, &relation->columns[relation->parts[i].column]);
	}
	build_sql(b, "), 'UTF8')), 'hex') OPERATOR(pg_catalog.=) ");
	build_param(b, OID_TEXT, (struct cell){hash, NAME_HASH_HEX});
}

int statement_fetch_hashed(const struct schema *schema, const struct relation *relation,
                           const char *hash, struct statement *ret)
{
	_cleanup_build_ struct build b = {0};

	build_sql(&b, "SELECT ");
	build_select(&b, schema, relation);
	where_hashed(&b, relation, hash);
	return build_finish(&b, ret);
}

int statement_key_hashed(const struct relation *relation, const char *hash, struct statement *ret)
{
	_cleanup_build_ struct build b = {0};

	build_sql(&b, relation->has_xmin ? "SELECT t.xmin" : "SELECT NULL");
	for (size_t i = 0; i < relation->n_parts; i++) {
		build_sql(&b, ", ");
		build_column(&b, &relation->columns[relation->parts[i].column]);
	}
	build_sql(&b, " FROM ");
	build_relation(&b, relation);
	where_hashed(&b, relation, hash);
	return build_finish(&b, ret);
}

static void canonical_part(struct build *b, const struct relation *relation, size_t i,
                           struct cell value)
{
	build_sql(b, "CAST(");
	build_param(b, build_part_type(relation, i), value);
	build_sql(b, " AS ");
	/* With the modifiers: "1.5" in a numeric(6,2) is 1.50, "ab" in a char(4) has two blanks. */
	if (relation->key_kind == KEY_COLUMNS)
		build_sql(b, relation->parts[i].sql_type);
	else
		build_sql(b, build_part_type(relation, i) == OID_TID ? "pg_catalog.tid"
		                                                     : "pg_catalog.oid");
	build_sql(b, ")");
}

int statement_canonical(const struct relation *relation, const struct cells *key,
                        struct statement *ret)
{
	_cleanup_build_ struct build b = {0};

	build_sql(&b, "SELECT ");
	for (size_t i = 0; i < key->n; i++) {
		if (i > 0)
			build_sql(&b, ", ");
		canonical_part(&b, relation, i, key->at[i]);
	}
	return build_finish(&b, ret);
}

int statement_value(const struct column *column, struct cell value, struct statement *ret)
{
	_cleanup_build_ struct build b = {0};

	build_sql(&b, "SELECT ");
	build_param(&b, column->type->oid, value);
	return build_finish(&b, ret);
}
