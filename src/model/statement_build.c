#include "statement_build.h"

#include <errno.h>
#include <string.h>

void build_done(struct build *b)
{
	buf_done(&b->sql);
	buf_done(&b->types);
	buf_done(&b->values);
}

int build_finish(struct build *b, struct statement *ret)
{
	if (b->sql.failed || b->types.failed || b->values.failed)
		return -ENOMEM;

	struct statement statement = {
	        .sql = buf_steal(&b->sql),
	        .n = b->n,
	        .types = (uint32_t *)(void *)buf_steal(&b->types),
	        .values = (struct cell *)(void *)buf_steal(&b->values),
	        .writes = b->writes,
	};

	if (!statement.sql || !statement.types || !statement.values) {
		statement_done(&statement);
		return -ENOMEM;
	}
	*ret = statement;
	return 0;
}

void build_name(struct build *b, const char *identifier)
{
	buf_addc(&b->sql, '"');
	for (const char *p = identifier; *p; p++) {
		if (*p == '"')
			buf_addc(&b->sql, '"');
		buf_addc(&b->sql, *p);
	}
	buf_addc(&b->sql, '"');
}

void build_column(struct build *b, const struct column *column)
{
	build_sql(b, "t.");
	build_name(b, column->name);
}

size_t build_value(struct build *b, uint32_t type, struct cell value)
{
	buf_add(&b->types, &type, sizeof(type));
	buf_add(&b->values, &value, sizeof(value));
	return ++b->n;
}

void build_ref(struct build *b, size_t number)
{
	buf_addf(&b->sql, "$%zu", number);
}

void build_param(struct build *b, uint32_t type, struct cell value)
{
	build_ref(b, build_value(b, type, value));
}

void build_operator(struct build *b, const char *schema, const char *op)
{
	build_sql(b, " OPERATOR(");
	build_name(b, schema);
	buf_addf(&b->sql, ".%s) ", op);
}

void build_relation(struct build *b, const struct relation *relation)
{
	if (relation->kind == RELATION_TABLE)
		build_sql(b, "ONLY ");
	build_name(b, relation->space);
	buf_addc(&b->sql, '.');
	build_name(b, relation->name);
	build_sql(b, " AS t");
}

void build_part(struct build *b, const struct relation *relation, const struct key_part *part)
{
	build_column(b, &relation->columns[part->column]);
	if (part->collation)
		buf_addf(&b->sql, " COLLATE %s", part->collation);
}

uint32_t build_part_type(const struct relation *relation, size_t part)
{
	switch (relation->key_kind) {
	case KEY_CTID:
		return OID_TID;
	case KEY_TABLEOID_CTID:
		return part == 0 ? OID_OID : OID_TID;
	case KEY_COLUMNS:
		break;
	}
	return relation->columns[relation->parts[part].column].type->oid;
}

static void part_equals(struct build *b, const struct relation *relation, size_t i,
                        struct cell value)
{
	const struct key_part *part = &relation->parts[i];
	size_t number = build_value(b, build_part_type(relation, i), value);

	if (part->nullable)
		build_sql(b, "(");
	build_part(b, relation, part);
	build_operator(b, part->operator_schema, "=");
	build_ref(b, number);
	if (part->nullable) {
		build_sql(b, " OR ");
		build_column(b, &relation->columns[part->column]);
		buf_addf(&b->sql, " IS NULL AND $%zu IS NULL)", number);
	}
}

void build_key(struct build *b, const struct relation *relation, const struct cells *key)
{
	if (relation->key_kind == KEY_TABLEOID_CTID) {
		build_sql(b, "t.tableoid OPERATOR(pg_catalog.=) ");
		build_param(b, OID_OID, key->at[0]);
		build_sql(b, " AND ");
	}
	if (relation->key_kind != KEY_COLUMNS) {
		build_sql(b, "t.ctid OPERATOR(pg_catalog.=) ");
		build_param(b, OID_TID, key->at[key->n - 1]);
		return;
	}
	for (size_t i = 0; i < relation->n_parts; i++) {
		if (i > 0)
			build_sql(b, " AND ");
		part_equals(b, relation, i, key->at[i]);
	}
}

/* Not before 1970, and not ahead of time, which would confuse every tool: such a row (and infinity) has the
 * derived time until its own has come. The clock's time instead would be another at every look. */
static void mtime_of_column(struct build *b, const struct column *column)
{
	bool number = column->type->kind == TYPE_INTEGER || column->type->kind == TYPE_FLOAT ||
	              column->type->kind == TYPE_NUMERIC;

	build_sql(b, number ? "CASE WHEN " : "CASE WHEN CAST(");
	build_column(b, column);
	build_sql(b, number ? " OPERATOR(pg_catalog.<=) EXTRACT(epoch FROM pg_catalog.clock_timestamp())"
	                      " THEN pg_catalog.round(CAST(GREATEST("
	                    : " AS pg_catalog.timestamptz) OPERATOR(pg_catalog.<=)"
	                      " pg_catalog.clock_timestamp() THEN EXTRACT(epoch FROM GREATEST(CAST(");
	build_column(b, column);
	build_sql(b, number ? ", 0) AS pg_catalog.numeric), 6) END"
	                    : " AS pg_catalog.timestamptz), pg_catalog.to_timestamp(0))) END");
}

static void mtime(struct build *b, const struct schema *schema, const struct relation *relation)
{
	if (relation->mtime_column != SIZE_MAX)
		mtime_of_column(b, &relation->columns[relation->mtime_column]);
	else if (relation->has_xmin && schema->commit_timestamps)
		build_sql(b, "EXTRACT(epoch FROM pg_catalog.pg_xact_commit_timestamp(t.xmin))");
	else
		build_sql(b, "NULL");
}

/* Columns stand alone, so that libpq hands over what the type's output function printed. */
static void build_line(struct build *b, const struct schema *schema, const struct relation *relation, bool key_only)
{
	build_sql(b, relation->has_xmin ? "t.xmin, " : "NULL, ");
	mtime(b, schema, relation);
	build_sql(b, relation->key_kind != KEY_COLUMNS ? ", t.ctid" : ", NULL");
	build_sql(b, relation->key_kind == KEY_TABLEOID_CTID ? ", t.tableoid" : ", NULL");
	for (size_t i = 0; i < relation->n_columns; i++) {
		build_sql(b, ", ");
		if (key_only && !relation_is_key(relation, i))
			build_sql(b, "NULL");
		else
			build_column(b, &relation->columns[i]);
	}
	build_sql(b, " FROM ");
	build_relation(b, relation);
}

void build_select(struct build *b, const struct schema *schema, const struct relation *relation)
{
	build_line(b, schema, relation, false);
}

void build_select_key(struct build *b, const struct schema *schema, const struct relation *relation)
{
	build_line(b, schema, relation, true);
}
