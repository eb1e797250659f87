/* What is remembered of what programs have read: this process, and children. */
#include "rowfs/engine/bases.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rowfs/base/process.h"
#include "suite.h"

enum { TABLE = 1001, ROOM = 1 << 20 };

static struct bases *bases;

static void setup(void)
{
	ck_assert_int_eq(bases_new(ROOM, &bases), 0);
}

static void teardown(void)
{
	bases_free(bases);
	ck_assert_uint_eq(text_bytes(), 0);
}

static struct text *text_of(const char *data, size_t len)
{
	struct version version = version_of(data, len, NULL);
	struct text *text = text_new(data, len, &version, 700);

	ck_assert_ptr_nonnull(text);
	return text;
}

static void note(const char *name, pid_t thread, const char *data)
{
	_cleanup_text_ struct text *text = text_of(data, strlen(data));

	bases_note(bases, TABLE, name, thread, text);
}

static void save(const char *name, pid_t thread, const char *data)
{
	_cleanup_text_ struct text *text = text_of(data, strlen(data));

	bases_saved(bases, TABLE, name, thread, text);
}

/* "-" if there is none; with "saved " before it if it was. */
static const char *known(const char *name, pid_t thread)
{
	static char data[100];
	bool saved = false;
	_cleanup_text_ struct text *text = bases_get(bases, TABLE, name, thread, &saved);

	snprintf(data, sizeof data, "%s%s", saved ? "saved " : "", text ? text->data : "-");
	return data;
}

static pid_t child(void)
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		pause();
		_exit(0);
	}
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

START_TEST(a_program_knows_what_it_read_last)
{
	note("1.json", getpid(), "one");
	note("2.json", getpid(), "two");
	ck_assert_str_eq(known("1.json", getpid()), "one");
	ck_assert_str_eq(known("2.json", getpid()), "two");
	ck_assert_str_eq(known("3.json", getpid()), "-");
	note("1.json", getpid(), "one more");
	ck_assert_str_eq(known("1.json", getpid()), "one more");
}
END_TEST

START_TEST(another_program_knows_nothing_of_it)
{
	pid_t other = child();

	note("1.json", getpid(), "one");
	ck_assert_str_eq(known("1.json", other), "-");
	note("1.json", other, "another");
	ck_assert_str_eq(known("1.json", other), "another");
	ck_assert_str_eq(known("1.json", getpid()), "one");
	end(other);
}
END_TEST

static void *group_of_thread(void *arg)
{
	pid_t thread = (pid_t)syscall(SYS_gettid);

	ck_assert_int_ne(thread, getpid());
	*(pid_t *)arg = process_group(thread);
	return NULL;
}

START_TEST(threads_of_a_program_are_one)
{
	pthread_t thread;
	pid_t group = 0;

	ck_assert_int_eq(pthread_create(&thread, NULL, group_of_thread, &group), 0);
	pthread_join(thread, NULL);
	ck_assert_int_eq(group, getpid());
	ck_assert_int_eq(process_group(getpid()), getpid());
	ck_assert_int_eq(process_group(1), 1);
	ck_assert_int_eq(process_group(0), 0);
	ck_assert_int_eq(process_group(1 << 30), 0);
}
END_TEST

START_TEST(who_has_ended_or_is_unknown_knows_nothing)
{
	pid_t gone = child();

	note("1.json", gone, "one");
	end(gone);
	ck_assert_str_eq(known("1.json", gone), "-");
	note("1.json", 0, "one");
	ck_assert_str_eq(known("1.json", 0), "-");
}
END_TEST

/* A child of this number, if root may choose it (proc(5), ns_last_pid) and nobody is quicker; else of any. */
static pid_t child_numbered(pid_t number)
{
	FILE *last = fopen("/proc/sys/kernel/ns_last_pid", "w");

	if (last) {
		fprintf(last, "%d", (int)number - 1);
		fclose(last);
	}
	return child();
}

/* What was noted before its process began was another's. */
START_TEST(a_number_that_is_used_again_is_another_program)
{
	pid_t gone = child(), again;

	note("1.json", gone, "one");
	ck_assert_str_eq(known("1.json", gone), "one");
	end(gone);
	usleep(100000);
	again = child_numbered(gone);
	ck_assert_str_eq(known("1.json", again), "-");
	/* Nor does it become its own when a handle that the first has left is saved. */
	save("1.json", gone, "saved");
	ck_assert_str_eq(known("1.json", again), "-");
	ck_assert_int_gt(process_began_us(again), process_began_us(getpid()));
	end(again);
}
END_TEST

START_TEST(a_save_is_known_to_who_had_read)
{
	save("1.json", getpid(), "never read");
	ck_assert_str_eq(known("1.json", getpid()), "-");
	note("1.json", getpid(), "one");
	save("1.json", getpid(), "mine");
	ck_assert_str_eq(known("1.json", getpid()), "saved mine");
	note("1.json", getpid(), "read again");
	ck_assert_str_eq(known("1.json", getpid()), "read again");
	save("1.json", getpid(), "mine");
	bases_saved(bases, TABLE, "1.json", getpid(), NULL);
	ck_assert_str_eq(known("1.json", getpid()), "-");
}
END_TEST

START_TEST(of_one_program_the_last_are_kept)
{
	char name[20];

	for (int i = 0; i < BASES_OF_ONE + 10; i++) {
		snprintf(name, sizeof name, "%d.json", i);
		note(name, getpid(), name);
	}
	ck_assert_str_eq(known("9.json", getpid()), "-");
	ck_assert_str_eq(known("10.json", getpid()), "10.json");
	ck_assert_str_eq(known(name, getpid()), name);
}
END_TEST

/* Numbers that no process has stand for those that have ended. The living had the oldest. */
START_TEST(those_who_have_ended_are_forgotten_first)
{
	enum { NOBODY = 1 << 28 };
	char name[20];

	for (int i = 0; i < 60; i++) {
		snprintf(name, sizeof name, "mine%d.json", i);
		note(name, getpid(), "mine");
	}
	for (int i = 0; i < 2 * BASES_MAX; i++) {
		snprintf(name, sizeof name, "%d.json", i);
		note(name, NOBODY + i, name);
	}
	for (int i = 0; i < 60; i++) {
		snprintf(name, sizeof name, "mine%d.json", i);
		ck_assert_str_eq(known(name, getpid()), "mine");
	}
	ck_assert_uint_eq(bases_count(bases), BASES_MAX);
	ck_assert_uint_lt(text_bytes(), BASES_MAX * sizeof name);
}
END_TEST

START_TEST(texts_take_so_much_and_no_more)
{
	char *data = calloc(1, ROOM + 1);
	struct text *half = text_of(data, ROOM / 2), *large = text_of(data, ROOM + 1);
	bool saved;

	bases_note(bases, TABLE, "1.json", getpid(), half);
	bases_note(bases, TABLE, "2.json", getpid(), half);
	note("3.json", getpid(), "three");
	ck_assert_str_eq(known("1.json", getpid()), "-");
	ck_assert_str_eq(known("3.json", getpid()), "three");
	bases_note(bases, TABLE, "3.json", getpid(), large);
	ck_assert_ptr_null(bases_get(bases, TABLE, "3.json", getpid(), &saved));
	text_unref(half);
	text_unref(large);
	free(data);
}
END_TEST

START_TEST(who_needs_the_memory_gets_it)
{
	struct text *text;

	note("1.json", getpid(), "one");
	text_set_limit(4);
	text = text_of("four", 4);
	text_set_limit(UINT64_MAX);
	ck_assert_str_eq(known("1.json", getpid()), "-");
	text_unref(text);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("bases");
	TCase *test = tcase_create("bases");

	tcase_add_checked_fixture(test, setup, teardown);
	tcase_add_test(test, a_program_knows_what_it_read_last);
	tcase_add_test(test, another_program_knows_nothing_of_it);
	tcase_add_test(test, threads_of_a_program_are_one);
	tcase_add_test(test, who_has_ended_or_is_unknown_knows_nothing);
	tcase_add_test(test, a_number_that_is_used_again_is_another_program);
	tcase_add_test(test, a_save_is_known_to_who_had_read);
	tcase_add_test(test, of_one_program_the_last_are_kept);
	tcase_add_test(test, those_who_have_ended_are_forgotten_first);
	tcase_add_test(test, texts_take_so_much_and_no_more);
	tcase_add_test(test, who_needs_the_memory_gets_it);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
