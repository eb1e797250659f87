#include "help.h"

#include "exit.h"
#include "rowfs/base/options.h"
#include "rowfs/engine/cache.h"

const struct flag_help flags_help[] = {
        {"-o OPTION,...", "options, see below; \"\\,\" is a comma inside a value"},
        {"-f", "stay in the foreground, log to stderr"},
        {"-d", "the same, and log in detail"},
        {"--show-config", "print the options in effect and do nothing else"},
        {"--manual", "print the manual page: rowfs --manual | man -l -"},
        {"--version", "print versions"},
        {"--help", "print this"},
        {NULL, NULL},
};

static void flags_print(struct buf *out)
{
	for (const struct flag_help *f = flags_help; f->flag; f++)
		buf_addf(out, "  %-24s  %s\n", f->flag, f->meaning);
}

static void exit_codes_print(struct buf *out)
{
#define X(name, code, meaning) buf_addf(out, "  %2d  %s\n", code, meaning);
	EXIT_CODES(X)
#undef X
}

void help_print(struct buf *out)
{
	buf_adds(
	        out,
	        "rowfs mounts a PostgreSQL database as a file system: a row is a file, a save is a "
	        "COMMIT.\n"
	        "\n"
	        "usage: rowfs [mount] SOURCE MOUNTPOINT [-o OPTION,...] [-f] [-d]\n"
	        "       mount -t fuse.rowfs SOURCE MOUNTPOINT [-o OPTION,...]\n"
	        "       fusermount3 -u MOUNTPOINT        (unmount)\n"
	        "       rowfs status MOUNTPOINT [--json]\n"
	        "       rowfs errors MOUNTPOINT [--follow] [--json]        (what was refused, and why)\n"
	        "       rowfs hot MOUNTPOINT [TABLE] [--json|--apply]        (what is read, and from where; set what is proposed)\n"
	        "       rowfs profile MOUNTPOINT [SECONDS]        (where the time goes)\n"
	        "       rowfs where FILE...        (which tier holds a row now)\n"
	        "       rowfs warm PATTERN... [--evict|--check]        (load rows into Redis, drop or count them there)\n"
	        "       rowfs diff FILE        (a refused text, what it was made of, what others made of that)\n"
	        "       rowfs retry FILE...        (save refused texts after all)\n"
	        "       rowfs sync SOURCE [-o OPTION,...]        (change capture as a process of its own)\n"
	        "       rowfs sync install|uninstall|status SOURCE        (the change log)\n"
	        "       rowfs place SOURCE [TABLE RULE...|TABLE --drop|--show]        (what of a table lives in Redis)\n"
	        "           RULE: place=lazy, place=off, hash=N/M, columns=A,B or hot=PREDICATE\n"
	        "\n"
	        "SOURCE is what psql takes: postgres://user@host/db, \"host=... dbname=...\" or "
	        "service=NAME.\n"
	        "Passwords are best kept in ~/.pgpass, and in redis_passfile "
	        "or " CACHE_PASSWORD_VARIABLE ".\n"
	        "\n");
	flags_print(out);
	buf_adds(out, "\noptions (the words that mount(8) and fstab add are accepted too):\n");
	options_help(out);
	buf_adds(out, "\nexit codes:\n");
	exit_codes_print(out);
}

void help_print_version(struct buf *out)
{
	buf_adds(out, "rowfs " ROWFS_VERSION "\n"
	              "built with libfuse " LIBFUSE_VERSION ", libpq " LIBPQ_VERSION
	              ", hiredis " HIREDIS_VERSION "\n");
}
