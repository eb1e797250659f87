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
	buf_done(&entries->starts);
	free(entries);
}

int entries_add(struct entries *entries, unsigned char type, const char *name)
{
	uint32_t start = (uint32_t)entries->names.len;

	if (entries->n % ENTRIES_STEP == 0)
		buf_add(&entries->starts, &start, sizeof start);
	buf_addc(&entries->names, (char)type);
	buf_add(&entries->names, name, strlen(name) + 1);
	if (entries->names.failed || entries->starts.failed)
		return -ENOMEM;
	entries->n++;
	return 0;
}

static const char *entry(const struct entries *entries, size_t i)
{
	const char *at = entries->names.data;
	uint32_t start;

	memcpy(&start, entries->starts.data + i / ENTRIES_STEP * sizeof start, sizeof start);
	at += start;
	for (size_t n = i % ENTRIES_STEP; n > 0; n--)
		at += strlen(at + 1) + 2;
	return at;
}

unsigned char entries_type(const struct entries *entries, size_t i)
{
	return (unsigned char)*entry(entries, i);
}

const char *entries_name(const struct entries *entries, size_t i)
{
	return entry(entries, i) + 1;
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
	return entries->names.len + entries->inos.len + entries->starts.len;
}
