#include "rowfs/model/skew.h"

#include <math.h>

/* A row read less often than this tells more of chance than of its rank. */
enum { SURE = 8 };

/* Ranks are looked at in steps of a quarter, so that each part of the line counts alike: there are as many ranks from
 * 1,000 to 1,250 as in all before 250. */
static const double step = 1.25;

/* Beyond this many rows a line is no knowledge. */
static const double rows_max = 1e9;

struct line {
	double n, x, y, xx, xy;
};

static void add_point(struct line *line, double rank, double count)
{
	double x = log(rank), y = log(count);

	line->n++;
	line->x += x;
	line->y += y;
	line->xx += x * x;
	line->xy += x * y;
}

/* Least squares; evenly where there are too few points for a slope. */
static double slope(const struct line *line)
{
	double spread = line->n * line->xx - line->x * line->x;

	return line->n < 3 || spread <= 0 ? 0 : (line->n * line->xy - line->x * line->y) / spread;
}

/* Reads of the ranks after `from` up to `to`: the sum is near its integral between the half ranks. */
static double tail(const struct skew *skew, double from, double to)
{
	double s = 1 - skew->exponent, a = from + 0.5, b = to + 0.5;

	if (fabs(s) < 1e-9)
		return skew->scale * log(b / a);
	return skew->scale * (pow(b, s) - pow(a, s)) / s;
}

/* Up to which rank do those after `from` have so many reads? */
static double reach(const struct skew *skew, double from, double reads)
{
	double low = from, high = rows_max;

	if (tail(skew, from, high) < reads)
		return high;
	while (high - low > 0.5) {
		double middle = (low + high) / 2;

		if (tail(skew, from, middle) < reads)
			low = middle;
		else
			high = middle;
	}
	return high;
}

static double sum(const struct skew *skew)
{
	double reads = 0;

	for (size_t i = 0; i < skew->n; i++)
		reads += (double)skew->counts[i];
	return reads;
}

void skew_fit(const uint64_t *counts, size_t n, uint64_t total, struct skew *ret)
{
	struct line line = {0};
	double known;

	*ret = (struct skew){.counts = counts, .n = n, .total = (double)total, .rows = (double)n};
	for (double rank = 1; rank <= (double)n && counts[(size_t)rank - 1] >= SURE; rank = floor(rank * step) + 1)
		add_point(&line, rank, (double)counts[(size_t)rank - 1]);
	ret->exponent = fmax(0, -slope(&line));
	known = sum(ret);
	if (known > ret->total)
		ret->total = known;
	if (!n || known >= ret->total)
		return;
	ret->scale = line.n ? exp((line.y + ret->exponent * line.x) / line.n) : 1;
	ret->rows = reach(ret, (double)n, ret->total - known);
}

double skew_rows_for(const struct skew *skew, double share)
{
	double left = skew->total * share;

	for (size_t i = 0; i < skew->n; i++) {
		if (left <= 0)
			return (double)i;
		left -= (double)skew->counts[i];
	}
	return left <= 0 || skew->rows <= (double)skew->n ? (double)skew->n :
							     fmin(skew->rows, reach(skew, (double)skew->n, left));
}
