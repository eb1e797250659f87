#include "hot_command.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hot_apply.h"
#include "read_file.h"
#include "record.h"
#include "say.h"

static const char usage[] = "usage: rowfs hot MOUNTPOINT [TABLE] [--json|--apply]";

/* Rows that are shown to people; --json has more. */
enum { SHOWN_ROWS = 10 };

struct request {
	const char *mountpoint, *table;
	bool json, apply;
};

static bool read_arguments(int argc, char **argv, struct request *ret)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0)
			ret->json = true;
		else if (strcmp(argv[i], "--apply") == 0)
			ret->apply = true;
		else if (!ret->mountpoint && argv[i][0] != '-')
			ret->mountpoint = argv[i];
		else if (!ret->table && argv[i][0] != '-')
			ret->table = argv[i];
		else
			return false;
	}
	return ret->mountpoint && !(ret->json && ret->apply);
}

/* `schema/table` is what the mount says; schema.table or the table alone will do. */
static bool is_wanted(const struct request *request, const char *table)
{
	const char *slash = strchr(table, '/'), *wanted = request->table;
	size_t space = slash ? (size_t)(slash - table) : 0;

	if (!wanted || strcmp(wanted, table) == 0)
		return true;
	if (!slash)
		return false;
	return strcmp(wanted, slash + 1) == 0 || (strncmp(wanted, table, space) == 0 && wanted[space] == '.' &&
						 strcmp(wanted + space + 1, slash + 1) == 0);
}

static double number(yajl_val record, const char *name)
{
	const char *text = record_get(record, name);

	return text ? strtod(text, NULL) : 0;
}

static double percent(yajl_val record, const char *tier)
{
	double reads = number(record, "reads");

	return reads > 0 ? 100 * number(record, tier) / reads : 0;
}

static yajl_val list(yajl_val record, const char *name)
{
	return yajl_tree_get(record, (const char *[]){name, NULL}, yajl_t_array);
}

static void print_sets(yajl_val sets, struct buf *out)
{
	for (size_t i = 0; YAJL_IS_ARRAY(sets) && i < YAJL_GET_ARRAY(sets)->len; i++) {
		yajl_val set = YAJL_GET_ARRAY(sets)->values[i];

		buf_addf(out, "    %3.0f %% of the reads: %.0f rows, %.1f MiB\n", number(set, "percent"),
			 number(set, "rows"), number(set, "bytes") / (1 << 20));
	}
}

static void print_rows(yajl_val rows, struct buf *out)
{
	for (size_t i = 0; YAJL_IS_ARRAY(rows) && i < YAJL_GET_ARRAY(rows)->len && i < SHOWN_ROWS; i++) {
		yajl_val row = YAJL_GET_ARRAY(rows)->values[i];

		buf_addf(out, "    %8.0f  ", number(row, "reads"));
		record_show(record_get(row, "row"), out);
		buf_addc(out, '\n');
	}
}

static void print_table(yajl_val record, struct buf *out)
{
	record_show(record_get(record, "table"), out);
	buf_addf(out, ": %.0f reads: %.1f %% from memory, %.1f %% from Redis, %.1f %% from PostgreSQL (%.0f mount%s)\n",
		 number(record, "reads"), percent(record, "memory"), percent(record, "redis"),
		 percent(record, "postgresql"), number(record, "mounts"), number(record, "mounts") == 1 ? "" : "s");
	buf_addf(out, "  lately %.0f reads of about %.0f rows; Zipf's exponent %.2f\n", number(record, "lately"),
		 number(record, "rows_read"), number(record, "exponent"));
	print_sets(list(record, "sets"), out);
	print_rows(list(record, "hottest"), out);
	buf_adds(out, "  proposed: ");
	record_show(record_get(record, "rule"), out);
	buf_adds(out, " (");
	record_show(record_get(record, "because"), out);
	buf_adds(out, ")\n");
}

/* What there is to say or do about a table that was asked for. */
static enum exit_code take_table(const struct request *request, const char *line, yajl_val record, struct buf *out)
{
	if (request->apply)
		return hot_apply(request->mountpoint, record_get(record, "table"));
	if (request->json)
		buf_addf(out, "%s\n", line);
	else
		print_table(record, out);
	return EXIT_DONE;
}

static enum exit_code take_line(const struct request *request, const char *line, struct buf *out, bool *found)
{
	yajl_val record = record_parse(line);
	const char *table = record ? record_get(record, "table") : NULL;
	enum exit_code code = EXIT_DONE;

	if (table && is_wanted(request, table)) {
		*found = true;
		code = take_table(request, line, record, out);
	}
	yajl_tree_free(record);
	return code;
}

static enum exit_code take_lines(const struct request *request, char *lines)
{
	_cleanup_buf_ struct buf out = {0};
	enum exit_code code = EXIT_DONE;
	char *rest = NULL;
	bool found = false;

	for (char *line = strtok_r(lines, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		enum exit_code this = take_line(request, line, &out, &found);

		code = this ? this : code;
	}
	if (!found && !request->json)
		buf_addf(&out, "nothing was read%s%s yet\n", request->table ? " of " : "",
			 request->table ? request->table : "");
	if (out.failed || (out.len && fputs(out.data, stdout) < 0) || fflush(stdout) < 0)
		return EXIT_INTERNAL;
	return code;
}

enum exit_code hot_run(int argc, char **argv)
{
	_cleanup_buf_ struct buf lines = {0};
	struct request request = {0};
	enum exit_code code;

	if (!read_arguments(argc, argv, &request)) {
		say("%s", usage);
		return EXIT_USAGE;
	}
	code = read_report(request.mountpoint, "hot", &lines);
	return code ? code : take_lines(&request, lines.data);
}
