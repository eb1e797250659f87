#include "rowfs/engine/names.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <uthash.h>

#include "rowfs/base/buf.h"
#include "rowfs/base/clock.h"
#include "rowfs/base/switches.h"

struct entry {
	UT_hash_handle hh;
	enum name_state state;
	struct text *base;
	int64_t deadline; /* DETACHED: when it is PLAIN again */
	uint32_t relation;
	unsigned key_len;
	char key[]; /* relation oid, then the name with its NUL */
};

struct names {
	pthread_mutex_t lock;
	unsigned grace_ms;
	struct entry *entries; /* [lock] */
};

static const signed char transitions[NAME_STATES][NAME_EVENTS] = {
	/*                   MOVED_AWAY     CREATED         COMMITTED   REMOVED        DROPPED        EXPIRED */
	[NAME_PLAIN]     = { NAME_DETACHED, NAME_PENDING,   NAME_PLAIN, -1,            NAME_PLAIN,    -1 },
	[NAME_DETACHED]  = { -1,            NAME_REPLACING, NAME_PLAIN, -1,            NAME_DETACHED, NAME_PLAIN },
	[NAME_REPLACING] = { NAME_DETACHED, -1,             NAME_PLAIN, NAME_DETACHED, NAME_DETACHED, -1 },
	[NAME_PENDING]   = { NAME_PLAIN,    -1,             NAME_PLAIN, NAME_PLAIN,    NAME_PLAIN,    -1 },
};

int names_next(enum name_state state, enum name_event event)
{
	return transitions[state][event];
}

int names_new(unsigned detach_grace_ms, struct names **ret)
{
	struct names *names = calloc(1, sizeof *names);

	if (!names)
		return -ENOMEM;
	pthread_mutex_init(&names->lock, NULL);
	names->grace_ms = detach_grace_ms;
	*ret = names;
	return 0;
}

static void drop(struct names *names, struct entry *entry)
{
	HASH_DEL(names->entries, entry);
	text_unref(entry->base);
	free(entry);
}

void names_free(struct names *names)
{
	if (!names)
		return;
	while (names->entries)
		drop(names, names->entries);
	pthread_mutex_destroy(&names->lock);
	free(names);
}

static struct entry *entry_new(uint32_t relation, const char *name)
{
	size_t len = strlen(name) + 1;
	struct entry *entry = calloc(1, sizeof *entry + sizeof relation + len);

	if (!entry)
		return NULL;
	entry->relation = relation;
	entry->key_len = (unsigned)(sizeof relation + len);
	memcpy(entry->key, &relation, sizeof relation);
	memcpy(entry->key + sizeof relation, name, len);
	return entry;
}

static const char *entry_name(const struct entry *entry)
{
	return entry->key + sizeof entry->relation;
}

/* NAME_EXPIRED happens when somebody looks; the entry itself goes by names_expire(), whose caller knows that a
 * listing has another name now. */
static bool has_expired(const struct entry *entry, int64_t now_ms)
{
	return names_next(entry->state, NAME_EXPIRED) == NAME_PLAIN && entry->deadline <= now_ms;
}

/* With the lock held. */
static struct entry *find(struct names *names, uint32_t relation, const char *name)
{
	struct entry *entry = NULL, *key;

	if (!names->entries) /* the common case costs nothing */
		return NULL;
	key = entry_new(relation, name);
	if (!key)
		return NULL;
	HASH_FIND(hh, names->entries, key->key, key->key_len, entry);
	free(key);
	return entry;
}

static bool is_plain(const struct entry *entry)
{
	return !entry || has_expired(entry, clock_monotonic_ms());
}

enum name_state names_state(struct names *names, uint32_t relation, const char *name,
			    struct text **ret_base)
{
	enum name_state state = NAME_PLAIN;
	struct text *base = NULL;
	struct entry *entry;

	pthread_mutex_lock(&names->lock);
	entry = find(names, relation, name);
	if (!is_plain(entry)) {
		state = entry->state;
		if (ret_base && entry->base)
			base = text_ref(entry->base);
	}
	pthread_mutex_unlock(&names->lock);
	if (ret_base)
		*ret_base = base;
	return state;
}

static struct entry *add(struct names *names, uint32_t relation, const char *name)
{
	struct entry *entry = entry_new(relation, name);
	unsigned before = HASH_COUNT(names->entries);

	if (!entry)
		return NULL;
	HASH_ADD_KEYPTR(hh, names->entries, entry->key, entry->key_len, entry);
	if (HASH_COUNT(names->entries) == before) {
		free(entry);
		return NULL;
	}
	return entry;
}

/* With the lock held: put the name into `next`. */
static int enter(struct names *names, struct entry *entry, uint32_t relation, const char *name,
		 enum name_state next, struct text *base)
{
	if (next == NAME_PLAIN) {
		if (entry)
			drop(names, entry);
		return NAME_PLAIN;
	}
	if (!entry) {
		entry = add(names, relation, name);
		if (!entry)
			return -ENOMEM;
		entry->base = base ? text_ref(base) : NULL;
	}
	entry->state = next;
	if (next == NAME_DETACHED)
		entry->deadline = clock_monotonic_ms() + names->grace_ms;
	return (int)next;
}

/* With the lock held: the entry of a name, without what has expired. */
static struct entry *find_alive(struct names *names, uint32_t relation, const char *name)
{
	struct entry *entry = find(names, relation, name);

	if (!entry || !is_plain(entry))
		return entry;
	drop(names, entry);
	return NULL;
}

/* With the lock held. */
static int happen(struct names *names, struct entry *entry, uint32_t relation, const char *name,
		  enum name_event event, struct text *base)
{
	int next = names_next(entry ? entry->state : NAME_PLAIN, event);

	if (SWITCHED_OFF("detach") && next == NAME_DETACHED && event == NAME_REMOVED)
		return NAME_REPLACING;
	/* What is created over a detached name is compared with its base, so there must be one. */
	if (next < 0 || (next == NAME_DETACHED && !entry && !base))
		return -EBUSY;
	return enter(names, entry, relation, name, (enum name_state)next, base);
}

int names_event(struct names *names, uint32_t relation, const char *name, enum name_event event,
		struct text *base)
{
	int r;

	pthread_mutex_lock(&names->lock);
	r = happen(names, find_alive(names, relation, name), relation, name, event, base);
	pthread_mutex_unlock(&names->lock);
	return r;
}

int names_create(struct names *names, uint32_t relation, const char *name, struct text **ret_base)
{
	struct entry *entry;
	int r;

	pthread_mutex_lock(&names->lock);
	entry = find_alive(names, relation, name);
	r = happen(names, entry, relation, name, NAME_CREATED, NULL);
	if (r >= 0)
		*ret_base = entry ? text_ref(entry->base) : NULL;
	pthread_mutex_unlock(&names->lock);
	return r;
}

bool names_expire(struct names *names, uint32_t *ret_relation)
{
	int64_t now = clock_monotonic_ms();
	struct entry *entry, *next;
	bool found = false;

	pthread_mutex_lock(&names->lock);
	HASH_ITER(hh, names->entries, entry, next) {
		if (!has_expired(entry, now))
			continue;
		*ret_relation = entry->relation;
		drop(names, entry);
		found = true;
		break;
	}
	pthread_mutex_unlock(&names->lock);
	return found;
}

void names_visit(struct names *names, uint32_t relation,
		 void (*visit)(void *arg, const char *name, enum name_state state), void *arg)
{
	_cleanup_buf_ struct buf found = {0};
	struct entry *entry, *next;

	pthread_mutex_lock(&names->lock);
	HASH_ITER(hh, names->entries, entry, next) {
		if (entry->relation != relation || is_plain(entry))
			continue;
		buf_addc(&found, (char)entry->state);
		buf_add(&found, entry_name(entry), strlen(entry_name(entry)) + 1);
	}
	pthread_mutex_unlock(&names->lock);

	for (size_t at = 0; at < found.len; at += strlen(found.data + at) + 1) {
		enum name_state state = (enum name_state)found.data[at++];

		visit(arg, found.data + at, state);
	}
}

void names_count(struct names *names, unsigned ret[NAME_STATES])
{
	struct entry *entry, *next;

	memset(ret, 0, NAME_STATES * sizeof *ret);
	pthread_mutex_lock(&names->lock);
	HASH_ITER(hh, names->entries, entry, next)
		if (!is_plain(entry))
			ret[entry->state]++;
	pthread_mutex_unlock(&names->lock);
}
