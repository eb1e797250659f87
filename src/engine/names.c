#include "rowfs/engine/names.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <uthash.h>

#include "rowfs/base/buf.h"
#include "rowfs/base/clock.h"
#include "rowfs/base/switches.h"

struct name_hold {
	UT_hash_handle hh;
	enum name_state state;
	struct text *base;
	int64_t deadline;   /* when its state expires */
	struct asker who;   /* UNLINKED: by whom; without a path */
	unsigned holds;
	bool listed;        /* in the table; else there are only holds left */
	uint32_t relation;
	unsigned key_len;
	char key[]; /* relation oid, then the name with its NUL */
};

struct names {
	pthread_mutex_t lock;
	pthread_cond_t decided;     /* a DELETE was made, or failed */
	struct names_settings settings;
	struct name_hold *entries;  /* [lock] */
	uint64_t removed_bytes;     /* [lock] of the bases of rows that were removed */
};

/* clang-format off */
static const signed char transitions[NAME_STATES][NAME_EVENTS] = {
	[NAME_PLAIN] = {
		[NAME_MOVED_AWAY] = NAME_DETACHED,  [NAME_CREATED] = NAME_PENDING,     [NAME_COMMITTED] = NAME_PLAIN,
		[NAME_REMOVED] = -1,                [NAME_DROPPED] = NAME_PLAIN,       [NAME_EXPIRED] = -1,
		[NAME_DEFERRED] = NAME_UNLINKED,    [NAME_OVERWRITTEN] = NAME_PLAIN,
		[NAME_DELETED] = -1,                [NAME_KEPT] = -1,
	},
	[NAME_DETACHED] = {
		[NAME_MOVED_AWAY] = -1,             [NAME_CREATED] = NAME_REPLACING,   [NAME_COMMITTED] = NAME_PLAIN,
		[NAME_REMOVED] = -1,                [NAME_DROPPED] = NAME_DETACHED,    [NAME_EXPIRED] = NAME_PLAIN,
		[NAME_DEFERRED] = -1,               [NAME_OVERWRITTEN] = NAME_PLAIN,
		[NAME_DELETED] = -1,                [NAME_KEPT] = -1,
	},
	[NAME_REPLACING] = {
		[NAME_MOVED_AWAY] = NAME_DETACHED,  [NAME_CREATED] = -1,               [NAME_COMMITTED] = NAME_PLAIN,
		[NAME_REMOVED] = NAME_DETACHED,     [NAME_DROPPED] = NAME_DETACHED,    [NAME_EXPIRED] = -1,
		[NAME_DEFERRED] = -1,               [NAME_OVERWRITTEN] = NAME_PLAIN,
		[NAME_DELETED] = -1,                [NAME_KEPT] = -1,
	},
	[NAME_PENDING] = {
		[NAME_MOVED_AWAY] = NAME_PLAIN,     [NAME_CREATED] = -1,               [NAME_COMMITTED] = NAME_PLAIN,
		[NAME_REMOVED] = NAME_PLAIN,        [NAME_DROPPED] = NAME_PLAIN,       [NAME_EXPIRED] = -1,
		[NAME_DEFERRED] = -1,               [NAME_OVERWRITTEN] = NAME_PLAIN,
		[NAME_DELETED] = -1,                [NAME_KEPT] = -1,
	},
	/* What a handle commits that was open before the row was removed makes it another row, which stays. */
	[NAME_UNLINKED] = {
		[NAME_MOVED_AWAY] = -1,             [NAME_CREATED] = NAME_RECREATED,   [NAME_COMMITTED] = NAME_UNLINKED,
		[NAME_REMOVED] = -1,                [NAME_DROPPED] = NAME_UNLINKED,    [NAME_EXPIRED] = NAME_DELETING,
		[NAME_DEFERRED] = -1,               [NAME_OVERWRITTEN] = NAME_PLAIN,
		[NAME_DELETED] = -1,                [NAME_KEPT] = -1,
	},
	[NAME_RECREATED] = {
		[NAME_MOVED_AWAY] = NAME_UNLINKED,  [NAME_CREATED] = -1,               [NAME_COMMITTED] = NAME_PLAIN,
		[NAME_REMOVED] = NAME_UNLINKED,     [NAME_DROPPED] = NAME_PLAIN,       [NAME_EXPIRED] = NAME_CLEARING,
		[NAME_DEFERRED] = -1,               [NAME_OVERWRITTEN] = NAME_PLAIN,
		[NAME_DELETED] = -1,                [NAME_KEPT] = -1,
	},
	[NAME_DELETING] = {
		[NAME_MOVED_AWAY] = -1,             [NAME_CREATED] = NAME_CLEARING,    [NAME_COMMITTED] = NAME_DELETING,
		[NAME_REMOVED] = -1,                [NAME_DROPPED] = NAME_DELETING,    [NAME_EXPIRED] = -1,
		[NAME_DEFERRED] = -1,               [NAME_OVERWRITTEN] = -1,
		[NAME_DELETED] = NAME_GONE,         [NAME_KEPT] = NAME_PLAIN,
	},
	[NAME_CLEARING] = {
		[NAME_MOVED_AWAY] = NAME_DELETING,  [NAME_CREATED] = -1,               [NAME_COMMITTED] = NAME_CLEARING,
		[NAME_REMOVED] = NAME_DELETING,     [NAME_DROPPED] = NAME_DELETING,    [NAME_EXPIRED] = -1,
		[NAME_DEFERRED] = -1,               [NAME_OVERWRITTEN] = -1,
		[NAME_DELETED] = NAME_PENDING,      [NAME_KEPT] = NAME_PLAIN,
	},
	[NAME_GONE] = {
		[NAME_MOVED_AWAY] = NAME_DETACHED,  [NAME_CREATED] = NAME_PENDING,     [NAME_COMMITTED] = NAME_PLAIN,
		[NAME_REMOVED] = -1,                [NAME_DROPPED] = NAME_GONE,        [NAME_EXPIRED] = NAME_PLAIN,
		[NAME_DEFERRED] = NAME_UNLINKED,    [NAME_OVERWRITTEN] = NAME_PLAIN,
		[NAME_DELETED] = -1,                [NAME_KEPT] = -1,
	},
};
/* clang-format on */

int names_next(enum name_state state, enum name_event event)
{
	return transitions[state][event];
}

bool name_is_hidden(enum name_state state)
{
	return state == NAME_DETACHED || state == NAME_UNLINKED || state == NAME_DELETING;
}

bool name_is_empty(enum name_state state)
{
	return state == NAME_REPLACING || state == NAME_PENDING || state == NAME_RECREATED || state == NAME_CLEARING;
}

/* The row is there for PostgreSQL, and what is created over it is compared with it. */
static bool has_base(enum name_state state)
{
	return state == NAME_DETACHED || state == NAME_REPLACING || state == NAME_UNLINKED || state == NAME_RECREATED;
}

static bool is_removed(enum name_state state)
{
	return state == NAME_UNLINKED || state == NAME_RECREATED;
}

static bool is_being_deleted(enum name_state state)
{
	return state == NAME_DELETING || state == NAME_CLEARING;
}

/* How long a state lasts by itself; 0: for ever. */
static int64_t lasts_ms(const struct names *names, enum name_state state)
{
	if (state == NAME_DETACHED)
		return names->settings.detach_grace_ms;
	return is_removed(state) ? names->settings.delete_grace_ms : state == NAME_GONE ? NAMES_GONE_MS : 0;
}

int names_new(const struct names_settings *settings, struct names **ret)
{
	struct names *names = calloc(1, sizeof *names);

	if (!names)
		return -ENOMEM;
	pthread_mutex_init(&names->lock, NULL);
	pthread_cond_init(&names->decided, NULL);
	names->settings = *settings;
	*ret = names;
	return 0;
}

/* With the lock held. */
static void set_base(struct names *names, struct name_hold *entry, struct text *base)
{
	if (entry->base && is_removed(entry->state))
		names->removed_bytes -= entry->base->len;
	text_unref(entry->base);
	entry->base = base ? text_ref(base) : NULL;
}

static void drop(struct names *names, struct name_hold *entry)
{
	HASH_DEL(names->entries, entry);
	set_base(names, entry, NULL);
	entry->listed = false;
	if (!entry->holds)
		free(entry);
}

void names_free(struct names *names)
{
	if (!names)
		return;
	while (names->entries)
		drop(names, names->entries);
	pthread_cond_destroy(&names->decided);
	pthread_mutex_destroy(&names->lock);
	free(names);
}

static struct name_hold *entry_new(uint32_t relation, const char *name)
{
	size_t len = strlen(name) + 1;
	struct name_hold *entry = calloc(1, sizeof *entry + sizeof relation + len);

	if (!entry)
		return NULL;
	entry->relation = relation;
	entry->key_len = (unsigned)(sizeof relation + len);
	memcpy(entry->key, &relation, sizeof relation);
	memcpy(entry->key + sizeof relation, name, len);
	return entry;
}

static const char *entry_name(const struct name_hold *entry)
{
	return entry->key + sizeof entry->relation;
}

/* NAME_EXPIRED to PLAIN happens when somebody looks; the entry itself goes by names_expire(), whose caller knows that
 * a listing has another name now. */
static bool has_expired(const struct name_hold *entry, int64_t now_ms)
{
	return names_next(entry->state, NAME_EXPIRED) == NAME_PLAIN && entry->deadline <= now_ms;
}

/* With the lock held. */
static struct name_hold *find(struct names *names, uint32_t relation, const char *name)
{
	struct name_hold *entry = NULL, *key;

	if (!names->entries) /* the common case costs nothing */
		return NULL;
	key = entry_new(relation, name);
	if (!key)
		return NULL;
	HASH_FIND(hh, names->entries, key->key, key->key_len, entry);
	free(key);
	return entry;
}

static bool is_plain(const struct name_hold *entry)
{
	return !entry || entry->state == NAME_GONE || has_expired(entry, clock_monotonic_ms());
}

/* With the lock held. */
static enum name_state look(const struct name_hold *entry, struct text **ret_base)
{
	bool plain = is_plain(entry);

	if (ret_base)
		*ret_base = !plain && entry->base ? text_ref(entry->base) : NULL;
	return plain ? NAME_PLAIN : entry->state;
}

enum name_state names_state(struct names *names, uint32_t relation, const char *name,
			    struct text **ret_base)
{
	enum name_state state;

	pthread_mutex_lock(&names->lock);
	state = look(find(names, relation, name), ret_base);
	pthread_mutex_unlock(&names->lock);
	return state;
}

/* With the lock held. */
static struct name_hold *hold(struct name_hold *entry)
{
	if (!entry || !is_removed(entry->state))
		return NULL;
	entry->holds++;
	return entry;
}

void names_let_go(struct names *names, struct name_hold *held)
{
	if (!held)
		return;
	pthread_mutex_lock(&names->lock);
	if (--held->holds == 0 && !held->listed)
		free(held);
	pthread_mutex_unlock(&names->lock);
}

enum name_state names_hold(struct names *names, uint32_t relation, const char *name, struct text **ret_base,
			   struct name_hold **ret_hold)
{
	struct name_hold *entry;
	enum name_state state;

	pthread_mutex_lock(&names->lock);
	entry = find(names, relation, name);
	state = look(entry, ret_base);
	*ret_hold = hold(entry);
	pthread_mutex_unlock(&names->lock);
	return state;
}

static struct name_hold *add(struct names *names, uint32_t relation, const char *name)
{
	struct name_hold *entry = entry_new(relation, name);
	unsigned before = HASH_COUNT(names->entries);

	if (!entry)
		return NULL;
	HASH_ADD_KEYPTR(hh, names->entries, entry->key, entry->key_len, entry);
	if (HASH_COUNT(names->entries) == before) {
		free(entry);
		return NULL;
	}
	entry->listed = true;
	return entry;
}

/* With the lock held. What is gone for a while shall not be in the way of who looks for what is due. */
static void put_last(struct names *names, struct name_hold *entry)
{
	unsigned before;

	HASH_DEL(names->entries, entry);
	before = HASH_COUNT(names->entries);
	HASH_ADD_KEYPTR(hh, names->entries, entry->key, entry->key_len, entry);
	if (HASH_COUNT(names->entries) > before)
		return;
	entry->listed = false; /* for want of memory: a listing that was begun may still show it */
	if (!entry->holds)
		free(entry);
}

/* With the lock held: put the name into `next`. */
static int enter(struct names *names, struct name_hold *entry, uint32_t relation, const char *name,
		 enum name_state next, struct text *base)
{
	bool decided = entry && is_being_deleted(entry->state) && !is_being_deleted(next);

	if (decided)
		pthread_cond_broadcast(&names->decided);
	if (next == NAME_PLAIN) {
		if (entry)
			drop(names, entry);
		return NAME_PLAIN;
	}
	if (!entry) {
		entry = add(names, relation, name);
		if (!entry)
			return -ENOMEM;
	}
	if (!has_base(next))
		set_base(names, entry, NULL);
	else if (!entry->base)
		set_base(names, entry, base);
	if (!is_removed(entry->state) && is_removed(next))
		names->removed_bytes += entry->base->len;
	entry->state = next;
	entry->deadline = clock_monotonic_ms() + lasts_ms(names, next);
	if (next == NAME_GONE)
		put_last(names, entry);
	return (int)next;
}

/* With the lock held: the entry of a name, without what has expired. */
static struct name_hold *find_alive(struct names *names, uint32_t relation, const char *name)
{
	struct name_hold *entry = find(names, relation, name);

	if (!entry || !has_expired(entry, clock_monotonic_ms()))
		return entry;
	drop(names, entry);
	return NULL;
}

/* With the lock held. */
static int happen(struct names *names, struct name_hold *entry, uint32_t relation, const char *name,
		  enum name_event event, struct text *base)
{
	int next = names_next(entry ? entry->state : NAME_PLAIN, event);

	if (SWITCHED_OFF("detach") && next == NAME_DETACHED && event == NAME_REMOVED)
		return NAME_REPLACING;
	/* What is created over the name is compared with its base, so there must be one. */
	if (next < 0 || (has_base((enum name_state)next) && !base && !(entry && entry->base)))
		return -EBUSY;
	/* What happens to a state does not make it last longer. */
	if (entry && next == (int)entry->state)
		return next;
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

int names_create(struct names *names, uint32_t relation, const char *name, struct text **ret_base,
		 struct name_hold **ret_hold)
{
	struct name_hold *entry;
	int r;

	pthread_mutex_lock(&names->lock);
	r = happen(names, find_alive(names, relation, name), relation, name, NAME_CREATED, NULL);
	if (r >= 0) {
		entry = find(names, relation, name);
		*ret_base = entry && entry->base ? text_ref(entry->base) : NULL;
		*ret_hold = hold(entry);
	}
	pthread_mutex_unlock(&names->lock);
	return r;
}

bool names_expire(struct names *names, uint32_t *ret_relation)
{
	int64_t now = clock_monotonic_ms();
	struct name_hold *entry, *next;
	bool found = false;

	pthread_mutex_lock(&names->lock);
	HASH_ITER(hh, names->entries, entry, next) {
		if (!has_expired(entry, now))
			continue;
		found = entry->state == NAME_DETACHED; /* what is gone shows no row again */
		*ret_relation = entry->relation;
		drop(names, entry);
		if (found)
			break;
	}
	pthread_mutex_unlock(&names->lock);
	return found;
}

/* --- DELETEs that wait ------------------------------------------------------------------------- */

int names_defer(struct names *names, uint32_t relation, const char *name, struct text *base,
		const struct asker *who)
{
	struct name_hold *entry;
	int r;

	pthread_mutex_lock(&names->lock);
	if (names->removed_bytes + base->len > names->settings.removed_max)
		r = -ENOSPC;
	else
		r = happen(names, find_alive(names, relation, name), relation, name, NAME_DEFERRED, base);
	entry = r < 0 ? NULL : find(names, relation, name);
	if (entry) {
		entry->who = *who;
		entry->who.path = "";
	}
	pthread_mutex_unlock(&names->lock);
	return r;
}

/* With the lock held. */
static bool is_due(const struct name_hold *entry, int64_t now)
{
	return is_removed(entry->state) && !entry->holds && entry->deadline <= now;
}

/* With the lock held: true with what is to be deleted, false for want of memory. */
static bool take(struct names *names, struct name_hold *entry, struct removed *ret)
{
	*ret = (struct removed){.relation = entry->relation, .name = strdup(entry_name(entry)), .who = entry->who};
	if (!ret->name)
		return false;
	ret->base = text_ref(entry->base);
	enter(names, entry, entry->relation, entry_name(entry),
	      (enum name_state)names_next(entry->state, NAME_EXPIRED), NULL);
	return true;
}

bool names_take(struct names *names, uint32_t relation, bool now, struct removed *ret)
{
	int64_t at = now ? INT64_MAX : clock_monotonic_ms();
	struct name_hold *entry, *next;
	bool taken = false;

	pthread_mutex_lock(&names->lock);
	HASH_ITER(hh, names->entries, entry, next)
		if ((!relation || entry->relation == relation) && is_due(entry, at)) {
			taken = take(names, entry, ret);
			break;
		}
	pthread_mutex_unlock(&names->lock);
	return taken;
}

void removed_done(struct removed *removed)
{
	free(removed->name);
	text_unref(removed->base);
	*removed = (struct removed){0};
}

/* With the lock held. */
static bool is_deleting(struct names *names, uint32_t relation, const char *name)
{
	const struct name_hold *entry, *next;

	if (name) {
		entry = find(names, relation, name);
		return entry && is_being_deleted(entry->state);
	}
	HASH_ITER(hh, names->entries, entry, next)
		if (entry->relation == relation && is_being_deleted(entry->state))
			return true;
	return false;
}

void names_await(struct names *names, uint32_t relation, const char *name)
{
	pthread_mutex_lock(&names->lock);
	while (is_deleting(names, relation, name))
		pthread_cond_wait(&names->decided, &names->lock);
	pthread_mutex_unlock(&names->lock);
}

bool names_was_removed(struct names *names, uint32_t relation, const char *name, int64_t since_ms)
{
	const struct name_hold *entry;
	bool was;

	pthread_mutex_lock(&names->lock);
	entry = find(names, relation, name);
	was = entry && (is_removed(entry->state) || is_being_deleted(entry->state) ||
			(entry->state == NAME_GONE && entry->deadline - NAMES_GONE_MS >= since_ms));
	pthread_mutex_unlock(&names->lock);
	return was;
}

/* --- All of them ------------------------------------------------------------------------------- */

void names_visit(struct names *names, uint32_t relation,
		 void (*visit)(void *arg, const char *name, enum name_state state), void *arg)
{
	_cleanup_buf_ struct buf found = {0};
	struct name_hold *entry, *next;

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
	struct name_hold *entry, *next;

	memset(ret, 0, NAME_STATES * sizeof *ret);
	pthread_mutex_lock(&names->lock);
	HASH_ITER(hh, names->entries, entry, next)
		if (!is_plain(entry))
			ret[entry->state]++;
	pthread_mutex_unlock(&names->lock);
}
