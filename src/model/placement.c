#include "rowfs/model/placement.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "placement_columns.h"

static int set_place(const char *place, struct placement *to, struct error *e)
{
	to->off = strcmp(place, "off") == 0;
	if (to->off || strcmp(place, "lazy") == 0)
		return 0;
	return error_set(e, EINVAL, "place=%s: expected lazy or off", place);
}

static bool is_blank(const char *text)
{
	return text[strspn(text, " \t\r\n")] == '\0';
}

static int set_hot(const char *hot, struct placement *to, struct error *e)
{
	if (is_blank(hot))
		return error_set(e, EINVAL, "hot= needs a predicate, such as hot=stock > 0");
	if (strlen(hot) > PLACEMENT_HOT_MAX)
		return error_set(e, EINVAL, "hot=: the predicate is longer than %d bytes", PLACEMENT_HOT_MAX);
	to->hot = strdup(hot);
	return to->hot ? 0 : error_set(e, ENOMEM, "out of memory");
}

/* Up to seven digits, without a sign. */
static bool take_number(const char **at, uint32_t *ret)
{
	size_t digits = strspn(*at, "0123456789");

	if (digits == 0 || digits > 7)
		return false;
	*ret = (uint32_t)strtoul(*at, NULL, 10);
	*at += digits;
	return true;
}

static int set_hash(const char *hash, struct placement *to, struct error *e)
{
	const char *at = hash;
	uint32_t share, buckets;

	if (!take_number(&at, &share) || *at++ != '/' || !take_number(&at, &buckets) || *at)
		return error_set(e, EINVAL, "hash=%s: expected N/M, such as 1/4", hash);
	if (buckets < 1 || buckets > PLACEMENT_BUCKETS_MAX)
		return error_set(e, EINVAL, "hash=%s: there must be 1 to %d buckets", hash, PLACEMENT_BUCKETS_MAX);
	if (share < 1)
		return error_set(e, EINVAL, "hash=%s pins no row; place=lazy says that", hash);
	if (share > buckets)
		return error_set(e, EINVAL, "hash=%s: more buckets than there are", hash);
	to->share = share;
	to->buckets = buckets;
	return 0;
}

static int check(const struct placement *placement, struct error *e)
{
	if (placement->off && placement_pins(placement))
		return error_set(e, EINVAL, "place=off and %s= contradict each other",
		                 placement->hot ? "hot" : "hash");
	if (placement->off && placement->columns)
		return error_set(e, EINVAL, "place=off and columns= contradict each other");
	return 0;
}

int placement_of(const char *place, const char *hot, const char *hash, const char *columns, struct placement *ret,
                 struct error *e)
{
	_cleanup_placement_ struct placement placement = {0};
	int r = place ? set_place(place, &placement, e) : 0;

	if (r == 0 && hot)
		r = set_hot(hot, &placement, e);
	if (r == 0 && hash)
		r = set_hash(hash, &placement, e);
	if (r == 0 && columns)
		r = placement_set_columns(columns, &placement, e);
	if (r == 0)
		r = check(&placement, e);
	if (r < 0)
		return r;
	*ret = placement;
	placement = (struct placement){0};
	return 0;
}

enum setting { PLACE, HOT, HASH, COLUMNS, SETTINGS };

static const char *const names[SETTINGS] = {
        [PLACE] = "place=", [HOT] = "hot=", [HASH] = "hash=", [COLUMNS] = "columns="};

/* A predicate goes on to the end, names of columns may have blanks in quotes, and after a comma. */
static size_t value_len(enum setting setting, const char *value)
{
	if (setting == HOT)
		return strlen(value);
	return setting == COLUMNS ? placement_columns_len(value) : strcspn(value, " \t\r\n");
}

/* Takes one setting off the text: its value is ended in place. */
static int take_setting(char **at, const char *values[SETTINGS], struct error *e)
{
	size_t len = strcspn(*at, " \t\r\n");

	for (int i = 0; i < SETTINGS; i++) {
		size_t name = strlen(names[i]);

		if (strncmp(*at, names[i], name) != 0)
			continue;
		if (values[i])
			return error_set(e, EINVAL, "%.*s is said twice", (int)name, names[i]);
		values[i] = *at + name;
		*at += name + value_len((enum setting)i, values[i]);
		if (**at)
			*(*at)++ = '\0';
		return 0;
	}
	return error_set(e, EINVAL, "\"%.*s\" is no placement rule; there are place=, hash=, columns= and hot=, which comes "
	                 "last",
	                 len < 60 ? (int)len : 60, *at);
}

int placement_parse(const char *text, struct placement *ret, struct error *e)
{
	_cleanup_free_ char *copy = strdup(text);
	const char *values[SETTINGS] = {NULL};
	char *at = copy;
	int r = 0;

	if (!copy)
		return error_set(e, ENOMEM, "out of memory");
	if (is_blank(copy))
		return error_set(e, EINVAL, "the rule is empty; place=lazy says what holds without one");
	while (r == 0 && *(at += strspn(at, " \t\r\n")))
		r = take_setting(&at, values, e);
	return r < 0 ? r : placement_of(values[PLACE], values[HOT], values[HASH], values[COLUMNS], ret, e);
}

void placement_print(const struct placement *placement, struct buf *out)
{
	const char *blank = "";

	if (placement->off)
		buf_adds(out, "place=off");
	else if (!placement_pins(placement) && !placement->columns)
		buf_adds(out, "place=lazy");
	if (placement->buckets) {
		buf_addf(out, "hash=%" PRIu32 "/%" PRIu32, placement->share, placement->buckets);
		blank = " ";
	}
	if (placement->columns) {
		buf_addf(out, "%scolumns=%s", blank, placement->columns);
		blank = " ";
	}
	if (placement->hot)
		buf_addf(out, "%shot=%s", blank, placement->hot);
}

void placement_done(struct placement *placement)
{
	free(placement->hot);
	free(placement->columns);
	*placement = (struct placement){0};
}

static bool same_words(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

bool placement_equal(const struct placement *a, const struct placement *b)
{
	return a->off == b->off && a->share == b->share && a->buckets == b->buckets && same_words(a->hot, b->hot) &&
	       same_words(a->columns, b->columns);
}

bool placement_pins(const struct placement *placement)
{
	return placement->hot || placement->buckets;
}

uint32_t placement_bucket(const char *name, uint32_t buckets)
{
	return (uint32_t)(XXH64(name, strlen(name), 0) % buckets);
}

bool placement_shares(const struct placement *placement, const char *name)
{
	return !placement->buckets || placement_bucket(name, placement->buckets) < placement->share;
}
