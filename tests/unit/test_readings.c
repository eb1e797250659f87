/* Texts that are being read in parts. */
#include "../../src/fuse/readings.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "suite.h"

enum { TABLE = 1001, PLACES = 8 };

static struct marks *marks;
static struct nodes *nodes;
static struct node *rows[PLACES + 1];
static struct readings *readings;

static void setup(void)
{
	struct node *table;
	char name[32];

	ck_assert_int_eq(marks_new(&marks), 0);
	ck_assert_int_eq(nodes_new(marks, 1 << 20, 1 << 20, &nodes), 0);
	ck_assert_int_eq(readings_new(nodes, &readings), 0);
	table = nodes_get(nodes, nodes_root(nodes), "rows", NODE_TABLE, TABLE, 1);
	ck_assert_ptr_nonnull(table);
	for (int i = 0; i <= PLACES; i++) {
		snprintf(name, sizeof name, "%d.json", i);
		rows[i] = nodes_get(nodes, table, name, NODE_ROW, TABLE, (uint64_t)i);
		ck_assert_ptr_nonnull(rows[i]);
	}
}

static void teardown(void)
{
	readings_free(readings);
	nodes_free(nodes);
	marks_free(marks);
}

static void set(int row, const char *data)
{
	struct version version = version_of(data, strlen(data), NULL);
	_cleanup_text_ struct text *text = text_new(data, strlen(data), &version, 700);

	ck_assert_ptr_nonnull(text);
	readings_set(readings, rows[row], text);
	usleep(10); /* the next is younger */
}

/* What is found of the row, "" if nothing is. */
static const char *found(int row)
{
	static char data[100];
	_cleanup_text_ struct text *text = readings_find(readings, rows[row]);

	snprintf(data, sizeof data, "%s", text ? text->data : "");
	return data;
}

START_TEST(what_is_being_read_is_found_until_it_has_been_read)
{
	ck_assert_str_eq(found(0), "");
	set(0, "one");
	ck_assert_str_eq(found(0), "one");
	ck_assert_str_eq(found(1), "");
	set(0, "another");
	ck_assert_str_eq(found(0), "another");
	readings_set(readings, rows[1], NULL);
	ck_assert_str_eq(found(0), "another");
	readings_set(readings, rows[0], NULL);
	ck_assert_str_eq(found(0), "");
	ck_assert_uint_eq(text_bytes(), 0);
}
END_TEST

START_TEST(who_was_read_longest_ago_makes_room)
{
	for (int i = 0; i < PLACES; i++)
		set(i, "text");
	ck_assert_str_eq(found(0), "text"); /* it goes on */
	set(PLACES, "one more");
	ck_assert_str_eq(found(0), "text");
	ck_assert_str_eq(found(1), "");
	ck_assert_str_eq(found(2), "text");
	ck_assert_str_eq(found(PLACES), "one more");
}
END_TEST

START_TEST(nodes_live_as_long_as_they_are_read)
{
	set(0, "text");
	nodes_forget(nodes, rows[0], 1);
	ck_assert_str_eq(found(0), "text");
	readings_set(readings, rows[0], NULL); /* its last use: AddressSanitizer would see another */
}
END_TEST

START_TEST(they_are_given_up_for_memory)
{
	static char large[3000];
	struct version version;
	struct text *text;

	memset(large, 'x', sizeof large);
	version = version_of(large, sizeof large, NULL);
	text_set_limit(sizeof large + 100);
	for (int i = 0; i < PLACES; i++)
		set(i, "a text that is being read");
	ck_assert_uint_gt(text_bytes(), 100);
	text = text_new(large, sizeof large, &version, 700);
	ck_assert_ptr_nonnull(text);
	text_unref(text);
	for (int i = 0; i < PLACES; i++)
		ck_assert_str_eq(found(i), "");
	set(0, "again");
	ck_assert_str_eq(found(0), "again");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("readings");
	TCase *test = tcase_create("readings");

	tcase_add_checked_fixture(test, setup, teardown);
	tcase_add_test(test, what_is_being_read_is_found_until_it_has_been_read);
	tcase_add_test(test, who_was_read_longest_ago_makes_room);
	tcase_add_test(test, nodes_live_as_long_as_they_are_read);
	tcase_add_test(test, they_are_given_up_for_memory);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
