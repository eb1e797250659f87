#include "rowfs/engine/own.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "rowfs/base/clock.h"
#include "suite.h"

enum { LONG_MS = 600000 };

static struct own *own_of(int64_t window_ms)
{
	struct own *own;

	ck_assert_int_eq(own_new(window_ms, &own), 0);
	return own;
}

START_TEST(a_row_never_seen_may_come_from_anywhere)
{
	struct own *own = own_of(LONG_MS);

	ck_assert(own_accepts(own, 1, "42.json", 7));
	/* Nor does a copy need to know its transaction. */
	ck_assert(own_accepts(own, 1, "42.json", 0));
	own_free(own);
	own_free(NULL);
}
END_TEST

START_TEST(a_row_seen_is_accepted_from_that_transaction_only)
{
	struct own *own = own_of(LONG_MS);

	own_note(own, 1, "42.json", 7);
	ck_assert(own_accepts(own, 1, "42.json", 7));
	ck_assert(!own_accepts(own, 1, "42.json", 6));
	/* Newer by number may be older by commit, and there is no telling. */
	ck_assert(!own_accepts(own, 1, "42.json", 8));
	ck_assert(!own_accepts(own, 1, "42.json", 0));

	own_note(own, 1, "42.json", 9);
	ck_assert(own_accepts(own, 1, "42.json", 9));
	ck_assert(!own_accepts(own, 1, "42.json", 7));
	own_free(own);
}
END_TEST

START_TEST(other_rows_are_others)
{
	struct own *own = own_of(LONG_MS);

	own_note(own, 1, "42.json", 7);
	ck_assert(own_accepts(own, 1, "4.json", 6));
	ck_assert(own_accepts(own, 1, "42.jso", 6));
	ck_assert(own_accepts(own, 1, "42.json2", 6));
	ck_assert(own_accepts(own, 2, "42.json", 6));
	own_free(own);
}
END_TEST

/* A save whose transaction is unknown, a delete: no copy can be known to be that one. */
START_TEST(an_unknown_transaction_accepts_nothing)
{
	struct own *own = own_of(LONG_MS);

	own_note(own, 1, "42.json", 0);
	ck_assert(!own_accepts(own, 1, "42.json", 0));
	ck_assert(!own_accepts(own, 1, "42.json", 7));
	own_note(own, 1, "42.json", 8);
	ck_assert(own_accepts(own, 1, "42.json", 8));
	own_free(own);
}
END_TEST

/* Milliseconds until a copy by another transaction is accepted. */
static int64_t await_acceptance(struct own *own, const char *name, int64_t since_ms)
{
	while (!own_accepts(own, 1, name, 12345))
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	return clock_monotonic_ms() - since_ms;
}

START_TEST(it_counts_for_a_window_from_the_last_note)
{
	struct own *own = own_of(80);
	int64_t began = clock_monotonic_ms();

	own_note(own, 1, "42.json", 7);
	ck_assert_int_ge(await_acceptance(own, "42.json", began), 80);

	own_note(own, 1, "42.json", 7);
	nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
	began = clock_monotonic_ms();
	own_note(own, 1, "42.json", 7);
	ck_assert_int_ge(await_acceptance(own, "42.json", began), 80);
	own_free(own);
}
END_TEST

/* --- Overflow -------------------------------------------------------------------------------- */

static void note_number(struct own *own, unsigned n)
{
	char name[32];

	snprintf(name, sizeof(name), "%u.json", n);
	own_note(own, 1, name, n + 1);
}

START_TEST(as_many_as_it_holds_are_remembered)
{
	struct own *own = own_of(LONG_MS);

	for (unsigned n = 0; n < OWN_MAX; n++)
		note_number(own, n);
	ck_assert(own_accepts(own, 1, "never-seen.json", 1));
	ck_assert(!own_accepts(own, 1, "0.json", 99));
	ck_assert(own_accepts(own, 1, "0.json", 1));
	own_free(own);
}
END_TEST

START_TEST(one_more_and_nothing_is_accepted_but_what_it_remembers)
{
	struct own *own = own_of(LONG_MS);

	for (unsigned n = 0; n <= OWN_MAX; n++)
		note_number(own, n);
	ck_assert(!own_accepts(own, 1, "never-seen.json", 1));
	/* The oldest was forgotten, so nothing of it can be accepted. */
	ck_assert(!own_accepts(own, 1, "0.json", 1));
	ck_assert(own_accepts(own, 1, "1.json", 2));
	ck_assert(own_accepts(own, 1, "65536.json", 65537));
	own_free(own);
}
END_TEST

START_TEST(the_one_forgotten_is_the_one_not_seen_for_longest)
{
	struct own *own = own_of(LONG_MS);

	for (unsigned n = 0; n < OWN_MAX; n++)
		note_number(own, n);
	/* A row that it knows takes no more room. */
	note_number(own, 0);
	ck_assert(own_accepts(own, 1, "never-seen.json", 1));
	note_number(own, OWN_MAX);
	ck_assert(!own_accepts(own, 1, "never-seen.json", 1));
	ck_assert(own_accepts(own, 1, "0.json", 1));
	ck_assert(!own_accepts(own, 1, "1.json", 2));
	ck_assert(own_accepts(own, 1, "2.json", 3));
	own_free(own);
}
END_TEST

START_TEST(after_an_overflow_it_takes_one_window_to_accept_again)
{
	struct own *own = own_of(2500);
	int64_t began;

	for (unsigned n = 0; n < OWN_MAX; n++)
		note_number(own, n);
	began = clock_monotonic_ms();
	note_number(own, OWN_MAX);
	ck_assert_msg(!own_accepts(own, 1, "never-seen.json", 12345),
	              "noting all took longer than the window");
	ck_assert_int_ge(await_acceptance(own, "never-seen.json", began), 2500);
	/* And there is room again. */
	note_number(own, 5);
	ck_assert(own_accepts(own, 1, "never-seen.json", 12345));
	own_free(own);
}
END_TEST

enum { THREADS = 4, ROUNDS = 5000 };

/* Each has rows of its own, among everybody's. */
static void *note_and_ask(void *arg)
{
	static _Atomic unsigned threads;
	struct own *own = arg;
	unsigned thread = threads++;

	for (unsigned i = 0; i < ROUNDS; i++) {
		char mine[32];

		snprintf(mine, sizeof(mine), "%u-%u.json", thread, i % 50);
		own_note(own, 1, mine, i + 1);
		ck_assert(own_accepts(own, 1, mine, i + 1));
		ck_assert(!own_accepts(own, 1, mine, i));
		own_note(own, 1, "everybodys.json", i + 1);
		ck_assert(!own_accepts(own, 1, "everybodys.json", ROUNDS + 1));
	}
	return NULL;
}

START_TEST(threads_share_it)
{
	struct own *own = own_of(LONG_MS);
	pthread_t threads[THREADS];

	for (int t = 0; t < THREADS; t++)
		ck_assert_int_eq(pthread_create(&threads[t], NULL, note_and_ask, own), 0);
	for (int t = 0; t < THREADS; t++)
		pthread_join(threads[t], NULL);
	own_free(own);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("own");
	TCase *test = tcase_create("own");

	tcase_set_timeout(test, 60);
	tcase_add_test(test, a_row_never_seen_may_come_from_anywhere);
	tcase_add_test(test, a_row_seen_is_accepted_from_that_transaction_only);
	tcase_add_test(test, other_rows_are_others);
	tcase_add_test(test, an_unknown_transaction_accepts_nothing);
	tcase_add_test(test, it_counts_for_a_window_from_the_last_note);
	tcase_add_test(test, as_many_as_it_holds_are_remembered);
	tcase_add_test(test, one_more_and_nothing_is_accepted_but_what_it_remembers);
	tcase_add_test(test, the_one_forgotten_is_the_one_not_seen_for_longest);
	tcase_add_test(test, after_an_overflow_it_takes_one_window_to_accept_again);
	tcase_add_test(test, threads_share_it);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
