#include "rowfs/engine/names.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "rowfs/base/clock.h"
#include "suite.h"

enum { CANNOT = -1, LONG_GRACE_MS = 600000 };

/* The diagram of names.h, arrow by arrow. Three that it does not draw leave the name where it is:
 * what comes after the name's story has ended otherwise (by another handle's commit, by the grace).
 */
static const struct {
	enum name_state from;
	enum name_event event;
	int to;
} expected[] = {
        {NAME_PLAIN, NAME_MOVED_AWAY, NAME_DETACHED},
        {NAME_PLAIN, NAME_CREATED, NAME_PENDING},
        {NAME_PLAIN, NAME_COMMITTED, NAME_PLAIN},
        {NAME_PLAIN, NAME_REMOVED, CANNOT},
        {NAME_PLAIN, NAME_DROPPED, NAME_PLAIN},
        {NAME_PLAIN, NAME_EXPIRED, CANNOT},

        {NAME_DETACHED, NAME_MOVED_AWAY, CANNOT},
        {NAME_DETACHED, NAME_CREATED, NAME_REPLACING},
        {NAME_DETACHED, NAME_COMMITTED, NAME_PLAIN},
        {NAME_DETACHED, NAME_REMOVED, CANNOT},
        {NAME_DETACHED, NAME_DROPPED, NAME_DETACHED},
        {NAME_DETACHED, NAME_EXPIRED, NAME_PLAIN},

        {NAME_REPLACING, NAME_MOVED_AWAY, NAME_DETACHED},
        {NAME_REPLACING, NAME_CREATED, CANNOT},
        {NAME_REPLACING, NAME_COMMITTED, NAME_PLAIN},
        {NAME_REPLACING, NAME_REMOVED, NAME_DETACHED},
        {NAME_REPLACING, NAME_DROPPED, NAME_DETACHED},
        {NAME_REPLACING, NAME_EXPIRED, CANNOT},

        {NAME_PENDING, NAME_MOVED_AWAY, NAME_PLAIN},
        {NAME_PENDING, NAME_CREATED, CANNOT},
        {NAME_PENDING, NAME_COMMITTED, NAME_PLAIN},
        {NAME_PENDING, NAME_REMOVED, NAME_PLAIN},
        {NAME_PENDING, NAME_DROPPED, NAME_PLAIN},
        {NAME_PENDING, NAME_EXPIRED, CANNOT},
};

enum { CASES = sizeof(expected) / sizeof(*expected) };
_Static_assert(CASES == (int)NAME_STATES * (int)NAME_EVENTS, "every state with every event");

static struct names *names_of(unsigned grace_ms)
{
	struct names *names;

	ck_assert_int_eq(names_new(grace_ms, &names), 0);
	return names;
}

static struct text *text_of(const char *data)
{
	struct version version = version_of(data, strlen(data), NULL);
	struct text *text = text_new(data, strlen(data), &version, 7);

	ck_assert_ptr_nonnull(text);
	return text;
}

static enum name_state state_of(struct names *names, const char *name)
{
	return names_state(names, 1, name, NULL);
}

static int let(struct names *names, const char *name, enum name_event event)
{
	struct text *base = event == NAME_MOVED_AWAY ? text_of("{}") : NULL;
	int r = names_event(names, 1, name, event, base);

	text_unref(base);
	return r;
}

static void bring_to(struct names *names, const char *name, enum name_state state)
{
	if (state == NAME_DETACHED || state == NAME_REPLACING)
		ck_assert_int_eq(let(names, name, NAME_MOVED_AWAY), NAME_DETACHED);
	if (state == NAME_PENDING || state == NAME_REPLACING)
		ck_assert_int_eq(let(names, name, NAME_CREATED), (int)state);
	ck_assert_int_eq(state_of(names, name), state);
}

START_TEST(every_state_takes_every_event_as_drawn)
{
	struct names *names = names_of(LONG_GRACE_MS);
	int to = expected[_i].to;

	ck_assert_int_eq(names_next(expected[_i].from, expected[_i].event), to);
	bring_to(names, "42.json", expected[_i].from);
	ck_assert_int_eq(let(names, "42.json", expected[_i].event), to == CANNOT ? -EBUSY : to);
	ck_assert_int_eq(state_of(names, "42.json"), to == CANNOT ? (int)expected[_i].from : to);
	/* Nobody else's name was meant. */
	ck_assert_int_eq(state_of(names, "4.json"), NAME_PLAIN);
	ck_assert_int_eq(names_state(names, 2, "42.json", NULL), NAME_PLAIN);
	names_free(names);
}
END_TEST

/* --- The base -------------------------------------------------------------------------------- */

static void check_base(struct names *names, const struct text *base)
{
	struct text *now = (struct text *)(uintptr_t)1;

	names_state(names, 1, "42.json", &now);
	ck_assert_ptr_eq(now, base);
	text_unref(now);
}

START_TEST(the_base_is_kept_while_the_row_is_away)
{
	struct names *names = names_of(LONG_GRACE_MS);
	struct text *base = text_of("{}"), *later = text_of("{\"a\": 1}");

	ck_assert_int_eq(names_event(names, 1, "42.json", NAME_MOVED_AWAY, base), NAME_DETACHED);
	check_base(names, base);
	ck_assert_int_eq(let(names, "42.json", NAME_CREATED), NAME_REPLACING);
	check_base(names, base);
	/* What is moved away now is a replacement that was never committed, not the row. */
	ck_assert_int_eq(names_event(names, 1, "42.json", NAME_MOVED_AWAY, later), NAME_DETACHED);
	check_base(names, base);
	ck_assert_int_eq(let(names, "42.json", NAME_CREATED), NAME_REPLACING);
	ck_assert_int_eq(let(names, "42.json", NAME_DROPPED), NAME_DETACHED);
	check_base(names, base);
	ck_assert_int_eq(let(names, "42.json", NAME_COMMITTED), NAME_PLAIN);
	check_base(names, NULL);
	ck_assert_uint_eq(base->refs, 1);

	/* And one that is still held goes with the table. */
	ck_assert_int_eq(names_event(names, 1, "43.json", NAME_MOVED_AWAY, base), NAME_DETACHED);
	ck_assert_uint_eq(base->refs, 2);
	names_free(names);
	ck_assert_uint_eq(base->refs, 1);
	text_unref(base);
	text_unref(later);
	ck_assert_uint_eq(text_bytes(), 0);
}
END_TEST

/* What is created over it would have nothing to be compared with. */
START_TEST(nothing_is_detached_without_a_text)
{
	struct names *names = names_of(LONG_GRACE_MS);

	ck_assert_int_eq(names_event(names, 1, "42.json", NAME_MOVED_AWAY, NULL), -EBUSY);
	ck_assert_int_eq(state_of(names, "42.json"), NAME_PLAIN);
	names_free(names);
	names_free(NULL);
}
END_TEST

START_TEST(a_created_name_comes_with_its_base)
{
	struct names *names = names_of(LONG_GRACE_MS);
	struct text *base = text_of("{}"), *given = base;

	ck_assert_int_eq(names_create(names, 1, "43.json", &given), NAME_PENDING);
	ck_assert_ptr_null(given);
	ck_assert_int_eq(names_create(names, 1, "43.json", &given), -EBUSY);
	ck_assert_int_eq(names_event(names, 1, "42.json", NAME_MOVED_AWAY, base), NAME_DETACHED);
	ck_assert_int_eq(names_create(names, 1, "42.json", &given), NAME_REPLACING);
	ck_assert_ptr_eq(given, base);
	text_unref(given);
	names_free(names);
	ck_assert_uint_eq(base->refs, 1);
	text_unref(base);
}
END_TEST

/* --- Grace ----------------------------------------------------------------------------------- */

enum { GRACE_MS = 60 };

static void await_plain(struct names *names, const char *name)
{
	while (state_of(names, name) != NAME_PLAIN)
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

START_TEST(grace_runs_out_and_the_row_shows_again)
{
	struct names *names = names_of(GRACE_MS);
	int64_t began = clock_monotonic_ms();

	bring_to(names, "42.json", NAME_DETACHED);
	await_plain(names, "42.json");
	ck_assert_int_ge(clock_monotonic_ms() - began, GRACE_MS);
	/* The row is there: what is created now would be another row's insert. */
	ck_assert_int_eq(let(names, "42.json", NAME_CREATED), NAME_PENDING);
	names_free(names);
}
END_TEST

START_TEST(only_a_detached_name_expires)
{
	struct names *names = names_of(GRACE_MS);
	struct text *base = text_of("{}");
	uint32_t relation;

	bring_to(names, "replacing.json", NAME_REPLACING);
	bring_to(names, "pending.json", NAME_PENDING);
	ck_assert_int_eq(names_event(names, 1, "gone.json", NAME_MOVED_AWAY, base), NAME_DETACHED);
	await_plain(names, "gone.json");
	ck_assert(names_expire(names, &relation));
	ck_assert(!names_expire(names, &relation));
	ck_assert_uint_eq(base->refs, 1);
	ck_assert_int_eq(state_of(names, "replacing.json"), NAME_REPLACING);
	ck_assert_int_eq(state_of(names, "pending.json"), NAME_PENDING);
	text_unref(base);
	names_free(names);
}
END_TEST

START_TEST(a_name_detached_again_has_its_whole_grace)
{
	struct names *names = names_of(GRACE_MS);
	int64_t began;

	bring_to(names, "42.json", NAME_REPLACING);
	nanosleep(&(struct timespec){.tv_nsec = (GRACE_MS + 5) * 1000000L}, NULL);
	began = clock_monotonic_ms();
	ck_assert_int_eq(let(names, "42.json", NAME_REMOVED), NAME_DETACHED);
	await_plain(names, "42.json");
	ck_assert_int_ge(clock_monotonic_ms() - began, GRACE_MS);
	names_free(names);
}
END_TEST

static void count_visit(void *arg, const char *name, enum name_state state)
{
	++*(unsigned *)arg;
}

/* Let go of all whose grace has run out; how many. They must be of this relation. */
static unsigned expire_all(struct names *names, uint32_t relation)
{
	uint32_t given;
	unsigned n = 0;

	for (; names_expire(names, &given); n++)
		ck_assert_uint_eq(given, relation);
	return n;
}

/* Names that nobody asks for again must not be counted, nor hold their texts, for ever. */
START_TEST(expired_names_are_neither_counted_nor_kept)
{
	struct names *names = names_of(GRACE_MS);
	struct text *base = text_of("{}");
	unsigned visited = 0, counts[NAME_STATES];

	for (int round = 0; round < 2; round++) {
		ck_assert_int_eq(names_event(names, 1, "a.json", NAME_MOVED_AWAY, base),
		                 NAME_DETACHED);
		ck_assert_int_eq(names_event(names, 1, "b.json", NAME_MOVED_AWAY, base),
		                 NAME_DETACHED);
		names_count(names, counts);
		ck_assert_uint_eq(counts[NAME_DETACHED], 2);
		await_plain(names, "a.json");
		await_plain(names, "b.json");
		names_visit(names, 1, count_visit, &visited);
		names_count(names, counts);
		ck_assert_uint_eq(visited, 0);
		ck_assert_uint_eq(counts[NAME_DETACHED], 0);
		ck_assert_uint_eq(expire_all(names, 1), 2);
		ck_assert_uint_eq(base->refs, 1);
	}
	text_unref(base);
	names_free(names);
}
END_TEST

/* Its caller has the kernel ask for the listing again, which shows the row now: once, and for the right table. */
START_TEST(a_name_whose_grace_has_run_out_is_let_go_once_with_its_relation)
{
	struct names *names = names_of(GRACE_MS);
	struct text *base = text_of("{}");
	uint32_t relation = 0;

	ck_assert(!names_expire(names, &relation));
	ck_assert_int_eq(names_event(names, 16388, "42.json", NAME_MOVED_AWAY, base), NAME_DETACHED);
	text_unref(base);
	while (names_state(names, 16388, "42.json", NULL) != NAME_PLAIN)
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	ck_assert(names_expire(names, &relation));
	ck_assert_uint_eq(relation, 16388);
	relation = 0;
	ck_assert(!names_expire(names, &relation));
	ck_assert_uint_eq(relation, 0);
	names_free(names);
}
END_TEST

START_TEST(within_its_grace_no_name_is_let_go)
{
	struct names *names = names_of(LONG_GRACE_MS);

	bring_to(names, "detached.json", NAME_DETACHED);
	bring_to(names, "replacing.json", NAME_REPLACING);
	bring_to(names, "pending.json", NAME_PENDING);
	ck_assert_uint_eq(expire_all(names, 1), 0);
	ck_assert_int_eq(state_of(names, "detached.json"), NAME_DETACHED);
	names_free(names);
}
END_TEST

/* Whoever creates it first has seen that it was gone; its new story is not an expired one. */
START_TEST(a_name_created_after_its_grace_is_not_let_go)
{
	struct names *names = names_of(GRACE_MS);

	bring_to(names, "42.json", NAME_DETACHED);
	await_plain(names, "42.json");
	ck_assert_int_eq(let(names, "42.json", NAME_CREATED), NAME_PENDING);
	ck_assert_uint_eq(expire_all(names, 1), 0);
	ck_assert_int_eq(state_of(names, "42.json"), NAME_PENDING);
	names_free(names);
}
END_TEST

/* --- Many names ------------------------------------------------------------------------------ */

enum { RELATIONS = 2, NAMES = 5, STEPS = 20000 };

struct model {
	enum name_state states[RELATIONS][NAMES];
	bool based[RELATIONS][NAMES];
};

struct visit {
	const enum name_state *states;
	unsigned seen;
};

static void check_visit(void *arg, const char *name, enum name_state state)
{
	struct visit *visit = arg;
	int n = atoi(name);

	ck_assert_int_eq(visit->states[n], state);
	ck_assert_int_ne(state, NAME_PLAIN);
	ck_assert_msg(!(visit->seen & 1u << n), "%s twice", name);
	visit->seen |= 1u << n;
}

static void check_all(struct names *names, const struct model *model)
{
	unsigned counts[NAME_STATES], want[NAME_STATES] = {0};

	for (uint32_t r = 0; r < RELATIONS; r++) {
		struct visit visit = {model->states[r], 0};

		names_visit(names, r, check_visit, &visit);
		for (int n = 0; n < NAMES; n++) {
			ck_assert_int_eq(visit.seen >> n & 1, model->states[r][n] != NAME_PLAIN);
			want[model->states[r][n]]++;
		}
	}
	names_count(names, counts);
	ck_assert_uint_eq(counts[NAME_PLAIN], 0);
	for (int s = NAME_PLAIN + 1; s < NAME_STATES; s++)
		ck_assert_uint_eq(counts[s], want[s]);
}

static void follow(struct model *model, uint32_t r, size_t n, int next, bool based)
{
	enum name_state *state = &model->states[r][n];

	if (next == CANNOT)
		return;
	if (*state == NAME_PLAIN)
		model->based[r][n] = based && next != NAME_PLAIN;
	if (next == NAME_PLAIN)
		model->based[r][n] = false;
	*state = (enum name_state)next;
}

static int table(enum name_state from, enum name_event event)
{
	for (int i = 0; i < CASES; i++)
		if (expected[i].from == from && expected[i].event == event)
			return expected[i].to;
	ck_abort_msg("no such case");
}

START_TEST(random_events_follow_the_table)
{
	uint64_t random = random_seed();
	struct names *names = names_of(LONG_GRACE_MS);
	struct text *base = text_of("{}");
	struct model model = {0};

	for (int step = 0; step < STEPS; step++) {
		uint32_t r = (uint32_t)random_below(&random, RELATIONS);
		size_t n = random_below(&random, NAMES);
		enum name_event event = (enum name_event)random_below(&random, NAME_EVENTS);
		bool based = event == NAME_MOVED_AWAY && random_below(&random, 2);
		bool lacking = event == NAME_MOVED_AWAY && model.states[r][n] == NAME_PLAIN && !based;
		int next = lacking ? CANNOT : table(model.states[r][n], event);
		char name[16];
		struct text *now;

		snprintf(name, sizeof(name), "%zu.json", n);
		ck_assert_int_eq(names_event(names, r, name, event, based ? base : NULL),
		                 next == CANNOT ? -EBUSY : next);
		follow(&model, r, n, next, based);
		ck_assert_int_eq(names_state(names, r, name, &now), model.states[r][n]);
		ck_assert_ptr_eq(now, model.based[r][n] ? base : NULL);
		text_unref(now);
		if (step % 50 == 0)
			check_all(names, &model);
	}
	names_free(names);
	ck_assert_uint_eq(base->refs, 1);
	text_unref(base);
}
END_TEST

enum { THREADS = 4, ROUNDS = 3000 };

struct walker {
	struct names *names;
	struct text *base;
	uint64_t random;
	_Atomic int
	        *owners; /* of each name of relation 2: how many made it PENDING and are not done */
};

/* Several threads over the same names. In relation 1 anything may happen; in relation 2 a name is
 * created and removed, and only one thread at a time can be told that it created it. */
static void *walk(void *arg)
{
	struct walker *walker = arg;
	unsigned counts[NAME_STATES];

	for (int i = 0; i < ROUNDS; i++) {
		size_t n = random_below(&walker->random, NAMES);
		char name[16];
		struct text *now;

		snprintf(name, sizeof(name), "%zu.json", n);
		names_event(walker->names, 1, name,
		            (enum name_event)random_below(&walker->random, NAME_EVENTS),
		            walker->base);
		ck_assert_int_lt(names_state(walker->names, 1, name, &now), NAME_STATES);
		text_unref(now);
		if (names_event(walker->names, 2, name, NAME_CREATED, NULL) == NAME_PENDING) {
			ck_assert_int_eq(++walker->owners[n], 1);
			--walker->owners[n];
			ck_assert_int_eq(names_event(walker->names, 2, name, NAME_REMOVED, NULL),
			                 NAME_PLAIN);
		}
		names_count(walker->names, counts);
		ck_assert_uint_le(counts[NAME_PENDING], 2 * NAMES);
	}
	return NULL;
}

START_TEST(threads_share_it)
{
	struct names *names = names_of(1);
	struct text *base = text_of("{}");
	struct walker walkers[THREADS];
	pthread_t threads[THREADS];
	_Atomic int owners[NAMES] = {0};

	for (int t = 0; t < THREADS; t++) {
		walkers[t] = (struct walker){names, base, random_seed() + (uint64_t)t, owners};
		ck_assert_int_eq(pthread_create(&threads[t], NULL, walk, &walkers[t]), 0);
	}
	for (int t = 0; t < THREADS; t++)
		pthread_join(threads[t], NULL);
	names_free(names);
	ck_assert_uint_eq(base->refs, 1);
	text_unref(base);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("names");
	TCase *test = tcase_create("names"), *many = tcase_create("many");

	tcase_add_loop_test(test, every_state_takes_every_event_as_drawn, 0, CASES);
	tcase_add_test(test, the_base_is_kept_while_the_row_is_away);
	tcase_add_test(test, nothing_is_detached_without_a_text);
	tcase_add_test(test, a_created_name_comes_with_its_base);
	tcase_add_test(test, grace_runs_out_and_the_row_shows_again);
	tcase_add_test(test, only_a_detached_name_expires);
	tcase_add_test(test, a_name_detached_again_has_its_whole_grace);
	tcase_add_test(test, expired_names_are_neither_counted_nor_kept);
	tcase_add_test(test, a_name_whose_grace_has_run_out_is_let_go_once_with_its_relation);
	tcase_add_test(test, within_its_grace_no_name_is_let_go);
	tcase_add_test(test, a_name_created_after_its_grace_is_not_let_go);
	suite_add_tcase(suite, test);
	tcase_set_timeout(many, 60);
	tcase_add_test(many, random_events_follow_the_table);
	tcase_add_test(many, threads_share_it);
	suite_add_tcase(suite, many);
	return suite_run(suite);
}
