/* A stream of numbers below N of which the i-th most frequent comes as often as Zipf's law says: in proportion to
 * 1 / i^exponent. The number is the rank, from 0. */
#pragma once

#include <math.h>

#include "suite.h"

struct zipf {
	size_t n;
	double *until; /* cumulated */
	uint64_t random;
};

static inline void zipf_begin(struct zipf *zipf, size_t n, double exponent, uint64_t seed)
{
	double sum = 0;

	*zipf = (struct zipf){.n = n, .until = calloc(n, sizeof(double)), .random = seed};
	ck_assert_ptr_nonnull(zipf->until);
	for (size_t i = 0; i < n; i++)
		zipf->until[i] = sum += pow((double)i + 1, -exponent);
	for (size_t i = 0; i < n; i++)
		zipf->until[i] /= sum;
}

static inline void zipf_end(struct zipf *zipf)
{
	free(zipf->until);
}

static inline size_t zipf_next(struct zipf *zipf)
{
	double u = (double)(random_next(&zipf->random) >> 11) / (double)(UINT64_C(1) << 53);
	size_t low = 0, high = zipf->n - 1;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (zipf->until[middle] < u)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}
