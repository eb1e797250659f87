#include "profile_command.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "read_file.h"
#include "rowfs/base/clock.h"
#include "rowfs/base/timings.h"
#include "say.h"

enum { SECONDS = 10, SECONDS_MAX = 86400, KINDS_MAX = 64 };

/* One kind of request or wait, as the metrics have it. */
struct kind {
	char family[16], what[32];
	double seconds;
	uint64_t up_to[TIMING_BUCKETS]; /* how many took no longer than that */
	unsigned n_buckets;
};

struct profile {
	struct kind kinds[KINDS_MAX];
	unsigned n;
};

/* --- Reading the metrics --------------------------------------------------------------------- */

static struct kind *kind_of(struct profile *profile, const char *family, const char *what)
{
	for (unsigned i = 0; i < profile->n; i++)
		if (strcmp(profile->kinds[i].family, family) == 0 && strcmp(profile->kinds[i].what, what) == 0)
			return &profile->kinds[i];
	if (profile->n == KINDS_MAX)
		return NULL;
	struct kind *kind = &profile->kinds[profile->n++];

	snprintf(kind->family, sizeof kind->family, "%s", family);
	snprintf(kind->what, sizeof kind->what, "%s", what);
	return kind;
}

/* rowfs_FAMILY_seconds_bucket{what="WHAT",le="…"} N, in the order of le; or _sum{what="WHAT"} SECONDS. */
static void take_line(struct profile *profile, const char *line)
{
	char family[16], suffix[8], what[32];
	const char *value = strrchr(line, ' ');
	struct kind *kind;

	if (!value || sscanf(line, "rowfs_%15[a-z]_seconds_%7[a-z]{what=\"%31[^\"]\"", family, suffix, what) != 3)
		return;
	kind = kind_of(profile, family, what);
	if (kind && strcmp(suffix, "sum") == 0)
		kind->seconds = strtod(value, NULL);
	else if (kind && strcmp(suffix, "bucket") == 0 && kind->n_buckets < TIMING_BUCKETS)
		kind->up_to[kind->n_buckets++] = strtoull(value, NULL, 10);
}

static enum exit_code look(const char *mountpoint, struct profile *ret)
{
	_cleanup_buf_ struct buf metrics = {0};
	enum exit_code code = read_report(mountpoint, "metrics", &metrics);
	char *rest = NULL;

	*ret = (struct profile){0};
	if (code)
		return code;
	for (char *line = strtok_r(metrics.data, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		take_line(ret, line);
	return EXIT_DONE;
}

/* `now` becomes what came after `before`. False: it did not, since the mount is another. */
static bool subtract(struct profile *now, struct profile *before)
{
	for (unsigned i = 0; i < now->n; i++) {
		struct kind *kind = &now->kinds[i], *earlier = kind_of(before, kind->family, kind->what);

		for (unsigned j = 0; earlier && j < earlier->n_buckets; j++) {
			if (kind->up_to[j] < earlier->up_to[j])
				return false;
			kind->up_to[j] -= earlier->up_to[j];
		}
		kind->seconds -= earlier ? earlier->seconds : 0;
	}
	return true;
}

/* --- Printing -------------------------------------------------------------------------------- */

static uint64_t count_of(const struct kind *kind)
{
	return kind->up_to[TIMING_BUCKETS - 1];
}

static void print_time(double ns)
{
	if (ns < 1e6)
		printf(" %8.3g µs", ns / 1e3);
	else if (ns < 1e9)
		printf(" %8.3g ms", ns / 1e6);
	else
		printf(" %8.3g s ", ns / 1e9);
}

/* So long at most did this share of them take, to the width of a bucket, within which they are taken to be spread evenly. */
static void print_quantile(const struct kind *kind, double share)
{
	double rank = share * (double)count_of(kind);
	unsigned bucket = 0;
	double low, high, below;

	while ((double)kind->up_to[bucket] < rank)
		bucket++;
	if (bucket == TIMING_BUCKETS - 1) {
		printf("   longer   ");
		return;
	}
	low = bucket ? (double)timing_bound_ns(bucket - 1) : 0;
	high = (double)timing_bound_ns(bucket);
	below = bucket ? (double)kind->up_to[bucket - 1] : 0;
	print_time(low + (high - low) * (rank - below) / ((double)kind->up_to[bucket] - below));
}

static double total_of(const struct profile *profile, const char *family)
{
	double total = 0;

	for (unsigned i = 0; i < profile->n; i++)
		if (strcmp(profile->kinds[i].family, family) == 0)
			total += profile->kinds[i].seconds;
	return total;
}

/* The share is that of the time of all requests: of what is waited for, too, though not every request waits for it. */
static void print_family(const struct profile *profile, const char *family, const char *title, double seconds)
{
	double total = total_of(profile, "request");

	printf("%-20s %9s %9s %11s %11s %11s %11s %6s\n", title, "calls", "a second", "median", "99 %", "99.9 %", "together",
	       "share");
	for (unsigned i = 0; i < profile->n; i++) {
		const struct kind *kind = &profile->kinds[i];

		if (strcmp(kind->family, family) != 0 || !count_of(kind))
			continue;
		printf("%-20s %9" PRIu64 " %9.0f", kind->what, count_of(kind), (double)count_of(kind) / seconds);
		print_quantile(kind, 0.5);
		print_quantile(kind, 0.99);
		print_quantile(kind, 0.999);
		print_time(kind->seconds * 1e9);
		printf(" %4.0f %%\n", total > 0 ? 100 * kind->seconds / total : 0);
	}
}

/* --- The command ----------------------------------------------------------------------------- */

static volatile sig_atomic_t interrupted;

static void interrupt(int signal)
{
	interrupted = 1;
}

static bool read_arguments(int argc, char **argv, long *ret_seconds)
{
	char nothing[] = "", *end = nothing;

	*ret_seconds = SECONDS;
	if (argc < 2 || argc > 3 || argv[1][0] == '-')
		return false;
	errno = 0;
	if (argc == 3)
		*ret_seconds = strtol(argv[2], &end, 10);
	return !*end && !errno && *ret_seconds > 0 && *ret_seconds <= SECONDS_MAX && (argc < 3 || end > argv[2]);
}

enum exit_code profile_run(int argc, char **argv)
{
	static struct profile before, now; /* large */
	int64_t began_us, until_us;
	enum exit_code code;
	double seconds;
	long wanted;

	if (!read_arguments(argc, argv, &wanted)) {
		say("usage: rowfs profile MOUNTPOINT [SECONDS]        (1 to %d; without, %d)", SECONDS_MAX, SECONDS);
		return EXIT_USAGE;
	}
	code = look(argv[1], &before);
	if (code)
		return code;
	began_us = clock_monotonic_us();
	until_us = began_us + wanted * 1000000;
	sigaction(SIGINT, &(struct sigaction){.sa_handler = interrupt}, NULL);
	while (!interrupted && clock_monotonic_us() < until_us)
		clock_pause_us(until_us - clock_monotonic_us() < 100000 ? 10000 : 100000);
	code = look(argv[1], &now);
	if (code)
		return code;
	seconds = (double)(clock_monotonic_us() - began_us) / 1e6;
	if (!subtract(&now, &before)) {
		say("%s: it was mounted anew meanwhile", argv[1]);
		return EXIT_MOUNTPOINT;
	}
	printf("%.1f seconds\n\n", seconds);
	print_family(&now, "request", "asked by the kernel", seconds);
	printf("\n");
	print_family(&now, "wait", "waited for", seconds);
	return fflush(stdout) == 0 ? EXIT_DONE : EXIT_INTERNAL;
}
