/* The list of columns in a placement rule, as somebody wrote it. */
#pragma once

#include "rowfs/model/placement.h"

/* How far a list goes that begins here: to a blank that is neither in quotes nor beside a comma. */
size_t placement_columns_len(const char *text);

/* Parse, and keep it in its one spelling. As placement_of(). */
int placement_set_columns(const char *text, struct placement *to, struct error *e) _must_check_;
