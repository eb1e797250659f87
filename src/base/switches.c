#include "rowfs/base/switches.h"

#ifdef ROWFS_SWITCHES

#include <stdlib.h>
#include <string.h>

bool switched_off(const char *protection)
{
	const char *list = getenv("ROWFS_OFF");
	size_t len = strlen(protection);

	for (const char *at = list; at && *at; at += strcspn(at, ","), at += *at == ',')
		if (strncmp(at, protection, len) == 0 && (!at[len] || at[len] == ','))
			return true;
	return false;
}

#endif
