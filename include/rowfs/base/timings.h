/* How long things take: a histogram for each kind, which .rowfs/metrics prints and `rowfs profile` compares. To time
 * something costs two looks at the clock and two relaxed atomic adds, so it is always on; from any thread. */
#pragma once

#include <stdint.h>

#include "rowfs/base/buf.h"

/* Requests of the kernel by their name in its protocol, from when they are taken until they are answered; and what they
 * wait for. */
#define TIMINGS(X)                                    \
	X(LOOKUP, "request", "LOOKUP")                \
	X(FORGET, "request", "FORGET")                \
	X(GETATTR, "request", "GETATTR")              \
	X(SETATTR, "request", "SETATTR")              \
	X(OPENDIR, "request", "OPENDIR")              \
	X(READDIR, "request", "READDIR")              \
	X(READDIRPLUS, "request", "READDIRPLUS")      \
	X(RELEASEDIR, "request", "RELEASEDIR")        \
	X(OPEN, "request", "OPEN")                    \
	X(CREATE, "request", "CREATE")                \
	X(READ, "request", "READ")                    \
	X(WRITE, "request", "WRITE")                  \
	X(FLUSH, "request", "FLUSH")                  \
	X(FSYNC, "request", "FSYNC")                  \
	X(RELEASE, "request", "RELEASE")              \
	X(UNLINK, "request", "UNLINK")                \
	X(RENAME, "request", "RENAME")                \
	X(OTHER, "request", "other")                  \
	X(STORE_READ, "wait", "PostgreSQL, reading")  \
	X(STORE_WRITE, "wait", "PostgreSQL, writing") \
	X(REDIS, "wait", "Redis")                     \
	X(NOTICE, "wait", "notices to the kernel")

enum timing {
#define X(name, family, label) TIMING_##name,
	TIMINGS(X)
#undef X
	TIMING_COUNT
};

/* Nanoseconds of the clock that timings go by. */
int64_t timing_now_ns(void);

/* It began then and has just ended. Whoever traces the program meets the probe rowfs:took(label, nanoseconds) here, if it was
 * built with systemtap-sdt-dev. */
void timing_add(enum timing timing, int64_t began_ns);

/* Steps of a half and of a third in turn: 1, 1.5, 2, 3, 4, 6 … µs; the last has no end. Which one a duration is in, and up
 * to how many nanoseconds it goes (INT64_MAX: the last). */
enum { TIMING_BUCKETS = 48 };
unsigned timing_bucket(int64_t ns);
int64_t timing_bound_ns(unsigned bucket);

/* All of them as histograms of Prometheus' text format, but for those of what never happened. */
void timings_print(struct buf *out);
