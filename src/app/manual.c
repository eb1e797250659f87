#include "manual.h"

#include <string.h>

#include "exit.h"
#include "help.h"
#include "rowfs/base/options.h"
#include "rowfs/engine/cache.h"

/* Text between man(7)'s requests: '-' is a minus, not a hyphen, and \ and a leading dot are data.
 */
static void text(const char *string, struct buf *out)
{
	if (*string == '.' || *string == '\'')
		buf_adds(out, "\\&");
	for (; *string; string++) {
		if (*string == '-' || *string == '\\')
			buf_adds(out, *string == '-' ? "\\-" : "\\e");
		else
			buf_addc(out, *string);
	}
}

/* A tagged paragraph. */
static void item(const char *tag, const char *value, const char *meaning, struct buf *out)
{
	buf_adds(out, ".TP\n\\fB");
	text(tag, out);
	buf_adds(out, "\\fR");
	if (value) {
		buf_adds(out, "=\\fI");
		text(value, out);
		buf_adds(out, "\\fR");
	}
	buf_addc(out, '\n');
	text(meaning, out);
	buf_addc(out, '\n');
}

static void print_options(struct buf *out)
{
	buf_adds(out,
	         ".SH MOUNT OPTIONS\nThe words that mount(8) and fstab(5) add are accepted too.\n");
	for (const struct option_entry *o = options; o->name; o++) {
		item(o->name, o->argument, o->help, out);
		if (!o->initial)
			continue;
		buf_adds(out, "(default: ");
		text(o->initial, out);
		buf_adds(out, ")\n");
	}
}

static void print_exit_codes(struct buf *out)
{
	buf_adds(out, ".SH EXIT STATUS\n");
#define X(name, code, meaning) item(#code, NULL, meaning, out);
	EXIT_CODES(X)
#undef X
}

static void print_flags(struct buf *out)
{
	buf_adds(out, ".SH OPTIONS\n");
	for (const struct flag_help *f = flags_help; f->flag; f++)
		item(f->flag, NULL, f->meaning, out);
}

static const char beginning[] =
        ".TH ROWFS 8 \"\" \"rowfs " ROWFS_VERSION "\"\n"
        ".SH NAME\n"
        "rowfs \\- mount a PostgreSQL database as a file system\n"
        ".SH SYNOPSIS\n"
        ".B rowfs\n"
        "[\\fBmount\\fR] \\fISOURCE MOUNTPOINT\\fR [\\fB\\-o\\fR \\fIOPTION\\fR,...] "
        "[\\fB\\-f\\fR] "
        "[\\fB\\-d\\fR]\n"
        ".br\n"
        ".B mount \\-t fuse.rowfs\n"
        "\\fISOURCE MOUNTPOINT\\fR [\\fB\\-o\\fR \\fIOPTION\\fR,...]\n"
        ".br\n"
        ".B fusermount3 \\-u\n"
        "\\fIMOUNTPOINT\\fR\n"
        ".br\n"
        ".B rowfs status\n"
        "\\fIMOUNTPOINT\\fR [\\fB\\-\\-json\\fR]\n"
        ".br\n"
        ".B rowfs errors\n"
        "\\fIMOUNTPOINT\\fR [\\fB\\-\\-follow\\fR] [\\fB\\-\\-json\\fR]\n"
        ".br\n"
        ".B rowfs hot\n"
        "\\fIMOUNTPOINT\\fR [\\fITABLE\\fR] [\\fB\\-\\-json\\fR|\\fB\\-\\-apply\\fR]\n"
        ".br\n"
        ".B rowfs profile\n"
        "\\fIMOUNTPOINT\\fR [\\fISECONDS\\fR]\n"
        ".br\n"
        ".B rowfs where\n"
        "\\fIFILE\\fR...\n"
        ".br\n"
        ".B rowfs warm\n"
        "\\fIPATTERN\\fR... [\\fB\\-\\-evict\\fR|\\fB\\-\\-check\\fR]\n"
        ".br\n"
        ".B rowfs diff\n"
        "\\fIFILE\\fR\n"
        ".br\n"
        ".B rowfs retry\n"
        "\\fIFILE\\fR...\n"
        ".br\n"
        ".B rowfs sync\n"
        "[\\fBinstall\\fR|\\fBuninstall\\fR|\\fBstatus\\fR] \\fISOURCE\\fR [\\fB\\-o\\fR \\fIOPTION\\fR,...]\n"
        ".br\n"
        ".B rowfs place\n"
        "\\fISOURCE\\fR [\\fITABLE RULE\\fR...|\\fITABLE\\fR \\fB\\-\\-drop\\fR|\\fB\\-\\-show\\fR]\n"
        ".SH DESCRIPTION\n"
        "Shows the tables of a PostgreSQL database as directories and their rows as JSON files. "
        "Saving a\n"
        "file is one UPDATE of the columns that changed, creating one an INSERT, removing one a "
        "DELETE.\n"
        "Redis, if there is one, holds copies that all mounts share.\n"
        ".PP\n"
        "\\fISOURCE\\fR is what psql(1) takes: a URI, a list of \\fIkeyword\\fR=\\fIvalue\\fR, or\n"
        "\\fBservice\\fR=\\fINAME\\fR.\n"
        ".PP\n"
        "A table's placement rule says what of it lives in Redis: \\fBplace=lazy\\fR what is read, which is the default;\n"
        "\\fBplace=off\\fR nothing; \\fBhot=\\fIPREDICATE\\fR and \\fBhash=\\fIN\\fB/\\fIM\\fR pin the rows that satisfy it, or are in\n"
        "these buckets; \\fBcolumns=\\fIA\\fB,\\fIB\\fR keeps only the key and these columns of each row there.\n"
        ".PP\n"
        "The command returns when the mount answers. If it cannot be, one line on standard error "
        "says why,\n"
        "and the exit status which kind of cause it was.\n";

static const char end[] =
        ".SH ENVIRONMENT\n"
        ".TP\n.B " CACHE_PASSWORD_VARIABLE "\nThe password for Redis.\n"
        ".TP\n.BR PGHOST ,\\  PGUSER ,\\  ...\nAs for psql(1).\n"
        ".SH SIGNALS\n"
        ".TP\n.BR SIGTERM ,\\  SIGINT\nFinish what is being written, unmount, exit.\n"
        ".TP\n.B SIGHUP\nOpen the log file again.\n"
        ".SH FILES\n"
        ".TP\n.I MOUNTPOINT/.rowfs/\nWhat the mount says of itself: status, errors, kept texts. "
        "Not listed.\n"
        ".TP\n.I ~/.pgpass\nPasswords for PostgreSQL.\n"
        ".SH SEE ALSO\n"
        ".BR psql (1),\n.BR mount (8),\n.BR fusermount3 (1)\n";

void manual_print(struct buf *out)
{
	buf_adds(out, beginning);
	print_flags(out);
	print_options(out);
	print_exit_codes(out);
	buf_adds(out, end);
}
