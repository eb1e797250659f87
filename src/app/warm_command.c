#include "warm_command.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "progress.h"
#include "rowfs/base/clock.h"
#include "rowfs/fuse/warm.h"
#include "say.h"
#include "warm_rows.h"
#include "warm_tally.h"

static const char usage[] = "usage: rowfs warm PATTERN... [--evict|--check]; a PATTERN is a row's file, a directory, "
			    "or what the shell would make many of them of, in quotes";

/* So many rows that fail, one after the other: the rest of the table is given up, since each may take as long as
 * PostgreSQL's timeout. */
enum { FAILURES_MAX = 3 };

/* Redis is asked again for so long: a mount that has waited 50 ms in vain does not ask it until a probe was answered, and
 * a table that was just made is not fed yet. */
enum { PATIENCE_MS = 5000, PAUSE_MS = 200 };

struct request {
	enum warm_action action;
	struct warm_rows rows;
	struct warm_tally tally;
	struct progress progress;
};

static void request_done(struct request *request)
{
	warm_rows_done(&request->rows);
	warm_tally_done(&request->tally);
}

static enum exit_code read_arguments(int argc, char **argv, struct request *request)
{
	enum exit_code code = EXIT_DONE;
	int words = 0;

	for (int i = 1; i < argc; i++) {
		struct error e = {0};

		if (argv[i][0] != '-') {
			words++;
			if (warm_rows_add(&request->rows, argv[i], &e) < 0) {
				say_error(&e);
				code = e.err == ENOMEM ? EXIT_INTERNAL : EXIT_MOUNTPOINT;
			}
		} else if (request->action == WARM_LOAD && strcmp(argv[i], "--evict") == 0) {
			request->action = WARM_EVICT;
		} else if (request->action == WARM_LOAD && strcmp(argv[i], "--check") == 0) {
			request->action = WARM_CHECK;
		} else {
			words = 0;
			break;
		}
	}
	if (words)
		return code;
	say("%s", usage);
	return EXIT_USAGE;
}

/* As many names as there is room for. */
static void fill(struct warm_exchange *exchange, const char *names, size_t n)
{
	size_t len = 0;

	for (exchange->n = 0; exchange->n < n && exchange->n < WARM_ROWS_MAX; exchange->n++) {
		size_t size = strlen(names + len) + 1;

		if (len + size > sizeof exchange->names)
			break;
		memcpy(exchange->names + len, names + len, size);
		len += size;
	}
}

/* The rows of a directory that are left. */
struct rest {
	const struct warm_directory *directory;
	const char *names;
	size_t n;
	unsigned failures;    /* one after the other, up to now */
	int64_t waiting_ms;   /* since when for Redis; 0: not */
};

static bool passes(enum warm_outcome outcome)
{
	return outcome == WARM_UNTRIED || outcome == WARM_DOWN || outcome == WARM_UNPROVED;
}

/* Note what became of the rows of a batch, up to the first that is to be tried again: that one's outcome. */
static enum warm_outcome take_outcomes(struct request *request, struct rest *rest, struct warm_exchange *exchange)
{
	uint32_t i;

	exchange->reason[sizeof exchange->reason - 1] = '\0';
	for (i = 0; i < exchange->n && !passes(exchange->outcomes[i]); i++) {
		warm_tally_add(&request->tally, exchange->outcomes[i], 1, rest->directory->named, exchange->reason);
		rest->failures = exchange->outcomes[i] == WARM_FAILED ? rest->failures + 1 : 0;
		rest->names += strlen(rest->names) + 1;
		rest->waiting_ms = 0;
	}
	rest->n -= i;
	progress_step(&request->progress, request->progress.done + i);
	return i < exchange->n ? exchange->outcomes[i] : WARM_UNTRIED;
}

/* False: that was long enough. */
static bool wait_for_redis(struct rest *rest)
{
	int64_t now_ms = clock_monotonic_ms();

	if (!rest->waiting_ms)
		rest->waiting_ms = now_ms;
	if (now_ms - rest->waiting_ms > PATIENCE_MS)
		return false;
	nanosleep(&(struct timespec){.tv_nsec = PAUSE_MS * 1000000}, NULL);
	return true;
}

/* None of what is left will do better. */
static void give_up(struct request *request, const struct rest *rest, enum warm_outcome outcome, const char *reason)
{
	warm_tally_add(&request->tally, outcome, rest->n, true, reason);
	progress_step(&request->progress, request->progress.done + rest->n);
}

static const char *reason(int err)
{
	if (err == ENOTTY)
		return "it is in no rowfs";
	return err == ENOENT ? "there is no such table" : strerror(err);
}

/* 0 or -errno. */
static int run_batches(struct request *request, const struct warm_directory *directory, int fd,
		       struct warm_exchange *exchange)
{
	struct rest rest = {.directory = directory, .names = directory->names.data, .n = directory->n};

	while (rest.n) {
		enum warm_outcome hindered;

		fill(exchange, rest.names, rest.n);
		exchange->action = request->action;
		if (ioctl(fd, WARM_IOCTL, exchange) < 0)
			return -errno;
		hindered = take_outcomes(request, &rest, exchange);
		if (rest.failures >= FAILURES_MAX)
			hindered = WARM_FAILED;
		if (hindered == WARM_FAILED || (hindered != WARM_UNTRIED && !wait_for_redis(&rest))) {
			give_up(request, &rest, hindered, exchange->reason);
			break;
		}
	}
	return 0;
}

static enum exit_code run_directory(struct request *request, const struct warm_directory *directory)
{
	_cleanup_free_ struct warm_exchange *exchange = calloc(1, sizeof *exchange);
	_cleanup_close_ int fd = -1;
	int r = -ENOMEM;

	if (exchange) {
		fd = open(directory->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		r = fd < 0 ? -errno : run_batches(request, directory, fd, exchange);
	}
	if (r == 0)
		return EXIT_DONE;
	say("%s: %s", directory->path, reason(-r));
	return EXIT_MOUNTPOINT;
}

enum exit_code warm_command_run(int argc, char **argv)
{
	_cleanup_(request_done) struct request request = {.action = WARM_LOAD};
	enum exit_code code = read_arguments(argc, argv, &request);

	if (code == EXIT_USAGE)
		return code;
	progress_begin(&request.progress, "rows", request.rows.n);
	for (size_t i = 0; i < request.rows.n_directories; i++) {
		enum exit_code this = run_directory(&request, &request.rows.directories[i]);

		code = this ? this : code;
	}
	progress_end(&request.progress);
	if (!warm_tally_print(&request.tally, request.action))
		return EXIT_INTERNAL;
	return code ? code : warm_tally_is_whole(&request.tally, request.action) ? EXIT_DONE : EXIT_INCOMPLETE;
}
