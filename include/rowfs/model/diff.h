/* Base image, edited image → the columns that changed. */
#pragma once

#include "rowfs/base/error.h"
#include "rowfs/model/json.h"
#include "rowfs/model/row.h"

/* Set changed[i] for every column that is present in `patch` and differs from `base`, and *ret_n
 * to their number. Refused with -EINVAL: a changed generated column, a key in the text
 * that is not `key` (a row is renamed with mv, not by editing). */
int diff_patch(const struct relation *relation, const struct cells *key, const struct cell *base,
	       const struct patch *patch, bool *changed, size_t *ret_n, struct error *e) _must_check_;

/* The same check for a row that is to be inserted under a name: the key, where the text has it,
 * must be the name's (`key` NULL: the server assigns it). What a generated column will be only the server knows. */
int diff_insert(const struct relation *relation, const struct cells *key,
		const struct patch *patch, struct error *e) _must_check_;
