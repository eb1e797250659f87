#include "retry_command.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kept_file.h"
#include "record.h"
#include "rowfs/base/cleanup.h"
#include "rowfs/base/write.h"
#include "rowfs/engine/kept.h"
#include "say.h"

/* The key of such a row is the server's to assign: there is no name to move the text to. */
static bool is_unnamed(const struct kept_file *file)
{
	const char *name = strrchr(file->row, '/');

	return strcmp(name ? name + 1 : file->row, ".new.json") == 0;
}

/* Within the mount: a link there may lead anywhere. */
static int open_to_write(const struct kept_file *file, const char *to)
{
	struct stat mount, st;
	int fd = open(to, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (stat(file->mountpoint, &mount) == 0 && fstat(fd, &st) == 0 && st.st_dev == mount.st_dev)
		return fd;
	close(fd);
	return -EXDEV;
}

static int write_text(const struct kept_file *file, const char *to)
{
	int r, fd = open_to_write(file, to);

	if (fd < 0)
		return fd;
	r = write_all(fd, file->mine.data, file->mine.len);
	if (close(fd) < 0 && r == 0)
		r = -errno;
	return r;
}

/* The text, and what stands beside it; the text first, so that it is not tried once more. */
static int remove_all(const struct kept_file *file)
{
	int r = unlink(file->path) < 0 ? -errno : 0;

	for (size_t i = 0; r == 0 && i < KEPT_SUFFIXES; i++) {
		_cleanup_buf_ struct buf path = {0};

		buf_addf(&path, "%s%s", file->path, kept_suffixes[i]);
		if (!path.failed)
			unlink(path.data);
	}
	return r;
}

static int save(const struct kept_file *file, const char *to)
{
	int r;

	if (!is_unnamed(file))
		return rename(file->path, to) < 0 ? -errno : 0;
	r = write_text(file, to);
	if (r == 0 && remove_all(file) < 0)
		say("%s is saved, but could not be removed: do not try it again", file->path);
	return r;
}

/* Without its base the text would take back whatever others have done since. */
static int check_base(const struct kept_file *file, struct error *e)
{
	return file->has_base ? 0 :
				error_set(e, EINVAL, "nobody knows what %s was made of; compare it with the row, and mv it "
						     "there to save it whole", file->path);
}

static void print_saved(const struct kept_file *file)
{
	_cleanup_buf_ struct buf shown = {0};

	record_show(file->row, &shown);
	printf("%s is saved\n", shown.data ? shown.data : "");
}

static bool retry(const char *path)
{
	_cleanup_kept_file_ struct kept_file file = {0};
	_cleanup_buf_ struct buf to = {0};
	struct error e = {0};
	int r;

	if (kept_file_open(path, &file, &e) < 0 || check_base(&file, &e) < 0) {
		say_error(&e);
		return false;
	}
	buf_addf(&to, "%s/%s", file.mountpoint, file.row);
	r = to.failed ? -ENOMEM : save(&file, to.data);
	if (r == 0) {
		print_saved(&file);
	} else if (kept_file_refused_again(&file)) {
		say("%s is refused again", to.data);
		fputs(file.reason.data, stderr);
	} else {
		say("%s: %s", to.data, strerror(-r));
	}
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
