/* Saves of real rows: with their base, under their key, from one key to another. */
#include "rows.h"

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
	        statement_patch(relation, &cells, base->cells.at, &patch, edit.present, NULL, &statement),
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

static const struct {
	const char *column, *theirs, *ours;
	bool conflict;
} spelled[] = {
        {"ci", "ABC", "x", true},        {"loose", "ABC", "x", true}, {"iv", "30 days", "1 day", true},
        {"cis", "{ABC}", "{x}", true}, {"c", "a ", "x", false},     {"n", "1.00", "2", false},
};

/* The type calls equal what others have written in the place of what was read; the row's text does not. */
START_TEST(test_another_spelling_is_a_change)
{
	const struct relation *relation = table("spelled");
	struct rows before = {0};

	read_row(relation, "1", &before);
	cluster_sql("rows", "UPDATE k.spelled SET %s = '%s'", spelled[_i].column, spelled[_i].theirs);
	ck_assert_int_eq(patch(relation, "1", &before.at[0], spelled[_i].column, spelled[_i].ours), 0);
	ck_assert_int_eq(out.len == 0, spelled[_i].conflict);
	rows_done(&before);
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

/* Only what is of this transaction (NULL: of any). */
static int remove_of(const struct relation *relation, const char *key, const char *xid)
{
	struct cell cell = cell_of(key);
	const struct cells cells = {1, &cell};
	struct statement statement = {0};

	ck_assert_int_eq(statement_delete(relation, &cells, xid, &statement), 0);
	return run(STORE_WRITE, &statement);
}

static int remove_row(const struct relation *relation, const char *key)
{
	return remove_of(relation, key, NULL);
}

/* Also of a partitioned table, whose RETURNING has no xmin. */
START_TEST(test_delete_of_a_transaction)
{
	const struct relation *relation = table(_i ? "partitioned" : "serial");
	struct edit edit = {0};
	struct rows before = {0};
	char xid[16];

	set(&edit, relation, "v", "named");
	ck_assert_int_eq(insert(relation, "2000", &edit), 0);
	read_row(relation, "2000", &before);
	snprintf(xid, sizeof(xid), "%u", before.at[0].xid + 1);
	ck_assert_int_eq(remove_of(relation, "2000", xid), 0);
	ck_assert_str_eq(out.data, "");
	snprintf(xid, sizeof(xid), "%u", before.at[0].xid);
	ck_assert_int_eq(remove_of(relation, "2000", xid), 0);
	ck_assert_str_ne(out.data, "");
	rows_done(&before);
}
END_TEST

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

int main(void)
{
	Suite *s = suite_create("saves");
	TCase *saves = tcase_create("saves"), *moves = tcase_create("moves");

	tcase_add_checked_fixture(saves, setup, teardown);
	tcase_add_loop_test(saves, test_patch, 0, N(edits));
	tcase_add_loop_test(saves, test_another_spelling_is_a_change, 0, N(spelled));
	tcase_add_test(saves, test_composite_of_nulls_is_not_null);
	tcase_add_test(saves, test_edits_of_different_columns_merge);
	tcase_add_loop_test(saves, test_insert, 0, N(insertable));
	tcase_add_test(saves, test_insert_without_columns);
	tcase_add_test(saves, test_insert_tells_the_stored_key);
	tcase_set_timeout(saves, 60);
	suite_add_tcase(s, saves);

	tcase_add_checked_fixture(moves, fill_moved, teardown);
	tcase_add_test(moves, test_delete);
	tcase_add_loop_test(moves, test_delete_of_a_transaction, 0, 2);
	tcase_add_test(moves, test_no_statement_changes_two_rows);
	tcase_add_test(moves, test_rekey);
	tcase_add_test(moves, test_replace);
	tcase_add_test(moves, test_replace_wants_both_rows);
	tcase_add_test(moves, test_replace_that_a_trigger_swallows_keeps_the_source);
	tcase_add_test(moves, test_replace_of_nothing_but_a_key);
	tcase_set_timeout(moves, 60);
	suite_add_tcase(s, moves);
	return rows_run(s);
}
