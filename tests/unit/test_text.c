#include "rowfs/engine/text.h"

#include <errno.h>

#include "suite.h"

enum { ROOM = 1000 };

static struct text *spare; /* what somebody keeps, only in case */
static unsigned sheds;

static void shed_spare(void *arg)
{
	ck_assert_ptr_eq(arg, &spare);
	sheds++;
	text_unref(spare);
	spare = NULL;
}

static struct text *text_of(size_t len)
{
	static const char bytes[2 * ROOM];
	struct version version = version_of(bytes, len, NULL);

	return text_new(bytes, len, &version, 0);
}

static void open_all(void)
{
	text_set_limit(ROOM);
	text_add_shed(shed_spare, &spare);
	spare = text_of(600);
	ck_assert_ptr_nonnull(spare);
	ck_assert_uint_eq(text_bytes(), 600);
}

static void close_all(void)
{
	text_unref(spare);
	spare = NULL;
	ck_assert_uint_eq(text_bytes(), 0);
	text_remove_shed(&spare);
}

START_TEST(what_fits_sheds_nothing)
{
	struct text *text = text_of(400);

	ck_assert_ptr_nonnull(text);
	ck_assert_uint_eq(sheds, 0);
	text_unref(text);
}
END_TEST

/* Texts that LOOKUP had read held memory_max for ever: they went when the next was kept, and none could be. */
START_TEST(what_nobody_needs_makes_room)
{
	struct text *text = text_of(900);

	ck_assert_ptr_nonnull(text);
	ck_assert_uint_eq(sheds, 1);
	ck_assert_uint_eq(text_bytes(), 900);
	ck_assert_int_eq(text_charge(100), 0);
	ck_assert_uint_eq(sheds, 1);
	ck_assert_int_eq(text_charge(1), -ENOMEM);
	ck_assert_uint_eq(sheds, 2);
	ck_assert_int_eq(text_charge(-100), 0);
	text_unref(text);
}
END_TEST

START_TEST(what_cannot_fit_is_refused_and_not_charged)
{
	ck_assert_ptr_null(text_of(ROOM + 1));
	ck_assert_uint_eq(sheds, 1);
	ck_assert_uint_eq(text_bytes(), 0);
}
END_TEST

enum { PRINTED = 3 };

/* A page of texts, the middle one of which was taken back. */
static struct text_page *page_of(size_t at[PRINTED])
{
	struct buf out = {0};

	for (unsigned i = 0; i < PRINTED; i++) {
		struct version version;
		const char *printed;
		size_t len;

		at[i] = text_page_begin(&out);
		buf_addf(&out, "row %u", i);
		printed = text_page_printed(&out, at[i], &len);
		ck_assert_uint_eq(len, 5);
		version = version_of(printed, len, NULL);
		if (i == 1)
			buf_resize(&out, at[i]);
		else
			text_page_end(&out, at[i], &version, i);
	}
	ck_assert_uint_eq(at[1], at[2]);
	return text_page_finish(&out);
}

START_TEST(a_page_stays_as_long_as_one_of_its_texts)
{
	size_t at[PRINTED];
	struct text_page *page;
	struct text *first, *last;

	text_unref(spare);
	spare = NULL;
	page = page_of(at);
	ck_assert_ptr_nonnull(page);
	first = text_page_get(page, at[0]);
	last = text_page_get(page, at[2]);
	text_page_unref(page);
	ck_assert_str_eq(first->data, "row 0");
	ck_assert_str_eq(last->data, "row 2");
	ck_assert(first->listed && last->listed);
	ck_assert_uint_eq(last->xid, 2);
	ck_assert_uint_eq(last->len, 5);
	ck_assert_uint_ge(text_bytes(), 2 * sizeof *last);
	text_unref(text_ref(first));
	text_unref(first);
	ck_assert_str_eq(last->data, "row 2");
	text_unref(last);
	ck_assert_uint_eq(text_bytes(), 0);
}
END_TEST

/* There are 600 bytes already. */
START_TEST(what_is_listed_takes_half_of_the_room_at_most_and_sheds_nothing)
{
	size_t at[PRINTED];
	struct buf none = {0};

	ck_assert_ptr_null(page_of(at));
	ck_assert_uint_eq(sheds, 0);
	ck_assert_uint_eq(text_bytes(), 600);
	ck_assert_ptr_null(text_page_finish(&none));
}
END_TEST

START_TEST(without_anybody_to_ask_it_is_refused)
{
	text_remove_shed(&spare);
	ck_assert_ptr_null(text_of(900));
	ck_assert_uint_eq(sheds, 0);
	ck_assert_uint_eq(text_bytes(), 600);
}
END_TEST

START_TEST(the_last_reference_frees)
{
	struct text *text = text_of(10);

	ck_assert_ptr_eq(text_ref(text), text);
	text_unref(text);
	ck_assert_uint_eq(text_bytes(), 610);
	text_unref(text);
	ck_assert_uint_eq(text_bytes(), 600);
	text_unref(NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("text");
	TCase *test = tcase_create("text");

	tcase_add_checked_fixture(test, open_all, close_all);
	tcase_add_test(test, what_fits_sheds_nothing);
	tcase_add_test(test, what_nobody_needs_makes_room);
	tcase_add_test(test, what_cannot_fit_is_refused_and_not_charged);
	tcase_add_test(test, a_page_stays_as_long_as_one_of_its_texts);
	tcase_add_test(test, what_is_listed_takes_half_of_the_room_at_most_and_sheds_nothing);
	tcase_add_test(test, without_anybody_to_ask_it_is_refused);
	tcase_add_test(test, the_last_reference_frees);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
