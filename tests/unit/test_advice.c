#include "rowfs/model/advice.h"

#include <string.h>

#include "rowfs/model/placement.h"
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

static struct advice_facts facts;

static void begin(void)
{
	facts = (struct advice_facts){.rows = rows, .n_rows = ROWS, .row_bytes = 500, .pinnable = true, .key = "id"};
}

/* `acts`: may somebody act on it? What is proposed must be a rule, as it is written. */
static void check(uint64_t more, bool acts, const char *want_rule, const char *want_because)
{
	_cleanup_placement_ struct placement placement = {0};
	_cleanup_buf_ struct buf rule = {0}, because = {0};
	uint64_t total = more;
	struct skew skew;
	struct error e = {0};

	for (int i = 0; i < ROWS; i++)
		total += counts[i];
	skew_fit(counts, ROWS, total, &skew);
	facts.skew = &skew;
	ck_assert_int_eq(advise(&facts, &rule, &because), acts);
	ck_assert_str_eq(rule.data, want_rule);
	ck_assert_msg(strstr(because.data, want_because) != NULL, "%s", because.data);
	ck_assert_msg(placement_parse(rule.data, &placement, &e) == 0, "%s", e.message);
	buf_reset(&because);
	placement_print(&placement, &because);
	ck_assert_str_eq(because.data, want_rule);
}

START_TEST(few_rows_with_most_of_the_reads_come_in_by_themselves)
{
	make_rows(5000, 1, anywhere);
	check(0, true, "place=lazy", "rows serve 80 % of the reads");
}
END_TEST

START_TEST(what_may_not_be_there_is_off)
{
	make_rows(5000, 1, anywhere);
	facts.bar = "row security";
	facts.barred_everywhere = true;
	check(0, true, "place=off", "may not be in Redis anyway: row security");
}
END_TEST

START_TEST(what_only_this_mount_keeps_out_is_left_to_the_others)
{
	make_rows(5000, 1, anywhere);
	facts.bar = "consistency=strong";
	check(0, false, "place=lazy", "this mount cannot tell, since it keeps its rows out of Redis: consistency=strong");
}
END_TEST

START_TEST(few_reads_say_nothing)
{
	make_rows(1, 0, anywhere);
	check(0, false, "place=lazy", "too few");
}
END_TEST

START_TEST(what_is_read_once_is_off)
{
	make_rows(0, 0, anywhere);
	check(9000, true, "place=off", "come back");
}
END_TEST

START_TEST(the_newest_rows_are_a_range)
{
	make_rows(50, 0, newest);
	check(0, true, "hot=\"id\" >= 90018", "highest tenth");
	facts.key = "or\"der";
	check(0, true, "hot=\"or\"\"der\" >= 90018", "highest tenth");
}
END_TEST

START_TEST(what_is_read_evenly_is_taken_whole_or_in_part)
{
	make_rows(50, 0, anywhere);
	check(0, true, "place=lazy", "evenly");
	facts.row_bytes = 1 << 20;
	check(0, true, "hash=1/4", "a fixed quarter");
}
END_TEST

START_TEST(nothing_is_pinned_that_cannot_be)
{
	facts.pinnable = false;
	facts.row_bytes = 1 << 20;
	make_rows(50, 0, anywhere);
	check(0, true, "place=lazy", "evenly");
	make_rows(50, 0, newest);
	check(0, true, "place=lazy", "evenly");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("advice");
	TCase *test = tcase_create("advice");

	tcase_add_checked_fixture(test, begin, NULL);
	tcase_add_test(test, few_rows_with_most_of_the_reads_come_in_by_themselves);
	tcase_add_test(test, what_may_not_be_there_is_off);
	tcase_add_test(test, what_only_this_mount_keeps_out_is_left_to_the_others);
	tcase_add_test(test, few_reads_say_nothing);
	tcase_add_test(test, what_is_read_once_is_off);
	tcase_add_test(test, the_newest_rows_are_a_range);
	tcase_add_test(test, what_is_read_evenly_is_taken_whole_or_in_part);
	tcase_add_test(test, nothing_is_pinned_that_cannot_be);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
