#include "rowfs/engine/marks.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

struct marks {
	pthread_mutex_t lock; /* of those who mark */
	_Atomic uint64_t now;
	_Atomic uint64_t all;
	_Atomic uint64_t relations[MARKS_RELATIONS]; /* changed as a whole */
	_Atomic uint64_t members[MARKS_RELATIONS];   /* some row of it changed */
	_Atomic uint64_t rows[MARKS_ROWS];
};

int marks_new(struct marks **ret)
{
	struct marks *marks = calloc(1, sizeof *marks);

	if (!marks)
		return -ENOMEM;
	pthread_mutex_init(&marks->lock, NULL);
	*ret = marks;
	return 0;
}

void marks_free(struct marks *marks)
{
	if (!marks)
		return;
	pthread_mutex_destroy(&marks->lock);
	free(marks);
}

uint64_t marks_now(struct marks *marks)
{
	return atomic_load(&marks->now);
}

static _Atomic uint64_t *row_slot(struct marks *marks, uint32_t relation, const char *name)
{
	return &marks->rows[XXH3_64bits_withSeed(name, strlen(name), relation) % MARKS_ROWS];
}

static size_t relation_slot(uint32_t relation)
{
	return (relation * UINT64_C(0x9e3779b97f4a7c15) >> 32) % MARKS_RELATIONS;
}

/* The slots take the number before it is the newest: whoever has seen the number sees them. */
static void mark(struct marks *marks, _Atomic uint64_t *slot, _Atomic uint64_t *other)
{
	uint64_t number;

	pthread_mutex_lock(&marks->lock);
	number = atomic_load(&marks->now) + 1;
	atomic_store(slot, number);
	if (other)
		atomic_store(other, number);
	atomic_store(&marks->now, number);
	pthread_mutex_unlock(&marks->lock);
}

void marks_row(struct marks *marks, uint32_t relation, const char *name)
{
	mark(marks, row_slot(marks, relation, name), &marks->members[relation_slot(relation)]);
}

void marks_relation(struct marks *marks, uint32_t relation)
{
	mark(marks, &marks->relations[relation_slot(relation)], NULL);
}

void marks_all(struct marks *marks)
{
	mark(marks, &marks->all, NULL);
}

static bool whole_touched(struct marks *marks, uint32_t relation, uint64_t since)
{
	return atomic_load(&marks->all) > since ||
	       atomic_load(&marks->relations[relation_slot(relation)]) > since;
}

bool marks_touched(struct marks *marks, uint32_t relation, const char *name, uint64_t since)
{
	return whole_touched(marks, relation, since) ||
	       atomic_load(row_slot(marks, relation, name)) > since;
}

bool marks_relation_touched(struct marks *marks, uint32_t relation, uint64_t since)
{
	return whole_touched(marks, relation, since) ||
	       atomic_load(&marks->members[relation_slot(relation)]) > since;
}
