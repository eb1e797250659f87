#include "rowfs/engine/marks.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "suite.h"

enum { ITEMS = 16388, OTHERS = 16401 };

static struct marks *marks;

static void setup(void)
{
	ck_assert_int_eq(marks_new(&marks), 0);
}

static void teardown(void)
{
	marks_free(marks);
}

START_TEST(nothing_is_touched_before_anything_is_marked)
{
	ck_assert(!marks_touched(marks, ITEMS, "42.json", marks_now(marks)));
	ck_assert(!marks_touched(marks, ITEMS, "", 0));
	ck_assert(!marks_relation_touched(marks, ITEMS, 0));
}
END_TEST

START_TEST(a_row_is_touched_by_a_change_after_the_number_and_not_by_one_before)
{
	uint64_t before = marks_now(marks), after;

	marks_row(marks, ITEMS, "42.json");
	after = marks_now(marks);
	ck_assert_uint_eq(after, before + 1);
	ck_assert(marks_touched(marks, ITEMS, "42.json", before));
	ck_assert(!marks_touched(marks, ITEMS, "42.json", after));
	marks_row(marks, ITEMS, "42.json");
	ck_assert(marks_touched(marks, ITEMS, "42.json", after));
}
END_TEST

/* Slots are shared by hash, so a few of many may be. */
START_TEST(other_rows_are_hardly_ever_touched)
{
	unsigned falsely = 0;
	char name[32];

	marks_row(marks, ITEMS, "42.json");
	for (int i = 100; i < 10100; i++) {
		snprintf(name, sizeof name, "%d.json", i);
		falsely += marks_touched(marks, ITEMS, name, 0);
	}
	ck_assert_uint_lt(falsely, 10);
}
END_TEST

START_TEST(a_row_of_the_same_name_elsewhere_is_another)
{
	unsigned falsely = 0;

	marks_row(marks, ITEMS, "42.json");
	for (uint32_t relation = OTHERS; relation < OTHERS + 10000; relation++)
		falsely += marks_touched(marks, relation, "42.json", 0);
	ck_assert_uint_lt(falsely, 10);
}
END_TEST

START_TEST(a_row_touches_its_relation_but_not_the_other_rows)
{
	uint64_t before = marks_now(marks);

	marks_row(marks, ITEMS, "42.json");
	ck_assert(marks_relation_touched(marks, ITEMS, before));
	ck_assert(!marks_relation_touched(marks, ITEMS, marks_now(marks)));
	ck_assert(!marks_relation_touched(marks, OTHERS, before));
}
END_TEST

START_TEST(a_relation_touches_all_of_its_rows)
{
	uint64_t before = marks_now(marks);

	marks_relation(marks, ITEMS);
	ck_assert(marks_touched(marks, ITEMS, "42.json", before));
	ck_assert(marks_touched(marks, ITEMS, "43.json", before));
	ck_assert(marks_relation_touched(marks, ITEMS, before));
	ck_assert(!marks_touched(marks, OTHERS, "42.json", before));
	ck_assert(!marks_relation_touched(marks, OTHERS, before));
	ck_assert(!marks_touched(marks, ITEMS, "42.json", marks_now(marks)));
}
END_TEST

START_TEST(everything_touches_everything)
{
	uint64_t before = marks_now(marks);

	marks_all(marks);
	ck_assert(marks_touched(marks, ITEMS, "42.json", before));
	ck_assert(marks_touched(marks, OTHERS, "", before));
	ck_assert(marks_relation_touched(marks, ITEMS, before));
	ck_assert(marks_relation_touched(marks, OTHERS, before));
	ck_assert(!marks_touched(marks, ITEMS, "42.json", marks_now(marks)));
	ck_assert(!marks_relation_touched(marks, ITEMS, marks_now(marks)));
}
END_TEST

START_TEST(none_can_be_freed)
{
	marks_free(NULL);
}
END_TEST

/* --- Against a list of all changes ----------------------------------------------------------- */

enum { KIND_ROW, KIND_RELATION, KIND_ALL, KINDS };
enum { CHANGES = 3000, ROWS = 200, RELATIONS = 20 };

struct change {
	int kind;
	uint32_t relation;
	size_t row;
};

static void spell(size_t row, char ret[16])
{
	snprintf(ret, 16, "%zu.json", row);
}

static void mark(const struct change *change)
{
	char name[16];

	spell(change->row, name);
	if (change->kind == KIND_ROW)
		marks_row(marks, change->relation, name);
	else if (change->kind == KIND_RELATION)
		marks_relation(marks, change->relation);
	else
		marks_all(marks);
}

/* Everything seldom, or nothing else would be tested. */
static struct change random_change(uint64_t *random)
{
	size_t dice = random_below(random, 200);

	return (struct change){
	        .kind = dice == 0 ? KIND_ALL : dice < 10 ? KIND_RELATION : KIND_ROW,
	        .relation = (uint32_t)random_below(random, RELATIONS),
	        .row = random_below(random, ROWS),
	};
}

START_TEST(no_change_of_many_is_missed_whenever_one_asks)
{
	static struct change changes[CHANGES];
	static uint64_t numbers[CHANGES]; /* from before each */
	uint64_t random = random_seed();
	char name[16];

	for (size_t i = 0; i < CHANGES; i++) {
		numbers[i] = marks_now(marks);
		changes[i] = random_change(&random);
		mark(&changes[i]);
	}
	for (size_t i = 0; i < CHANGES; i++) {
		const struct change *change = &changes[i];
		uint64_t since = numbers[random_below(&random, i + 1)];

		spell(change->row, name);
		ck_assert(marks_touched(marks, change->relation, name, since));
		ck_assert(marks_relation_touched(marks, change->relation, since));
		/* Nothing is newer than the newest. */
		ck_assert(!marks_touched(marks, change->relation, name, marks_now(marks)));
		ck_assert(!marks_relation_touched(marks, change->relation, marks_now(marks)));
	}
}
END_TEST

/* --- Threads --------------------------------------------------------------------------------- */

enum { WRITERS = 3, READERS = 2, SHARED_ROWS = 64, VERSIONS = 30000, NUMBERS = 500000 };

/* The rows: a version each, written before it is marked, as a commit comes before its announcement. */
static _Atomic unsigned versions[SHARED_ROWS];
static _Atomic unsigned marked[SHARED_ROWS]; /* versions up to this are marked */
static atomic_bool over;

static void *change_rows(void *arg)
{
	uint64_t random = *(uint64_t *)arg;
	size_t first = (size_t)random % WRITERS; /* a row has one writer */
	char name[16];

	for (unsigned n = 0; n < VERSIONS; n++) {
		size_t row = first + WRITERS * random_below(&random, SHARED_ROWS / WRITERS);
		unsigned version = versions[row] + 1;

		spell(row, name);
		versions[row] = version;
		switch (random_below(&random, 50)) {
		case 0:
			marks_all(marks);
			break;
		case 1:
			marks_relation(marks, ITEMS);
			break;
		default:
			marks_row(marks, ITEMS, name);
		}
		marked[row] = version;
	}
	return NULL;
}

/* A read that was before a change, and a question that comes after its mark: touched. So with "not touched" what was read is
 * no older than what was marked by then. */
static void *read_rows(void *arg)
{
	uint64_t random = *(uint64_t *)arg;
	char name[16];

	while (!over) {
		size_t row = random_below(&random, SHARED_ROWS);
		uint64_t since = marks_now(marks);
		unsigned seen = versions[row], told;

		spell(row, name);
		if (random_below(&random, 4) == 0)
			sched_yield();
		told = marked[row];
		if (!marks_touched(marks, ITEMS, name, since))
			ck_assert_uint_ge(seen, told);
		if (!marks_relation_touched(marks, ITEMS, since))
			ck_assert_uint_ge(seen, told);
	}
	return NULL;
}

START_TEST(a_change_marked_between_the_number_and_the_question_is_never_missed)
{
	pthread_t threads[WRITERS + READERS];
	uint64_t seeds[WRITERS + READERS], seed = random_seed();

	for (size_t i = 0; i < WRITERS + READERS; i++) {
		seeds[i] = (seed + i) * WRITERS * READERS + i; /* the writers' remainders differ */
		ck_assert_int_eq(pthread_create(&threads[i], NULL, i < WRITERS ? change_rows : read_rows,
		                                &seeds[i]),
		                 0);
	}
	for (size_t i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
	over = true;
	for (size_t i = WRITERS; i < WRITERS + READERS; i++)
		pthread_join(threads[i], NULL);
	ck_assert_uint_eq(marks_now(marks), (uint64_t)WRITERS * VERSIONS);
}
END_TEST

static void *change_one_row(void *arg)
{
	for (unsigned n = 0; n < NUMBERS; n++)
		marks_row(marks, ITEMS, "42.json");
	over = true;
	return NULL;
}

/* A number is not given out before what it stands for can be seen. */
START_TEST(who_has_seen_a_number_sees_its_mark)
{
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, change_one_row, NULL), 0);
	while (!over) {
		uint64_t since = marks_now(marks);

		if (marks_now(marks) == since)
			continue;
		ck_assert(marks_touched(marks, ITEMS, "42.json", since));
		ck_assert(marks_relation_touched(marks, ITEMS, since));
	}
	pthread_join(thread, NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("marks");
	TCase *test = tcase_create("marks");

	tcase_set_timeout(test, 60);
	tcase_add_checked_fixture(test, setup, teardown);
	tcase_add_test(test, nothing_is_touched_before_anything_is_marked);
	tcase_add_test(test, a_row_is_touched_by_a_change_after_the_number_and_not_by_one_before);
	tcase_add_test(test, other_rows_are_hardly_ever_touched);
	tcase_add_test(test, a_row_of_the_same_name_elsewhere_is_another);
	tcase_add_test(test, a_row_touches_its_relation_but_not_the_other_rows);
	tcase_add_test(test, a_relation_touches_all_of_its_rows);
	tcase_add_test(test, everything_touches_everything);
	tcase_add_test(test, none_can_be_freed);
	tcase_add_test(test, no_change_of_many_is_missed_whenever_one_asks);
	tcase_add_test(test, who_has_seen_a_number_sees_its_mark);
	tcase_add_test(test, a_change_marked_between_the_number_and_the_question_is_never_missed);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
