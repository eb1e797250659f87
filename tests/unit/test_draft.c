#include "rowfs/engine/draft.h"

#include <errno.h>
#include <string.h>

#include "rowfs/engine/text.h"
#include "suite.h"

enum { ROOM = 100 };

static struct draft draft;

static void open_all(void)
{
	text_set_limit(ROOM);
	draft = (struct draft){0};
}

static void close_all(void)
{
	draft_done(&draft);
	ck_assert_uint_eq(text_bytes(), 0);
}

static enum json_progress progress;
static bool was_cut;

static int write_at(size_t offset, const char *bytes)
{
	return draft_write(&draft, offset, bytes, strlen(bytes), &progress, &was_cut);
}

static void check_text(const char *want)
{
	ck_assert(buf_equal(&draft.text, want, strlen(want)));
	ck_assert_uint_eq(draft.size, strlen(want));
}

START_TEST(it_tells_how_far_a_text_is_that_is_written_from_its_beginning_on)
{
	ck_assert_int_eq(write_at(0, "{\"a\": "), 0);
	ck_assert_int_eq(progress, JSON_INCOMPLETE);
	ck_assert_int_eq(write_at(6, "1}"), 0);
	ck_assert_int_eq(progress, JSON_COMPLETE);
	ck_assert_int_eq(write_at(8, "x"), 0);
	ck_assert_int_eq(progress, JSON_BROKEN);
	ck_assert_int_eq(write_at(0, "{}"), 0); /* over what was there: nobody knows */
	ck_assert_int_eq(progress, JSON_INCOMPLETE);
	ck_assert_int_eq(draft_truncate(&draft, 0), 0);
	ck_assert_int_eq(write_at(0, "{}"), 0);
	ck_assert_int_eq(progress, JSON_COMPLETE);
	ck_assert_int_eq(draft_truncate(&draft, 1), 0);
	ck_assert_int_eq(write_at(1, "}"), 0);
	ck_assert_int_eq(progress, JSON_INCOMPLETE);
}
END_TEST

START_TEST(a_gap_reads_as_zeros)
{
	ck_assert_int_eq(write_at(3, "d"), 0);
	ck_assert(buf_equal(&draft.text, "\0\0\0d", 4));
	ck_assert_uint_eq(draft.generation, 1);
	ck_assert_int_eq(draft_truncate(&draft, 4), 0);
	ck_assert_uint_eq(draft.generation, 1);
	ck_assert(draft_has(&draft, 3, "d", 1));
	ck_assert(!draft_has(&draft, 3, "de", 2));
	ck_assert(!draft_has(&draft, 4, "", 0));
}
END_TEST

START_TEST(what_is_lent_stays_as_it_was)
{
	const char *lent;

	ck_assert_int_eq(draft_begin(&draft, "{\"a\": 1}", 8), 0);
	ck_assert_uint_eq(draft.generation, 0);
	lent = draft_lend(&draft);
	ck_assert_uint_eq(text_bytes(), 8); /* no copy yet */
	if (_i)
		ck_assert_int_eq(draft_truncate(&draft, 3), 0);
	else
		ck_assert_int_eq(write_at(6, "27}"), 0);
	check_text(_i ? "{\"a" : "{\"a\": 27}");
	ck_assert_mem_eq(lent, "{\"a\": 1}", 8);
	ck_assert_int_eq(write_at(0, "["), 0);
	ck_assert_mem_eq(lent, "{\"a\": 1}", 8);
	draft_take_back(&draft);
	check_text(_i ? "[\"a" : "[\"a\": 27}");
	ck_assert_uint_eq(text_bytes(), (uint64_t)draft.charged);
	lent = draft_lend(&draft);
	ck_assert_ptr_eq(lent, draft.text.data);
}
END_TEST

/* Else a commit that is under way would refuse what is written meanwhile. */
START_TEST(what_is_lent_takes_no_room)
{
	const char *lent;
	char bytes[ROOM];

	memset(bytes, 'x', sizeof bytes);
	ck_assert_int_eq(draft_begin(&draft, bytes, sizeof bytes), 0);
	lent = draft_lend(&draft);
	ck_assert_int_eq(write_at(0, "y"), 0);
	ck_assert_int_eq(write_at(ROOM, "y"), -ENOMEM);
	ck_assert_int_eq(draft_truncate(&draft, 0), 0);
	ck_assert_int_eq(draft_write(&draft, 0, bytes, sizeof bytes, &progress, &was_cut), 0);
	ck_assert_mem_eq(lent, bytes, sizeof bytes);
	ck_assert_uint_eq(text_bytes(), ROOM);
}
END_TEST

/* One byte of what had not come is not all of it. */
START_TEST(all_that_was_missing_must_come)
{
	ck_assert_int_eq(write_at(0, "12345"), 0);
	ck_assert_int_eq(write_at(ROOM - 2, "abcd"), -ENOMEM);
	ck_assert_int_eq(write_at(ROOM + 2, "efgh"), -ENOMEM);
	text_set_limit(2 * ROOM);
	ck_assert_int_eq(write_at(ROOM - 2, "a"), 0);
	ck_assert_int_eq(draft.cut, -ENOMEM);
	ck_assert_int_eq(write_at(ROOM + 4, "gh"), 0);
	ck_assert_int_eq(draft.cut, -ENOMEM);
	if (_i) {
		ck_assert_int_eq(draft_truncate(&draft, ROOM), 0);
		ck_assert_int_eq(draft.cut, -ENOMEM);
		ck_assert_int_eq(draft_truncate(&draft, ROOM - 1), 0);
	} else {
		ck_assert_int_eq(write_at(ROOM - 1, "bcdef"), 0);
	}
	ck_assert_int_eq(draft.cut, 0);
}
END_TEST

START_TEST(it_is_cut_until_what_was_missing_has_come)
{
	ck_assert_int_eq(write_at(0, "12345"), 0);
	ck_assert_int_eq(write_at(ROOM, "x"), -ENOMEM);
	ck_assert(was_cut);
	ck_assert_int_eq(write_at(ROOM + 1, "x"), -ENOMEM);
	ck_assert(!was_cut); /* said once */
	ck_assert_int_eq(write_at(0, "0"), 0);
	ck_assert_int_eq(draft.cut, -ENOMEM);
	ck_assert_int_eq(draft_truncate(&draft, 5), 0);
	ck_assert_int_eq(draft.cut, 0);
	ck_assert_int_eq(write_at(TEXT_MAX, "x"), -EFBIG);
	ck_assert_int_eq(draft_truncate(&draft, (size_t)TEXT_MAX + 1), -EFBIG);
	ck_assert_int_eq(draft.cut, -EFBIG);
	check_text("02345");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("draft");
	TCase *tcase = tcase_create("draft");

	tcase_add_checked_fixture(tcase, open_all, close_all);
	tcase_add_test(tcase, it_tells_how_far_a_text_is_that_is_written_from_its_beginning_on);
	tcase_add_test(tcase, a_gap_reads_as_zeros);
	tcase_add_loop_test(tcase, what_is_lent_stays_as_it_was, 0, 2);
	tcase_add_test(tcase, what_is_lent_takes_no_room);
	tcase_add_loop_test(tcase, all_that_was_missing_must_come, 0, 2);
	tcase_add_test(tcase, it_is_cut_until_what_was_missing_has_come);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
