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

/* The diagrams of names.h, arrow by arrow. Those that they do not draw leave the name where it is: what comes after the
 * name's story has ended otherwise (by another handle's commit, by the grace). */
/* clang-format off */
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
        {NAME_PLAIN, NAME_DEFERRED, NAME_UNLINKED},
        {NAME_PLAIN, NAME_OVERWRITTEN, NAME_PLAIN},
        {NAME_PLAIN, NAME_DELETED, CANNOT},
        {NAME_PLAIN, NAME_KEPT, CANNOT},

        {NAME_DETACHED, NAME_MOVED_AWAY, CANNOT},
        {NAME_DETACHED, NAME_CREATED, NAME_REPLACING},
        {NAME_DETACHED, NAME_COMMITTED, NAME_PLAIN},
        {NAME_DETACHED, NAME_REMOVED, CANNOT},
        {NAME_DETACHED, NAME_DROPPED, NAME_DETACHED},
        {NAME_DETACHED, NAME_EXPIRED, NAME_PLAIN},
        {NAME_DETACHED, NAME_DEFERRED, CANNOT},
        {NAME_DETACHED, NAME_OVERWRITTEN, NAME_PLAIN},
        {NAME_DETACHED, NAME_DELETED, CANNOT},
        {NAME_DETACHED, NAME_KEPT, CANNOT},

        {NAME_REPLACING, NAME_MOVED_AWAY, NAME_DETACHED},
        {NAME_REPLACING, NAME_CREATED, CANNOT},
        {NAME_REPLACING, NAME_COMMITTED, NAME_PLAIN},
        {NAME_REPLACING, NAME_REMOVED, NAME_DETACHED},
        {NAME_REPLACING, NAME_DROPPED, NAME_DETACHED},
        {NAME_REPLACING, NAME_EXPIRED, CANNOT},
        {NAME_REPLACING, NAME_DEFERRED, CANNOT},
        {NAME_REPLACING, NAME_OVERWRITTEN, NAME_PLAIN},
        {NAME_REPLACING, NAME_DELETED, CANNOT},
        {NAME_REPLACING, NAME_KEPT, CANNOT},

        {NAME_PENDING, NAME_MOVED_AWAY, NAME_PLAIN},
        {NAME_PENDING, NAME_CREATED, CANNOT},
        {NAME_PENDING, NAME_COMMITTED, NAME_PLAIN},
        {NAME_PENDING, NAME_REMOVED, NAME_PLAIN},
        {NAME_PENDING, NAME_DROPPED, NAME_PLAIN},
        {NAME_PENDING, NAME_EXPIRED, CANNOT},
        {NAME_PENDING, NAME_DEFERRED, CANNOT},
        {NAME_PENDING, NAME_OVERWRITTEN, NAME_PLAIN},
        {NAME_PENDING, NAME_DELETED, CANNOT},
        {NAME_PENDING, NAME_KEPT, CANNOT},

        {NAME_UNLINKED, NAME_MOVED_AWAY, CANNOT},
        {NAME_UNLINKED, NAME_CREATED, NAME_RECREATED},
        {NAME_UNLINKED, NAME_COMMITTED, NAME_UNLINKED},
        {NAME_UNLINKED, NAME_REMOVED, CANNOT},
        {NAME_UNLINKED, NAME_DROPPED, NAME_UNLINKED},
        {NAME_UNLINKED, NAME_EXPIRED, NAME_DELETING},
        {NAME_UNLINKED, NAME_DEFERRED, CANNOT},
        {NAME_UNLINKED, NAME_OVERWRITTEN, NAME_PLAIN},
        {NAME_UNLINKED, NAME_DELETED, CANNOT},
        {NAME_UNLINKED, NAME_KEPT, CANNOT},

        {NAME_RECREATED, NAME_MOVED_AWAY, NAME_UNLINKED},
        {NAME_RECREATED, NAME_CREATED, CANNOT},
        {NAME_RECREATED, NAME_COMMITTED, NAME_PLAIN},
        {NAME_RECREATED, NAME_REMOVED, NAME_UNLINKED},
        {NAME_RECREATED, NAME_DROPPED, NAME_PLAIN},
        {NAME_RECREATED, NAME_EXPIRED, NAME_CLEARING},
        {NAME_RECREATED, NAME_DEFERRED, CANNOT},
        {NAME_RECREATED, NAME_OVERWRITTEN, NAME_PLAIN},
        {NAME_RECREATED, NAME_DELETED, CANNOT},
        {NAME_RECREATED, NAME_KEPT, CANNOT},

        {NAME_DELETING, NAME_MOVED_AWAY, CANNOT},
        {NAME_DELETING, NAME_CREATED, NAME_CLEARING},
        {NAME_DELETING, NAME_COMMITTED, NAME_DELETING},
        {NAME_DELETING, NAME_REMOVED, CANNOT},
        {NAME_DELETING, NAME_DROPPED, NAME_DELETING},
        {NAME_DELETING, NAME_EXPIRED, CANNOT},
        {NAME_DELETING, NAME_DEFERRED, CANNOT},
        {NAME_DELETING, NAME_OVERWRITTEN, CANNOT},
        {NAME_DELETING, NAME_DELETED, NAME_GONE},
        {NAME_DELETING, NAME_KEPT, NAME_PLAIN},

        {NAME_CLEARING, NAME_MOVED_AWAY, NAME_DELETING},
        {NAME_CLEARING, NAME_CREATED, CANNOT},
        {NAME_CLEARING, NAME_COMMITTED, NAME_CLEARING},
        {NAME_CLEARING, NAME_REMOVED, NAME_DELETING},
        {NAME_CLEARING, NAME_DROPPED, NAME_DELETING},
        {NAME_CLEARING, NAME_EXPIRED, CANNOT},
        {NAME_CLEARING, NAME_DEFERRED, CANNOT},
        {NAME_CLEARING, NAME_OVERWRITTEN, CANNOT},
        {NAME_CLEARING, NAME_DELETED, NAME_PENDING},
        {NAME_CLEARING, NAME_KEPT, NAME_PLAIN},

        {NAME_GONE, NAME_MOVED_AWAY, NAME_DETACHED},
        {NAME_GONE, NAME_CREATED, NAME_PENDING},
        {NAME_GONE, NAME_COMMITTED, NAME_PLAIN},
        {NAME_GONE, NAME_REMOVED, CANNOT},
        {NAME_GONE, NAME_DROPPED, NAME_GONE},
        {NAME_GONE, NAME_EXPIRED, NAME_PLAIN},
        {NAME_GONE, NAME_DEFERRED, NAME_UNLINKED},
        {NAME_GONE, NAME_OVERWRITTEN, NAME_PLAIN},
        {NAME_GONE, NAME_DELETED, CANNOT},
        {NAME_GONE, NAME_KEPT, CANNOT},
};
/* clang-format on */

enum { CASES = sizeof(expected) / sizeof(*expected) };
_Static_assert(CASES == (int)NAME_STATES * (int)NAME_EVENTS, "every state with every event");

static struct names *names_with(unsigned detach_grace_ms, unsigned delete_grace_ms)
{
	const struct names_settings settings = {detach_grace_ms, delete_grace_ms, 1000};
	struct names *names;

	ck_assert_int_eq(names_new(&settings, &names), 0);
	return names;
}

static struct names *names_of(unsigned grace_ms)
{
	return names_with(grace_ms, grace_ms);
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

static const struct asker somebody = {.uid = 1000, .gid = 100, .pid = 4711, .path = "public/items/42.json"};

static int defer(struct names *names, const char *name)
{
	struct text *base = text_of("{}");
	int r = names_defer(names, 1, name, base, &somebody);

	text_unref(base);
	return r;
}

/* NAME_EXPIRED, as far as it is not the clock's. */
static int take(struct names *names, const char *name)
{
	struct removed removed;

	if (!names_take(names, 1, true, &removed))
		return -EBUSY;
	ck_assert_str_eq(removed.name, name);
	ck_assert_ptr_nonnull(removed.base);
	removed_done(&removed);
	return state_of(names, name) == NAME_DELETING ? NAME_DELETING : NAME_CLEARING;
}

static int let(struct names *names, const char *name, enum name_event event)
{
	struct text *base = event == NAME_MOVED_AWAY ? text_of("{}") : NULL;
	int r = event == NAME_DEFERRED ? defer(names, name) :
		event == NAME_EXPIRED  ? take(names, name) :
					 names_event(names, 1, name, event, base);

	text_unref(base);
	return r;
}

/* The events that lead there. */
static void bring_to(struct names *names, const char *name, enum name_state state)
{
	static const struct {
		size_t n;
		enum name_event events[3];
	} ways[NAME_STATES] = {
	        [NAME_DETACHED] = {1, {NAME_MOVED_AWAY}},
	        [NAME_REPLACING] = {2, {NAME_MOVED_AWAY, NAME_CREATED}},
	        [NAME_PENDING] = {1, {NAME_CREATED}},
	        [NAME_UNLINKED] = {1, {NAME_DEFERRED}},
	        [NAME_RECREATED] = {2, {NAME_DEFERRED, NAME_CREATED}},
	        [NAME_DELETING] = {2, {NAME_DEFERRED, NAME_EXPIRED}},
	        [NAME_CLEARING] = {3, {NAME_DEFERRED, NAME_CREATED, NAME_EXPIRED}},
	        [NAME_GONE] = {3, {NAME_DEFERRED, NAME_EXPIRED, NAME_DELETED}},
	};

	for (size_t i = 0; i < ways[state].n; i++)
		ck_assert_int_ge(let(names, name, ways[state].events[i]), 0);
	ck_assert_int_eq(state_of(names, name), state == NAME_GONE ? NAME_PLAIN : state);
}

static bool is_clocks(enum name_state state)
{
	return state == NAME_DETACHED || state == NAME_GONE;
}

START_TEST(every_state_takes_every_event_as_drawn)
{
	struct names *names = names_of(LONG_GRACE_MS);
	int to = expected[_i].to;

	ck_assert_int_eq(names_next(expected[_i].from, expected[_i].event), to);
	bring_to(names, "42.json", expected[_i].from);
	if (expected[_i].event == NAME_EXPIRED && is_clocks(expected[_i].from))
		to = CANNOT; /* not yet */
	ck_assert_int_eq(let(names, "42.json", expected[_i].event), to == CANNOT ? -EBUSY : to);
	if (to == CANNOT)
		to = (int)expected[_i].from;
	ck_assert_int_eq(state_of(names, "42.json"), to == NAME_GONE ? NAME_PLAIN : to);
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
	struct name_hold *hold = NULL;

	ck_assert_int_eq(names_create(names, 1, "43.json", &given, &hold), NAME_PENDING);
	ck_assert_ptr_null(given);
	ck_assert_ptr_null(hold);
	ck_assert_int_eq(names_create(names, 1, "43.json", &given, &hold), -EBUSY);
	ck_assert_int_eq(names_event(names, 1, "42.json", NAME_MOVED_AWAY, base), NAME_DETACHED);
	ck_assert_int_eq(names_create(names, 1, "42.json", &given, &hold), NAME_REPLACING);
	ck_assert_ptr_eq(given, base);
	ck_assert_ptr_null(hold);
	text_unref(given);
	ck_assert_int_eq(names_defer(names, 1, "44.json", base, &somebody), NAME_UNLINKED);
	ck_assert_int_eq(names_create(names, 1, "44.json", &given, &hold), NAME_RECREATED);
	ck_assert_ptr_eq(given, base);
	ck_assert_ptr_nonnull(hold);
	text_unref(given);
	names_let_go(names, hold);
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

/* --- DELETEs that wait ----------------------------------------------------------------------- */

START_TEST(a_name_says_whether_it_is_hidden_or_empty)
{
	static const char looks[NAME_STATES] = {
	        [NAME_PLAIN] = 'r',     [NAME_DETACHED] = 'h',  [NAME_REPLACING] = 'e',
	        [NAME_PENDING] = 'e',   [NAME_UNLINKED] = 'h',  [NAME_RECREATED] = 'e',
	        [NAME_DELETING] = 'h',  [NAME_CLEARING] = 'e',  [NAME_GONE] = 'r',
	};

	for (int state = 0; state < NAME_STATES; state++) {
		ck_assert_int_eq(name_is_hidden((enum name_state)state), looks[state] == 'h');
		ck_assert_int_eq(name_is_empty((enum name_state)state), looks[state] == 'e');
	}
}
END_TEST

START_TEST(a_removed_row_is_taken_when_its_grace_is_over_with_who_removed_it)
{
	struct names *names = names_with(LONG_GRACE_MS, GRACE_MS);
	struct text *base = text_of("{}");
	int64_t began = clock_monotonic_ms();
	struct removed removed;
	uint32_t relation;

	ck_assert_int_eq(names_defer(names, 16388, "42.json", base, &somebody), NAME_UNLINKED);
	ck_assert(!names_take(names, 0, false, &removed));
	ck_assert(!names_take(names, 1, true, &removed));
	while (!names_take(names, 0, false, &removed))
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	ck_assert_int_ge(clock_monotonic_ms() - began, GRACE_MS);
	ck_assert_uint_eq(removed.relation, 16388);
	ck_assert_str_eq(removed.name, "42.json");
	ck_assert_ptr_eq(removed.base, base);
	ck_assert_uint_eq(removed.who.uid, 1000);
	ck_assert_int_eq(removed.who.pid, 4711);
	removed_done(&removed);
	ck_assert_int_eq(names_state(names, 16388, "42.json", NULL), NAME_DELETING);
	ck_assert(!names_take(names, 0, true, &removed));
	ck_assert(!names_expire(names, &relation));
	names_free(names);
	ck_assert_uint_eq(base->refs, 1);
	text_unref(base);
}
END_TEST

START_TEST(who_holds_a_name_puts_off_its_delete)
{
	struct names *names = names_with(LONG_GRACE_MS, 1);
	struct text *base, *given;
	struct name_hold *first, *second;
	struct removed removed;

	ck_assert_int_eq(defer(names, "42.json"), NAME_UNLINKED);
	ck_assert_int_eq(names_hold(names, 1, "42.json", &base, &first), NAME_UNLINKED);
	ck_assert(!names_take(names, 0, true, &removed));
	ck_assert_int_eq(names_create(names, 1, "42.json", &given, &second), NAME_RECREATED);
	ck_assert_ptr_eq(given, base);
	names_let_go(names, first);
	ck_assert(!names_take(names, 0, true, &removed));
	names_let_go(names, second);
	ck_assert_int_eq(take(names, "42.json"), NAME_CLEARING);
	names_let_go(names, NULL);
	text_unref(base);
	text_unref(given);
	names_free(names);
}
END_TEST

/* The same name, and another story. */
START_TEST(a_hold_of_a_story_that_is_over_holds_nothing)
{
	struct names *names = names_with(LONG_GRACE_MS, 1);
	struct name_hold *hold;
	struct text *base;

	ck_assert_int_eq(defer(names, "42.json"), NAME_UNLINKED);
	ck_assert_int_eq(names_create(names, 1, "42.json", &base, &hold), NAME_RECREATED);
	ck_assert_int_eq(let(names, "42.json", NAME_COMMITTED), NAME_PLAIN);
	ck_assert_int_eq(defer(names, "42.json"), NAME_UNLINKED);
	ck_assert_int_eq(take(names, "42.json"), NAME_DELETING);
	names_let_go(names, hold);
	text_unref(base);
	names_free(names);
}
END_TEST

START_TEST(no_more_waits_than_may)
{
	struct names *names = names_of(LONG_GRACE_MS);
	char data[401] = "";
	struct text *base;

	memset(data, ' ', sizeof(data) - 1);
	base = text_of(data);
	ck_assert_int_eq(names_defer(names, 1, "1.json", base, &somebody), NAME_UNLINKED);
	ck_assert_int_eq(names_defer(names, 1, "2.json", base, &somebody), NAME_UNLINKED);
	ck_assert_int_eq(names_defer(names, 1, "3.json", base, &somebody), -ENOSPC);
	ck_assert_int_eq(state_of(names, "3.json"), NAME_PLAIN);
	/* What has been created again counts, what is committed or deleted does not. */
	ck_assert_int_eq(let(names, "1.json", NAME_CREATED), NAME_RECREATED);
	ck_assert_int_eq(names_defer(names, 1, "3.json", base, &somebody), -ENOSPC);
	ck_assert_int_eq(let(names, "1.json", NAME_COMMITTED), NAME_PLAIN);
	ck_assert_int_eq(names_defer(names, 1, "3.json", base, &somebody), NAME_UNLINKED);
	ck_assert_int_eq(take(names, "2.json"), NAME_DELETING);
	ck_assert_int_eq(names_defer(names, 1, "1.json", base, &somebody), NAME_UNLINKED);
	names_free(names);
	text_unref(base);
}
END_TEST

/* A page that was read before the DELETE has the row; one that was read after it has another of the name. */
START_TEST(a_listing_knows_what_was_removed_when_it_was_read)
{
	struct names *names = names_of(LONG_GRACE_MS);
	int64_t before = clock_monotonic_ms();

	ck_assert(!names_was_removed(names, 1, "42.json", before));
	bring_to(names, "42.json", NAME_UNLINKED);
	ck_assert(names_was_removed(names, 1, "42.json", INT64_MAX));
	ck_assert_int_eq(take(names, "42.json"), NAME_DELETING);
	ck_assert(names_was_removed(names, 1, "42.json", INT64_MAX));
	ck_assert_int_eq(let(names, "42.json", NAME_DELETED), NAME_GONE);
	ck_assert(names_was_removed(names, 1, "42.json", before));
	ck_assert(!names_was_removed(names, 1, "42.json", clock_monotonic_ms() + 1));
	ck_assert(!names_was_removed(names, 2, "42.json", before));
	bring_to(names, "43.json", NAME_DETACHED);
	ck_assert(!names_was_removed(names, 1, "43.json", before));
	names_free(names);
}
END_TEST

struct decision {
	struct names *names;
	const char *name;
	_Atomic bool made;
};

static void *wait_for_it(void *arg)
{
	struct decision *decision = arg;

	names_await(decision->names, 1, decision->name);
	ck_assert(decision->made);
	return NULL;
}

START_TEST(a_delete_that_is_being_made_is_waited_for)
{
	struct decision decision = {names_of(LONG_GRACE_MS), _i ? NULL : "42.json", false};
	pthread_t waiter;

	names_await(decision.names, 1, decision.name); /* nobody makes any */
	bring_to(decision.names, "42.json", NAME_DELETING);
	names_await(decision.names, 1, "43.json");
	names_await(decision.names, 2, NULL);
	ck_assert_int_eq(pthread_create(&waiter, NULL, wait_for_it, &decision), 0);
	ck_assert_int_eq(let(decision.names, "42.json", NAME_CREATED), NAME_CLEARING);
	decision.made = true;
	ck_assert_int_eq(let(decision.names, "42.json", NAME_DELETED), NAME_PENDING);
	pthread_join(waiter, NULL);
	names_free(decision.names);
}
END_TEST

/* --- Many names ------------------------------------------------------------------------------ */

enum { RELATIONS = 3, NAMES = 5, STEPS = 60000 };

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

static bool is_listed(enum name_state state)
{
	return state != NAME_PLAIN && state != NAME_GONE;
}

static void check_all(struct names *names, const struct model *model)
{
	unsigned counts[NAME_STATES], want[NAME_STATES] = {0};

	for (uint32_t r = 0; r < RELATIONS; r++) {
		struct visit visit = {model->states[r], 0};

		names_visit(names, r, check_visit, &visit);
		for (int n = 0; n < NAMES; n++) {
			ck_assert_int_eq(visit.seen >> n & 1, is_listed(model->states[r][n]));
			want[model->states[r][n]]++;
		}
	}
	names_count(names, counts);
	for (int s = 0; s < NAME_STATES; s++)
		ck_assert_uint_eq(counts[s], is_listed((enum name_state)s) ? want[s] : 0);
}

static bool needs_base(int state)
{
	return state == NAME_DETACHED || state == NAME_REPLACING || state == NAME_UNLINKED ||
	       state == NAME_RECREATED;
}

static void follow(struct model *model, uint32_t r, size_t n, int next, bool based)
{
	if (next == CANNOT)
		return;
	model->based[r][n] = needs_base(next) && (model->based[r][n] || based);
	model->states[r][n] = (enum name_state)next;
}

static int table(enum name_state from, enum name_event event)
{
	for (int i = 0; i < CASES; i++)
		if (expected[i].from == from && expected[i].event == event)
			return expected[i].to;
	ck_abort_msg("no such case");
}

/* One step for one name; what it was told. */
static int happens(struct names *names, uint32_t r, const char *name, enum name_event event, struct text *base)
{
	struct removed removed;

	if (event == NAME_DEFERRED)
		return names_defer(names, r, name, base, &somebody);
	if (event != NAME_EXPIRED)
		return names_event(names, r, name, event, base);
	/* Whichever it is that is taken, the test follows that one. */
	if (!names_take(names, r, true, &removed))
		return -EBUSY;
	removed_done(&removed);
	return 0;
}

/* What the holds of each name are in truth, and whether they are of the story that goes on. */
struct holds {
	struct name_hold *held[RELATIONS][NAMES];
	bool current[RELATIONS][NAMES];
};

static int first_due(const struct model *model, const struct holds *holds, uint32_t r)
{
	for (int n = 0; n < NAMES; n++)
		if ((model->states[r][n] == NAME_UNLINKED || model->states[r][n] == NAME_RECREATED) &&
		    !(holds->held[r][n] && holds->current[r][n]))
			return n;
	return -1;
}

/* NAME_EXPIRED: any that is due may be the one. */
static void take_any(struct names *names, struct model *model, const struct holds *holds, uint32_t r)
{
	struct removed removed;
	int n = first_due(model, holds, r);

	ck_assert_int_eq(names_take(names, r, true, &removed), n >= 0);
	if (n < 0)
		return;
	n = atoi(removed.name);
	ck_assert(!(holds->held[r][n] && holds->current[r][n]));
	follow(model, r, (size_t)n, table(model->states[r][n], NAME_EXPIRED), false);
	ck_assert(model->states[r][n] == NAME_DELETING || model->states[r][n] == NAME_CLEARING);
	removed_done(&removed);
}

static void hold_or_let_go(struct names *names, const struct model *model, struct holds *holds, uint32_t r, size_t n,
                           const char *name)
{
	bool can = model->states[r][n] == NAME_UNLINKED || model->states[r][n] == NAME_RECREATED;
	struct text *base;

	if (holds->held[r][n]) {
		names_let_go(names, holds->held[r][n]);
		holds->held[r][n] = NULL;
		return;
	}
	names_hold(names, r, name, &base, &holds->held[r][n]);
	text_unref(base);
	ck_assert_int_eq(holds->held[r][n] != NULL, can);
	holds->current[r][n] = can;
}

static void one_event(struct names *names, struct model *model, struct holds *holds, uint32_t r, size_t n,
                      const char *name, enum name_event event, struct text *base)
{
	int next = table(model->states[r][n], event);

	if (next != CANNOT && needs_base(next) && !base && !model->based[r][n])
		next = CANNOT;
	ck_assert_int_eq(happens(names, r, name, event, base), next == CANNOT ? -EBUSY : next);
	follow(model, r, n, next, base != NULL);
	if (model->states[r][n] == NAME_PLAIN)
		holds->current[r][n] = false;
}

START_TEST(random_events_follow_the_table)
{
	uint64_t random = random_seed();
	struct names *names = names_of(LONG_GRACE_MS);
	struct text *base = text_of("{}");
	struct holds holds = {0};
	struct model model = {0};

	for (int step = 0; step < STEPS; step++) {
		/* names_take() has no relation 0. */
		uint32_t r = 1 + (uint32_t)random_below(&random, RELATIONS - 1);
		size_t n = random_below(&random, NAMES);
		enum name_event event = (enum name_event)random_below(&random, NAME_EVENTS + 1);
		bool based = event == NAME_DEFERRED || (event == NAME_MOVED_AWAY && random_below(&random, 2));
		enum name_state want;
		char name[16];
		struct text *now;

		snprintf(name, sizeof(name), "%zu.json", n);
		if (event == NAME_EVENTS)
			hold_or_let_go(names, &model, &holds, r, n, name);
		else if (event == NAME_EXPIRED)
			take_any(names, &model, &holds, r);
		else
			one_event(names, &model, &holds, r, n, name, event, based ? base : NULL);
		want = model.states[r][n] == NAME_GONE ? NAME_PLAIN : model.states[r][n];
		ck_assert_int_eq(names_state(names, r, name, &now), want);
		ck_assert_ptr_eq(now, model.based[r][n] ? base : NULL);
		text_unref(now);
		if (step % 50 == 0)
			check_all(names, &model);
	}
	for (uint32_t r = 0; r < RELATIONS; r++)
		for (size_t n = 0; n < NAMES; n++)
			names_let_go(names, holds.held[r][n]);
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
		happens(walker->names, 1, name, (enum name_event)random_below(&walker->random, NAME_EVENTS),
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
	tcase_add_test(test, a_name_says_whether_it_is_hidden_or_empty);
	tcase_add_test(test, a_removed_row_is_taken_when_its_grace_is_over_with_who_removed_it);
	tcase_add_test(test, who_holds_a_name_puts_off_its_delete);
	tcase_add_test(test, a_hold_of_a_story_that_is_over_holds_nothing);
	tcase_add_test(test, no_more_waits_than_may);
	tcase_add_test(test, a_listing_knows_what_was_removed_when_it_was_read);
	tcase_add_loop_test(test, a_delete_that_is_being_made_is_waited_for, 0, 2);
	suite_add_tcase(suite, test);
	tcase_set_timeout(many, 60);
	tcase_add_test(many, random_events_follow_the_table);
	tcase_add_test(many, threads_share_it);
	suite_add_tcase(suite, many);
	return suite_run(suite);
}
