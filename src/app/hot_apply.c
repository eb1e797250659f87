#include "hot_apply.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "record.h"
#include "rowfs/base/cleanup.h"
#include "rowfs/fuse/apply.h"
#include "say.h"

static const char *reason(int err)
{
	if (err == EPERM)
		return "only root and the mount's owner may set rules";
	return err == EROFS ? "the mount is read-only" : strerror(err);
}

/* 0 or -errno. */
static int ask(const char *path, struct apply_exchange *exchange)
{
	_cleanup_close_ int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (directory < 0 || ioctl(directory, APPLY_IOCTL, exchange) < 0)
		return -errno;
	exchange->rule[sizeof exchange->rule - 1] = '\0';
	exchange->because[sizeof exchange->because - 1] = '\0';
	return 0;
}

static enum exit_code print_set(const char *table, const struct apply_exchange *exchange)
{
	_cleanup_buf_ struct buf out = {0};

	record_show(table, &out);
	buf_adds(&out, exchange->set ? ": set " : ": nothing to do");
	record_show(exchange->set ? exchange->rule : NULL, &out);
	buf_adds(&out, " (");
	record_show(exchange->because, &out);
	buf_adds(&out, ")\n");
	return out.failed || fputs(out.data, stdout) < 0 ? EXIT_INTERNAL : EXIT_DONE;
}

enum exit_code hot_apply(const char *mountpoint, const char *table)
{
	struct apply_exchange exchange = {0};
	_cleanup_buf_ struct buf path = {0};
	int r;

	buf_addf(&path, "%s/%s", mountpoint, table);
	r = path.failed ? -ENOMEM : ask(path.data, &exchange);
	if (r < 0) {
		say("%s: %s", table, reason(-r));
		return EXIT_MOUNTPOINT;
	}
	if (exchange.err) {
		say("%s: %s was not set: %s", table, exchange.rule, exchange.because);
		return EXIT_POSTGRES;
	}
	return print_set(table, &exchange);
}
