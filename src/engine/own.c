#include "rowfs/engine/own.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#include "rowfs/base/clock.h"

struct entry {
	UT_hash_handle hh;
	struct entry *prev, *next; /* by age, oldest first */
	int64_t until;
	uint32_t xid;
	unsigned key_len;
	char key[]; /* relation oid, then the name */
};

struct own {
	pthread_mutex_t lock;
	int64_t window;
	struct entry *by_key; /* [lock] */
	struct entry *by_age; /* [lock] */
	/* Until then an entry may have been forgotten early, and nothing is accepted. [lock] */
	int64_t overflow_until;
};

enum { KEY_MAX = sizeof(uint32_t) + 256 };

int own_new(int64_t window_ms, struct own **ret)
{
	struct own *own = calloc(1, sizeof *own);

	if (!own)
		return -ENOMEM;
	pthread_mutex_init(&own->lock, NULL);
	own->window = window_ms;
	*ret = own;
	return 0;
}

static void drop(struct own *own, struct entry *entry)
{
	HASH_DEL(own->by_key, entry);
	DL_DELETE(own->by_age, entry);
	free(entry);
}

void own_free(struct own *own)
{
	if (!own)
		return;
	while (own->by_age)
		drop(own, own->by_age);
	pthread_mutex_destroy(&own->lock);
	free(own);
}

static unsigned make_key(char key[KEY_MAX], uint32_t relation, const char *name)
{
	size_t len = strnlen(name, KEY_MAX - sizeof relation);

	memcpy(key, &relation, sizeof relation);
	memcpy(key + sizeof relation, name, len);
	return (unsigned)(sizeof relation + len);
}

static struct entry *find(struct own *own, const char *key, unsigned len)
{
	struct entry *entry;

	HASH_FIND(hh, own->by_key, key, len, entry);
	return entry;
}

static struct entry *add(struct own *own, const char *key, unsigned len)
{
	struct entry *entry = calloc(1, sizeof *entry + len);
	unsigned before = HASH_COUNT(own->by_key);

	if (!entry)
		return NULL;
	entry->key_len = len;
	memcpy(entry->key, key, len);
	HASH_ADD_KEYPTR(hh, own->by_key, entry->key, len, entry);
	if (HASH_COUNT(own->by_key) == before) { /* out of memory inside the table */
		free(entry);
		return NULL;
	}
	DL_APPEND(own->by_age, entry);
	return entry;
}

static void expire(struct own *own, int64_t now)
{
	while (own->by_age && own->by_age->until <= now)
		drop(own, own->by_age);
}

/* For one more entry. */
static void make_room(struct own *own, int64_t now)
{
	while (HASH_COUNT(own->by_key) >= OWN_MAX) {
		own->overflow_until = now + own->window;
		drop(own, own->by_age);
	}
}

void own_note(struct own *own, uint32_t relation, const char *name, uint32_t xid)
{
	char key[KEY_MAX];
	unsigned len = make_key(key, relation, name);
	int64_t now = clock_monotonic_ms();
	struct entry *entry;

	pthread_mutex_lock(&own->lock);
	expire(own, now);
	entry = find(own, key, len);
	if (entry) {
		DL_DELETE(own->by_age, entry);
		DL_APPEND(own->by_age, entry);
	} else {
		make_room(own, now);
		entry = add(own, key, len);
	}
	if (entry) {
		entry->xid = xid;
		entry->until = now + own->window;
	} else {
		own->overflow_until = now + own->window;
	}
	pthread_mutex_unlock(&own->lock);
}

void own_doubt(struct own *own)
{
	pthread_mutex_lock(&own->lock);
	own->overflow_until = clock_monotonic_ms() + own->window;
	pthread_mutex_unlock(&own->lock);
}

bool own_accepts(struct own *own, uint32_t relation, const char *name, uint32_t xid)
{
	char key[KEY_MAX];
	unsigned len = make_key(key, relation, name);
	int64_t now = clock_monotonic_ms();
	struct entry *entry;
	bool accepts;

	pthread_mutex_lock(&own->lock);
	entry = find(own, key, len);
	if (entry && entry->until > now)
		accepts = xid != 0 && entry->xid == xid;
	else
		accepts = own->overflow_until <= now;
	pthread_mutex_unlock(&own->lock);
	return accepts;
}

uint32_t own_seen(struct own *own, uint32_t relation, const char *name)
{
	char key[KEY_MAX];
	unsigned len = make_key(key, relation, name);
	struct entry *entry;
	uint32_t xid;

	pthread_mutex_lock(&own->lock);
	entry = find(own, key, len);
	xid = entry ? entry->xid : 0;
	pthread_mutex_unlock(&own->lock);
	return xid;
}
