/* What became of the rows of `rowfs warm`: how many are what they should be, and how many are not, for which reason. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "rowfs/engine/warm.h"

/* A reason of more than so many kinds counts as another. */
enum { WARM_REASONS = 16 };

struct warm_tally {
	size_t done, there, absent, gone;
	struct {
		char *why;
		size_t n;
	} missed[WARM_REASONS];
	size_t others;
};

/* `named`: that there is no such row is a failure; else it has gone meanwhile. `reason`: what the mount said. */
void warm_tally_add(struct warm_tally *tally, enum warm_outcome outcome, size_t n, bool named, const char *reason);
void warm_tally_done(struct warm_tally *tally);

/* On stdout; false if that failed. */
bool warm_tally_print(const struct warm_tally *tally, enum warm_action action);

/* Is every row what it should be: in Redis; or not there, after an eviction? */
bool warm_tally_is_whole(const struct warm_tally *tally, enum warm_action action);
