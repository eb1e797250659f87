/* Which part of a table should be in Redis, judged by how it was read. A proposal: nothing acts on it
 * unless somebody says so (`rowfs hot --apply`). */
#pragma once

#include "rowfs/base/buf.h"
#include "rowfs/model/popularity.h"
#include "rowfs/model/skew.h"

struct advice_facts {
	const struct row_reads *rows; /* the most read first */
	size_t n_rows;
	const struct skew *skew;      /* of them and the rest */
	double row_bytes;             /* what a row takes in Redis, on average */
	const char *bar;              /* what keeps its rows out of Redis, whatever the rule is; NULL: nothing */
	bool barred_everywhere;       /* on all mounts, that is; else on the one that judges */
	bool pinnable;                /* could rows of it be pinned? */
	const char *key;              /* its key column, if that is one whole number; else NULL */
};

/* Fewer reads than this say nothing. */
enum { ADVICE_READS = 1000 };

/* A rule (model/placement.h), and a sentence that says why. False: nothing is known that would speak for another than
 * there is. */
bool advise(const struct advice_facts *facts, struct buf *rule, struct buf *because);
