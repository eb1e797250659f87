#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "config_text.h"
#include "rowfs/base/options.h"

#include "suite.h"

static struct settings settings;
static struct error error;
static char path[] = "/tmp/rowfs-test-config-XXXXXX";

static void setup(void)
{
	int fd;

	strcpy(path + strlen(path) - 6, "XXXXXX");
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	close(fd);
	ck_assert_int_eq(settings_init(&settings), 0);
	error = (struct error){0};
}

static void teardown(void)
{
	unlink(path);
	settings_done(&settings);
}

static int read_config(const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC);

	settings_done(&settings);
	ck_assert_int_eq(settings_init(&settings), 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	return config_read(path, &settings, &error);
}

/* Refused, naming file, line and `word`. */
static void refuse(const char *text, int line, const char *word)
{
	char place[64];

	ck_assert_int_eq(read_config(text), -EINVAL);
	snprintf(place, sizeof(place), "%s:%d: ", path, line);
	ck_assert_msg(strncmp(error.message, place, strlen(place)) == 0, "line %d: %s", line,
	              error.message);
	ck_assert_msg(strstr(error.message, word) != NULL, "%s", error.message);
}

START_TEST(reads_options_and_tables)
{
	ck_assert_int_eq(read_config("# a comment\n"
	                             "ttl = 0.5 // another\n"
	                             "redis = redis://localhost:7000/2\n"
	                             "/* one\n   of two lines */ ro = yes\n"
	                             "schema = \"a # b // c /* d\"\n"
	                             "mtime = 'it\\'s'\n"
	                             "table \"shop.top\" { key = \"a,b\" mtime = changed_at }\n"
	                             "table 'shop.\"odd name\"' {\n\tkey = id\n}\n"),
	                 0);
	ck_assert(settings.ttl == 0.5);
	ck_assert_str_eq(settings.redis, "redis://localhost:7000/2");
	ck_assert(settings.ro);
	ck_assert_str_eq(settings.schema, "a # b // c /* d");
	ck_assert_str_eq(settings.mtime, "it's");
	ck_assert_uint_eq(settings.n_tables, 2);
	ck_assert_str_eq(settings.tables[0].relation, "shop.top");
	ck_assert_str_eq(settings.tables[0].key, "a,b");
	ck_assert_str_eq(settings.tables[0].mtime, "changed_at");
	ck_assert_str_eq(settings.tables[1].relation, "shop.\"odd name\"");
	ck_assert_str_eq(settings.tables[1].key, "id");
	ck_assert_ptr_null(settings.tables[1].mtime);
	ck_assert_ptr_null(settings.tables[1].place);
	ck_assert_int_eq(read_config("table \"a.b\" {\n\thot = \"stock > 0 AND note = 'x'\"\n\thash = 1/4\n}\n"
	                             "table \"a.c\" { place = off }\n"),
	                 0);
	ck_assert_str_eq(settings.tables[0].hot, "stock > 0 AND note = 'x'");
	ck_assert_str_eq(settings.tables[0].hash, "1/4");
	ck_assert_str_eq(settings.tables[1].place, "off");
}
END_TEST

START_TEST(an_empty_file_changes_nothing)
{
	ck_assert_int_eq(read_config(""), 0);
	ck_assert_int_eq(read_config("# only a comment"), 0);
	ck_assert_int_eq(read_config("####\n"), 0);
	ck_assert_uint_eq(settings.n_tables, 0);
	ck_assert(settings.ttl == 1.0);
}
END_TEST

START_TEST(reads_back_what_is_dumped)
{
	_cleanup_buf_ struct buf first = {0}, second = {0};

	ck_assert_int_eq(options_parse(&settings,
	                               "schema=it's \\\\ \"so\" # {,ttl=0.125,ro,umask=022",
	                               &error),
	                 0);
	settings.tables = calloc(1, sizeof(*settings.tables));
	settings.n_tables = 1;
	settings.tables[0] = (struct table_settings){.relation = strdup("a.b'c"),
	                                             .key = strdup("x,y"),
	                                             .hash = strdup("1/4"),
	                                             .hot = strdup("note <> 'it''s' AND stock > 0")};
	options_dump(&settings, &first);
	ck_assert_msg(read_config(first.data) == 0, "%s", error.message);
	options_dump(&settings, &second);
	ck_assert_str_eq(first.data, second.data);
}
END_TEST

START_TEST(errors_name_file_and_line)
{
	refuse("foo = 1\n", 1, "\"foo\"");
	refuse("# one\n# two\n\n// four\ntll = 1\n", 5, "did you mean \"ttl\"");
	refuse("/* one\ntwo\nthree */\nttl = soon\n", 4, "ttl=soon");
	refuse("ttl = 1 # x\nro = maybe", 2, "ro=maybe");
	refuse("schema = \"a\nb\"\nfoo = 1\n", 3, "foo");
	refuse("# x\nconfig = other\n", 2, "config");
	refuse("# x\nredis \"y\"\n", 2, "redis");
	refuse("\n}\n", 2, "brace");
	refuse("include(\"/etc/passwd\")\n", 1, "include");
}
END_TEST

START_TEST(errors_in_tables)
{
	refuse("# x\ntable \"users\" { key = id }\n", 2, "schema.name");
	refuse("# x\ntable \"a.b\" {\n# y\n\tkee = id\n}\n", 4, "kee");
	refuse("table \"a.b\" { key = a }\n\ntable \"a.b\" { key = b }\n", 3, "a.b");
	refuse("# x\ntable \"a.b\" { place = never }\n", 2, "table \"a.b\": place=never: expected lazy or off");
	refuse("# x\ntable \"a.b\" { hash = 5/4 }\n", 2, "more buckets than there are");
	refuse("# x\ntable \"a.b\" { hash = 1/0 }\n", 2, "buckets");
	refuse("# x\ntable \"a.b\" { hot = \"\" }\n", 2, "needs a predicate");
	refuse("# x\ntable \"a.b\" { place = off hot = \"true\" }\n", 2, "contradict");
	refuse("# x\ntable \"a.b\" { place = off\nhash = 1/2 }\n", 3, "contradict");
	refuse("# x\ntable \"a.b\" {\n\tkey = a\n", 2, "never closed");
	refuse("ttl = 1\nschema = \"abc\nro = yes\n", 2, "never closed");
}
END_TEST

START_TEST(files_that_cannot_be_read)
{
	ck_assert_int_eq(config_read("/nonexistent/x", &settings, &error), -ENOENT);
	ck_assert_ptr_nonnull(strstr(error.message, "/nonexistent/x"));
	ck_assert_int_eq(config_read("/", &settings, &error), -EISDIR);
}
END_TEST

static void prepares(const char *before, const char *after)
{
	_cleanup_buf_ struct buf text = {0};
	char open;

	buf_adds(&text, before);
	ck_assert_uint_eq(config_text_prepare(&text, &open), 0);
	ck_assert_str_eq(text.data, after);
}

START_TEST(comments_become_spaces)
{
	prepares("a=1#b\nc", "a=1  \nc");
	prepares("a = /x/* b", "a = /x/* b");
	prepares("a = r://x//y //z", "a = r://x//y    ");
	prepares("'#' \"//\" '\\'#'", "'#' \"//\" '\\'#'");
	prepares("/*a\nb*/c", "   \n   c");
	prepares("/* never closed", "               ");
	prepares("/*/ a */b", "        b");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("config");
	TCase *tcase = tcase_create("config");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, reads_options_and_tables);
	tcase_add_test(tcase, an_empty_file_changes_nothing);
	tcase_add_test(tcase, reads_back_what_is_dumped);
	tcase_add_test(tcase, errors_name_file_and_line);
	tcase_add_test(tcase, errors_in_tables);
	tcase_add_test(tcase, files_that_cannot_be_read);
	tcase_add_test(tcase, comments_become_spaces);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
