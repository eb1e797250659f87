/* The SQL itself. That it means the right thing on a server is tests/integration/test_rows.c. */
#include <string.h>

#include "failing.h"
#include "rowfs/model/statement.h"
#include "sample.h"
#include "suite.h"

#define TYPE(id, ...)                                                                              \
	static const struct type typed_##id = {.delimiter = ',', .equal_schema = __VA_ARGS__}

TYPE(int4, (char *)"pg_catalog", .kind = TYPE_INTEGER, .oid = 23);
TYPE(text, (char *)"pg_catalog", .kind = TYPE_TEXT, .oid = 25);
TYPE(citext, (char *)"pub\"lic", .kind = TYPE_TEXT, .oid = 777);
TYPE(json, NULL, .kind = TYPE_JSON, .oid = 114);
TYPE(tz, (char *)"pg_catalog", .kind = TYPE_TEXT, .oid = 1184);

static struct column columns[] = {
        {.name = (char *)"id", .type = &typed_int4},
        {.name = (char *)"na\"me", .type = &typed_text},
        {.name = (char *)"doc", .type = &typed_json},
        {.name = (char *)"g", .type = &typed_int4, .generated = true},
        {.name = (char *)"at", .type = &typed_tz},
        {.name = (char *)"ci", .type = &typed_citext},
};
enum { ID, NAME, DOC, G, AT, CI, COLUMNS };

static struct key_part parts[3];
static struct relation relation;
static struct schema schema;
static struct statement statement;

/* A table with the key `id`. */
static void setup(void)
{
	memset(parts, 0, sizeof(parts));
	parts[0] = (struct key_part){
	        .column = ID,
	        .operator_schema = (char *)"pg_catalog",
	        .sql_type = (char *)"integer",
	};
	parts[1] = (struct key_part){
	        .column = NAME,
	        .operator_schema = (char *)"pg_catalog",
	        .sql_type = (char *)"text",
	};
	parts[2] = (struct key_part){
	        .column = CI,
	        .operator_schema = (char *)"pub\"lic",
	        .sql_type = (char *)"public.citext",
	};
	relation = (struct relation){
	        .space = "s",
	        .name = (char *)"t",
	        .columns = columns,
	        .n_columns = 3,
	        .key_kind = KEY_COLUMNS,
	        .parts = parts,
	        .n_parts = 1,
	        .mtime_column = SIZE_MAX,
	        .has_xmin = true,
	};
	schema.commit_timestamps = false;
}

static void teardown(void)
{
	statement_done(&statement);
}

static struct cell cells[] = {{"1", 1}, {"two", 3}, {"three", 5}};
static struct cell others[] = {{"9", 1}, {"eight", 5}};

static const struct cells *key(size_t n)
{
	static struct cells copy;

	copy = (struct cells){n, cells};
	return &copy;
}

/* `expected` up to the parameters: "type=value …". */
static void is(const char *sql, const char *parameters)
{
	char found[256] = "";

	ck_assert_str_eq(statement.sql, sql);
	for (size_t i = 0; i < statement.n; i++)
		snprintf(found + strlen(found), sizeof(found) - strlen(found), "%s%u=%s",
		         i ? " " : "", statement.types[i],
		         statement.values[i].data ? statement.values[i].data : "NULL");
	ck_assert_str_eq(found, parameters);
}

#define FETCH_HEAD "SELECT t.xmin, NULL, NULL, NULL, t.\"id\", t.\"na\"\"me\", t.\"doc\""
#define FETCH      FETCH_HEAD " FROM ONLY \"s\".\"t\" AS t"

START_TEST(test_fetch)
{
	ck_assert_int_eq(statement_fetch(&schema, &relation, key(1), &statement), 0);
	is(FETCH " WHERE t.\"id\" OPERATOR(\"pg_catalog\".=) $1", "23=1");
	ck_assert(!statement.writes);
}
END_TEST

START_TEST(test_fetch_cold)
{
	columns[NAME].cold = columns[DOC].cold = true;
	ck_assert_int_eq(statement_fetch_cold(&relation, key(1), &statement), 0);
	columns[NAME].cold = columns[DOC].cold = false;
	is("SELECT t.xmin, t.\"na\"\"me\", t.\"doc\" FROM ONLY \"s\".\"t\" AS t"
	   " WHERE t.\"id\" OPERATOR(\"pg_catalog\".=) $1",
	   "23=1");
	ck_assert(!statement.writes);
}
END_TEST

START_TEST(test_fetch_names_are_quoted)
{
	relation.space = "S p\"";
	relation.name = (char *)"select";
	relation.n_columns = 2;
	relation.n_parts = 2;
	ck_assert_int_eq(statement_fetch(&schema, &relation, key(2), &statement), 0);
	is("SELECT t.xmin, NULL, NULL, NULL, t.\"id\", t.\"na\"\"me\" FROM ONLY \"S "
	   "p\"\"\".\"select\""
	   " AS t WHERE t.\"id\" OPERATOR(\"pg_catalog\".=) $1"
	   " AND t.\"na\"\"me\" OPERATOR(\"pg_catalog\".=) $2",
	   "23=1 25=two");
}
END_TEST

/* ONLY is for tables: a partitioned table's rows are all in its partitions. */
START_TEST(test_only_for_tables)
{
	for (relation.kind = RELATION_PARTITIONED; relation.kind <= RELATION_FOREIGN;
	     relation.kind++) {
		ck_assert_int_eq(statement_fetch(&schema, &relation, key(1), &statement), 0);
		ck_assert_ptr_null(strstr(statement.sql, "ONLY"));
		statement_done(&statement);
		ck_assert_int_eq(statement_delete(&relation, key(1), NULL, &statement), 0);
		ck_assert_ptr_null(strstr(statement.sql, "ONLY"));
		statement_done(&statement);
	}
}
END_TEST

START_TEST(test_fetch_with_collation_and_null)
{
	parts[0] = (struct key_part){
	        .column = NAME,
	        .operator_schema = (char *)"pg_catalog",
	        .collation = (char *)"pg_catalog.\"C\"",
	        .nullable = true,
	};
	relation.n_columns = 1;
	relation.has_xmin = false;
	ck_assert_int_eq(statement_fetch(&schema, &relation,
	                                 &(struct cells){1, &(struct cell){NULL, 0}}, &statement),
	                 0);
	is("SELECT NULL, NULL, NULL, NULL, t.\"id\" FROM ONLY \"s\".\"t\" AS t WHERE "
	   "(t.\"na\"\"me\""
	   " COLLATE pg_catalog.\"C\" OPERATOR(\"pg_catalog\".=) $1 OR t.\"na\"\"me\" IS NULL AND "
	   "$1"
	   " IS NULL)",
	   "25=NULL");
}
END_TEST

START_TEST(test_fetch_by_address)
{
	relation.n_columns = 1;
	relation.n_parts = 0;
	relation.key_kind = KEY_CTID;
	ck_assert_int_eq(statement_fetch(&schema, &relation, key(1), &statement), 0);
	is("SELECT t.xmin, NULL, t.ctid, NULL, t.\"id\" FROM ONLY \"s\".\"t\" AS t"
	   " WHERE t.ctid OPERATOR(pg_catalog.=) $1",
	   "27=1");
	statement_done(&statement);
	relation.key_kind = KEY_TABLEOID_CTID;
	relation.kind = RELATION_PARTITIONED;
	ck_assert_int_eq(statement_fetch(&schema, &relation, key(2), &statement), 0);
	is("SELECT t.xmin, NULL, t.ctid, t.tableoid, t.\"id\" FROM \"s\".\"t\" AS t"
	   " WHERE t.tableoid OPERATOR(pg_catalog.=) $1 AND t.ctid OPERATOR(pg_catalog.=) $2",
	   "26=1 27=two");
}
END_TEST

START_TEST(test_fetch_mtime)
{
	relation.n_columns = 5;
	schema.commit_timestamps = true;
	ck_assert_int_eq(statement_fetch(&schema, &relation, key(1), &statement), 0);
	ck_assert_ptr_nonnull(
	        strstr(statement.sql, "SELECT t.xmin, EXTRACT(epoch FROM "
	                              "pg_catalog.pg_xact_commit_timestamp(t.xmin)), NULL"));
	statement_done(&statement);
	relation.has_xmin = false;
	ck_assert_int_eq(statement_fetch(&schema, &relation, key(1), &statement), 0);
	ck_assert_ptr_null(strstr(statement.sql, "pg_xact_commit_timestamp"));
	statement_done(&statement);
	relation.mtime_column = AT;
	ck_assert_int_eq(statement_fetch(&schema, &relation, key(1), &statement), 0);
	ck_assert_ptr_nonnull(strstr(statement.sql,
	                             "SELECT NULL, CASE WHEN CAST(t.\"at\" AS pg_catalog.timestamptz)"
	                             " OPERATOR(pg_catalog.<=) pg_catalog.clock_timestamp() THEN"
	                             " EXTRACT(epoch FROM GREATEST("));
	statement_done(&statement);
	relation.mtime_column = ID;
	ck_assert_int_eq(statement_fetch(&schema, &relation, key(1), &statement), 0);
	ck_assert_ptr_nonnull(strstr(statement.sql, "CASE WHEN t.\"id\" OPERATOR(pg_catalog.<=) "
	                                            "EXTRACT(epoch FROM pg_catalog.clock_timestamp())"
	                                            " THEN pg_catalog.round("));
}
END_TEST

START_TEST(test_fetch_hashed)
{
	char hash[65];

	memset(hash, 'a', 64);
	hash[64] = '\0';
	relation.n_columns = 1;
	ck_assert_int_eq(statement_fetch_hashed(&schema, &relation, hash, &statement), 0);
	ck_assert_ptr_nonnull(strstr(
	        statement.sql,
	        "WHERE "
	        "pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(pg_catalog.concat('',"
	        " CASE WHEN t.\"id\" IS DISTINCT FROM NULL THEN"));
	ck_assert_uint_eq(statement.n, 1);
	ck_assert_str_eq(statement.values[0].data, hash);
}
END_TEST

START_TEST(test_key_hashed)
{
	char hash[65];

	memset(hash, 'a', 64);
	hash[64] = '\0';
	relation.n_parts = 2;
	relation.has_xmin = false;
	ck_assert_int_eq(statement_key_hashed(&relation, hash, &statement), 0);
	ck_assert_ptr_nonnull(strstr(statement.sql, "SELECT NULL, t.\"id\", t.\"na\"\"me\" FROM ONLY"
	                                            " \"s\".\"t\" AS t WHERE pg_catalog.encode("));
	ck_assert_uint_eq(statement.n, 1);
	ck_assert(!statement.writes);
	statement_done(&statement);
	relation.has_xmin = true;
	ck_assert_int_eq(statement_key_hashed(&relation, hash, &statement), 0);
	ck_assert_ptr_nonnull(strstr(statement.sql, "SELECT t.xmin, t.\"id\""));
}
END_TEST

START_TEST(test_page)
{
	ck_assert_int_eq(statement_page(&schema, &relation, NULL, 7, &statement), 0);
	is(FETCH " ORDER BY t.\"id\" USING OPERATOR(\"pg_catalog\".<) NULLS LAST LIMIT 7", "");
	statement_done(&statement);
	ck_assert_int_eq(statement_page(&schema, &relation, key(1), 7, &statement), 0);
	is(FETCH " WHERE (t.\"id\") OPERATOR(\"pg_catalog\".>) ($1)"
	         " ORDER BY t.\"id\" USING OPERATOR(\"pg_catalog\".<) NULLS LAST LIMIT 7",
	   "23=1");
	statement_done(&statement);
	relation.n_parts = 2;
	ck_assert_int_eq(statement_page(&schema, &relation, key(2), 7, &statement), 0);
	is(FETCH " WHERE (t.\"id\", t.\"na\"\"me\") OPERATOR(\"pg_catalog\".>) ($1, $2)"
	         " ORDER BY t.\"id\" USING OPERATOR(\"pg_catalog\".<) NULLS LAST,"
	         " t.\"na\"\"me\" USING OPERATOR(\"pg_catalog\".<) NULLS LAST LIMIT 7",
	   "23=1 25=two");
}
END_TEST

START_TEST(test_page_of_keys)
{
	relation.n_parts = 2;
	relation.has_xmin = true;
	relation.mtime_column = SIZE_MAX;
	ck_assert_int_eq(statement_page_keys(&schema, &relation, key(2), 7, &statement), 0);
	is("SELECT t.xmin, NULL, NULL, NULL, t.\"id\", t.\"na\"\"me\", NULL"
	   " FROM ONLY \"s\".\"t\" AS t"
	   " WHERE (t.\"id\", t.\"na\"\"me\") OPERATOR(\"pg_catalog\".>) ($1, $2)"
	   " ORDER BY t.\"id\" USING OPERATOR(\"pg_catalog\".<) NULLS LAST,"
	   " t.\"na\"\"me\" USING OPERATOR(\"pg_catalog\".<) NULLS LAST LIMIT 7",
	   "23=1 25=two");
}
END_TEST

START_TEST(test_page_of_two_operator_schemas)
{
	parts[1] = parts[2];
	relation.n_parts = 2;
	ck_assert_int_eq(statement_page(&schema, &relation, key(2), 7, &statement), 0);
	is(FETCH " WHERE t.\"id\" OPERATOR(\"pg_catalog\".>=) $1 AND"
	         " (t.\"id\" OPERATOR(\"pg_catalog\".>) $1 OR"
	         " t.\"id\" OPERATOR(\"pg_catalog\".=) $1 AND"
	         " t.\"ci\" OPERATOR(\"pub\"\"lic\".>) $2)"
	         " ORDER BY t.\"id\" USING OPERATOR(\"pg_catalog\".<) NULLS LAST,"
	         " t.\"ci\" USING OPERATOR(\"pub\"\"lic\".<) NULLS LAST LIMIT 7",
	   "23=1 777=two");
}
END_TEST

START_TEST(test_page_of_heap)
{
	relation.n_columns = 1;
	relation.key_kind = KEY_CTID;
	relation.n_parts = 0;
	ck_assert_int_eq(statement_page(&schema, &relation, key(1), 7, &statement), 0);
	is("SELECT t.xmin, NULL, t.ctid, NULL, t.\"id\" FROM ONLY \"s\".\"t\" AS t"
	   " WHERE t.ctid OPERATOR(pg_catalog.>) $1 LIMIT 7",
	   "27=1");
}
END_TEST

START_TEST(test_canonical)
{
	relation.n_parts = 3;
	ck_assert_int_eq(statement_canonical(&relation, key(3), &statement), 0);
	is("SELECT CAST($1 AS integer), CAST($2 AS text), CAST($3 AS public.citext)",
	   "23=1 25=two 777=three");
	ck_assert(!statement.writes);
}
END_TEST

static bool present[COLUMNS];
static const struct patch patch = {
        .cells = (struct cell[COLUMNS]){[ID] = {"5", 1}, [NAME] = {"new", 3}, [DOC] = {NULL, 0}},
        .present = present,
};

START_TEST(test_patch)
{
	const struct cell base[] = {{"1", 1}, {"old", 3}, {"{}", 2}};
	const bool changed[] = {false, true, true};

	ck_assert_int_eq(statement_patch(&relation, key(1), base, &patch, changed, NULL, &statement), 0);
	is("UPDATE ONLY \"s\".\"t\" AS t SET \"na\"\"me\" = $1, \"doc\" = $2"
	   " WHERE t.\"id\" OPERATOR(\"pg_catalog\".=) $3"
	   " AND (pg_catalog.concat(t.\"na\"\"me\") COLLATE pg_catalog.\"C\""
	   " OPERATOR(pg_catalog.=) pg_catalog.concat($4)"
	   " AND t.\"na\"\"me\" IS DISTINCT FROM NULL AND $4 IS DISTINCT FROM NULL"
	   " OR t.\"na\"\"me\" IS NOT DISTINCT FROM NULL AND $4 IS NULL)"
	   " AND (pg_catalog.btrim(pg_catalog.concat(t.\"doc\"), E' \\t\\n\\r')"
	   " OPERATOR(pg_catalog.=) pg_catalog.btrim(pg_catalog.concat($5), E' \\t\\n\\r')"
	   " AND t.\"doc\" IS NOT NULL AND $5 IS DISTINCT FROM NULL"
	   " OR t.\"doc\" IS NOT DISTINCT FROM NULL AND $5 IS NULL)"
	   " AND pg_catalog.set_config('rowfs.before', pg_catalog.concat(t.xmin), true) IS NOT NULL"
	   " RETURNING pg_catalog.pg_current_xact_id()::pg_catalog.xid,"
	   " (pg_catalog.concat(t.\"na\"\"me\") COLLATE pg_catalog.\"C\""
	   " OPERATOR(pg_catalog.=) pg_catalog.concat($4)"
	   " AND t.\"na\"\"me\" IS DISTINCT FROM NULL AND $4 IS DISTINCT FROM NULL"
	   " OR t.\"na\"\"me\" IS NOT DISTINCT FROM NULL AND $4 IS NULL)"
	   " AND (pg_catalog.btrim(pg_catalog.concat(t.\"doc\"), E' \\t\\n\\r')"
	   " OPERATOR(pg_catalog.=) pg_catalog.btrim(pg_catalog.concat($5), E' \\t\\n\\r')"
	   " AND t.\"doc\" IS NOT NULL AND $5 IS DISTINCT FROM NULL"
	   " OR t.\"doc\" IS NOT DISTINCT FROM NULL AND $5 IS NULL),"
	   " pg_catalog.current_setting('rowfs.before', true)",
	   "25=new 114=NULL 23=1 25=old 114={}");
	ck_assert(statement.writes);
}
END_TEST

START_TEST(test_insert)
{
	memset(present, 0, sizeof(present));
	present[NAME] = true;
	ck_assert_int_eq(statement_insert(&relation, key(1), &patch, &statement), 0);
	is("INSERT INTO \"s\".\"t\" AS t (\"id\", \"na\"\"me\") OVERRIDING SYSTEM VALUE VALUES "
	   "($1, $2)"
	   " RETURNING pg_catalog.pg_current_xact_id()::pg_catalog.xid, t.\"id\"",
	   "23=1 25=new");
	statement_done(&statement);
	/* A generated column is not given, but has to become what the text says. */
	relation.n_columns = G + 1;
	present[G] = true;
	ck_assert_int_eq(statement_insert(&relation, key(1), &patch, &statement), 0);
	is("INSERT INTO \"s\".\"t\" AS t (\"id\", \"na\"\"me\") OVERRIDING SYSTEM VALUE VALUES "
	   "($1, $2)"
	   " RETURNING CASE WHEN "
	   "(t.\"g\" OPERATOR(\"pg_catalog\".=) $3 OR t.\"g\" IS NOT DISTINCT FROM NULL AND $3 IS NULL)"
	   " THEN pg_catalog.pg_current_xact_id()::pg_catalog.xid"
	   " ELSE CAST(pg_catalog.concat('a generated column would not be what the text says')"
	   " AS pg_catalog.int4)::pg_catalog.text::pg_catalog.xid END, t.\"id\"",
	   "23=1 25=new 23=NULL");
	statement_done(&statement);
	present[G] = false;
	relation.n_columns = G;
	/* The name's key counts, not the text's spelling of it. */
	present[ID] = true;
	ck_assert_int_eq(statement_insert(&relation, key(1), &patch, &statement), 0);
	ck_assert_str_eq(statement.values[0].data, "1");
	statement_done(&statement);
	ck_assert_int_eq(statement_insert(&relation, NULL, &patch, &statement), 0);
	ck_assert_str_eq(statement.values[0].data, "5");
	statement_done(&statement);
	memset(present, 0, sizeof(present));
	relation.has_xmin = false;
	ck_assert_int_eq(statement_insert(&relation, NULL, &patch, &statement), 0);
	is("INSERT INTO \"s\".\"t\" AS t DEFAULT VALUES RETURNING NULL::pg_catalog.xid, t.\"id\"",
	   "");
}
END_TEST

START_TEST(test_delete_and_rekey)
{
	const struct cells to = {1, others};

	ck_assert_int_eq(statement_delete(&relation, key(1), NULL, &statement), 0);
	is("DELETE FROM ONLY \"s\".\"t\" AS t WHERE t.\"id\" OPERATOR(\"pg_catalog\".=) $1"
	   " RETURNING pg_catalog.pg_current_xact_id()::pg_catalog.xid",
	   "23=1");
	statement_done(&statement);
	ck_assert_int_eq(statement_delete(&relation, key(1), "7421", &statement), 0);
	is("DELETE FROM ONLY \"s\".\"t\" AS t WHERE t.\"id\" OPERATOR(\"pg_catalog\".=) $1"
	   " AND t.xmin OPERATOR(pg_catalog.=) $2"
	   " RETURNING pg_catalog.pg_current_xact_id()::pg_catalog.xid",
	   "23=1 28=7421");
	statement_done(&statement);
	ck_assert_int_eq(statement_rekey(&relation, key(1), &to, &statement), 0);
	is("UPDATE ONLY \"s\".\"t\" AS t SET \"id\" = $1 WHERE t.\"id\" OPERATOR(\"pg_catalog\".=) "
	   "$2"
	   " RETURNING pg_catalog.pg_current_xact_id()::pg_catalog.xid",
	   "23=9 23=1");
	ck_assert(statement.writes);
}
END_TEST

/* Neither the key nor what PostgreSQL computes moves. */
START_TEST(test_replace)
{
	const struct cells to = {1, others};

	relation.n_columns = 4;
	ck_assert_int_eq(statement_replace(&relation, key(1), &to, &statement), 0);
	ck_assert_ptr_nonnull(strstr(statement.sql, "RETURNING true AS gone, t.\"na\"\"me\" AS c1,"
	                                            " t.\"doc\" AS c2)"));
	ck_assert_ptr_nonnull(strstr(
	        statement.sql, "SET \"na\"\"me\" = source.c1, \"doc\" = source.c2 FROM source"));
	ck_assert_uint_eq(statement.n, 3);
	ck_assert_str_eq(statement.values[1].data, "1");
	ck_assert_str_eq(statement.values[2].data, "9");
	ck_assert(statement.writes);
}
END_TEST

/* Nothing proves that a configured key is one row's only. */
START_TEST(test_a_configured_key_must_be_one_rows)
{
	const struct cells to = {1, others};
	const char *guard = " AND (SELECT pg_catalog.count(*) FROM \"s\".\"t\" AS t"
	                    " WHERE t.\"id\" OPERATOR(\"pg_catalog\".=) $2)"
	                    " OPERATOR(pg_catalog.=) 1";

	relation.kind = RELATION_VIEW;
	relation.key_unproven = true;
	ck_assert_int_eq(statement_delete(&relation, key(1), NULL, &statement), 0);
	ck_assert_ptr_nonnull(strstr(statement.sql, guard));
	ck_assert_uint_eq(statement.n, 2);
	statement_done(&statement);
	ck_assert_int_eq(statement_replace(&relation, key(1), &to, &statement), 0);
	ck_assert_ptr_nonnull(strstr(statement.sql, guard));
	ck_assert_uint_eq(statement.n, 6);
}
END_TEST

START_TEST(test_out_of_memory)
{
	const struct cells to = {1, others};
	unsigned n = 0;
	int r;

	do {
		failing_after(n++);
		r = statement_replace(&relation, key(1), &to, &statement);
		failing_stop();
		if (r < 0)
			ck_assert_ptr_null(statement.sql);
	} while (r < 0);
	ck_assert_int_eq(r, 0);
	ck_assert_uint_gt(n, 3);
}
END_TEST

/* A predicate may end in a comment. */
START_TEST(test_pins)
{
	const struct cell arrays[] = {{"{\"1\"}", 5}, {"{\"two\"}", 7}};

	ck_assert_int_eq(statement_pin_keys(&relation, NULL, NULL, 9, &statement), 0);
	ck_assert_str_eq(statement.sql, "SELECT t.\"id\" FROM ONLY \"s\".\"t\" AS t ORDER BY t.\"id\" USING"
	                                " OPERATOR(\"pg_catalog\".<) NULLS LAST LIMIT 9");
	statement_done(&statement);
	ck_assert_int_eq(statement_pin_keys(&relation, "v > 0 -- x", key(1), 9, &statement), 0);
	ck_assert_ptr_nonnull(strstr(statement.sql, " AND (\nv > 0 -- x\n) ORDER BY "));
	ck_assert_uint_eq(statement.n, 1);
	statement_done(&statement);
	ck_assert_int_eq(statement_pin_page(&schema, &relation, "v > 0 -- x", key(1), 9, &statement), 0);
	ck_assert_ptr_nonnull(strstr(statement.sql, " FROM ONLY \"s\".\"t\" AS t WHERE "));
	ck_assert_ptr_nonnull(strstr(statement.sql, " AND (\nv > 0 -- x\n) ORDER BY "));
	statement_done(&statement);
	ck_assert_int_eq(statement_pin_check(&relation, "v > 0 -- x", &statement), 0);
	ck_assert_str_eq(statement.sql, "SELECT pg_catalog.length((\nv > 0 -- x\n)::pg_catalog.text) FROM ONLY"
	                                " \"s\".\"t\" AS t WHERE (\nv > 0 -- x\n) LIMIT 0");
	ck_assert_uint_eq(statement.n, 0);
	statement_done(&statement);
	relation.n_parts = 2;
	ck_assert_int_eq(statement_pin_rows(&schema, &relation, "v > 0 -- x", arrays, &statement), 0);
	ck_assert_ptr_nonnull(strstr(statement.sql,
	                             " AS t, ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2))"
	                             " AS rowfs_keys(rowfs_part_0, rowfs_part_1)"
	                             " WHERE t.\"id\" OPERATOR(\"pg_catalog\".=) CAST(rowfs_keys.rowfs_part_0 AS integer)"
	                             " AND "));
	ck_assert_ptr_nonnull(strstr(statement.sql, "CAST(rowfs_keys.rowfs_part_1 AS text) AND (\nv > 0 -- x\n)"));
	ck_assert_uint_eq(statement.n, 2);
	ck_assert(!statement.writes);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("statement");
	TCase *c = tcase_create("statement");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, test_fetch);
	tcase_add_test(c, test_pins);
	tcase_add_test(c, test_fetch_cold);
	tcase_add_test(c, test_fetch_names_are_quoted);
	tcase_add_test(c, test_only_for_tables);
	tcase_add_test(c, test_fetch_with_collation_and_null);
	tcase_add_test(c, test_fetch_by_address);
	tcase_add_test(c, test_fetch_mtime);
	tcase_add_test(c, test_fetch_hashed);
	tcase_add_test(c, test_key_hashed);
	tcase_add_test(c, test_page);
	tcase_add_test(c, test_page_of_keys);
	tcase_add_test(c, test_page_of_two_operator_schemas);
	tcase_add_test(c, test_page_of_heap);
	tcase_add_test(c, test_canonical);
	tcase_add_test(c, test_patch);
	tcase_add_test(c, test_insert);
	tcase_add_test(c, test_delete_and_rekey);
	tcase_add_test(c, test_replace);
	tcase_add_test(c, test_a_configured_key_must_be_one_rows);
	tcase_add_test(c, test_out_of_memory);
	suite_add_tcase(s, c);
	return suite_run(s);
}
