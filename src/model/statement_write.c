/* patch, insert, delete, rekey, replace */
#include "statement_build.h"

#include <errno.h>
#include <string.h>

void statement_done(struct statement *statement)
{
	free(statement->sql);
	free(statement->types);
	free(statement->values);
	*statement = (struct statement){0};
}

enum { XID_OID = 28 };

/* What the caller's own change will be known by: the xmin that it gives the row. RETURNING xmin
 * would fail on partitioned tables. */
static void transaction_id(struct build *b, const struct relation *relation)
{
	build_sql(b, relation->has_xmin ? "pg_catalog.pg_current_xact_id()::pg_catalog.xid"
	                                : "NULL::pg_catalog.xid");
}

static void returning_id(struct build *b, const struct relation *relation)
{
	build_sql(b, " RETURNING ");
	transaction_id(b, relation);
}

static void update(struct build *b, const struct relation *relation)
{
	build_sql(b, "UPDATE ");
	build_relation(b, relation);
	build_sql(b, " SET ");
}

/* The row of this key. A configured key may be several rows', and a save is of one: then none is. */
static void only_row(struct build *b, const struct relation *relation, const struct cells *key)
{
	build_key(b, relation, key);
	if (!relation->key_unproven)
		return;
	build_sql(b, " AND (SELECT pg_catalog.count(*) FROM ");
	build_relation(b, relation);
	build_sql(b, " WHERE ");
	build_key(b, relation, key);
	build_sql(b, ") OPERATOR(pg_catalog.=) 1");
}

/* `"a" = $n`, with a comma before all but the first */
static void assign(struct build *b, const struct column *column, struct cell value, bool first)
{
	build_sql(b, first ? "" : ", ");
	build_name(b, column->name);
	build_sql(b, " = ");
	build_param(b, column->type->oid, value);
}

/* White space around a json value is not part of it in a row's text, so it cannot be part of the
 * comparison. */
#define TRIMMED(value) "pg_catalog.btrim(" value ", E' \\t\\n\\r')"

/* `FORMAT` with the column for each '@' and the parameter for each '#'. */
static void fill_in(struct build *b, const char *format, const struct column *column, size_t number)
{
	for (; *format; format++) {
		if (*format == '@')
			build_column(b, column);
		else if (*format == '#')
			build_ref(b, number);
		else
			buf_addc(&b->sql, *format);
	}
}

/* Both sides as the type prints them, since the base may have come in another spelling of the same
 * value: an array with quotes that PostgreSQL leaves out. */
static void same_output(struct build *b, const struct column *column, size_t number)
{
	static const char json[] = TRIMMED("pg_catalog.concat(@)") " OPERATOR(pg_catalog.=) "
	                           TRIMMED("pg_catalog.concat(#)") " AND @ IS NOT NULL";
	static const char json_array[] =
	        "ARRAY(SELECT " TRIMMED("pg_catalog.concat(e)") " FROM pg_catalog.unnest(@) AS u(e))"
	        " OPERATOR(pg_catalog.=) "
	        "ARRAY(SELECT " TRIMMED("pg_catalog.concat(e)") " FROM pg_catalog.unnest(#) AS u(e))"
	        " AND pg_catalog.concat(pg_catalog.array_dims(@)) OPERATOR(pg_catalog.=)"
	        " pg_catalog.concat(pg_catalog.array_dims(#)) AND @ IS NOT NULL";
	/* A composite of NULLs IS NULL, but is not one; with the word NULL this looks no operator up. */
	/* By bytes, since the column's own collation may take what differs in case for equal. */
	static const char other[] = "pg_catalog.concat(@) COLLATE pg_catalog.\"C\""
	                            " OPERATOR(pg_catalog.=) pg_catalog.concat(#)"
	                            " AND @ IS DISTINCT FROM NULL";
	const struct type *type = column->type;

	if (type->kind == TYPE_JSON)
		fill_in(b, json, column, number);
	else if (type->kind == TYPE_ARRAY && type->element->kind == TYPE_JSON)
		fill_in(b, json_array, column, number);
	else
		fill_in(b, other, column, number);
	/* What is NULL prints as nothing, which some type's value may do too. */
	fill_in(b, " AND # IS DISTINCT FROM NULL", column, number);
}

/* Numbers and json are compared by value. Of the rest an operator may call equal what a row's text does not: citext and
 * nondeterministic collations what differs in case, an interval a month and thirty days; and so would let a save
 * take back what others have made of it. The blanks that fill a char(n) are not told apart by either. */
static bool operator_is_exact(const struct type *type)
{
	const struct type *of = type;

	while (of->element)
		of = of->element;
	return type->equal_schema && (of->kind != TYPE_TEXT || of->oid == OID_BPCHAR);
}

/* The column still is what the edit was made from: by its own operator, or by its text where that would not do, or
 * the type has none. Returns the parameter's number. */
static size_t still_equals(struct build *b, const struct column *column, struct cell base)
{
	size_t number = build_value(b, column->type->oid, base);

	build_sql(b, "(");
	if (operator_is_exact(column->type)) {
		build_column(b, column);
		build_operator(b, column->type->equal_schema, "=");
		build_ref(b, number);
	} else {
		same_output(b, column, number);
	}
	build_sql(b, " OR ");
	build_column(b, column);
	buf_addf(&b->sql, " IS NOT DISTINCT FROM NULL AND $%zu IS NULL)", number);
	return number;
}

/* The parameters that hold the base; 0: there is none yet. */
static void where_as_before(struct build *b, const struct relation *relation, const struct cell *base,
                            const bool *checked, size_t *ret_numbers)
{
	for (size_t i = 0; i < relation->n_columns; i++) {
		if (!checked[i])
			continue;
		build_sql(b, " AND ");
		ret_numbers[i] = still_equals(b, &relation->columns[i], base[i]);
	}
}

/* Whether each column has its base's text after all. Not by the operator, for which a change of case or of scale may
 * be none. */
static void returning_kept(struct build *b, const struct relation *relation, const bool *changed,
                           const struct cell *base, const size_t *numbers)
{
	const char *between = ", ";

	for (size_t i = 0; i < relation->n_columns; i++) {
		const struct column *column = &relation->columns[i];
		size_t number;

		if (!changed[i])
			continue;
		number = numbers[i] ? numbers[i] : build_value(b, column->type->oid, base[i]);
		build_sql(b, between);
		build_sql(b, "(");
		same_output(b, column, number);
		fill_in(b, " OR @ IS NOT DISTINCT FROM NULL AND # IS NULL)", column, number);
		between = " AND ";
	}
}

/* Of which transaction the row was before goes from WHERE, which sees it, to RETURNING, which does not. A subquery there
 * would see the row as it was when the statement began, which may have waited for another's change since; WHERE is
 * asked again after that. */
#define BEFORE "'rowfs.before'"

static void note_before(struct build *b, const struct relation *relation)
{
	if (relation->has_xmin)
		build_sql(b, " AND pg_catalog.set_config(" BEFORE ", pg_catalog.concat(t.xmin), true) IS NOT NULL");
}

static void returning_before(struct build *b, const struct relation *relation)
{
	if (relation->has_xmin)
		build_sql(b, ", pg_catalog.current_setting(" BEFORE ", true)");
}

int statement_patch(const struct relation *relation, const struct cells *key,
                    const struct cell *base, const struct patch *patch, const bool *changed,
                    const bool *checked, struct statement *ret)
{
	_cleanup_build_ struct build b = {.writes = true};
	_cleanup_free_ size_t *numbers = calloc(relation->n_columns + 1, sizeof *numbers);
	bool first = true;

	if (!numbers)
		return -ENOMEM;
	update(&b, relation);
	for (size_t i = 0; i < relation->n_columns; i++) {
		if (!changed[i])
			continue;
		assign(&b, &relation->columns[i], patch->cells[i], first);
		first = false;
	}
	build_sql(&b, " WHERE ");
	only_row(&b, relation, key);
	where_as_before(&b, relation, base, checked ? checked : changed, numbers);
	note_before(&b, relation);
	returning_id(&b, relation);
	returning_kept(&b, relation, changed, base, numbers);
	returning_before(&b, relation);
	return build_finish(&b, ret);
}

/* The index of the key part that is this column, or SIZE_MAX. */
static size_t part_of_column(const struct relation *relation, size_t column)
{
	for (size_t i = 0; i < relation->n_parts; i++)
		if (relation->parts[i].column == column)
			return i;
	return SIZE_MAX;
}

/* The value to insert for a column; false: none, the server's default. */
static bool inserted(const struct relation *relation, const struct cells *key,
                     const struct patch *patch, size_t column, struct cell *ret)
{
	size_t part = key ? part_of_column(relation, column) : SIZE_MAX;

	if (relation->columns[column].generated || (part == SIZE_MAX && !patch->present[column]))
		return false;
	*ret = part != SIZE_MAX ? key->at[part] : patch->cells[column];
	return true;
}

/* `("a", "b") OVERRIDING SYSTEM VALUE VALUES ($1, $2)`; relations without an identity column
 * accept the words too, also views and foreign tables. */
static void insert_values(struct build *b, const struct relation *relation, const struct cells *key,
                          const struct patch *patch)
{
	struct cell value;

	for (size_t i = 0; i < relation->n_columns; i++) {
		if (!inserted(relation, key, patch, i, &value))
			continue;
		build_sql(b, b->n == 0 ? " (" : ", ");
		build_name(b, relation->columns[i].name);
		build_value(b, relation->columns[i].type->oid, value);
	}
	if (b->n == 0) {
		build_sql(b, " DEFAULT VALUES");
		return;
	}
	build_sql(b, ") OVERRIDING SYSTEM VALUE VALUES (");
	for (size_t i = 1; i <= b->n; i++) {
		build_sql(b, i > 1 ? ", " : "");
		build_ref(b, i);
	}
	build_sql(b, ")");
}

/* The transaction, unless a generated column of the text has become something else: then the statement fails as plain
 * SQL can, see replace_result(). */
static void returning_id_if_generated(struct build *b, const struct relation *relation, const struct patch *patch)
{
	const char *between = " RETURNING CASE WHEN ";

	for (size_t i = 0; i < relation->n_columns; i++) {
		if (!relation->columns[i].generated || !patch->present[i])
			continue;
		build_sql(b, between);
		still_equals(b, &relation->columns[i], patch->cells[i]);
		between = " AND ";
	}
	if (between[1] == 'R') {
		returning_id(b, relation);
		return;
	}
	build_sql(b, " THEN ");
	transaction_id(b, relation);
	build_sql(b, " ELSE CAST(pg_catalog.concat('" STATEMENT_NOT_GENERATED "')"
	             " AS pg_catalog.int4)::pg_catalog.text::pg_catalog.xid END");
}

int statement_insert(const struct relation *relation, const struct cells *key,
                     const struct patch *patch, struct statement *ret)
{
	_cleanup_build_ struct build b = {.writes = true};

	build_sql(&b, "INSERT INTO ");
	build_name(&b, relation->space);
	build_sql(&b, ".");
	build_name(&b, relation->name);
	build_sql(&b, " AS t");
	insert_values(&b, relation, key, patch);
	returning_id_if_generated(&b, relation, patch);
	for (size_t i = 0; i < relation->n_parts; i++) {
		build_sql(&b, ", ");
		build_column(&b, &relation->columns[relation->parts[i].column]);
	}
	return build_finish(&b, ret);
}

int statement_delete(const struct relation *relation, const struct cells *key, const char *xid,
                     struct statement *ret)
{
	_cleanup_build_ struct build b = {.writes = true};

	build_sql(&b, "DELETE FROM ");
	build_relation(&b, relation);
	build_sql(&b, " WHERE ");
	only_row(&b, relation, key);
	if (xid) {
		build_sql(&b, " AND t.xmin OPERATOR(pg_catalog.=) ");
		build_param(&b, XID_OID, cell_of(xid));
	}
	returning_id(&b, relation);
	return build_finish(&b, ret);
}

int statement_rekey(const struct relation *relation, const struct cells *from,
                    const struct cells *to, struct statement *ret)
{
	_cleanup_build_ struct build b = {.writes = true};

	update(&b, relation);
	for (size_t i = 0; i < relation->n_parts; i++)
		assign(&b, &relation->columns[relation->parts[i].column], to->at[i], i == 0);
	build_sql(&b, " WHERE ");
	only_row(&b, relation, from);
	returning_id(&b, relation);
	return build_finish(&b, ret);
}

/* Can the column take another row's value? */
static bool moves(const struct relation *relation, size_t i)
{
	const struct column *column = &relation->columns[i];

	return !column->generated && !column->identity_always && !relation_is_key(relation, i);
}

/* Lock the target first: were it deleted meanwhile, the source must stay. */
static void replace_target(struct build *b, const struct relation *relation, const struct cells *to)
{
	build_sql(b, "WITH target AS (SELECT FROM ");
	build_relation(b, relation);
	build_sql(b, " WHERE ");
	only_row(b, relation, to);
	build_sql(b, " FOR NO KEY UPDATE)");
}

/* Delete the source before the target takes its values, or unique columns would clash. */
static void replace_source(struct build *b, const struct relation *relation,
                           const struct cells *from)
{
	build_sql(b, ", source AS (DELETE FROM ");
	build_relation(b, relation);
	build_sql(b, " WHERE ");
	only_row(b, relation, from);
	build_sql(b, " AND EXISTS (SELECT FROM target) RETURNING true AS gone");
	for (size_t i = 0; i < relation->n_columns; i++) {
		if (!moves(relation, i))
			continue;
		build_sql(b, ", ");
		build_column(b, &relation->columns[i]);
		buf_addf(&b->sql, " AS c%zu", i);
	}
	build_sql(b, ")");
}

static void replace_moved(struct build *b, const struct relation *relation, const struct cells *to)
{
	const char *between = "";

	build_sql(b, ", moved AS (");
	update(b, relation);
	for (size_t i = 0; i < relation->n_columns; i++) {
		if (!moves(relation, i))
			continue;
		build_sql(b, between);
		build_name(b, relation->columns[i].name);
		buf_addf(&b->sql, " = source.c%zu", i);
		between = ", ";
	}
	if (*between == '\0') { /* nothing but a key: still an UPDATE, for what triggers see */
		const struct column *column = &relation->columns[relation->parts[0].column];

		build_name(b, column->name);
		build_sql(b, " = ");
		build_column(b, column);
	}
	build_sql(b, " FROM source WHERE ");
	only_row(b, relation, to);
	returning_id(b, relation);
	build_sql(b, " AS id, true AS done)");
}

/* A trigger or rule that keeps the target from changing must not cost the source: then the
 * statement has to fail, and a cast that cannot succeed is how plain SQL fails with a message. */
static void replace_result(struct build *b)
{
	build_sql(b, " SELECT CASE WHEN moved.done THEN moved.id::pg_catalog.text ELSE"
	             " CAST(pg_catalog.concat('a trigger or rule kept the target row as it is')"
	             " AS pg_catalog.int4)::pg_catalog.text END"
	             " FROM source LEFT JOIN moved ON true");
}

int statement_replace(const struct relation *relation, const struct cells *from,
                      const struct cells *to, struct statement *ret)
{
	_cleanup_build_ struct build b = {.writes = true};

	replace_target(&b, relation, to);
	replace_source(&b, relation, from);
	replace_moved(&b, relation, to);
	replace_result(&b);
	return build_finish(&b, ret);
}
