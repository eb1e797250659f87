/* Time. Deadlines and ages use the monotonic clock, which no one sets. */
#pragma once

#include <stdint.h>
#include <time.h>

static inline int64_t clock_us(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* Microseconds and milliseconds of the monotonic clock. */
static inline int64_t clock_monotonic_us(void)
{
	return clock_us(CLOCK_MONOTONIC);
}

/* The same, and it goes on while the machine sleeps: for deadlines that are somebody else's. */
static inline int64_t clock_boottime_us(void)
{
	return clock_us(CLOCK_BOOTTIME);
}

static inline int64_t clock_monotonic_ms(void)
{
	return clock_monotonic_us() / 1000;
}

/* Wait, or less if a signal comes. */
static inline void clock_pause_us(int64_t us)
{
	nanosleep(&(struct timespec){us / 1000000, us % 1000000 * 1000}, NULL);
}
