#include "rowfs/model/batch.h"

#include <string.h>

#include "failing.h"
#include "suite.h"

static void add(struct batch *batch, uint32_t relation, enum batch_op op, const char *name)
{
	batch_add(batch, &(struct batch_change){relation, op, name});
}

static void check_next(const struct batch *batch, size_t *at, uint32_t relation, enum batch_op op,
                       const char *name)
{
	struct batch_change change;

	ck_assert(batch_next(batch, at, &change));
	ck_assert_uint_eq(change.relation, relation);
	ck_assert_int_eq(change.op, op);
	ck_assert_str_eq(change.name, name);
}

START_TEST(gives_what_was_put_in_and_in_that_order)
{
	_cleanup_batch_ struct batch batch = {0};
	char name[256];
	size_t at = 0;

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	add(&batch, 1, BATCH_INSERT, "1.json");
	add(&batch, UINT32_MAX, BATCH_DELETE, name);
	add(&batch, 0x00010000, BATCH_RELATION, "");
	add(&batch, 2, BATCH_UPDATE, "a,b.json");
	batch_add_transaction(&batch, 7);
	batch_add_transaction(&batch, UINT64_C(0x123456789abcdef0));

	ck_assert_uint_eq(batch.n_changes, 4);
	check_next(&batch, &at, 1, BATCH_INSERT, "1.json");
	check_next(&batch, &at, UINT32_MAX, BATCH_DELETE, name);
	check_next(&batch, &at, 0x00010000, BATCH_RELATION, "");
	check_next(&batch, &at, 2, BATCH_UPDATE, "a,b.json");
	ck_assert(!batch_next(&batch, &at, &(struct batch_change){0}));
	ck_assert_uint_eq(batch.n_transactions, 2);
	ck_assert_uint_eq(batch_xid(&batch, 0), 7);
	ck_assert_uint_eq(batch_xid(&batch, 1), UINT64_C(0x123456789abcdef0));
	ck_assert(!batch_failed(&batch));
}
END_TEST

START_TEST(an_empty_one_has_nothing)
{
	_cleanup_batch_ struct batch batch = {0};
	struct batch_change change = {.name = "untouched"};
	size_t at = 0;

	ck_assert(!batch_next(&batch, &at, &change));
	ck_assert_str_eq(change.name, "untouched");
	ck_assert_uint_eq(at, 0);
	ck_assert(!batch_failed(&batch));
}
END_TEST

START_TEST(can_be_used_again)
{
	_cleanup_batch_ struct batch batch = {0};
	size_t at = 0, cap;

	add(&batch, 1, BATCH_INSERT, "1.json");
	batch_add_transaction(&batch, 7);
	cap = batch.changes.cap;
	batch_reset(&batch);
	ck_assert_uint_eq(batch.n_changes, 0);
	ck_assert_uint_eq(batch.n_transactions, 0);
	ck_assert_uint_eq(batch.changes.cap, cap);
	ck_assert(!batch_next(&batch, &at, &(struct batch_change){0}));
	add(&batch, 2, BATCH_DELETE, "2.json");
	check_next(&batch, &at, 2, BATCH_DELETE, "2.json");
	batch_done(&batch);
	ck_assert_uint_eq(batch.n_changes, 0);
	ck_assert_ptr_null(batch.changes.data);
}
END_TEST

/* Whatever does not fit: what is counted is there, whole, and the batch says that it is not all. */
START_TEST(without_memory_it_has_failed_and_stays_readable)
{
	for (unsigned after = 0; after < 4; after++) {
		_cleanup_batch_ struct batch batch = {0};
		struct batch_change change;
		size_t at = 0, n = 0;

		failing_after(after);
		for (unsigned i = 0; i < 1000; i++) {
			add(&batch, i, BATCH_UPDATE, "some-name.json");
			batch_add_transaction(&batch, i);
		}
		failing_stop();
		ck_assert(batch_failed(&batch));
		for (; batch_next(&batch, &at, &change); n++) {
			ck_assert_uint_eq(change.relation, n);
			ck_assert_str_eq(change.name, "some-name.json");
		}
		ck_assert_uint_eq(n, batch.n_changes);
		ck_assert_uint_lt(n, 1000);
		/* Memory may have come back: what was left out has not. */
		add(&batch, 1, BATCH_UPDATE, "later.json");
		batch_add_transaction(&batch, 1);
		ck_assert_uint_eq(n, batch.n_changes);
		ck_assert(batch_failed(&batch));
		batch_reset(&batch);
		ck_assert(!batch_failed(&batch));
	}
}
END_TEST

START_TEST(a_transaction_that_did_not_fit_fails_the_batch_too)
{
	_cleanup_batch_ struct batch batch = {0};

	add(&batch, 1, BATCH_UPDATE, "1.json");
	failing_after(0);
	batch_add_transaction(&batch, 7);
	failing_stop();
	ck_assert(batch_failed(&batch));
	add(&batch, 2, BATCH_UPDATE, "2.json");
	ck_assert_uint_eq(batch.n_changes, 1);
	ck_assert_uint_eq(batch.n_transactions, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("batch");
	TCase *test = tcase_create("batch");

	tcase_add_test(test, gives_what_was_put_in_and_in_that_order);
	tcase_add_test(test, an_empty_one_has_nothing);
	tcase_add_test(test, can_be_used_again);
	tcase_add_test(test, without_memory_it_has_failed_and_stays_readable);
	tcase_add_test(test, a_transaction_that_did_not_fit_fails_the_batch_too);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
