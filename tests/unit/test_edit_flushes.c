/* Flushes of one handle, at once. */
#include "edit_handle.h"

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
	check_events("update drop tell list fetch update drop tell list");
	ck_assert_str_eq(server.values, "98.00|42|99.00|");
	edit_close(edit);
}
END_TEST

static struct latch second_write = LATCH_INIT;

static int hold_second(void *arg, const struct fake_call *call)
{
	int r = serve(arg, call);

	if (call->statement->writes && server.writes == 2)
		latch_pass(&second_write);
	return r;
}

/* What is committed is said to be, whatever those who waited for it still have to do. */
START_TEST(a_flush_does_not_wait_for_those_who_wait_for_it)
{
	struct edit *edit = open_row(true);
	struct flush first, second, third;

	use_server((struct server){LATCH_INIT, .hold = 1});
	fake_store_on(hold_second, NULL);
	write_at(edit, 0, our_text);
	flush_slowly(&first, edit);
	write_at(edit, 11, "8");
	flush_begin(&second, edit, ME);
	flush_begin(&third, edit, MY_CHILD);
	latch_open(&server.latch);
	latch_await(&second_write, 1);
	ck_assert(flush_answered(&first));
	ck_assert(!flush_answered(&second));
	ck_assert(!flush_answered(&third));
	latch_open(&second_write);
	ck_assert_int_eq(flush_end(&second), 0);
	ck_assert_int_eq(flush_end(&third), 0);
	ck_assert_int_eq(flush_slowly_end(&first), 0);
	ck_assert_uint_eq(server.writes, 2);
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

START_TEST(what_is_being_saved_is_not_surrendered)
{
	struct edit *edit = open_row(true);
	_cleanup_buf_ struct buf text = {0};
	struct flush first;

	use_server((struct server){LATCH_INIT, .hold = 1});
	write_at(edit, 0, our_text);
	flush_slowly(&first, edit);
	ck_assert_int_eq(edit_surrender(edit, &text), -EBUSY);
	ck_assert_uint_eq(text.len, 0);
	ck_assert(!edit_is_clean(edit));
	latch_open(&server.latch);
	ck_assert_int_eq(flush_slowly_end(&first), 0);
	ck_assert_int_eq(edit_surrender(edit, &text), 0);
	ck_assert_str_eq(text.data, our_text);
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

int main(void)
{
	Suite *suite = suite_create("edit_flushes");
	TCase *test;

	test = add_case(suite, "at once");
	tcase_add_loop_test(test, a_second_flush_waits_for_the_first_and_says_the_same, 0, 2);
	tcase_add_test(test, what_is_written_meanwhile_is_saved_after_it);
	tcase_add_test(test, a_flush_does_not_wait_for_those_who_wait_for_it);
	tcase_add_test(test, a_refusal_of_what_is_overwritten_does_not_stick);
	tcase_add_test(test, a_child_that_waited_still_says_nothing_about_half_a_text);
	tcase_add_test(test, what_is_being_saved_is_not_surrendered);
	tcase_add_test(test, a_buffer_can_be_read_and_written_while_it_is_saved);
	tcase_add_test(test, many_write_and_flush_one_handle);
	return suite_run(suite);
}
