#include "stream_keys.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rowfs/model/name.h"

/* Some names, in one allocation, each with its NUL and a byte of flags before it. */
struct names {
	char *packed;
	size_t n;
};

struct stream_key {
	UT_hash_handle hh;
	uint32_t relation;
	struct names parts;   /* the key's columns */
	struct names columns; /* the stream's, a flag telling those of the identity */
	bool described;
	bool full; /* the identity is the whole row: an UPDATE has an old tuple always */
	/* Where each part is in a tuple; complete only if `found`. */
	size_t at[KEY_PARTS_MAX];
	bool found;
	bool by_identity; /* every part belongs to the identity */
};

static void names_add(struct buf *packed, const char *name, bool flag)
{
	buf_addc(packed, (char)flag);
	buf_add(packed, name, strlen(name) + 1);
}

/* Take over what was packed; what `names` held stays if memory ran out. */
static int names_set(struct names *names, struct buf *packed, size_t n)
{
	char *bytes = buf_steal(packed);

	if (!bytes)
		return -ENOMEM;
	free(names->packed);
	*names = (struct names){bytes, n};
	return 0;
}

/* To the next name; begins with NULL. */
static const char *names_next(const struct names *names, const char *name)
{
	return name ? name + strlen(name) + 2 : names->packed + 1;
}

static bool names_flag(const char *name)
{
	return name[-1];
}

static void key_free(struct stream_key *key)
{
	free(key->parts.packed);
	free(key->columns.packed);
	free(key);
}

void stream_keys_done(struct stream_keys *keys)
{
	struct stream_key *key, *next;

	HASH_ITER (hh, keys->by_relation, key, next) {
		HASH_DEL(keys->by_relation, key);
		key_free(key);
	}
}

static struct stream_key *find(const struct stream_keys *keys, uint32_t relation)
{
	struct stream_key *key;

	HASH_FIND(hh, keys->by_relation, &relation, sizeof(relation), key);
	return key;
}

const struct stream_key *stream_keys_find(const struct stream_keys *keys, uint32_t relation)
{
	return find(keys, relation);
}

/* NULL when out of memory. */
static struct stream_key *find_or_add(struct stream_keys *keys, uint32_t relation)
{
	struct stream_key *key = find(keys, relation);

	if (key)
		return key;
	key = calloc(1, sizeof(*key));
	if (!key)
		return NULL;
	key->relation = relation;
	HASH_ADD(hh, keys->by_relation, relation, sizeof(key->relation), key);
	if (!key->hh.tbl) {
		key_free(key);
		return NULL;
	}
	return key;
}

/* Find one part among the stream's columns. */
static bool locate(struct stream_key *key, size_t part, const char *name)
{
	const char *column = NULL;

	for (size_t i = 0; i < key->columns.n; i++) {
		column = names_next(&key->columns, column);
		if (strcmp(column, name) != 0)
			continue;
		key->at[part] = i;
		key->by_identity = key->by_identity && names_flag(column);
		return true;
	}
	return false;
}

static void resolve(struct stream_key *key)
{
	const char *part = NULL;

	key->found = key->described && key->parts.n > 0;
	key->by_identity = !key->full;
	for (size_t i = 0; key->found && i < key->parts.n; i++) {
		part = names_next(&key->parts, part);
		key->found = locate(key, i, part);
	}
}

int stream_keys_set(struct stream_keys *keys, uint32_t relation, const char *const *columns,
                    size_t n)
{
	struct stream_key *key = find_or_add(keys, relation);
	_cleanup_buf_ struct buf packed = {0};

	assert(n <= KEY_PARTS_MAX);
	for (size_t i = 0; i < n; i++)
		names_add(&packed, columns[i], false);
	if (!key || names_set(&key->parts, &packed, n) < 0)
		return -ENOMEM;
	resolve(key);
	return 0;
}

int stream_keys_describe(struct stream_keys *keys, const struct change *change)
{
	struct stream_key *key = find_or_add(keys, change->relation);
	_cleanup_buf_ struct buf packed = {0};

	for (size_t i = 0; i < change->n_columns; i++)
		names_add(&packed, change->columns[i].name, change->columns[i].key);
	if (!key || names_set(&key->columns, &packed, change->n_columns) < 0)
		return -ENOMEM;
	key->described = true;
	key->full = change->identity == 'f';
	resolve(key);
	return 0;
}

bool stream_key_agrees(const struct stream_key *key, const struct change_tuple *tuple)
{
	return !tuple->present || !key || !key->described || tuple->n == key->columns.n;
}

/* Print the name that a tuple gives. A value that it leaves out is as it was in `old` (may be
 * NULL). */
static bool print(const struct stream_key *key, const struct change_tuple *tuple,
                  const struct change_tuple *old, struct buf *out)
{
	struct cell parts[KEY_PARTS_MAX];

	for (size_t i = 0; i < key->parts.n; i++) {
		size_t at = key->at[i];

		parts[i] = tuple->cells[at];
		if (tuple->unchanged[at] && old && old->present)
			parts[i] = old->cells[at];
		/* Left out, or NULL: of a key that may be NULL it is not known which. */
		if (!parts[i].data)
			return false;
	}
	name_print(parts, key->parts.n, out);
	return true;
}

bool stream_key_names(const struct stream_key *key, const struct change *change,
                      struct buf *ret_before, struct buf *ret_after)
{
	const struct change_tuple *before = &change->before, *after = &change->after;

	if (!key || !key->found || before->binary || after->binary)
		return false;
	/* Whatever is said of the old row by its identity only, the key must be in that. */
	if (!key->by_identity && change->kind != CHANGE_INSERT &&
	    (!before->present || change->before_is_key))
		return false;
	if (before->present && !print(key, before, NULL, ret_before))
		return false;
	if (after->present && !print(key, after, before, ret_after))
		return false;
	if (change->kind == CHANGE_UPDATE && !before->present)
		buf_add(ret_before, ret_after->data, ret_after->len);
	return true;
}
