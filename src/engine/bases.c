#include "rowfs/engine/bases.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#include "rowfs/base/clock.h"
#include "rowfs/base/process.h"

/* How many of the oldest are asked at a time whether their program has ended, which takes some microseconds; those that
 * have not go to the young end, so that the next time others are asked. */
enum { OLDEST = 64 };

/* Beginnings of processes are known to a clock tick. */
enum { TICK_US = 20000 };

struct key {
	uint32_t relation;
	pid_t program;
};

struct base {
	UT_hash_handle hh;
	struct base *prev, *next;     /* of all: those that are forgotten first */
	struct base *older, *younger; /* of the program's */
	struct program *of;
	struct text *text;
	bool saved;
	int64_t noted_us; /* CLOCK_BOOTTIME */
	unsigned key_len;
	char key[]; /* struct key, then the name */
};

struct program {
	UT_hash_handle hh;
	pid_t number;
	struct base *oldest;
	unsigned n;
};

struct bases {
	pthread_mutex_t lock;
	size_t bytes, max_bytes;     /* [lock] */
	struct base *by_key, *queue; /* [lock] */
	struct program *programs;    /* [lock] */
};

enum { KEY_MAX = sizeof(struct key) + 256 };

/* --- The table; with the lock held ----------------------------------------------------------- */

static unsigned make_key(char ret[KEY_MAX], uint32_t relation, pid_t program, const char *name)
{
	const struct key key = {relation, program};
	size_t len = strnlen(name, KEY_MAX - sizeof key);

	memcpy(ret, &key, sizeof key);
	memcpy(ret + sizeof key, name, len);
	return (unsigned)(sizeof key + len);
}

static struct base *find(struct bases *bases, uint32_t relation, pid_t program, const char *name)
{
	char key[KEY_MAX];
	unsigned len = make_key(key, relation, program, name);
	struct base *base;

	HASH_FIND(hh, bases->by_key, key, len, base);
	return base;
}

static struct program *find_program(struct bases *bases, pid_t number)
{
	struct program *program;

	HASH_FIND(hh, bases->programs, &number, sizeof number, program);
	return program;
}

static void drop(struct bases *bases, struct base *base)
{
	struct program *program = base->of;

	DL_DELETE2(program->oldest, base, older, younger);
	if (--program->n == 0) {
		HASH_DEL(bases->programs, program);
		free(program);
	}
	HASH_DEL(bases->by_key, base);
	DL_DELETE(bases->queue, base);
	bases->bytes -= base->text->len;
	text_unref(base->text);
	free(base);
}

static void drop_all(struct bases *bases)
{
	struct program *program, *next;

	while (bases->queue)
		drop(bases, bases->queue);
	HASH_ITER(hh, bases->programs, program, next) { /* those that memory ran out for */
		HASH_DEL(bases->programs, program);
		free(program);
	}
}

/* One whose program has ended, or the oldest. */
static struct base *find_least(struct bases *bases)
{
	for (int i = 0; i < OLDEST && process_exists(bases->queue->of->number); i++) {
		struct base *base = bases->queue;

		DL_DELETE(bases->queue, base);
		DL_APPEND(bases->queue, base);
	}
	return bases->queue;
}

static void make_room(struct bases *bases, pid_t number, size_t bytes)
{
	struct program *program = find_program(bases, number);

	if (program && program->n >= BASES_OF_ONE)
		drop(bases, program->oldest);
	while (bases->queue && (HASH_COUNT(bases->by_key) >= BASES_MAX || bases->bytes + bytes > bases->max_bytes))
		drop(bases, find_least(bases));
}

static struct program *get_program(struct bases *bases, pid_t number)
{
	struct program *program = find_program(bases, number);
	unsigned before = HASH_COUNT(bases->programs);

	if (program)
		return program;
	program = calloc(1, sizeof *program);
	if (!program)
		return NULL;
	program->number = number;
	HASH_ADD(hh, bases->programs, number, sizeof number, program);
	if (HASH_COUNT(bases->programs) > before)
		return program;
	free(program); /* out of memory inside the table */
	return NULL;
}

static struct base *new_base(struct bases *bases, uint32_t relation, const struct program *program, const char *name)
{
	char key[KEY_MAX];
	unsigned len = make_key(key, relation, program->number, name), before = HASH_COUNT(bases->by_key);
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
static void add(struct bases *bases, uint32_t relation, pid_t number, const char *name, struct text *text, bool saved,
		int64_t noted_us)
{
	struct program *program = get_program(bases, number);
	struct base *base = program ? new_base(bases, relation, program, name) : NULL;

	if (!base)
		return; /* a program without rows waits for its first */
	base->of = program;
	base->text = text_ref(text);
	base->saved = saved;
	base->noted_us = noted_us;
	DL_APPEND(bases->queue, base);
	DL_APPEND2(program->oldest, base, older, younger);
	program->n++;
	bases->bytes += text->len;
}

static void replace(struct bases *bases, uint32_t relation, pid_t program, const char *name, struct text *text,
		    bool saved, int64_t noted_us)
{
	struct base *before = find(bases, relation, program, name);

	if (before)
		drop(bases, before);
	if (!text || text->len > BASES_TEXT_MAX || text->len > bases->max_bytes)
		return;
	make_room(bases, program, text->len);
	add(bases, relation, program, name, text, saved, noted_us);
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

void bases_note(struct bases *bases, uint32_t relation, const char *name, pid_t program, struct text *text)
{
	if (!program)
		return;
	pthread_mutex_lock(&bases->lock);
	replace(bases, relation, program, name, text, false, clock_boottime_us());
	pthread_mutex_unlock(&bases->lock);
}

struct text *bases_get(struct bases *bases, uint32_t relation, const char *name, pid_t program, bool *ret_saved)
{
	int64_t began = program ? process_began_us(program) : 0;
	struct text *text = NULL;
	struct base *base;

	if (!began)
		return NULL;
	pthread_mutex_lock(&bases->lock);
	base = find(bases, relation, program, name);
	/* What was noted before it began is another's, who had its number. */
	if (base && base->noted_us + TICK_US >= began) {
		text = text_ref(base->text);
		*ret_saved = base->saved;
	}
	pthread_mutex_unlock(&bases->lock);
	return text;
}

/* As old as what it takes the place of: who has the program's number by then does not get it. */
void bases_saved(struct bases *bases, uint32_t relation, const char *name, pid_t program, struct text *text)
{
	const struct base *before;

	pthread_mutex_lock(&bases->lock);
	before = find(bases, relation, program, name);
	if (before)
		replace(bases, relation, program, name, text, before->saved || (text && text != before->text),
			before->noted_us);
	pthread_mutex_unlock(&bases->lock);
}
