#include "where_command.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rowfs/base/cleanup.h"
#include "rowfs/fuse/where.h"
#include "say.h"

static const char usage[] = "usage: rowfs where FILE...";

static const char *reason(int err)
{
	if (err == ENOTTY)
		return "it is in no rowfs";
	return err == ENOENT ? "there is no such row" : strerror(err);
}

/* 0 or -errno. */
static int ask(const char *path, struct where_exchange *exchange)
{
	_cleanup_free_ char *for_name = strdup(path), *for_directory = strdup(path);
	_cleanup_close_ int directory = -1;
	const char *name;

	if (!for_name || !for_directory)
		return -ENOMEM;
	name = basename(for_name);
	if (strlen(name) >= sizeof exchange->name)
		return -ENAMETOOLONG;
	strcpy(exchange->name, name);
	directory = open(dirname(for_directory), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0 || ioctl(directory, WHERE_IOCTL, exchange) < 0)
		return -errno;
	return 0;
}

static enum exit_code print_file(const char *path, bool titled)
{
	struct where_exchange exchange = {0};
	int r = ask(path, &exchange);

	if (r < 0) {
		say("%s: %s", path, reason(-r));
		return EXIT_MOUNTPOINT;
	}
	exchange.answer[sizeof exchange.answer - 1] = '\0';
	if (titled)
		printf("%s\n", path);
	return fputs(exchange.answer, stdout) >= 0 ? EXIT_DONE : EXIT_INTERNAL;
}

enum exit_code where_run(int argc, char **argv)
{
	enum exit_code code = EXIT_DONE;

	if (argc < 2 || argv[1][0] == '-') {
		say("%s", usage);
		return EXIT_USAGE;
	}
	for (int i = 1; i < argc; i++) {
		enum exit_code this = print_file(argv[i], argc > 2);

		code = this ? this : code;
	}
	return fflush(stdout) < 0 ? EXIT_INTERNAL : code;
}
