/* Which open is given the text that a look has read; which node a name has. */
#include <string.h>

#include "../../src/fuse/nodes.h"
#include "rowfs/base/clock.h"
#include "suite.h"

enum { TABLE = 1001, PID = 4242, OTHER = 4243, INO = 7 };

static struct marks *marks;
static struct nodes *nodes;
static struct node *table;

static void setup(void)
{
	ck_assert_int_eq(marks_new(&marks), 0);
	ck_assert_int_eq(nodes_new(marks, 1 << 20, &nodes), 0);
	table = nodes_get(nodes, nodes_root(nodes), "rows", NODE_TABLE, TABLE, 1);
	ck_assert_ptr_nonnull(table);
}

static void teardown(void)
{
	nodes_free(nodes);
	marks_free(marks);
}

static struct text *text_of(const char *data)
{
	struct version version = version_of(data, strlen(data), NULL);
	struct text *text = text_new(data, strlen(data), &version, 700);

	ck_assert_ptr_nonnull(text);
	return text;
}

/* LOOKUP of 1.json finds the row to be `data`. */
static struct node *look_up(const char *data, pid_t pid)
{
	struct look look = {.began_us = clock_monotonic_us(), .mark = marks_now(marks), .pid = pid};
	_cleanup_text_ struct text *text = text_of(data);
	enum belief belief;
	struct node *node =
	        nodes_get_row(nodes, table, "1.json", TABLE, INO, &text->version, text, &look, &belief);

	ck_assert_ptr_nonnull(node);
	return node;
}

/* OPEN of the node: the text that it is given without asking anybody, "" if there is none. */
static const char *opened(struct node *node, pid_t pid)
{
	static char data[100];
	uint64_t mark;
	_cleanup_text_ struct text *text = nodes_kept(nodes, node, false, pid, &mark);

	snprintf(data, sizeof data, "%s", text ? text->data : "");
	return data;
}

/* OPEN finds that the row has become `data`. */
static enum admission admitted(struct node *node, const char *data, pid_t pid)
{
	struct look look = {.began_us = clock_monotonic_us(), .mark = marks_now(marks), .pid = pid};
	struct version version = version_of(data, strlen(data), NULL);

	return nodes_admit(nodes, node, NULL, &version, &look);
}

START_TEST(an_open_is_given_what_its_lookup_read)
{
	struct node *node = look_up("one", PID);

	ck_assert_str_eq(opened(node, PID), "one");
	ck_assert_str_eq(opened(node, OTHER), "");
}
END_TEST

/* It was looked up under the row's name or under the one that the row was moved to; only a second OPEN tells. */
START_TEST(who_had_walked_to_a_row_is_not_given_the_file_it_was_moved_to)
{
	struct node *node = look_up("one", PID);
	int path_fd = -1;

	ck_assert(nodes_admit_scratch(nodes, node, PID)); /* never a row's */
	nodes_make_scratch(nodes, node, INO + 1, &path_fd);
	ck_assert(!nodes_admit_scratch(nodes, node, PID));
	ck_assert(!nodes_admit_scratch(nodes, node, OTHER));
	ck_assert(nodes_admit_scratch(nodes, node, PID)); /* he meant the file */
	ck_assert(nodes_admit_scratch(nodes, node, PID));
	ck_assert(nodes_admit_scratch(nodes, node, 0)); /* ESTALE would reach who cannot be told from others */
}
END_TEST

START_TEST(nobody_is_sent_back_twice_however_many_come)
{
	struct node *node = look_up("one", PID);
	int path_fd = -1;
	unsigned sent = 0;

	nodes_make_scratch(nodes, node, INO + 1, &path_fd);
	for (pid_t pid = 1; pid <= 200; pid++)
		sent += !nodes_admit_scratch(nodes, node, pid);
	ck_assert_uint_eq(sent, 64);
	for (pid_t pid = 1; pid <= 200; pid++)
		ck_assert(nodes_admit_scratch(nodes, node, pid));
}
END_TEST

START_TEST(a_node_that_lost_its_name_gives_no_old_text)
{
	struct node *before = look_up("one", PID), *after = look_up("two", PID);

	ck_assert_ptr_ne(before, after);
	ck_assert_str_eq(opened(after, PID), "two");
	ck_assert_str_eq(opened(before, PID), "");
}
END_TEST

START_TEST(what_was_read_before_a_save_is_not_given_after_it)
{
	struct node *node = look_up("one", PID);

	marks_row(marks, TABLE, "1.json");
	ck_assert_str_eq(opened(node, PID), "");
}
END_TEST

/* He would get ESTALE a second time, and that reaches the user. */
START_TEST(who_was_sent_to_look_is_given_what_he_found_whatever_came_since)
{
	struct node *node = look_up("one", PID);

	ck_assert_int_eq(admitted(node, "two", PID), ADMIT_STALE);
	node = look_up("two", PID);
	marks_row(marks, TABLE, "1.json");
	look_up("three", OTHER);
	ck_assert_str_eq(opened(node, PID), "two");
	ck_assert_int_eq(admitted(node, "two", PID), ADMIT_KEEP);
}
END_TEST

START_TEST(who_was_sent_to_look_is_not_given_what_was_read_before)
{
	struct node *before = look_up("one", PID);

	ck_assert_int_eq(admitted(before, "two", PID), ADMIT_STALE);
	ck_assert_str_eq(opened(before, PID), "");
}
END_TEST

static bool needs_text(pid_t pid)
{
	return nodes_need_text(nodes, table, "1.json", INO, pid);
}

/* Whoever it is, since more may be sent back than are remembered one by one. */
START_TEST(after_an_open_was_sent_back_each_lookup_needs_the_text)
{
	struct node *node;

	ck_assert(!needs_text(PID));
	node = look_up("one", PID);
	ck_assert(!needs_text(PID));
	ck_assert_int_eq(admitted(node, "two", PID), ADMIT_STALE);
	ck_assert(needs_text(PID));
	ck_assert(needs_text(OTHER));
	ck_assert(!nodes_need_text(nodes, table, "2.json", INO + 1, PID));
	for (int i = 0; i < 3; i++)
		node = look_up(i % 2 ? "three" : "two", OTHER);
	ck_assert(needs_text(OTHER));
	nodes_unname(nodes, table, "1.json");
	ck_assert(needs_text(PID));
	ck_assert(!needs_text(OTHER));
}
END_TEST

/* Somebody looked a temporary file up just before its name was removed, and told only after that. Whoever made another
 * under the name was given the first one's content. */
START_TEST(a_temporary_name_that_is_another_file_has_another_node)
{
	struct node *late = nodes_get(nodes, table, "f", NODE_SCRATCH, TABLE, 17);
	struct node *made = nodes_get(nodes, table, "f", NODE_SCRATCH, TABLE, 21);

	ck_assert_ptr_ne(made, late);
	ck_assert_ptr_eq(nodes_get(nodes, table, "f", NODE_SCRATCH, TABLE, 21), made);
}
END_TEST

START_TEST(names_exchange_their_nodes)
{
	struct node *folder = nodes_get(nodes, table, "d", NODE_SCRATCH, TABLE, 13);
	struct node *one = nodes_get(nodes, table, "f", NODE_SCRATCH, TABLE, 17);
	struct node *other = nodes_get(nodes, folder, "g", NODE_SCRATCH, TABLE, 21);

	nodes_exchange(nodes, table, "f", folder, "g");
	ck_assert_ptr_eq(nodes_get(nodes, table, "f", NODE_SCRATCH, TABLE, 21), other);
	ck_assert_ptr_eq(nodes_get(nodes, folder, "g", NODE_SCRATCH, TABLE, 17), one);
	/* The kernel knows only one of the names. */
	nodes_exchange(nodes, table, "f", folder, "unknown");
	ck_assert_ptr_eq(nodes_get(nodes, folder, "unknown", NODE_SCRATCH, TABLE, 21), other);
	ck_assert_ptr_null(nodes_find(nodes, table, "f"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("nodes");
	TCase *test = tcase_create("nodes");

	tcase_add_checked_fixture(test, setup, teardown);
	tcase_add_test(test, an_open_is_given_what_its_lookup_read);
	tcase_add_test(test, who_had_walked_to_a_row_is_not_given_the_file_it_was_moved_to);
	tcase_add_test(test, nobody_is_sent_back_twice_however_many_come);
	tcase_add_test(test, a_node_that_lost_its_name_gives_no_old_text);
	tcase_add_test(test, what_was_read_before_a_save_is_not_given_after_it);
	tcase_add_test(test, who_was_sent_to_look_is_given_what_he_found_whatever_came_since);
	tcase_add_test(test, who_was_sent_to_look_is_not_given_what_was_read_before);
	tcase_add_test(test, after_an_open_was_sent_back_each_lookup_needs_the_text);
	tcase_add_test(test, a_temporary_name_that_is_another_file_has_another_node);
	tcase_add_test(test, names_exchange_their_nodes);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
