#include "rowfs/model/popularity.h"

#include <string.h>

#include "suite.h"

static struct popularity all;

static void begin(void)
{
	all = (struct popularity){0};
}

static void end(void)
{
	ck_assert(!all.failed);
	popularity_done(&all);
}

static void add_table(uint32_t relation, uint64_t memory, uint64_t redis, uint64_t store, uint64_t lately)
{
	popularity_add_table(&all, &(struct table_reads){relation, {memory, redis, store}, lately, 10 * lately});
}

static void add_row(uint32_t relation, uint64_t count, const char *name)
{
	popularity_add_row(&all, &(struct row_reads){relation, 250, count, (char *)name});
}

static void check_print(const char *want)
{
	_cleanup_buf_ struct buf out = {0};

	popularity_print(&all, &out);
	ck_assert_str_eq(out.data, want);
}

static bool parse(const char *text)
{
	return popularity_parse(&all, text, strlen(text));
}

START_TEST(two_mounts_are_one_sum)
{
	add_table(7, 1, 2, 3, 6);
	add_row(7, 2, "b.json");
	add_row(7, 5, "a b.json");
	add_table(7, 10, 20, 30, 60);
	add_table(5, 100, 0, 0, 100);
	add_row(7, 4, "b.json");
	add_row(5, 1, "b.json");
	popularity_settle(&all);
	check_print("rowfs-hot 1\n"
	            "t 5 100 0 0 100 1000\n"
	            "t 7 11 22 33 66 660\n"
	            "r 5 1 250 b.json\n"
	            "r 7 6 250 b.json\n"
	            "r 7 5 250 a b.json\n");
}
END_TEST

START_TEST(what_is_printed_is_read_again)
{
	static const char text[] = "rowfs-hot 1\nt 7 1 2 3 6 60\nr 7 5 250  a b.json\nr 7 2 250 %C3.json\n";

	ck_assert(parse(text));
	popularity_settle(&all);
	check_print(text);
}
END_TEST

START_TEST(rows_of_a_table_are_found)
{
	size_t n;

	add_row(7, 2, "x.json");
	add_row(7, 3, "y.json");
	add_row(9, 1, "z.json");
	popularity_settle(&all);
	ck_assert_str_eq(popularity_rows(&all, 7, &n)->name, "y.json");
	ck_assert_uint_eq(n, 2);
	ck_assert_str_eq(popularity_rows(&all, 9, &n)->name, "z.json");
	ck_assert_uint_eq(n, 1);
	popularity_rows(&all, 8, &n);
	ck_assert_uint_eq(n, 0);
}
END_TEST

START_TEST(the_most_read_rows_are_kept)
{
	add_row(7, 2, "x.json");
	add_row(7, 3, "y.json");
	add_row(9, 9, "z.json");
	popularity_keep_rows(&all, 2);
	check_print("rowfs-hot 1\nr 9 9 250 z.json\nr 7 3 250 y.json\n");
}
END_TEST

START_TEST(what_is_no_summary_adds_nothing)
{
	static const char *const bad[] = {
	        "", "rowfs-hot 1", "rowfs-hot 2\nt 7 1 2 3 6 60\n", "L:0123\n",
	        "rowfs-hot 1\nt 7 1 2 3 6\n", "rowfs-hot 1\nt 7 1 2 3 6 60 7\n",
	        "rowfs-hot 1\nt 7 1 2 3 6 60\nr 7 5 250 \n", "rowfs-hot 1\nt 7 1 2 3 6 60\nr 7 5 250 ../x\n",
	        "rowfs-hot 1\nr 7 5 250 a\nx\n", "rowfs-hot 1\nr 7 5 250 a", "rowfs-hot 1\n\n",
	        "rowfs-hot 1\nt 7 1 2 3 6 99999999999999999999999\n",
	};
	char name[400];

	add_table(1, 1, 0, 0, 1);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		ck_assert_msg(!parse(bad[i]), "%s", bad[i]);
	snprintf(name, sizeof(name), "rowfs-hot 1\nr 7 5 250 %0300d\n", 1);
	ck_assert(!parse(name));
	ck_assert(!popularity_parse(&all, "rowfs-hot 1\nr 7 5 250 a\0b\n", 26));
	popularity_settle(&all);
	check_print("rowfs-hot 1\nt 1 1 0 0 1 10\n");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("popularity");
	TCase *test = tcase_create("popularity");

	tcase_add_checked_fixture(test, begin, end);
	tcase_add_test(test, two_mounts_are_one_sum);
	tcase_add_test(test, what_is_printed_is_read_again);
	tcase_add_test(test, rows_of_a_table_are_found);
	tcase_add_test(test, the_most_read_rows_are_kept);
	tcase_add_test(test, what_is_no_summary_adds_nothing);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
