/* What every test program of the values shares: running a suite, and random numbers that are the
 * same each time unless ROWFS_TEST_SEED says otherwise. */
#pragma once

#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Meson reads the TAP lines; a failed test is told there and not by the status. */
static inline int suite_run(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0 && !getenv("CK_TAP_LOG_FILE_NAME");
}

/* splitmix64 */
static inline uint64_t random_next(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static inline size_t random_below(uint64_t *state, size_t n)
{
	return (size_t)(random_next(state) % n);
}

static inline uint64_t random_seed(void)
{
	const char *given = getenv("ROWFS_TEST_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 10) : 20240229;

	fprintf(stderr, "ROWFS_TEST_SEED=%llu\n", (unsigned long long)seed);
	return seed;
}
