/* What a JSON string may escape and PostgreSQL still cannot store. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Look at the inside of a string whose escapes are well formed. Returns NULL if each stands for a
 * character that can be stored, else the reason, and in *ret_offset the place of the escape. */
const char *json_string_flaw(const char *inside, size_t len, bool nul_allowed, size_t *ret_offset);
