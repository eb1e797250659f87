/* The statements that a session has prepared, by their SQL text, the least recently used forgotten
 * first.
 *
 * A text is prepared when it comes for the second time: many saves are the only one of their kind,
 * and an unprepared statement costs one round trip, a prepared one two the first time. */
#pragma once

#include <stdbool.h>

#include <uthash.h>

#include "rowfs/base/cleanup.h"

/* A listing and a fetch for each of a few hundred tables; the server keeps a plan for each. */
enum { PREPARED_MAX = 512 };

struct plan {
	char *sql;
	char name[16];
	bool prepared; /* the server knows it by this name */
	UT_hash_handle hh;
};

struct prepared {
	struct plan *plans; /* in the order of their last use */
	unsigned named;
};

void prepared_done(struct prepared *prepared);

/* The plan of this text, now the most recently used, or NULL if it is here for the first time. */
struct plan *prepared_find(struct prepared *prepared, const char *sql);

/* Remember a text. Without memory it is not, which costs time only. */
void prepared_add(struct prepared *prepared, const char *sql);

/* Over the bound: takes the least recently used plan out, for the caller to deallocate on the
 * server if it is prepared, and to free with plan_free(); else NULL. */
struct plan *prepared_overflow(struct prepared *prepared);

void plan_free(struct plan **plan);
