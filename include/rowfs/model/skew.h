/* How unevenly reads fall on rows, and how few rows would serve how many of them.
 *
 * Popularity mostly follows Zipf's law: the i-th most read row is read in proportion to 1 / i^exponent. 0 is evenly; at
 * 1 a hundredth of a million rows has two thirds of the reads. Of the most read rows the counts are known; the line that
 * fits their logarithms goes on where they end, for as many rows as the other reads need. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct skew {
	const uint64_t *counts; /* borrowed; the most read first */
	size_t n;               /* of those */
	double total;           /* reads, of all rows */
	double exponent, scale; /* row i beyond those has scale / i^exponent reads */
	double rows;            /* rows that were read at all, about */
};

/* `counts` are in falling order and stay the caller's; `total` is at least their sum. */
void skew_fit(const uint64_t *counts, size_t n, uint64_t total, struct skew *ret);

/* The smallest number of rows that have this share of all reads, from 0 to 1. */
double skew_rows_for(const struct skew *skew, double share);
