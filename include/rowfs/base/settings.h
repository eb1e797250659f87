/* What the user asked for, after all sources were read: command line, -o, configuration file.
 *
 * Filled by base/options.h before anything else runs, never changed after that, so any thread may
 * read it. Every string is owned. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* `table "schema.name" { key = …, mtime = …, hot = … }` */
struct table_settings {
	char *relation; /* "schema.name" as the user wrote it */
	char *key;      /* column names, comma-separated, or NULL */
	char *mtime;    /* column name, or NULL */
	char *place, *hot, *hash, *columns; /* the placement rule, found good (model/placement.h); each may be NULL */
};

/* `changes=`: how others' commits are noticed. */
enum changes {
	CHANGES_AUTO, /* the best that each table can have */
	CHANGES_WAL,  /* logical decoding only */
	CHANGES_LOG,  /* the change log only */
	CHANGES_TTL,  /* not at all: copies are used for `ttl` */
};

/* `admit=`: when a row that is read enters Redis. */
enum admit {
	ADMIT_ON_SECOND, /* when it is read for the second time */
	ADMIT_ON_FIRST,  /* at once */
};

/* `conflict=`: what becomes of a save where others have changed the row meanwhile. */
enum conflict {
	CONFLICT_MERGE, /* refused where they changed a column that it changes, too */
	CONFLICT_FAIL,  /* refused */
	CONFLICT_LAST,  /* it changes its columns all the same */
};

struct settings {
	char *source;     /* libpq connection string or URI; may hold a password */
	char *mountpoint; /* absolute */
	bool foreground;

	char *redis;          /* redis://…, rediss://…, unix:PATH, or none */
	char *redis_ca;       /* absolute; the certificates that count for rediss://, or NULL */
	char *redis_passfile; /* absolute; its first line is the password, or NULL */
	bool redis_required;
	char *name_space; /* `namespace=`: keeps cloned clusters apart in one Redis, or NULL */
	double ttl;       /* seconds a Redis copy may be used while there is no change feed */
	enum admit admit;
	bool strong;      /* consistency=strong: every read asks PostgreSQL */

	enum changes changes;
	double pins_audit; /* seconds between looks whether what is pinned still satisfies its rule */
	double max_staleness; /* seconds after which others' commits are seen, with a change feed */
	char *publication;
	bool worker;  /* this process may be the sync worker */
	char *direct; /* like `source`, past a pooler, for the worker; a password too; or NULL */

	char *schema; /* show this schema at the root, or NULL */
	char *mtime;  /* default mtime column, or NULL */
	enum conflict conflict;
	bool ro;
	bool allow_other;
	uid_t uid;
	gid_t gid;
	mode_t umask;
	bool noexec; /* the mount option: no program starts from this mount */

	char *config;          /* absolute; file read, or NULL */
	char *log;             /* see log_open() */
	char *state_dir;       /* spool, rejected texts; absolute */
	uint64_t scratch_max;  /* bytes of scratch files */
	uint64_t rejected_max; /* bytes of kept refused texts */
	uint64_t memory_max;   /* bytes of row text pinned by open files */
	unsigned detach_grace_ms;
	unsigned delete_grace_ms; /* 0: rm deletes at once */

	struct table_settings *tables;
	size_t n_tables;
};
