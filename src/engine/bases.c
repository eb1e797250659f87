#include "rowfs/engine/bases.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#include "rowfs/base/clock.h"
#include "rowfs/base/process.h"

/* How many of the oldest are asked whether their program has ended, before one that has not is forgotten. */
enum { OLDEST = 16 };

/* How many threads of one row are asked whose they are. */
enum { THREADS_ASKED = 16 };

/* Beginnings of processes are known to a clock tick. */
enum { TICK_US = 20000 };

struct key {
	uint32_t relation;
	pid_t thread;
};

struct base {
	UT_hash_handle hh;
	struct base *prev, *next;         /* of all, oldest first */
	struct base *older, *younger;     /* of the thread's */
	struct thread *of;
	struct text *text;
	bool saved;
	int64_t noted_us; /* CLOCK_BOOTTIME */
	unsigned key_len;
	char key[]; /* struct key, then the name */
};

struct thread {
	UT_hash_handle hh;
	pid_t number;
	struct base *oldest;
	unsigned n;
};

struct bases {
	pthread_mutex_t lock;
	size_t bytes, max_bytes; /* [lock] */
	struct base *by_key, *by_age; /* [lock] */
	struct thread *threads;       /* [lock] */
};

enum { KEY_MAX = sizeof(struct key) + 256 };

/* --- The table; with the lock held ----------------------------------------------------------- */

static unsigned make_key(char ret[KEY_MAX], uint32_t relation, pid_t thread, const char *name)
{
	const struct key key = {relation, thread};
	size_t len = strnlen(name, KEY_MAX - sizeof key);

	memcpy(ret, &key, sizeof key);
	memcpy(ret + sizeof key, name, len);
	return (unsigned)(sizeof key + len);
}

static struct base *find(struct bases *bases, uint32_t relation, pid_t thread, const char *name)
{
	char key[KEY_MAX];
	unsigned len = make_key(key, relation, thread, name);
	struct base *base;

	HASH_FIND(hh, bases->by_key, key, len, base);
	return base;
}

static bool is_of_row(const struct base *base, uint32_t relation, const char *name)
{
	size_t len = base->key_len - sizeof(struct key);
	struct key key;

	memcpy(&key, base->key, sizeof key);
	return key.relation == relation && strlen(name) == len &&
	       memcmp(base->key + sizeof key, name, len) == 0;
}

static struct thread *find_thread(struct bases *bases, pid_t number)
{
	struct thread *thread;

	HASH_FIND(hh, bases->threads, &number, sizeof number, thread);
	return thread;
}

static void drop(struct bases *bases, struct base *base)
{
	struct thread *thread = base->of;

	DL_DELETE2(thread->oldest, base, older, younger);
	if (--thread->n == 0) {
		HASH_DEL(bases->threads, thread);
		free(thread);
	}
	HASH_DEL(bases->by_key, base);
	DL_DELETE(bases->by_age, base);
	bases->bytes -= base->text->len;
	text_unref(base->text);
	free(base);
}

static void drop_all(struct bases *bases)
{
	struct thread *thread, *next;

	while (bases->by_age)
		drop(bases, bases->by_age);
	HASH_ITER(hh, bases->threads, thread, next) { /* those that memory ran out for */
		HASH_DEL(bases->threads, thread);
		free(thread);
	}
}

/* The oldest whose program has ended, or the oldest. */
static struct base *find_least(struct bases *bases)
{
	struct base *base = bases->by_age;

	for (int i = 0; base && i < OLDEST; i++, base = base->next)
		if (!process_exists(base->of->number))
			return base;
	return bases->by_age;
}

static void make_room(struct bases *bases, pid_t number, size_t bytes)
{
	struct thread *thread = find_thread(bases, number);

	if (thread && thread->n >= BASES_OF_ONE)
		drop(bases, thread->oldest);
	while (bases->by_age && (HASH_COUNT(bases->by_key) >= BASES_MAX || bases->bytes + bytes > bases->max_bytes))
		drop(bases, find_least(bases));
}

static struct thread *get_thread(struct bases *bases, pid_t number)
{
	struct thread *thread = find_thread(bases, number);
	unsigned before = HASH_COUNT(bases->threads);

	if (thread)
		return thread;
	thread = calloc(1, sizeof *thread);
	if (!thread)
		return NULL;
	thread->number = number;
	HASH_ADD(hh, bases->threads, number, sizeof number, thread);
	if (HASH_COUNT(bases->threads) > before)
		return thread;
	free(thread); /* out of memory inside the table */
	return NULL;
}

static struct base *new_base(struct bases *bases, uint32_t relation, struct thread *thread, const char *name)
{
	char key[KEY_MAX];
	unsigned len = make_key(key, relation, thread->number, name), before = HASH_COUNT(bases->by_key);
	struct base *base = calloc(1, sizeof *base + len);

	if (!base)
		return NULL;
	base->key_len = len;
	memcpy(base->key, key, len);
	HASH_ADD_KEYPTR(hh, bases->by_key, base->key, len, base);
	if (HASH_COUNT(bases->by_key) > before)
		return base;
	free(base);
	return NULL;
}

/* For want of memory there is none, and the handle's own will do. */
static void add(struct bases *bases, uint32_t relation, pid_t number, const char *name, struct text *text, bool saved)
{
	struct thread *thread = get_thread(bases, number);
	struct base *base = thread ? new_base(bases, relation, thread, name) : NULL;

	if (!base)
		return; /* a thread without rows waits for its first */
	base->of = thread;
	base->text = text_ref(text);
	base->saved = saved;
	base->noted_us = clock_boottime_us();
	DL_APPEND(bases->by_age, base);
	DL_APPEND2(thread->oldest, base, older, younger);
	thread->n++;
	bases->bytes += text->len;
}

static void replace(struct bases *bases, uint32_t relation, pid_t thread, const char *name, struct text *text,
		    bool saved)
{
	struct base *before = find(bases, relation, thread, name);

	if (before)
		drop(bases, before);
	if (!text || text->len > BASES_TEXT_MAX || text->len > bases->max_bytes)
		return;
	make_room(bases, thread, text->len);
	add(bases, relation, thread, name, text, saved);
}

/* --- Begin and end --------------------------------------------------------------------------- */

static void shed(void *arg)
{
	struct bases *bases = arg;

	pthread_mutex_lock(&bases->lock);
	drop_all(bases);
	pthread_mutex_unlock(&bases->lock);
}

int bases_new(size_t max_bytes, struct bases **ret)
{
	struct bases *bases = calloc(1, sizeof *bases);

	if (!bases)
		return -ENOMEM;
	pthread_mutex_init(&bases->lock, NULL);
	bases->max_bytes = max_bytes;
	text_add_shed(shed, bases);
	*ret = bases;
	return 0;
}

void bases_free(struct bases *bases)
{
	if (!bases)
		return;
	text_remove_shed(bases);
	drop_all(bases);
	pthread_mutex_destroy(&bases->lock);
	free(bases);
}

unsigned bases_count(struct bases *bases)
{
	unsigned n;

	pthread_mutex_lock(&bases->lock);
	n = HASH_COUNT(bases->by_key);
	pthread_mutex_unlock(&bases->lock);
	return n;
}

/* --- What programs know ---------------------------------------------------------------------- */

void bases_note(struct bases *bases, uint32_t relation, const char *name, pid_t thread, struct text *text)
{
	if (!thread)
		return;
	pthread_mutex_lock(&bases->lock);
	replace(bases, relation, thread, name, text, false);
	pthread_mutex_unlock(&bases->lock);
}

/* The threads that read the row, those who did last first, with what they read. */
struct candidates {
	struct base_of_thread {
		pid_t thread;
		struct text *text;
		bool saved;
		int64_t noted_us;
	} at[THREADS_ASKED];
	unsigned n;
};

static void find_candidates(struct bases *bases, uint32_t relation, const char *name, struct candidates *ret)
{
	struct base *base;

	ret->n = 0;
	pthread_mutex_lock(&bases->lock);
	for (base = bases->by_age ? bases->by_age->prev : NULL; base && ret->n < THREADS_ASKED;
	     base = base == bases->by_age ? NULL : base->prev)
		if (is_of_row(base, relation, name))
			ret->at[ret->n++] = (struct base_of_thread){base->of->number, text_ref(base->text),
								    base->saved, base->noted_us};
	pthread_mutex_unlock(&bases->lock);
}

/* The index of the last that the thread's program has noted; -1: none. */
static int choose(const struct candidates *candidates, pid_t thread)
{
	pid_t group = candidates->n ? process_group(thread) : 0;
	int64_t began = group ? process_began_us(group) : 0;

	for (unsigned i = 0; began && i < candidates->n; i++) {
		const struct base_of_thread *one = &candidates->at[i];

		if (one->noted_us + TICK_US >= began &&
		    (one->thread == thread || one->thread == group || process_group(one->thread) == group))
			return (int)i;
	}
	return -1;
}

struct text *bases_get(struct bases *bases, uint32_t relation, const char *name, pid_t thread, bool *ret_saved)
{
	struct candidates candidates;
	struct text *text = NULL;
	int chosen;

	find_candidates(bases, relation, name, &candidates);
	chosen = choose(&candidates, thread);
	if (chosen >= 0) {
		text = text_ref(candidates.at[chosen].text);
		*ret_saved = candidates.at[chosen].saved;
	}
	for (unsigned i = 0; i < candidates.n; i++)
		text_unref(candidates.at[i].text);
	return text;
}

void bases_saved(struct bases *bases, uint32_t relation, const char *name, pid_t thread, struct text *text)
{
	bool saved;
	_cleanup_text_ struct text *before = bases_get(bases, relation, name, thread, &saved);

	if (!before)
		return;
	pthread_mutex_lock(&bases->lock);
	replace(bases, relation, thread, name, text, saved || (text && text != before));
	pthread_mutex_unlock(&bases->lock);
}
