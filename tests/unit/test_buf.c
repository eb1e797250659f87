#include "rowfs/base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "rowfs/base/error.h"
#include "rowfs/base/log.h"

#include "suite.h"

START_TEST(grows_and_stays_terminated)
{
	_cleanup_buf_ struct buf b = {0};

	for (int i = 0; i < 10000; i++) {
		buf_addc(&b, (char)('a' + i % 26));
		ck_assert_uint_eq(b.data[b.len], 0);
	}
	ck_assert_uint_eq(b.len, 10000);
	ck_assert_int_eq(b.data[9999], 'a' + 9999 % 26);
	buf_reset(&b);
	ck_assert_str_eq(b.data, "");
	buf_adds(&b, "x");
	buf_add(&b, "y\0z", 3);
	ck_assert_uint_eq(b.len, 4);
	ck_assert_mem_eq(b.data, "xy\0z", 5);
}
END_TEST

/* Doubling, so that n bytes cost n and not n². */
START_TEST(grows_by_doubling)
{
	_cleanup_buf_ struct buf b = {0};
	size_t cap = 0, growths = 0;

	for (int i = 0; i < 1 << 20; i++) {
		buf_addc(&b, 'x');
		growths += b.cap != cap;
		cap = b.cap;
	}
	ck_assert_uint_lt(growths, 20);
}
END_TEST

START_TEST(formats_what_does_not_fit_at_first)
{
	_cleanup_buf_ struct buf b = {0};
	char expected[1002];

	memset(expected, ' ', 999);
	memcpy(expected + 999, "7", 2);
	buf_adds(&b, "<");
	buf_addf(&b, "%1000d", 7);
	ck_assert_uint_eq(b.len, 1001);
	ck_assert_str_eq(b.data + 1, expected);
	buf_addf(&b, "%s", "");
	ck_assert_uint_eq(b.len, 1001);
}
END_TEST

START_TEST(resizes_with_zeros)
{
	_cleanup_buf_ struct buf b = {0};

	buf_adds(&b, "abcdef");
	buf_resize(&b, 2);
	ck_assert_str_eq(b.data, "ab");
	buf_resize(&b, 5);
	ck_assert_mem_eq(b.data, "ab\0\0\0", 6);
}
END_TEST

START_TEST(failure_is_sticky)
{
	_cleanup_buf_ struct buf b = {0};

	buf_adds(&b, "kept");
	buf_resize(&b, SIZE_MAX);
	ck_assert(b.failed);
	buf_adds(&b, "lost");
	buf_addf(&b, "%d", 1);
	ck_assert_uint_eq(b.len, 4);
	ck_assert_ptr_null(buf_steal(&b));
	ck_assert(!b.failed);
	ck_assert_ptr_null(b.data);
}
END_TEST

START_TEST(steals_an_empty_buffer)
{
	struct buf b = {0};
	char *bytes = buf_steal(&b);

	ck_assert_ptr_nonnull(bytes);
	ck_assert_str_eq(bytes, "");
	free(bytes);
	buf_adds(&b, "again");
	bytes = buf_steal(&b);
	ck_assert_str_eq(bytes, "again");
	free(bytes);
	buf_done(&b);
}
END_TEST

START_TEST(error_says_what_and_where)
{
	struct error e = {.hint = "old"};

	ck_assert_int_eq(error_at(&e, EINVAL, 3, 4, "no %s", "good"), -EINVAL);
	ck_assert_str_eq(e.message, "no good");
	ck_assert_str_eq(e.hint, "");
	ck_assert_uint_eq(e.line, 3);
	ck_assert_uint_eq(e.column, 4);
	/* An error may be part of the message that replaces it. */
	ck_assert_int_eq(error_set(&e, EIO, "cannot save: %s", e.message), -EIO);
	ck_assert_str_eq(e.message, "cannot save: no good");
	ck_assert_uint_eq(e.line, 0);
	ck_assert_int_eq(error_set(NULL, EIO, "nobody asked"), -EIO);
	ck_assert_int_eq(error_at(NULL, EIO, 1, 1, "nobody asked"), -EIO);
}
END_TEST

/* "é" is two bytes, "€" three, "𝄞" four: wherever the cut falls, no half of one is left. */
START_TEST(error_is_cut_between_characters)
{
	static const char *const characters[] = {"a", "é", "€", "𝄞"};
	const char *character = characters[_i / 4];
	size_t len = strlen(character);
	struct error e;
	char text[2 * sizeof(e.message)] = "";
	size_t fill = (size_t)_i % 4;

	memset(text, 'x', fill);
	while (strlen(text) + len < sizeof(text))
		strcat(text, character);
	error_set(&e, EIO, "%s", text);
	ck_assert_uint_eq((strlen(e.message) - fill) % len, 0);
	ck_assert_uint_gt(strlen(e.message) + len, sizeof(e.message) - 1);
	error_copy_text(e.field, sizeof(e.field), text);
	ck_assert_uint_eq((strlen(e.field) - fill) % len, 0);
	ck_assert_uint_gt(strlen(e.field) + len, sizeof(e.field) - 1);
}
END_TEST

static char log_directory[] = "/tmp/rowfs-test-XXXXXX";
static char log_file[64];

static void make_log_directory(void)
{
	ck_assert_ptr_nonnull(mkdtemp(log_directory));
	snprintf(log_file, sizeof(log_file), "%s/log", log_directory);
}

static void remove_log_directory(void)
{
	char old[80];

	snprintf(old, sizeof(old), "%s.1", log_file);
	unlink(old);
	unlink(log_file);
	rmdir(log_directory);
}

static size_t read_file(const char *name, char *text, size_t size)
{
	FILE *file = fopen(name, "r");
	size_t len;

	ck_assert_ptr_nonnull(file);
	len = fread(text, 1, size - 1, file);
	text[len] = '\0';
	fclose(file);
	return len;
}

START_TEST(log_keeps_a_line_a_line)
{
	char text[20000], long_text[9000], spec[80];

	snprintf(spec, sizeof(spec), "%s:warning", log_file);
	ck_assert_int_eq(log_open(spec), 0);
	errno = ENOENT;
	log_warning("two\nlines\r and \x1b[1m tab\t é");
	ck_assert_int_eq(errno, ENOENT);
	log_info("below the level");
	read_file(log_file, text, sizeof(text));
	ck_assert_ptr_nonnull(strstr(text, " warning: two\\nlines\\x0d and \\x1b[1m tab\\t é\n"));
	ck_assert_ptr_null(strstr(text, "below"));
	ck_assert_uint_eq(strcspn(text, "T"), strlen("2026-01-01"));
	ck_assert_int_eq(text[strlen("2026-01-01T00:00:00.000")], 'Z');
	memset(long_text, '\n', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	log_error("%s", long_text);
	ck_assert_uint_lt(read_file(log_file, text, sizeof(text)), 8192 + 200);
	ck_assert_int_eq(text[strlen(text) - 1], '\n');
}
END_TEST

START_TEST(log_is_reopened_for_logrotate)
{
	char text[1000], old[80];

	snprintf(old, sizeof(old), "%s.1", log_file);
	ck_assert_int_eq(log_open(log_file), 0);
	log_error("first");
	ck_assert_int_eq(rename(log_file, old), 0);
	log_error("second");
	log_reopen();
	log_error("third");
	read_file(old, text, sizeof(text));
	ck_assert(strstr(text, "first\n") && strstr(text, "second\n") && !strstr(text, "third"));
	read_file(log_file, text, sizeof(text));
	ck_assert(!strstr(text, "second") && strstr(text, "third\n"));
}
END_TEST

/* Nobody can be told; but the caller's errno is the caller's. */
START_TEST(log_that_cannot_be_written_is_quiet)
{
	ck_assert_int_eq(log_open("/dev/full"), 0);
	errno = ENOENT;
	log_error("lost");
	ck_assert_int_eq(errno, ENOENT);
}
END_TEST

START_TEST(log_refuses_what_it_does_not_know)
{
	ck_assert_int_eq(log_open("stderr:loud"), -EINVAL);
	ck_assert_int_eq(log_open("/nonexistent/directory/log"), -ENOENT);
	ck_assert_int_eq(log_open("stderr:debug"), 0);
}
END_TEST

START_TEST(an_error_is_never_empty)
{
	struct error e = {0};

	ck_assert_int_eq(error_ensure(&e, -ENOMEM), -ENOMEM);
	ck_assert_int_eq(e.err, ENOMEM);
	ck_assert_str_ne(e.message, "");
	(void)error_set(&e, EPERM, "said");
	ck_assert_int_eq(error_ensure(&e, -EIO), -EIO);
	ck_assert_str_eq(e.message, "said");
	ck_assert_int_eq(error_ensure(NULL, -EIO), -EIO);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("buf");
	TCase *buf = tcase_create("buf"), *error = tcase_create("error"),
	      *log = tcase_create("log");

	tcase_add_test(buf, grows_and_stays_terminated);
	tcase_add_test(buf, grows_by_doubling);
	tcase_add_test(buf, formats_what_does_not_fit_at_first);
	tcase_add_test(buf, resizes_with_zeros);
	tcase_add_test(buf, failure_is_sticky);
	tcase_add_test(buf, steals_an_empty_buffer);
	suite_add_tcase(suite, buf);
	tcase_add_test(error, error_says_what_and_where);
	tcase_add_loop_test(error, error_is_cut_between_characters, 0, 16);
	tcase_add_test(error, an_error_is_never_empty);
	suite_add_tcase(suite, error);
	tcase_add_checked_fixture(log, make_log_directory, remove_log_directory);
	tcase_add_test(log, log_keeps_a_line_a_line);
	tcase_add_test(log, log_is_reopened_for_logrotate);
	tcase_add_test(log, log_that_cannot_be_written_is_quiet);
	tcase_add_test(log, log_refuses_what_it_does_not_know);
	suite_add_tcase(suite, log);
	return suite_run(suite);
}
