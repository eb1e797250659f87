#include "snapshot.h"

#include <errno.h>
#include <stdlib.h>

/* Digits up to `end`, which is passed over; false if it is something else. */
static bool take_number(const char **at, char end, uint64_t *ret)
{
	char *stop;

	if (**at < '0' || **at > '9')
		return false;
	errno = 0;
	*ret = strtoull(*at, &stop, 10);
	if (errno || (*stop != end && *stop != '\0'))
		return false;
	*at = stop + (*stop == end && *stop != '\0');
	return true;
}

static size_t count_listed(const char *list)
{
	size_t n = *list != '\0';

	for (; *list; list++)
		n += *list == ',';
	return n;
}

int snapshot_parse(const char *text, struct snapshot *ret)
{
	struct snapshot snapshot = {0};
	uint64_t oldest;
	size_t n;

	if (!take_number(&text, ':', &oldest) || !take_number(&text, ':', &snapshot.next))
		return -EPROTO;
	n = count_listed(text);
	snapshot.running = calloc(n + 1, sizeof(*snapshot.running));
	if (!snapshot.running)
		return -ENOMEM;
	while (snapshot.n < n) {
		if (!take_number(&text, ',', &snapshot.running[snapshot.n++])) {
			free(snapshot.running);
			return -EPROTO;
		}
	}
	snapshot_done(ret);
	*ret = snapshot;
	return 0;
}

void snapshot_done(struct snapshot *snapshot)
{
	free(snapshot->running);
	*snapshot = (struct snapshot){0};
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

bool snapshot_ended(const struct snapshot *snapshot, uint64_t xid)
{
	if (xid >= snapshot->next)
		return false;
	return snapshot->n == 0 ||
	       !bsearch(&xid, snapshot->running, snapshot->n, sizeof(*snapshot->running), compare);
}

bool snapshot_drained(const struct snapshot *older, const struct snapshot *newer)
{
	for (size_t i = 0; i < older->n; i++)
		if (!snapshot_ended(newer, older->running[i]))
			return false;
	return true;
}
