/* How long the kernel's requests take: from when a handler is called until it returns or, where the request waits for the
 * engine in a call, until that has been answered. */
#pragma once

#include "rowfs/base/timings.h"

/* The request that this thread begins to serve, and that its handler has returned from. */
void timed_begin(enum timing timing);
void timed_end(void);

/* It goes on in a call: to be ended with that. */
struct timed {
	enum timing timing;
	int64_t began_ns; /* 0: nothing */
};
struct timed timed_take(void);
void timed_done(const struct timed *timed);
