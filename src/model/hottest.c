#include "rowfs/model/hottest.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Of a count of n the newcomer takes one with probability 1.08^-n; beyond this it is as good as never. */
enum { DECAY_MAX = 256 };
static const double decay_base = 1.08;

/* The hashes side by side, since each read looks through them. */
struct set {
	_Atomic uint64_t hash[HOTTEST_WAYS]; /* 0: empty */
	_Atomic uint32_t count[HOTTEST_WAYS];
	_Atomic uint32_t bytes[HOTTEST_WAYS];
	uint32_t relation[HOTTEST_WAYS]; /* [lock] */
	char *name[HOTTEST_WAYS];        /* [lock] */
};

struct hottest {
	_Atomic uint32_t seen; /* in this window */
	pthread_mutex_t lock;
	uint64_t random;       /* [lock] */
	uint32_t chance[DECAY_MAX]; /* of 2^32 */
	struct set sets[HOTTEST_SETS];
};

int hottest_new(struct hottest **ret)
{
	struct hottest *hottest = calloc(1, sizeof *hottest);
	double p = UINT32_MAX;

	if (!hottest)
		return -ENOMEM;
	for (int i = 0; i < DECAY_MAX; i++, p /= decay_base)
		hottest->chance[i] = (uint32_t)p;
	hottest->random = UINT64_C(0x9e3779b97f4a7c15);
	pthread_mutex_init(&hottest->lock, NULL);
	*ret = hottest;
	return 0;
}

void hottest_free(struct hottest *hottest)
{
	if (!hottest)
		return;
	for (int i = 0; i < HOTTEST_MAX; i++)
		free(hottest->sets[i / HOTTEST_WAYS].name[i % HOTTEST_WAYS]);
	pthread_mutex_destroy(&hottest->lock);
	free(hottest);
}

/* The way, or -1. */
static int find(const struct set *set, uint64_t hash)
{
	for (int i = 0; i < HOTTEST_WAYS; i++)
		if (atomic_load_explicit(&set->hash[i], memory_order_acquire) == hash)
			return i;
	return -1;
}

static uint32_t count_of(const struct set *set, int i)
{
	return atomic_load_explicit(&set->count[i], memory_order_relaxed);
}

static void set_count(struct set *set, int i, uint32_t count)
{
	atomic_store_explicit(&set->count[i], count, memory_order_relaxed);
}

static int smallest(const struct set *set)
{
	int least = 0;

	for (int i = 1; i < HOTTEST_WAYS; i++)
		if (count_of(set, i) < count_of(set, least))
			least = i;
	return least;
}

/* xorshift64, with the lock held. */
static uint32_t next_random(struct hottest *hottest)
{
	uint64_t x = hottest->random;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	hottest->random = x;
	return (uint32_t)(x >> 32);
}

/* Does the slot still have a row after a newcomer came by who was seen so often? */
static bool withstands(struct hottest *hottest, struct set *set, int i, unsigned seen)
{
	uint32_t n = count_of(set, i);

	if (n < seen)
		return false;
	if (n >= DECAY_MAX || next_random(hottest) > hottest->chance[n])
		return true;
	set_count(set, i, n - 1);
	return n > 1;
}

/* Without memory for the name the newcomer stays out. */
static void take_over(struct set *set, int i, uint64_t hash, const struct hot_row *row, unsigned seen)
{
	char *name = strdup(row->name);

	if (!name)
		return;
	free(set->name[i]);
	set->name[i] = name;
	set->relation[i] = row->relation;
	set_count(set, i, seen);
	atomic_store_explicit(&set->bytes[i], row->bytes, memory_order_relaxed);
	atomic_store_explicit(&set->hash[i], hash, memory_order_release);
}

/* With the lock held. */
static void enter(struct hottest *hottest, struct set *set, uint64_t hash, const struct hot_row *row,
		  unsigned seen)
{
	int i = smallest(set);

	if (find(set, hash) < 0 && !withstands(hottest, set, i, seen))
		take_over(set, i, hash, row, seen);
}

static void halve(struct hottest *hottest)
{
	for (int i = 0; i < HOTTEST_MAX; i++) {
		struct set *set = &hottest->sets[i / HOTTEST_WAYS];

		set_count(set, i % HOTTEST_WAYS, count_of(set, i % HOTTEST_WAYS) / 2);
	}
}

/* Exactly one thread is the last of a window. */
static bool ends_window(struct hottest *hottest)
{
	return atomic_fetch_add_explicit(&hottest->seen, 1, memory_order_relaxed) % HOTTEST_WINDOW ==
	       HOTTEST_WINDOW - 1;
}

bool hottest_add(struct hottest *hottest, uint64_t hash, uint32_t relation, const char *name, uint32_t bytes,
		 unsigned seen)
{
	const struct hot_row row = {.relation = relation, .bytes = bytes, .name = name};
	struct set *set = &hottest->sets[hash % HOTTEST_SETS];
	bool last = ends_window(hottest);
	int i;

	hash |= UINT64_C(1) << 63; /* never that of an empty slot */
	i = find(set, hash);
	if (i >= 0) {
		atomic_fetch_add_explicit(&set->count[i], 1, memory_order_relaxed);
		atomic_store_explicit(&set->bytes[i], bytes, memory_order_relaxed);
	} else if (pthread_mutex_trylock(&hottest->lock) == 0) {
		enter(hottest, set, hash, &row, seen);
		pthread_mutex_unlock(&hottest->lock);
	}
	if (last)
		halve(hottest);
	return last;
}

void hottest_visit(struct hottest *hottest, void (*fn)(void *arg, const struct hot_row *row), void *arg)
{
	pthread_mutex_lock(&hottest->lock);
	for (int n = 0; n < HOTTEST_MAX; n++) {
		const struct set *set = &hottest->sets[n / HOTTEST_WAYS];
		int i = n % HOTTEST_WAYS;
		struct hot_row row = {
			.count = count_of(set, i),
			.relation = set->relation[i],
			.bytes = atomic_load_explicit(&set->bytes[i], memory_order_relaxed),
			.name = set->name[i],
		};

		if (row.name && row.count)
			fn(arg, &row);
	}
	pthread_mutex_unlock(&hottest->lock);
}
