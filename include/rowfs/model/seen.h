/* Which names were seen, by a filter of a fixed size (Bloom's): what was seen is known to be; of what was not, a little is
 * taken for it, others the next time, for each filter has a seed of its own. So it is for what is done again and again.
 *
 * A zeroed struct has no filter; it has seen everything. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct seen {
	uint64_t *bits;
	size_t mask; /* bits, less one */
	uint64_t seed;
};

/* Of so many names, about, one in a few hundred of those not seen is taken for one, of more of them more. -ENOMEM: there
 * is no filter. */
int seen_begin(struct seen *seen, uint64_t names, uint64_t seed);
void seen_add(struct seen *seen, const char *name);
bool seen_has(const struct seen *seen, const char *name);
void seen_done(struct seen *seen);
