#include "retry_command.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kept_file.h"
#include "rowfs/base/cleanup.h"
#include "say.h"

/* The key of such a row is the server's to assign: there is no name to move the text to. */
static bool is_unnamed(const struct kept_file *file)
{
	const char *name = strrchr(file->row, '/');

	return strcmp(name ? name + 1 : file->row, ".new.json") == 0;
}

static int write_text(const struct kept_file *file, const char *to)
{
	size_t done = 0;
	int fd = open(to, O_WRONLY | O_TRUNC | O_CLOEXEC);
	int r = 0;

	if (fd < 0)
		return -errno;
	while (r == 0 && done < file->mine.len) {
		ssize_t n = write(fd, file->mine.data + done, file->mine.len - done);

		if (n < 0 && errno != EINTR)
			r = -errno;
		else if (n > 0)
			done += (size_t)n;
	}
	if (close(fd) < 0 && r == 0)
		r = -errno;
	return r;
}

static void remove_beside(const struct kept_file *file, const char *suffix)
{
	_cleanup_buf_ struct buf path = {0};

	buf_addf(&path, "%s%s", file->path, suffix);
	if (!path.failed)
		unlink(path.data);
}

static int save(const struct kept_file *file, const char *to)
{
	int r;

	if (!is_unnamed(file))
		return rename(file->path, to) < 0 ? -errno : 0;
	r = write_text(file, to);
	if (r == 0) {
		remove_beside(file, "");
		remove_beside(file, ".base");
		remove_beside(file, ".error");
	}
	return r;
}

static bool retry(const char *path)
{
	_cleanup_kept_file_ struct kept_file file = {0};
	_cleanup_buf_ struct buf to = {0};
	struct error e = {0};
	int r;

	if (kept_file_open(path, &file, &e) < 0) {
		say_error(&e);
		return false;
	}
	buf_addf(&to, "%s/%s", file.mountpoint, file.row);
	r = to.failed ? -ENOMEM : save(&file, to.data);
	if (r == 0)
		printf("%s is saved\n", file.row);
	else if (kept_file_refused_again(&file))
		fprintf(stderr, "rowfs: %s is refused again\n%s", to.data, file.reason.data);
	else
		say("%s: %s", to.data, strerror(-r));
	return r == 0;
}

enum exit_code retry_run(int argc, char **argv)
{
	enum exit_code code = EXIT_DONE;

	if (argc < 2 || argv[1][0] == '-') {
		say("usage: rowfs retry FILE...; the files are in MOUNTPOINT/.rowfs/rejected and .rowfs/conflicts");
		return EXIT_USAGE;
	}
	for (int i = 1; i < argc; i++)
		if (!retry(argv[i]))
			code = EXIT_REFUSED;
	return fflush(stdout) < 0 ? EXIT_INTERNAL : code;
}
