#include "rowfs/model/row.h"

#include <errno.h>
#include <string.h>

#include "sample.h"
#include "suite.h"

static struct column columns[] = {SAMPLE_COLUMN("id", int4), SAMPLE_COLUMN("name", text)};
static struct key_part parts[2];

START_TEST(copies_own_their_bytes)
{
	char name[] = "n";
	struct cell from[] = {cell_of("1"), cell_of(NULL), cell_of(""), cell_of(name)};
	_cleanup_cells_ struct cells cells = {0};

	ck_assert_int_eq(cells_copy(from, 4, &cells), 0);
	name[0] = 'X';
	ck_assert_str_eq(cells.at[0].data, "1");
	ck_assert_ptr_null(cells.at[1].data);
	ck_assert_str_eq(cells.at[2].data, "");
	ck_assert_str_eq(cells.at[3].data, "n");
	ck_assert(!cell_equal(cells.at[1], cells.at[2]));
	ck_assert(cell_equal(cells.at[1], cell_of(NULL)));
	ck_assert(!cell_equal(cells.at[0], cell_of("12")));
}
END_TEST

START_TEST(cells_compare_one_by_one)
{
	struct cell a[] = {cell_of("1"), cell_of("2")}, b[] = {cell_of("1"), cell_of("3")};

	ck_assert(cells_equal(&(struct cells){2, a}, &(struct cells){2, a}));
	ck_assert(!cells_equal(&(struct cells){2, a}, &(struct cells){1, a}));
	ck_assert(!cells_equal(&(struct cells){2, a}, &(struct cells){2, b}));
}
END_TEST

static int view(const char *xid, const char *mtime, struct row_view *ret)
{
	static struct cell line[ROW_HEAD + 2];
	struct relation relation = sample_relation(columns, 2, parts, 1);

	line[ROW_XID] = cell_of(xid);
	line[ROW_MTIME] = cell_of(mtime);
	line[ROW_CTID] = cell_of("(0,1)");
	line[ROW_TABLEOID] = cell_of("16400");
	line[ROW_HEAD] = cell_of("42");
	line[ROW_HEAD + 1] = cell_of("x");
	return row_view(&relation, line, ROW_HEAD + 2, ret);
}

static void check_mtime(const char *xid, const char *mtime, time_t seconds, long nanoseconds)
{
	struct row_view v;

	ck_assert_int_eq(view(xid, mtime, &v), 0);
	ck_assert(v.has_mtime);
	ck_assert_int_eq(v.mtime.tv_sec, seconds);
	ck_assert_int_eq(v.mtime.tv_nsec, nanoseconds);
}

START_TEST(mtime_comes_from_the_line_or_from_xmin)
{
	struct row_view v;

	check_mtime("7", "1700000000.25", 1700000000, 250000000);
	check_mtime("7", "1700000000.123456", 1700000000, 123456000);
	check_mtime("7", "1700000000", 1700000000, 0);
	check_mtime("7", "-0.5", -1, 500000000);
	check_mtime("7", "-10.25", -11, 750000000);
	check_mtime("7", NULL, 315532807, 0);
	check_mtime("7", "Infinity", 315532807, 0);
	check_mtime("7", "99999999999999999999", 315532807, 0);
	check_mtime("4294967295", NULL, 315532800 + (1 << 30) - 1, 0);
	ck_assert_int_eq(view(NULL, NULL, &v), 0);
	ck_assert(!v.has_mtime);
	ck_assert_uint_eq(v.xid, 0);
}
END_TEST

START_TEST(lines_of_another_shape_are_refused)
{
	struct relation relation = sample_relation(columns, 2, parts, 1);
	struct cell line[ROW_HEAD + 3] = {{0}};
	struct row_view v;

	ck_assert_int_eq(row_view(&relation, line, ROW_HEAD + 3, &v), -EPROTO);
	ck_assert_int_eq(row_view(&relation, line, ROW_HEAD + 1, &v), -EPROTO);
	ck_assert_int_eq(view("-1", NULL, &v), -EPROTO);
	ck_assert_int_eq(view("4294967296", NULL, &v), -EPROTO);
	ck_assert_int_eq(view("x", NULL, &v), -EPROTO);
}
END_TEST

START_TEST(key_is_taken_in_key_order)
{
	struct relation relation = sample_relation(columns, 2, parts, 2);
	struct cell key[2];
	struct row_view v;

	ck_assert_int_eq(view("9", NULL, &v), 0);
	parts[0].column = 1;
	parts[1].column = 0;
	row_view_key(&relation, &v, key);
	ck_assert_str_eq(key[0].data, "x");
	ck_assert_str_eq(key[1].data, "42");
	relation.key_kind = KEY_TABLEOID_CTID;
	row_view_key(&relation, &v, key);
	ck_assert_str_eq(key[0].data, "16400");
	ck_assert_str_eq(key[1].data, "(0,1)");
	relation.key_kind = KEY_CTID;
	row_view_key(&relation, &v, key);
	ck_assert_str_eq(key[0].data, "(0,1)");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("row");
	TCase *cells = tcase_create("row");

	tcase_add_test(cells, copies_own_their_bytes);
	tcase_add_test(cells, cells_compare_one_by_one);
	tcase_add_test(cells, mtime_comes_from_the_line_or_from_xmin);
	tcase_add_test(cells, lines_of_another_shape_are_refused);
	tcase_add_test(cells, key_is_taken_in_key_order);
	suite_add_tcase(suite, cells);
	return suite_run(suite);
}
