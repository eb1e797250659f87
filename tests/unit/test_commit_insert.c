#include "commit_server.h"
#include "fake_cache.h"
#include "rowfs/engine/copy.h"

/* --- INSERT ---------------------------------------------------------------------------------- */

static const struct fake_row inserted = {"900", NULL, "43", "Plane", "5.00", "10.00"};
static const struct fake_row others_43 = {"901", NULL, "43", "Kocher", "5.00", "10.00"};
static const char new_text[] = "{\"name\": \"Plane\", \"price\": 5}";

static int insert(struct server with, const char *text)
{
	struct rowref other = sample_ref(&sample, ITEMS, "43.json");
	int r;

	server = with;
	fake_store_on(serve, &server);
	r = save_over(&other, NULL, text, NULL);
	rowref_done(&other);
	return r;
}

static int insert_new(struct server with, const char *text)
{
	server = with;
	fake_store_on(serve, &server);
	return commit_new(&sample.engine, ITEMS, text, strlen(text), &e);
}

START_TEST(an_insert_takes_its_key_from_the_name)
{
	ck_assert_int_eq(insert((struct server){DONE}, new_text), 0);
	ck_assert_str_eq(server.values, "43|Plane|5|");
	check_events("insert drop tell list");
	ck_assert_uint_eq(fake_kernel_told(ITEMS, "43.json"), 1);
	ck_assert_int_eq(insert((struct server){DONE}, "{\"id\": 43}"), 0);
	ck_assert_str_eq(server.values, "43|");
}
END_TEST

START_TEST(an_insert_that_cannot_be_is_not_sent)
{
	static const char *const texts[] = {"{\"id\": 44}", "{\"colour\": 1}", "{"};
	static const char *const fields[] = {"id", "", ""};

	ck_assert_int_eq(insert((struct server){DONE}, texts[_i]), -EINVAL);
	ck_assert_str_eq(e.field, fields[_i]);
	check_events("");
}
END_TEST

START_TEST(the_column_of_an_insert_is_named_too)
{
	struct server with = {REFUSED, EINVAL, .sqlstate = "22P02", .unread = "dear"};

	ck_assert_int_eq(insert(with, "{\"price\": \"dear\"}"), -EINVAL);
	ck_assert_str_eq(e.field, "price");
	ck_assert_int_eq(insert_new(with, "{\"price\": \"dear\"}"), -EINVAL);
	ck_assert_str_eq(e.field, "price");
}
END_TEST

START_TEST(a_duplicate_is_told)
{
	ck_assert_int_eq(insert((struct server){REFUSED, EEXIST}, new_text), -EEXIST);
	check_events("insert");
}
END_TEST

START_TEST(an_insert_that_inserts_nothing_is_told)
{
	ck_assert_int_eq(insert((struct server){NOTHING}, new_text), -EPERM);
	check_error(EPERM, "trigger or rule");
	check_events("insert");
}
END_TEST

START_TEST(an_insert_lost_and_there)
{
	ck_assert_int_eq(insert((struct server){LOST, .row_after = &inserted}, new_text), 0);
	check_events("insert gone? fetch drop tell list");
}
END_TEST

START_TEST(an_insert_lost_and_not_there_is_sent_once_more)
{
	ck_assert_int_eq(insert((struct server){LOST_THEN_DONE}, new_text), 0);
	check_events("insert gone? fetch insert drop tell list");
	ck_assert_int_eq(insert((struct server){LOST_THEN_NOTHING}, new_text), -EPERM);
	check_events("insert gone? fetch insert");
}
END_TEST

START_TEST(an_insert_lost_and_others_are_there)
{
	check_unknown(insert((struct server){LOST, .row_after = &others_43}, new_text));
	check_events("insert gone? fetch");
}
END_TEST

START_TEST(an_insert_lost_and_no_reading_either)
{
	sample.engine.settle_ms = 0;
	ck_assert_int_eq(insert((struct server){LOST, .blind_after = true}, new_text), -EIO);
	check_error(EIO, "outcome unknown");
	check_events("insert gone? fetch");
}
END_TEST

START_TEST(an_insert_lost_again_and_again)
{
	check_unknown(insert((struct server){LOST}, new_text));
	check_events("insert gone? fetch insert gone? fetch insert gone? fetch");
}
END_TEST

/* --- Long keys ------------------------------------------------------------------------------- */

START_TEST(a_long_key_must_be_in_the_text_that_is_inserted)
{
	_cleanup_buf_ struct buf text = {0};

	ck_assert_int_eq(save_over(&long_ref, NULL, "{}", NULL), -EINVAL);
	check_error(EINVAL, "which the text must have");
	buf_addf(&text, "{\"id\": 1, \"name\": \"%.299s\"}", long_key);
	ck_assert_int_eq(save_over(&long_ref, NULL, text.data, NULL),
	                 -EINVAL);
	check_error(EINVAL, "not the one that the name stands for");
	check_events("");
	buf_reset(&text);
	buf_addf(&text, "{\"id\": 1, \"name\": \"%s\"}", long_key);
	ck_assert_int_eq(save_over(&long_ref, NULL, text.data, NULL), 0);
	check_events("insert drop tell list");
}
END_TEST

/* --- .new.json ------------------------------------------------------------------------------- */

static void check_last_insert(const char *want)
{
	_cleanup_buf_ struct buf path = {0};

	buf_adds(&path, "");
	engine_print_last_insert(&sample.engine, &path);
	ck_assert_str_eq(path.data, want);
}

START_TEST(a_new_row_gets_the_servers_key)
{
	check_last_insert("");
	ck_assert_int_eq(insert_new((struct server){DONE}, new_text), 0);
	ck_assert_str_eq(server.values, "Plane|5|");
	check_events("insert drop tell list");
	check_last_insert("public/items/77.json\n");
	ck_assert_uint_eq(fake_kernel_told(ITEMS, "77.json"), 1);
	sample.settings.schema = strdup("public");
	ck_assert_int_eq(insert_new((struct server){DONE}, "{}"), 0);
	check_last_insert("items/77.json\n");
}
END_TEST

/* The key was another row's, which somebody deleted; its copy may still be there, or the UNLINK of it get
 * lost. */
START_TEST(a_new_row_is_not_followed_by_the_one_before_it)
{
	static const struct fake_row before = {"899", NULL, "77", "Kocher", "7.00", "14.00"};
	static const struct fake_row now = {"900", NULL, "77", "Plane", "5.00", "10.00"};
	struct rowref other = sample_ref(&sample, ITEMS, "77.json");
	_cleanup_buf_ struct buf copy = {0};
	_cleanup_text_ struct text *text = NULL, *found = NULL;

	fake_store_put(&before);
	text = read_row(&other);
	copy_print(other.relation, text, &(struct copy_terms){.ttl_ms = 60000}, &copy);
	fake_cache_put("a:1001:77", copy.data, copy.len);
	fake_cache_lose_drops(_i);
	fake_store_put(&now);
	ck_assert_int_eq(insert_new((struct server){DONE}, new_text), 0);
	ck_assert_int_eq(reader_read(sample.engine.reader, &other, STORE_READ, &found, &e), 0);
	ck_assert_uint_eq(found->xid, 900);
	rowref_done(&other);
}
END_TEST

START_TEST(a_new_row_that_is_refused_is_no_last_insert)
{
	ck_assert_int_eq(insert_new((struct server){REFUSED, EEXIST}, new_text), -EEXIST);
	check_events("insert");
	ck_assert_int_eq(insert_new((struct server){NOTHING}, new_text), -EPERM);
	check_events("insert");
	ck_assert_int_eq(insert_new((struct server){DONE}, "{"), -EINVAL);
	check_events("");
	ck_assert_int_eq(commit_new(&sample.engine, 9999, "{}", 2, &e), -ESTALE);
	check_events("");
	check_last_insert("");
}
END_TEST

/* Nobody knows its key, so nobody can look; a second one could be a second row. */
START_TEST(a_new_row_whose_answer_was_lost_is_not_sent_again)
{
	check_unknown(insert_new((struct server){LOST}, new_text));
	ck_assert_uint_eq(fake_store_count("insert"), 1);
}
END_TEST

/* --- Names ----------------------------------------------------------------------------------- */

static int check_name(uint32_t oid, const char *name)
{
	struct rowref other = sample_ref(&sample, oid, name);
	int r = commit_check_name(&sample.engine, &other, &e);

	rowref_done(&other);
	return r;
}

START_TEST(only_types_with_a_spelling_of_their_own_are_asked_about)
{
	ck_assert_int_eq(check_name(ITEMS, "42.json"), 0);
	ck_assert_int_eq(check_name(NAMED, "a b.json"), 0);
	check_events("");
	ck_assert_int_eq(check_name(PRICED, "129.00.json"), 0);
	check_events("canonical");
	ck_assert_int_eq(check_name(PRICED, "129.json"), -EINVAL);
	check_error(EINVAL, "spells this key differently");
	ck_assert_int_eq(check_name(PRICED, "cheap.json"), -EINVAL);
	check_error(EINVAL, "22P02");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("commit_insert");
	TCase *test;

	test = add_case(suite, "insert", open_all, close_all);
	tcase_add_test(test, an_insert_takes_its_key_from_the_name);
	tcase_add_loop_test(test, an_insert_that_cannot_be_is_not_sent, 0, 3);
	tcase_add_test(test, the_column_of_an_insert_is_named_too);
	tcase_add_test(test, a_duplicate_is_told);
	tcase_add_test(test, an_insert_that_inserts_nothing_is_told);
	tcase_add_test(test, an_insert_lost_and_there);
	tcase_add_test(test, an_insert_lost_and_not_there_is_sent_once_more);
	tcase_add_test(test, an_insert_lost_and_others_are_there);
	tcase_add_test(test, an_insert_lost_and_no_reading_either);
	tcase_add_test(test, an_insert_lost_again_and_again);
	tcase_add_test(test, a_new_row_gets_the_servers_key);
	tcase_add_loop_test(test, a_new_row_is_not_followed_by_the_one_before_it, 0, 2);
	tcase_add_test(test, a_new_row_that_is_refused_is_no_last_insert);
	tcase_add_test(test, a_new_row_whose_answer_was_lost_is_not_sent_again);
	tcase_add_test(test, only_types_with_a_spelling_of_their_own_are_asked_about);
	test = add_case(suite, "long", open_long, close_long);
	tcase_add_test(test, a_long_key_must_be_in_the_text_that_is_inserted);
	return suite_run(suite);
}
