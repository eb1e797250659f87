/* rm, and the DELETE that is put off. */
#include "rowfs/engine/removal.h"

#include <sched.h>
#include <unistd.h>

#include "commit_server.h"
#include "latch.h"

enum { LONG_GRACE_MS = 600000 };

static const struct asker asker = {.uid = 1000, .gid = 100, .pid = 4711, .path = "public/items/42.json"};

static void open_with(unsigned grace_ms)
{
	sample_prepare(&sample);
	sample.settings.delete_grace_ms = grace_ms;
	sample_start(&sample);
	ref = sample_ref(&sample, ITEMS, "42.json");
	base = NULL;
	fake_store_put(&base_row);
	fake_store_on(serve, &server);
	server = (struct server){DONE};
	e = (struct error){0};
	events_take();
}

static void open_graceful(void)
{
	open_with(LONG_GRACE_MS);
}

static void open_at_once(void)
{
	open_with(0);
}

static void open_short(void)
{
	open_with(5);
}

static int remove_row(const struct rowref *which)
{
	return removal_unlink(&sample.engine, which, &asker, &e);
}

static enum name_state state(void)
{
	return names_state(sample.engine.names, ITEMS, "42.json", NULL);
}

static void check_recorded(const char *part)
{
	_cleanup_buf_ struct buf line = {0};

	refusals_print_last(sample.engine.refusals, 1000, &line);
	if (!part) {
		ck_assert_uint_eq(line.len, 0);
		return;
	}
	ck_assert_ptr_nonnull(line.data);
	ck_assert_msg(strstr(line.data, part), "\"%s\" is not in: %s", part, line.data);
}

START_TEST(without_a_grace_it_is_a_delete)
{
	ck_assert_int_eq(remove_row(&ref), 0);
	check_events("delete drop tell list");
	ck_assert_int_eq(state(), NAME_PLAIN);
	ck_assert_int_eq(removal_start(&sample.engine), 0);
	ck_assert(!sample.engine.sweeper.started);
}
END_TEST

START_TEST(with_one_it_is_tried_and_put_off)
{
	ck_assert_int_eq(remove_row(&ref), 0);
	check_events("fetch rehearse list");
	ck_assert_int_eq(state(), NAME_UNLINKED);
}
END_TEST

START_TEST(what_is_refused_is_said_at_once)
{
	server = (struct server){REFUSED, EPERM, "23503"};
	ck_assert_int_eq(remove_row(&ref), -EPERM);
	check_events("fetch rehearse");
	server = (struct server){NOTHING};
	ck_assert_int_eq(remove_row(&ref), -EPERM);
	fake_store_remove("42");
	ck_assert_int_eq(remove_row(&ref), -ENOENT);
	ck_assert_int_eq(state(), NAME_PLAIN);
}
END_TEST

START_TEST(a_row_that_was_moved_away_meanwhile_is_not_there)
{
	struct text *text = read_row(&ref);

	ck_assert_int_eq(names_event(sample.engine.names, ITEMS, "42.json", NAME_MOVED_AWAY, text), NAME_DETACHED);
	ck_assert_int_eq(remove_row(&ref), -ENOENT);
	check_error(ENOENT, "42.json");
	ck_assert_int_eq(state(), NAME_DETACHED);
	text_unref(text);
}
END_TEST

/* Columns that the role does not see would survive the pair. */
START_TEST(a_row_with_hidden_columns_is_deleted_at_once)
{
	struct rowref partial = sample_ref(&sample, PARTIAL, "42.json");

	ck_assert_int_eq(remove_row(&partial), 0);
	check_events("delete tell list");
	rowref_done(&partial);
}
END_TEST

START_TEST(what_would_be_too_much_is_deleted_at_once)
{
	static const struct fake_row another = {"7421", NULL, "43", "Zelt", "129.00", "258.00"};
	struct rowref second = sample_ref(&sample, ITEMS, "43.json");
	struct text *text = read_row(&ref);

	names_free(sample.engine.names);
	ck_assert_int_eq(names_new(&(struct names_settings){0, LONG_GRACE_MS, text->len}, &sample.engine.names), 0);
	text_unref(text);
	fake_store_put(&another);
	ck_assert_int_eq(remove_row(&ref), 0);
	check_events("fetch rehearse list");
	ck_assert_int_eq(remove_row(&second), 0);
	check_events("fetch rehearse delete drop tell list");
	rowref_done(&second);
}
END_TEST

/* --- The DELETE ------------------------------------------------------------------------------ */

START_TEST(a_sync_deletes_what_waits_of_its_relation)
{
	ck_assert_int_eq(remove_row(&ref), 0);
	events_take();
	ck_assert_int_eq(removal_sync(&sample.engine, NAMED), 0);
	check_events("");
	ck_assert_int_eq(removal_sync(&sample.engine, ITEMS), 0);
	check_events("delete drop tell list");
	ck_assert_int_eq(state(), NAME_PLAIN);
	check_recorded(NULL);
}
END_TEST

START_TEST(what_fails_then_shows_again_and_is_recorded_for_who_removed_it)
{
	ck_assert_int_eq(remove_row(&ref), 0);
	events_take();
	server = _i ? (struct server){NOTHING, .row_after = &their_row} : (struct server){REFUSED, EPERM, "23503"};
	ck_assert_int_eq(removal_sync(&sample.engine, ITEMS), _i ? -ESTALE : -EPERM);
	check_recorded(_i ? "public/items/42.json: ESTALE: conflict: the row was changed" :
			    "public/items/42.json: EPERM: refused with SQLSTATE 23503");
	ck_assert_int_eq(state(), NAME_PLAIN);
	ck_assert_uint_eq(fake_kernel_told(ITEMS, "42.json"), 1);
	ck_assert_uint_eq(fake_kernel_listed(ITEMS), 2);
}
END_TEST

START_TEST(the_thread_deletes_what_is_due)
{
	ck_assert_int_eq(removal_start(&sample.engine), 0);
	ck_assert_int_eq(remove_row(&ref), 0);
	events_await("delete drop tell list");
	while (state() != NAME_PLAIN)
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	removal_stop(&sample.engine);
}
END_TEST

static void remove_three(void)
{
	static const struct fake_row others[] = {
	        {"7421", NULL, "43", "Zelt", "129.00", "258.00"},
	        {"7421", NULL, "44", "Zelt", "129.00", "258.00"},
	};
	static const char *const names[] = {"43.json", "44.json"};

	ck_assert_int_eq(remove_row(&ref), 0);
	for (int i = 0; i < 2; i++) {
		struct rowref other = sample_ref(&sample, ITEMS, names[i]);

		fake_store_put(&others[i]);
		ck_assert_int_eq(remove_row(&other), 0);
		rowref_done(&other);
	}
}

START_TEST(the_end_deletes_all_that_waits)
{
	unsigned counts[NAME_STATES];

	ck_assert_int_eq(removal_start(&sample.engine), 0);
	remove_three();
	removal_stop(&sample.engine);
	ck_assert_uint_eq(fake_store_count("delete"), 3);
	names_count(sample.engine.names, counts);
	ck_assert_uint_eq(counts[NAME_UNLINKED], 0);
	removal_stop(&sample.engine); /* it has ended */
}
END_TEST

/* Each would take as long to find that out. */
START_TEST(the_end_does_not_ask_a_server_that_is_away_for_each_row)
{
	ck_assert_int_eq(removal_start(&sample.engine), 0);
	remove_three();
	server = (struct server){REFUSED, EIO, "08006"};
	fake_store_reach(false);
	removal_stop(&sample.engine);
	fake_store_reach(true);
	ck_assert_uint_eq(fake_store_count("delete"), 1);
}
END_TEST

/* --- What comes while it is made ------------------------------------------------------------- */

static struct latch delete_latch = LATCH_INIT;

static int hold_delete(void *arg, const struct fake_call *call)
{
	if (strcmp(call->verb, "delete") == 0) {
		latch_pass(&delete_latch);
		fake_store_remove("42");
	}
	return serve(arg, call);
}

static void *sync_items(void *arg)
{
	ck_assert_int_eq(removal_sync(&sample.engine, ITEMS), 0);
	return NULL;
}

static _Atomic pid_t inserting; /* the thread */

/* Has it nothing to do but to wait for something? */
static bool is_asleep(pid_t thread)
{
	char path[64], state = 0;
	FILE *stat;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)thread);
	stat = thread ? fopen(path, "r") : NULL;
	if (stat && fscanf(stat, "%*d (%*[^)]) %c", &state) != 1)
		state = 0;
	if (stat)
		fclose(stat);
	return state == 'S';
}

static void *insert_again(void *arg)
{
	struct error why;
	const struct save save = {.text = our_text, .len = strlen(our_text)};

	inserting = gettid();
	ck_assert_int_eq(commit_save(&sample.engine, &ref, &save, NULL, &why), 0);
	return NULL;
}

START_TEST(a_file_that_is_made_while_the_row_is_deleted_is_inserted_after_it)
{
	pthread_t deleter, inserter;
	struct name_hold *hold;
	struct text *given;

	ck_assert_int_eq(remove_row(&ref), 0);
	fake_store_on(hold_delete, &server);
	ck_assert_int_eq(pthread_create(&deleter, NULL, sync_items, NULL), 0);
	latch_await(&delete_latch, 1);
	ck_assert_int_eq(state(), NAME_DELETING);
	ck_assert_int_eq(names_create(sample.engine.names, ITEMS, "42.json", &given, &hold), NAME_CLEARING);
	ck_assert_ptr_null(given);
	events_take();
	ck_assert_int_eq(pthread_create(&inserter, NULL, insert_again, NULL), 0);
	while (!is_asleep(inserting) && !fake_store_count("insert"))
		sched_yield();
	latch_open(&delete_latch);
	pthread_join(deleter, NULL);
	pthread_join(inserter, NULL);
	check_events("drop tell list insert drop tell list");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("removal");
	TCase *test = add_case(suite, "at once", open_at_once, close_all);

	tcase_add_test(test, without_a_grace_it_is_a_delete);
	test = add_case(suite, "put off", open_graceful, close_all);
	tcase_add_test(test, with_one_it_is_tried_and_put_off);
	tcase_add_test(test, what_is_refused_is_said_at_once);
	tcase_add_test(test, a_row_that_was_moved_away_meanwhile_is_not_there);
	tcase_add_test(test, a_row_with_hidden_columns_is_deleted_at_once);
	tcase_add_test(test, what_would_be_too_much_is_deleted_at_once);
	tcase_add_test(test, a_sync_deletes_what_waits_of_its_relation);
	tcase_add_loop_test(test, what_fails_then_shows_again_and_is_recorded_for_who_removed_it, 0, 2);
	tcase_add_test(test, the_end_deletes_all_that_waits);
	tcase_add_test(test, the_end_does_not_ask_a_server_that_is_away_for_each_row);
	tcase_add_test(test, a_file_that_is_made_while_the_row_is_deleted_is_inserted_after_it);
	test = add_case(suite, "due", open_short, close_all);
	tcase_add_test(test, the_thread_deletes_what_is_due);
	return suite_run(suite);
}
