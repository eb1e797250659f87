#include "rowfs/engine/walkers.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rowfs/base/clock.h"

/* Programs remembered: a set is looked through, and the one that was idle for longest makes room. Short-lived ones (cat)
 * come and go; a walk is busy. */
enum { SETS = 64, WAYS = 4 };

/* A program that has been idle for so long may begin anew as anything. */
enum { IDLE_US = 60 * 1000000 };

/* By chance one in 16! readers has 16 names in order. Where a name breaks it (a locale's order is not quite that of the
 * bytes), it takes eight to make up for it; nobody who reads at random gets anywhere. */
enum { ORDER_WALKS = 16, ORDER_MAX = 32, ORDER_BREAK = 8 };

/* Who lists a table and then reads as others do: once he has come back to so many more rows than a fifth of what he
 * reads, he does not walk. */
enum { AGAIN_GAIN = 4, AGAIN_ENOUGH = 128 };

/* The rows that a walk has read last, of which it may read some again; a fingerprint each. */
enum { LAST_ROWS = 1024 };

/* Who lists the table again after so many rows begins another walk, in which it comes back to nothing. Who reads fewer
 * between two listings is looking for something. */
enum { WALK_ROWS = 64 };

/* Of names only the beginning is compared: what is equal so far says nothing. */
enum { NAME_START = 48 };

struct walker {
	pid_t program; /* 0: free */
	uint32_t relation;
	int64_t used_us;
	char last[NAME_START]; /* name read last */
	size_t last_len;       /* all of it */
	int bytewise, numeric; /* how well the names come in that order */
	bool in_order, listed;
	int again;
	unsigned passed; /* rows read for the first time since it listed the table */
	uint32_t *rows; /* while it walks; 0: none, the last bit: it was counted */
};

struct set {
	pthread_mutex_t lock;
	struct walker walkers[WAYS];
};

struct walkers {
	struct set sets[SETS];
};

int walkers_new(struct walkers **ret)
{
	struct walkers *walkers = calloc(1, sizeof *walkers);

	if (!walkers)
		return -ENOMEM;
	for (int i = 0; i < SETS; i++)
		pthread_mutex_init(&walkers->sets[i].lock, NULL);
	*ret = walkers;
	return 0;
}

void walkers_free(struct walkers *walkers)
{
	if (!walkers)
		return;
	for (int i = 0; i < SETS; i++) {
		for (int j = 0; j < WAYS; j++)
			free(walkers->sets[i].walkers[j].rows);
		pthread_mutex_destroy(&walkers->sets[i].lock);
	}
	free(walkers);
}

static struct set *set_of(struct walkers *walkers, pid_t program, uint32_t relation)
{
	uint32_t mixed = ((uint32_t)program * UINT32_C(0x9e3779b1)) ^ (relation * UINT32_C(0x85ebca77));

	return &walkers->sets[mixed >> 16 & (SETS - 1)];
}

/* --- One walker; with its set's lock held ---------------------------------------------------- */

static struct walker *find(struct set *set, pid_t program, uint32_t relation)
{
	for (int i = 0; i < WAYS; i++) {
		struct walker *walker = &set->walkers[i];

		if (walker->program == program && walker->relation == relation &&
		    clock_monotonic_us() - walker->used_us < IDLE_US)
			return walker;
	}
	return NULL;
}

/* The same; if there is none, it is made. */
static struct walker *find_or_begin(struct set *set, pid_t program, uint32_t relation)
{
	struct walker *walker = find(set, program, relation), *idle = set->walkers;

	if (!walker) {
		for (int i = 1; i < WAYS; i++)
			if (set->walkers[i].used_us < idle->used_us)
				idle = &set->walkers[i];
		free(idle->rows);
		*idle = (struct walker){.program = program, .relation = relation};
		walker = idle;
	}
	walker->used_us = clock_monotonic_us();
	return walker;
}

/* Without memory for its rows all that it reads counts. */
static bool walks(struct walker *walker)
{
	if (!walker->listed && !walker->in_order) {
		free(walker->rows);
		walker->rows = NULL;
	} else if (!walker->rows) {
		walker->rows = calloc(LAST_ROWS, sizeof *walker->rows);
	}
	return walker->rows;
}

static uint32_t fingerprint(uint64_t hash)
{
	return (uint32_t)(hash >> 32) | 2;
}

static uint32_t *place_of(const struct walker *walker, uint64_t hash)
{
	return &walker->rows[hash % LAST_ROWS];
}

static bool was_here(const struct walker *walker, uint64_t hash)
{
	return (*place_of(walker, hash) | 1) == (fingerprint(hash) | 1);
}

static int clamp(int value, int most)
{
	return value < 0 ? 0 : value > most ? most : value;
}

static void follow_order(int *order, int comparison)
{
	if (comparison)
		*order = clamp(*order + (comparison > 0 ? 1 : -ORDER_BREAK), ORDER_MAX);
}

/* Numbers without leading zeros are in order by their length, then by their digits; keys that are none go by their bytes. */
static void note_order(struct walker *walker, const char *name)
{
	size_t len = strlen(name);
	int bytes = walker->last_len ? strncmp(name, walker->last, NAME_START - 1) : 0;
	int by_length = len > walker->last_len ? 1 : len < walker->last_len ? -1 : 0;

	follow_order(&walker->bytewise, bytes);
	follow_order(&walker->numeric, bytes && by_length ? by_length : bytes);
	snprintf(walker->last, sizeof walker->last, "%s", name);
	walker->last_len = len;
	if (walker->bytewise >= ORDER_WALKS || walker->numeric >= ORDER_WALKS)
		walker->in_order = true;
	else if (!walker->bytewise && !walker->numeric)
		walker->in_order = false;
}

static void note_again(struct walker *walker, bool again)
{
	walker->again = clamp(walker->again + (again ? AGAIN_GAIN : -1), AGAIN_ENOUGH);
	if (walker->again < AGAIN_ENOUGH)
		return;
	walker->listed = walker->in_order = false;
	walker->bytewise = walker->numeric = walker->again = 0;
}

static unsigned weigh(struct walker *walker, uint64_t hash)
{
	uint32_t *place = place_of(walker, hash), print = fingerprint(hash) & ~UINT32_C(1);
	bool again = was_here(walker, hash), counted = *place & 1;

	*place = print | again;
	walker->passed += !again;
	note_again(walker, again);
	return !again ? 0 : counted ? 1 : 2;
}

static void list(struct walker *walker)
{
	if (walker->passed >= WALK_ROWS) {
		free(walker->rows);
		walker->rows = NULL;
	}
	walker->passed = 0;
	walker->again = 0;
	walker->listed = true;
}

/* --- Asking ---------------------------------------------------------------------------------- */

void walkers_listed(struct walkers *walkers, pid_t program, uint32_t relation)
{
	struct set *set = set_of(walkers, program, relation);

	if (!program)
		return;
	pthread_mutex_lock(&set->lock);
	list(find_or_begin(set, program, relation));
	pthread_mutex_unlock(&set->lock);
}

unsigned walkers_read(struct walkers *walkers, pid_t program, uint32_t relation, const char *name, uint64_t hash)
{
	struct set *set = set_of(walkers, program, relation);
	struct walker *walker;
	unsigned weight = 1;

	if (!program)
		return 1;
	pthread_mutex_lock(&set->lock);
	walker = find_or_begin(set, program, relation);
	note_order(walker, name);
	if (walks(walker))
		weight = weigh(walker, hash);
	pthread_mutex_unlock(&set->lock);
	return weight;
}

enum passage walkers_passage(struct walkers *walkers, pid_t program, uint32_t relation, uint64_t hash)
{
	struct set *set = set_of(walkers, program, relation);
	enum passage passage = PASSAGE_NONE;
	struct walker *walker;

	if (!program)
		return PASSAGE_NONE;
	pthread_mutex_lock(&set->lock);
	walker = find(set, program, relation);
	if (walker && walks(walker))
		passage = was_here(walker, hash) ? PASSAGE_BACK : PASSAGE_FIRST;
	pthread_mutex_unlock(&set->lock);
	return passage;
}
