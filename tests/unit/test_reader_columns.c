/* Readers of a table of which Redis holds some columns (columns= of its placement rule), under a feed of changes. */
#include <errno.h>
#include <string.h>

#include "fake_redis.h"
#include "reader_ask.h"
#include "rowfs/base/counters.h"

#define EPOCH "63f1c2a9-9f86d081884c7d65"
#define TABLE "63f1c2a8-2c26b46b68ffc68f"

static const char row_key[] = "r:1001:42";
static const char part_text[] = "{\n  \"id\": 42,\n  \"price\": 129.00\n}\n";
static const struct cache_proof proof = {.epoch = EPOCH, .table = TABLE, .fresh = true};
static const struct copy_terms terms = {.proof = &proof};

/* --- The world ------------------------------------------------------------------------------- */

/* The snapshot is this test's. */
static void rule(const char *columns)
{
	struct relation *relation = (struct relation *)ref.relation;
	struct error e;

	placement_done(&relation->placement);
	for (size_t i = 0; i < relation->n_columns; i++)
		relation->columns[i].cold = false;
	relation->n_cold = 0;
	relation->placement.columns = columns ? strdup(columns) : NULL;
	ck_assert_int_eq(relation_take_columns(relation, &e), 0);
}

static void open_ruled(void)
{
	sample_prepare(&sample);
	sample.settings.changes = CHANGES_AUTO;
	sample_start(&sample);
	reader_use_feed(sample.engine.reader, true);
	ref = sample_ref(&sample, ITEMS, "42.json");
	fake_store_put(&old_row);
	fake_cache_prove(EPOCH, EPOCH, ITEMS, TABLE);
	rule("price");
	events_take();
}

static struct text *text_of(const struct fake_row *row)
{
	_cleanup_buf_ struct buf data = {0};
	struct version version;
	struct text *text;

	buf_addf(&data, "{\n  \"id\": %s,\n  \"name\": \"%s\",\n  \"price\": %s,\n  \"total\": %s\n}\n", row->id, row->name,
	         row->price, row->total);
	version = version_of(data.data, data.len, NULL);
	text = text_new(data.data, data.len, &version, (uint32_t)strtoul(row->xid, NULL, 10));
	ck_assert_ptr_nonnull(text);
	return text;
}

/* As a mount would have made it under the rule that holds. */
static void put(const struct text *text)
{
	_cleanup_buf_ struct buf copy = {0};

	copy_print(ref.relation, text, &terms, &copy);
	fake_cache_put(row_key, copy.data, copy.len);
}

static void put_row(const struct fake_row *row)
{
	_cleanup_text_ struct text *text = text_of(row);

	put(text);
}

static bool holds_text(const char *text)
{
	_cleanup_buf_ struct buf value = {0};
	const char *line;

	fake_cache_peek(row_key, &value);
	line = value.data ? strchr(value.data, '\n') : NULL;
	return line && strcmp(line + 1, text) == 0;
}

static void begin_with(struct ask *ask, struct read_request request)
{
	*ask = (struct ask){.request = request, .answered = LATCH_INIT};
	ask->request.done = take_answer;
	reader_get(sample.engine.reader, &ref, &ask->request);
}

/* Nothing but the version, of which the answer need not have more. */
static struct text *get_version(void)
{
	struct ask ask;

	begin_with(&ask, (struct read_request){.version_only = true});
	ask_await(&ask);
	ck_assert_ptr_nonnull(ask.text);
	return ask.text;
}

/* What a reader sees; it must be the whole. */
static void check_read(const struct fake_row *row)
{
	_cleanup_text_ struct text *want = text_of(row);
	struct ask ask;

	ask_begin(&ask, &ref);
	ask_await(&ask);
	ck_assert_ptr_nonnull(ask.text);
	ck_assert(!ask.text->bare);
	ck_assert_str_eq(ask.text->data, want->data);
	ck_assert_uint_eq(ask.text->len, ask.text->version.size);
	ck_assert_uint_eq(ask.text->version.hash, want->version.hash);
	ck_assert_uint_eq(ask.text->xid, want->xid);
	text_unref(ask.text);
}

/* --- What is put there, and what answers without SQL ------------------------------------------ */

START_TEST(a_fill_has_the_key_and_the_columns_of_the_rule)
{
	check_read(&old_row);
	check_events("read lease fetch fill");
	ck_assert(holds_text(part_text));
}
END_TEST

START_TEST(the_version_is_answered_from_a_copy_in_part)
{
	_cleanup_text_ struct text *want = text_of(&old_row), *bare = NULL;

	put_row(&old_row);
	bare = get_version();
	check_events("read");
	ck_assert(bare->bare && bare->copied);
	ck_assert_uint_eq(bare->len, 0);
	ck_assert_str_eq(bare->data, "");
	ck_assert_uint_eq(bare->xid, 7421);
	ck_assert(version_equal(&bare->version, &want->version));
}
END_TEST

START_TEST(a_row_that_is_there_in_part_need_not_be_loaded)
{
	struct ask ask;

	put_row(&old_row);
	begin_with(&ask, (struct read_request){.load = true});
	ck_assert_int_eq(ask_end(&ask), 7421);
	check_events("read");
}
END_TEST

START_TEST(without_a_copy_the_version_comes_with_the_text)
{
	_cleanup_text_ struct text *text = get_version();

	check_events("read lease fetch fill");
	ck_assert(!text->bare);
	ck_assert_str_eq(text->data, old_text);
}
END_TEST

/* --- Joins ----------------------------------------------------------------------------------- */

START_TEST(a_read_asks_for_the_other_columns)
{
	uint64_t joined = counters[COUNTER_cache_joined], unjoined = counters[COUNTER_cache_unjoined];

	put_row(&old_row);
	check_read(&old_row);
	check_events("read cold");
	ck_assert(holds_text(part_text));
	ck_assert_uint_eq(counters[COUNTER_cache_joined], joined + 1);
	ck_assert_uint_eq(counters[COUNTER_cache_unjoined], unjoined);
}
END_TEST

START_TEST(a_read_on_the_callers_thread_does_the_same)
{
	_cleanup_text_ struct text *text = NULL;
	struct error e = {0};

	put_row(&old_row);
	ck_assert_int_eq(reader_read(sample.engine.reader, &ref, STORE_WRITE, &text, &e), 0);
	ck_assert_str_eq(text->data, old_text);
	check_events("read cold");
	text_unref(text);
	text = NULL;
	fake_store_put(&new_row);
	ck_assert_int_eq(reader_read(sample.engine.reader, &ref, STORE_WRITE, &text, &e), 0);
	ck_assert_uint_eq(text->xid, 900);
	check_events("read cold fetch");
}
END_TEST

/* And from then on that copy is not used for anything: something younger has been seen. */
START_TEST(a_row_of_another_transaction_is_read_whole)
{
	uint64_t unjoined = counters[COUNTER_cache_unjoined];
	struct text *text;

	put_row(&old_row);
	fake_store_put(&new_row);
	check_read(&new_row);
	check_events("read cold fetch");
	ck_assert(holds_text(part_text));
	ck_assert_uint_eq(counters[COUNTER_cache_unjoined], unjoined + 1);
	text = get_version();
	ck_assert_uint_eq(text->xid, 900);
	ck_assert(!text->bare);
	text_unref(text);
	check_events("read fetch");
}
END_TEST

/* The same transaction, other columns in Redis than it left: whoever put that there. */
START_TEST(parts_that_do_not_make_the_text_are_not_put_together)
{
	static const struct fake_row forged = {"7421", NULL, "42", "Zelt", "99.00", "198.00"};
	uint64_t garbage = counters[COUNTER_cache_garbage];

	put_row(&forged);
	check_read(&old_row);
	check_events("read cold lease fetch fill");
	ck_assert(holds_text(part_text));
	ck_assert_uint_eq(counters[COUNTER_cache_garbage], garbage + 1);
	check_read(&old_row);
	check_events("read cold");
}
END_TEST

START_TEST(a_row_that_is_gone_is_gone)
{
	put_row(&old_row);
	fake_store_remove("42");
	ck_assert_int_eq(get(&ref), -ENOENT);
	check_events("read cold fetch");
}
END_TEST

static int refuse_cold(void *arg, const struct fake_call *call)
{
	if (strcmp(call->verb, "cold") != 0)
		return FAKE_PASS;
	return *(int *)arg ? fake_refuse(call, EACCES, "42501") : fake_refuse(call, ESTALE, "42703");
}

START_TEST(what_postgresql_refuses_is_refused_but_for_a_column_that_is_gone)
{
	fake_store_on(refuse_cold, &_i);
	put_row(&old_row);
	ck_assert_int_eq(get(&ref), _i ? -EACCES : 7421);
	check_events(_i ? "read cold" : "read cold fetch");
}
END_TEST

START_TEST(a_text_that_memory_has_no_room_for_is_refused)
{
	struct ask ask;

	put_row(&old_row);
	text_set_limit(strlen(old_text) - 1);
	ask_begin(&ask, &ref);
	ck_assert_int_eq(ask_end(&ask), -ENOMEM);
	ck_assert_ptr_nonnull(strstr(ask.e.message, "memory_max"));
	check_events("read cold");
	text_set_limit(UINT64_MAX);
}
END_TEST

static int save_meanwhile(void *arg, const struct fake_call *call)
{
	if (strcmp(call->verb, "cold") != 0)
		return FAKE_PASS;
	fake_line(call, 3, "7421", "Zelt", "258.00");
	fake_store_put(&new_row);
	reader_saved(sample.engine.reader, &ref, 900);
	return 0;
}

/* As with any flight. */
START_TEST(after_a_save_during_a_join_nothing_older_is_used)
{
	fake_store_on(save_meanwhile, NULL);
	put_row(&old_row);
	ck_assert_int_eq(get(&ref), 7421);
	fake_store_on(NULL, NULL);
	put_row(&old_row);
	events_take();
	check_read(&new_row);
	check_events("read fetch");
}
END_TEST

/* --- Other rules ----------------------------------------------------------------------------- */

START_TEST(a_whole_copy_is_as_good_as_ever)
{
	rule(NULL);
	put_row(&old_row);
	rule("price");
	check_read(&old_row);
	check_events("read");
}
END_TEST

static const struct {
	const char *columns, *text;
} rules[] = {{NULL, old_text}, {"name", "{\n  \"id\": 42,\n  \"name\": \"Zelt\"\n}\n"}};

START_TEST(a_copy_of_another_rule_tells_the_version_and_gives_way_to_who_reads)
{
	uint64_t garbage = counters[COUNTER_cache_garbage];
	struct text *bare;

	put_row(&old_row);
	rule(rules[_i].columns);
	bare = get_version();
	ck_assert(bare->bare);
	text_unref(bare);
	check_events("read");
	check_read(&old_row);
	check_events("read lease fetch fill");
	ck_assert(holds_text(rules[_i].text));
	ck_assert_uint_eq(counters[COUNTER_cache_garbage], garbage);
}
END_TEST

START_TEST(a_copy_of_another_rule_gives_way_to_who_loads)
{
	struct ask ask;

	put_row(&old_row);
	rule(NULL);
	begin_with(&ask, (struct read_request){.load = true});
	ck_assert_int_eq(ask_end(&ask), 7421);
	check_events("read lease fetch fill");
	ck_assert(holds_text(old_text));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("reader_columns");
	TCase *test = tcase_create("columns");

	tcase_set_timeout(test, 30);
	tcase_add_checked_fixture(test, open_ruled, close_all);
	tcase_add_test(test, a_fill_has_the_key_and_the_columns_of_the_rule);
	tcase_add_test(test, the_version_is_answered_from_a_copy_in_part);
	tcase_add_test(test, a_row_that_is_there_in_part_need_not_be_loaded);
	tcase_add_test(test, without_a_copy_the_version_comes_with_the_text);
	tcase_add_test(test, a_read_asks_for_the_other_columns);
	tcase_add_test(test, a_read_on_the_callers_thread_does_the_same);
	tcase_add_test(test, a_row_of_another_transaction_is_read_whole);
	tcase_add_test(test, parts_that_do_not_make_the_text_are_not_put_together);
	tcase_add_test(test, a_row_that_is_gone_is_gone);
	tcase_add_loop_test(test, what_postgresql_refuses_is_refused_but_for_a_column_that_is_gone, 0, 2);
	tcase_add_test(test, a_text_that_memory_has_no_room_for_is_refused);
	tcase_add_test(test, after_a_save_during_a_join_nothing_older_is_used);
	tcase_add_test(test, a_whole_copy_is_as_good_as_ever);
	tcase_add_loop_test(test, a_copy_of_another_rule_tells_the_version_and_gives_way_to_who_reads, 0,
	                    sizeof rules / sizeof *rules);
	tcase_add_test(test, a_copy_of_another_rule_gives_way_to_who_loads);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
