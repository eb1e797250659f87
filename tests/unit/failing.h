/* Memory that runs out when a test says so. The program is linked with --wrap=malloc and
 * --wrap=realloc (see meson.build), so this reaches the library under test, and not libc's or
 * yajl's own calls, which go through the library's. */
#pragma once

#include <stdbool.h>
#include <stdlib.h>

void *__real_malloc(size_t size);
void *__real_realloc(void *bytes, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_realloc(void *bytes, size_t size);

static bool failing;
static unsigned failing_left;

/* Let `n` allocations pass, and none after. */
static inline void failing_after(unsigned n)
{
	failing = true;
	failing_left = n;
}

static inline void failing_stop(void)
{
	failing = false;
}

static inline bool fails(void)
{
	if (!failing)
		return false;
	if (failing_left == 0)
		return true;
	failing_left--;
	return false;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_realloc(void *bytes, size_t size)
{
	return fails() ? NULL : __real_realloc(bytes, size);
}
