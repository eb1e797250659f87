#include "rowfs/engine/edit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "events.h"
#include "fake_store.h"
#include "latch.h"
#include "sample_engine.h"
#include "suite.h"

enum { ME = 100, MY_CHILD = 101, NOBODY_KNOWN = 0 };

static const struct fake_row base_row = {"7421", NULL, "42", "Zelt", "129.00", "258.00"};
static const char base_text[] = "{\n  \"id\": 42,\n  \"name\": \"Zelt\",\n  \"price\": 129.00,\n"
                                "  \"total\": 258.00\n}\n";
static const char our_text[] = "{\"price\": 99.00}\n";

static struct sample sample;
static struct rowref ref;

static void open_all(void)
{
	sample_open(&sample);
	ref = sample_ref(&sample, ITEMS, "42.json");
	fake_store_put(&base_row);
}

static void close_all(void)
{
	rowref_done(&ref);
	sample_close(&sample);
	ck_assert_uint_eq(text_bytes(), 0);
}

static void check_events(const char *want)
{
	ck_assert_str_eq(events_take(), want);
}

/* --- Handles --------------------------------------------------------------------------------- */

static struct edit *open_edit(struct edit_options options)
{
	struct edit *edit;

	options.asker = (struct asker){1000, 1000, 4242, "public/items/42.json"};
	options.thread_group = ME;
	ck_assert_int_eq(edit_new(&sample.engine, &ref, &options, &edit), 0);
	return edit;
}

/* As open(2) of a row that is there would. */
static struct edit *open_row(bool truncated)
{
	struct text *base;
	struct edit *edit;

	ck_assert_int_eq(reader_fetch(sample.engine.reader, &ref, STORE_READ, &base, NULL), 0);
	edit = open_edit((struct edit_options){EDIT_UPDATE, base, .truncated = truncated});
	text_unref(base);
	events_take();
	return edit;
}

/* As open(2) with O_CREAT of one that is not. */
static struct edit *create_row(void)
{
	ck_assert_int_eq(names_event(sample.engine.names, ITEMS, "42.json", NAME_CREATED, NULL),
	                 NAME_PENDING);
	return open_edit((struct edit_options){EDIT_INSERT, .created = true});
}

static enum name_state name_now(void)
{
	return names_state(sample.engine.names, ITEMS, "42.json", NULL);
}

static void write_at(struct edit *edit, size_t offset, const char *text)
{
	ck_assert_int_eq(edit_write(edit, offset, text, strlen(text)), 0);
}

static void check_text(struct edit *edit, const char *want)
{
	_cleanup_buf_ struct buf out = {0};

	buf_adds(&out, "");
	edit_read(edit, 0, TEXT_MAX, &out);
	ck_assert_str_eq(out.data, want);
	ck_assert_uint_eq(edit_size(edit), strlen(want));
}

/* --- Flushing -------------------------------------------------------------------------------- */

struct flush {
	struct edit_request request;
	struct latch done;
	struct edit *edit;
	pid_t thread_group;
	int err;
	pthread_t thread;
};

static void take_result(struct edit_request *request, int err)
{
	struct flush *flush = container_of(request, struct flush, request);

	ck_assert_uint_eq(latch_arrived(&flush->done), 0);
	flush->err = err;
	latch_open(&flush->done);
	latch_pass(&flush->done);
}

static void flush_begin(struct flush *flush, struct edit *edit, pid_t thread_group)
{
	*flush = (struct flush){
	        .request.done = take_result, .done = LATCH_INIT, .edit = edit, thread_group};
	edit_commit(edit, thread_group, &flush->request);
}

static bool flush_answered(struct flush *flush)
{
	return latch_arrived(&flush->done) > 0;
}

static int flush_end(struct flush *flush)
{
	latch_await(&flush->done, 1);
	return flush->err;
}

static int flush_by(struct edit *edit, pid_t thread_group)
{
	struct flush flush;

	flush_begin(&flush, edit, thread_group);
	return flush_end(&flush);
}

/* --- What is kept ---------------------------------------------------------------------------- */

static unsigned refusals_told(void)
{
	_cleanup_buf_ struct buf all = {0};
	unsigned n = 0;

	refusals_print_all(sample.engine.refusals, 1000, &all);
	for (size_t i = 0; i < all.len; i++)
		n += all.data[i] == '\n';
	return n;
}

/* So many texts were refused and kept, and that is the newest. */
static void check_kept(unsigned n, const char *newest)
{
	char path[300], text[200] = "", name[256] = "";
	struct dirent *entry;
	DIR *stream;
	FILE *file;

	ck_assert_uint_eq(refusals_told(), n);
	ck_assert_int_eq(sample_files(&sample, "rejected"), (int)n);
	snprintf(path, sizeof(path), "%s/rejected", sample.dir);
	stream = opendir(path);
	while ((entry = readdir(stream)))
		if (strcmp(entry->d_name, name) > 0 && entry->d_name[0] != '.')
			snprintf(name, sizeof(name), "%s", entry->d_name);
	closedir(stream);
	snprintf(path, sizeof(path), "%s/rejected/%.200s", sample.dir, name);
	file = n ? fopen(path, "r") : NULL;
	if (file) {
		text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
		fclose(file);
	}
	ck_assert_str_eq(text, newest);
}

/* --- The server ------------------------------------------------------------------------------ */

struct server {
	struct latch latch;
	unsigned hold;   /* so many writes wait for the latch, from the first */
	unsigned refuse; /* so many are refused, from the first */
	_Atomic unsigned writes;
	char values[200]; /* of the last */
};

static struct server server;

static int serve(void *arg, const struct fake_call *call)
{
	const struct statement *statement = call->statement;
	unsigned n;

	if (!statement->writes)
		return FAKE_PASS;
	n = ++server.writes;
	server.values[0] = '\0';
	for (size_t i = 0; i < statement->n; i++)
		snprintf(server.values + strlen(server.values),
		         sizeof(server.values) - strlen(server.values), "%s|",
		         statement->values[i].data);
	if (n <= server.hold)
		latch_pass(&server.latch);
	return n <= server.refuse ? fake_refuse(call, EPERM, "23514") : FAKE_PASS;
}

static void use_server(struct server with)
{
	server = with;
	fake_store_on(serve, NULL);
}

static void *flush_in_thread(void *arg)
{
	struct flush *flush = arg;

	edit_commit(flush->edit, flush->thread_group, &flush->request);
	return NULL;
}

/* Flush on a thread of its own, and come back when the statement is on its way. */
static void flush_slowly(struct flush *flush, struct edit *edit)
{
	*flush = (struct flush){.request.done = take_result, .done = LATCH_INIT, .edit = edit, ME};
	ck_assert_int_eq(pthread_create(&flush->thread, NULL, flush_in_thread, flush), 0);
	latch_await(&server.latch, 1);
}

static int flush_slowly_end(struct flush *flush)
{
	pthread_join(flush->thread, NULL);
	return flush_end(flush);
}

/* --- The buffer ------------------------------------------------------------------------------ */

START_TEST(it_begins_as_the_row_or_empty)
{
	struct edit *edit = open_row(false);

	check_text(edit, base_text);
	edit_close(edit);
	edit = open_row(true);
	check_text(edit, "");
	edit_close(edit);
}
END_TEST

START_TEST(bytes_go_where_they_are_written)
{
	struct edit *edit = open_row(true);
	_cleanup_buf_ struct buf out = {0};

	write_at(edit, 0, "abcdef");
	write_at(edit, 2, "XY");
	check_text(edit, "abXYef");
	write_at(edit, 6, "gh");
	check_text(edit, "abXYefgh");
	edit_read(edit, 3, 2, &out);
	edit_read(edit, 7, 100, &out);
	edit_read(edit, 8, 100, &out);
	ck_assert_str_eq(out.data, "Yeh");
	ck_assert_int_eq(edit_truncate(edit, 3), 0);
	check_text(edit, "abX");
	/* What lies between is zeros, as in any file. */
	write_at(edit, 5, "z");
	ck_assert_uint_eq(edit_size(edit), 6);
	buf_reset(&out);
	edit_read(edit, 0, 10, &out);
	ck_assert_mem_eq(out.data, "abX\0\0z", 6);
	ck_assert_int_eq(edit_truncate(edit, 0), 0);
	edit_close(edit);
}
END_TEST

START_TEST(it_is_bounded)
{
	struct edit *edit = open_row(true);

	ck_assert_int_eq(edit_write(edit, TEXT_MAX, "x", 1), -EFBIG);
	ck_assert_int_eq(edit_write(edit, SIZE_MAX, "x", 1), -EFBIG);
	ck_assert_int_eq(edit_write(edit, 1, "x", SIZE_MAX), -EFBIG);
	ck_assert_int_eq(edit_truncate(edit, (size_t)TEXT_MAX + 1), -EFBIG);
	text_set_limit(text_bytes() + 100);
	ck_assert_int_eq(edit_write(edit, 101, "x", 1), -ENOMEM);
	ck_assert_int_eq(edit_truncate(edit, 101), -ENOMEM);
	check_text(edit, "");
	ck_assert_int_eq(edit_write(edit, 99, "x", 1), 0);
	ck_assert_int_eq(edit_truncate(edit, 0), 0);
	ck_assert_int_eq(edit_write(edit, 99, "x", 1), 0);
	ck_assert_int_eq(edit_truncate(edit, 0), 0);
	edit_close(edit);
	check_kept(0, "");
}
END_TEST

/* --- Saving ---------------------------------------------------------------------------------- */

START_TEST(a_handle_that_wrote_nothing_never_fails)
{
	struct edit *edit = open_row(false);

	use_server((struct server){LATCH_INIT, .refuse = 9});
	ck_assert_int_eq(flush_by(edit, ME), 0);
	ck_assert_int_eq(flush_by(edit, ME), 0);
	edit_close(edit);
	check_events("");
	check_kept(0, "");
}
END_TEST

/* Shells truncate, close a duplicate of the descriptor, and write later. */
START_TEST(an_empty_buffer_changes_nothing)
{
	struct edit *edit = open_row(true);

	ck_assert_int_eq(flush_by(edit, ME), 0);
	write_at(edit, 0, " \n\t\n");
	ck_assert_int_eq(flush_by(edit, ME), 0);
	ck_assert_int_eq(edit_truncate(edit, 0), 0);
	ck_assert_int_eq(flush_by(edit, ME), 0);
	check_events("");
	write_at(edit, 0, our_text);
	ck_assert_int_eq(flush_by(edit, ME), 0);
	check_events("update drop tell");
	edit_close(edit);
	check_kept(0, "");
}
END_TEST

START_TEST(what_was_written_is_saved_once)
{
	struct edit *edit = open_row(true);

	use_server((struct server){LATCH_INIT});
	write_at(edit, 0, our_text);
	ck_assert_int_eq(flush_by(edit, ME), 0);
	ck_assert_str_eq(server.values, "99.00|42|129.00|");
	ck_assert_int_eq(flush_by(edit, ME), 0);
	ck_assert_int_eq(flush_by(edit, MY_CHILD), 0);
	edit_close(edit);
	check_events("update drop tell");
}
END_TEST

/* What the row is after a save is for PostgreSQL to say: a trigger may have changed it. */
START_TEST(the_next_save_is_compared_with_the_row_as_it_is_then)
{
	static const struct fake_row row = {"900", NULL, "42", "Zelt", "99.99", "199.98"};
	struct edit *edit = open_row(true);

	use_server((struct server){LATCH_INIT});
	write_at(edit, 0, our_text);
	ck_assert_int_eq(flush_by(edit, ME), 0);
	check_events("update drop tell");
	fake_store_put(&row);
	write_at(edit, 0, "{\"price\": 98.00}\n");
	ck_assert_int_eq(flush_by(edit, ME), 0);
	check_events("fetch update drop tell");
	ck_assert_str_eq(server.values, "98.00|42|99.99|");
	edit_close(edit);
}
END_TEST

START_TEST(an_insert_makes_its_name_a_row)
{
	struct edit *edit = create_row();

	ck_assert_int_eq(flush_by(edit, ME), 0);
	check_events("");
	ck_assert_int_eq(name_now(), NAME_PENDING);
	write_at(edit, 0, our_text);
	ck_assert_int_eq(flush_by(edit, ME), 0);
	check_events("insert drop tell");
	ck_assert_int_eq(name_now(), NAME_PLAIN);
	/* From here on it is there. */
	write_at(edit, 0, "{\"price\": 98.00}\n");
	ck_assert_int_eq(flush_by(edit, ME), 0);
	check_events("fetch update drop tell");
	edit_close(edit);
}
END_TEST

START_TEST(a_replacement_is_an_update_of_what_was_moved_away)
{
	struct edit *edit;
	struct text *base;

	ck_assert_int_eq(reader_fetch(sample.engine.reader, &ref, STORE_READ, &base, NULL), 0);
	names_event(sample.engine.names, ITEMS, "42.json", NAME_MOVED_AWAY, base);
	names_event(sample.engine.names, ITEMS, "42.json", NAME_CREATED, NULL);
	edit = open_edit((struct edit_options){EDIT_UPDATE, base, true, true});
	text_unref(base);
	events_take();
	write_at(edit, 0, our_text);
	ck_assert_int_eq(flush_by(edit, ME), 0);
	check_events("update drop tell");
	ck_assert_int_eq(name_now(), NAME_PLAIN);
	edit_close(edit);
}
END_TEST

/* `{ /bin/echo '{…}'; echo; } >.new.json`: the end of the line is not another row. */
START_TEST(a_new_row_is_inserted_once)
{
	struct edit *edit = open_edit((struct edit_options){EDIT_NEW});

	write_at(edit, 0, our_text);
	ck_assert_int_eq(flush_by(edit, ME), 0);
	check_events("insert tell");
	ck_assert_int_eq(flush_by(edit, ME), 0);
	write_at(edit, strlen(our_text), "\n");
	ck_assert_int_eq(flush_by(edit, ME), 0);
	check_events("");
	edit_close(edit);
	check_kept(0, "");
	/* Something else is a text of its own. */
	edit = open_edit((struct edit_options){EDIT_NEW});
	write_at(edit, 0, our_text);
	ck_assert_int_eq(flush_by(edit, ME), 0);
	write_at(edit, strlen(our_text), "{\"price\": 5}");
	ck_assert_int_eq(flush_by(edit, ME), -EINVAL);
	check_events("insert tell");
	edit_close(edit);
}
END_TEST

/* --- Texts that are not whole ---------------------------------------------------------------- */

START_TEST(a_childs_flush_of_half_a_text_says_nothing)
{
	struct edit *edit = open_row(true);

	write_at(edit, 0, "{\"price\":");
	ck_assert_int_eq(flush_by(edit, MY_CHILD), 0);
	check_events("");
	check_kept(0, "");
	write_at(edit, 9, " 99.00}");
	/* A whole one it may well save: `(cat) >42.json`. */
	ck_assert_int_eq(flush_by(edit, MY_CHILD), 0);
	check_events("update drop tell");
	edit_close(edit);
	check_kept(0, "");
}
END_TEST

START_TEST(ones_own_flush_of_half_a_text_is_refused)
{
	struct edit *edit = open_row(true);

	write_at(edit, 0, "{\"price\":");
	ck_assert_int_eq(flush_by(edit, _i ? NOBODY_KNOWN : ME), -EINVAL);
	check_kept(1, "{\"price\":");
	edit_close(edit);
	check_kept(1, "{\"price\":");
	check_events("");
}
END_TEST

START_TEST(a_broken_text_is_refused_whoever_flushes)
{
	struct edit *edit = open_row(true);

	write_at(edit, 0, "{\"price\": }");
	ck_assert_int_eq(flush_by(edit, MY_CHILD), -EINVAL);
	check_kept(1, "{\"price\": }");
	edit_close(edit);
}
END_TEST

/* --- Refusals -------------------------------------------------------------------------------- */

START_TEST(a_refusal_stays_until_new_bytes_come)
{
	struct edit *edit = open_row(true);

	use_server((struct server){LATCH_INIT, .refuse = 2});
	write_at(edit, 0, our_text);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(flush_by(edit, ME), -EPERM);
	ck_assert_uint_eq(server.writes, 1);
	check_kept(1, our_text);

	write_at(edit, 11, "8");
	ck_assert_int_eq(flush_by(edit, ME), -EPERM);
	ck_assert_uint_eq(server.writes, 2);
	check_kept(2, "{\"price\": 98.00}\n");

	write_at(edit, 11, "7");
	ck_assert_int_eq(flush_by(edit, ME), 0);
	ck_assert_int_eq(flush_by(edit, ME), 0);
	ck_assert_uint_eq(server.writes, 3);
	edit_close(edit);
	ck_assert_uint_eq(refusals_told(), 2);
}
END_TEST

START_TEST(truncating_is_new_bytes_too)
{
	struct edit *edit = open_row(true);

	use_server((struct server){LATCH_INIT, .refuse = 1});
	write_at(edit, 0, our_text);
	ck_assert_int_eq(flush_by(edit, ME), -EPERM);
	ck_assert_int_eq(edit_truncate(edit, strlen(our_text)), 0); /* as it is: no */
	ck_assert_int_eq(flush_by(edit, ME), -EPERM);
	ck_assert_int_eq(edit_truncate(edit, 0), 0);
	ck_assert_int_eq(flush_by(edit, ME), 0);
	edit_close(edit);
	check_kept(1, our_text);
}
END_TEST

START_TEST(a_refused_text_is_kept_once)
{
	struct edit *edit = open_row(true);

	use_server((struct server){LATCH_INIT, .refuse = 1});
	write_at(edit, 0, our_text);
	ck_assert_int_eq(flush_by(edit, ME), -EPERM);
	edit_close(edit);
	check_kept(1, our_text);
}
END_TEST

/* --- Closing --------------------------------------------------------------------------------- */

START_TEST(closing_keeps_a_text_that_was_never_whole)
{
	struct edit *edit = create_row();
	_cleanup_buf_ struct buf last = {0};

	write_at(edit, 0, "{\"price\":");
	ck_assert_int_eq(flush_by(edit, MY_CHILD), 0);
	ck_assert_int_eq(name_now(), NAME_PENDING);
	edit_close(edit);
	check_kept(1, "{\"price\":");
	ck_assert_int_eq(name_now(), NAME_PLAIN);
	refusals_print_last(sample.engine.refusals, 1000, &last);
	ck_assert_ptr_nonnull(strstr(last.data, "never complete"));
	ck_assert_ptr_nonnull(strstr(last.data, "public/items/42.json: EINVAL"));
}
END_TEST

START_TEST(closing_after_a_refusal_takes_the_name_away)
{
	struct edit *edit = create_row();

	use_server((struct server){LATCH_INIT, .refuse = 1});
	write_at(edit, 0, our_text);
	ck_assert_int_eq(flush_by(edit, ME), -EPERM);
	ck_assert_int_eq(name_now(), NAME_PENDING);
	edit_close(edit);
	ck_assert_int_eq(name_now(), NAME_PLAIN);
	check_kept(1, our_text);
}
END_TEST

START_TEST(closing_an_empty_file_keeps_it_pending)
{
	edit_close(create_row());
	ck_assert_int_eq(name_now(), NAME_PENDING);
	check_kept(0, "");
}
END_TEST

START_TEST(closing_takes_no_name_that_another_handle_made)
{
	struct edit *first = create_row();
	struct edit *second = open_edit((struct edit_options){EDIT_INSERT});

	write_at(second, 0, "{");
	edit_close(second);
	ck_assert_int_eq(name_now(), NAME_PENDING);
	edit_close(first);
	check_kept(1, "{");
}
END_TEST

/* The row is there: a later text that was refused does not take it away. */
START_TEST(closing_takes_no_name_that_was_committed)
{
	struct edit *edit = create_row();

	write_at(edit, 0, our_text);
	ck_assert_int_eq(flush_by(edit, ME), 0);
	/* Meanwhile somebody moves it away. */
	names_event(sample.engine.names, ITEMS, "42.json", NAME_MOVED_AWAY, NULL);
	names_event(sample.engine.names, ITEMS, "42.json", NAME_CREATED, NULL);
	write_at(edit, 0, "x");
	edit_close(edit);
	ck_assert_int_eq(name_now(), NAME_REPLACING);
	check_kept(1, "x\"price\": 99.00}\n");
}
END_TEST

START_TEST(a_replacement_that_is_never_whole_leaves_the_row_detached)
{
	struct edit *edit;

	names_event(sample.engine.names, ITEMS, "42.json", NAME_MOVED_AWAY, NULL);
	names_event(sample.engine.names, ITEMS, "42.json", NAME_CREATED, NULL);
	edit = open_edit((struct edit_options){EDIT_UPDATE, .created = true});
	write_at(edit, 0, "{");
	edit_close(edit);
	ck_assert_int_eq(name_now(), NAME_DETACHED);
}
END_TEST

START_TEST(a_surrendered_edit_has_no_business_any_more)
{
	struct edit *edit = create_row();
	_cleanup_buf_ struct buf text = {0}, none = {0};

	write_at(edit, 0, our_text);
	edit_surrender(edit, &text);
	ck_assert_str_eq(text.data, our_text);
	ck_assert_int_eq(flush_by(edit, ME), 0);
	write_at(edit, 0, "{\"price\": 98.00}\n");
	ck_assert_int_eq(flush_by(edit, ME), 0);
	edit_close(edit);
	check_events("");
	check_kept(0, "");
	ck_assert_int_eq(name_now(), NAME_PENDING);

	edit = open_row(true);
	edit_surrender(edit, &none);
	ck_assert_uint_eq(none.len, 0);
	edit_close(edit);
}
END_TEST

/* --- Two flushes at once --------------------------------------------------------------------- */

START_TEST(a_second_flush_waits_for_the_first_and_says_the_same)
{
	struct edit *edit = open_row(true);
	struct flush first, second, third;

	use_server((struct server){LATCH_INIT, .hold = 1, .refuse = (unsigned)_i});
	write_at(edit, 0, our_text);
	flush_slowly(&first, edit);
	flush_begin(&second, edit, ME);
	flush_begin(&third, edit, MY_CHILD);
	ck_assert(!flush_answered(&second));
	ck_assert(!flush_answered(&third));
	latch_open(&server.latch);
	ck_assert_int_eq(flush_end(&second), _i ? -EPERM : 0);
	ck_assert_int_eq(flush_end(&third), _i ? -EPERM : 0);
	ck_assert_int_eq(flush_slowly_end(&first), _i ? -EPERM : 0);
	ck_assert_uint_eq(server.writes, 1);
	edit_close(edit);
	check_kept((unsigned)_i, _i ? our_text : "");
}
END_TEST

START_TEST(what_is_written_meanwhile_is_saved_after_it)
{
	struct edit *edit = open_row(true);
	struct flush first, second;

	use_server((struct server){LATCH_INIT, .hold = 1});
	write_at(edit, 0, our_text);
	flush_slowly(&first, edit);
	write_at(edit, 11, "8");
	flush_begin(&second, edit, ME);
	ck_assert(!flush_answered(&second));
	latch_open(&server.latch);
	ck_assert_int_eq(flush_end(&second), 0);
	ck_assert_int_eq(flush_slowly_end(&first), 0);
	check_events("update drop tell fetch update drop tell");
	ck_assert_str_eq(server.values, "98.00|42|129.00|");
	edit_close(edit);
}
END_TEST

/* The first is refused, but that text is no more: the second is sent and its own answer given. */
START_TEST(a_refusal_of_what_is_overwritten_does_not_stick)
{
	struct edit *edit = open_row(true);
	struct flush first, second;

	use_server((struct server){LATCH_INIT, .hold = 1, .refuse = 1});
	write_at(edit, 0, our_text);
	flush_slowly(&first, edit);
	write_at(edit, 11, "8");
	flush_begin(&second, edit, ME);
	latch_open(&server.latch);
	ck_assert_int_eq(flush_end(&second), 0);
	ck_assert_int_eq(flush_slowly_end(&first), -EPERM);
	ck_assert_uint_eq(server.writes, 2);
	edit_close(edit);
	check_kept(1, our_text);
}
END_TEST

/* A child waits with its flush, and what its parent has written since is only half a text. */
START_TEST(a_child_that_waited_still_says_nothing_about_half_a_text)
{
	struct edit *edit = open_row(true);
	struct flush first, second;

	use_server((struct server){LATCH_INIT, .hold = 1});
	write_at(edit, 0, our_text);
	flush_slowly(&first, edit);
	write_at(edit, 11, "8");
	flush_begin(&second, edit, MY_CHILD);
	ck_assert(!flush_answered(&second));
	ck_assert_int_eq(edit_truncate(edit, 9), 0);
	latch_open(&server.latch);
	ck_assert_int_eq(flush_end(&second), 0);
	ck_assert_int_eq(flush_slowly_end(&first), 0);
	check_kept(0, "");
	edit_close(edit);
}
END_TEST

START_TEST(a_buffer_can_be_read_and_written_while_it_is_saved)
{
	struct edit *edit = open_row(true);
	struct flush first;

	use_server((struct server){LATCH_INIT, .hold = 1});
	write_at(edit, 0, our_text);
	flush_slowly(&first, edit);
	check_text(edit, our_text);
	write_at(edit, 11, "8");
	check_text(edit, "{\"price\": 98.00}\n");
	latch_open(&server.latch);
	ck_assert_int_eq(flush_slowly_end(&first), 0);
	ck_assert_str_eq(server.values, "99.00|42|129.00|");
	ck_assert_int_eq(flush_by(edit, ME), 0);
	edit_close(edit);
}
END_TEST

/* --- All at once ----------------------------------------------------------------------------- */

enum { WRITERS = 4, ROUNDS = 150 };

static _Atomic int at_once;
static char last_price[16];

static int save_alone(void *arg, const struct fake_call *call)
{
	if (!call->statement->writes)
		return FAKE_PASS;
	ck_assert_int_eq(++at_once, 1);
	snprintf(last_price, sizeof(last_price), "%s", call->statement->values[0].data);
	--at_once;
	return FAKE_PASS;
}

static void *write_and_flush(void *arg)
{
	static _Atomic int threads;
	int thread = ++threads;

	for (int i = 0; i < ROUNDS; i++) {
		char text[40];

		snprintf(text, sizeof(text), "{\"price\": %d%03d}", thread, i);
		write_at(arg, 0, text);
		ck_assert_int_eq(flush_by(arg, ME), 0);
	}
	return NULL;
}

/* One handle is saved by one statement at a time, and in the end PostgreSQL has what the buffer
 * has. */
START_TEST(many_write_and_flush_one_handle)
{
	struct edit *edit = open_row(true);
	_cleanup_buf_ struct buf text = {0};
	pthread_t threads[WRITERS];

	fake_store_on(save_alone, NULL);
	for (int i = 0; i < WRITERS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, write_and_flush, edit), 0);
	for (int i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
	edit_read(edit, 0, 100, &text);
	ck_assert_ptr_nonnull(strstr(text.data, last_price));
	events_take();
	ck_assert_int_eq(flush_by(edit, ME), 0);
	check_events("");
	edit_close(edit);
	check_kept(0, "");
}
END_TEST

static TCase *add_case(Suite *suite, const char *name)
{
	TCase *test = tcase_create(name);

	tcase_set_timeout(test, 60);
	tcase_add_checked_fixture(test, open_all, close_all);
	suite_add_tcase(suite, test);
	return test;
}

int main(void)
{
	Suite *suite = suite_create("edit");
	TCase *test = add_case(suite, "buffer");

	tcase_add_test(test, it_begins_as_the_row_or_empty);
	tcase_add_test(test, bytes_go_where_they_are_written);
	tcase_add_test(test, it_is_bounded);
	test = add_case(suite, "saving");
	tcase_add_test(test, a_handle_that_wrote_nothing_never_fails);
	tcase_add_test(test, an_empty_buffer_changes_nothing);
	tcase_add_test(test, what_was_written_is_saved_once);
	tcase_add_test(test, the_next_save_is_compared_with_the_row_as_it_is_then);
	tcase_add_test(test, an_insert_makes_its_name_a_row);
	tcase_add_test(test, a_replacement_is_an_update_of_what_was_moved_away);
	tcase_add_test(test, a_new_row_is_inserted_once);
	test = add_case(suite, "refusals");
	tcase_add_test(test, a_childs_flush_of_half_a_text_says_nothing);
	tcase_add_loop_test(test, ones_own_flush_of_half_a_text_is_refused, 0, 2);
	tcase_add_test(test, a_broken_text_is_refused_whoever_flushes);
	tcase_add_test(test, a_refusal_stays_until_new_bytes_come);
	tcase_add_test(test, truncating_is_new_bytes_too);
	tcase_add_test(test, a_refused_text_is_kept_once);
	test = add_case(suite, "closing");
	tcase_add_test(test, closing_keeps_a_text_that_was_never_whole);
	tcase_add_test(test, closing_after_a_refusal_takes_the_name_away);
	tcase_add_test(test, closing_an_empty_file_keeps_it_pending);
	tcase_add_test(test, closing_takes_no_name_that_another_handle_made);
	tcase_add_test(test, closing_takes_no_name_that_was_committed);
	tcase_add_test(test, a_replacement_that_is_never_whole_leaves_the_row_detached);
	tcase_add_test(test, a_surrendered_edit_has_no_business_any_more);
	test = add_case(suite, "at once");
	tcase_add_loop_test(test, a_second_flush_waits_for_the_first_and_says_the_same, 0, 2);
	tcase_add_test(test, what_is_written_meanwhile_is_saved_after_it);
	tcase_add_test(test, a_refusal_of_what_is_overwritten_does_not_stick);
	tcase_add_test(test, a_child_that_waited_still_says_nothing_about_half_a_text);
	tcase_add_test(test, a_buffer_can_be_read_and_written_while_it_is_saved);
	tcase_add_test(test, many_write_and_flush_one_handle);
	return suite_run(suite);
}
