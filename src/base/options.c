#include "rowfs/base/options.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "option_value.h"
#include "rowfs/base/secret.h"

#define FIELD(name) offsetof(struct settings, name)

/* clang-format off */
const struct option_entry options[] = {
	{"redis", OPTION_ADDRESS, FIELD(redis), "ADDRESS", "redis://localhost:6379",
	 "redis[s]://[user:password@]host[:port][/db], unix:PATH[?db=N] or none"},
	{"redis_ca", OPTION_PATH, FIELD(redis_ca), "FILE", NULL,
	 "CA certificates for rediss:// (default: the system's)"},
	{"redis_passfile", OPTION_PATH, FIELD(redis_passfile), "FILE", NULL,
	 "the file's first line is the password for Redis"},
	{"redis_required", OPTION_ON, FIELD(redis_required), NULL, NULL,
	 "do not mount when Redis does not answer"},
	{"namespace", OPTION_TEXT, FIELD(name_space), "NAME", NULL,
	 "keeps a cloned cluster's rows apart in the same Redis"},
	{"ttl", OPTION_SECONDS, FIELD(ttl), "SECONDS", "1",
	 "how long a copy in Redis may be used; 0: never"},
	{"admit", OPTION_ADMIT, FIELD(admit), "second|first", "second",
	 "the read of a row after which Redis has it; walks do not count"},
	{"consistency", OPTION_CONSISTENCY, FIELD(strong), "cached|strong", "cached",
	 "strong: every read asks PostgreSQL"},
	{"changes", OPTION_CHANGES, FIELD(changes), "auto|wal|log|ttl", "auto",
	 "how others' commits are noticed: decoding, change log, not"},
	{"max_staleness", OPTION_STALENESS, FIELD(max_staleness), "SECONDS", "1",
	 "others' commits are seen after that, with a change feed"},
	{"pins_audit", OPTION_STALENESS, FIELD(pins_audit), "SECONDS", "600",
	 "how often pinned rows are compared with their rule again"},
	{"publication", OPTION_TEXT, FIELD(publication), "NAME", "rowfs",
	 "PostgreSQL publication that changes=wal uses, made if it is missing"},
	{"worker", OPTION_ON, FIELD(worker), NULL, "yes",
	 "this process may be the one that reads the changes"},
	{"noworker", OPTION_OFF, FIELD(worker), NULL, NULL, "leave the changes to other mounts"},
	{"direct", OPTION_ADDRESS, FIELD(direct), "SOURCE", NULL,
	 "where the changes are read, if SOURCE goes through a pooler"},
	{"schema", OPTION_TEXT, FIELD(schema), "NAME", NULL,
	 "show this schema's tables at the root"},
	{"mtime", OPTION_TEXT, FIELD(mtime), "COLUMN", NULL,
	 "column with a row's time of change, in tables that have it"},
	{"conflict", OPTION_CONFLICT, FIELD(conflict), "merge|fail|last", "merge",
	 "others changed the row: refuse for the same columns, any, none"},
	{"ro", OPTION_ON, FIELD(ro), NULL, NULL, "refuse every change; reading again then costs least"},
	{"rw", OPTION_OFF, FIELD(ro), NULL, NULL, "allow changes (the default)"},
	{"allow_other", OPTION_ON, FIELD(allow_other), NULL, NULL,
	 "let other users in, by uid, gid and umask"},
	{"uid", OPTION_USER, FIELD(uid), "USER", NULL, "owner of all files (default: who mounts)"},
	{"gid", OPTION_GROUP, FIELD(gid), "GROUP", NULL, "group of all files (default: who mounts)"},
	{"umask", OPTION_MODE, FIELD(umask), "OCTAL", "077", "permissions taken away from all files"},
	{"config", OPTION_PATH, FIELD(config), "FILE", NULL,
	 "read options from FILE; -o goes before it"},
	{"log", OPTION_TEXT, FIELD(log), "stderr|syslog|FILE[:LEVEL]", NULL,
	 "syslog by default, stderr with -f; LEVEL: error, warning, info, debug"},
	{"state_dir", OPTION_PATH, FIELD(state_dir), "DIR", NULL,
	 "temporary files, refused texts (default: in /var/lib or ~/.local/state)"},
	{"scratch_max", OPTION_SIZE, FIELD(scratch_max), "SIZE", "256M", "room for temporary files"},
	{"rejected_max", OPTION_SIZE, FIELD(rejected_max), "SIZE", "256M", "room for refused texts"},
	{"memory_max", OPTION_SIZE, FIELD(memory_max), "SIZE", "256M", "row text held by open files", "1M"},
	{"detach_grace", OPTION_MILLISECONDS, FIELD(detach_grace_ms), "SECONDS", "5",
	 "how long a row that was moved aside stays hidden"},
	{"delete_grace", OPTION_WHOLE_MS, FIELD(delete_grace_ms), "MS", "0",
	 "how long rm waits for a new file of the name, to make both one UPDATE"},
	{NULL}
};

/* Words of mount(8) and fstab that have no meaning here, or the only meaning: rowfs mounts are
 * always nodev, nosuid and default_permissions, and a row has one time. (mount.fuse3 itself adds
 * dev,suid when root calls it.) Those that end in '=' take a value. */
static const char *const mount_words[] = {
	"defaults", "_netdev", "nofail", "auto", "noauto", "dev", "nodev", "suid",
	"nosuid", "atime", "noatime", "diratime", "nodiratime", "relatime", "norelatime",
	"strictatime", "nostrictatime", "lazytime", "nolazytime", "async", "sync",
	"dirsync", "user", "nouser", "users", "nousers", "owner", "noowner", "group",
	"nogroup", "default_permissions", "user=", "fsname=", "subtype=", "comment=",
};
/* clang-format on */

enum { MOUNT_WORDS = sizeof(mount_words) / sizeof(*mount_words) };

/* Obeyed, but the mount's business and no option of rowfs'. */
static bool set_mount_flag(struct settings *settings, const char *word)
{
	if (strcmp(word, "exec") == 0)
		settings->noexec = false;
	else if (strcmp(word, "noexec") == 0)
		settings->noexec = true;
	else
		return false;
	return true;
}

static bool is_mount_word(const char *word)
{
	if (strncasecmp(word, "x-", 2) == 0)
		return true;
	for (int i = 0; i < MOUNT_WORDS; i++) {
		size_t len = strlen(mount_words[i]);

		if (mount_words[i][len - 1] == '=' ? strncmp(word, mount_words[i], len) == 0
		                                   : strcmp(word, mount_words[i]) == 0)
			return true;
	}
	return false;
}

const struct option_entry *option_find(const char *name)
{
	for (const struct option_entry *o = options; o->name; o++)
		if (strcmp(o->name, name) == 0)
			return o;
	return NULL;
}

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t least = a < b ? a : b;

	return least < c ? least : c;
}

/* Levenshtein's distance; names longer than any option are far from all. */
static size_t distance(const char *a, const char *b)
{
	enum { LONGEST = 32 };
	size_t row[LONGEST + 1], n = strlen(a), m = strlen(b);

	if (n > LONGEST || m > LONGEST)
		return SIZE_MAX;
	for (size_t j = 0; j <= m; j++)
		row[j] = j;
	for (size_t i = 1; i <= n; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= m; j++) {
			size_t above = row[j];

			row[j] = min3(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
			diagonal = above;
		}
	}
	return row[m];
}

const char *option_nearest(const char *name)
{
	/* Half of the letters may be wrong; beyond that a suggestion would be a guess. */
	size_t best = (strlen(name) + 1) / 2;
	const char *nearest = NULL;

	for (const struct option_entry *o = options; o->name; o++) {
		size_t d = distance(name, o->name);

		if (d < best) {
			best = d;
			nearest = o->name;
		}
	}
	return nearest;
}

static int refuse_name(const char *name, struct error *e)
{
	const char *nearest = option_nearest(name);

	if (nearest)
		return error_set(e, EINVAL, "unknown option \"%s\"; did you mean \"%s\"?", name,
		                 nearest);
	return error_set(e, EINVAL, "unknown option \"%s\"; rowfs --help lists them", name);
}

/* What was set, so that the two compare as numbers. */
static bool too_small(const struct settings *settings, const struct option_entry *option)
{
	uint64_t least, *field = (uint64_t *)(void *)((char *)settings + option->field);

	return option->least && option_value_set(&least, OPTION_SIZE, option->least) == 0 && *field < least;
}

static int refuse_value(const struct option_entry *option, const char *value, struct error *e)
{
	char shown[200];

	/* An address may hold a password, and a wrong one is no less secret. */
	snprintf(shown, sizeof(shown), "%s", value);
	secret_hide(shown);
	if (option->least)
		return error_set(e, EINVAL, "%s=%s: expected a size of at least %s, as in %s",
		                 option->name, shown, option->least, option->initial);
	return error_set(e, EINVAL, "%s=%s: expected %s", option->name, shown,
	                 option_value_expected(option->type));
}

int options_set(struct settings *settings, const char *name, const char *value, struct error *e)
{
	const struct option_entry *option = option_find(name);
	int r;

	if (!option)
		return refuse_name(name, e);
	if (!value && option->argument)
		return error_set(e, EINVAL, "%s needs a value: %s=%s", name, name,
		                 option->argument);
	r = option_value_set((char *)settings + option->field, option->type, value);
	if (r == -EINVAL || (r == 0 && too_small(settings, option)))
		return refuse_value(option, value, e);
	return r ? error_set(e, -r, "%s: %s", name, strerror(-r)) : 0;
}

bool options_next(const char **at, struct buf *ret)
{
	const char *p = *at;

	buf_reset(ret);
	while (*p == ',')
		p++;
	if (!*p)
		return false;
	for (; *p && *p != ','; p++) {
		if (*p == '\\' && (p[1] == ',' || p[1] == '\\'))
			p++;
		buf_addc(ret, *p);
	}
	*at = p;
	return true;
}

/* "name" or "name=value"; cuts the word in two. */
static int parse_word(struct settings *settings, char *word, struct error *e)
{
	char *equals;

	if (is_mount_word(word) || set_mount_flag(settings, word))
		return 0;
	equals = strchr(word, '=');
	if (equals)
		*equals = '\0';
	return options_set(settings, word, equals ? equals + 1 : NULL, e);
}

int options_parse(struct settings *settings, const char *list, struct error *e)
{
	_cleanup_buf_ struct buf word = {0};
	int r = 0;

	while (!r && options_next(&list, &word))
		r = word.failed ? error_set(e, ENOMEM, "out of memory")
		                : parse_word(settings, word.data, e);
	return r;
}

int settings_init(struct settings *ret)
{
	_cleanup_settings_ struct settings settings = {.uid = getuid(), .gid = getgid()};

	for (const struct option_entry *o = options; o->name; o++)
		if (o->initial &&
		    option_value_set((char *)&settings + o->field, o->type, o->initial))
			return -ENOMEM;
	*ret = settings;
	settings = (struct settings){0};
	return 0;
}

static void table_done(struct table_settings *table)
{
	free(table->relation);
	free(table->key);
	free(table->mtime);
	free(table->place);
	free(table->hot);
	free(table->hash);
	free(table->columns);
}

static bool holds_string(enum option_type type)
{
	return type == OPTION_TEXT || type == OPTION_PATH || type == OPTION_ADDRESS;
}

void settings_done(struct settings *settings)
{
	for (const struct option_entry *o = options; o->name; o++)
		if (holds_string(o->type))
			free(*(char **)((char *)settings + o->field));
	for (size_t i = 0; i < settings->n_tables; i++)
		table_done(&settings->tables[i]);
	free(settings->tables);
	free(settings->source);
	free(settings->mountpoint);
	*settings = (struct settings){0};
}

void option_print_size(uint64_t bytes, char ret[OPTION_SIZE_TEXT])
{
	const char *unit = "\0KMGT";

	for (; bytes && bytes % 1024 == 0 && unit[1]; unit++)
		bytes /= 1024;
	snprintf(ret, OPTION_SIZE_TEXT, "%llu%.1s", (unsigned long long)bytes, unit);
}

enum { HELP_INDENT = 28, HELP_WIDTH = 100 };

static void help_default(const struct option_entry *option, struct buf *out)
{
	const char *space = " ";

	if (!option->initial)
		return;
	if (HELP_INDENT + strlen(option->help) + strlen(option->initial) + 12 > HELP_WIDTH)
		space = "\n                            ";
	buf_addf(out, "%s(default: %s)", space, option->initial);
}

void options_help(struct buf *out)
{
	for (const struct option_entry *o = options; o->name; o++) {
		char left[64];

		snprintf(left, sizeof(left), "%s%s%s", o->name, o->argument ? "=" : "",
		         o->argument ? o->argument : "");
		/* What does not fit beside gets a line of its own. */
		buf_addf(out, strlen(left) > HELP_INDENT - 4 ? "  %s\n%28s" : "  %-24s  %s", left,
		         "");
		buf_adds(out, o->help);
		help_default(o, out);
		buf_addc(out, '\n');
	}
}

static void dump_table_setting(const char *name, const char *value, struct buf *out)
{
	if (!value)
		return;
	buf_addf(out, " %s = ", name);
	option_value_quote(value, out);
}

static void dump_table(const struct table_settings *table, struct buf *out)
{
	buf_adds(out, "table ");
	option_value_quote(table->relation, out);
	buf_adds(out, " {");
	dump_table_setting("key", table->key, out);
	dump_table_setting("mtime", table->mtime, out);
	dump_table_setting("place", table->place, out);
	dump_table_setting("hash", table->hash, out);
	dump_table_setting("columns", table->columns, out);
	dump_table_setting("hot", table->hot, out);
	buf_adds(out, " }\n");
}

void options_dump(const struct settings *settings, struct buf *out)
{
	for (const struct option_entry *o = options; o->name; o++) {
		const void *field = (const char *)settings + o->field;

		/* `ro` says it already; a string that was not given has nothing to say. */
		if (o->type == OPTION_OFF || (holds_string(o->type) && !*(char *const *)field))
			continue;
		buf_addf(out, "%s = ", o->name);
		option_value_print(o->type, field, out);
		buf_addc(out, '\n');
	}
	for (size_t i = 0; i < settings->n_tables; i++)
		dump_table(&settings->tables[i], out);
}
