#include "rowfs/base/timings.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#if HAVE_SDT
#include <sys/sdt.h>
#else
#define DTRACE_PROBE2(provider, name, what, ns)
#endif

struct histogram {
	_Atomic uint64_t total_ns;
	_Atomic uint64_t buckets[TIMING_BUCKETS];
};

static struct histogram histograms[TIMING_COUNT];

static const struct {
	const char *family, *label;
} names[] = {
#define X(name, family, label) {family, label},
	TIMINGS(X)
#undef X
};

static const struct {
	const char *family, *help;
} families[] = {
	{"request", "how long the kernel's requests took"},
	{"wait", "how long PostgreSQL, Redis and the kernel took for what they were asked"},
};

int64_t timing_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

int64_t timing_bound_ns(unsigned bucket)
{
	int64_t power = INT64_C(1000) << bucket / 2;

	if (bucket >= TIMING_BUCKETS - 1)
		return INT64_MAX;
	return bucket % 2 ? power + power / 2 : power;
}

unsigned timing_bucket(int64_t ns)
{
	unsigned bucket = 0;

	while (timing_bound_ns(bucket) < ns)
		bucket++;
	return bucket;
}

void timing_add(enum timing timing, int64_t began_ns)
{
	int64_t ns = timing_now_ns() - began_ns;
	struct histogram *histogram = &histograms[timing];

	atomic_fetch_add_explicit(&histogram->total_ns, (uint64_t)ns, memory_order_relaxed);
	atomic_fetch_add_explicit(&histogram->buckets[timing_bucket(ns)], 1, memory_order_relaxed);
	DTRACE_PROBE2(rowfs, took, names[timing].label, ns);
}

static void print_line(const char *family, const char *label, unsigned bucket, uint64_t n, struct buf *out)
{
	buf_addf(out, "rowfs_%s_seconds_bucket{what=\"%s\",le=\"", family, label);
	if (bucket == TIMING_BUCKETS - 1)
		buf_adds(out, "+Inf");
	else
		buf_addf(out, "%.7f", (double)timing_bound_ns(bucket) / 1e9);
	buf_addf(out, "\"} %" PRIu64 "\n", n);
}

static void print(const char *family, const char *label, const struct histogram *histogram, struct buf *out)
{
	uint64_t buckets[TIMING_BUCKETS], n = 0, total = 0;

	for (unsigned i = 0; i < TIMING_BUCKETS; i++) {
		buckets[i] = atomic_load_explicit(&histogram->buckets[i], memory_order_relaxed);
		total += buckets[i];
	}
	if (!total)
		return;
	for (unsigned i = 0; i < TIMING_BUCKETS; i++) {
		n += buckets[i];
		print_line(family, label, i, n, out);
	}
	buf_addf(out, "rowfs_%s_seconds_sum{what=\"%s\"} %.9f\n", family, label,
		 (double)atomic_load_explicit(&histogram->total_ns, memory_order_relaxed) / 1e9);
	buf_addf(out, "rowfs_%s_seconds_count{what=\"%s\"} %" PRIu64 "\n", family, label, total);
}

void timings_print(struct buf *out)
{
	for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
		buf_addf(out, "# HELP rowfs_%s_seconds %s\n# TYPE rowfs_%s_seconds histogram\n", families[i].family,
			 families[i].help, families[i].family);
		for (int j = 0; j < TIMING_COUNT; j++)
			if (strcmp(names[j].family, families[i].family) == 0)
				print(names[j].family, names[j].label, &histograms[j], out);
	}
}
