/* Exit codes: they tell a script what to fix. One table, which --help and the manual print too. */
#pragma once

#define EXIT_CODES(X)                                                                              \
	X(DONE, 0, "mounted, or with -f: unmounted again")                                         \
	X(INTERNAL, 1, "out of memory, or a fault in rowfs")                                       \
	X(USAGE, 2, "command line, option or configuration file")                                  \
	X(MOUNTPOINT, 10, "mount point missing, not empty, or already mounted")                    \
	X(POSTGRES, 11, "PostgreSQL cannot be reached or used")                                    \
	X(AUTHENTICATION, 12, "PostgreSQL refuses the user or the password")                       \
	X(REDIS, 13, "unusable Redis address or password; no Redis with redis_required")           \
	X(FUSE, 14, "/dev/fuse missing, or the mount was refused")                                 \
	X(REFUSED, 15, "rowfs retry: a text was refused again")                              \
	X(INCOMPLETE, 16, "rowfs warm: not every row is in Redis, or, with --evict, out of it")

enum exit_code {
#define X(name, code, meaning) EXIT_##name = code,
	EXIT_CODES(X)
#undef X
};
