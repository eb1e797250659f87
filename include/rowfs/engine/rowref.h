/* Which row: a relation of one snapshot and a key, by way of a file name. */
#pragma once

#include "rowfs/engine/catalog.h"
#include "rowfs/model/name.h"

struct rowref {
	struct schema *schema;           /* held */
	const struct relation *relation; /* of that snapshot */
	char *name;                      /* file name, with its suffix */
	struct cells key;                /* empty for a hashed name: its text has the key */
	char hash[NAME_HASH_HEX + 1];    /* "" unless hashed */
};

/* The row that `name` would be in relation `oid`. Returns 0; -ESTALE if there is no such relation now;
 * -ENOENT if the name is no row's (*ret_kind, may be NULL, says what it is); -ENOMEM. */
int rowref_of_name(struct catalog *catalog, uint32_t oid, const char *name, struct rowref *ret,
		   enum name_kind *ret_kind) _must_check_;

/* Why a name without a dot in front that is no row's can be none: -EINVAL, and the reason. */
int rowref_explain(struct catalog *catalog, uint32_t oid, const char *name, struct error *e);

int rowref_copy(const struct rowref *from, struct rowref *ret) _must_check_;
void rowref_done(struct rowref *ref); /* leaves a zeroed struct; safe to repeat */

#define _cleanup_rowref_ _cleanup_(rowref_done)
