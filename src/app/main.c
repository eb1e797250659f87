/* The program: verbs. Each is one file; this one only chooses. */
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "command_line.h"
#include "diff_command.h"
#include "errors_command.h"
#include "exit.h"
#include "help.h"
#include "hot_command.h"
#include "manual.h"
#include "mount.h"
#include "place_command.h"
#include "profile_command.h"
#include "retry_command.h"
#include "rowfs/base/options.h"
#include "rowfs/base/secret.h"
#include "say.h"
#include "status_command.h"
#include "sync_command.h"
#include "warm_command.h"
#include "where_command.h"

static enum exit_code print(struct buf *out)
{
	if (out->failed || fputs(out->data, stdout) < 0 || fflush(stdout) < 0)
		return EXIT_INTERNAL;
	return EXIT_DONE;
}

static enum exit_code run(enum command command, struct settings *settings)
{
	_cleanup_buf_ struct buf out = {0};

	switch (command) {
	case COMMAND_HELP:
		help_print(&out);
		return print(&out);
	case COMMAND_VERSION:
		help_print_version(&out);
		return print(&out);
	case COMMAND_MANUAL:
		manual_print(&out);
		return print(&out);
	case COMMAND_SHOW_CONFIG:
		options_dump(settings, &out);
		return print(&out);
	case COMMAND_MOUNT:
		return mount_run(settings);
	}
	return EXIT_INTERNAL;
}

/* A copy of the arguments to work with. */
static char **copy_arguments(int argc, char **argv)
{
	char **copy = calloc((size_t)argc + 1, sizeof(*copy));

	for (int i = 0; copy && i < argc; i++) {
		copy[i] = strdup(argv[i]);
		if (!copy[i])
			return NULL;
	}
	return copy;
}

static void free_arguments(char **arguments)
{
	for (char **p = arguments; p && *p; p++) {
		explicit_bzero(*p, strlen(*p));
		free(*p);
	}
	free(arguments);
}

static enum exit_code mount_verb(int argc, char **argv)
{
	_cleanup_settings_ struct settings settings = {0};
	struct error e = {0};
	enum command command;

	if (command_line_parse(argc, argv, PLACES_SOURCE_AND_MOUNTPOINT, &command, &settings, &e)) {
		say_error(&e);
		return e.err == ENOMEM ? EXIT_INTERNAL : EXIT_USAGE;
	}
	return run(command, &settings);
}

/* The first word, if it is one of these. `rowfs mount …` is `rowfs …`. (A database of such a name is given as
 * dbname=mount.) */
static const struct verb {
	const char *name;
	enum exit_code (*run)(int argc, char **argv);
} verbs[] = {
        {"mount", mount_verb},
        {"status", status_run},
        {"errors", errors_run},
        {"hot", hot_run},
        {"profile", profile_run},
        {"where", where_run},
        {"warm", warm_command_run},
        {"diff", diff_run},
        {"retry", retry_run},
        {"sync", sync_command_run},
        {"place", place_command_run},
};

static enum exit_code dispatch(int argc, char **argv)
{
	if (argc < 2) {
		say("what shall be mounted where? usage: rowfs SOURCE MOUNTPOINT [-o OPTION,...]; "
		    "rowfs --help says more");
		return EXIT_USAGE;
	}
	for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
		if (strcmp(argv[1], verbs[i].name) == 0)
			return verbs[i].run(argc - 1, argv + 1);
	return mount_verb(argc, argv);
}

/* What is that large the allocator takes from the system, and gives back when it is freed. Left alone it raises that
 * limit to the largest that was freed, up to 32 MiB, and keeps most of what a few long texts have needed. */
enum { RETURNED_AT_ONCE = 1 << 20 };

int main(int argc, char **argv)
{
	char **copy = copy_arguments(argc, argv);
	enum exit_code code = EXIT_INTERNAL;

	mallopt(M_MMAP_THRESHOLD, RETURNED_AT_ONCE);
	/* Everyone can read argv in /proc, so this comes before all else. */
	secret_hide_arguments(argc, argv);
	if (copy)
		code = dispatch(argc, copy);
	free_arguments(copy);
	return code;
}
