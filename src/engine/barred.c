#include "barred.h"

/* A shared copy must be the same text for all, and not be a standby's. Without xmin nobody can tell two versions of a row
 * apart, which the own-reads rule needs (R6). */
struct reader_bar barred(const struct settings *settings, const struct relation *relation, bool lags, bool feed)
{
	if (relation->row_security)
		return (struct reader_bar){"row security shows each role other rows", true};
	if (relation->by_search_path)
		return (struct reader_bar){"the text of its rows depends on the search_path", true};
	if (feed && !relation->has_xmin)
		return (struct reader_bar){"its rows have no xmin", true};
	if (settings->strong)
		return (struct reader_bar){"consistency=strong", false};
	if (relation->partial)
		return (struct reader_bar){"some of its columns are hidden from this mount's role", false};
	if (lags)
		return (struct reader_bar){"this is the mount of a standby", false};
	if (!feed && (int64_t)(settings->ttl * 1000) <= 0)
		return (struct reader_bar){"ttl=0, and no feed of changes", false};
	return (struct reader_bar){0};
}
