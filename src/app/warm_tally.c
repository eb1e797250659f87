#include "warm_tally.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record.h"
#include "rowfs/base/buf.h"

static const char *const reasons[WARM_OUTCOMES] = {
	[WARM_NO_ROW] = "there is no such row",
	[WARM_DOWN] = "Redis does not answer",
	[WARM_UNPROVED] = "no copy would count now: no heartbeat stands, or the feed of changes does not cover the table yet",
	[WARM_BUSY] = "somebody is reading or changing it just now; try again",
	[WARM_LARGE] = "its text, or the part of it that columns= names, is too large for a copy",
	[WARM_LEFT_OUT] = "Redis did not take it: it is full, or the row was changed meanwhile",
	[WARM_PINNED] = "the table's placement rule pins it",
};

static void add_missed(struct warm_tally *tally, size_t n, const char *why)
{
	for (int i = 0; i < WARM_REASONS; i++) {
		if (!tally->missed[i].why)
			tally->missed[i].why = strdup(why);
		if (tally->missed[i].why && strcmp(tally->missed[i].why, why) == 0) {
			tally->missed[i].n += n;
			return;
		}
	}
	tally->others += n;
}

void warm_tally_add(struct warm_tally *tally, enum warm_outcome outcome, size_t n, bool named, const char *reason)
{
	if (outcome == WARM_DONE)
		tally->done += n;
	else if (outcome == WARM_THERE)
		tally->there += n;
	else if (outcome == WARM_ABSENT)
		tally->absent += n;
	else if (outcome == WARM_NO_ROW && !named)
		tally->gone += n;
	else
		add_missed(tally, n, outcome < WARM_OUTCOMES && reasons[outcome] ? reasons[outcome] :
				     reason[0] ? reason : "nobody knows why");
}

void warm_tally_done(struct warm_tally *tally)
{
	for (int i = 0; i < WARM_REASONS; i++)
		free(tally->missed[i].why);
	*tally = (struct warm_tally){0};
}

static void line(size_t n, const char *what, bool always, struct buf *out)
{
	if (n || always)
		buf_addf(out, "%zu %s\n", n, what);
}

static void print_missed(const struct warm_tally *tally, const char *what, struct buf *out)
{
	for (int i = 0; i < WARM_REASONS && tally->missed[i].n; i++) {
		buf_addf(out, "%zu %s: ", tally->missed[i].n, what);
		record_show(tally->missed[i].why, out);
		buf_addc(out, '\n');
	}
	if (tally->others)
		buf_addf(out, "%zu %s, for other reasons\n", tally->others, what);
}

bool warm_tally_print(const struct warm_tally *tally, enum warm_action action)
{
	_cleanup_buf_ struct buf out = {0};

	switch (action) {
	case WARM_LOAD:
		line(tally->done, "loaded", true, &out);
		line(tally->there, "there already", false, &out);
		print_missed(tally, "not loaded", &out);
		break;
	case WARM_EVICT:
		line(tally->done, "evicted", true, &out);
		line(tally->absent, "not there", false, &out);
		print_missed(tally, "not evicted", &out);
		break;
	case WARM_CHECK:
		line(tally->there, "there", true, &out);
		line(tally->absent, "not there", false, &out);
		print_missed(tally, "not there", &out);
		break;
	}
	line(tally->gone, "gone meanwhile", false, &out);
	return !out.failed && fputs(out.data, stdout) >= 0 && fflush(stdout) == 0;
}

bool warm_tally_is_whole(const struct warm_tally *tally, enum warm_action action)
{
	return !tally->missed[0].n && !tally->others && (action == WARM_EVICT || !tally->absent);
}
