#include "rowfs/model/advice.h"

#include <string.h>

#include "suite.h"

enum { ROWS = 200 };

static struct row_reads rows[ROWS];
static uint64_t counts[ROWS];
static char names[ROWS][32];

/* 200 rows, of which row i is read `reads` / (i + 1) times, and has the key that `key` gives it. */
static void make_rows(double reads, double exponent, unsigned (*key)(unsigned i))
{
	for (unsigned i = 0; i < ROWS; i++) {
		double n = reads;

		for (double rest = exponent; rest > 0; rest -= 1)
			n /= i + 1;
		snprintf(names[i], sizeof(names[i]), "%u.json", key(i));
		counts[i] = (uint64_t)n + 1;
		rows[i] = (struct row_reads){7, 250, counts[i], names[i]};
	}
}

static unsigned anywhere(unsigned i)
{
	return i * 7919 % 20011;
}

static unsigned newest(unsigned i)
{
	return i < 180 ? 100000 - i : i;
}

static void check(uint64_t more, double row_bytes, bool cacheable, const char *want_rule, const char *want_because)
{
	_cleanup_buf_ struct buf rule = {0}, because = {0};
	uint64_t total = more;
	struct skew skew;
	struct advice_facts facts = {rows, ROWS, &skew, row_bytes, cacheable, "id"};

	for (int i = 0; i < ROWS; i++)
		total += counts[i];
	skew_fit(counts, ROWS, total, &skew);
	advise(&facts, &rule, &because);
	ck_assert_str_eq(rule.data, want_rule);
	ck_assert_msg(strstr(because.data, want_because) != NULL, "%s", because.data);
}

START_TEST(few_rows_with_most_of_the_reads_come_in_by_themselves)
{
	make_rows(5000, 1, anywhere);
	check(0, 500, true, "place=lazy", "rows serve 80 % of the reads");
}
END_TEST

START_TEST(what_may_not_be_there_is_off)
{
	make_rows(5000, 1, anywhere);
	check(0, 500, false, "place=off", "may not be in Redis");
}
END_TEST

START_TEST(few_reads_say_nothing)
{
	make_rows(1, 0, anywhere);
	check(0, 500, true, "place=lazy", "too few");
}
END_TEST

START_TEST(what_is_read_once_is_off)
{
	make_rows(0, 0, anywhere);
	check(9000, 500, true, "place=off", "come back");
}
END_TEST

START_TEST(the_newest_rows_are_a_range)
{
	make_rows(50, 0, newest);
	check(0, 500, true, "hot=id >= 90018", "highest tenth");
}
END_TEST

START_TEST(what_is_read_evenly_is_taken_whole_or_in_part)
{
	make_rows(50, 0, anywhere);
	check(0, 500, true, "place=lazy", "evenly");
	check(0, 1 << 20, true, "hash=1/4", "a fixed quarter");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("advice");
	TCase *test = tcase_create("advice");

	tcase_add_test(test, few_rows_with_most_of_the_reads_come_in_by_themselves);
	tcase_add_test(test, what_may_not_be_there_is_off);
	tcase_add_test(test, few_reads_say_nothing);
	tcase_add_test(test, what_is_read_once_is_off);
	tcase_add_test(test, the_newest_rows_are_a_range);
	tcase_add_test(test, what_is_read_evenly_is_taken_whole_or_in_part);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
