/* One reader at a time. */
#include <errno.h>
#include <string.h>

#include "reader_ask.h"
#include "rowfs/base/counters.h"

/* --- One at a time --------------------------------------------------------------------------- */

START_TEST(a_miss_is_leased_read_and_filled_in_that_order)
{
	struct ask ask;

	ask_begin(&ask, &ref);
	ask_await(&ask);
	check_events("get lease fetch fill");
	ck_assert_str_eq(ask.text->data, old_text);
	ck_assert_uint_eq(ask.text->version.size, strlen(old_text));
	ck_assert_int_eq(ask_end(&ask), 7421);
	ck_assert(redis_holds(old_text));
	ck_assert_int_gt(fake_cache_life(key), 50000);
	ck_assert_int_le(fake_cache_life(key), 60000);
}
END_TEST

START_TEST(a_hit_asks_nobody_else)
{
	struct ask ask;

	put_copy(&old_row);
	ask_begin(&ask, &ref);
	ck_assert(ask_answered(&ask));
	ck_assert_str_eq(ask.text->data, old_text);
	ck_assert_int_eq(ask_end(&ask), 7421);
	check_events("get");
}
END_TEST

START_TEST(what_one_read_filled_the_next_one_hits)
{
	ck_assert_int_eq(get(&ref), 7421);
	check_events("get lease fetch fill");
	ck_assert_int_eq(get(&ref), 7421);
	check_events("get");
}
END_TEST

START_TEST(somebody_elses_lease_means_no_fill)
{
	fake_cache_put(key, "L:others", 8);
	ck_assert_int_eq(get(&ref), 7421);
	check_events("get lease fetch");
	ck_assert(redis_holds("L:others"));
}
END_TEST

START_TEST(without_redis_postgresql_answers)
{
	put_copy(&new_row);
	fake_cache_down(true);
	ck_assert_int_eq(get(&ref), 7421);
	check_events("get fetch");
}
END_TEST

START_TEST(garbage_is_replaced)
{
	static const char *const garbage[] = {"hello", "", "ttl:1000 8c1f0e55a3b2d417 1 1.0\n{}"};

	fake_cache_put(key, garbage[_i], strlen(garbage[_i]));
	ck_assert_int_eq(get(&ref), 7421);
	check_events("get lease fetch fill");
	ck_assert(redis_holds(old_text));
}
END_TEST

START_TEST(a_copy_of_other_columns_is_replaced)
{
	_cleanup_buf_ struct buf other = {0};

	print_copy(&new_row, 1, &other);
	fake_cache_put(key, other.data, other.len);
	ck_assert_int_eq(get(&ref), 7421);
	check_events("get lease fetch fill");
	ck_assert(redis_holds(old_text));
}
END_TEST

static void others_replace_it(void *arg, const char *command)
{
	if (strcmp(command, "lease") == 0)
		put_copy(&old_row);
}

START_TEST(garbage_that_others_replaced_meanwhile_stays_replaced)
{
	fake_cache_put(key, "hello", 5);
	fake_cache_on(others_replace_it, NULL);
	ck_assert_int_eq(get(&ref), 7421);
	check_events("get lease fetch");
	ck_assert(redis_holds(old_text));
}
END_TEST

static int others_save_it(void *arg, const struct fake_call *call)
{
	int r = fake_store_line(call, &old_row);

	cache_drop(fake_cache(), key, strlen(key));
	return r;
}

START_TEST(another_mounts_save_ends_the_lease)
{
	fake_store_on(others_save_it, NULL);
	ck_assert_int_eq(get(&ref), 7421);
	check_events("get lease fetch drop fill");
	ck_assert(redis_holds(""));
}
END_TEST

static void check_never_cached(uint32_t oid)
{
	struct rowref other = sample_ref(&sample, oid, "42.json");

	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(get(&other), 7421);
	reader_saved(sample.engine.reader, &other, 900);
	ck_assert_int_eq(get(&other), 7421);
	check_events("fetch fetch fetch");
	rowref_done(&other);
}

START_TEST(what_others_may_not_see_is_never_shared)
{
	check_never_cached(GUARDED);
	check_never_cached(PARTIAL);
	check_never_cached(PATHED);
}
END_TEST

START_TEST(without_a_time_to_live_nothing_is_copied)
{
	sample_prepare(&sample);
	sample.settings.ttl = 0;
	sample_start(&sample);
	fake_store_put(&old_row);
	check_never_cached(ITEMS);
	sample_close(&sample);
}
END_TEST

static int expect_set(void *arg, const struct fake_call *call)
{
	ck_assert_int_eq(call->set, *(enum store_set *)arg);
	return FAKE_PASS;
}

START_TEST(fetching_is_between_the_caller_and_postgresql)
{
	_cleanup_text_ struct text *text = NULL;
	enum store_set set = STORE_WRITE;
	struct error e = {0};

	put_copy(&new_row);
	fake_store_on(expect_set, &set);
	ck_assert_int_eq(reader_fetch(sample.engine.reader, &ref, STORE_WRITE, &text, &e), 0);
	ck_assert_uint_eq(text->xid, 7421);
	check_events("fetch");
	fake_store_remove("42");
	ck_assert_int_eq(reader_fetch(sample.engine.reader, &ref, STORE_WRITE, &text, NULL),
	                 -ENOENT);
	ck_assert_uint_eq(text->xid, 7421);
}
END_TEST

START_TEST(reading_may_use_a_copy_but_makes_none)
{
	_cleanup_text_ struct text *text = NULL, *copied = NULL;
	struct error e = {0};

	ck_assert_int_eq(reader_read(sample.engine.reader, &ref, STORE_WRITE, &text, &e), 0);
	ck_assert_uint_eq(text->xid, 7421);
	check_events("get fetch");
	put_copy(&new_row);
	ck_assert_int_eq(reader_read(sample.engine.reader, &ref, STORE_WRITE, &copied, &e), 0);
	ck_assert_uint_eq(copied->xid, 900);
	check_events("get");
}
END_TEST

/* --- Names and errors ------------------------------------------------------------------------ */

START_TEST(a_row_that_is_not_there_is_not_copied)
{
	fake_store_remove("42");
	ck_assert_int_eq(get(&ref), -ENOENT);
	check_events("get lease fetch release");
	ck_assert(redis_holds(""));
}
END_TEST

/* 1.5 finds the row 1.50, whose name it is not. */
START_TEST(only_postgresqls_own_spelling_is_a_name)
{
	struct rowref other;
	enum name_kind kind;

	ck_assert_int_eq(rowref_of_name(sample.engine.catalog, ITEMS, "042.json", &other, &kind),
	                 -ENOENT);
	ck_assert_int_eq(kind, NAME_INVALID);
	ck_assert_int_eq(get_named(PRICED, "129.json"), -ENOENT);
	ck_assert_int_eq(get_named(PRICED, "129.00.json"), 7421);
	ck_assert_uint_eq(fake_store_count("fetch"), 2);
}
END_TEST

START_TEST(a_long_key_is_found_by_its_hash)
{
	static char name[600];
	struct fake_row row = {"5", NULL, "1", name, "1.00", "2.00"};
	struct cell cell = {name, sizeof(name) - 1};
	_cleanup_buf_ struct buf file = {0};

	memset(name, 'x', sizeof(name) - 1);
	fake_store_put(&row);
	name_print(&cell, 1, &file);
	ck_assert_int_eq(get_named(NAMED, file.data), 5);
}
END_TEST

static int refuse(void *arg, const struct fake_call *call)
{
	return strcmp(call->verb, "fetch") == 0 ? fake_refuse(call, *(int *)arg, "XX000")
	                                        : FAKE_PASS;
}

START_TEST(errors_stay_what_they_are)
{
	static const int errs[] = {EIO,    ETIMEDOUT,  EACCES, EBUSY,
	                           ENOMEM, EOPNOTSUPP, EINTR,  ESTALE};
	int err = errs[_i];

	fake_store_on(refuse, &err);
	ck_assert_int_eq(get(&ref), -err);
	check_events("get lease fetch release");
	ck_assert(redis_holds(""));
}
END_TEST

/* The type does not accept this key ("abc" for a date), so no row has it; but an error of that
 * class in the row itself must not hide the row. */
START_TEST(a_key_that_is_refused_is_no_rows_and_a_row_that_fails_is_there)
{
	int err = EINVAL;

	fake_store_on(refuse, &err);
	ck_assert_int_eq(get_named(PRICED, "abc.json"), -ENOENT);
	check_events("get lease fetch canonical release");
	ck_assert_int_eq(get_named(PRICED, "1.50.json"), -EIO);
	check_events("get lease fetch canonical release");
}
END_TEST

static int odd_line(void *arg, const struct fake_call *call)
{
	return fake_line(call, 2, "1", "2");
}

START_TEST(a_line_of_another_shape_is_an_error)
{
	fake_store_on(odd_line, NULL);
	ck_assert_int_eq(get(&ref), -EPROTO);
}
END_TEST

START_TEST(a_row_for_which_there_is_no_memory_is_an_error)
{
	text_set_limit(10);
	ck_assert_int_eq(get(&ref), -ENOMEM);
}
END_TEST

START_TEST(a_table_that_is_gone_makes_the_catalog_be_read_again)
{
	int err = ESTALE;
	uint64_t before = counters[COUNTER_catalog_loads];

	catalog_poll(sample.engine.catalog);
	ck_assert_uint_eq(counters[COUNTER_catalog_loads], before);
	fake_store_on(refuse, &err);
	ck_assert_int_eq(get(&ref), -ESTALE);
	catalog_poll(sample.engine.catalog);
	ck_assert_uint_eq(counters[COUNTER_catalog_loads], before + 1);
}
END_TEST

/* How many more fetches fail because a column is gone. */
static int refuse_column(void *arg, const struct fake_call *call)
{
	unsigned *times = arg;

	return (*times)-- ? fake_refuse(call, ESTALE, "42703") : FAKE_PASS;
}

/* The row is there; only what was known of its columns was out of date. */
START_TEST(a_column_that_is_gone_is_looked_up_and_the_row_read_again)
{
	uint64_t before = counters[COUNTER_catalog_loads];
	unsigned times = 1;

	fake_store_on(refuse_column, &times);
	ck_assert_int_eq(get(&ref), 7421);
	check_events(
	        "get lease fetch fetch release"); /* that copy would be of other columns than its lease */
	ck_assert_uint_eq(counters[COUNTER_catalog_loads], before + 1);
	/* What was read counts as seen. */
	put_copy(&new_row);
	fake_store_on(NULL, NULL);
	ck_assert_int_eq(get(&ref), 7421);
	check_events("get fetch");
}
END_TEST

START_TEST(a_column_that_stays_gone_is_an_error)
{
	unsigned times = 2;

	fake_store_on(refuse_column, &times);
	ck_assert_int_eq(get(&ref), -ESTALE);
	check_events("get lease fetch fetch release");
}
END_TEST

/* --- After a save ---------------------------------------------------------------------------- */

START_TEST(after_a_save_only_its_own_copy_is_used)
{
	fake_store_put(&new_row);
	reader_saved(sample.engine.reader, &ref, 900);
	check_events("drop");

	put_copy(&old_row); /* somebody's late fill */
	ck_assert_int_eq(get(&ref), 900);
	check_events("get fetch");
	ck_assert_int_eq(get(&ref), 900);
	check_events("get fetch");

	put_copy(&new_row);
	ck_assert_int_eq(get(&ref), 900);
	check_events("get");
}
END_TEST

START_TEST(after_a_read_nothing_older_is_used)
{
	fake_store_put(&new_row);
	fake_cache_down(true);
	ck_assert_int_eq(get(&ref), 900);
	fake_cache_down(false);
	check_events("get fetch");
	put_copy(&old_row);
	ck_assert_int_eq(get(&ref), 900);
	check_events("get fetch");
}
END_TEST

START_TEST(after_a_save_of_unknown_transaction_no_copy_is_used)
{
	reader_saved(sample.engine.reader, &ref, 0);
	put_copy(&old_row);
	/* Once asked, PostgreSQL has said which it is. */
	ck_assert_int_eq(get(&ref), 7421);
	ck_assert_int_eq(get(&ref), 7421);
	check_events("drop get fetch get");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("reader");
	TCase *test, *other = tcase_create("settings");

	test = fixed(suite, "alone");
	tcase_add_test(test, a_miss_is_leased_read_and_filled_in_that_order);
	tcase_add_test(test, a_hit_asks_nobody_else);
	tcase_add_test(test, what_one_read_filled_the_next_one_hits);
	tcase_add_test(test, somebody_elses_lease_means_no_fill);
	tcase_add_test(test, without_redis_postgresql_answers);
	tcase_add_loop_test(test, garbage_is_replaced, 0, 3);
	tcase_add_test(test, a_copy_of_other_columns_is_replaced);
	tcase_add_test(test, garbage_that_others_replaced_meanwhile_stays_replaced);
	tcase_add_test(test, another_mounts_save_ends_the_lease);
	tcase_add_test(test, what_others_may_not_see_is_never_shared);
	tcase_add_test(test, reading_may_use_a_copy_but_makes_none);
	tcase_add_test(test, fetching_is_between_the_caller_and_postgresql);
	test = fixed(suite, "errors");
	tcase_add_test(test, a_row_that_is_not_there_is_not_copied);
	tcase_add_test(test, only_postgresqls_own_spelling_is_a_name);
	tcase_add_test(test, a_long_key_is_found_by_its_hash);
	tcase_add_loop_test(test, errors_stay_what_they_are, 0, 8);
	tcase_add_test(test, a_key_that_is_refused_is_no_rows_and_a_row_that_fails_is_there);
	tcase_add_test(test, a_line_of_another_shape_is_an_error);
	tcase_add_test(test, a_row_for_which_there_is_no_memory_is_an_error);
	tcase_add_test(test, a_column_that_is_gone_is_looked_up_and_the_row_read_again);
	tcase_add_test(test, a_column_that_stays_gone_is_an_error);
	tcase_add_test(test, a_table_that_is_gone_makes_the_catalog_be_read_again);
	test = fixed(suite, "saves");
	tcase_add_test(test, after_a_save_only_its_own_copy_is_used);
	tcase_add_test(test, after_a_read_nothing_older_is_used);
	tcase_add_test(test, after_a_save_of_unknown_transaction_no_copy_is_used);
	tcase_add_test(other, without_a_time_to_live_nothing_is_copied);
	suite_add_tcase(suite, other);
	return suite_run(suite);
}
