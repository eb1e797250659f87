#include "rowfs/model/placement.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "suite.h"

static struct error e;

/* Both ways: what `text` says, as it is printed. */
static void check_rule(const char *text, const char *printed)
{
	_cleanup_placement_ struct placement rule = {0}, again = {0};
	_cleanup_buf_ struct buf out = {0}, second = {0};

	ck_assert_msg(placement_parse(text, &rule, &e) == 0, "%s: %s", text, e.message);
	placement_print(&rule, &out);
	ck_assert_str_eq(out.data, printed);
	ck_assert_int_eq(placement_parse(out.data, &again, &e), 0);
	ck_assert(placement_equal(&rule, &again));
	placement_print(&again, &second);
	ck_assert_str_eq(second.data, printed);
}

static void refuse(const char *text, const char *word)
{
	struct placement rule = {.share = 7, .buckets = 9};

	e = (struct error){0};
	ck_assert_int_eq(placement_parse(text, &rule, &e), -EINVAL);
	ck_assert_msg(strstr(e.message, word) != NULL, "%s: %s", text, e.message);
	ck_assert_uint_eq(rule.share, 7); /* untouched */
	ck_assert_uint_eq(rule.buckets, 9);
}

START_TEST(rules_read_and_print)
{
	check_rule("place=lazy", "place=lazy");
	check_rule(" place=off\n", "place=off");
	check_rule("hash=1/4", "hash=1/4");
	check_rule("hash=0004/4", "hash=4/4");
	check_rule("hot=stock > 0", "hot=stock > 0");
	check_rule("place=lazy hash=3/8\thot=a = 'hash=1/2 place=off' -- x", "hash=3/8 hot=a = 'hash=1/2 place=off' -- x");
	check_rule("hot=a\n AND b ", "hot=a\n AND b ");
	check_rule("columns=id", "columns=id");
	check_rule("place=lazy columns=ID,Stock,\"Kind of\"", "columns=id,stock,\"Kind of\"");
	check_rule("columns=\"plain\" , a$1 ,\n_b,\"1\" hash=1/2 hot=a, b", "hash=1/2 columns=plain,a$1,_b,\"1\" hot=a, b");
	check_rule("columns=\"say \"\"hot=x\"\", a\",stra\303\237e hot=true", "columns=\"say \"\"hot=x\"\", a\",stra\303\237e hot=true");
	check_rule("hash=1000000/1000000", "hash=1000000/1000000");
}
END_TEST

START_TEST(bad_rules_are_refused)
{
	refuse("", "empty");
	refuse(" \n", "empty");
	refuse("cold", "\"cold\" is no placement rule");
	refuse("place=hot", "place=hot: expected lazy or off");
	refuse("place=", "expected lazy or off");
	refuse("hash=1", "expected N/M");
	refuse("hash=1/", "expected N/M");
	refuse("hash=/4", "expected N/M");
	refuse("hash=-1/4", "expected N/M");
	refuse("hash=1/4x", "expected N/M");
	refuse("hash=1/12345678", "expected N/M");
	refuse("hash=1/1000001", "1 to 1000000 buckets");
	refuse("hash=1/0", "1 to 1000000 buckets");
	refuse("hash=0/4", "pins no row");
	refuse("hash=5/4", "more buckets than there are");
	refuse("hot=", "needs a predicate");
	refuse("hot= \n", "needs a predicate");
	refuse("hash=1/4 hash=1/4", "hash= is said twice");
	refuse("place=off place=off", "place= is said twice");
	refuse("columns=a columns=b", "columns= is said twice");
	refuse("columns=", "needs names");
	refuse("columns= hot=true", "needs names");
	refuse("columns=a,", "expected a column's name at \"\"");
	refuse("columns=,a", "expected a column's name at \",a\"");
	refuse("columns=a,,b", "expected a column's name at \",b\"");
	refuse("columns=\"\"", "expected a column's name");
	refuse("columns=\"a", "expected a column's name at \"\"a\"");
	refuse("columns=1a", "stands in double quotes");
	refuse("columns=a-b", "stands in double quotes");
	refuse("columns=a b", "\"b\" is no placement rule");
	refuse("columns=\"a\"b", "expected a comma after \"a\"");
	refuse("columns=a,b,\"a\"", "\"a\" is there twice");
	refuse("columns=A,a", "\"a\" is there twice");
}
END_TEST

START_TEST(contradictions_are_refused)
{
	refuse("place=off hot=true", "place=off and hot= contradict");
	refuse("place=off hash=1/4", "place=off and hash= contradict");
	refuse("place=off columns=a", "place=off and columns= contradict");
}
END_TEST

START_TEST(long_predicates_are_refused)
{
	char text[PLACEMENT_HOT_MAX + 6];

	memset(text, 'x', sizeof(text));
	memcpy(text, "hot=", 4);
	text[PLACEMENT_HOT_MAX + 5] = '\0';
	refuse(text, "longer than 4000");
	text[PLACEMENT_HOT_MAX + 4] = '\0';
	check_rule(text, text);
}
END_TEST

START_TEST(long_lists_of_columns_are_refused)
{
	_cleanup_buf_ struct buf text = {0};

	buf_adds(&text, "columns=a");
	for (int i = 0; i < 20; i++) {
		buf_addf(&text, ",n%02d", i);
		for (int k = 0; k < 240; k++)
			buf_addc(&text, 'x');
	}
	refuse(text.data, "longer than 4000");
	buf_reset(&text);
	buf_adds(&text, "columns=");
	for (int i = 0; i < PLACEMENT_NAME_MAX; i++)
		buf_addc(&text, 'x');
	check_rule(text.data, text.data);
	buf_addc(&text, 'x');
	refuse(text.data, "expected a column's name");
}
END_TEST

static void equal(const char *a, const char *b, bool want)
{
	_cleanup_placement_ struct placement left = {0}, right = {0};

	ck_assert_int_eq(placement_parse(a, &left, &e), 0);
	ck_assert_int_eq(placement_parse(b, &right, &e), 0);
	ck_assert_int_eq(placement_equal(&left, &right), want);
}

START_TEST(columns_count_when_rules_are_compared)
{
	equal("columns=a,b hot=x", "columns=A, b hot=x", true);
	equal("columns=a,b hot=x", "columns=a hot=x", false);
	equal("columns=a", "place=lazy", false);
	equal("hot=x", "columns=a hot=x", false);
}
END_TEST

START_TEST(columns_are_named_one_after_another)
{
	_cleanup_placement_ struct placement rule = {0}, other = {0};
	char name[PLACEMENT_NAME_MAX + 1];
	const char *at;

	ck_assert_int_eq(placement_parse("columns=id,\"a,\"\"b\",C", &rule, &e), 0);
	at = rule.columns;
	ck_assert(placement_next_column(&at, name));
	ck_assert_str_eq(name, "id");
	ck_assert(placement_next_column(&at, name));
	ck_assert_str_eq(name, "a,\"b");
	ck_assert(placement_next_column(&at, name));
	ck_assert_str_eq(name, "c");
	ck_assert(!placement_next_column(&at, name));
	ck_assert(!placement_pins(&rule));
	ck_assert_int_eq(placement_copy_columns(&other, &rule), 0);
	ck_assert_str_eq(rule.columns, "id,\"a,\"\"b\",c");
	ck_assert_int_eq(placement_copy_columns(&rule, &other), 0);
	ck_assert(placement_equal(&rule, &other));
}
END_TEST

START_TEST(pins_or_not)
{
	ck_assert(!placement_pins(&(struct placement){0}));
	ck_assert(!placement_pins(&(struct placement){.off = true}));
	ck_assert(placement_pins(&(struct placement){.hot = (char *)"true"}));
	ck_assert(placement_pins(&(struct placement){.share = 1, .buckets = 2}));
	ck_assert(placement_shares(&(struct placement){.hot = (char *)"true"}, "1.json"));
	ck_assert(placement_shares(&(struct placement){.share = 5, .buckets = 5}, "1.json"));
}
END_TEST

/* Other processes, and Redis' contents, rely on it. */
START_TEST(buckets_never_change)
{
	static const struct {
		const char *name;
		uint32_t bucket;
	} known[] = {{"1.json", 806}, {"42.json", 476}, {"TENT-003.json", 321}, {"%.json", 162}};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		ck_assert_uint_eq(placement_bucket(known[i].name, 1000), known[i].bucket);
}
END_TEST

START_TEST(buckets_are_even)
{
	enum { NAMES = 100000, BUCKETS = 8 };
	const struct placement quarter = {.share = 2, .buckets = BUCKETS};
	unsigned found[BUCKETS] = {0}, shared = 0;
	char name[16];

	for (int i = 0; i < NAMES; i++) {
		uint32_t bucket;

		snprintf(name, sizeof(name), "%d.json", i);
		bucket = placement_bucket(name, BUCKETS);
		ck_assert_uint_lt(bucket, BUCKETS);
		ck_assert(placement_shares(&quarter, name) == (bucket < 2));
		shared += placement_shares(&quarter, name);
		found[bucket]++;
	}
	for (int i = 0; i < BUCKETS; i++)
		ck_assert_msg(found[i] > NAMES / BUCKETS * 95 / 100 && found[i] < NAMES / BUCKETS * 105 / 100,
		              "bucket %d has %u", i, found[i]);
	ck_assert_uint_gt(shared, NAMES / 4 * 97 / 100);
	ck_assert_uint_lt(shared, NAMES / 4 * 103 / 100);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("placement");
	TCase *tcase = tcase_create("placement");

	tcase_add_test(tcase, rules_read_and_print);
	tcase_add_test(tcase, bad_rules_are_refused);
	tcase_add_test(tcase, contradictions_are_refused);
	tcase_add_test(tcase, long_predicates_are_refused);
	tcase_add_test(tcase, long_lists_of_columns_are_refused);
	tcase_add_test(tcase, columns_count_when_rules_are_compared);
	tcase_add_test(tcase, columns_are_named_one_after_another);
	tcase_add_test(tcase, pins_or_not);
	tcase_add_test(tcase, buckets_never_change);
	tcase_add_test(tcase, buckets_are_even);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
