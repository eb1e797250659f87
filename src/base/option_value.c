#include "option_value.h"

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <math.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "rowfs/base/secret.h"

char *path_absolute(const char *path)
{
	_cleanup_free_ char *directory = NULL;
	char *absolute = NULL;

	if (*path == '/')
		return strdup(path);
	directory = getcwd(NULL, 0);
	if (!directory || asprintf(&absolute, "%s/%s", directory, path) < 0)
		return NULL;
	return absolute;
}

static int replace(char **field, char *value)
{
	if (!value)
		return -ENOMEM;
	free(*field);
	*field = value;
	return 0;
}

static int set_address(char **field, const char *value)
{
	_cleanup_free_ char *path = NULL;
	char *address = NULL;

	if (strncasecmp(value, "unix:", 5) != 0 || value[5] == '/' || !value[5])
		return replace(field, strdup(value));
	path = path_absolute(value + 5);
	if (!path || asprintf(&address, "unix:%s", path) < 0)
		return -ENOMEM;
	return replace(field, address);
}

static int set_flag(bool *field, const char *value, bool on)
{
	static const char *const yes[] = {"true", "yes", "on", "1"};
	static const char *const no[] = {"false", "no", "off", "0"};

	for (size_t i = 0; value && i < sizeof(yes) / sizeof(*yes); i++) {
		if (strcasecmp(value, no[i]) == 0)
			on = !on;
		else if (strcasecmp(value, yes[i]) != 0)
			continue;
		*field = on;
		return 0;
	}
	if (value)
		return -EINVAL;
	*field = on;
	return 0;
}

/* No more than a year, so that it fits every unit it is turned into. */
static int set_seconds(double *field, const char *value)
{
	char *end;
	double seconds = strtod(value, &end);

	if (end == value || *end || !isfinite(seconds) || seconds < 0 || seconds > 366.0 * 86400)
		return -EINVAL;
	*field = seconds;
	return 0;
}

static int set_milliseconds(unsigned *field, const char *value)
{
	double seconds;

	/* An unsigned number of milliseconds ends after 49 days. */
	if (set_seconds(&seconds, value) || seconds > UINT_MAX / 1000)
		return -EINVAL;
	*field = (unsigned)(seconds * 1000 + 0.5);
	return 0;
}

static int set_whole_ms(unsigned *field, const char *value)
{
	unsigned long number;
	char *end;

	errno = 0;
	number = strtoul(value, &end, 10);
	if (!isdigit((unsigned char)*value) || *end || errno || number > UINT_MAX)
		return -EINVAL;
	*field = (unsigned)number;
	return 0;
}

static int set_size(uint64_t *field, const char *value)
{
	static const char units[] = "KMGT";
	unsigned long long number;
	const char *unit;
	unsigned shift = 0;
	char *end;

	if (*value < '0' || *value > '9')
		return -EINVAL;
	errno = 0;
	number = strtoull(value, &end, 10);
	if (*end) {
		unit = strchr(units, *end & ~0x20);
		if (!unit || end[1])
			return -EINVAL;
		shift = 10 * (unsigned)(unit - units + 1);
	}
	if (errno || number > (uint64_t)INT64_MAX >> shift)
		return -EINVAL;
	*field = (uint64_t)number << shift;
	return 0;
}

static int set_mode(mode_t *field, const char *value)
{
	unsigned long mode;
	char *end;

	if (*value < '0' || *value > '7')
		return -EINVAL;
	mode = strtoul(value, &end, 8);
	if (*end || mode > 0777)
		return -EINVAL;
	*field = (mode_t)mode;
	return 0;
}

/* -1 means "nobody in particular" to chown(2), so it is no owner. */
static int set_id(unsigned *field, const char *value)
{
	unsigned long number;
	char *end;

	errno = 0;
	number = strtoul(value, &end, 10);
	if (*value < '0' || *value > '9' || *end || errno || number >= UINT_MAX)
		return -EINVAL;
	*field = (unsigned)number;
	return 0;
}

static int set_user(uid_t *field, const char *value)
{
	const struct passwd *user;

	if (set_id(field, value) == 0)
		return 0;
	user = getpwnam(value);
	if (!user)
		return -EINVAL;
	*field = user->pw_uid;
	return 0;
}

static int set_group(gid_t *field, const char *value)
{
	const struct group *group;

	if (set_id(field, value) == 0)
		return 0;
	group = getgrnam(value);
	if (!group)
		return -EINVAL;
	*field = group->gr_gid;
	return 0;
}

static int set_consistency(bool *field, const char *value)
{
	if (strcmp(value, "strong") != 0 && strcmp(value, "cached") != 0)
		return -EINVAL;
	*field = strcmp(value, "strong") == 0;
	return 0;
}

/* A heartbeat needs some round trips, which a busy server does not answer at once. */
static int set_staleness(double *field, const char *value)
{
	double seconds;

	if (set_seconds(&seconds, value) || seconds < 0.1)
		return -EINVAL;
	*field = seconds;
	return 0;
}

static const char *const changes_words[] = {
        [CHANGES_AUTO] = "auto",
        [CHANGES_WAL] = "wal",
        [CHANGES_LOG] = "log",
        [CHANGES_TTL] = "ttl",
};

static const char *const conflict_words[] = {
        [CONFLICT_MERGE] = "merge",
        [CONFLICT_FAIL] = "fail",
        [CONFLICT_LAST] = "last",
};

static const char *const admit_words[] = {
        [ADMIT_ON_SECOND] = "second",
        [ADMIT_ON_FIRST] = "first",
};

#define N_WORDS(words) (sizeof(words) / sizeof(*(words)))

/* An enum whose values are those of the words, in turn. */
static int set_word(unsigned *field, const char *const words[], size_t n, const char *value)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(value, words[i]) != 0)
			continue;
		*field = (unsigned)i;
		return 0;
	}
	return -EINVAL;
}

int option_value_set(void *field, enum option_type type, const char *value)
{
	switch (type) {
	case OPTION_TEXT:
		return *value ? replace(field, strdup(value)) : -EINVAL;
	case OPTION_PATH:
		return *value ? replace(field, path_absolute(value)) : -EINVAL;
	case OPTION_ADDRESS:
		return *value ? set_address(field, value) : -EINVAL;
	case OPTION_ON:
		return set_flag(field, value, true);
	case OPTION_OFF:
		return set_flag(field, value, false);
	case OPTION_SECONDS:
		return set_seconds(field, value);
	case OPTION_MILLISECONDS:
		return set_milliseconds(field, value);
	case OPTION_WHOLE_MS:
		return set_whole_ms(field, value);
	case OPTION_SIZE:
		return set_size(field, value);
	case OPTION_MODE:
		return set_mode(field, value);
	case OPTION_USER:
		return set_user(field, value);
	case OPTION_GROUP:
		return set_group(field, value);
	case OPTION_CONSISTENCY:
		return set_consistency(field, value);
	case OPTION_CHANGES:
		return set_word(field, changes_words, N_WORDS(changes_words), value);
	case OPTION_CONFLICT:
		return set_word(field, conflict_words, N_WORDS(conflict_words), value);
	case OPTION_ADMIT:
		return set_word(field, admit_words, N_WORDS(admit_words), value);
	case OPTION_STALENESS:
		return set_staleness(field, value);
	}
	return -EINVAL;
}

const char *option_value_expected(enum option_type type)
{
	switch (type) {
	case OPTION_ON:
	case OPTION_OFF:
		return "yes, no or no value at all";
	case OPTION_SECONDS:
	case OPTION_MILLISECONDS:
		return "a number of seconds, as in 0.5";
	case OPTION_WHOLE_MS:
		return "a whole number of milliseconds, as in 200";
	case OPTION_SIZE:
		return "a size, as in 256M";
	case OPTION_MODE:
		return "an octal number, as in 027";
	case OPTION_USER:
		return "a user's name or number";
	case OPTION_GROUP:
		return "a group's name or number";
	case OPTION_CONSISTENCY:
		return "cached or strong";
	case OPTION_CHANGES:
		return "auto, wal, log or ttl";
	case OPTION_CONFLICT:
		return "merge, fail or last";
	case OPTION_ADMIT:
		return "second or first";
	case OPTION_STALENESS:
		return "a number of seconds, 0.1 or more";
	default:
		return "a value that is not empty";
	}
}

void option_value_quote(const char *string, struct buf *out)
{
	buf_addc(out, '\'');
	for (; *string; string++) {
		if (*string == '\'' || *string == '\\')
			buf_addc(out, '\\');
		buf_addc(out, *string);
	}
	buf_addc(out, '\'');
}

static void dump_address(const char *address, struct buf *out)
{
	_cleanup_free_ char *copy = strdup(address);

	if (!copy) {
		out->failed = true;
		return;
	}
	secret_hide(copy);
	option_value_quote(copy, out);
}

void option_value_print(enum option_type type, const void *field, struct buf *out)
{
	switch (type) {
	case OPTION_TEXT:
	case OPTION_PATH:
		option_value_quote(*(char *const *)field, out);
		break;
	case OPTION_ADDRESS:
		dump_address(*(char *const *)field, out);
		break;
	case OPTION_ON:
	case OPTION_OFF:
		buf_adds(out, *(const bool *)field ? "yes" : "no");
		break;
	case OPTION_SECONDS:
	case OPTION_STALENESS:
		buf_addf(out, "%.15g", *(const double *)field);
		break;
	case OPTION_MILLISECONDS:
		buf_addf(out, "%.15g", *(const unsigned *)field / 1000.0);
		break;
	case OPTION_WHOLE_MS:
		buf_addf(out, "%u", *(const unsigned *)field);
		break;
	case OPTION_SIZE:
		buf_addf(out, "%llu", (unsigned long long)*(const uint64_t *)field);
		break;
	case OPTION_MODE:
		buf_addf(out, "%03o", (unsigned)*(const mode_t *)field);
		break;
	case OPTION_USER:
	case OPTION_GROUP:
		buf_addf(out, "%u", *(const unsigned *)field);
		break;
	case OPTION_CONSISTENCY:
		buf_adds(out, *(const bool *)field ? "strong" : "cached");
		break;
	case OPTION_CHANGES:
		buf_adds(out, changes_words[*(const enum changes *)field]);
		break;
	case OPTION_CONFLICT:
		buf_adds(out, conflict_words[*(const enum conflict *)field]);
		break;
	case OPTION_ADMIT:
		buf_adds(out, admit_words[*(const enum admit *)field]);
		break;
	}
}
