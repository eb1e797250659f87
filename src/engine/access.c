#include "rowfs/engine/access.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "rowfs/base/counters.h"
#include "rowfs/base/process.h"
#include "rowfs/engine/walkers.h"
#include "rowfs/model/hottest.h"
#include "rowfs/model/sketch.h"

/* Tables that are counted one by one; a mount of more shows the rest as none. */
enum { TABLES = 512 };

struct table {
	_Atomic uint32_t relation; /* 0: free */
	_Atomic uint64_t reads[TIERS], lately, lately_bytes;
};

/* Rows that others read: their hashes, in order. */
struct elsewhere {
	uint64_t *hashes;
	size_t n;
};

struct access {
	bool admits_all;
	struct walkers *walkers;
	struct sketch *sketch;
	struct hottest *hottest;
	struct table tables[TABLES];
	pthread_mutex_t lock;
	struct elsewhere elsewhere; /* [lock] */
};

int access_new(const struct settings *settings, struct access **ret)
{
	struct access *access = calloc(1, sizeof *access);

	if (!access)
		return -ENOMEM;
	access->admits_all = settings->admit == ADMIT_ON_FIRST;
	pthread_mutex_init(&access->lock, NULL);
	if (walkers_new(&access->walkers) < 0 || sketch_new(&access->sketch) < 0 ||
	    hottest_new(&access->hottest) < 0) {
		access_free(access);
		return -ENOMEM;
	}
	*ret = access;
	return 0;
}

void access_free(struct access *access)
{
	if (!access)
		return;
	walkers_free(access->walkers);
	sketch_free(access->sketch);
	hottest_free(access->hottest);
	free(access->elsewhere.hashes);
	pthread_mutex_destroy(&access->lock);
	free(access);
}

uint64_t row_hash(uint32_t relation, const char *name)
{
	return XXH3_64bits_withSeed(name, strlen(name), relation);
}

/* --- Tables ---------------------------------------------------------------------------------- */

static uint64_t get(const _Atomic uint64_t *number)
{
	return atomic_load_explicit(number, memory_order_relaxed);
}

static void add(_Atomic uint64_t *number, uint64_t n)
{
	atomic_fetch_add_explicit(number, n, memory_order_relaxed);
}

/* Open addressing; a table never leaves. NULL: all places are taken. */
static struct table *table_of(struct access *access, uint32_t relation)
{
	unsigned at = relation * UINT32_C(0x9e3779b1) >> 16;

	for (unsigned i = 0; i < TABLES; i++) {
		struct table *table = &access->tables[(at + i) % TABLES];
		uint32_t there = atomic_load_explicit(&table->relation, memory_order_relaxed);

		if (!there)
			atomic_compare_exchange_strong_explicit(&table->relation, &there, relation,
								memory_order_relaxed, memory_order_relaxed);
		if (!there || there == relation)
			return table;
	}
	return NULL;
}

static void halve_tables(struct access *access)
{
	for (int i = 0; i < TABLES; i++) {
		struct table *table = &access->tables[i];

		atomic_store_explicit(&table->lately, get(&table->lately) / 2, memory_order_relaxed);
		atomic_store_explicit(&table->lately_bytes, get(&table->lately_bytes) / 2, memory_order_relaxed);
	}
}

/* --- Reads ----------------------------------------------------------------------------------- */

void access_listed(struct access *access, pid_t program, uint32_t relation)
{
	walkers_listed(access->walkers, program, relation);
}

void access_note(struct access *access, pid_t program, uint32_t relation, const char *name, enum tier tier,
		 uint64_t bytes)
{
	uint64_t hash = row_hash(relation, name);
	unsigned weight = walkers_read(access->walkers, program, relation, name, hash);
	struct table *table = table_of(access, relation);
	bool ended = false;

	if (table)
		add(&table->reads[tier], 1);
	if (!weight)
		count(walk_reads);
	for (; weight; weight--) {
		unsigned seen = sketch_add(access->sketch, hash);

		ended |= hottest_add(access->hottest, hash, relation, name, (uint32_t)bytes, seen);
		if (table) {
			add(&table->lately, 1);
			add(&table->lately_bytes, bytes);
		}
	}
	if (ended)
		halve_tables(access);
}

static int compare_hashes(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static bool is_read_elsewhere(struct access *access, uint64_t hash)
{
	bool found;

	pthread_mutex_lock(&access->lock);
	found = access->elsewhere.n && bsearch(&hash, access->elsewhere.hashes, access->elsewhere.n, sizeof hash,
					       compare_hashes);
	pthread_mutex_unlock(&access->lock);
	return found;
}

/* The program is asked for last: for a thread that is not its group's first, that takes a look into /proc. Whoever comes
 * back to a row in a walk was not counted when he was there first. */
bool access_admits(struct access *access, pid_t thread, uint32_t relation, const char *name, bool stale)
{
	uint64_t hash = row_hash(relation, name);
	bool known = stale || access->admits_all || sketch_estimate(access->sketch, hash) > 0 ||
		     is_read_elsewhere(access, hash);
	enum passage passage = walkers_passage(access->walkers, process_group(thread), relation, hash);
	bool admits = passage == PASSAGE_BACK || (known && passage == PASSAGE_NONE);

	if (!admits)
		count(cache_unadmitted);
	return admits;
}

bool access_passes(struct access *access, pid_t program, uint32_t relation, const char *name)
{
	return walkers_passage(access->walkers, program, relation, row_hash(relation, name)) == PASSAGE_FIRST;
}

_Static_assert((int)ACCESS_READS_MAX == (int)SKETCH_MAX, "what the sketch can count");

unsigned access_reads(const struct access *access, uint32_t relation, const char *name)
{
	return sketch_estimate(access->sketch, row_hash(relation, name));
}

/* --- Summaries ------------------------------------------------------------------------------- */

static void add_hot_row(void *arg, const struct hot_row *row)
{
	const struct row_reads reads = {
		.relation = row->relation,
		.bytes = row->bytes,
		.count = row->count,
		.name = (char *)row->name,
	};

	popularity_add_row(arg, &reads);
}

void access_summarize(struct access *access, struct popularity *ret)
{
	for (int i = 0; i < TABLES; i++) {
		const struct table *table = &access->tables[i];
		struct table_reads reads = {
			.relation = atomic_load_explicit(&table->relation, memory_order_relaxed),
			.lately = get(&table->lately),
			.lately_bytes = get(&table->lately_bytes),
		};

		for (int tier = 0; tier < TIERS; tier++)
			reads.reads[tier] = get(&table->reads[tier]);
		if (reads.relation)
			popularity_add_table(ret, &reads);
	}
	hottest_visit(access->hottest, add_hot_row, ret);
}

/* Without memory nothing is learned. */
void access_learn(struct access *access, const struct popularity *others)
{
	struct elsewhere learned = {.hashes = malloc((others->n_rows + 1) * sizeof(uint64_t))};
	uint64_t *before;

	for (size_t i = 0; learned.hashes && i < others->n_rows; i++)
		learned.hashes[learned.n++] = row_hash(others->rows[i].relation, others->rows[i].name);
	if (learned.n)
		qsort(learned.hashes, learned.n, sizeof(uint64_t), compare_hashes);
	pthread_mutex_lock(&access->lock);
	before = access->elsewhere.hashes;
	access->elsewhere = learned;
	pthread_mutex_unlock(&access->lock);
	free(before);
}
