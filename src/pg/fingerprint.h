/* What the two fingerprints of the catalog have in common: load_fingerprint_sql (does the mount know the tables as they
 * are?) and the sync worker's watch (does anything change what rows look like, or to whom?). Each is a sum over the
 * versions of the catalog's rows, which changes with every row that is added, removed or replaced; it is asked all the
 * time. Statistics that VACUUM and ANALYZE keep in pg_class are overwritten in place and leave the version alone; tables
 * of other sessions' own, indexes' and TOAST tables' columns do not count. Storage (relfilenode) and grants (relacl)
 * are part of pg_class. */
#pragma once

#define VERSION_OF_X "hashint8extended(x.xmin::text::int8, "

#define USERS_SPACE "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"

/* `space` and `class`: users' schemas, and relations of these kinds in them. */
#define FINGERPRINT_WITH(kinds)                                                                    \
	"WITH space AS MATERIALIZED (SELECT n.oid, n.xmin FROM pg_namespace AS n"                  \
	" WHERE " USERS_SPACE "),"                                                                 \
	" class AS MATERIALIZED (SELECT c.oid, c.xmin FROM pg_class AS c"                          \
	" WHERE c.relkind IN (" kinds ") AND c.relpersistence <> 't'"                              \
	" AND c.relnamespace IN (SELECT space.oid FROM space))"

/* Of these, their columns (16384: FirstNormalObjectId), their indexes; of policies. */
#define FINGERPRINT_SUMS                                                                           \
	" (SELECT sum(" VERSION_OF_X "x.oid::int8)) FROM space AS x),"                             \
	" (SELECT sum(" VERSION_OF_X "x.oid::int8)) FROM class AS x),"                             \
	" (SELECT sum(" VERSION_OF_X "x.attnum)) FROM pg_attribute AS x"                           \
	" WHERE x.attrelid >= 16384 AND x.attnum > 0"                                              \
	" AND x.attrelid IN (SELECT class.oid FROM class)),"                                       \
	" (SELECT sum(" VERSION_OF_X "x.indexrelid::int8)) FROM pg_index AS x"                     \
	" WHERE x.indrelid IN (SELECT class.oid FROM class)),"                                     \
	" (SELECT sum(" VERSION_OF_X "x.oid::int8)) FROM pg_policy AS x)"
