/* The configuration file: the options by their names, and what rowfs cannot find out about a table.
 *
 *   ttl = 0.5
 *   redis = "unix:/run/redis/redis.sock"
 *   table "shop.top_products" { key = "id" mtime = "updated_at" }
 *
 * Read with libconfuse: # and C comments, strings in either quotes, ${VARIABLE} in double ones. */
#pragma once

#include "rowfs/base/error.h"
#include "rowfs/base/settings.h"

/* Read `path` into `settings`. Returns 0, or -errno with a sentence that names file and line. */
int config_read(const char *path, struct settings *settings, struct error *e) _must_check_;
