#include "rowfs/model/advice.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>

/* If fewer reads than this come back to a row that was read before, copies serve next to nobody. */
static const double back_worth = 0.2;

/* So many of the rows for four fifths of the reads: few. */
static const double few = 0.2;

/* The highest tenth of the keys with four fifths of the reads is a range worth naming. Among fewer rows it is chance. */
static const double range_reads = 0.8, range_keys = 0.1;
enum { RANGE_ROWS = 100 };

/* So much of Redis for one table nobody minds. */
static const double small_bytes = 64 << 20;

/* A whole number, not negative, as a file name has it. */
static bool read_key(const char *name, uint64_t *ret)
{
	char *end;

	if (!isdigit((unsigned char)name[0]))
		return false;
	*ret = strtoull(name, &end, 10);
	return *end == '.';
}

/* Of the known reads: which part is of keys from `from` on? */
static double share_from(const struct advice_facts *facts, uint64_t from)
{
	double all = 0, high = 0;
	uint64_t key;

	for (size_t i = 0; i < facts->n_rows; i++) {
		if (!read_key(facts->rows[i].name, &key))
			continue;
		all += (double)facts->rows[i].count;
		high += key >= from ? (double)facts->rows[i].count : 0;
	}
	return all > 0 ? high / all : 0;
}

/* Where the highest tenth of the keys that were read begins, if most reads are there. */
static bool find_range(const struct advice_facts *facts, uint64_t *ret)
{
	uint64_t low = UINT64_MAX, high = 0, key;

	if (!facts->pinnable || !facts->key || facts->n_rows < RANGE_ROWS)
		return false;
	for (size_t i = 0; i < facts->n_rows; i++) {
		if (!read_key(facts->rows[i].name, &key))
			return false;
		low = key < low ? key : low;
		high = key > high ? key : high;
	}
	*ret = high - (uint64_t)((double)(high - low) * range_keys);
	return share_from(facts, *ret) >= range_reads;
}

static void print_bytes(double bytes, struct buf *out)
{
	if (bytes < 1 << 20)
		buf_addf(out, "%.0f KiB", bytes / 1024 + 0.5);
	else
		buf_addf(out, "%.1f MiB", bytes / (1 << 20));
}

/* Quoted, whatever it is called: it may be a word of SQL's own. */
static void print_column(const char *name, struct buf *out)
{
	buf_addc(out, '"');
	for (; *name; name++) {
		buf_addc(out, *name);
		if (*name == '"')
			buf_addc(out, '"');
	}
	buf_addc(out, '"');
}

/* Evenly, so that any part of the rows serves just that part of the reads. */
static void advise_even(const struct advice_facts *facts, struct buf *rule, struct buf *because)
{
	double bytes = facts->skew->rows * facts->row_bytes;
	bool part = bytes > small_bytes && facts->pinnable;

	buf_adds(rule, part ? "hash=1/4" : "place=lazy");
	buf_addf(because, "the reads fall evenly (exponent %.2f): all of its %.0f rows take about ",
		 facts->skew->exponent, facts->skew->rows);
	print_bytes(bytes, because);
	if (part)
		buf_adds(because, "; a fixed quarter of them serves a quarter of the reads, and none pushes another out");
}

static void advise_barred(const struct advice_facts *facts, struct buf *rule, struct buf *because)
{
	buf_adds(rule, facts->barred_everywhere ? "place=off" : "place=lazy");
	buf_addf(because, facts->barred_everywhere ? "its rows may not be in Redis anyway: %s" :
						     "this mount cannot tell, since it keeps its rows out of Redis: %s",
		 facts->bar);
}

bool advise(const struct advice_facts *facts, struct buf *rule, struct buf *because)
{
	const struct skew *skew = facts->skew;
	double most = skew_rows_for(skew, 0.8), back = 0;
	uint64_t from;

	/* The rows are an estimate, and may be more than the reads. */
	if (skew->rows < skew->total)
		back = 1 - skew->rows / skew->total;
	if (facts->bar) {
		advise_barred(facts, rule, because);
		return facts->barred_everywhere;
	}
	if (skew->total < ADVICE_READS) {
		buf_adds(rule, "place=lazy");
		buf_addf(because, "%.0f reads are too few to tell", skew->total);
		return false;
	}
	if (back < back_worth) {
		buf_adds(rule, "place=off");
		buf_addf(because, "only %.0f %% of the reads come back to a row that was read before", 100 * back);
	} else if (find_range(facts, &from)) {
		buf_adds(rule, "hot=");
		print_column(facts->key, rule);
		buf_addf(rule, " >= %" PRIu64, from);
		buf_addf(because, "%.0f %% of the reads of the most read rows are of the highest tenth of their keys",
			 100 * share_from(facts, from));
	} else if (most <= few * skew->rows || skew->exponent >= 0.5) {
		buf_adds(rule, "place=lazy");
		buf_addf(because, "%.0f of about %.0f rows serve 80 %% of the reads, in ", most, skew->rows);
		print_bytes(most * facts->row_bytes, because);
		buf_adds(because, "; they come in by being read");
	} else {
		advise_even(facts, rule, because);
	}
	return true;
}
