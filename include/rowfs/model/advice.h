/* Which part of a table should be in Redis, judged by how it was read. A proposal for people: nothing acts on it. */
#pragma once

#include "rowfs/base/buf.h"
#include "rowfs/model/popularity.h"
#include "rowfs/model/skew.h"

struct advice_facts {
	const struct row_reads *rows; /* the most read first */
	size_t n_rows;
	const struct skew *skew;      /* of them and the rest */
	double row_bytes;             /* what a row takes in Redis, on average */
	bool cacheable;               /* may its rows be in Redis at all? */
	const char *key;              /* its key column, if that is one whole number; else NULL */
};

/* Fewer reads than this say nothing. */
enum { ADVICE_READS = 1000 };

/* The rule as the configuration would have it, and a sentence that says why. */
void advise(const struct advice_facts *facts, struct buf *rule, struct buf *because);
