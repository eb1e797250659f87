/* What keeps a relation's rows out of Redis, whatever is said about their placement. */
#pragma once

#include "rowfs/engine/reader.h"

/* `lags`: the mount is of a standby. `feed`: copies are proved by a feed of changes. */
struct reader_bar barred(const struct settings *settings, const struct relation *relation, bool lags, bool feed);
