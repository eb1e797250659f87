#include <errno.h>

#include "../../src/pg/snapshot.h"
#include "suite.h"

START_TEST(what_had_ended)
{
	_cleanup_snapshot_ struct snapshot snapshot = {0};

	ck_assert_int_eq(snapshot_parse("8589934592:8589934600:8589934592,8589934595", &snapshot),
	                 0);
	ck_assert_uint_eq(snapshot.n, 2);
	ck_assert(snapshot_ended(&snapshot, 5));
	ck_assert(snapshot_ended(&snapshot, 8589934591));
	ck_assert(!snapshot_ended(&snapshot, 8589934592));
	ck_assert(snapshot_ended(&snapshot, 8589934593));
	ck_assert(!snapshot_ended(&snapshot, 8589934595));
	ck_assert(snapshot_ended(&snapshot, 8589934599));
	ck_assert(!snapshot_ended(&snapshot, 8589934600));
	ck_assert_int_eq(snapshot_parse("7:7:", &snapshot), 0);
	ck_assert_uint_eq(snapshot.n, 0);
	ck_assert(snapshot_ended(&snapshot, 6));
	ck_assert(!snapshot_ended(&snapshot, 7));
}
END_TEST

START_TEST(what_has_drained)
{
	_cleanup_snapshot_ struct snapshot older = {0}, newer = {0};

	ck_assert_int_eq(snapshot_parse("3:9:3,7", &older), 0);
	ck_assert(!snapshot_drained(&older, &older));
	ck_assert_int_eq(snapshot_parse("7:12:7,10", &newer), 0);
	ck_assert(!snapshot_drained(&older, &newer));
	ck_assert_int_eq(snapshot_parse("10:12:10", &newer), 0);
	ck_assert(snapshot_drained(&older, &newer));
}
END_TEST

START_TEST(refuses_what_is_none)
{
	static const char *const texts[] = {
	        "",      "1",     "1:",     ":1:",   "a:2:",
	        "1:2:x", "1:2:,", "1:2:1,", "-1:2:", "1:99999999999999999999:"};
	_cleanup_snapshot_ struct snapshot snapshot = {0};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		ck_assert_msg(snapshot_parse(texts[i], &snapshot) == -EPROTO, "%s", texts[i]);
	ck_assert_ptr_null(snapshot.running);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("snapshot");
	TCase *tests = tcase_create("snapshot");

	tcase_add_test(tests, what_had_ended);
	tcase_add_test(tests, what_has_drained);
	tcase_add_test(tests, refuses_what_is_none);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
