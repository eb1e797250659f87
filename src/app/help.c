#include "help.h"

#include "exit.h"
#include "rowfs/base/options.h"

void exit_codes_help(struct buf *out)
{
#define X(name, code, meaning) buf_addf(out, "  %2d  %s\n", code, meaning);
	EXIT_CODES(X)
#undef X
}

void help_print(struct buf *out)
{
	buf_adds(out, "rowfs mounts a PostgreSQL database as a file system: a row is a file, a "
	              "save is a COMMIT.\n"
	              "\n"
	              "usage: rowfs [mount] SOURCE MOUNTPOINT [-o OPTION,...] [-f] [-d]\n"
	              "       mount -t fuse.rowfs SOURCE MOUNTPOINT [-o OPTION,...]\n"
	              "       fusermount3 -u MOUNTPOINT        (unmount)\n"
	              "\n"
	              "SOURCE is what psql takes: postgres://user@host/db, \"host=... dbname=...\" "
	              "or service=NAME.\n"
	              "Passwords are best kept in ~/.pgpass and in redis_passfile or "
	              "ROWFS_REDIS_PASSWORD.\n"
	              "\n"
	              "  -o OPTION,...  options, see below; \"\\,\" is a comma inside a value\n"
	              "  -f             stay in the foreground\n"
	              "  -d             the same, and log what happens in detail\n"
	              "  --show-config  print the options in effect and do nothing\n"
	              "  --help, --version\n"
	              "\n"
	              "options (the words that mount(8) and fstab add are accepted too):\n");
	options_help(out);
	buf_adds(out, "\nexit codes:\n");
	exit_codes_help(out);
}

void help_print_version(struct buf *out)
{
	buf_adds(out, "rowfs " ROWFS_VERSION "\n"
	              "built with libfuse " LIBFUSE_VERSION ", libpq " LIBPQ_VERSION
	              ", hiredis " HIREDIS_VERSION "\n");
}
