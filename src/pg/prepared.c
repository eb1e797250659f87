#include "prepared.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void plan_free(struct plan **plan)
{
	if (!*plan)
		return;
	free((*plan)->sql);
	free(*plan);
	*plan = NULL;
}

void prepared_done(struct prepared *prepared)
{
	struct plan *plan, *next;

	HASH_ITER (hh, prepared->plans, plan, next) {
		HASH_DEL(prepared->plans, plan);
		plan_free(&plan);
	}
}

/* uthash keeps the order of insertion; without memory it leaves `hh.tbl` NULL. */
static bool append(struct prepared *prepared, struct plan *plan)
{
	HASH_ADD_KEYPTR(hh, prepared->plans, plan->sql, strlen(plan->sql), plan);
	return plan->hh.tbl != NULL;
}

struct plan *prepared_find(struct prepared *prepared, const char *sql)
{
	struct plan *plan;

	HASH_FIND_STR(prepared->plans, sql, plan);
	if (!plan)
		return NULL;
	HASH_DEL(prepared->plans, plan);
	if (append(prepared, plan))
		return plan;
	plan_free(&plan);
	return NULL;
}

void prepared_add(struct prepared *prepared, const char *sql)
{
	struct plan *plan = calloc(1, sizeof(*plan));

	if (!plan)
		return;
	plan->sql = strdup(sql);
	/* A name is never used twice, so what became of the old one does not matter. */
	snprintf(plan->name, sizeof(plan->name), "rowfs_%u", prepared->named++);
	if (!plan->sql || !append(prepared, plan))
		plan_free(&plan);
}

struct plan *prepared_overflow(struct prepared *prepared)
{
	struct plan *oldest = prepared->plans;

	if (HASH_COUNT(prepared->plans) <= PREPARED_MAX)
		return NULL;
	HASH_DEL(prepared->plans, oldest);
	return oldest;
}
