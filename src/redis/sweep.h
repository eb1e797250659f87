/* One command over many keys, as long as they may be:
 *
 *   UNLINK k1 … k500    UNLINK k501 … k1000    UNLINK k1001 …
 *   └──────────────── at most SWEEP_WINDOW unanswered ──────┘
 *
 * A piece has at most SWEEP_KEYS keys, each of bounded length, so neither the memory here nor the
 * time for which Redis serves nobody else grows with their number; and the window keeps what either
 * side has to hold for the other small. Every reply is awaited. */
#pragma once

#include "connection.h"

enum { SWEEP_KEYS = 500, SWEEP_WINDOW = 4 };

struct sweep {
	const char *command; /* "UNLINK", "MGET", "MSET" */
	const char *prefix;  /* before every key */
	const char *value;   /* after every key, as MSET wants it, or NULL */

	/* The next key without the prefix, valid until the next call. */
	const char *(*next)(void *arg);

	/* Called with every reply that is no error. 0 or -errno. */
	int (*reply)(void *arg, const redisReply *reply);
	void *arg;
};

/* Over the next `n` keys. Each reply has `timeout_ms` to come, after the one before it: the whole
 * may take longer. 0; -errno, or what an error reply means, with the reason. After a failure,
 * close. */
int sweep_run(const struct sweep *sweep, struct connection *connection,
              const struct address *address, size_t n, int timeout_ms,
              struct error *e) _must_check_;
