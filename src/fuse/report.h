/* The names that exist and are never listed: what .rowfs holds, and .new.json. */
#pragma once

#include <sys/types.h>

#include "rowfs/base/buf.h"
#include "rowfs/engine/engine.h"

#define REPORT_DIRECTORY ".rowfs"
#define REPORT_NEW_ROW   ".new.json"

/* A file whose content is made when it is opened, for whoever opens it. */
struct report {
	const char *name;
	void (*print)(struct engine *engine, uid_t reader, struct buf *out);
	bool personal; /* each reader is shown his own */
};

const struct report *report_find(const char *name);

/* All of them, ended by one without a name. */
extern const struct report reports[];
