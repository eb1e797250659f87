/* The snapshot of the catalog: what is shown, by which key, with which grants and types. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../unit/suite.h"
#include "cluster.h"
#include "rowfs/base/buf.h"
#include "rowfs/base/clock.h"
#include "rowfs/base/log.h"

static struct store *store;
static struct schema *schema;
static struct error e;
static struct settings settings;
static struct table_settings tables[] = {
        {(char *)"s.v_key", (char *)" id", NULL},
        {(char *)"s.v_fixed", (char *)"id", NULL},
        {(char *)"s.v_bad", (char *)"id, nothing", NULL},
        {(char *)"s.k_none", (char *)"a", (char *)"a"},
        {(char *)"s.k_partial", NULL, (char *)"nothing"},
        {(char *)"s.types", (char *)"id,point", (char *)"text"},
};

static void load(void)
{
	schema_unref(schema);
	schema = NULL;
	ck_assert_msg(store_load_schema(store, &schema, &e) == 0, "%s", e.message);
}

static void setup(void)
{
	settings.tables = tables;
	settings.n_tables = sizeof(tables) / sizeof(*tables);
	store = cluster_store("reader", "load", &settings);
	load();
}

static void teardown(void)
{
	schema_unref(schema);
	store_close(store);
}

static const struct relation *find(const char *name)
{
	const struct space *space = schema_space(schema, "s");

	ck_assert_ptr_nonnull(space);
	return space_relation(space, name);
}

static const struct relation *table(const char *name)
{
	const struct relation *relation = find(name);

	ck_assert_msg(relation != NULL, "no relation %s", name);
	return relation;
}

static const struct column *column(const struct relation *relation, const char *name)
{
	size_t i = relation_column(relation, name, strlen(name));

	ck_assert_msg(i != SIZE_MAX, "no column %s", name);
	return &relation->columns[i];
}

START_TEST(test_spaces)
{
	static const char *const shown[] = {"empty", "odd%2F%25.name,", "public", "s"};

	ck_assert_uint_eq(schema->n_spaces, 4);
	for (size_t i = 0; i < 4; i++)
		ck_assert_str_eq(schema->spaces[i].dir_name, shown[i]);
	ck_assert_uint_eq(schema->spaces[0].n_relations, 0);
	ck_assert_str_eq(schema->spaces[1].relations[0].dir_name, "a%2Fb,c");
	ck_assert_str_eq(schema->spaces[1].relations[0].name, "a/b,c");
	ck_assert_str_eq(schema->spaces[1].relations[0].space, "odd/%.name,");
}
END_TEST

START_TEST(test_only_one_space)
{
	settings.schema = (char *)"s";
	load();
	ck_assert_uint_eq(schema->n_spaces, 1);
	ck_assert_ptr_nonnull(find("plain"));
	settings.schema = (char *)"nothing";
	load();
	ck_assert_uint_eq(schema->n_spaces, 0);
	settings.schema = NULL;
}
END_TEST

START_TEST(test_columns)
{
	const struct relation *plain = table("plain");

	ck_assert_uint_eq(plain->n_columns, 5);
	ck_assert_int_eq(plain->kind, RELATION_TABLE);
	ck_assert(plain->has_xmin && !plain->partial && !plain->row_security);
	ck_assert(plain->can_insert && plain->can_update && plain->can_delete);
	ck_assert_int_eq(plain->columns[3].number, 5); /* a dropped one before it */
	ck_assert(column(plain, "name")->not_null && !column(plain, "d")->not_null);
	ck_assert(column(plain, "g")->generated && !column(plain, "g")->can_update);
	ck_assert(column(plain, "i")->identity_always && column(plain, "i")->can_insert);
	ck_assert(!column(plain, "d")->generated && !column(plain, "d")->identity_always);
	ck_assert_ptr_eq(schema_relation(schema, plain->oid), plain);
}
END_TEST

/* key: columns by name; operator schemas and collations where they matter. */
static const struct {
	const char *table, *key, *schemas;
} keys[] = {
        {"plain", "id", "pg_catalog"},
        {"k_unique", "a", "pg_catalog"}, /* x before y: one column, by name; c may be NULL */
        {"k_none", "a", "pg_catalog?"},  /* configured */
        {"k_deferred_primary", "a", "pg_catalog"},
        {"k_include", "a", "pg_catalog"},
        {"k_citext", "b a", "pg_catalog public"},
        {"k_collation", "a b", "pg_catalog/pg_catalog.\"C\" pg_catalog"},
        {"k_view", "b", "pg_catalog?"},
        {"v_key", "id", "pg_catalog?"},
        {"inherits", "id", "pg_catalog"},
        {"types", "id", "pg_catalog"}, /* points have no =, so that key is not used */
        {"g_partial", "id", "pg_catalog"},
};

START_TEST(test_keys)
{
	const struct relation *relation = table(keys[_i].table);
	struct buf names = {0}, schemas = {0};

	ck_assert_int_eq(relation->key_kind, KEY_COLUMNS);
	for (size_t i = 0; i < relation->n_parts; i++) {
		const struct key_part *part = &relation->parts[i];

		buf_addf(&names, "%s%s", i ? " " : "", relation->columns[part->column].name);
		buf_addf(&schemas, "%s%s", i ? " " : "", part->operator_schema);
		if (part->collation)
			buf_addf(&schemas, "/%s", part->collation);
		if (part->nullable)
			buf_addc(&schemas, '?');
	}
	ck_assert_str_eq(names.data, keys[_i].key);
	ck_assert_str_eq(schemas.data, keys[_i].schemas);
	buf_done(&names);
	buf_done(&schemas);
}
END_TEST

static const char *const keyless[] = {"k_partial", "k_expression", "k_deferred", "k_invalid",
                                      "k_parted"};

START_TEST(test_without_key)
{
	const struct relation *relation = table(keyless[_i]);

	ck_assert_int_eq(relation->key_kind, _i == 4 ? KEY_TABLEOID_CTID : KEY_CTID);
	ck_assert_uint_eq(relation->n_parts, 0);
	ck_assert(!relation->can_insert && !relation->can_update && !relation->can_delete);
	ck_assert(!relation_writable(relation));
	ck_assert(relation->has_xmin);
}
END_TEST

static const char *const not_shown[] = {"k_parted_1", "k_view_none", "v_none",
                                        "v_bad",      "g_none",      "g_nokey",
                                        "g_keyless",  "g_insert",    "temporary"};

START_TEST(test_not_shown)
{
	ck_assert_ptr_null(find(not_shown[_i]));
}
END_TEST

START_TEST(test_grants)
{
	const struct relation *read = table("g_read"), *partial = table("g_partial");

	ck_assert(!read->can_insert && !read->can_update && !read->can_delete);
	ck_assert(!column(read, "v")->can_update);
	ck_assert(partial->partial && !partial->has_xmin);
	ck_assert_uint_eq(partial->n_columns, 2);
	ck_assert(partial->can_update && partial->can_insert && !partial->can_delete);
	ck_assert(column(partial, "v")->can_update && !column(partial, "id")->can_update);
	ck_assert(column(partial, "id")->can_insert && !column(partial, "v")->can_insert);
	ck_assert(table("g_rls")->row_security);
	ck_assert(!read->row_security);
}
END_TEST

START_TEST(test_names_by_search_path)
{
	ck_assert(!table("plain")->by_search_path);
	ck_assert(table("t_names")->by_search_path);
	ck_assert(table("t_names_inside")->by_search_path);
	ck_assert(!table("t_names_of_roles")->by_search_path);
}
END_TEST

START_TEST(test_row_security_does_not_bind_the_superuser)
{
	store_close(store);
	store = cluster_store("postgres", "load", &settings);
	load();
	ck_assert(!table("g_rls")->row_security);
	ck_assert_ptr_nonnull(find("g_none"));
	ck_assert(!table("g_partial")->partial);
}
END_TEST

START_TEST(test_views)
{
	const struct relation *view = table("v_key"), *fixed = table("v_fixed");

	ck_assert_int_eq(view->kind, RELATION_VIEW);
	ck_assert(view->can_insert && view->can_update && view->can_delete && !view->has_xmin);
	ck_assert(column(view, "name")->can_update && !column(view, "more")->can_update);
	ck_assert(!fixed->can_insert && !fixed->can_update && !fixed->can_delete);
	ck_assert_int_eq(table("k_view")->kind, RELATION_MATVIEW);
	ck_assert(!relation_writable(table("k_view")));
	ck_assert(view->row_security); /* what it shows may depend on the role */
}
END_TEST

START_TEST(test_xmin_of_partitions)
{
	ck_assert_int_eq(table("x_local")->kind, RELATION_PARTITIONED);
	ck_assert(table("x_local")->has_xmin);
	ck_assert(!table("x_mixed")->has_xmin);
	ck_assert(table("k_view")->has_xmin);
}
END_TEST

static const struct {
	const char *column;
	enum type_kind kind, element;
	const char *equal;
} types[] = {
        {"int2", TYPE_INTEGER, 0, "pg_catalog"},
        {"int8", TYPE_INTEGER, 0, "pg_catalog"},
        {"float4", TYPE_FLOAT, 0, "pg_catalog"},
        {"float8", TYPE_FLOAT, 0, "pg_catalog"},
        {"numeric", TYPE_NUMERIC, 0, "pg_catalog"},
        {"bool", TYPE_BOOL, 0, "pg_catalog"},
        {"json", TYPE_JSON, 0, NULL},
        {"jsonb", TYPE_JSONB, 0, "pg_catalog"},
        {"text", TYPE_TEXT, 0, "pg_catalog"},
        {"varchar", TYPE_TEXT, 0, "pg_catalog"},
        {"char", TYPE_TEXT, 0, "pg_catalog"},
        {"uuid", TYPE_TEXT, 0, "pg_catalog"},
        {"xml", TYPE_TEXT, 0, NULL},
        {"point", TYPE_TEXT, 0, NULL},
        {"xid", TYPE_TEXT, 0, "pg_catalog"},
        {"vector", TYPE_TEXT, 0, NULL},
        {"ints", TYPE_ARRAY, TYPE_INTEGER, "pg_catalog"},
        {"boxes", TYPE_ARRAY, TYPE_TEXT, NULL},
        {"points", TYPE_ARRAY, TYPE_TEXT, NULL},
        {"pairs", TYPE_ARRAY, TYPE_TEXT, NULL},
        {"mood", TYPE_TEXT, 0, "pg_catalog"},
        {"moods", TYPE_ARRAY, TYPE_TEXT, "pg_catalog"},
        {"one", TYPE_NUMERIC, 0, "pg_catalog"},
        {"two", TYPE_NUMERIC, 0, "pg_catalog"},
        {"twos", TYPE_ARRAY, TYPE_NUMERIC, "pg_catalog"},
        {"range", TYPE_TEXT, 0, "pg_catalog"},
        {"multirange", TYPE_TEXT, 0, "pg_catalog"},
        {"pair", TYPE_TEXT, 0, NULL},
        {"citext", TYPE_TEXT, 0, "public"},
        {"cidr", TYPE_TEXT, 0, "pg_catalog"},
        {"jsons", TYPE_ARRAY, TYPE_JSON, NULL},
        {"tsvector", TYPE_TEXT, 0, "pg_catalog"},
        {"name", TYPE_TEXT, 0, "pg_catalog"},
};

START_TEST(test_types)
{
	const struct type *type = column(table("types"), types[_i].column)->type;

	ck_assert_int_eq(type->kind, types[_i].kind);
	if (types[_i].equal)
		ck_assert_str_eq(type->equal_schema, types[_i].equal);
	else
		ck_assert_ptr_null(type->equal_schema);
	ck_assert_int_eq(type->element != NULL, type->kind == TYPE_ARRAY);
	if (type->element) {
		ck_assert_int_eq(type->element->kind, types[_i].element);
		ck_assert_int_eq(type->delimiter, strcmp(types[_i].column, "boxes") ? ',' : ';');
	}
}
END_TEST

START_TEST(test_mtime)
{
	ck_assert_uint_eq(table("k_none")->mtime_column, 0);
	ck_assert_uint_eq(table("types")->mtime_column, SIZE_MAX); /* a text is no time */
	settings.mtime = (char *)"id";
	load();
	ck_assert_uint_eq(table("plain")->mtime_column, 0);
	ck_assert_uint_eq(table("k_citext")->mtime_column, SIZE_MAX);
	settings.mtime = NULL;
}
END_TEST

/* What is wrong with the configuration is said once, however often the catalog is read. */
START_TEST(test_remarks_once)
{
	int fd = memfd_create("log", MFD_CLOEXEC);
	char path[32], text[16384] = "";
	char *remark;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ck_assert_int_eq(log_open(path), 0);
	store_close(store);
	store = cluster_store("reader", "load", &settings);
	load();
	load();
	ck_assert_int_gt(pread(fd, text, sizeof(text) - 1, 0), 0);
	remark = strstr(text, "table \"s.v_bad\": key = id, nothing is ignored: there is no column"
	                      " \"nothing\"");
	ck_assert_ptr_nonnull(remark);
	ck_assert_ptr_null(strstr(remark + 20, "s.v_bad\": key = id"));
	ck_assert_ptr_nonnull(strstr(text, "s.v_none is not shown: a view"));
	ck_assert_ptr_nonnull(strstr(text, "s.k_view_none is not shown: a materialised view"));
	ck_assert_ptr_nonnull(
	        strstr(text, "s.g_nokey is not shown: this role may not read its key"));
	ck_assert_ptr_nonnull(strstr(text, "table \"s.k_partial\": mtime = nothing is ignored"));
}
END_TEST

static uint64_t fingerprint(void)
{
	uint64_t value = 0;

	ck_assert_int_eq(store_fingerprint(store, &value, &e), 0);
	return value;
}

static const char *const ddl[] = {
        "CREATE TABLE s.new (id int PRIMARY KEY)",
        "ALTER TABLE s.new ADD COLUMN v text",
        "ALTER TABLE s.new RENAME COLUMN v TO w",
        "ALTER TABLE s.new ALTER COLUMN w TYPE varchar(5)",
        "GRANT SELECT ON s.new TO reader",
        "GRANT UPDATE (w) ON s.new TO reader",
        "REVOKE UPDATE (w) ON s.new FROM reader",
        "ALTER TABLE s.new DROP CONSTRAINT new_pkey",
        "CREATE UNIQUE INDEX ON s.new (id)",
        "ALTER TABLE s.new ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY p ON s.new USING (true)",
        "ALTER TABLE s.new RENAME TO newer",
        "ALTER TABLE s.newer DROP COLUMN w",
        "CREATE SCHEMA another",
        "GRANT USAGE ON SCHEMA another TO reader",
        "GRANT owner TO reader",
        "ALTER ROLE reader BYPASSRLS",
        "DROP TABLE s.newer",
};

START_TEST(test_fingerprint_changes_with_ddl)
{
	uint64_t before;

	load();
	ck_assert_uint_eq(schema->fingerprint, fingerprint());
	for (size_t i = 0; i < sizeof(ddl) / sizeof(*ddl); i++) {
		before = fingerprint();
		cluster_sql("load", "%s", ddl[i]);
		ck_assert_msg(fingerprint() != before, "%s", ddl[i]);
	}
	load();
	ck_assert_uint_eq(schema->fingerprint, fingerprint());
}
END_TEST

/* What goes on all day must not make every mount read the catalog again. */
START_TEST(test_fingerprint_rests)
{
	uint64_t before = fingerprint();

	cluster_sql(
	        "load",
	        "INSERT INTO s.plain (id, name) SELECT i, 'n' FROM generate_series(1, 500) AS i");
	cluster_sql("load", "ANALYZE s.plain");
	ck_assert_uint_eq(fingerprint(), before);
	cluster_sql("load", "DELETE FROM s.plain");
	cluster_sql("load", "VACUUM s.plain");
	ck_assert_uint_eq(fingerprint(), before);
	cluster_hold("load", "CREATE TEMP TABLE t (id int PRIMARY KEY, v text);"
	                     "CREATE TYPE pg_temp.mood AS ENUM ('a')");
	ck_assert_uint_eq(fingerprint(), before);
	cluster_release();
}
END_TEST

START_TEST(test_relation_fingerprint)
{
	uint64_t before = table("plain")->fingerprint, other = table("g_read")->fingerprint;

	load();
	ck_assert_uint_eq(table("plain")->fingerprint, before);
	ck_assert_uint_ne(before, other);
	cluster_sql("load", "ALTER TABLE s.plain RENAME COLUMN d TO dd");
	load();
	ck_assert_uint_ne(table("plain")->fingerprint, before);
	ck_assert_uint_eq(table("g_read")->fingerprint, other);
	cluster_sql("load", "ALTER TABLE s.plain RENAME COLUMN dd TO d");
}
END_TEST

/* Names that mean something to SQL are taken as they are, whatever the search_path says. */
START_TEST(test_search_path_of_the_role_does_not_matter)
{
	cluster_sql("load",
	            "CREATE SCHEMA evil; GRANT USAGE ON SCHEMA evil TO reader;"
	            "CREATE TABLE evil.pg_class (oid int);"
	            "CREATE FUNCTION evil.format_type(oid, int) RETURNS text LANGUAGE sql AS"
	            " 'SELECT ''evil''';"
	            "CREATE FUNCTION evil.eq(int, int) RETURNS bool LANGUAGE sql AS"
	            " 'SELECT false';"
	            "CREATE OPERATOR evil.= (LEFTARG = int, RIGHTARG = int, FUNCTION = evil.eq);"
	            "ALTER ROLE reader SET search_path TO evil, pg_catalog");
	store_close(store);
	store = cluster_store("reader", "load", &settings);
	load();
	ck_assert_str_eq(table("plain")->parts[0].sql_type, "integer");
	cluster_sql("load", "ALTER ROLE reader RESET search_path");
}
END_TEST

/* A thousand tables of twenty columns: a load and a poll stay cheap. */
START_TEST(test_large_catalog)
{
	int64_t start;
	struct buf sql = {0};

	cluster_sql("postgres", "CREATE DATABASE large");
	buf_adds(&sql,
	         "SELECT string_agg(format('CREATE TABLE t%s (id int PRIMARY KEY, ', i) ||"
	         " (SELECT string_agg('c' || j || ' text', ',') FROM generate_series(1, 19) AS j)"
	         " || ')', ';') FROM generate_series(1, 1000) AS i");
	cluster_sql("large", "DO $$BEGIN EXECUTE (%s); END$$", sql.data);
	cluster_sql("large", "ANALYZE");
	buf_done(&sql);
	store_close(store);
	store = cluster_store("postgres", "large", &settings);
	start = clock_monotonic_us();
	load();
	fprintf(stderr, "catalog of 1,000 tables: %lld ms\n",
	        (long long)(clock_monotonic_us() - start) / 1000);
	ck_assert_int_lt(clock_monotonic_us() - start, 5000000);
	ck_assert_uint_eq(schema_space(schema, "public")->n_relations, 1000);
	start = clock_monotonic_us();
	ck_assert_uint_eq(schema->fingerprint, fingerprint());
	fprintf(stderr, "its fingerprint: %lld us\n", (long long)(clock_monotonic_us() - start));
	ck_assert_int_lt(clock_monotonic_us() - start, 500000);
}
END_TEST

#define N(array) ((int)(sizeof(array) / sizeof(*(array))))

static Suite *suite(void)
{
	Suite *s = suite_create("load");
	TCase *c = tcase_create("load");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, test_spaces);
	tcase_add_test(c, test_only_one_space);
	tcase_add_test(c, test_columns);
	tcase_add_loop_test(c, test_keys, 0, N(keys));
	tcase_add_loop_test(c, test_without_key, 0, N(keyless));
	tcase_add_loop_test(c, test_not_shown, 0, N(not_shown));
	tcase_add_test(c, test_grants);
	tcase_add_test(c, test_names_by_search_path);
	tcase_add_test(c, test_row_security_does_not_bind_the_superuser);
	tcase_add_test(c, test_views);
	tcase_add_test(c, test_xmin_of_partitions);
	tcase_add_loop_test(c, test_types, 0, N(types));
	tcase_add_test(c, test_mtime);
	tcase_add_test(c, test_remarks_once);
	tcase_add_test(c, test_fingerprint_rests);
	tcase_add_test(c, test_relation_fingerprint);
	tcase_add_test(c, test_search_path_of_the_role_does_not_matter);
	tcase_add_test(c, test_fingerprint_changes_with_ddl);
	tcase_add_test(c, test_large_catalog);
	tcase_set_timeout(c, 120);
	suite_add_tcase(s, c);
	return s;
}

int main(void)
{
	int r = cluster_begin();

	if (r != 0 || log_open("/dev/null") < 0)
		return 0;
	cluster_file("load", LOAD_SQL);
	r = suite_run(suite());
	cluster_end();
	return r;
}
