#include "commit_server.h"
#include "rowfs/base/counters.h"

/* --- DELETE ---------------------------------------------------------------------------------- */

static int delete_row(struct server with)
{
	server = with;
	fake_store_on(serve, &server);
	return commit_delete(&sample.engine, &ref, &e);
}

/* As after a read of this mount's own. */
static void know_row(void)
{
	reader_saved(sample.engine.reader, &ref, 7421);
	events_take();
}

START_TEST(a_delete_is_one_statement)
{
	ck_assert_int_eq(delete_row((struct server){DONE}), 0);
	ck_assert_str_eq(server.values, "42|");
	check_events("delete drop tell list");
}
END_TEST

START_TEST(a_delete_without_effect_says_why)
{
	ck_assert_int_eq(delete_row((struct server){NOTHING}), -EPERM);
	check_error(EPERM, "trigger or rule");
	ck_assert_uint_eq(fake_kernel_told(ITEMS, "42.json"), 0);
	ck_assert_int_eq(delete_row((struct server){NOTHING, .gone_after = true}), -ENOENT);
	ck_assert_int_eq(delete_row((struct server){REFUSED, EPERM}), -EPERM);
	check_error(EPERM, "refused");
}
END_TEST

START_TEST(a_delete_that_was_lost_is_settled)
{
	ck_assert_int_eq(delete_row((struct server){LOST, .gone_after = true}), 0);
	check_events("delete gone? fetch drop tell list");
	fake_store_put(&base_row);
	know_row();
	ck_assert_int_eq(delete_row((struct server){LOST_THEN_DONE}), 0);
	check_events("delete gone? fetch delete drop tell list");
	know_row();
	check_unknown(delete_row((struct server){LOST}));
	events_take();
	sample.engine.settle_ms = 0;
	ck_assert_int_eq(delete_row((struct server){LOST, .blind_after = true}), -EIO);
	check_error(EIO, "outcome unknown");
}
END_TEST

/* It was done, and others inserted the key again: theirs is not what was to be deleted. Nor can a row be
 * told from its successor that this mount has never seen, or that has no transaction to tell it by. */
START_TEST(a_delete_that_was_lost_deletes_no_other_row)
{
	static const struct fake_row viewed = {NULL, NULL, "42", "Zelt", "129.00", "258.00"};

	if (_i != 1)
		know_row();
	if (_i == 2) {
		reader_saved(sample.engine.reader, &ref, 0);
		events_take();
	}
	check_unknown(delete_row((struct server){LOST_THEN_DONE,
	                                         .row_after = _i == 0 ? &their_row
	                                                      : _i == 1 ? &base_row : &viewed}));
	check_events("delete gone? fetch drop");
	ck_assert_uint_eq(fake_store_count("delete"), 1);
}
END_TEST

/* "Read the row again": what is read then must not be the copy from before. */
START_TEST(after_an_unknown_outcome_no_copy_is_left)
{
	know_row();
	delete_row((struct server){LOST});
	check_events("delete gone? fetch delete gone? fetch delete gone? fetch drop");
	delete_row((struct server){NOTHING, .gone_after = true});
	check_events("delete fetch drop");
}
END_TEST

/* --- DELETEs that are put off ------------------------------------------------------------------ */

static int rehearse(struct server with)
{
	server = with;
	fake_store_on(serve, &server);
	return commit_rehearse_delete(&sample.engine, &ref, base, &e);
}

START_TEST(a_rehearsal_changes_nothing_and_tells_nobody)
{
	uint64_t before = counters[COUNTER_commits];

	ck_assert_int_eq(rehearse((struct server){DONE}), 0);
	ck_assert_str_eq(server.values, "42|");
	check_events("rehearse");
	ck_assert_uint_eq(counters[COUNTER_commits], before);
	ck_assert_int_eq(rehearse((struct server){REFUSED, EPERM, "23503"}), -EPERM);
	ck_assert_int_eq(rehearse((struct server){NOTHING}), -EPERM);
	check_error(EPERM, "trigger or rule");
	ck_assert_int_eq(rehearse((struct server){NOTHING, .gone_after = true}), -ENOENT);
	events_take();
	/* What was lost was taken back by the server. */
	ck_assert_int_eq(rehearse((struct server){LOST}), -EIO);
	ck_assert(!e.outcome_unknown);
	check_events("rehearse");
}
END_TEST

static int delete_unchanged(struct server with)
{
	server = with;
	fake_store_on(serve, &server);
	return commit_delete_unchanged(&sample.engine, &ref, base, &e);
}

START_TEST(what_was_removed_is_deleted_if_it_still_is_that)
{
	e = (struct error){0};
	ck_assert_int_eq(delete_unchanged((struct server){DONE}), 0);
	ck_assert_str_eq(server.values, "42|7421|");
	ck_assert_ptr_nonnull(strstr(server.sql, " AND t.xmin OPERATOR(pg_catalog.=) $2"));
	check_events("delete drop tell list");
	ck_assert_int_eq(delete_unchanged((struct server){NOTHING, .row_after = &their_row}), -ESTALE);
	check_error(ESTALE, "changed by somebody else after it was removed");
	fake_store_put(&base_row);
	ck_assert_int_eq(delete_unchanged((struct server){NOTHING}), -EPERM);
	check_error(EPERM, "trigger or rule");
	ck_assert_int_eq(delete_unchanged((struct server){REFUSED, EPERM, "23503"}), -EPERM);
	check_error(EPERM, "23503");
	/* Somebody else has done it. */
	ck_assert_int_eq(delete_unchanged((struct server){NOTHING, .gone_after = true}), 0);
}
END_TEST

/* Asked again only while it is the row that was removed. */
START_TEST(what_was_removed_and_lost_is_settled_by_its_own_transaction)
{
	ck_assert_int_eq(delete_unchanged((struct server){LOST_THEN_DONE}), 0);
	check_events("delete gone? fetch delete drop tell list");
	check_unknown(delete_unchanged((struct server){LOST_THEN_DONE, .row_after = &their_row}));
}
END_TEST

/* A view's row is looked at, since its DELETE cannot ask for a transaction. */
START_TEST(what_was_removed_from_a_view_is_compared_with_what_it_was)
{
	static const struct fake_row viewed = {NULL, NULL, "42", "Zelt", "129.00", "258.00"};
	static const struct fake_row changed = {NULL, NULL, "42", "Zelt", "1.00", "2.00"};

	fake_store_put(&viewed);
	text_unref(base);
	base = read_row(&ref);
	ck_assert_uint_eq(base->xid, 0);
	ck_assert_int_eq(delete_unchanged((struct server){DONE}), 0);
	ck_assert_ptr_null(strstr(server.sql, "xmin ="));
	check_events("fetch delete drop tell list");
	fake_store_put(&changed);
	ck_assert_int_eq(delete_unchanged((struct server){DONE}), -ESTALE);
	ck_assert_uint_eq(server.writes, 0);
	fake_store_remove("42");
	ck_assert_int_eq(delete_unchanged((struct server){DONE}), 0);
	ck_assert_uint_eq(server.writes, 0);
}
END_TEST

/* --- RENAME ---------------------------------------------------------------------------------- */

static int rename_row(struct server with, bool onto)
{
	struct rowref to = sample_ref(&sample, ITEMS, "43.json");
	int r;

	server = with;
	fake_store_on(serve, &server);
	r = commit_rename(&sample.engine, &ref, &to, onto, &e);
	rowref_done(&to);
	return r;
}

START_TEST(a_rename_is_one_statement_and_two_names)
{
	uint64_t before = counters[COUNTER_commits];

	ck_assert_int_eq(rename_row((struct server){DONE}, false), 0);
	ck_assert_ptr_nonnull(strstr(server.sql, "SET \"id\" = $1 WHERE"));
	ck_assert_str_eq(server.values, "43|42|");
	check_events("update drop tell list drop tell list");
	ck_assert_uint_eq(fake_kernel_told(ITEMS, "42.json"), 1);
	ck_assert_uint_eq(fake_kernel_told(ITEMS, "43.json"), 1);
	ck_assert_uint_eq(counters[COUNTER_commits], before + 1);
	ck_assert_int_eq(rename_row((struct server){DONE}, true), 0);
	check_events("replace drop tell list drop tell list");
}
END_TEST

START_TEST(a_rename_without_effect_says_why)
{
	ck_assert_int_eq(rename_row((struct server){REFUSED, EEXIST}, false), -EEXIST);
	ck_assert_int_eq(rename_row((struct server){NOTHING}, false), -EPERM);
	ck_assert_int_eq(rename_row((struct server){NOTHING, .gone_after = true}, false), -ENOENT);
}
END_TEST

START_TEST(a_rename_that_was_lost_is_settled)
{
	static const struct fake_row renamed = {"900", NULL, "43", "Zelt", "129.00", "258.00"};

	know_row();
	ck_assert_int_eq(rename_row((struct server){LOST_THEN_DONE}, false), 0);
	check_events("update gone? fetch update drop tell list drop tell list");
	ck_assert_int_eq(
	        rename_row((struct server){LOST, .row_after = &renamed, .gone_after = true}, false),
	        0);
	check_events("update gone? fetch fetch drop tell list drop tell list");
}
END_TEST

/* A row under the old name that is not the one that was renamed. */
START_TEST(a_rename_that_was_lost_takes_no_other_row_along)
{
	know_row();
	check_unknown(rename_row((struct server){LOST_THEN_DONE, .row_after = &their_row}, _i));
	ck_assert_uint_eq(server.writes, 1);
}
END_TEST

/* Somebody deleted the row; whether before or after it was renamed, nobody can say. */
START_TEST(a_rename_that_was_lost_with_its_row_is_unknown)
{
	check_unknown(rename_row((struct server){LOST, .gone_after = true}, false));
	ck_assert_uint_eq(fake_store_count("update"), 1);
}
END_TEST

/* Its hidden columns would be lost. */
START_TEST(a_row_with_hidden_columns_takes_no_others_place)
{
	struct rowref from = sample_ref(&sample, PARTIAL, "42.json");
	struct rowref to = sample_ref(&sample, PARTIAL, "43.json");

	ck_assert_int_eq(commit_rename(&sample.engine, &from, &to, true, &e), -EPERM);
	check_error(EPERM, "hidden");
	check_events("");
	ck_assert_int_eq(commit_rename(&sample.engine, &from, &to, false, &e), 0);
	rowref_done(&from);
	rowref_done(&to);
}
END_TEST

/* --- Long keys ------------------------------------------------------------------------------- */

START_TEST(a_long_key_is_asked_for)
{
	_cleanup_text_ struct text *long_base = read_row(&long_ref);

	ck_assert_int_eq(save_over(&long_ref, long_base, our_text, NULL),
	                 0);
	check_events("update drop tell list");
	ck_assert_ptr_nonnull(strstr(server.values, long_key));
	ck_assert_int_eq(commit_delete(&sample.engine, &long_ref, &e), 0);
	check_events("key delete drop tell list");
	ck_assert_ptr_nonnull(strstr(server.values, long_key));
}
END_TEST

/* The hash is the row's; what stands before it is not how the row's name begins. */
START_TEST(a_long_key_has_one_name)
{
	long_ref.name[0] = 'j';
	ck_assert_int_eq(commit_delete(&sample.engine, &long_ref, &e), -ENOENT);
	check_events("key");
	long_ref.name[0] = 'k';
	fake_store_remove("42");
	ck_assert_int_eq(commit_delete(&sample.engine, &long_ref, &e), -ENOENT);
	check_events("key");
}
END_TEST

START_TEST(a_row_is_not_renamed_to_a_hash)
{
	struct rowref from = sample_ref(&sample, NAMED, "a.json");

	ck_assert_int_eq(commit_rename(&sample.engine, &from, &long_ref, false, &e), -EINVAL);
	check_events("");
	/* Onto a row that is there, its key can be asked for. */
	ck_assert_int_eq(commit_rename(&sample.engine, &from, &long_ref, true, &e), 0);
	check_events("key replace drop tell list drop tell list");
	rowref_done(&from);
}
END_TEST

/* --- Without asking -------------------------------------------------------------------------- */

/* Grants are the server's to judge, and it says so better; a table without a key has no row to
 * name. */
START_TEST(a_table_without_a_key_is_not_asked)
{
	struct rowref other = sample_ref(&sample, READONLY, "42.json");
	struct relation keyless = *other.relation;

	keyless.key_kind = KEY_CTID;
	other.relation = &keyless;

	ck_assert_int_eq(
	        save_over(&other, base, our_text, NULL),
	        -EACCES);
	ck_assert_int_eq(commit_delete(&sample.engine, &other, &e), -EACCES);
	ck_assert_int_eq(commit_rename(&sample.engine, &other, &other, false, &e), -EACCES);
	check_events("");
	rowref_done(&other);
}
END_TEST

START_TEST(a_materialised_view_is_not_asked)
{
	struct rowref other = sample_ref(&sample, LOOSE, "Zelt.json");

	ck_assert_int_eq(
	        save_over(&other, base, our_text, NULL),
	        -EACCES);
	check_error(EACCES, "materialised view");
	ck_assert_int_eq(commit_delete(&sample.engine, &other, &e), -EACCES);
	ck_assert_int_eq(save_over(&other, NULL, "{}", NULL), -EACCES);
	ck_assert_int_eq(commit_new(&sample.engine, LOOSE, "{}", 2, &e), -EACCES);
	check_events("");
	rowref_done(&other);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("commit_remove");
	TCase *test;

	test = add_case(suite, "remove", open_all, close_all);
	tcase_add_test(test, a_delete_is_one_statement);
	tcase_add_test(test, a_delete_without_effect_says_why);
	tcase_add_test(test, a_delete_that_was_lost_is_settled);
	tcase_add_loop_test(test, a_delete_that_was_lost_deletes_no_other_row, 0, 3);
	tcase_add_test(test, after_an_unknown_outcome_no_copy_is_left);
	tcase_add_test(test, a_rehearsal_changes_nothing_and_tells_nobody);
	tcase_add_test(test, what_was_removed_is_deleted_if_it_still_is_that);
	tcase_add_test(test, what_was_removed_and_lost_is_settled_by_its_own_transaction);
	tcase_add_test(test, what_was_removed_from_a_view_is_compared_with_what_it_was);
	tcase_add_test(test, a_rename_is_one_statement_and_two_names);
	tcase_add_test(test, a_rename_without_effect_says_why);
	tcase_add_test(test, a_rename_that_was_lost_is_settled);
	tcase_add_loop_test(test, a_rename_that_was_lost_takes_no_other_row_along, 0, 2);
	tcase_add_test(test, a_rename_that_was_lost_with_its_row_is_unknown);
	tcase_add_test(test, a_row_with_hidden_columns_takes_no_others_place);
	test = add_case(suite, "long", open_long, close_long);
	tcase_add_test(test, a_long_key_is_asked_for);
	tcase_add_test(test, a_long_key_has_one_name);
	tcase_add_test(test, a_row_is_not_renamed_to_a_hash);
	test = add_case(suite, "refused", open_all, close_all);
	tcase_add_test(test, a_table_without_a_key_is_not_asked);
	tcase_add_test(test, a_materialised_view_is_not_asked);
	return suite_run(suite);
}
