/* Statements against real tables: keys of every type, pages in key order, saves with their base. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../unit/suite.h"
#include "cluster.h"
#include "rowfs/base/buf.h"
#include "rowfs/model/name.h"

static struct store *store;
static struct schema *schema;
static struct buf out;
static struct error e;
static struct settings settings;
static struct table_settings views[] = {
        {(char *)"k.people", (char *)"id", NULL},
        {(char *)"k.triggered", (char *)"id", NULL},
        {(char *)"k.crowd", (char *)"k", NULL},
};

static const struct relation *table(const char *name)
{
	const struct space *space = schema_space(schema, "k");
	const struct relation *relation = space ? space_relation(space, name) : NULL;

	ck_assert_msg(relation != NULL, "no table %s", name);
	return relation;
}

static void setup(void)
{
	settings.tables = views;
	settings.n_tables = 3;
	store = cluster_store("postgres", "rows", &settings);
	ck_assert_int_eq(store_load_schema(store, &schema, &e), 0);
}

static void teardown(void)
{
	schema_unref(schema);
	store_close(store);
	buf_done(&out);
}

static int run(enum store_set set, struct statement *statement)
{
	int r = cluster_run(store, set, statement, &out, &e);

	statement_done(statement);
	return r;
}

struct row {
	struct cells cells, key;
	uint32_t xid;
	bool has_mtime;
	struct timespec mtime;
};

static int row_copy(const struct relation *relation, const struct row_view *view, struct row *ret)
{
	struct cell key[KEY_PARTS_MAX];

	row_view_key(relation, view, key);
	ck_assert_int_eq(cells_copy(view->cells, relation->n_columns, &ret->cells), 0);
	ck_assert_int_eq(cells_copy(key, relation_key_len(relation), &ret->key), 0);
	ret->xid = view->xid;
	ret->has_mtime = view->has_mtime;
	ret->mtime = view->mtime;
	return 0;
}

static void row_done(struct row *row)
{
	cells_done(&row->cells);
	cells_done(&row->key);
}

/* The rows of a result, copied. */
struct rows {
	const struct relation *relation;
	struct row at[64];
	size_t n;
};

static int take_row(void *arg, const struct cell *cells, size_t n)
{
	struct rows *rows = arg;
	struct row_view view;

	ck_assert_uint_eq(n, ROW_HEAD + rows->relation->n_columns);
	ck_assert_int_eq(row_view(rows->relation, cells, n, &view), 0);
	return row_copy(rows->relation, &view, &rows->at[rows->n++]);
}

static void rows_done(struct rows *rows)
{
	for (size_t i = 0; i < rows->n; i++)
		row_done(&rows->at[i]);
	rows->n = 0;
}

static void fetch(const struct relation *relation, struct statement *statement, struct rows *ret)
{
	ret->relation = relation;
	ret->n = 0;
	ck_assert_msg(store_run(store, STORE_READ, statement, take_row, ret, &e) == 0,
	              "%s\n%s", statement->sql, e.message);
	statement_done(statement);
}

/* Every row, by pages of `limit`. */
static void list(const struct relation *relation, unsigned limit, struct rows *ret)
{
	struct cells after = {0};
	size_t n;

	ret->n = 0;
	do {
		struct rows page = {0};
		struct statement statement = {0};

		ck_assert_int_eq(
		        statement_page(schema, relation, ret->n ? &after : NULL, limit, &statement),
		        0);
		fetch(relation, &statement, &page);
		n = page.n;
		ck_assert_uint_le(n, limit);
		for (size_t i = 0; i < n; i++)
			ret->at[ret->n++] = page.at[i];
		if (n > 0)
			after = ret->at[ret->n - 1].key;
	} while (n == limit);
	ret->relation = relation;
}

static void same_row(const struct row *a, const struct rows *found)
{
	ck_assert_uint_eq(found->n, 1);
	ck_assert(cells_equal(&a->cells, &found->at[0].cells));
	ck_assert(cells_equal(&a->key, &found->at[0].key));
	ck_assert_uint_eq(a->xid, found->at[0].xid);
}

static const char *const keyed[] = {
        "int2",          "int4",      "int8",        "text",       "varchar",   "char4",
        "citext",        "bool",      "uuid",        "date",       "timestamp", "tz",
        "numeric",       "numeric62", "float8",      "enum",       "domain",    "domchar",
        "ints",          "texts",     "range",       "multirange", "composite", "bytea",
        "inet",          "cidr",      "bit",         "interval",   "name",      "money",
        "jsonb",         "collated",  "insensitive", "composed",   "mixed",     "deferred",
        "unique",        "pattern",   "partitioned", "nullable",   "nullable2", "people",
        "oddly \"named", "regclass",  "enums",
};

/* Each row is listed once, in the order of its index, and found by its key and by its hash. */
START_TEST(test_keys)
{
	const struct relation *relation = table(keyed[_i]);
	struct rows rows = {0};
	size_t n = (size_t)strtoul(cluster_sql("rows", "SELECT count(*) FROM k.\"%s\"",
	                                       _i == 42 ? "oddly \"\"named" : keyed[_i]),
	                           NULL, 10);

	ck_assert_int_eq(relation->key_kind, KEY_COLUMNS);
	ck_assert_uint_gt(n, 1);
	list(relation, 1, &rows);
	ck_assert_uint_eq(rows.n, n);
	rows_done(&rows);
	list(relation, 100, &rows);
	ck_assert_uint_eq(rows.n, n);
	for (size_t i = 0; i < n; i++) {
		struct statement statement = {0};
		struct rows found = {0};
		char hash[NAME_HASH_HEX + 1];

		ck_assert_int_eq(statement_fetch(schema, relation, &rows.at[i].key, &statement), 0);
		fetch(relation, &statement, &found);
		same_row(&rows.at[i], &found);
		rows_done(&found);

		name_hash(rows.at[i].key.at, rows.at[i].key.n, hash);
		ck_assert_int_eq(statement_fetch_hashed(schema, relation, hash, &statement), 0);
		fetch(relation, &statement, &found);
		same_row(&rows.at[i], &found);
		rows_done(&found);
	}
	rows_done(&rows);
}
END_TEST

/* What is stored prints as it would be printed. */
START_TEST(test_canonical_of_stored)
{
	const struct relation *relation = table(keyed[_i]);
	struct rows rows = {0};

	list(relation, 100, &rows);
	for (size_t i = 0; i < rows.n; i++) {
		struct statement statement = {0};
		struct buf expected = {0};

		for (size_t k = 0; k < rows.at[i].key.n; k++) {
			const char *text = rows.at[i].key.at[k].data;

			buf_addf(&expected, "%s%s", k ? "|" : "", text ? text : "\\N");
		}
		buf_addc(&expected, '\n');
		ck_assert_int_eq(statement_canonical(relation, &rows.at[i].key, &statement), 0);
		ck_assert_int_eq(run(STORE_READ, &statement), 0);
		ck_assert_str_eq(out.data, expected.data);
		buf_done(&expected);
	}
	rows_done(&rows);
}
END_TEST

static const struct {
	const char *table, *key, *canonical;
} spellings[] = {
        {"int4", "042", "42"},
        {"char4", "ab", "ab  "},
        {"numeric62", "1.5", "1.50"},
        {"numeric", "1.50", "1.50"},
        {"date", "2024-2-9", "2024-02-09"},
        {"bool", "true", "t"},
        {"uuid", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
        {"varchar", "toolong", "toolo"},
        {"citext", "ABC", "ABC"},
        {"domain", "-7", "-7"}, /* the domain forbids it, but that is for the INSERT to say */
};

START_TEST(test_canonical)
{
	struct cell key = cell_of(spellings[_i].key);
	const struct cells cells = {1, &key};
	struct statement statement = {0};

	ck_assert_int_eq(statement_canonical(table(spellings[_i].table), &cells, &statement), 0);
	ck_assert_int_eq(run(STORE_READ, &statement), 0);
	out.data[out.len - 1] = '\0';
	ck_assert_str_eq(out.data, spellings[_i].canonical);
}
END_TEST

START_TEST(test_key_that_domain_forbids_is_no_row)
{
	struct cell key = cell_of("-7");
	const struct cells cells = {1, &key};
	struct statement statement = {0};

	ck_assert_int_eq(statement_fetch(schema, table("domain"), &cells, &statement), 0);
	ck_assert_int_eq(run(STORE_READ, &statement), 0);
	ck_assert_str_eq(out.data, "");
}
END_TEST

/* The order of pages is the order of the index, and so does without a sort. */
static const char *const large[] = {"large_int",  "large_text", "large_pair",    "large_citext",
                                    "large_view", "large_heap", "large_collated"};

START_TEST(test_pages_use_the_index)
{
	const struct relation *relation = table(large[_i]);
	const char *middle[][2] = {{"50000"}, {"name 50000"}, {"500", "50"}, {"n500", "50"},
	                           {"50000"}, {"(300,1)"},    {"name 50000"}};
	struct cell key[] = {cell_of(middle[_i][0]), cell_of(middle[_i][1])};
	const struct cells after = {relation_key_len(relation), key};
	struct statement page = {0}, explain = {0};
	struct buf sql = {0};

	ck_assert_int_eq(statement_page(schema, relation, &after, 100, &page), 0);
	buf_addf(&sql, "EXPLAIN (ANALYZE, TIMING off) %s", page.sql);
	explain = page;
	explain.sql = sql.data;
	ck_assert_int_eq(cluster_run(store, STORE_READ, &explain, &out, &e), 0);
	ck_assert_msg(!strstr(out.data, "Sort"), "%s\n%s", page.sql, out.data);
	ck_assert_msg(!strstr(out.data, "Seq Scan"), "%s\n%s", page.sql, out.data);
	ck_assert_msg(strstr(out.data, "Index Cond") || strstr(out.data, "TID Cond"), "%s\n%s",
	              page.sql, out.data);
	/* No more than the page is read. */
	ck_assert_msg(!strstr(out.data, "Rows Removed") || _i == 3, "%s", out.data);
	buf_done(&sql);
	statement_done(&page);
}
END_TEST

START_TEST(test_first_page_of_nullable_key_uses_the_index)
{
	struct statement page = {0}, explain;
	struct buf sql = {0};

	ck_assert_int_eq(statement_page(schema, table("large_view"), NULL, 100, &page), 0);
	buf_addf(&sql, "EXPLAIN %s", page.sql);
	explain = page;
	explain.sql = sql.data;
	ck_assert_int_eq(cluster_run(store, STORE_READ, &explain, &out, &e), 0);
	ck_assert_msg(!strstr(out.data, "Sort") && !strstr(out.data, "Seq Scan"), "%s", out.data);
	buf_done(&sql);
	statement_done(&page);
}
END_TEST

START_TEST(test_heap_and_partitions_without_key)
{
	static const char *const names[] = {"large_heap_few", "partitioned_heap"};

	for (size_t i = 0; i < 2; i++) {
		struct rows one = {0}, all = {0};

		list(table(names[i]), 1, &one);
		list(table(names[i]), 100, &all);
		ck_assert_uint_eq(one.n, 6);
		ck_assert_uint_eq(all.n, 6);
		for (size_t k = 0; k < 6; k++) {
			struct statement statement = {0};
			struct rows found = {0};

			ck_assert(cells_equal(&one.at[k].key, &all.at[k].key));
			ck_assert_int_eq(
			        statement_fetch(schema, one.relation, &one.at[k].key, &statement),
			        0);
			fetch(one.relation, &statement, &found);
			same_row(&one.at[k], &found);
			rows_done(&found);
		}
		rows_done(&one);
		rows_done(&all);
	}
}
END_TEST

/* ---- saves ---- */

/* The row `key` of a table with one key column, as this mount last saw it. */
static void read_row(const struct relation *relation, const char *key, struct rows *ret)
{
	struct cell cell = cell_of(key);
	const struct cells cells = {1, &cell};
	struct statement statement = {0};

	ck_assert_int_eq(statement_fetch(schema, relation, &cells, &statement), 0);
	fetch(relation, &statement, ret);
	ck_assert_uint_eq(ret->n, 1);
}

struct edit {
	struct cell cells[16];
	bool present[16];
};

static struct patch patch_of(struct edit *edit)
{
	return (struct patch){.cells = edit->cells, .present = edit->present};
}

static void set(struct edit *edit, const struct relation *relation, const char *column,
                const char *value)
{
	size_t i = relation_column(relation, column, strlen(column));

	ck_assert_uint_lt(i, 16);
	edit->cells[i] = cell_of(value);
	edit->present[i] = true;
}

/* Save one column from a base; the outcome of store_run, lines in `out`. */
static int patch(const struct relation *relation, const char *key, const struct row *base,
                 const char *column, const char *value)
{
	struct cell cell = cell_of(key);
	const struct cells cells = {1, &cell};
	struct edit edit = {0};
	struct statement statement = {0};

	set(&edit, relation, column, value);

	const struct patch patch = patch_of(&edit);

	ck_assert_int_eq(
	        statement_patch(relation, &cells, base->cells.at, &patch, edit.present, &statement),
	        0);
	return run(STORE_WRITE, &statement);
}

/* Column by column: the base row, a new value. */
static const struct {
	const char *column, *value;
} edits[] = {
        {"i", "7"},    {"t", "new"},   {"c", "xy"},           {"b", "t"},
        {"f", "NaN"},  {"n", "1.250"}, {"j", "{\"b\": 2}"},   {"jb", "{\"b\": 2}"},
        {"x", "<b/>"}, {"p", "(3,4)"}, {"comp", "(2,z)"},     {"ps", "{\"(1,2)\"}"},
        {"e", "sad"},  {"d", "9"},     {"cs", "{\"(5,y)\"}"},
};

/* Saved over what was read, then refused over what is no more, for a value and for NULL. */
START_TEST(test_patch)
{
	const struct relation *relation = table("edited");
	const char *column = edits[_i].column;

	for (int null = 0; null < 2; null++) {
		const char *key = null ? "2" : "1"; /* row 2 is all NULL */
		struct rows before = {0}, after = {0};

		read_row(relation, key, &before);
		ck_assert_int_eq(patch(relation, key, &before.at[0], column, edits[_i].value), 0);
		read_row(relation, key, &after);
		out.data[out.len - 1] = '\0';
		ck_assert_uint_eq(strtoul(out.data, NULL, 10), after.at[0].xid);
		ck_assert_uint_ne(before.at[0].xid, after.at[0].xid);

		ck_assert_int_eq(patch(relation, key, &before.at[0], column, edits[_i].value), 0);
		ck_assert_str_eq(out.data, ""); /* the base is gone */

		ck_assert_int_eq(patch(relation, key, &after.at[0], column, NULL), 0);
		ck_assert_str_ne(out.data, "");
		rows_done(&after);
		read_row(relation, key, &after);
		ck_assert_ptr_null(
		        after.at[0]
		                .cells.at[relation_column(relation, column, strlen(column))]
		                .data);
		rows_done(&before);
		rows_done(&after);
	}
}
END_TEST

START_TEST(test_composite_of_nulls_is_not_null)
{
	const struct relation *relation = table("edited");
	struct rows before = {0};

	cluster_sql("rows", "UPDATE k.edited SET comp = NULL WHERE id = 4");
	read_row(relation, "4", &before);
	cluster_sql("rows", "UPDATE k.edited SET comp = ROW(NULL, NULL) WHERE id = 4");
	ck_assert_int_eq(patch(relation, "4", &before.at[0], "comp", "(1,a)"), 0);
	ck_assert_str_eq(out.data, "");
	rows_done(&before);
}
END_TEST

START_TEST(test_edits_of_different_columns_merge)
{
	const struct relation *relation = table("edited");
	struct rows before = {0};

	read_row(relation, "3", &before);
	ck_assert_int_eq(patch(relation, "3", &before.at[0], "i", "100"), 0);
	ck_assert_int_eq(patch(relation, "3", &before.at[0], "t", "hundred"), 0);
	ck_assert_str_ne(out.data, "");
	ck_assert_str_eq(cluster_sql("rows", "SELECT (i, t) FROM k.edited WHERE id = 3"),
	                 "(100,hundred)");
	rows_done(&before);
}
END_TEST

static int insert(const struct relation *relation, const char *key, struct edit *edit)
{
	struct cell cell = cell_of(key);
	const struct cells cells = {1, &cell};
	const struct patch patch = patch_of(edit);
	struct statement statement = {0};

	ck_assert_int_eq(statement_insert(relation, key ? &cells : NULL, &patch, &statement), 0);
	return run(STORE_WRITE, &statement);
}

/* The key that an insert gave, after its transaction id. */
static const char *inserted_key(void)
{
	out.data[out.len - 1] = '\0';
	return strchr(out.data, '|') + 1;
}

static const char *const insertable[] = {"identity",  "serial",      "people",
                                         "triggered", "partitioned", "ranged_id"};

START_TEST(test_insert)
{
	const struct relation *relation = table(insertable[_i]);
	struct edit edit = {0};

	set(&edit, relation, "v", "named");
	ck_assert_int_eq(insert(relation, "1000", &edit), 0);
	ck_assert_str_eq(inserted_key(), "1000");
	ck_assert_int_eq(insert(relation, "1000", &edit), _i == 3 ? 0 : -EEXIST);
	if (_i == 4)
		return; /* no default */
	ck_assert_int_eq(insert(relation, NULL, &edit), 0);
	ck_assert_str_ne(inserted_key(), "1000");
}
END_TEST

START_TEST(test_insert_without_columns)
{
	ck_assert_int_eq(insert(table("identity"), NULL, &(struct edit){0}), 0);
	ck_assert_str_ne(inserted_key(), "");
}
END_TEST

START_TEST(test_insert_tells_the_stored_key)
{
	ck_assert_int_eq(insert(table("char4"), "zz", &(struct edit){0}), 0);
	ck_assert_str_eq(inserted_key(), "zz  ");
}
END_TEST

static int remove_row(const struct relation *relation, const char *key)
{
	struct cell cell = cell_of(key);
	const struct cells cells = {1, &cell};
	struct statement statement = {0};

	ck_assert_int_eq(statement_delete(relation, &cells, &statement), 0);
	return run(STORE_WRITE, &statement);
}

START_TEST(test_delete)
{
	ck_assert_int_eq(remove_row(table("moved"), "1"), 0);
	ck_assert_str_ne(out.data, "");
	ck_assert_int_eq(remove_row(table("moved"), "1"), 0);
	ck_assert_str_eq(out.data, "");
	ck_assert_str_eq(cluster_sql("rows", "SELECT count(*) FROM k.moved"), "4");
	ck_assert_int_eq(remove_row(table("people"), "2"), 0);
	ck_assert_str_eq(out.data, "\\N\n");
}
END_TEST

static int move(const struct relation *relation, const char *from, const char *to, bool replace)
{
	struct cell cells[] = {cell_of(from), cell_of(to)};
	const struct cells a = {1, &cells[0]}, b = {1, &cells[1]};
	struct statement statement = {0};

	if (replace)
		ck_assert_int_eq(statement_replace(relation, &a, &b, &statement), 0);
	else
		ck_assert_int_eq(statement_rekey(relation, &a, &b, &statement), 0);
	return run(STORE_WRITE, &statement);
}

/* What the configuration calls a key may be several rows'. */
START_TEST(test_no_statement_changes_two_rows)
{
	const struct relation *relation = table("crowd");
	struct cell base[3] = {cell_of("1"), cell_of("1"), cell_of("a")};
	const struct row row = {.cells = {3, base}};

	ck_assert_int_eq(remove_row(relation, "1"), 0);
	ck_assert_str_eq(out.data, "");
	ck_assert_int_eq(patch(relation, "1", &row, "v", "z"), 0);
	ck_assert_str_eq(out.data, "");
	base[2] = cell_of("c");
	ck_assert_int_eq(patch(relation, "2", &row, "v", "z"), 0);
	ck_assert_str_ne(out.data, "");
	ck_assert_int_eq(remove_row(relation, "3"), 0);
	ck_assert_str_ne(out.data, "");
	ck_assert_str_eq(
	        cluster_sql("rows", "SELECT string_agg(v, ',' ORDER BY id) FROM k.crowded"),
	        "a,z,b");
}
END_TEST

START_TEST(test_rekey)
{
	ck_assert_int_eq(move(table("moved"), "1", "10", false), 0);
	ck_assert_str_ne(out.data, "");
	ck_assert_int_eq(move(table("moved"), "1", "11", false), 0);
	ck_assert_str_eq(out.data, "");
	ck_assert_int_eq(move(table("moved"), "10", "2", false), -EEXIST);
	ck_assert_str_eq(e.sqlstate, "23505");
	ck_assert_str_eq(cluster_sql("rows", "SELECT string_agg(id::text, ',' ORDER BY id)"
	                                     " FROM k.moved"),
	                 "2,3,4,5,10");
}
END_TEST

/* Also where another column is unique, and with a column that can be no row's but its own. */
START_TEST(test_replace)
{
	ck_assert_int_eq(move(table("moved"), "1", "2", true), 0);
	out.data[out.len - 1] = '\0';
	ck_assert_str_eq(out.data, cluster_sql("rows", "SELECT xmin FROM k.moved WHERE id = 2"));
	ck_assert_str_eq(cluster_sql("rows", "SELECT string_agg((id, mail, doubled, c2)::text, ' '"
	                                     " ORDER BY id) FROM k.moved"),
	                 "(2,m1,2,two) (3,m3,6,two) (4,m4,8,two) (5,m5,10,two)");
}
END_TEST

START_TEST(test_replace_wants_both_rows)
{
	ck_assert_int_eq(move(table("moved"), "1", "20", true), 0);
	ck_assert_str_eq(out.data, "");
	ck_assert_int_eq(move(table("moved"), "20", "1", true), 0);
	ck_assert_str_eq(out.data, "");
	ck_assert_str_eq(cluster_sql("rows", "SELECT count(*) FROM k.moved"), "5");
}
END_TEST

START_TEST(test_replace_that_a_trigger_swallows_keeps_the_source)
{
	cluster_sql("rows", "CREATE TRIGGER swallow BEFORE UPDATE ON k.moved FOR EACH ROW"
	                    " EXECUTE FUNCTION k.swallow()");
	ck_assert_int_lt(move(table("moved"), "1", "2", true), 0);
	ck_assert_ptr_nonnull(strstr(e.message, "trigger"));
	cluster_sql("rows", "DROP TRIGGER swallow ON k.moved");
	ck_assert_str_eq(cluster_sql("rows", "SELECT count(*) FROM k.moved"), "5");
}
END_TEST

START_TEST(test_replace_of_nothing_but_a_key)
{
	cluster_sql("rows", "TRUNCATE k.int4; INSERT INTO k.int4 VALUES (1), (2)");
	ck_assert_int_eq(move(table("int4"), "1", "2", true), 0);
	ck_assert_str_eq(cluster_sql("rows", "SELECT string_agg(k::text, ',') FROM k.int4"), "2");
	cluster_sql("rows", "INSERT INTO k.int4 VALUES (-1), (0), (1)");
}
END_TEST

static void fill_moved(void)
{
	setup();
	cluster_sql("rows", "TRUNCATE k.moved; INSERT INTO k.moved (id, mail, n)"
	                    " SELECT i, 'm' || i, i FROM generate_series(1, 5) AS i");
}

/* ---- time ---- */

static void check_derived(const struct row *row)
{
	ck_assert(row->has_mtime);
	ck_assert_int_eq(row->mtime.tv_sec, row_mtime_derived(row->xid).tv_sec);
	ck_assert_int_eq(row->mtime.tv_nsec, 0);
}

static void load_with_mtime(const char *column)
{
	settings.mtime = (char *)column;
	schema_unref(schema);
	ck_assert_int_eq(store_load_schema(store, &schema, &e), 0);
}

START_TEST(test_mtime_column)
{
	struct rows rows = {0};

	load_with_mtime("at");
	list(table("timed"), 100, &rows);
	ck_assert_uint_eq(rows.n, 5);
	ck_assert_int_eq(rows.at[0].mtime.tv_sec, 1700000000);
	ck_assert_int_eq(rows.at[0].mtime.tv_nsec, 123456000);
	check_derived(&rows.at[1]); /* infinity */
	check_derived(&rows.at[2]); /* ahead of time */
	ck_assert_int_eq(rows.at[3].mtime.tv_sec, 0); /* before 1970 */
	check_derived(&rows.at[4]);
	rows_done(&rows);
	for (int i = 0; i < 2; i++) {
		list(table(i ? "timed_date" : "timed_number"), 100, &rows);
		ck_assert_int_eq(rows.at[0].mtime.tv_sec, 1700006400);
		rows_done(&rows);
	}
	settings.mtime = NULL;
}
END_TEST

/* It was the clock's time: another at every look, so that idle backups copied the row each time. */
START_TEST(test_a_time_to_come_does_not_move)
{
	static const char *const tables[] = {"timed", "timed_ahead", "timed_ahead_float"};
	struct rows first = {0}, second = {0};

	load_with_mtime("at");
	for (int i = 0; i < 3; i++) {
		list(table(tables[i]), 100, &first);
		nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
		list(table(tables[i]), 100, &second);
		ck_assert_uint_gt(first.n, 0);
		ck_assert_uint_eq(first.n, second.n);
		for (size_t row = 0; row < first.n; row++) {
			ck_assert_int_eq(first.at[row].mtime.tv_sec, second.at[row].mtime.tv_sec);
			ck_assert_int_eq(first.at[row].mtime.tv_nsec, second.at[row].mtime.tv_nsec);
		}
		if (i > 0)
			check_derived(&first.at[0]);
		rows_done(&first);
		rows_done(&second);
	}
	settings.mtime = NULL;
}
END_TEST

/* ---- */

#define N(array) ((int)(sizeof(array) / sizeof(*(array))))

static Suite *suite(void)
{
	Suite *s = suite_create("rows");
	TCase *keys = tcase_create("keys"), *saves = tcase_create("saves"),
	      *moves = tcase_create("moves");

	tcase_add_checked_fixture(keys, setup, teardown);
	tcase_add_loop_test(keys, test_keys, 0, N(keyed));
	tcase_add_loop_test(keys, test_canonical_of_stored, 0, N(keyed));
	tcase_add_loop_test(keys, test_canonical, 0, N(spellings));
	tcase_add_test(keys, test_key_that_domain_forbids_is_no_row);
	tcase_add_loop_test(keys, test_pages_use_the_index, 0, N(large));
	tcase_add_test(keys, test_first_page_of_nullable_key_uses_the_index);
	tcase_add_test(keys, test_heap_and_partitions_without_key);
	tcase_add_test(keys, test_mtime_column);
	tcase_add_test(keys, test_a_time_to_come_does_not_move);
	tcase_set_timeout(keys, 60);
	suite_add_tcase(s, keys);

	tcase_add_checked_fixture(saves, setup, teardown);
	tcase_add_loop_test(saves, test_patch, 0, N(edits));
	tcase_add_test(saves, test_composite_of_nulls_is_not_null);
	tcase_add_test(saves, test_edits_of_different_columns_merge);
	tcase_add_loop_test(saves, test_insert, 0, N(insertable));
	tcase_add_test(saves, test_insert_without_columns);
	tcase_add_test(saves, test_insert_tells_the_stored_key);
	tcase_set_timeout(saves, 60);
	suite_add_tcase(s, saves);

	tcase_add_checked_fixture(moves, fill_moved, teardown);
	tcase_add_test(moves, test_delete);
	tcase_add_test(moves, test_no_statement_changes_two_rows);
	tcase_add_test(moves, test_rekey);
	tcase_add_test(moves, test_replace);
	tcase_add_test(moves, test_replace_wants_both_rows);
	tcase_add_test(moves, test_replace_that_a_trigger_swallows_keeps_the_source);
	tcase_add_test(moves, test_replace_of_nothing_but_a_key);
	tcase_set_timeout(moves, 60);
	suite_add_tcase(s, moves);
	return s;
}

int main(void)
{
	int r = cluster_begin();

	if (r != 0)
		return 0;
	cluster_file("rows", ROWS_SQL);
	r = suite_run(suite());
	cluster_end();
	return r;
}
