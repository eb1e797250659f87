#include "entries.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct entries *entries_new(void)
{
	struct entries *entries = calloc(1, sizeof *entries);

	if (entries)
		atomic_init(&entries->refs, 1);
	return entries;
}

struct entries *entries_ref(struct entries *entries)
{
	atomic_fetch_add(&entries->refs, 1);
	return entries;
}

void entries_unref(struct entries *entries)
{
	if (!entries || atomic_fetch_sub(&entries->refs, 1) != 1)
		return;
	buf_done(&entries->names);
	buf_done(&entries->inos);
	free(entries->starts);
	free(entries);
}

/* Room for one more: the array doubles whenever it is full. */
static bool grow(struct entries *entries)
{
	size_t *grown;

	if (entries->n & (entries->n - 1))
		return true;
	grown = realloc(entries->starts, (entries->n ? 2 * entries->n : 1) * sizeof *grown);
	if (grown)
		entries->starts = grown;
	return grown;
}

int entries_add(struct entries *entries, unsigned char type, const char *name)
{
	size_t start = entries->names.len;

	if (!grow(entries))
		return -ENOMEM;
	buf_addc(&entries->names, (char)type);
	buf_add(&entries->names, name, strlen(name) + 1);
	if (entries->names.failed)
		return -ENOMEM;
	entries->starts[entries->n++] = start;
	return 0;
}

int entries_add_extra(struct entries *entries, unsigned char type, uint64_t ino, const char *name)
{
	int r = entries_add(entries, type, name);

	if (r < 0)
		return r;
	buf_add(&entries->inos, &ino, sizeof ino);
	if (entries->inos.failed)
		return -ENOMEM;
	entries->n_extras = entries->n;
	return 0;
}

size_t entries_bytes(const struct entries *entries)
{
	return entries->names.cap + entries->inos.cap + 2 * entries->n * sizeof *entries->starts;
}
