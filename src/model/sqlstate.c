#include "rowfs/model/sqlstate.h"

#include <errno.h>
#include <string.h>

/* A row matches every SQLSTATE that begins with `prefix`; the first match counts, so single codes
 * stand before their class. */
static const struct {
	char prefix[6];
	int err;
} table[] = {
        /* The text is no row. */
        {"22", EINVAL},
        {"42804", EINVAL}, /* datatype mismatch */
        {"428C9", EINVAL}, /* generated always */

        /* The row is not wanted. */
        {"23505", EEXIST},
        {"23001", EPERM}, /* restrict */
        {"23502", EPERM}, /* not null */
        {"23503", EPERM}, /* foreign key */
        {"23514", EPERM}, /* check */
        {"23P01", EPERM}, /* exclusion */
        {"P0001", EPERM}, /* RAISE in a trigger */
        {"44000", EPERM}, /* view WITH CHECK OPTION */
        {"2BP01", EPERM}, /* others depend on it */

        {"42501", EACCES}, /* grants, row security */
        {"28", EACCES},    /* authentication */
        {"25006", EROFS},  /* read-only transaction, standby */

        /* Made for another catalog than the server has now. */
        {"42P01", ESTALE}, /* table gone */
        {"42703", ESTALE}, /* column gone */

        /* Not now. */
        {"55P03", EBUSY},     /* lock_timeout */
        {"57014", ETIMEDOUT}, /* statement_timeout */
        {"53100", ENOSPC},
        {"53200", ENOMEM},
        {"54", EFBIG}, /* the row is too large */

        {"55000", EOPNOTSUPP},
        {"0A000", EOPNOTSUPP},
};

int sqlstate_errno(const char *sqlstate)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		if (strncmp(sqlstate, table[i].prefix, strlen(table[i].prefix)) == 0)
			return table[i].err;
	return EIO;
}

bool sqlstate_retry(const char *sqlstate)
{
	return strcmp(sqlstate, "40001") == 0 || strcmp(sqlstate, "40P01") == 0;
}

bool sqlstate_reprepare(const char *sqlstate, const char *source)
{
	if (strcmp(sqlstate, "26000") == 0)
		return true;
	return strcmp(sqlstate, "0A000") == 0 && source &&
	       strcmp(source, "RevalidateCachedQuery") == 0;
}
