#include "errors_command.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "read_file.h"
#include "record.h"
#include "say.h"

struct request {
	const char *mountpoint;
	bool follow, json;
	uint64_t next; /* the number of the first refusal that was not shown yet */
};

static const char usage[] = "usage: rowfs errors MOUNTPOINT [--follow] [--json]";

static bool read_arguments(int argc, char **argv, struct request *ret)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0)
			ret->json = true;
		else if (strcmp(argv[i], "--follow") == 0)
			ret->follow = true;
		else if (!ret->mountpoint && argv[i][0] != '-')
			ret->mountpoint = argv[i];
		else
			return false;
	}
	return ret->mountpoint;
}

static uint64_t number_of(yajl_val record)
{
	const char *number = record_get(record, "number");

	return number ? strtoull(number, NULL, 10) : 0;
}

static void print_place(yajl_val record, struct buf *out)
{
	const char *field = record_get(record, "field"), *line = record_get(record, "line");

	if (field) {
		buf_adds(out, "    column: ");
		record_show(field, out);
		buf_addc(out, '\n');
	}
	if (line)
		buf_addf(out, "    in the text: line %s, character %s\n", line, record_get(record, "column"));
}

static void print_record(const struct request *request, yajl_val record, struct buf *out)
{
	const char *kept = record_get(record, "kept"), *sqlstate = record_get(record, "sqlstate");

	record_show(record_get(record, "time"), out);
	buf_addc(out, ' ');
	record_show(record_get(record, "path"), out);
	buf_adds(out, ": ");
	record_show(record_get(record, "errno"), out);
	if (sqlstate)
		buf_addf(out, ", SQLSTATE %s", sqlstate);
	buf_addf(out, " (pid %s, uid %s)\n", record_get(record, "pid"), record_get(record, "uid"));
	record_print_reason(record, "    ", out);
	print_place(record, out);
	if (kept) {
		buf_addf(out, "    kept: %s/", request->mountpoint);
		record_show(kept, out);
		buf_addc(out, '\n');
	}
}

static void print_line(struct request *request, const char *line, struct buf *out)
{
	yajl_val record = record_parse(line);

	if (record && number_of(record) >= request->next) {
		if (request->json)
			buf_addf(out, "%s\n", line);
		else
			print_record(request, record, out);
		request->next = number_of(record) + 1;
	}
	yajl_tree_free(record);
}

/* A mount that was made anew counts from the beginning. */
static void restart_if_counted_anew(struct request *request, const char *lines)
{
	const char *last = strrchr(lines, '\n');
	yajl_val record;

	while (last && last > lines && last[-1] != '\n')
		last--;
	record = last ? record_parse(last) : NULL;
	if (!record || number_of(record) + 1 < request->next)
		request->next = 0;
	yajl_tree_free(record);
}

static enum exit_code print_unseen(struct request *request)
{
	_cleanup_buf_ struct buf lines = {0}, out = {0};
	enum exit_code code = read_report(request->mountpoint, "errors", &lines);
	char *rest = NULL;

	if (code)
		return code;
	restart_if_counted_anew(request, lines.data);
	for (char *line = strtok_r(lines.data, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		print_line(request, line, &out);
	if (out.failed || (out.len && fputs(out.data, stdout) < 0) || fflush(stdout) < 0)
		return EXIT_INTERNAL;
	return EXIT_DONE;
}

/* Long enough to cost nothing, short enough for somebody who has just pressed `save`. */
enum { FOLLOW_MS = 500 };

enum exit_code errors_run(int argc, char **argv)
{
	struct request request = {0};
	enum exit_code code;

	if (!read_arguments(argc, argv, &request)) {
		say("%s", usage);
		return EXIT_USAGE;
	}
	code = print_unseen(&request);
	while (code == EXIT_DONE && request.follow) {
		nanosleep(&(struct timespec){.tv_nsec = FOLLOW_MS * 1000000}, NULL);
		code = print_unseen(&request);
	}
	return code;
}
