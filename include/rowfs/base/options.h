/* Options: one table, from which come the parser of -o, the configuration file's, --help, the man
 * page and the dump of what is in effect. To add an option, add a field to `struct settings` and a
 * line to the table in options.c.
 *
 *   redis=unix:/run/redis/redis.sock,ttl=0.5,ro,nodev          -o; "\," is a comma in a value
 *
 * The words that mount(8) and fstab hand over (_netdev, noauto, nodev, x-…) are known too. An
 * unknown word is refused, naming the nearest known one: a typing error must not look like success.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "rowfs/base/buf.h"
#include "rowfs/base/error.h"
#include "rowfs/base/settings.h"

enum option_type {
	OPTION_TEXT,
	OPTION_PATH,         /* made absolute, since the daemon leaves its directory */
	OPTION_ADDRESS,      /* text, but the path after "unix:" is made absolute */
	OPTION_ON,           /* a flag: sets a bool */
	OPTION_OFF,          /* a flag: clears it */
	OPTION_SECONDS,      /* double; fractions allowed */
	OPTION_MILLISECONDS, /* unsigned, written in seconds */
	OPTION_WHOLE_MS,     /* unsigned, written as it is */
	OPTION_SIZE,         /* uint64_t; K, M, G, T */
	OPTION_MODE,         /* mode_t, octal */
	OPTION_USER,         /* uid_t, number or name */
	OPTION_GROUP,        /* gid_t, number or name */
	OPTION_CONSISTENCY,  /* bool: "strong" or "cached" */
	OPTION_CHANGES,      /* enum changes */
	OPTION_CONFLICT,     /* enum conflict */
	OPTION_ADMIT,        /* enum admit */
	OPTION_STALENESS,    /* double, seconds; not less than a heartbeat can keep */
};

struct option_entry {
	const char *name;
	enum option_type type;
	size_t field;         /* offset in struct settings */
	const char *argument; /* placeholder for --help; NULL for flags */
	const char *initial;  /* the default, as one would write it; NULL: see `help` */
	const char *help;     /* one line */
	const char *least;    /* OPTION_SIZE: the smallest that will do, as one would write it; NULL: 0 */
};

/* Ends with a NULL name. */
extern const struct option_entry options[];

/* The defaults; settings_done() releases. -ENOMEM. */
int settings_init(struct settings *ret) _must_check_;
void settings_done(struct settings *settings);

#define _cleanup_settings_ _cleanup_(settings_done)

/* Set one option from its text. `value` NULL: the bare word. Returns 0; -EINVAL with a sentence
 * that names option and value for an unknown option or a bad value; -ENOMEM. */
int options_set(struct settings *settings, const char *name, const char *value,
                struct error *e) _must_check_;

/* The list after -o. Mount words are obeyed or ignored here. */
int options_parse(struct settings *settings, const char *list, struct error *e) _must_check_;

/* The next word of such a list, with its "\," undone, in a buffer of its own (emptied first); *at
 * moves on. False at the end. */
bool options_next(const char **at, struct buf *ret);

const struct option_entry *option_find(const char *name);

/* The known name that `name` was probably meant to be, or NULL. */
const char *option_nearest(const char *name);

/* A size as one would write it: 64M, 1000. */
enum { OPTION_SIZE_TEXT = 24 };
void option_print_size(uint64_t bytes, char ret[OPTION_SIZE_TEXT]);

/* The table, for --help. */
void options_help(struct buf *out);

/* What is in effect, in the configuration file's own syntax, without passwords. */
void options_dump(const struct settings *settings, struct buf *out);

/* `path` from the root; the caller frees it. NULL when out of memory or when the current directory
 * is gone. */
char *path_absolute(const char *path) _must_check_;
