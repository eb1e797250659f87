/* Ownership by scope: a variable marked with one of these is released when it
 * leaves scope, on every path. `f` receives a pointer to the variable. */
#pragma once

#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _must_check_ __attribute__((warn_unused_result))
#define _printf_(fmt, args) __attribute__((format(printf, fmt, args)))
#define _unused_ __attribute__((unused))

static inline void cleanup_free(void *pointer_to_pointer)
{
	free(*(void **)pointer_to_pointer);
}

static inline void cleanup_close(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

#define _cleanup_free_ _cleanup_(cleanup_free)
#define _cleanup_close_ _cleanup_(cleanup_close)

/* The struct that embeds `member` at `pointer`. */
#define container_of(pointer, type, member) \
	((type *)(void *)((char *)(pointer) - __builtin_offsetof(type, member)))
