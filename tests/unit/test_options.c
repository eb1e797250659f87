#include "rowfs/base/options.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "rowfs/base/secret.h"

#include "suite.h"

static struct settings settings;
static struct error error;

static void setup(void)
{
	ck_assert_int_eq(settings_init(&settings), 0);
	error = (struct error){0};
}

static void teardown(void)
{
	settings_done(&settings);
}

static void accept(const char *list)
{
	int r = options_parse(&settings, list, &error);

	ck_assert_msg(r == 0, "%s: %s", list, error.message);
}

/* Refused, in one sentence that holds `word`. */
static void refuse(const char *list, const char *word)
{
	ck_assert_int_eq(options_parse(&settings, list, &error), -EINVAL);
	ck_assert_msg(strstr(error.message, word) != NULL, "%s: %s", list, error.message);
	ck_assert_ptr_null(strchr(error.message, '\n'));
}

START_TEST(defaults)
{
	ck_assert_str_eq(settings.redis, "redis://localhost:6379");
	ck_assert(settings.ttl == 1.0);
	ck_assert(!settings.strong);
	ck_assert(!settings.ro);
	ck_assert_uint_eq(settings.umask, 077);
	ck_assert_uint_eq(settings.uid, getuid());
	ck_assert_uint_eq(settings.gid, getgid());
	ck_assert_uint_eq(settings.detach_grace_ms, 5000);
	ck_assert_uint_eq(settings.delete_grace_ms, 0);
	ck_assert_uint_eq(settings.scratch_max, UINT64_C(256) << 20);
	ck_assert_int_eq(settings.changes, CHANGES_AUTO);
	ck_assert(settings.max_staleness == 1.0);
	ck_assert_str_eq(settings.publication, "rowfs");
	ck_assert(settings.worker);
	ck_assert_ptr_null(settings.direct);
	ck_assert_ptr_null(settings.schema);
	ck_assert_ptr_null(settings.log);
}
END_TEST

START_TEST(sets_every_type)
{
	accept("redis=none,redis_required,ttl=0.25,consistency=strong,schema=shop,ro,uid=17,gid=0,"
	       "umask=027,scratch_max=3K,rejected_max=2m,memory_max=77M,detach_grace=1.5,delete_grace=200,namespace="
	       "b,changes=log,max_staleness=0.1,publication=shop,noworker,direct=host=h port=5433");
	ck_assert_str_eq(settings.redis, "none");
	ck_assert(settings.redis_required);
	ck_assert(settings.ttl == 0.25);
	ck_assert(settings.strong);
	ck_assert_str_eq(settings.schema, "shop");
	ck_assert(settings.ro);
	ck_assert_uint_eq(settings.uid, 17);
	ck_assert_uint_eq(settings.gid, 0);
	ck_assert_uint_eq(settings.umask, 027);
	ck_assert_uint_eq(settings.scratch_max, 3 << 10);
	ck_assert_uint_eq(settings.rejected_max, 2 << 20);
	ck_assert_uint_eq(settings.memory_max, 77 << 20);
	ck_assert_uint_eq(settings.detach_grace_ms, 1500);
	ck_assert_uint_eq(settings.delete_grace_ms, 200);
	ck_assert_str_eq(settings.name_space, "b");
	ck_assert_int_eq(settings.changes, CHANGES_LOG);
	ck_assert(settings.max_staleness == 0.1);
	ck_assert_str_eq(settings.publication, "shop");
	ck_assert(!settings.worker);
	ck_assert_str_eq(settings.direct, "host=h port=5433");
}
END_TEST

START_TEST(the_last_word_counts)
{
	accept("ro,rw,schema=a,schema=b");
	ck_assert(!settings.ro);
	ck_assert_str_eq(settings.schema, "b");
	accept("rw,ro=yes,redis_required=on,redis_required=no");
	ck_assert(settings.ro);
	ck_assert(!settings.redis_required);
	accept("rw=false");
	ck_assert(settings.ro);
}
END_TEST

START_TEST(users_by_name)
{
	accept("uid=0,uid=root,gid=root");
	ck_assert_uint_eq(settings.uid, 0);
	ck_assert_uint_eq(settings.gid, 0);
	refuse("uid=no-such-user", "no-such-user");
	refuse("uid=-1", "uid=-1");
	refuse("uid=4294967295", "uid=");
}
END_TEST

START_TEST(paths_become_absolute)
{
	char directory[4096], expected[4200];

	ck_assert_ptr_nonnull(getcwd(directory, sizeof(directory)));
	accept("state_dir=here,config=/there,redis=unix:run/redis.sock,redis_ca=ca.pem");
	snprintf(expected, sizeof(expected), "%s/here", directory);
	ck_assert_str_eq(settings.state_dir, expected);
	ck_assert_str_eq(settings.config, "/there");
	snprintf(expected, sizeof(expected), "%s/ca.pem", directory);
	ck_assert_str_eq(settings.redis_ca, expected);
	snprintf(expected, sizeof(expected), "unix:%s/run/redis.sock", directory);
	ck_assert_str_eq(settings.redis, expected);
}
END_TEST

START_TEST(commas_and_backslashes)
{
	accept("schema=a\\,b\\\\c\\d,,ro,");
	ck_assert_str_eq(settings.schema, "a,b\\c\\d");
	ck_assert(settings.ro);
	accept("");
	accept(",,");
}
END_TEST

START_TEST(accepts_what_mount_adds)
{
	accept("rw,nosuid,nodev,relatime,_netdev,nofail,noauto,user,user=ada,defaults,x-systemd."
	       "automount,"
	       "X-mount.mkdir=0755,fsname=x,subtype=rowfs,dev,suid,exec,async,nouser,users");
	ck_assert(!settings.noexec);
	accept("noexec");
	ck_assert(settings.noexec);
}
END_TEST

START_TEST(refuses_and_names)
{
	refuse("tll=1", "\"ttl\"");
	refuse("reids=none", "\"redis\"");
	refuse("Schema=x", "\"schema\"");
	refuse("scratched_max=1", "\"scratch_max\"");
	refuse("frobnicate", "\"frobnicate\"");
	refuse("frobnicate", "--help");
	refuse("relatime=1", "relatime");
	refuse("=x", "unknown option");
	refuse("schema", "schema=NAME");
	refuse("schema=", "schema=");
	refuse("ro=maybe", "ro=maybe");
	refuse("consistency=weak", "cached or strong");
}
END_TEST

static const char *const bad_values[] = {
        "ttl=",
        "ttl=x",
        "ttl=-1",
        "ttl=1s",
        "ttl=nan",
        "ttl=inf",
        "ttl=1e99",
        "umask=8",
        "umask=1000",
        "umask=-1",
        "umask=0x7",
        "scratch_max=",
        "scratch_max=-1",
        "memory_max=M",
        "memory_max=0",
        "memory_max=1048575",
        "memory_max=1X",
        "memory_max=1MM",
        "memory_max=9223372036854775808",
        "memory_max=9999999999G",
        "memory_max=99999999999999999999",
        "detach_grace=4294968",
        "delete_grace=0.2",
        "delete_grace=-1",
        "delete_grace=200ms",
        "delete_grace=4294967296",
        "delete_grace= 2",
        "changes=",
        "changes=none",
        "max_staleness=0.09",
        "max_staleness=-1",
        "publication=",
        "worker=perhaps",
        "uid=12x",
        "gid=",
};

START_TEST(refuses_bad_values)
{
	const char *bad = bad_values[_i];
	char name[64];

	snprintf(name, sizeof(name), "%.*s=", (int)strcspn(bad, "="), bad);
	refuse(bad, name);
}
END_TEST

START_TEST(a_refused_address_shows_no_password)
{
	ck_assert_int_eq(options_set(&settings, "ttl", "redis://u:sesame@h", &error), -EINVAL);
	ck_assert_ptr_null(strstr(error.message, "sesame"));
}
END_TEST

START_TEST(dump_reads_back)
{
	_cleanup_settings_ struct settings again = {0};
	_cleanup_buf_ struct buf first = {0}, second = {0}, list = {0};
	char *line, *state;

	accept("redis=unix:/"
	       "r,ttl=0.125,ro,umask=022,detach_grace=0.75,delete_grace=250,memory_max=5M,consistency=strong,"
	       "uid=3,gid=4,state_dir=/s,changes=wal,max_staleness=2.5,noworker,publication=p");
	options_dump(&settings, &first);
	options_dump(&settings, &list);
	ck_assert_int_eq(settings_init(&again), 0);
	/* name = 'value' → name, value; the file's own parser is tested elsewhere. */
	for (line = strtok_r(list.data, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
		char *equals = strstr(line, " = "), *value = equals + 3;

		*equals = '\0';
		if (*value == '\'') {
			value[strlen(value) - 1] = '\0';
			value++;
		}
		ck_assert_int_eq(options_set(&again, line, value, &error), 0);
	}
	options_dump(&again, &second);
	ck_assert_str_eq(first.data, second.data);
}
END_TEST

START_TEST(dump_quotes_and_hides)
{
	_cleanup_buf_ struct buf out = {0};

	accept("redis=redis://ada:sesame@h/1,schema=it's \\\\ so,"
	       "direct=host=h password=sesame port=5433");
	settings.tables = calloc(1, sizeof(*settings.tables));
	settings.n_tables = 1;
	settings.tables[0] =
	        (struct table_settings){.relation = strdup("a.b"), .key = strdup("x,y")};
	options_dump(&settings, &out);
	ck_assert_ptr_null(strstr(out.data, "sesame"));
	ck_assert_ptr_nonnull(strstr(out.data, "redis = 'redis://ada:******@h/1'\n"));
	ck_assert_ptr_nonnull(strstr(out.data, "direct = 'host=h password=****** port=5433'\n"));
	ck_assert_ptr_nonnull(strstr(out.data, "schema = 'it\\'s \\\\ so'\n"));
	ck_assert_ptr_nonnull(strstr(out.data, "table 'a.b' { key = 'x,y' }\n"));
}
END_TEST

START_TEST(help_names_every_option)
{
	_cleanup_buf_ struct buf out = {0};
	const char *line;
	size_t n = 0;

	options_help(&out);
	for (const struct option_entry *o = options; o->name; o++, n++) {
		char start[64];

		snprintf(start, sizeof(start), "\n  %s%s", o->name, o->argument ? "=" : " ");
		ck_assert_msg(n == 0 || strstr(out.data, start), "%s", o->name);
	}
	ck_assert_uint_gt(n, 20);
	for (line = out.data; *line; line += strcspn(line, "\n") + 1)
		ck_assert_msg(strcspn(line, "\n") <= 100, "%s", line);
}
END_TEST

/* Connection strings, and what is left of them. */
static const struct {
	const char *before, *after;
} secrets[] = {
        {"", ""},
        {"service=shop", "service=shop"},
        {"dbname=shop password=sesame host=h", "dbname=shop password=****** host=h"},
        {"password = 'se\\'sa me' host=h", "password = *********** host=h"},
        {"password='never closed", "password=*************"},
        {"PASSWORD=a sslpassword=b\tsslkey=c", "PASSWORD=* sslpassword=*\tsslkey=c"},
        {"passwordx=a xpassword=b", "passwordx=a xpassword=b"},
        {"host h password=sesame", "host h password=******"},
        {"options='-c password=x' password=y", "options='-c password=x' password=*"},
        {"password=a\\ b host=h", "password=**** host=h"},
        {"postgres://ada:sesame@h/db", "postgres://ada:******@h/db"},
        {"postgresql://ada:s%40@h:5432/db?x=y", "postgresql://ada:****@h:5432/db?x=y"},
        {"postgres://ada:p@ss@h/db", "postgres://ada:****@h/db"},
        {"postgres://ada:p/ss@h/db", "postgres://ada:****@h/db"},
        {"postgres://ada@h:5432/db", "postgres://ada@h:5432/db"},
        {"postgres:///db?user=ada&password=sesame&x=y",
         "postgres:///db?user=ada&password=******&x=y"},
        {"postgres:///db?password=a?b@c", "postgres:///db?password=*****"},
        {"redis://:sesame@h", "redis://:******@h"},
        {"rediss://ada:sesame@h/1", "rediss://ada:******@h/1"},
        {"host=h options=a://b password=c", "host=h options=a://b password=*"},
};

START_TEST(hides_passwords)
{
	char text[200];

	strcpy(text, secrets[_i].before);
	secret_hide(text);
	ck_assert_str_eq(text, secrets[_i].after);
}
END_TEST

START_TEST(hides_in_a_command_line)
{
	char name[] = "rowfs", verb[] = "mount", source[] = "password=a host=h",
	     point[] = "/mnt/a:b@c";
	char flag[] = "-fo", list[] = "ro,redis=redis://:x\\,y@h/1,schema=b:c@d";
	char glued[] = "-oredis=redis://u:p@h,direct=host=h password=x", last[] = "-o";
	char *argv[] = {name, verb, source, point, flag, list, glued, last, NULL};

	secret_hide_arguments(8, argv);
	ck_assert_str_eq(verb, "mount");
	ck_assert_str_eq(source, "password=* host=h");
	ck_assert_str_eq(point, "/mnt/a:b@c");
	ck_assert_str_eq(list, "ro,redis=redis://:****@h/1,schema=b:c@d");
	ck_assert_str_eq(glued, "-oredis=redis://u:*@h,direct=host=h password=*");
	ck_assert_str_eq(last, "-o");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("options");
	TCase *options_case = tcase_create("options"), *secret_case = tcase_create("secret");

	tcase_add_checked_fixture(options_case, setup, teardown);
	tcase_add_test(options_case, defaults);
	tcase_add_test(options_case, sets_every_type);
	tcase_add_test(options_case, the_last_word_counts);
	tcase_add_test(options_case, users_by_name);
	tcase_add_test(options_case, paths_become_absolute);
	tcase_add_test(options_case, commas_and_backslashes);
	tcase_add_test(options_case, accepts_what_mount_adds);
	tcase_add_test(options_case, refuses_and_names);
	tcase_add_loop_test(options_case, refuses_bad_values, 0,
	                    sizeof(bad_values) / sizeof(*bad_values));
	tcase_add_test(options_case, a_refused_address_shows_no_password);
	tcase_add_test(options_case, dump_reads_back);
	tcase_add_test(options_case, dump_quotes_and_hides);
	tcase_add_test(options_case, help_names_every_option);
	suite_add_tcase(suite, options_case);
	tcase_add_loop_test(secret_case, hides_passwords, 0, sizeof(secrets) / sizeof(*secrets));
	tcase_add_test(secret_case, hides_in_a_command_line);
	suite_add_tcase(suite, secret_case);
	return suite_run(suite);
}
