/* What edit.c (the text, its name) and edit_commit.c (what becomes of it) share. */
#pragma once

#include <pthread.h>

#include "rowfs/engine/draft.h"
#include "rowfs/engine/edit.h"

struct edit {
	struct engine *engine;
	struct rowref ref;
	struct asker asker;
	char *path;
	pid_t thread_group;
	bool created;
	bool edited; /* the text began as the base's */
	struct name_hold *hold; /* [lock] */

	pthread_mutex_t lock;
	struct draft draft;         /* [lock] */
	uint64_t committed;         /* [lock] generation of it that PostgreSQL has */
	uint64_t refused;           /* [lock] generation that was refused last, 0: none */
	int error;                  /* [lock] why, -errno */
	bool surrendered;           /* [lock] */
	bool unnamed;               /* [lock] */
	bool busy;                  /* [lock] a commit is on its way */
	struct edit_request *waiting; /* [lock] for it to end */

	/* Of the commit on its way; only its task touches these while busy. */
	struct lane_task task;
	enum edit_intent intent;
	struct text *base; /* NULL before an INSERT */
	struct text *belief; /* what the program took the row to be when it opened this handle; NULL once it is the base */
	bool believed;       /* the base is that, or what this handle has saved */
	bool saved;          /* and that is what its program has saved */
	const char *sent;    /* lent by the draft */
	size_t sent_len;
	uint64_t sent_hash;
	uint64_t sent_generation;
	struct edit_request *sender;
};

/* Without a commit on its way, and when nobody else knows it. */
void edit_free(struct edit *edit);
