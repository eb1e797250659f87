/* Which open is given the text that a look has read; which node a name has. */
#include <string.h>
#include <unistd.h>

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
	ck_assert_int_eq(nodes_new(marks, 1 << 20, 1 << 20, &nodes), 0);
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

/* As of a page of one row. */
static struct text *listed_text(const char *data, const struct version *version)
{
	struct buf out = {0};
	size_t at = text_page_begin(&out);
	struct text_page *page;
	struct text *text;

	buf_adds(&out, data);
	text_page_end(&out, at, version, 0);
	page = text_page_finish(&out);
	ck_assert_ptr_nonnull(page);
	text = text_page_get(page, at);
	text_page_unref(page);
	return text;
}

/* A listing of a directory, under a feed or not, finds the row of a name to be `data`. */
static struct node *list_row_of(struct node *directory, uint32_t relation, const char *name, const char *data, bool fed)
{
	struct look look = {.began_us = clock_monotonic_us(), .mark = marks_now(marks), .fed = fed, .listing = true};
	struct version version = version_of(data, strlen(data), NULL);
	_cleanup_text_ struct text *text = listed_text(data, &version);
	enum belief belief;
	struct node *node = nodes_get_row(nodes, directory, name, relation, INO, &version, text, &look, &belief);

	ck_assert_ptr_nonnull(node);
	return node;
}

static struct node *list_row(const char *name, const char *data, bool fed)
{
	return list_row_of(table, TABLE, name, data, fed);
}

/* Is an OPEN given a text without asking, while the feed is live or not? */
static bool is_kept(struct node *node, bool live)
{
	uint64_t mark;
	_cleanup_text_ struct text *text = nodes_kept(nodes, node, live, PID, &mark);

	return text != NULL;
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

START_TEST(whoever_opens_what_was_listed_is_given_that_while_the_feed_is_live)
{
	struct node *fed = list_row("1.json", "one", true), *unfed = list_row("2.json", "two", false);

	ck_assert(is_kept(fed, true));
	ck_assert(!is_kept(fed, false));
	ck_assert(!is_kept(unfed, true));
	marks_row(marks, TABLE, "1.json");
	ck_assert(!is_kept(fed, true));
	/* Until it is listed, or read, again. */
	fed = list_row("1.json", "other", true);
	ck_assert(is_kept(fed, true));
}
END_TEST

/* Rows that are listed push out others that were, but not those that were read, before or after they were listed. */
static void list_text(const char *name, const char *data, struct text_page *page, size_t at)
{
	struct look look = {.began_us = clock_monotonic_us(), .mark = marks_now(marks), .fed = true, .listing = true};
	struct version version = version_of(data, strlen(data), NULL);
	_cleanup_text_ struct text *text = text_page_get(page, at);
	enum belief belief;

	ck_assert_ptr_nonnull(nodes_get_row(nodes, table, name, TABLE, INO, &version, text, &look, &belief));
}

/* Two rows, listed in a page with others, 100 KB in all, whose texts nobody keeps. */
static void list_in_large_page(const char *name, const char *data, const char *other, const char *other_data)
{
	struct version version = version_of(data, strlen(data), NULL);
	struct version other_version = version_of(other_data, strlen(other_data), NULL);
	_cleanup_buf_ struct buf out = {0};
	struct text_page *page;
	size_t at, other_at;

	at = text_page_begin(&out);
	buf_adds(&out, data);
	text_page_end(&out, at, &version, 0);
	other_at = text_page_begin(&out);
	buf_adds(&out, other_data);
	text_page_end(&out, other_at, &other_version, 0);
	buf_resize(&out, 100 << 10);
	page = text_page_finish(&out);
	ck_assert_ptr_nonnull(page);
	list_text(name, data, page, at);
	list_text(other, other_data, page, other_at);
	text_page_unref(page);
}

START_TEST(what_is_listed_again_lets_the_older_page_go)
{
	char changed[24];

	for (int i = 0; i < 10; i++) {
		snprintf(changed, sizeof changed, "version %d", i);
		list_in_large_page("1.json", "as it was", "2.json", changed);
	}
	ck_assert_uint_eq(text_pages_bytes(), 100 << 10);
}
END_TEST

/* Rows that have changed one by one hold a page each. */
START_TEST(pages_of_few_texts_do_not_pile_up)
{
	char name[24];

	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof name, "%d.json", i);
		list_in_large_page(name, "one", "other.json", "one");
	}
	ck_assert_uint_le(text_pages_bytes(), 2 * (1 << 20) + (5 << 20));
	ck_assert_uint_ge(text_pages_bytes(), 2 * (1 << 20));
}
END_TEST

START_TEST(what_was_listed_first_goes_first)
{
	struct node *read = list_row("1.json", "read", true), *first, *last = NULL;
	char name[32], data[10001];

	memset(data, 'x', sizeof data - 1);
	data[sizeof data - 1] = '\0';
	ck_assert_ptr_eq(look_up("read", PID), read);
	ck_assert_ptr_eq(list_row("1.json", "read", true), read);
	first = list_row("first.json", data, true);
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof name, "%d.row.json", i);
		last = list_row(name, data, true);
	}
	ck_assert(!is_kept(first, true));
	ck_assert(is_kept(last, true));
	ck_assert_str_eq(opened(read, PID), "read");
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

/* --- Who was sent back ----------------------------------------------------------------------- */

/* LOOKUP as the program does it, under a live feed: from memory if it may. */
static struct node *walk(const char *data, pid_t pid)
{
	struct look look = {.began_us = clock_monotonic_us(), .mark = marks_now(marks), .fed = true, .pid = pid};
	_cleanup_text_ struct text *text = text_of(data);
	struct version version;
	enum belief belief;
	struct node *node = nodes_get_known(nodes, table, "1.json", INO, pid, &version, &belief);

	if (!node)
		node = nodes_get_row(nodes, table, "1.json", TABLE, INO, &text->version, text, &look, &belief);
	ck_assert_ptr_nonnull(node);
	return node;
}

/* What becomes of an OPEN that finds the row to be `data`. */
static enum admission open_row(struct node *node, const char *data, pid_t pid, void *writer)
{
	struct look look = {.began_us = clock_monotonic_us(), .mark = marks_now(marks), .fed = true, .pid = pid};
	struct version version = version_of(data, strlen(data), NULL);

	return nodes_admit(nodes, node, writer, &version, &look);
}

static bool is_contended(struct node *node)
{
	bool contended;

	nodes_lock(nodes);
	contended = node_contended(node);
	nodes_unlock(nodes);
	return contended;
}

/* The row was "one", and is "two" by now. */
static struct node *changed_row(void)
{
	struct node *node = walk("one", PID);

	marks_row(marks, TABLE, "1.json");
	return node;
}

START_TEST(nobody_contends_for_a_row_that_had_only_changed)
{
	struct node *before = changed_row(), *now;

	ck_assert_int_eq(open_row(before, "two", PID, NULL), ADMIT_STALE);
	ck_assert(is_contended(before));
	now = walk("two", PID);
	ck_assert_ptr_ne(now, before);
	ck_assert(is_contended(now));
	ck_assert_int_eq(open_row(now, "two", PID, NULL), ADMIT_KEEP);
	ck_assert(!is_contended(now));
	ck_assert_ptr_eq(walk("two", OTHER), now);
}
END_TEST

START_TEST(who_is_sent_back_by_a_writer_contends)
{
	int writer;
	struct node *node = walk("one", PID), *now;

	ck_assert_int_eq(open_row(node, "one", PID, &writer), ADMIT);
	ck_assert_int_eq(open_row(node, "one", OTHER, NULL), ADMIT_STALE);
	now = walk("one", OTHER);
	ck_assert_int_eq(open_row(now, "one", OTHER, NULL), ADMIT_KEEP);
	ck_assert(is_contended(now));
}
END_TEST

/* Two are on their way back, a reader and a writer: neither meets the other, whoever comes first. */
START_TEST(one_who_comes_back_does_not_end_it_for_the_other)
{
	int writer;
	struct node *before = changed_row(), *now, *other;

	ck_assert_int_eq(open_row(before, "two", PID, NULL), ADMIT_STALE);
	ck_assert_int_eq(open_row(before, "two", OTHER, &writer), ADMIT_STALE);
	now = walk("two", PID);
	ck_assert_int_eq(open_row(now, "two", PID, NULL), ADMIT_KEEP);
	ck_assert(is_contended(now));
	other = walk("two", OTHER);
	ck_assert_ptr_ne(other, now);
	ck_assert_int_eq(open_row(other, "two", OTHER, &writer), ADMIT);
}
END_TEST

/* A reader is let in while another is on his way, who takes his time: he is given a text of his own, whatever is known by
 * then. */
START_TEST(who_was_sent_back_is_never_answered_from_memory)
{
	struct node *before = changed_row(), *now, *own;
	uint64_t mark;

	ck_assert_int_eq(open_row(before, "two", PID, NULL), ADMIT_STALE);
	now = walk("two", PID);
	ck_assert_int_eq(open_row(before, "two", OTHER, NULL), ADMIT_STALE);
	ck_assert_int_eq(open_row(now, "two", PID, NULL), ADMIT_KEEP);
	usleep(CONTENDED_US + 10000);
	own = walk("two", OTHER);
	ck_assert_ptr_ne(own, now);
	marks_row(marks, TABLE, "1.json"); /* it changes again */
	_cleanup_text_ struct text *text = nodes_kept(nodes, own, true, OTHER, &mark);
	ck_assert_ptr_nonnull(text);
	ck_assert_uint_eq(mark, MARK_LOOKED_UP);
}
END_TEST

/* More than are remembered. */
START_TEST(who_is_forgotten_on_his_way_back_is_protected_by_contention)
{
	struct node *before = changed_row(), *now;

	for (pid_t pid = 1; pid <= 100; pid++)
		ck_assert_int_eq(open_row(before, "two", pid, NULL), ADMIT_STALE);
	for (pid_t pid = 100; pid > 0; pid--) {
		now = walk("two", pid);
		ck_assert_int_eq(open_row(now, "two", pid, NULL), ADMIT_KEEP);
		ck_assert(is_contended(now));
	}
}
END_TEST

/* --- What the kernel is told ----------------------------------------------------------------- */

START_TEST(what_was_told_a_moment_ago_is_told_again)
{
	struct node *node = walk("one", PID);
	bool recent;

	ck_assert_int_eq(nodes_notice(nodes, node, 1000000, &recent), NOTICE_ATTRIBUTES);
	ck_assert(recent);
	usleep(30000);
	ck_assert_int_eq(nodes_notice(nodes, node, 10000, &recent), NOTICE_ATTRIBUTES);
	ck_assert(!recent);
	ck_assert_int_eq(open_row(node, "one", PID, NULL), ADMIT_KEEP);
	ck_assert_int_eq(nodes_notice(nodes, node, 10000, &recent), NOTICE_NAMES);
}
END_TEST

/* --- Without OPEN ---------------------------------------------------------------------------- */

static enum belief known_belief(const char *name)
{
	struct version version;
	enum belief belief;

	ck_assert_ptr_nonnull(nodes_get_known(nodes, table, name, INO, PID, &version, &belief));
	return belief;
}

static enum belief listed_belief(const char *name)
{
	struct look look = {.began_us = clock_monotonic_us(), .mark = marks_now(marks), .fed = true, .listing = true};
	struct version version = version_of("two", 3, NULL);
	enum belief belief;

	ck_assert_ptr_nonnull(nodes_get_row(nodes, table, name, TABLE, INO, &version, NULL, &look, &belief));
	return belief;
}

/* All names at once are taken back when something changes after a while; until it is quiet again they are believed shortly. */
START_TEST(names_are_believed_for_long_while_it_is_quiet)
{
	struct node *node = walk("one", PID);
	bool recent;

	ck_assert_int_eq(known_belief("1.json"), BELIEVE_LONG);
	ck_assert_int_eq(listed_belief("2.json"), BELIEVE_LONG);
	nodes_set_unopened(nodes);
	ck_assert_int_eq(known_belief("1.json"), BELIEVE_LONG);
	ck_assert_int_eq(listed_belief("3.json"), BELIEVE_CONTENT);
	ck_assert_int_eq(nodes_notice(nodes, node, 1000000, &recent), NOTICE_NAMES);
	ck_assert_int_eq(known_belief("1.json"), BELIEVE_CONTENT);
	ck_assert_int_eq(nodes_notice(nodes, node, 1000000, &recent), NOTICE_NONE);
	usleep(NAMES_QUIET_US / 2);
	ck_assert_int_eq(nodes_notice(nodes, node, 1000000, &recent), NOTICE_NONE);
	usleep(NAMES_QUIET_US * 3 / 4);
	ck_assert_int_eq(known_belief("1.json"), BELIEVE_CONTENT); /* from the last change on */
	usleep(NAMES_QUIET_US / 3);
	ck_assert_int_eq(known_belief("1.json"), BELIEVE_LONG);
	ck_assert_int_eq(nodes_notice(nodes, node, 1000000, &recent), NOTICE_NAMES);
}
END_TEST

START_TEST(a_read_is_given_what_its_node_was_told)
{
	struct node *node = walk("one", PID);
	_cleanup_text_ struct text *one = text_of("one"), *two = text_of("two"), *held = NULL;

	nodes_set_unopened(nodes);
	marks_row(marks, TABLE, "1.json"); /* whatever the row is by now */
	held = nodes_held(nodes, node);
	ck_assert_ptr_nonnull(held);
	ck_assert_str_eq(held->data, "one");
	nodes_drop_kept(nodes);
	ck_assert_ptr_null(nodes_held(nodes, node));
	ck_assert(!nodes_hold_text(nodes, node, two));
	ck_assert_ptr_null(nodes_held(nodes, node));
	ck_assert(nodes_hold_text(nodes, node, one));
	text_unref(held);
	held = nodes_held(nodes, node);
	ck_assert_ptr_eq(held, one);
	nodes_spoil(nodes, node);
	ck_assert(!nodes_hold_text(nodes, node, one));
}
END_TEST

START_TEST(only_a_whole_listing_is_dropped)
{
	struct entries *names;
	bool drop;

	ck_assert(!nodes_change_listing(nodes, table)); /* none */
	ck_assert(nodes_hold_listing(nodes, table, &names, &drop));
	nodes_fill_listing(nodes, table);
	ck_assert(!nodes_change_listing(nodes, table)); /* not whole: its end will tell */
	ck_assert(!nodes_keep_listing(nodes, table, NULL));
	nodes_fill_listing(nodes, table);
	ck_assert(nodes_keep_listing(nodes, table, NULL));
	ck_assert(nodes_change_listing(nodes, table));
	ck_assert(!nodes_change_listing(nodes, table));
	nodes_release_listing(nodes, table);
}
END_TEST

/* --- Names ----------------------------------------------------------------------------------- */

static struct node *found(struct node *directory, const char *format, int i)
{
	char name[32];
	struct node *node;

	snprintf(name, sizeof name, format, i);
	node = nodes_find(nodes, directory, name);
	if (node)
		nodes_release(nodes, node);
	return node;
}

START_TEST(ten_thousand_nodes_keep_their_names_and_lose_them)
{
	enum { N = 10000 };
	struct node *all[N], *other = nodes_get(nodes, nodes_root(nodes), "other", NODE_TABLE, TABLE + 1, 2);
	char name[32];

	for (int i = 0; i < N; i++) {
		snprintf(name, sizeof name, "%d.json", i);
		all[i] = nodes_get(nodes, table, name, NODE_ROW, TABLE, (uint64_t)i);
		ck_assert_ptr_nonnull(all[i]);
		if (i % 3 == 1)
			nodes_unname(nodes, table, name);
		if (i % 3 == 2) {
			snprintf(name, sizeof name, "moved-%d.json", i);
			nodes_rename(nodes, all[i], i % 2 ? table : other, name);
		}
	}
	for (int i = 0; i < N; i++) {
		ck_assert_ptr_eq(found(table, "%d.json", i), i % 3 ? NULL : all[i]);
		ck_assert_ptr_eq(found(table, "moved-%d.json", i), i % 3 == 2 && i % 2 ? all[i] : NULL);
		ck_assert_ptr_eq(found(other, "moved-%d.json", i), i % 3 == 2 && !(i % 2) ? all[i] : NULL);
	}
	for (int i = 0; i < N; i += 2)
		nodes_forget(nodes, all[i], 1);
	for (int i = 0; i < N; i++)
		ck_assert_ptr_eq(found(table, "%d.json", i), i % 3 || i % 2 == 0 ? NULL : all[i]);
}
END_TEST

/* Who only lists is given so many nodes, and more when somebody asks for a row. */
START_TEST(nodes_are_given_while_somebody_uses_them)
{
	struct node *other_table = nodes_get(nodes, nodes_root(nodes), "other", NODE_TABLE, TABLE + 1, 2), *own, *others;
	struct giving giving = {0}, other = {0};

	for (int i = 0; i < GIVEN_MAX; i++)
		ck_assert(nodes_give(nodes, table, &giving));
	own = list_row("2.json", "listed", true);
	others = list_row_of(other_table, TABLE + 1, "2.json", "listed", true);
	ck_assert(is_kept(own, true));
	ck_assert(!nodes_give(nodes, table, &giving));
	ck_assert(!is_kept(own, true)); /* nobody reads what he lists */
	ck_assert(is_kept(others, true));
	own = list_row("3.json", "listed", true); /* that is no use, */
	ck_assert(!nodes_give(nodes, table, &giving));
	ck_assert(is_kept(own, true)); /* but another may list, too */
	ck_assert(nodes_give(nodes, table, &other));
	look_up("one", PID);
	for (int i = 0; i < GIVEN_MAX; i++)
		ck_assert(nodes_give(nodes, table, &giving));
	ck_assert(!nodes_give(nodes, table, &giving));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("nodes");
	TCase *test = tcase_create("nodes");

	tcase_add_checked_fixture(test, setup, teardown);
	tcase_add_test(test, an_open_is_given_what_its_lookup_read);
	tcase_add_test(test, whoever_opens_what_was_listed_is_given_that_while_the_feed_is_live);
	tcase_add_test(test, what_is_listed_again_lets_the_older_page_go);
	tcase_add_test(test, pages_of_few_texts_do_not_pile_up);
	tcase_add_test(test, what_was_listed_first_goes_first);
	tcase_add_test(test, who_had_walked_to_a_row_is_not_given_the_file_it_was_moved_to);
	tcase_add_test(test, nobody_is_sent_back_twice_however_many_come);
	tcase_add_test(test, a_node_that_lost_its_name_gives_no_old_text);
	tcase_add_test(test, what_was_read_before_a_save_is_not_given_after_it);
	tcase_add_test(test, who_was_sent_to_look_is_given_what_he_found_whatever_came_since);
	tcase_add_test(test, who_was_sent_to_look_is_not_given_what_was_read_before);
	tcase_add_test(test, after_an_open_was_sent_back_each_lookup_needs_the_text);
	tcase_add_test(test, a_temporary_name_that_is_another_file_has_another_node);
	tcase_add_test(test, names_exchange_their_nodes);
	tcase_add_test(test, nobody_contends_for_a_row_that_had_only_changed);
	tcase_add_test(test, who_is_sent_back_by_a_writer_contends);
	tcase_add_test(test, one_who_comes_back_does_not_end_it_for_the_other);
	tcase_add_test(test, who_was_sent_back_is_never_answered_from_memory);
	tcase_add_test(test, who_is_forgotten_on_his_way_back_is_protected_by_contention);
	tcase_add_test(test, what_was_told_a_moment_ago_is_told_again);
	tcase_add_test(test, names_are_believed_for_long_while_it_is_quiet);
	tcase_add_test(test, a_read_is_given_what_its_node_was_told);
	tcase_set_timeout(test, 30);
	tcase_add_test(test, only_a_whole_listing_is_dropped);
	tcase_add_test(test, ten_thousand_nodes_keep_their_names_and_lose_them);
	tcase_add_test(test, nodes_are_given_while_somebody_uses_them);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
