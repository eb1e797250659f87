/* What the files of this folder share of a store. */
#pragma once

#include <stdatomic.h>

#include "rowfs/engine/store.h"
#include "rules.h"
#include "said.h"
#include "sessions.h"
#include "source.h"

struct store {
	const struct settings *settings;
	struct source source;
	struct sessions sessions;
	struct said said;
	char *label;
	struct rules rules;
	atomic_bool placed; /* the database has something called rowfs.placement */
};
