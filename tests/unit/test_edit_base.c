/* What the saves of a handle are compared with. */
#include "edit_handle.h"
#include "fake_cache.h"
#include "rowfs/engine/copy.h"

/* --- The second save of a handle ------------------------------------------------------------- */

/* What the row is after a save is for PostgreSQL to say: a trigger may have changed it. */
START_TEST(the_next_save_is_compared_with_the_row_as_it_is_then)
{
	static const struct fake_row row = {"900", NULL, "42", "Zelt", "99.99", "199.98"};
	struct edit *edit = open_row(true);

	use_server((struct server){LATCH_INIT});
	write_at(edit, 0, our_text);
	ck_assert_int_eq(flush_by(edit, ME), 0);
	check_events("update drop tell list");
	fake_store_put(&row);
	write_at(edit, 0, "{\"price\": 98.00}\n");
	ck_assert_int_eq(flush_by(edit, ME), 0);
	check_events("fetch update drop tell list");
	ck_assert_str_eq(server.values, "98.00|42|99.99|");
	edit_close(edit);
}
END_TEST

/* What others write after our save is no less theirs because we have saved before. */
START_TEST(the_next_save_takes_nothing_that_others_wrote_between)
{
	static const struct fake_row theirs = {"901", NULL, "42", "Kocher", "50.00", "100.00"};
	struct edit *edit = open_row(true);

	use_server((struct server){LATCH_INIT, .none = 2});
	write_at(edit, 0, our_text);
	ck_assert_int_eq(flush_by(edit, ME), 0);
	fake_store_put(&theirs);
	write_at(edit, 11, "8");
	ck_assert_int_eq(flush_by(edit, ME), -ESTALE);
	ck_assert_str_eq(server.values, "98.00|42|99.00|");
	check_events("update drop tell list fetch update fetch drop");
	edit_close(edit);
	check_kept(1, "{\"price\": 98.00}\n");
}
END_TEST

static const char whole_text[] = "{\"name\": \"Zelt\", \"price\": 99.00}";

/* The server of a relation without xmin. */
static int serve_view(void *arg, const struct fake_call *call)
{
	int r = serve(arg, call);
	size_t n = strcmp(call->verb, "insert") == 0 ? 2 : 1; /* only that tells the key */

	return r == FAKE_PASS && call->statement->writes ? fake_line(call, n, NULL, "42") : r;
}

/* What the text did not change is not written back over what a trigger made of it. */
START_TEST(the_next_save_leaves_what_a_trigger_made)
{
	static const struct fake_row row = {"900", NULL, "42", "Standard", "99.00", "198.00"};
	struct edit *edit = open_row(true);

	use_server((struct server){LATCH_INIT});
	write_at(edit, 0, whole_text);
	ck_assert_int_eq(flush_by(edit, ME), 0);
	fake_store_put(&row);
	write_at(edit, 0, "{\"name\": \"Zelt\", \"price\": 98.00}");
	ck_assert_int_eq(flush_by(edit, ME), 0);
	ck_assert_str_eq(server.values, "98.00|42|99.00|");
	edit_close(edit);
}
END_TEST

/* Nor where nobody can tell whether it is still our row. */
START_TEST(the_next_save_of_a_view_takes_nothing_that_others_wrote_between)
{
	static const struct fake_row before = {NULL, NULL, "42", "Zelt", "129.00", "258.00"};
	static const struct fake_row theirs = {NULL, NULL, "42", "Kocher", "99.00", "198.00"};
	struct relation view = *ref.relation;
	struct edit *edit;

	view.kind = RELATION_VIEW;
	view.has_xmin = false;
	ref.relation = &view;
	fake_store_put(&before);
	edit = open_row(true);
	use_server((struct server){LATCH_INIT});
	fake_store_on(serve_view, NULL);
	write_at(edit, 0, whole_text);
	ck_assert_int_eq(flush_by(edit, ME), 0);
	ck_assert_str_eq(server.values, "99.00|42|129.00|");
	fake_store_put(&theirs);
	write_at(edit, 0, "{\"name\": \"Zelt\", \"price\": 98.00}");
	ck_assert_int_eq(flush_by(edit, ME), 0);
	ck_assert_str_eq(server.values, "98.00|42|99.00|");
	edit_close(edit);
}
END_TEST

START_TEST(the_save_after_an_insert_takes_nothing_that_others_wrote_between)
{
	static const struct fake_row theirs = {"901", NULL, "42", "Kocher", "99.00", "198.00"};
	struct edit *edit = create_row();

	use_server((struct server){LATCH_INIT});
	if (_i)
		fake_store_on(serve_view, NULL);
	write_at(edit, 0, whole_text);
	ck_assert_int_eq(flush_by(edit, ME), 0);
	fake_store_put(&theirs);
	write_at(edit, 0, "{\"name\": \"Zelt\", \"price\": 98.00}");
	ck_assert_int_eq(flush_by(edit, ME), 0);
	ck_assert_str_eq(server.values, "98.00|42|99.00|");
	edit_close(edit);
}
END_TEST

/* What the text did not have is what the database made of it, as long as nobody else has been there. */
START_TEST(the_save_after_an_insert_knows_what_the_database_made)
{
	static const struct fake_row ours = {"900", NULL, "42", "Standard", "99.99", "199.98"};
	struct edit *edit = create_row();

	use_server((struct server){LATCH_INIT});
	write_at(edit, 0, our_text);
	ck_assert_int_eq(flush_by(edit, ME), 0);
	fake_store_put(&ours);
	ck_assert_int_eq(edit_truncate(edit, 0), 0);
	write_at(edit, 0, "{\"name\": \"Zelt\", \"price\": 98}");
	ck_assert_int_eq(flush_by(edit, ME), 0);
	ck_assert_str_eq(server.values, "Zelt|98|42|Standard|99.99|");
	edit_close(edit);
}
END_TEST

/* And what it did not have, nor anybody knows, is not taken for what the text says now. */
START_TEST(the_save_after_an_insert_writes_null_where_it_does_not_know)
{
	static const struct fake_row theirs = {"901", NULL, "42", "Kocher", "99.00", "198.00"};
	struct edit *edit = create_row();

	use_server((struct server){LATCH_INIT, .none = 2});
	write_at(edit, 0, our_text);
	ck_assert_int_eq(flush_by(edit, ME), 0);
	fake_store_put(&theirs);
	ck_assert_int_eq(edit_truncate(edit, 0), 0);
	write_at(edit, 0, "{\"name\": null, \"price\": 99}");
	ck_assert_int_eq(flush_by(edit, ME), -ESTALE);
	ck_assert_uint_eq(server.writes, 2);
	ck_assert_str_eq(server.values, "(null)|42|(null)|");
	edit_close(edit);
}
END_TEST

START_TEST(a_row_that_went_after_a_save_is_a_conflict)
{
	struct edit *edit = open_row(true);

	write_at(edit, 0, our_text);
	ck_assert_int_eq(flush_by(edit, ME), 0);
	fake_store_remove("42");
	write_at(edit, 11, "8");
	ck_assert_int_eq(flush_by(edit, ME), -ESTALE);
	check_events("update drop tell list fetch");
	edit_close(edit);
	check_kept(1, "{\"price\": 98.00}\n");
}
END_TEST

/* --- A base that is a copy ------------------------------------------------------------------- */

static const struct fake_row changed_row = {"901", NULL, "42", "Zelt", "1.00", "2.00"};

/* Redis has the row as it was, and somebody has changed it since: a handle with the copy for its base. */
static struct text *read_copy(void)
{
	_cleanup_text_ struct text *text = NULL;
	_cleanup_buf_ struct buf copy = {0};
	struct text *base;

	ck_assert_int_eq(reader_fetch(sample.engine.reader, &ref, STORE_READ, &text, NULL), 0);
	copy_print(ref.relation, text, &(struct copy_terms){.ttl_ms = 60000}, &copy);
	fake_cache_put("a:1001:42", copy.data, copy.len);
	fake_store_put(&changed_row);
	ck_assert_int_eq(reader_read(sample.engine.reader, &ref, STORE_READ, &base, NULL), 0);
	ck_assert_uint_eq(base->xid, 7421);
	events_take();
	return base;
}

START_TEST(what_equals_an_old_copy_is_saved_all_the_same)
{
	_cleanup_text_ struct text *base = read_copy();
	struct edit *edit = open_edit((struct edit_options){EDIT_UPDATE, base, .truncated = true});

	use_server((struct server){LATCH_INIT});
	write_at(edit, 0, "{\"price\": 129.00}");
	ck_assert_int_eq(flush_by(edit, ME), 0);
	ck_assert_str_eq(server.values, "129.00|42|1.00|");
	check_events("fetch update drop tell list");
	edit_close(edit);
}
END_TEST

START_TEST(what_equals_an_old_copy_of_a_row_that_is_gone_is_a_conflict)
{
	_cleanup_text_ struct text *base = read_copy();
	struct edit *edit = open_edit((struct edit_options){EDIT_UPDATE, base, .truncated = true});

	fake_store_remove("42");
	write_at(edit, 0, "{\"price\": 129.00}");
	ck_assert_int_eq(flush_by(edit, ME), -ESTALE);
	check_kept(1, "{\"price\": 129.00}");
	edit_close(edit);
}
END_TEST

/* Bytes that were there when it was opened say nothing; nor does a row that is put back as it was, if it is there. */
START_TEST(what_was_left_as_it_was_is_not_saved)
{
	_cleanup_text_ struct text *base = read_copy();
	struct edit *edit;

	if (_i) {
		names_event(sample.engine.names, ITEMS, "42.json", NAME_MOVED_AWAY, base);
		names_event(sample.engine.names, ITEMS, "42.json", NAME_CREATED, NULL);
	}
	edit = open_edit((struct edit_options){EDIT_UPDATE, base, .truncated = _i, .created = _i});
	ck_assert_int_eq(edit_truncate(edit, 0), 0); /* as python's r+ does on its way */
	write_at(edit, 0, base_text);
	ck_assert_int_eq(flush_by(edit, ME), 0);
	check_events("fetch");
	edit_close(edit);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("edit_base");
	TCase *test;

	test = add_case(suite, "second");
	tcase_add_test(test, the_next_save_is_compared_with_the_row_as_it_is_then);
	tcase_add_test(test, the_next_save_takes_nothing_that_others_wrote_between);
	tcase_add_test(test, the_next_save_leaves_what_a_trigger_made);
	tcase_add_test(test, the_next_save_of_a_view_takes_nothing_that_others_wrote_between);
	tcase_add_loop_test(test, the_save_after_an_insert_takes_nothing_that_others_wrote_between, 0, 2);
	tcase_add_test(test, the_save_after_an_insert_knows_what_the_database_made);
	tcase_add_test(test, the_save_after_an_insert_writes_null_where_it_does_not_know);
	tcase_add_test(test, a_row_that_went_after_a_save_is_a_conflict);
	test = add_case(suite, "copy");
	tcase_add_test(test, what_equals_an_old_copy_is_saved_all_the_same);
	tcase_add_test(test, what_equals_an_old_copy_of_a_row_that_is_gone_is_a_conflict);
	tcase_add_loop_test(test, what_was_left_as_it_was_is_not_saved, 0, 2);
	return suite_run(suite);
}
