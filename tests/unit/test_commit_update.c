#include "../../src/engine/commit_run.h"
#include "commit_server.h"
#include "rowfs/base/clock.h"
#include "rowfs/base/counters.h"

/* Save our text over the base. */
static int save(struct server with, const char *text)
{
	server = with;
	fake_store_on(serve, &server);
	return save_over(&ref, base, text, NULL);
}

/* --- UPDATE ---------------------------------------------------------------------------------- */

START_TEST(nothing_changed_is_no_statement)
{
	const char *const texts[] = {"{}", "{\"price\": 129}", base->data,
	                             "{\"name\":\"Zelt\",\"id\":\"42\",\"total\":2.58e2}"};
	uint64_t before = counters[COUNTER_commits];

	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(save((struct server){DONE}, texts[i]), 0);
	check_events("");
	ck_assert_uint_eq(counters[COUNTER_commits], before);
}
END_TEST

START_TEST(a_change_is_one_statement_of_that_column)
{
	uint64_t before = counters[COUNTER_commits];

	ck_assert_int_eq(save((struct server){DONE}, our_text), 0);
	check_events("update drop tell list");
	ck_assert_ptr_nonnull(strstr(server.sql, "SET \"price\" = $1 WHERE"));
	ck_assert_ptr_null(strstr(server.sql, "\"name\""));
	ck_assert_str_eq(server.values, "99.00|42|129.00|");
	ck_assert_uint_eq(fake_kernel_told(ITEMS, "42.json"), 1);
	ck_assert_uint_eq(counters[COUNTER_commits], before + 1);
}
END_TEST

/* conflict=: what must still be as the base has it. */
START_TEST(the_policy_says_what_is_checked)
{
	sample.settings.conflict = CONFLICT_FAIL;
	ck_assert_int_eq(save((struct server){DONE}, our_text), 0);
	ck_assert_str_eq(server.values, "99.00|42|Zelt|129.00|");
	sample.settings.conflict = CONFLICT_LAST;
	ck_assert_int_eq(save((struct server){DONE}, our_text), 0);
	/* What a trigger keeps is noticed all the same: the base is there to be compared with afterwards. */
	ck_assert_str_eq(server.values, "99.00|42|129.00|");
	ck_assert_ptr_nonnull(strstr(server.sql, " $2 AND pg_catalog.set_config("));
}
END_TEST

/* A text that others were quicker with: what it had changed is made to theirs, and nothing else of it. */
START_TEST(only_what_a_text_changed_of_its_origin_is_its_own)
{
	static const char theirs_data[] = "{\"id\": 42, \"name\": \"Kocher\", \"price\": 50.00}";
	static const char mine[] = "{\"id\": 42, \"name\": \"Zelt\", \"price\": 99.00}";
	struct version version = version_of(theirs_data, strlen(theirs_data), NULL);
	_cleanup_text_ struct text *theirs = text_new(theirs_data, strlen(theirs_data), &version, 0);
	struct text *now = NULL;
	struct save again = {.base = theirs, .origin = base, .believed = true, .text = mine, .len = strlen(mine)};

	server = (struct server){DONE};
	fake_store_on(serve, &server);
	ck_assert_int_eq(commit_save(&sample.engine, &ref, &again, &now, &e), 0);
	ck_assert_str_eq(server.values, "99.00|42|50.00|");
	ck_assert_ptr_nonnull(strstr(now->data, "\"Kocher\""));
	text_unref(now);
}
END_TEST

START_TEST(the_transaction_that_wrote_is_told)
{
	struct text *now;

	fake_store_on(serve, &server);
	ck_assert_int_eq(save_over(&ref, base, our_text, &now), 0);
	ck_assert_uint_eq(now->xid, 900);
	ck_assert_str_eq(now->data, "{\n  \"id\": 42,\n  \"name\": \"Zelt\",\n  \"price\": 99.00,\n"
	                            "  \"total\": 258.00\n}\n");
	text_unref(now);
	ck_assert_int_eq(save_over(&ref, base, "{}", &now), 0);
	ck_assert_ptr_eq(now, base);
	text_unref(now);
}
END_TEST

START_TEST(what_the_server_refuses_is_passed_on)
{
	static const int errs[] = {EPERM, EEXIST, EACCES, EBUSY, EROFS, ESTALE, EINVAL, ENOSPC};
	int err = errs[_i];

	ck_assert_int_eq(save((struct server){REFUSED, err}, our_text), -err);
	check_error(err, "refused");
	ck_assert_str_eq(e.sqlstate, "23514");
	/* What Redis holds may be why; the kernel has nothing to hear. */
	check_events("update drop");
}
END_TEST

START_TEST(no_row_matched_and_it_is_gone)
{
	ck_assert_int_eq(save((struct server){NOTHING, .gone_after = true}, our_text), -ESTALE);
	check_error(ESTALE, "deleted by somebody else");
	check_events("update fetch drop");
}
END_TEST

START_TEST(no_row_matched_and_others_changed_it)
{
	ck_assert_int_eq(save((struct server){NOTHING, .row_after = &their_row}, our_text),
	                 -ESTALE);
	check_error(ESTALE, "\"price\" was changed by somebody else");
	ck_assert_str_eq(e.field, "price");
	ck_assert_str_ne(e.hint, "");
	check_events("update fetch drop");
}
END_TEST

START_TEST(no_row_matched_and_it_is_as_it_was)
{
	ck_assert_int_eq(save((struct server){NOTHING}, our_text), -EPERM);
	check_error(EPERM, "trigger or rule");
	check_events("update fetch drop");
}
END_TEST

/* RETURNING tells that a trigger put back what was there. */
START_TEST(a_row_that_was_kept_is_refused)
{
	ck_assert_int_eq(save((struct server){KEPT}, our_text), -EPERM);
	check_error(EPERM, "kept the row as it was");
	check_events("update fetch drop");
	/* Whoever changes it at that moment is not to blame. */
	ck_assert_int_eq(save((struct server){KEPT, .row_after = &their_row}, our_text), -EPERM);
	check_error(EPERM, "kept the row as it was");
	events_take();
	/* A view's trigger may do what was asked and return the old row all the same. */
	ck_assert_int_eq(save((struct server){KEPT, .row_after = &our_row}, our_text), 0);
	check_events("update fetch drop tell list");
}
END_TEST

START_TEST(columns_without_a_grant_are_named)
{
	static struct column columns[] = {
	        {.name = (char *)"a", .can_update = true},
	        {.name = (char *)"b", .can_insert = true},
	        {.name = (char *)"c"},
	};
	static const struct relation relation = {.columns = columns, .n_columns = 3};
	static const bool all[] = {true, true, true}, first[] = {true, false, false};

	e = (struct error){.err = EACCES, .sqlstate = "42501"};
	commit_forbidden(&relation, all, false, &e);
	ck_assert_str_eq(e.detail, "column \"b\", column \"c\": this role may not change it");
	ck_assert_str_eq(e.field, "b");
	e = (struct error){.err = EACCES, .sqlstate = "42501"};
	commit_forbidden(&relation, all, true, &e);
	ck_assert_str_eq(e.detail, "column \"a\", column \"c\": this role may not give it a value");
	/* Row security has the same code. */
	e = (struct error){.err = EACCES, .sqlstate = "42501"};
	commit_forbidden(&relation, first, false, &e);
	ck_assert_str_eq(e.detail, "");
}
END_TEST

START_TEST(no_row_matched_because_it_is_as_we_want_it)
{
	ck_assert_int_eq(save((struct server){NOTHING, .row_after = &our_row}, our_text), 0);
	check_events("update fetch drop tell list");
}
END_TEST

/* Of several columns, the one that is named is the one that is neither ours nor the base's. */
START_TEST(the_column_in_conflict_is_named)
{
	static const struct fake_row rows[] = {
	        {"5", NULL, "42", "Kocher", "99.00", "0"}, /* name theirs, price ours */
	        {"5", NULL, "42", "Plane", "1.00", "0"},   /* name ours, price theirs */
	        {"5", NULL, "42", "Kocher", "1.00", "0"},  /* both theirs */
	        {"5", NULL, "42", "Kocher", "129.00", "0"}, {"5", NULL, "42", "Zelt", "1.00", "0"},
	};
	static const char *const names[] = {"name", "price", "name", "name", "price"};

	ck_assert_int_eq(save((struct server){NOTHING, .row_after = &rows[_i]},
	                      "{\"price\": 99, \"name\": \"Plane\"}"),
	                 -ESTALE);
	ck_assert_str_eq(e.field, names[_i]);
}
END_TEST

START_TEST(other_columns_may_change_meanwhile)
{
	static const struct fake_row row = {"5", NULL, "42", "Kocher", "99.00", "0"};

	ck_assert_int_eq(save((struct server){NOTHING, .row_after = &row}, our_text), 0);
}
END_TEST

/* Of a view whose configured key is two rows': the statement changes neither. */
static int two_rows(void *arg, const struct fake_call *call)
{
	int r;

	if (strcmp(call->verb, "fetch") != 0)
		return 0;
	r = fake_store_line(call, &our_row);
	return r < 0 ? r : fake_store_line(call, &their_row);
}

START_TEST(no_row_matched_because_the_key_is_two_rows)
{
	struct rowref other = sample_ref(&sample, ITEMS, "42.json");
	struct relation view = *other.relation;

	view.kind = RELATION_VIEW;
	view.has_xmin = false;
	view.key_unproven = true;
	other.relation = &view;
	fake_store_on(two_rows, NULL);
	if (_i)
		ck_assert_int_eq(commit_delete(&sample.engine, &other, &e), -EPERM);
	else
		ck_assert_int_eq(save_over(&other, base, our_text, NULL),
		                 -EPERM);
	check_error(EPERM, "2 rows have this key");
	rowref_done(&other);
}
END_TEST

/* --- Refused without asking ------------------------------------------------------------------ */

START_TEST(what_is_no_row_is_not_sent)
{
	static const struct {
		const char *text, *field, *part;
	} cases[] = {
	        {"{\"price\": 1", "", ""},
	        {"[]", "", ""},
	        {"{\"colour\": \"red\"}", "", "colour"},
	        {"{\"price\": [1]}", "price", ""},
	        {"{\"total\": 1}", "total", "generated"},
	        {"{\"id\": 43}", "id", "key"},
	};

	ck_assert_int_eq(save((struct server){DONE}, cases[_i].text), -EINVAL);
	check_error(EINVAL, cases[_i].part);
	ck_assert_uint_eq(e.line, 1);
	if (*cases[_i].field)
		ck_assert_str_eq(e.field, cases[_i].field);
	check_events("");
}
END_TEST

START_TEST(a_base_of_other_columns_is_a_conflict)
{
	static const char altered[] = "{\"id\": 42, \"weight\": 3}";
	struct version version = version_of(altered, strlen(altered), NULL);
	struct text *other = text_new(altered, strlen(altered), &version, 7421);

	ck_assert_int_eq(
	        save_over(&ref, other, our_text, NULL),
	        -ESTALE);
	check_error(ESTALE, "columns have changed");
	check_events("");
	text_unref(other);
}
END_TEST

START_TEST(a_column_that_is_gone_makes_the_catalog_be_read_again)
{
	uint64_t before = counters[COUNTER_catalog_loads];

	ck_assert_int_eq(save((struct server){REFUSED, ESTALE}, our_text), -ESTALE);
	catalog_poll(sample.engine.catalog);
	ck_assert_uint_eq(counters[COUNTER_catalog_loads], before + 1);
}
END_TEST

/* --- A value that the server does not read ---------------------------------------------------- */

START_TEST(the_column_whose_value_is_refused_is_named)
{
	struct server with = {REFUSED, EINVAL, .sqlstate = "22P02", .unread = "dear"};

	ck_assert_int_eq(save(with, "{\n\"name\": \"Zelte\",\n\"price\": \"dear\"}"), -EINVAL);
	check_events("update drop value value");
	check_error(EINVAL, "column \"price\": refused");
	ck_assert_str_eq(e.field, "price");
	ck_assert_str_eq(e.sqlstate, "22P02");
	ck_assert_uint_eq(e.line, 3);
	ck_assert_uint_eq(e.column, 10);
}
END_TEST

/* Only what was sent can be to blame. */
START_TEST(a_column_that_was_not_sent_is_not_named)
{
	struct server with = {REFUSED, EINVAL, .sqlstate = "22P02", .unread = "Zelt"};

	ck_assert_int_eq(save(with, "{\"name\": \"Zelt\", \"price\": 5}"), -EINVAL);
	check_events("update drop value");
	ck_assert_str_eq(e.field, "");
}
END_TEST

START_TEST(a_value_that_nobody_refuses_is_not_named)
{
	struct server with = {REFUSED, EINVAL, .sqlstate = "22012", .unread = ""};

	ck_assert_int_eq(save(with, "{\"name\": \"Zelte\", \"price\": null}"), -EINVAL);
	check_events("update drop value"); /* NULL is every type's */
	check_error(EINVAL, "refused");
	ck_assert_str_eq(e.field, "");
	/* Nor is anything asked after another class of error. */
	with.sqlstate = "42804";
	ck_assert_int_eq(save(with, our_text), -EINVAL);
	check_events("update drop");
}
END_TEST

/* --- UPDATE whose answer was lost ------------------------------------------------------------ */

START_TEST(lost_and_ours_is_there)
{
	ck_assert_int_eq(save((struct server){LOST, .row_after = &our_row}, our_text), 0);
	check_events("update gone? fetch drop tell list");
}
END_TEST

START_TEST(lost_and_the_base_is_there_is_sent_once_more)
{
	ck_assert_int_eq(save((struct server){LOST_THEN_DONE}, our_text), 0);
	check_events("update gone? fetch update drop tell list");
}
END_TEST

START_TEST(lost_and_once_more_without_effect)
{
	ck_assert_int_eq(save((struct server){LOST_THEN_NOTHING}, our_text), -EPERM);
	check_events("update gone? fetch update fetch drop");
}
END_TEST

START_TEST(lost_and_others_are_there)
{
	check_unknown(save((struct server){LOST, .row_after = &their_row}, our_text));
	check_events("update gone? fetch drop");
}
END_TEST

START_TEST(lost_and_the_row_is_gone)
{
	check_unknown(save((struct server){LOST, .gone_after = true}, our_text));
	check_events("update gone? fetch drop");
}
END_TEST

START_TEST(lost_and_no_reading_either)
{
	sample.engine.settle_ms = 0;
	ck_assert_int_eq(save((struct server){LOST, .blind_after = true}, our_text), -EIO);
	check_error(EIO, "outcome unknown");
	check_events("update gone? fetch drop");
}
END_TEST

/* A server that restarts cannot be read for a while. */
START_TEST(lost_and_read_again_once_it_is_back)
{
	ck_assert_int_eq(save((struct server){LOST, .row_after = &our_row, .blind = 2}, our_text),
	                 0);
	check_events("update gone? fetch fetch fetch drop tell list");
}
END_TEST

START_TEST(lost_again_and_again)
{
	check_unknown(save((struct server){LOST}, our_text));
	check_events("update gone? fetch update gone? fetch update gone? fetch drop");
}
END_TEST

/* While the server process still works on it, the row may yet change. */
START_TEST(lost_and_the_server_process_takes_its_time)
{
	fake_store_gone(1, 3);
	ck_assert_int_eq(save((struct server){LOST, .row_after = &our_row}, our_text), 0);
	check_events("update gone? gone? gone? gone? fetch drop tell list");
}
END_TEST

START_TEST(lost_and_nobody_can_say_for_long)
{
	int64_t began = clock_monotonic_ms(), took;

	ck_assert_int_eq(sample.engine.settle_ms, COMMIT_SETTLE_MS);
	sample.engine.settle_ms = 300;
	fake_store_gone(-EIO, 0);
	check_unknown(save((struct server){LOST, .row_after = &our_row}, our_text));
	took = clock_monotonic_ms() - began;
	ck_assert_int_ge(took, 300);
	ck_assert_int_le(took, 3000);
	ck_assert_uint_eq(fake_store_count("update"), 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("commit_update");
	TCase *test;

	test = add_case(suite, "update", open_all, close_all);
	tcase_add_test(test, nothing_changed_is_no_statement);
	tcase_add_test(test, a_change_is_one_statement_of_that_column);
	tcase_add_test(test, the_policy_says_what_is_checked);
	tcase_add_test(test, only_what_a_text_changed_of_its_origin_is_its_own);
	tcase_add_test(test, the_transaction_that_wrote_is_told);
	tcase_add_loop_test(test, what_the_server_refuses_is_passed_on, 0, 8);
	tcase_add_test(test, no_row_matched_and_it_is_gone);
	tcase_add_test(test, no_row_matched_and_others_changed_it);
	tcase_add_test(test, no_row_matched_and_it_is_as_it_was);
	tcase_add_test(test, a_row_that_was_kept_is_refused);
	tcase_add_test(test, columns_without_a_grant_are_named);
	tcase_add_test(test, no_row_matched_because_it_is_as_we_want_it);
	tcase_add_loop_test(test, no_row_matched_because_the_key_is_two_rows, 0, 2);
	tcase_add_loop_test(test, the_column_in_conflict_is_named, 0, 5);
	tcase_add_test(test, other_columns_may_change_meanwhile);
	tcase_add_loop_test(test, what_is_no_row_is_not_sent, 0, 6);
	tcase_add_test(test, a_base_of_other_columns_is_a_conflict);
	tcase_add_test(test, a_column_that_is_gone_makes_the_catalog_be_read_again);
	tcase_add_test(test, the_column_whose_value_is_refused_is_named);
	tcase_add_test(test, a_column_that_was_not_sent_is_not_named);
	tcase_add_test(test, a_value_that_nobody_refuses_is_not_named);
	test = add_case(suite, "lost", open_all, close_all);
	tcase_add_test(test, lost_and_ours_is_there);
	tcase_add_test(test, lost_and_the_base_is_there_is_sent_once_more);
	tcase_add_test(test, lost_and_once_more_without_effect);
	tcase_add_test(test, lost_and_others_are_there);
	tcase_add_test(test, lost_and_the_row_is_gone);
	tcase_add_test(test, lost_and_no_reading_either);
	tcase_add_test(test, lost_and_read_again_once_it_is_back);
	tcase_add_test(test, lost_again_and_again);
	tcase_add_test(test, lost_and_the_server_process_takes_its_time);
	tcase_add_test(test, lost_and_nobody_can_say_for_long);
	return suite_run(suite);
}
