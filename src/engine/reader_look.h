/* What a reader has, and how it looks into Redis. */
#pragma once

#include "rowfs/engine/copy.h"
#include "rowfs/engine/own.h"
#include "rowfs/engine/reader.h"

struct flight;

struct reader {
	struct reader_parts parts;
	int64_t ttl_ms;
	atomic_bool feed; /* copies are proved by it */
	struct own *own;
	_Atomic uint64_t breaks; /* of Redis' connections, that were heeded */
	pthread_mutex_t lock;
	struct flight *flights; /* [lock] those that may be joined */
	struct flight *under_way; /* [lock] */
};

/* What Redis has to say about a row. */
enum outcome {
	USABLE,
	PARTIAL, /* some columns; what PostgreSQL says of the others completes them */
	FILL,    /* nothing; what PostgreSQL says may be put there */
	REPLACE, /* a value that is no good to anybody; the same */
	FOREIGN, /* a copy that others may use; the same, unless it is pinned */
	AWAITED, /* somebody is about to fill it, unless his lease has no end */
	ASK,     /* nothing that may be used or replaced */
};

/* What was asked of Redis, and under which proof. */
struct question {
	bool feed;
	struct cache_proof proof;
	struct buf value; /* what the key holds */
};

void question_done(struct question *question);

#define _cleanup_question_ _cleanup_(question_done)

void reader_print_key(const struct rowref *ref, bool feed, struct buf *out);
struct copy_terms reader_terms(const struct reader *reader, bool feed, const struct cache_proof *proof);

/* `ret`: the copy, if USABLE, which is a bare one only if the request allows that; and if PARTIAL, which is a bare one. What
 * the key holds is the question's, zeroed before. */
enum outcome reader_look(struct reader *reader, const struct rowref *ref, const struct read_request *request,
			 struct question *question, struct text **ret);
