/* What tests/bench/floor does to a directory of rows, and for how long: system calls and nothing else, so that the ratio of
 * two file systems is not that of two slow programs.
 *
 *   client DIRECTORY read N ROWS SEED [PROCESSES]   open, read, close of N rows in random order, by each of so many processes
 *   client DIRECTORY save N ROWS SEED               open, truncated; write, close: a number in the text becomes another
 *   client DIRECTORY list                           getdents until the end
 *
 * Rows are 1.json … ROWS.json. Prints one line: microseconds in all, the median of one, and the 99.9th percentile. */
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TEXT_MAX = 1 << 20 };

static int directory;
static char text[TEXT_MAX];

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* --- One operation ---------------------------------------------------------------------------- */

static size_t read_row(unsigned long row)
{
	char name[32];
	size_t len = 0;
	ssize_t n;
	int fd;

	snprintf(name, sizeof name, "%lu.json", row);
	fd = openat(directory, name, O_RDONLY);
	if (fd < 0)
		error(1, errno, "%s", name);
	while ((n = read(fd, text + len, sizeof text - len)) > 0)
		len += (size_t)n;
	if (n < 0)
		error(1, errno, "%s", name);
	close(fd);
	return len;
}

/* "n": 0 or 1 becomes the other. */
static void toggle(size_t len)
{
	char *at = memmem(text, len, "\"n\": ", 5);

	if (!at)
		error(1, 0, "a row has no n");
	at[5] ^= 1;
}

static void save_row(unsigned long row, size_t len)
{
	char name[32];
	int fd;

	snprintf(name, sizeof name, "%lu.json", row);
	fd = openat(directory, name, O_WRONLY | O_TRUNC);
	if (fd < 0 || write(fd, text, len) != (ssize_t)len || close(fd) < 0)
		error(1, errno, "%s", name);
}

/* --- Many ------------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void report(int64_t total_ns, int64_t *each, size_t n)
{
	qsort(each, n, sizeof *each, compare);
	printf("%.1f %.2f %.2f\n", (double)total_ns / 1e3, (double)each[n / 2] / 1e3, (double)each[n - 1 - n / 1000] / 1e3);
}

/* `n` of the rows in random order, none twice; the same for the same seed. */
static unsigned long *choose(size_t n, unsigned long rows, unsigned long seed)
{
	unsigned long *all = malloc(rows * sizeof *all);

	if (!all || n > rows)
		error(1, 0, "so many rows are too many");
	for (unsigned long i = 0; i < rows; i++)
		all[i] = i + 1;
	srandom((unsigned)seed);
	for (size_t i = 0; i < n; i++) {
		size_t j = i + (size_t)random() % (rows - i);
		unsigned long row = all[i];

		all[i] = all[j];
		all[j] = row;
	}
	return all;
}

static void run(bool saves, size_t n, unsigned long rows, unsigned long seed)
{
	unsigned long *chosen = choose(n, rows, seed);
	int64_t *each = calloc(n, sizeof *each), total = 0;

	for (size_t i = 0; each && i < n; i++) {
		unsigned long row = chosen[i];
		int64_t began;
		size_t len = 0;

		if (saves) {
			len = read_row(row);
			toggle(len);
		}
		began = now_ns();
		if (saves)
			save_row(row, len);
		else
			read_row(row);
		each[i] = now_ns() - began;
		total += each[i];
	}
	report(total, each, n);
	free(chosen);
	free(each);
}

static void run_together(size_t n, unsigned long rows, unsigned long seed, unsigned long processes)
{
	unsigned long *chosen = choose(n, rows, seed);
	int64_t began = now_ns();
	int status;

	for (unsigned long i = 0; i < processes; i++) {
		if (fork() > 0)
			continue;
		for (size_t j = 0; j < n; j++)
			read_row(chosen[(j + i * n / processes) % n]);
		_exit(0);
	}
	for (unsigned long i = 0; i < processes; i++)
		if (wait(&status) < 0 || status != 0)
			exit(1);
	printf("%.1f 0 0\n", (double)(now_ns() - began) / 1e3);
	free(chosen);
}

static void list(void)
{
	int64_t began = now_ns();
	long n;

	while ((n = syscall(SYS_getdents64, directory, text, 32768)) > 0)
		;
	if (n < 0)
		error(1, errno, "getdents64");
	printf("%.1f 0 0\n", (double)(now_ns() - began) / 1e3);
}

int main(int argc, char **argv)
{
	unsigned long numbers[4] = {0, 1, 1, 1};

	if (argc < 3)
		error(2, 0, "usage: client DIRECTORY read|save|list [N ROWS SEED [PROCESSES]]");
	for (int i = 3; i < argc && i < 7; i++)
		numbers[i - 3] = strtoul(argv[i], NULL, 10);
	directory = open(argv[1], O_RDONLY | O_DIRECTORY);
	if (directory < 0)
		error(1, errno, "%s", argv[1]);
	if (strcmp(argv[2], "list") == 0)
		list();
	else if (numbers[3] > 1)
		run_together(numbers[0], numbers[1], numbers[2], numbers[3]);
	else
		run(strcmp(argv[2], "save") == 0, numbers[0], numbers[1], numbers[2]);
	return 0;
}
