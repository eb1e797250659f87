/* How far something is that takes a while: a bar that moves on a terminal, else a line from time to time. On stderr, so
 * that what comes out at the end stays apart. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct progress {
	const char *what; /* "rows" */
	size_t total, done;
	bool terminal;
	int64_t began_ms, due_ms, pause_ms;
};

void progress_begin(struct progress *progress, const char *what, size_t total);
void progress_step(struct progress *progress, size_t done); /* so many in all */
void progress_end(struct progress *progress);
