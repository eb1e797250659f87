#include <errno.h>

#include "rowfs/model/sqlstate.h"
#include "suite.h"

static const struct {
	const char *sqlstate;
	int err;
} rows[] = {
        {"22P02", EINVAL},     {"22003", EINVAL}, {"22001", EINVAL},
        {"42804", EINVAL},     {"428C9", EINVAL}, {"23505", EEXIST},
        {"23502", EPERM},      {"23503", EPERM},  {"23514", EPERM},
        {"23P01", EPERM},      {"23001", EPERM},  {"P0001", EPERM},
        {"44000", EPERM},      {"2BP01", EPERM},  {"42501", EACCES},
        {"28000", EACCES},     {"28P01", EACCES}, {"25006", EROFS},
        {"42P01", ESTALE},     {"42703", ESTALE}, {"55P03", EBUSY},
        {"40001", EIO},        {"40P01", EIO},    {"57014", ETIMEDOUT},
        {"53100", ENOSPC},     {"53200", ENOMEM}, {"54000", EFBIG},
        {"54001", EFBIG},      {"53300", EIO},    {"08006", EIO},
        {"57P01", EIO},        {"57P03", EIO},    {"0A000", EOPNOTSUPP},
        {"55000", EOPNOTSUPP}, {"55006", EIO},    {"26000", EIO},
        {"XX000", EIO},        {"42601", EIO},    {"23000", EIO},
        {"P0002", EIO},        {"", EIO},
};

START_TEST(test_errno)
{
	ck_assert_int_eq(sqlstate_errno(rows[_i].sqlstate), rows[_i].err);
}
END_TEST

START_TEST(test_retry)
{
	ck_assert(sqlstate_retry("40001") && sqlstate_retry("40P01"));
	ck_assert(!sqlstate_retry("40002") && !sqlstate_retry("57P01") && !sqlstate_retry(""));
}
END_TEST

START_TEST(test_name)
{
	ck_assert_str_eq(sqlstate_name("22012"), "division_by_zero");
	/* The first, the last, and what there is not. */
	ck_assert_str_eq(sqlstate_name("03000"), "sql_statement_not_yet_complete");
	ck_assert_str_eq(sqlstate_name("XX002"), "index_corrupted");
	ck_assert_str_eq(sqlstate_name("22P99"), "");
	ck_assert_str_eq(sqlstate_name(""), "");
}
END_TEST

START_TEST(test_reprepare)
{
	ck_assert(sqlstate_reprepare("26000", NULL));
	ck_assert(sqlstate_reprepare("0A000", "RevalidateCachedQuery"));
	ck_assert(!sqlstate_reprepare("0A000", "ExecInitModifyTable"));
	ck_assert(!sqlstate_reprepare("0A000", NULL));
	ck_assert(!sqlstate_reprepare("42P01", "RevalidateCachedQuery"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sqlstate");
	TCase *c = tcase_create("sqlstate");

	tcase_add_loop_test(c, test_errno, 0, sizeof(rows) / sizeof(*rows));
	tcase_add_test(c, test_retry);
	tcase_add_test(c, test_name);
	tcase_add_test(c, test_reprepare);
	suite_add_tcase(s, c);
	return suite_run(s);
}
