#include "status_command.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "read_file.h"
#include "rowfs/model/json.h"
#include "say.h"

/* A number as JSON writes it, which a counter is and an address is not. */
static bool is_number(const char *value)
{
	size_t digits = strspn(value, "0123456789");

	return digits > 0 && digits < 16 && !value[digits] && (value[0] != '0' || digits == 1);
}

static void print_member(char *line, bool first, struct buf *out)
{
	char *value = strstr(line, ": ");

	if (!value)
		return;
	*value = '\0';
	value += 2;
	buf_adds(out, first ? "\n  " : ",\n  ");
	json_print_string(line, strlen(line), out);
	buf_adds(out, ": ");
	if (is_number(value))
		buf_adds(out, value);
	else
		json_print_string(value, strlen(value), out);
}

/* The lines `name: value` as the members of one object. */
static void print_json(char *lines, struct buf *out)
{
	char *rest = NULL;

	buf_addc(out, '{');
	for (char *line = strtok_r(lines, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		print_member(line, line == lines, out);
	buf_adds(out, "\n}\n");
}

static const char usage[] = "usage: rowfs status MOUNTPOINT [--json]";

static bool read_arguments(int argc, char **argv, const char **ret_mountpoint, bool *ret_json)
{
	*ret_mountpoint = NULL;
	*ret_json = false;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0)
			*ret_json = true;
		else if (!*ret_mountpoint && argv[i][0] != '-')
			*ret_mountpoint = argv[i];
		else
			return false;
	}
	return *ret_mountpoint;
}

enum exit_code status_run(int argc, char **argv)
{
	_cleanup_buf_ struct buf status = {0}, json = {0};
	const char *mountpoint, *out;
	enum exit_code code;
	bool as_json;

	if (!read_arguments(argc, argv, &mountpoint, &as_json)) {
		say("%s", usage);
		return EXIT_USAGE;
	}
	code = read_report(mountpoint, "status", &status);
	if (code)
		return code;
	if (as_json)
		print_json(status.data, &json);
	out = as_json ? json.data : status.data;
	return out && fputs(out, stdout) >= 0 && fflush(stdout) == 0 ? EXIT_DONE : EXIT_INTERNAL;
}
