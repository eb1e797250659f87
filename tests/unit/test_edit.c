#include "edit_handle.h"

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
	check_events("");
	/* One line for the writes, and one for each truncation; nothing is kept. */
	ck_assert_uint_eq(refusals_told(), 3);
	ck_assert_int_eq(sample_files(&sample, "rejected"), 0);
}
END_TEST

/* A text that lacks what did not fit is never saved, and is no use to keep. */
START_TEST(a_text_that_was_cut_off_is_refused_for_that)
{
	struct edit *edit = open_row(true);
	_cleanup_buf_ struct buf last = {0};

	write_at(edit, 0, our_text);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(edit_write(edit, TEXT_MAX, "x", 1), -EFBIG);
	write_at(edit, 0, our_text);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(flush_by(edit, ME), -EFBIG);
	ck_assert(!edit_is_clean(edit));
	edit_close(edit);
	check_events("");
	ck_assert_uint_eq(refusals_told(), 1);
	ck_assert_int_eq(sample_files(&sample, "rejected"), 0);
	refusals_print_last(sample.engine.refusals, 1000, &last);
	ck_assert_ptr_nonnull(strstr(last.data, "EFBIG: a row's text may have 64 MiB"));
	ck_assert_ptr_nonnull(strstr(last.data, "not kept"));
}
END_TEST

START_TEST(what_was_missing_may_come_after_all)
{
	struct edit *edit = open_row(true);

	use_server((struct server){LATCH_INIT});
	write_at(edit, 0, "{\"price\"");
	if (_i == 0) { /* the memory is there the second time */
		text_set_limit(text_bytes() + 1);
		ck_assert_int_eq(edit_write(edit, 8, ": 99.00}\n", 9), -ENOMEM);
		ck_assert_int_eq(flush_by(edit, ME), -ENOMEM);
		text_set_limit(text_bytes() + 100);
		write_at(edit, 8, ": 99.00}\n");
	} else { /* or it begins anew */
		ck_assert_int_eq(edit_write(edit, TEXT_MAX, "x", 1), -EFBIG);
		ck_assert_int_eq(edit_truncate(edit, 0), 0);
		write_at(edit, 0, our_text);
	}
	ck_assert_int_eq(flush_by(edit, ME), 0);
	ck_assert_uint_eq(server.writes, 1);
	edit_close(edit);
	ck_assert_uint_eq(refusals_told(), 1);
}
END_TEST

START_TEST(a_name_whose_first_bytes_did_not_fit_goes)
{
	struct edit *edit = create_row();

	ck_assert_int_eq(edit_write(edit, TEXT_MAX, "x", 1), -EFBIG);
	edit_close(edit);
	ck_assert_int_eq(name_now(), NAME_PLAIN);
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
static int put(struct edit *edit, size_t offset, const char *text)
{
	return edit_write(edit, offset, text, strlen(text));
}

static int append(struct edit *edit, const char *text)
{
	return put(edit, edit_size(edit), text);
}

/* Of a text that is written from its beginning on, the write that makes it whole can be told what becomes of it. */
START_TEST(a_write_tells_when_a_text_is_whole)
{
	struct edit *edit = open_row(true);

	ck_assert_int_eq(append(edit, " {\"price\": {"), 0);
	ck_assert_int_eq(append(edit, "\"}\": 99.00}"), 0);
	ck_assert_int_eq(append(edit, "}"), 1);
	ck_assert_int_eq(append(edit, " \n"), 1);
	ck_assert_int_eq(append(edit, "x"), -EINVAL);
	ck_assert_int_eq(append(edit, "y"), -EINVAL);
	ck_assert_int_eq(put(edit, edit_size(edit) - 2, "x"), -EINVAL);
	check_text(edit, " {\"price\": {\"}\": 99.00}} \nxy");
	/* Again from the beginning. */
	ck_assert_int_eq(edit_truncate(edit, 0), 0);
	ck_assert_int_eq(put(edit, 0, "{}"), 1);
	/* Not where some of it was there before, or comes out of turn. */
	ck_assert_int_eq(put(edit, 0, "{}"), 0);
	ck_assert_int_eq(edit_truncate(edit, 0), 0);
	ck_assert_int_eq(put(edit, 1, "}"), 0);
	ck_assert_int_eq(put(edit, 0, "{"), 0);
	ck_assert_int_eq(put(edit, 2, " "), 0);
	ck_assert_int_eq(edit_truncate(edit, 0), 0);
	edit_close(edit);
}
END_TEST

START_TEST(a_text_that_began_with_the_rows_is_saved_when_it_is_closed)
{
	struct edit *edit = open_row(false);

	ck_assert_int_eq(put(edit, edit_size(edit), " "), 0);
	ck_assert_int_eq(edit_truncate(edit, 10), 0);
	ck_assert_int_eq(put(edit, 10, "x"), 0);
	ck_assert_int_eq(edit_truncate(edit, 0), 0);
	edit_close(edit);
}
END_TEST

/* The last piece of a write that was refused comes again; white space after it comes too. It is one refusal. */
START_TEST(what_was_refused_with_the_same_bytes_is_refused_once)
{
	struct edit *edit = open_row(true);

	use_server((struct server){LATCH_INIT, .refuse = 9});
	ck_assert_int_eq(put(edit, 0, "{\"price\": "), 0);
	ck_assert_int_eq(put(edit, 10, "99.00}"), 1);
	ck_assert_int_eq(flush_by(edit, ME), -EPERM);
	ck_assert_int_eq(put(edit, 10, "99.00}"), -EPERM);
	ck_assert_int_eq(put(edit, 10, "99"), -EPERM);
	ck_assert_int_eq(put(edit, 12, ".00}"), -EPERM);
	ck_assert_int_eq(put(edit, 16, "\n"), -EPERM);
	ck_assert_int_eq(put(edit, 17, " \n"), -EPERM);
	ck_assert_int_eq(flush_by(edit, ME), -EPERM);
	ck_assert_uint_eq(server.writes, 1);
	ck_assert_int_eq(put(edit, 10, "98.00}"), 0);
	ck_assert_int_eq(flush_by(edit, ME), -EPERM);
	ck_assert_uint_eq(server.writes, 2);
	edit_close(edit);
	check_kept(2, "{\"price\": 98.00}\n \n");
}
END_TEST

START_TEST(white_space_after_a_saved_text_is_no_other)
{
	struct edit *edit = open_row(true);

	use_server((struct server){LATCH_INIT});
	ck_assert_int_eq(put(edit, 0, "{\"price\": 99.00}"), 1);
	ck_assert_int_eq(flush_by(edit, ME), 0);
	ck_assert_int_eq(put(edit, 16, "\n"), 1);
	ck_assert_int_eq(flush_by(edit, ME), 0);
	check_events("update drop tell list");
	edit_close(edit);
	check_kept(0, "");
}
END_TEST

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
	check_events("update drop tell list");
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
	check_events("update drop tell list");
}
END_TEST

static int serve_taken(void *arg, const struct fake_call *call)
{
	return call->statement->writes ? fake_refuse(call, EEXIST, "23505") : FAKE_PASS;
}

/* Both were opened when there was no row, so neither text is a change of the other's. */
START_TEST(of_two_that_create_a_row_the_second_is_told)
{
	struct edit *first = create_row(), *second = open_edit((struct edit_options){EDIT_INSERT});

	write_at(first, 0, our_text);
	write_at(second, 0, "{\"price\": 98.00}\n");
	ck_assert_int_eq(flush_by(_i ? second : first, ME), 0);
	ck_assert_int_eq(name_now(), NAME_PLAIN);
	fake_store_on(serve_taken, NULL);
	ck_assert_int_eq(flush_by(_i ? first : second, ME), -EEXIST);
	edit_close(first);
	edit_close(second);
	ck_assert_int_eq(name_now(), NAME_PLAIN);
	check_kept(1, _i ? our_text : "{\"price\": 98.00}\n");
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
	check_events("insert drop tell list");
	ck_assert_int_eq(name_now(), NAME_PLAIN);
	/* From here on it is there. */
	write_at(edit, 0, "{\"price\": 98.00}\n");
	ck_assert_int_eq(flush_by(edit, ME), 0);
	check_events("fetch update drop tell list");
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
	edit = open_edit((struct edit_options){EDIT_UPDATE, base, .truncated = true, .created = true});
	text_unref(base);
	events_take();
	write_at(edit, 0, our_text);
	ck_assert_int_eq(flush_by(edit, ME), 0);
	check_events("update drop tell list");
	ck_assert_int_eq(name_now(), NAME_PLAIN);
	edit_close(edit);
}
END_TEST

/* `{ /bin/echo '{…}'; echo; } >.new.json`: the end of the line is not another row. */
/* A scratch file's text was made the row by a rename while a handle was open on it. */
START_TEST(an_edit_of_what_was_saved_goes_on_from_there)
{
	struct edit_options options = {EDIT_UPDATE, .asker = {1000, 1000, 4242, "public/items/42.json"}};
	struct text *base;
	struct edit *edit;

	ck_assert_int_eq(reader_fetch(sample.engine.reader, &ref, STORE_READ, &base, NULL), 0);
	options.base = base;
	ck_assert_int_eq(edit_new_saved(&sample.engine, &ref, &options, our_text, strlen(our_text), &edit), 0);
	text_unref(base);
	events_take();
	check_text(edit, our_text);
	ck_assert(edit_is_clean(edit));
	ck_assert_int_eq(flush_by(edit, ME), 0);
	check_events("");
	write_at(edit, 11, "8");
	ck_assert_int_eq(flush_by(edit, ME), 0);
	check_events("fetch update drop tell list");
	edit_close(edit);
}
END_TEST

START_TEST(whoever_cannot_keep_a_surrendered_text_gives_it_back)
{
	struct edit *edit = open_row(true);
	_cleanup_buf_ struct buf text = {0};

	write_at(edit, 0, our_text);
	ck_assert_int_eq(edit_surrender(edit, &text), 0);
	edit_resume(edit);
	ck_assert(edit_is_of(edit, ITEMS, "42.json"));
	ck_assert_int_eq(flush_by(edit, ME), 0);
	check_events("update drop tell list");
	edit_close(edit);
}
END_TEST

START_TEST(a_new_row_is_inserted_once)
{
	struct edit *edit = open_edit((struct edit_options){EDIT_NEW});

	write_at(edit, 0, our_text);
	ck_assert_int_eq(flush_by(edit, ME), 0);
	check_events("insert drop tell list");
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
	check_events("insert drop tell list");
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
	check_events("update drop tell list");
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

/* The pages of a mapped file are written when it is unmapped, long after its close. */
START_TEST(closing_saves_what_came_after_the_last_flush)
{
	struct edit *edit = _i ? create_row() : open_row(true);

	ck_assert_int_eq(flush_by(edit, ME), 0);
	write_at(edit, 0, our_text);
	edit_close(edit);
	check_events(_i ? "insert drop tell list" : "update drop tell list");
	check_kept(0, "");
	ck_assert_int_eq(name_now(), NAME_PLAIN);
}
END_TEST

START_TEST(closing_says_why_it_could_not_save)
{
	static const char *const texts[] = {our_text, "{\"colour\": 1}", "{\"price\": }"};
	static const char *const reasons[] = {"SQLSTATE 23514", "colour", "line 1, column 11"};
	struct edit *edit = create_row();
	_cleanup_buf_ struct buf last = {0};

	use_server((struct server){LATCH_INIT, .refuse = 1});
	write_at(edit, 0, texts[_i]);
	edit_close(edit);
	check_kept(1, texts[_i]);
	ck_assert_int_eq(name_now(), NAME_PLAIN);
	refusals_print_last(sample.engine.refusals, 1000, &last);
	ck_assert_ptr_nonnull(strstr(last.data, reasons[_i]));
	ck_assert_ptr_null(strstr(last.data, "never complete"));
}
END_TEST

struct sitter {
	struct lane_task task;
	pthread_t thread;
};

static struct latch seats = LATCH_INIT;

static void sit(struct lane_task *task)
{
	latch_pass(&seats);
}

static void *take_seat(void *arg)
{
	lane_run(sample.engine.writes, arg);
	return NULL;
}

/* However many saves are stuck, a close takes no thread; the end of the mount waits for it. */
START_TEST(closing_waits_for_a_seat_without_a_thread)
{
	struct sitter sitters[STORE_WRITERS];
	struct edit *edit = open_row(true);

	for (int i = 0; i < STORE_WRITERS; i++) {
		sitters[i].task.run = sit;
		pthread_create(&sitters[i].thread, NULL, take_seat, &sitters[i].task);
	}
	latch_await(&seats, STORE_WRITERS);
	write_at(edit, 0, our_text);
	edit_close(edit);
	check_events("");
	latch_open(&seats);
	lane_free(sample.engine.writes);
	sample.engine.writes = NULL;
	check_events("update drop tell list");
	check_kept(0, "");
	for (int i = 0; i < STORE_WRITERS; i++)
		pthread_join(sitters[i].thread, NULL);
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

static void move_row_away(void)
{
	struct version version = version_of(base_text, strlen(base_text), NULL);
	_cleanup_text_ struct text *base = text_new(base_text, strlen(base_text), &version, 0);

	ck_assert_int_eq(names_event(sample.engine.names, ITEMS, "42.json", NAME_MOVED_AWAY, base),
	                 NAME_DETACHED);
}

/* The row is there: a later text that was refused does not take it away. */
START_TEST(closing_takes_no_name_that_was_committed)
{
	struct edit *edit = create_row();

	write_at(edit, 0, our_text);
	ck_assert_int_eq(flush_by(edit, ME), 0);
	/* Meanwhile somebody moves it away. */
	move_row_away();
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

	move_row_away();
	names_event(sample.engine.names, ITEMS, "42.json", NAME_CREATED, NULL);
	edit = open_edit((struct edit_options){EDIT_UPDATE, .created = true});
	write_at(edit, 0, "{");
	edit_close(edit);
	ck_assert_int_eq(name_now(), NAME_DETACHED);
}
END_TEST

START_TEST(it_knows_what_it_is)
{
	struct edit *edit = open_row(true);
	_cleanup_buf_ struct buf text = {0};

	ck_assert(edit_is_clean(edit));
	write_at(edit, 0, our_text);
	ck_assert(!edit_is_clean(edit));
	ck_assert_int_eq(flush_by(edit, ME), 0);
	ck_assert(edit_is_clean(edit));

	ck_assert(edit_is_of(edit, ITEMS, "42.json"));
	ck_assert(!edit_is_of(edit, ITEMS, "4.json"));
	ck_assert(!edit_is_of(edit, NAMED, "42.json"));
	ck_assert_int_eq(edit_surrender(edit, &text), 0);
	ck_assert(!edit_is_of(edit, ITEMS, "42.json"));
	edit_close(edit);
}
END_TEST

START_TEST(a_surrendered_edit_has_no_business_any_more)
{
	struct edit *edit = create_row();
	_cleanup_buf_ struct buf text = {0}, none = {0};

	write_at(edit, 0, our_text);
	ck_assert_int_eq(edit_surrender(edit, &text), 0);
	ck_assert_str_eq(text.data, our_text);
	ck_assert_int_eq(flush_by(edit, ME), 0);
	write_at(edit, 0, "{\"price\": 98.00}\n");
	ck_assert_int_eq(flush_by(edit, ME), 0);
	edit_close(edit);
	check_events("");
	check_kept(0, "");
	ck_assert_int_eq(name_now(), NAME_PENDING);

	edit = open_row(true);
	ck_assert_int_eq(edit_surrender(edit, &none), 0);
	ck_assert_uint_eq(none.len, 0);
	edit_close(edit);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("edit");
	TCase *test;

	test = add_case(suite, "buffer");
	tcase_add_test(test, it_begins_as_the_row_or_empty);
	tcase_add_test(test, bytes_go_where_they_are_written);
	tcase_add_test(test, it_is_bounded);
	tcase_add_test(test, a_text_that_was_cut_off_is_refused_for_that);
	tcase_add_loop_test(test, what_was_missing_may_come_after_all, 0, 2);
	tcase_add_test(test, a_name_whose_first_bytes_did_not_fit_goes);
	test = add_case(suite, "saving");
	tcase_add_test(test, a_handle_that_wrote_nothing_never_fails);
	tcase_add_test(test, a_write_tells_when_a_text_is_whole);
	tcase_add_test(test, a_text_that_began_with_the_rows_is_saved_when_it_is_closed);
	tcase_add_test(test, what_was_refused_with_the_same_bytes_is_refused_once);
	tcase_add_test(test, white_space_after_a_saved_text_is_no_other);
	tcase_add_test(test, an_empty_buffer_changes_nothing);
	tcase_add_test(test, what_was_written_is_saved_once);
	tcase_add_loop_test(test, of_two_that_create_a_row_the_second_is_told, 0, 2);
	tcase_add_test(test, an_insert_makes_its_name_a_row);
	tcase_add_test(test, a_replacement_is_an_update_of_what_was_moved_away);
	tcase_add_test(test, an_edit_of_what_was_saved_goes_on_from_there);
	tcase_add_test(test, whoever_cannot_keep_a_surrendered_text_gives_it_back);
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
	tcase_add_loop_test(test, closing_saves_what_came_after_the_last_flush, 0, 2);
	tcase_add_loop_test(test, closing_says_why_it_could_not_save, 0, 3);
	tcase_add_test(test, closing_waits_for_a_seat_without_a_thread);
	tcase_add_test(test, closing_after_a_refusal_takes_the_name_away);
	tcase_add_test(test, closing_an_empty_file_keeps_it_pending);
	tcase_add_test(test, closing_takes_no_name_that_another_handle_made);
	tcase_add_test(test, closing_takes_no_name_that_was_committed);
	tcase_add_test(test, a_replacement_that_is_never_whole_leaves_the_row_detached);
	tcase_add_test(test, it_knows_what_it_is);
	tcase_add_test(test, a_surrendered_edit_has_no_business_any_more);
	return suite_run(suite);
}
