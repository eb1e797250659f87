#include "rowfs/engine/commit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "events.h"
#include "fake_cache.h"
#include "fake_kernel.h"
#include "fake_store.h"
#include "rowfs/base/clock.h"
#include "rowfs/base/counters.h"
#include "sample_engine.h"
#include "suite.h"

static const struct fake_row base_row = {"7421", NULL, "42", "Zelt", "129.00", "258.00"};
static const struct fake_row our_row = {"900", NULL, "42", "Zelt", "99.00", "198.00"};
static const struct fake_row their_row = {"901", NULL, "42", "Zelt", "1.00", "2.00"};
static const char our_text[] = "{\"price\": 99.00}";

static struct sample sample;
static struct rowref ref; /* of row 42 of the items */
static struct text *base; /* what it was when it was read */
static struct error e;

static struct text *read_row(const struct rowref *which)
{
	struct text *text;

	ck_assert_int_eq(reader_fetch(sample.engine.reader, which, STORE_READ, &text, NULL), 0);
	events_take();
	return text;
}

static void open_all(void)
{
	sample_open(&sample);
	ref = sample_ref(&sample, ITEMS, "42.json");
	fake_store_put(&base_row);
	base = read_row(&ref);
}

static void close_all(void)
{
	text_unref(base);
	rowref_done(&ref);
	sample_close(&sample);
	ck_assert_uint_eq(text_bytes(), 0);
}

/* --- What the server does -------------------------------------------------------------------- */

enum fate { DONE, NOTHING, REFUSED, LOST, LOST_THEN_DONE, LOST_THEN_NOTHING };

/* The fate of writes, and what the row is after the first. */
struct server {
	enum fate fate;
	int err;              /* REFUSED */
	const char *sqlstate; /* "23514" if NULL */
	const struct fake_row *row_after;
	bool gone_after;    /* instead: no row */
	bool blind_after;   /* reads fail */
	unsigned blind;     /* so many reads fail */
	const char *unread; /* a value that its type does not read */
	unsigned writes;
	char sql[1000]; /* of the last write */
	char values[400];
};

static void remember(struct server *server, const struct statement *statement)
{
	size_t len = 0;

	snprintf(server->sql, sizeof(server->sql), "%s", statement->sql);
	for (size_t i = 0; i < statement->n && len < sizeof(server->values); i++)
		len += (size_t)snprintf(server->values + len, sizeof(server->values) - len, "%s|",
		                        statement->values[i].data ? statement->values[i].data
		                                                  : "NULL");
}

static int serve(void *arg, const struct fake_call *call)
{
	struct server *server = arg;

	if (strcmp(call->verb, "value") == 0)
		return strcmp(call->statement->values[0].data, server->unread) == 0
		               ? fake_refuse(call, EINVAL, "22P02")
		               : 0;
	if (!call->statement->writes && server->writes && (server->blind_after || server->blind)) {
		server->blind -= server->blind > 0;
		return fake_refuse(call, EIO, "08006");
	}
	if (!call->statement->writes)
		return FAKE_PASS;
	ck_assert_int_eq(call->set, STORE_WRITE);
	remember(server, call->statement);
	if (server->writes++ == 0 && server->row_after)
		fake_store_put(server->row_after);
	if (server->gone_after)
		fake_store_remove("42");
	switch (server->fate) {
	case NOTHING:
		return 0;
	case REFUSED:
		return fake_refuse(call, server->err,
		                   server->sqlstate ? server->sqlstate : "23514");
	case LOST:
		return fake_lose(call);
	case LOST_THEN_DONE:
		return server->writes == 1 ? fake_lose(call) : FAKE_PASS;
	case LOST_THEN_NOTHING:
		return server->writes == 1 ? fake_lose(call) : 0;
	default:
		return FAKE_PASS;
	}
}

static struct server server;

/* Save our text over the base. */
static int save(struct server with, const char *text)
{
	server = with;
	fake_store_on(serve, &server);
	return commit_update(&sample.engine, &ref, base, text, strlen(text), &e);
}

static void check_events(const char *want)
{
	ck_assert_str_eq(events_take(), want);
}

static void check_error(int err, const char *part)
{
	ck_assert_int_eq(e.err, err);
	ck_assert_msg(strstr(e.message, part), "\"%s\" is not in: %s", part, e.message);
}

static void check_unknown(int r)
{
	ck_assert_int_eq(r, -EIO);
	check_error(EIO, "outcome unknown");
	ck_assert_str_eq(e.detail, "the connection to PostgreSQL was lost");
}

/* --- UPDATE ---------------------------------------------------------------------------------- */

START_TEST(nothing_changed_is_no_statement)
{
	static const char *const texts[] = {"{}", "{\"price\": 129}",
	                                    "{\"name\":\"Zelt\",\"id\":\"42\",\"total\":2.58e2}",
	                                    "{\n  \"id\": 42,\n  \"name\": \"Zelt\",\n  \"price\": "
	                                    "129.00,\n  \"total\": 258.00\n}\n"};
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
	check_events("update drop tell");
	ck_assert_ptr_nonnull(strstr(server.sql, "SET \"price\" = $1 WHERE"));
	ck_assert_ptr_null(strstr(server.sql, "\"name\""));
	ck_assert_str_eq(server.values, "99.00|42|129.00|");
	ck_assert_uint_eq(fake_kernel_told(ITEMS, "42.json"), 1);
	ck_assert_uint_eq(counters[COUNTER_commits], before + 1);
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

START_TEST(no_row_matched_because_it_is_as_we_want_it)
{
	ck_assert_int_eq(save((struct server){NOTHING, .row_after = &our_row}, our_text), 0);
	check_events("update fetch drop tell");
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

/* --- UPDATE whose answer was lost ------------------------------------------------------------ */

START_TEST(lost_and_ours_is_there)
{
	ck_assert_int_eq(save((struct server){LOST, .row_after = &our_row}, our_text), 0);
	check_events("update gone? fetch drop tell");
}
END_TEST

START_TEST(lost_and_the_base_is_there_is_sent_once_more)
{
	ck_assert_int_eq(save((struct server){LOST_THEN_DONE}, our_text), 0);
	check_events("update gone? fetch update drop tell");
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
	check_events("update gone? fetch fetch fetch drop tell");
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
	check_events("update gone? gone? gone? gone? fetch drop tell");
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

/* Grants are the server's to judge, and it says so better; a table without a key has no row to
 * name. */
START_TEST(a_table_without_a_key_is_not_asked)
{
	struct rowref other = sample_ref(&sample, READONLY, "42.json");
	struct relation keyless = *other.relation;

	keyless.key_kind = KEY_CTID;
	other.relation = &keyless;

	ck_assert_int_eq(
	        commit_update(&sample.engine, &other, base, our_text, strlen(our_text), &e),
	        -EACCES);
	ck_assert_int_eq(commit_delete(&sample.engine, &other, &e), -EACCES);
	ck_assert_int_eq(commit_rename(&sample.engine, &other, &other, false, &e), -EACCES);
	check_events("");
	rowref_done(&other);
}
END_TEST

START_TEST(a_base_of_other_columns_is_a_conflict)
{
	static const char altered[] = "{\"id\": 42, \"weight\": 3}";
	struct version version = version_of(altered, strlen(altered), NULL);
	struct text *other = text_new(altered, strlen(altered), &version, 7421);

	ck_assert_int_eq(commit_update(&sample.engine, &ref, other, our_text, strlen(our_text), &e),
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
	r = commit_insert(&sample.engine, &other, text, strlen(text), &e);
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
	check_events("insert drop tell");
	ck_assert_uint_eq(fake_kernel_told(ITEMS, "43.json"), 1);
	ck_assert_int_eq(insert((struct server){DONE}, "{\"id\": 43}"), 0);
	ck_assert_str_eq(server.values, "43|");
}
END_TEST

START_TEST(an_insert_that_cannot_be_is_not_sent)
{
	static const char *const texts[] = {"{\"id\": 44}", "{\"total\": 1}", "{\"colour\": 1}",
	                                    "{"};
	static const char *const fields[] = {"id", "total", "", ""};

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
	check_events("insert gone? fetch drop tell");
}
END_TEST

START_TEST(an_insert_lost_and_not_there_is_sent_once_more)
{
	ck_assert_int_eq(insert((struct server){LOST_THEN_DONE}, new_text), 0);
	check_events("insert gone? fetch insert drop tell");
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

static char long_key[301];
static struct rowref long_ref;

static void open_long(void)
{
	static struct fake_row row = {"7421", NULL, "42", long_key, "129.00", "258.00"};
	struct cell cell = {long_key, sizeof(long_key) - 1};
	_cleanup_buf_ struct buf name = {0};

	open_all();
	memset(long_key, 'k', sizeof(long_key) - 1);
	name_print(&cell, 1, &name);
	fake_store_put(&row);
	long_ref = sample_ref(&sample, NAMED, name.data);
	ck_assert_str_ne(long_ref.hash, "");
	fake_store_on(serve, &server);
}

static void close_long(void)
{
	rowref_done(&long_ref);
	close_all();
}

START_TEST(a_long_key_is_taken_from_the_rows_text)
{
	_cleanup_text_ struct text *long_base = read_row(&long_ref);

	ck_assert_int_eq(
	        commit_update(&sample.engine, &long_ref, long_base, our_text, strlen(our_text), &e),
	        0);
	check_events("update drop tell");
	ck_assert_ptr_nonnull(strstr(server.values, long_key));
	ck_assert_int_eq(commit_delete(&sample.engine, &long_ref, &e), 0);
	check_events("fetch delete drop tell");
	ck_assert_ptr_nonnull(strstr(server.values, long_key));
}
END_TEST

START_TEST(a_long_key_must_be_in_the_text_that_is_inserted)
{
	_cleanup_buf_ struct buf text = {0};

	ck_assert_int_eq(commit_insert(&sample.engine, &long_ref, "{}", 2, &e), -EINVAL);
	check_error(EINVAL, "which the text must have");
	buf_addf(&text, "{\"id\": 1, \"name\": \"%.299s\"}", long_key);
	ck_assert_int_eq(commit_insert(&sample.engine, &long_ref, text.data, text.len, &e),
	                 -EINVAL);
	check_error(EINVAL, "not the one that the name stands for");
	check_events("");
	buf_reset(&text);
	buf_addf(&text, "{\"id\": 1, \"name\": \"%s\"}", long_key);
	ck_assert_int_eq(commit_insert(&sample.engine, &long_ref, text.data, text.len, &e), 0);
	check_events("insert drop tell");
}
END_TEST

START_TEST(a_row_is_not_renamed_to_a_hash)
{
	struct rowref from = sample_ref(&sample, NAMED, "a.json");

	ck_assert_int_eq(commit_rename(&sample.engine, &from, &long_ref, false, &e), -EINVAL);
	check_events("");
	/* Onto a row that is there, its key can be asked for. */
	ck_assert_int_eq(commit_rename(&sample.engine, &from, &long_ref, true, &e), 0);
	check_events("fetch replace drop tell drop tell");
	rowref_done(&from);
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
	check_events("insert tell");
	check_last_insert("public/items/77.json\n");
	ck_assert_uint_eq(fake_kernel_told(ITEMS, "77.json"), 1);
	sample.settings.schema = strdup("public");
	ck_assert_int_eq(insert_new((struct server){DONE}, "{}"), 0);
	check_last_insert("items/77.json\n");
}
END_TEST

START_TEST(a_new_row_that_is_refused_is_no_last_insert)
{
	ck_assert_int_eq(insert_new((struct server){REFUSED, EEXIST}, new_text), -EEXIST);
	check_events("insert");
	ck_assert_int_eq(insert_new((struct server){NOTHING}, new_text), -EPERM);
	check_events("insert");
	ck_assert_int_eq(insert_new((struct server){DONE}, "{\"total\": 1}"), -EINVAL);
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

/* --- DELETE ---------------------------------------------------------------------------------- */

static int delete_row(struct server with)
{
	server = with;
	fake_store_on(serve, &server);
	return commit_delete(&sample.engine, &ref, &e);
}

START_TEST(a_delete_is_one_statement)
{
	ck_assert_int_eq(delete_row((struct server){DONE}), 0);
	ck_assert_str_eq(server.values, "42|");
	check_events("delete drop tell");
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
	check_events("delete gone? fetch drop tell");
	fake_store_put(&base_row);
	ck_assert_int_eq(delete_row((struct server){LOST_THEN_DONE}), 0);
	check_events("delete gone? fetch delete drop tell");
	check_unknown(delete_row((struct server){LOST}));
	events_take();
	sample.engine.settle_ms = 0;
	ck_assert_int_eq(delete_row((struct server){LOST, .blind_after = true}), -EIO);
	check_error(EIO, "outcome unknown");
}
END_TEST

/* "Read the row again": what is read then must not be the copy from before. */
START_TEST(after_an_unknown_outcome_no_copy_is_left)
{
	delete_row((struct server){LOST});
	check_events("delete gone? fetch delete gone? fetch delete gone? fetch drop");
	delete_row((struct server){NOTHING, .gone_after = true});
	check_events("delete fetch drop");
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
	check_events("update drop tell drop tell");
	ck_assert_uint_eq(fake_kernel_told(ITEMS, "42.json"), 1);
	ck_assert_uint_eq(fake_kernel_told(ITEMS, "43.json"), 1);
	ck_assert_uint_eq(counters[COUNTER_commits], before + 1);
	ck_assert_int_eq(rename_row((struct server){DONE}, true), 0);
	check_events("replace drop tell drop tell");
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

	ck_assert_int_eq(rename_row((struct server){LOST_THEN_DONE}, false), 0);
	check_events("update gone? fetch update drop tell drop tell");
	ck_assert_int_eq(
	        rename_row((struct server){LOST, .row_after = &renamed, .gone_after = true}, false),
	        0);
	check_events("update gone? fetch fetch drop tell drop tell");
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

START_TEST(a_materialised_view_is_not_asked)
{
	struct rowref other = sample_ref(&sample, LOOSE, "Zelt.json");

	ck_assert_int_eq(
	        commit_update(&sample.engine, &other, base, our_text, strlen(our_text), &e),
	        -EACCES);
	check_error(EACCES, "materialised view");
	ck_assert_int_eq(commit_delete(&sample.engine, &other, &e), -EACCES);
	ck_assert_int_eq(commit_insert(&sample.engine, &other, "{}", 2, &e), -EACCES);
	ck_assert_int_eq(commit_new(&sample.engine, LOOSE, "{}", 2, &e), -EACCES);
	check_events("");
	rowref_done(&other);
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

static TCase *add_case(Suite *suite, const char *name, void (*open)(void), void (*close)(void))
{
	TCase *test = tcase_create(name);

	tcase_set_timeout(test, 30);
	tcase_add_checked_fixture(test, open, close);
	suite_add_tcase(suite, test);
	return test;
}

static void add_updates(Suite *suite)
{
	TCase *test = add_case(suite, "update", open_all, close_all);

	tcase_add_test(test, nothing_changed_is_no_statement);
	tcase_add_test(test, a_change_is_one_statement_of_that_column);
	tcase_add_loop_test(test, what_the_server_refuses_is_passed_on, 0, 8);
	tcase_add_test(test, no_row_matched_and_it_is_gone);
	tcase_add_test(test, no_row_matched_and_others_changed_it);
	tcase_add_test(test, no_row_matched_and_it_is_as_it_was);
	tcase_add_test(test, no_row_matched_because_it_is_as_we_want_it);
	tcase_add_loop_test(test, the_column_in_conflict_is_named, 0, 5);
	tcase_add_test(test, other_columns_may_change_meanwhile);
	tcase_add_loop_test(test, what_is_no_row_is_not_sent, 0, 6);
	tcase_add_test(test, a_table_without_a_key_is_not_asked);
	tcase_add_test(test, the_column_whose_value_is_refused_is_named);
	tcase_add_test(test, a_value_that_nobody_refuses_is_not_named);
	tcase_add_test(test, a_base_of_other_columns_is_a_conflict);
	tcase_add_test(test, a_column_that_is_gone_makes_the_catalog_be_read_again);
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
}

static void add_inserts(Suite *suite)
{
	TCase *test = add_case(suite, "insert", open_all, close_all);

	tcase_add_test(test, an_insert_takes_its_key_from_the_name);
	tcase_add_loop_test(test, an_insert_that_cannot_be_is_not_sent, 0, 4);
	tcase_add_test(test, the_column_of_an_insert_is_named_too);
	tcase_add_test(test, a_duplicate_is_told);
	tcase_add_test(test, an_insert_that_inserts_nothing_is_told);
	tcase_add_test(test, an_insert_lost_and_there);
	tcase_add_test(test, an_insert_lost_and_not_there_is_sent_once_more);
	tcase_add_test(test, an_insert_lost_and_others_are_there);
	tcase_add_test(test, an_insert_lost_and_no_reading_either);
	tcase_add_test(test, an_insert_lost_again_and_again);
	tcase_add_test(test, a_new_row_gets_the_servers_key);
	tcase_add_test(test, a_new_row_that_is_refused_is_no_last_insert);
	tcase_add_test(test, a_new_row_whose_answer_was_lost_is_not_sent_again);
	test = add_case(suite, "long", open_long, close_long);
	tcase_add_test(test, a_long_key_is_taken_from_the_rows_text);
	tcase_add_test(test, a_long_key_must_be_in_the_text_that_is_inserted);
	tcase_add_test(test, a_row_is_not_renamed_to_a_hash);
}

int main(void)
{
	Suite *suite = suite_create("commit");
	TCase *test;

	add_updates(suite);
	add_inserts(suite);
	test = add_case(suite, "delete and rename", open_all, close_all);
	tcase_add_test(test, a_delete_is_one_statement);
	tcase_add_test(test, a_delete_without_effect_says_why);
	tcase_add_test(test, a_delete_that_was_lost_is_settled);
	tcase_add_test(test, after_an_unknown_outcome_no_copy_is_left);
	tcase_add_test(test, a_rename_is_one_statement_and_two_names);
	tcase_add_test(test, a_rename_without_effect_says_why);
	tcase_add_test(test, a_rename_that_was_lost_is_settled);
	tcase_add_test(test, a_rename_that_was_lost_with_its_row_is_unknown);
	tcase_add_test(test, a_row_with_hidden_columns_takes_no_others_place);
	tcase_add_test(test, a_materialised_view_is_not_asked);
	tcase_add_test(test, only_types_with_a_spelling_of_their_own_are_asked_about);
	return suite_run(suite);
}
