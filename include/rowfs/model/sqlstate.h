/* SQLSTATE → errno, the one table (docs/filesystem.md, "Errors"). */
#pragma once

#include <stdbool.h>

/* Positive errno for a five-character SQLSTATE; EIO for what is not listed. */
int sqlstate_errno(const char *sqlstate);

/* Worth the same statement again: serialisation failures and deadlocks. */
bool sqlstate_retry(const char *sqlstate);

/* Is the prepared statement out of date, and nothing else? 26000: the server does not know it; or
 * 0A000 "cached plan must not change result type", which is told apart from every other 0A000 by
 * the place in the server that raised it (`source`, may be NULL), since messages are translated. */
bool sqlstate_reprepare(const char *sqlstate, const char *source);

/* What PostgreSQL calls the condition ("division_by_zero"); "" for what is not listed. A message may hold what rows hold,
 * which this never does. */
const char *sqlstate_name(const char *sqlstate);
