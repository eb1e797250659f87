#include "rowfs/engine/refusal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "rowfs/base/log.h"
#include "rowfs/model/json.h"
#include "sample_engine.h"
#include "suite.h"

enum { ALICE = 1000, BOB = 1001, ROOT = 0 };

/* The time of day, if a test has stopped it. The program is linked with --wrap=clock_gettime. */
int __real_clock_gettime(clockid_t id, struct timespec *ret);
int __wrap_clock_gettime(clockid_t id, struct timespec *ret);

static struct timespec frozen_at;

int __wrap_clock_gettime(clockid_t id, struct timespec *ret)
{
	if (id != CLOCK_REALTIME || frozen_at.tv_sec == 0)
		return __real_clock_gettime(id, ret);
	*ret = frozen_at;
	return 0;
}

static struct sample sample; /* for its settings and directory; no engine */
static struct refusals *refusals;
static struct buf out; /* what was printed last */

static void open_refusals(void)
{
	struct error e = {0};

	ck_assert_msg(refusals_open(&sample.settings, &refusals, &e) == 0, "%s", e.message);
}

static void open_all(void)
{
	sample_prepare(&sample);
	open_refusals();
}

static void close_all(void)
{
	refusals_close(refusals);
	buf_done(&out);
	sample_close(&sample);
}

static void refuse_text(uid_t uid, const char *path, const char *message, const char *text)
{
	struct asker asker = {uid, uid, 4242, path};
	struct error e = {0};

	(void)error_set(&e, EPERM, "%s", message);
	refusals_add(refusals, &asker, &e, text ? &(struct kept_text){.data = text, .len = strlen(text)} : NULL);
}

static void refuse(uid_t uid, const char *message)
{
	refuse_text(uid, "public/items/42.json", message, NULL);
}

static const char *last(uid_t reader)
{
	buf_reset(&out);
	buf_adds(&out, "");
	refusals_print_last(refusals, reader, &out);
	return out.data;
}

static const char *all(uid_t reader)
{
	buf_reset(&out);
	buf_adds(&out, "");
	refusals_print_all(refusals, reader, &out);
	return out.data;
}

static unsigned lines(const char *text)
{
	unsigned n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

static void check_has(const char *text, const char *part)
{
	ck_assert_msg(strstr(text, part), "\"%s\" is not in: %s", part, text);
}

static void check_lacks(const char *text, const char *part)
{
	ck_assert_msg(!strstr(text, part), "\"%s\" is in: %s", part, text);
}

/* Each line is one JSON object, and nothing follows the last. */
static void check_json_lines(const char *text)
{
	while (*text) {
		const char *end = strchr(text, '\n');

		ck_assert_ptr_nonnull(end);
		ck_assert_msg(json_progress(text, (size_t)(end - text)) == JSON_COMPLETE, "%.*s",
		              (int)(end - text), text);
		text = end + 1;
	}
}

/* --- Who sees what --------------------------------------------------------------------------- */

START_TEST(before_the_first_there_is_nothing)
{
	ck_assert_str_eq(last(ROOT), "");
	ck_assert_str_eq(all(ROOT), "");
	ck_assert_int_eq(sample_files(&sample, "rejected"), 0);
}
END_TEST

START_TEST(each_sees_his_own_and_root_sees_all)
{
	refuse(ALICE, "one");
	refuse(BOB, "two");
	refuse(ALICE, "three");
	refuse(BOB, "four");

	check_has(last(ALICE), "three");
	ck_assert_uint_eq(lines(out.data), 1);
	check_has(last(BOB), "four");
	check_has(last(ROOT), "four");
	ck_assert_str_eq(last(1002), "");

	ck_assert_uint_eq(lines(all(ALICE)), 2);
	check_has(out.data, "one");
	check_has(out.data, "three");
	check_lacks(out.data, "two");
	ck_assert_uint_eq(lines(all(ROOT)), 4);
	ck_assert(strstr(out.data, "one") < strstr(out.data, "four"));
	ck_assert_str_eq(all(1002), "");
}
END_TEST

/* --- What is said ---------------------------------------------------------------------------- */

START_TEST(a_line_has_everything_that_is_known)
{
	struct asker asker = {ALICE, ALICE, 4242, "public/items/42.json"};
	struct error e = {0};

	(void)error_at(&e, EINVAL, 3, 14, "\"much\" is no number");
	snprintf(e.sqlstate, sizeof(e.sqlstate), "22P02");
	snprintf(e.field, sizeof(e.field), "price");
	snprintf(e.detail, sizeof(e.detail), "A number was expected.");
	snprintf(e.hint, sizeof(e.hint), "Write 5.");
	refusals_add(refusals, &asker, &e, &(struct kept_text){.data = "{}", .len = 2});

	last(ALICE);
	ck_assert_int_eq(out.data[4], '-');
	ck_assert_int_eq(out.data[10], 'T');
	check_has(out.data,
	          "Z public/items/42.json: EINVAL: line 3, column 14: \"much\" is no number"
	          "; A number was expected.; hint: Write 5. [SQLSTATE 22P02]"
	          " (the text is kept in .rowfs/rejected/");
	check_has(out.data, "+items+42.json)\n");

	all(ALICE);
	check_json_lines(out.data);
	check_has(out.data, "\"pid\": 4242, \"uid\": 1000, \"path\": \"public/items/42.json\""
	                    ", \"errno\": \"EINVAL\", \"sqlstate\": \"22P02\""
	                    ", \"message\": \"\\\"much\\\" is no number\""
	                    ", \"detail\": \"A number was expected.\", \"hint\": \"Write 5.\""
	                    ", \"field\": \"price\", \"line\": 3, \"column\": 14"
	                    ", \"kept\": \".rowfs/rejected/");
}
END_TEST

START_TEST(what_is_not_known_is_left_out)
{
	refuse(ALICE, "no");
	check_has(last(ALICE), "public/items/42.json: EPERM: no\n");
	all(ALICE);
	check_json_lines(out.data);
	check_lacks(out.data, "sqlstate");
	check_lacks(out.data, "line");
	check_lacks(out.data, "kept");
	check_lacks(out.data, "hint");
}
END_TEST

/* A server's message has lines of its own, a file name may have any byte; none may make up a line,
 * or talk to the terminal that shows it. */
START_TEST(a_refusal_is_one_line_whatever_is_in_it)
{
	struct asker asker = {ALICE, ALICE, 4242, "public/items/a\nb\r\x1b[2J\xff.json"};
	struct error e = {0};

	(void)error_set(&e, EPERM, "one\ntwo\r\n\x1b]0;title\x07\x7f");
	snprintf(e.detail, sizeof(e.detail), "three\nfour");
	snprintf(e.hint, sizeof(e.hint), "five\n\tsix");
	refusals_add(refusals, &asker, &e, &(struct kept_text){.data = "x", .len = 1});

	last(ALICE);
	ck_assert_uint_eq(lines(out.data), 1);
	ck_assert_int_eq(out.data[out.len - 1], '\n');
	check_has(out.data, "one two");
	for (size_t i = 0; i + 1 < out.len; i++)
		ck_assert_msg((unsigned char)out.data[i] >= 0x20 && out.data[i] != 0x7f,
		              "byte %02x", (unsigned char)out.data[i]);
	ck_assert_uint_eq(lines(all(ALICE)), 1);
	check_json_lines(out.data);
}
END_TEST

/* --- The last thousand ----------------------------------------------------------------------- */

static void refuse_number(uid_t uid, unsigned n)
{
	char message[32];

	snprintf(message, sizeof(message), "number <%u>", n);
	refuse(uid, message);
}

START_TEST(the_last_thousand_are_kept)
{
	unsigned more = (unsigned)_i, end = REFUSALS_KEPT + more;
	char first[32], newest[32];

	for (unsigned n = 0; n < end; n++)
		refuse_number(ALICE, n);
	snprintf(first, sizeof(first), "number <%u>", more);
	snprintf(newest, sizeof(newest), "number <%u>", end - 1);
	check_has(last(ALICE), newest);
	ck_assert_uint_eq(lines(all(ALICE)), REFUSALS_KEPT);
	check_json_lines(out.data);
	ck_assert_ptr_nonnull(strstr(out.data, first));
	ck_assert_ptr_nonnull(strstr(out.data, newest));
	ck_assert(strchr(out.data, '\n') > strstr(out.data, first));
	if (more)
		check_lacks(out.data, "number <0>");
}
END_TEST

/* Bob's is the oldest of all that are kept, and then one too old. */
START_TEST(the_oldest_that_is_kept_is_still_found)
{
	refuse(BOB, "bobs");
	for (unsigned n = 0; n < REFUSALS_KEPT - 1; n++)
		refuse_number(ALICE, n);
	check_has(last(BOB), "bobs");
	ck_assert_uint_eq(lines(all(BOB)), 1);
	refuse_number(ALICE, 1);
	ck_assert_str_eq(last(BOB), "");
	ck_assert_str_eq(all(BOB), "");

	refuse(BOB, "bobs");
	for (unsigned n = 0; n < REFUSALS_KEPT - 1; n++)
		refuse_number(ALICE, n);
	check_has(last(BOB), "bobs");
}
END_TEST

/* --- Kept texts ------------------------------------------------------------------------------ */

/* The contents of the kept texts, each followed by '|', oldest first. */
static const char *kept_texts(void)
{
	static char texts[4096];
	struct dirent **entries;
	char path[400];
	int n;

	snprintf(path, sizeof(path), "%s/rejected", sample.dir);
	n = scandir(path, &entries, NULL, alphasort);
	texts[0] = '\0';
	for (int i = 0; i < n; i++) {
		size_t len = strlen(texts);
		FILE *file;

		snprintf(path, sizeof(path), "%s/rejected/%s", sample.dir, entries[i]->d_name);
		file = sample_is_text(entries[i]->d_name) ? fopen(path, "r") : NULL;
		free(entries[i]);
		if (!file)
			continue;
		len += fread(texts + len, 1, sizeof(texts) - len - 2, file);
		fclose(file);
		strcpy(texts + len, "|");
	}
	free(entries);
	return texts;
}

START_TEST(a_refused_text_is_kept_for_its_writer)
{
	char path[512], name[300];
	struct stat st;

	refuse_text(ALICE, "public/items/42.json", "no", "{\"price\": 5}");
	ck_assert_str_eq(kept_texts(), "{\"price\": 5}|");
	all(ALICE);
	ck_assert_int_eq(
	        sscanf(strstr(out.data, ".rowfs/rejected/"), ".rowfs/rejected/%299[^\"]", name), 1);
	snprintf(path, sizeof(path), "%s/rejected/%s", sample.dir, name);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	if (geteuid() == 0)
		ck_assert_uint_eq(st.st_uid, ALICE);
	snprintf(path, sizeof(path), "%s/rejected", sample.dir);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0700);
	ck_assert_int_eq(fstatat(kept_dir(refusals_kept(refusals, KEPT_REJECTED)), name, &st, 0), 0);
}
END_TEST

static void restart(uint64_t rejected_max)
{
	refusals_close(refusals);
	sample.settings.rejected_max = rejected_max;
	open_refusals();
}

/* Texts of so many blocks, less a byte each; why they were refused takes one more. */
static void refuse_blocks(const char *path, char letter, unsigned n)
{
	static char text[8 * KEPT_BLOCK];
	size_t len = n * (size_t)KEPT_BLOCK - 1;

	ck_assert_uint_lt(len, sizeof(text));
	memset(text, ' ', len);
	text[0] = letter;
	text[len] = '\0';
	refuse_text(ALICE, path, "no", text);
}

/* The first letters of what is kept, oldest first. */
static const char *kept_letters(void)
{
	static char letters[64];
	struct dirent **entries;
	char path[600];
	int n, found = 0;

	snprintf(path, sizeof(path), "%s/rejected", sample.dir);
	n = scandir(path, &entries, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		FILE *file;

		snprintf(path, sizeof(path), "%s/rejected/%s", sample.dir, entries[i]->d_name);
		file = sample_is_text(entries[i]->d_name) ? fopen(path, "r") : NULL;
		free(entries[i]);
		if (!file)
			continue;
		letters[found++] = (char)fgetc(file);
		fclose(file);
	}
	free(entries);
	letters[found] = '\0';
	return letters;
}

START_TEST(the_oldest_texts_make_room)
{
	restart(8 * KEPT_BLOCK);
	refuse_blocks("a", '1', 2);
	refuse_blocks("b", '2', 2);
	ck_assert_str_eq(kept_letters(), "12");
	refuse_blocks("c", '3', 1);
	ck_assert_str_eq(kept_letters(), "123");
	refuse_blocks("d", '4', 1);
	ck_assert_str_eq(kept_letters(), "234");
	refuse_blocks("e", '5', 3);
	ck_assert_str_eq(kept_letters(), "345");
	/* What an earlier mount kept counts too. */
	restart(8 * KEPT_BLOCK);
	refuse_blocks("f", '6', 2);
	ck_assert_str_eq(kept_letters(), "56");
	/* The newest is always kept: it is what somebody just typed. */
	refuse_blocks("g", '7', 8);
	ck_assert_str_eq(kept_letters(), "567");
	refuse_blocks("h", '8', 1);
	ck_assert_str_eq(kept_letters(), "8");
	/* A smaller bound holds from the beginning. */
	refuse_blocks("i", '9', 1);
	restart(2 * KEPT_BLOCK);
	ck_assert_str_eq(kept_letters(), "9");
}
END_TEST

/* Only their bytes were counted: 200,000 of them took 792 MiB of 64. */
START_TEST(small_texts_take_a_block_each)
{
	restart(10 * KEPT_BLOCK);
	for (int i = 0; i < 50; i++)
		refuse_text(ALICE, "a", "no", "{");
	ck_assert_int_eq(sample_files(&sample, "rejected"), 10);
}
END_TEST

static void make_texts(unsigned n)
{
	char path[400];

	for (unsigned i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/rejected/20200101T000000Z-%06u-x", sample.dir, i);
		close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	}
}

START_TEST(their_number_is_bounded_too)
{
	char path[400];

	make_texts(KEPT_FILES_MAX + 5);
	restart((uint64_t)1 << 40);
	ck_assert_int_le(sample_files(&sample, "rejected"), KEPT_FILES_MAX);
	refuse_text(ALICE, "a", "no", "{");
	refuse_text(ALICE, "b", "no", "{");
	ck_assert_int_le(sample_files(&sample, "rejected"), KEPT_FILES_MAX);
	ck_assert_int_ge(sample_files(&sample, "rejected"), KEPT_FILES_MAX - 4);
	snprintf(path, sizeof(path), "%s/rejected/20200101T000000Z-000006-x", sample.dir);
	ck_assert_int_ne(access(path, F_OK), 0);
	snprintf(path, sizeof(path), "%s/rejected/20200101T000000Z-%06u-x", sample.dir,
	         KEPT_FILES_MAX + 4);
	ck_assert_int_eq(access(path, F_OK), 0);
}
END_TEST

START_TEST(what_was_taken_makes_room)
{
	struct dirent **entries;
	char path[400];
	int n;

	restart(6 * KEPT_BLOCK);
	refuse_blocks("a", '1', 1);
	refuse_blocks("b", '2', 1);
	refuse_blocks("c", '3', 1);
	snprintf(path, sizeof(path), "%s/rejected", sample.dir);
	n = scandir(path, &entries, NULL, alphasort);
	ck_assert_int_eq(n, 8); /* with . and .. */
	for (int i = 4; i < 6; i++) {
		ck_assert_int_eq(unlinkat(kept_dir(refusals_kept(refusals, KEPT_REJECTED)), entries[i]->d_name, 0), 0);
		kept_taken(refusals_kept(refusals, KEPT_REJECTED), entries[i]->d_name);
	}
	kept_taken(refusals_kept(refusals, KEPT_REJECTED), "none of that name");
	while (n)
		free(entries[--n]);
	free(entries);
	refuse_blocks("d", '4', 1);
	ck_assert_str_eq(kept_letters(), "134");
	refuse_blocks("e", '5', 1);
	ck_assert_str_eq(kept_letters(), "345");
}
END_TEST

/* --- What is needed to save a text after all --------------------------------------------------- */

static struct text *text_of(const char *data)
{
	struct version version = version_of(data, strlen(data), NULL);

	return text_new(data, strlen(data), &version, 7);
}

/* A conflict over public/items/42.json; the name of what was kept. */
static const char *refuse_conflict(struct text *base, struct text *theirs)
{
	static char name[300];
	struct asker asker = {ALICE, ALICE, 4242, "public/items/42.json"};
	struct error e = {0};

	(void)error_set(&e, ESTALE, "others were quicker");
	e.conflict = true;
	refusals_add(refusals, &asker, &e,
	             &(struct kept_text){.data = "{\"mine\": 1}", .len = 11, .base = base, .theirs = theirs});
	ck_assert_int_eq(sscanf(strstr(last(ALICE), ".rowfs/conflicts/"), ".rowfs/conflicts/%299[^)]", name), 1);
	return name;
}

static struct kept *conflicts(void)
{
	return refusals_kept(refusals, KEPT_CONFLICTS);
}

START_TEST(a_conflict_keeps_what_it_was_made_of_and_what_others_made)
{
	_cleanup_text_ struct text *base = text_of("{\"base\": 1}"), *theirs = text_of("{\"theirs\": 1}");
	const char *name = refuse_conflict(base, theirs);
	struct kept_origin origin;

	ck_assert_int_eq(sample_files(&sample, "conflicts"), 4);
	ck_assert_int_eq(sample_files(&sample, "rejected"), 0);
	ck_assert_int_eq(kept_origin(conflicts(), name, "public/items/42.json", &origin), 0);
	ck_assert(origin.known && !origin.deleted);
	ck_assert_str_eq(origin.base->data, base->data);
	ck_assert_str_eq(origin.theirs->data, theirs->data);
	kept_origin_done(&origin);
	/* Of another row it is a text like any other. */
	ck_assert_int_eq(kept_origin(conflicts(), name, "public/items/4.json", &origin), 0);
	ck_assert(!origin.known && !origin.base);
}
END_TEST

START_TEST(a_row_that_is_gone_is_told_from_one_that_is_not_known)
{
	_cleanup_text_ struct text *base = text_of("{\"base\": 1}");
	const char *name = refuse_conflict(base, NULL);
	struct kept_origin origin;

	ck_assert_int_eq(kept_origin(conflicts(), name, "public/items/42.json", &origin), 0);
	ck_assert(origin.known && origin.deleted && !origin.theirs);
	kept_origin_done(&origin);
}
END_TEST

START_TEST(a_text_that_was_to_be_a_new_row_is_told_from_one_of_which_nothing_is_known)
{
	struct kept *rejected = refusals_kept(refusals, KEPT_REJECTED);
	struct asker asker = {ALICE, ALICE, 4242, "public/items/43.json"};
	struct kept_origin origin;
	struct error e = {0};

	(void)error_set(&e, EPERM, "no");
	for (int inserted = 0; inserted < 2; inserted++) {
		char name[300];

		refusals_add(refusals, &asker, &e, &(struct kept_text){.data = "{}", .len = 2, .inserted = inserted});
		ck_assert_int_eq(sscanf(strstr(last(ALICE), ".rowfs/rejected/"), ".rowfs/rejected/%299[^)]", name), 1);
		ck_assert_int_eq(kept_origin(rejected, name, asker.path, &origin), 0);
		ck_assert(origin.known == inserted && !origin.deleted && !origin.theirs && !origin.base);
	}
}
END_TEST

/* Told to a retry: the text stays in its place, with why, and with theirs as they are now. */
START_TEST(what_is_refused_again_is_kept_once)
{
	_cleanup_text_ struct text *base = text_of("{\"base\": 1}"), *theirs = text_of("{\"theirs\": 12345}");
	_cleanup_text_ struct text *later = text_of("{}");
	const char *name = refuse_conflict(base, theirs);
	struct asker asker = {ALICE, ALICE, 4242, "public/items/42.json"};
	struct kept_origin origin;
	struct error e = {0};

	(void)error_set(&e, ESTALE, "and again");
	e.conflict = true;
	refusals_add_again(refusals, &asker, &e, conflicts(), name, later);
	ck_assert_int_eq(sample_files(&sample, "conflicts"), 4);
	ck_assert_int_eq(kept_origin(conflicts(), name, "public/items/42.json", &origin), 0);
	ck_assert_str_eq(origin.base->data, base->data);
	ck_assert_str_eq(origin.theirs->data, "{}");
	kept_origin_done(&origin);
	check_has(last(ALICE), "and again (the text is kept in .rowfs/conflicts/");
	ck_assert_uint_eq(lines(all(ALICE)), 2);
	kept_settled(conflicts(), name);
	ck_assert_int_eq(sample_files(&sample, "conflicts"), 1);
}
END_TEST

/* The oldest text goes with all that stands beside it. */
START_TEST(what_stands_beside_a_text_goes_with_it)
{
	_cleanup_text_ struct text *base = text_of("{\"base\": 1}"), *theirs = text_of("{\"theirs\": 1}");

	restart(8 * KEPT_BLOCK);
	for (unsigned i = 1; i < 5; i++) {
		refuse_conflict(base, theirs);
		ck_assert_int_eq(sample_files(&sample, "conflicts"), i < 2 ? 4 : 8);
	}
	restart(4 * KEPT_BLOCK);
	ck_assert_int_eq(sample_files(&sample, "conflicts"), 4);
	ck_assert_int_eq(sample_texts(&sample, "conflicts"), 1);
}
END_TEST

/* Two that come in one microsecond, from here or from another mount. */
START_TEST(texts_of_one_moment_have_names_of_their_own)
{
	frozen_at = (struct timespec){1763805200, 123456789};
	refuse_text(ALICE, "public/items/42.json", "no", "1");
	refuse_text(ALICE, "public/items/42.json", "no", "2");
	restart(1 << 20);
	refuse_text(ALICE, "public/items/42.json", "no", "3");
	ck_assert_str_eq(kept_texts(), "1|2|3|");
	check_has(last(ALICE), "20251122T095320Z-123458-public+items+42.json)");
}
END_TEST

START_TEST(a_text_of_the_mount_before_is_not_in_the_way)
{
	for (int i = 0; i < 4; i++) {
		restart(1 << 20);
		refuse_text(ALICE, "public/items/42.json", "no", "text");
		check_has(last(ALICE), "the text is kept");
	}
	ck_assert_int_eq(sample_texts(&sample, "rejected"), 4);
}
END_TEST

START_TEST(any_path_gives_a_file_name)
{
	static char path[5000];

	memset(path, 'd', sizeof(path) - 1);
	for (size_t i = 100; i < sizeof(path); i += 100)
		path[i] = '/';
	memcpy(path + sizeof(path) - 10, "/end.json", 10);
	refuse_text(ALICE, path, "no", "long");
	check_has(last(ALICE),
	          "+end.json)\n"); /* the end of a path tells more than its beginning */
	refuse_text(ALICE, "", "no", "empty");
	refuse_text(ALICE, "../../x", "no", "up");
	ck_assert_int_eq(sample_texts(&sample, "rejected"), 3);
	ck_assert_str_eq(kept_texts(), "long|empty|up|");
	check_json_lines(all(ALICE));
}
END_TEST

START_TEST(a_text_that_cannot_be_kept_is_not_said_to_be)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/rejected", sample.dir);
	ck_assert_int_eq(rmdir(path), 0);
	refuse_text(ALICE, "public/items/42.json", "no", "text");
	check_has(last(ALICE), "EPERM: no\n");
	check_lacks(last(ALICE), "kept");
	check_lacks(all(ALICE), "kept");
}
END_TEST

START_TEST(a_directory_that_cannot_be_made_is_named)
{
	struct settings settings = {.state_dir = (char *)"/nonexistent/state"};
	struct refusals *none = NULL;
	struct error e = {0};

	ck_assert_int_eq(refusals_open(&settings, &none, &e), -ENOENT);
	ck_assert_ptr_null(none);
	check_has(e.message, "/nonexistent/state/rejected");
	refusals_close(NULL);
}
END_TEST

/* --- The log --------------------------------------------------------------------------------- */

static const char *log_text(void)
{
	char path[200];
	FILE *file;

	snprintf(path, sizeof(path), "%s/log", sample.dir);
	file = fopen(path, "r");
	ck_assert_ptr_nonnull(file);
	buf_reset(&out);
	buf_resize(&out, 65536);
	out.len = fread(out.data, 1, 65536, file);
	out.data[out.len] = '\0';
	fclose(file);
	return out.data;
}

START_TEST(the_log_hears_of_it_once)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/log", sample.dir);
	ck_assert_int_eq(log_open(path), 0);
	refuse_text(ALICE, "public/items/42.json", "first", "secret words");
	check_has(log_text(), "public/items/42.json: EPERM: first");
	check_has(out.data, "(pid 4242, uid 1000)");
	check_lacks(out.data, "secret words");
	ck_assert_uint_eq(lines(out.data), 1);
	/* A walk over what is gone fails for each row in the same words. */
	for (int i = 0; i < 50; i++)
		refuse(ALICE, "first");
	ck_assert_uint_le(lines(log_text()), 3);
	ck_assert_uint_eq(lines(all(ALICE)), 51);
	refuse(ALICE, "second");
	check_has(log_text(), "second");
}
END_TEST

static void fail_read(const char *path, const char *message)
{
	struct asker asker = {ALICE, ALICE, 4242, path};
	struct error e = {0};

	(void)error_set(&e, EIO, "%s", message);
	refusals_add_read(refusals, &asker, &e);
}

/* `ls -l` during an outage added an entry a row, and pushed out what had been saved and refused. */
START_TEST(a_walk_over_what_is_gone_leaves_refused_saves_alone)
{
	refuse_text(ALICE, "public/items/1.json", "my save", "text");
	for (int i = 0; i < 5 * REFUSALS_KEPT; i++)
		fail_read("public/items/2.json", "cannot reach PostgreSQL");
	check_has(all(ALICE), "my save");
	check_has(out.data, "cannot reach PostgreSQL");
	ck_assert_uint_le(lines(out.data), 10);
	/* Refused saves are recorded however alike they are. */
	for (int i = 0; i < 20; i++)
		refuse(ALICE, "the same");
	ck_assert_uint_ge(lines(all(ALICE)), 21);
	fail_read("public/items/2.json", "something else");
	check_has(last(ALICE), "something else");
}
END_TEST

/* --- All at once ----------------------------------------------------------------------------- */

enum { THREADS = 4, ROUNDS = 300 };

static void *add_and_print(void *arg)
{
	uid_t uid = (uid_t)(uintptr_t)arg;

	for (unsigned i = 0; i < ROUNDS; i++) {
		_cleanup_buf_ struct buf mine = {0};
		char text[100];

		snprintf(text, sizeof(text), "text %u of %u", i, (unsigned)uid);
		refuse_text(uid, "a/b", text, i % 10 ? NULL : text);
		refusals_print_last(refusals, uid, &mine);
		ck_assert_ptr_nonnull(strstr(mine.data, text));
		buf_reset(&mine);
		refusals_print_all(refusals, uid, &mine);
		ck_assert_uint_ge(lines(mine.data), i < 100 ? i + 1 : 1);
	}
	return NULL;
}

START_TEST(threads_share_it)
{
	pthread_t threads[THREADS];

	ck_assert_int_eq(log_open("stderr:error"), 0);
	for (uintptr_t t = 0; t < THREADS; t++)
		ck_assert_int_eq(
		        pthread_create(&threads[t], NULL, add_and_print, (void *)(t + ALICE)), 0);
	for (int t = 0; t < THREADS; t++)
		pthread_join(threads[t], NULL);
	ck_assert_uint_eq(lines(all(ROOT)), REFUSALS_KEPT);
	ck_assert_int_eq(sample_texts(&sample, "rejected"), THREADS * ROUNDS / 10);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("refusal");
	TCase *test = tcase_create("refusal");

	tcase_set_timeout(test, 60);
	tcase_add_checked_fixture(test, open_all, close_all);
	tcase_add_test(test, before_the_first_there_is_nothing);
	tcase_add_test(test, each_sees_his_own_and_root_sees_all);
	tcase_add_test(test, a_line_has_everything_that_is_known);
	tcase_add_test(test, what_is_not_known_is_left_out);
	tcase_add_test(test, a_refusal_is_one_line_whatever_is_in_it);
	tcase_add_loop_test(test, the_last_thousand_are_kept, 0, 3);
	tcase_add_test(test, the_oldest_that_is_kept_is_still_found);
	tcase_add_test(test, a_refused_text_is_kept_for_its_writer);
	tcase_add_test(test, the_oldest_texts_make_room);
	tcase_add_test(test, small_texts_take_a_block_each);
	tcase_add_test(test, their_number_is_bounded_too);
	tcase_add_test(test, what_was_taken_makes_room);
	tcase_add_test(test, a_conflict_keeps_what_it_was_made_of_and_what_others_made);
	tcase_add_test(test, a_row_that_is_gone_is_told_from_one_that_is_not_known);
	tcase_add_test(test, a_text_that_was_to_be_a_new_row_is_told_from_one_of_which_nothing_is_known);
	tcase_add_test(test, what_is_refused_again_is_kept_once);
	tcase_add_test(test, what_stands_beside_a_text_goes_with_it);
	tcase_add_test(test, texts_of_one_moment_have_names_of_their_own);
	tcase_add_test(test, a_text_of_the_mount_before_is_not_in_the_way);
	tcase_add_test(test, any_path_gives_a_file_name);
	tcase_add_test(test, a_text_that_cannot_be_kept_is_not_said_to_be);
	tcase_add_test(test, a_directory_that_cannot_be_made_is_named);
	tcase_add_test(test, the_log_hears_of_it_once);
	tcase_add_test(test, a_walk_over_what_is_gone_leaves_refused_saves_alone);
	tcase_add_test(test, threads_share_it);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
