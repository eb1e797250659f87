/* `rowfs warm`: rows of one table that are to be in Redis, or not to be there, because somebody says so: nobody has read
 * them. A load is a read by all rules (engine/reader.h), and what it puts there is lazy like any other: it expires, and Redis
 * may evict it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct engine;
struct preloader;

enum warm_action { WARM_LOAD, WARM_EVICT, WARM_CHECK };

/* What has become of a row. */
enum warm_outcome {
	WARM_UNTRIED,  /* stopped before its turn, or after a failure */
	WARM_DONE,     /* loaded; evicted */
	WARM_THERE,    /* was there already */
	WARM_ABSENT,   /* is not there */
	WARM_NO_ROW,   /* the table has no such row */
	WARM_BARRED,   /* its rows may not be in Redis; the batch says why */
	WARM_FAILED,   /* it could not be read; the batch says why */
	WARM_DOWN,     /* Redis does not answer */
	WARM_UNPROVED, /* no copy could be used now: the feed of changes is not there */
	WARM_BUSY,     /* somebody else is reading or changing it just now */
	WARM_LARGE,    /* its text is too large for Redis */
	WARM_LEFT_OUT, /* it was read, but Redis has not taken it */
	WARM_PINNED,   /* it stays, since the table's placement rule pins it */
	WARM_OUTCOMES,
};

struct warm_row {
	const char *name; /* its file's */
	enum warm_outcome outcome;
};

struct warm_batch {
	uint32_t relation;
	enum warm_action action;
	struct warm_row *rows; /* WARM_UNTRIED before */
	size_t n;
	struct preloader *preloader; /* which others may stop */
	char reason[512]; /* for what is barred or has failed; else "" */
};

/* Do it to each row, in turn, on this thread, which must sit on no seat of the read lane. It ends at the first that
 * fails, or that Redis says nothing of (WARM_DOWN, WARM_UNPROVED). */
void warm_batch_run(struct engine *engine, struct warm_batch *batch);
