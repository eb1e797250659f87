#include "load_sql.h"

#include "fingerprint.h"

#define VISIBLE_SPACE                                                                              \
	USERS_SPACE " AND ($1::text IS NULL OR n.nspname::text = $1)"                              \
	" AND has_schema_privilege(n.oid, 'USAGE')"

const char load_spaces_sql[] =
        "SELECT n.nspname FROM pg_namespace AS n WHERE " VISIBLE_SPACE " ORDER BY n.oid";

/* Privileges on the whole table are asked for once, so that those on columns need not be. */
#define SHOWN                                                                                      \
	"shown AS MATERIALIZED (SELECT n.oid AS space, n.nspname, c.oid, c.relname, c.relkind,"    \
	" c.relam, c.reltuples, c.relrowsecurity,"                                                 \
	" has_table_privilege(c.oid, 'SELECT') AS selects,"                                        \
	" has_table_privilege(c.oid, 'UPDATE') AS updates,"                                        \
	" has_table_privilege(c.oid, 'INSERT') AS inserts,"                                        \
	" n.nspname || '.' || c.relname = ANY ($2::text[]) AS configured"                          \
	" FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"                     \
	" WHERE c.relkind IN ('r', 'p', 'm', 'v', 'f') AND NOT c.relispartition"                   \
	" AND c.relpersistence <> 't' AND has_any_column_privilege(c.oid, 'SELECT')"               \
	" AND " VISIBLE_SPACE ")"

/* Each domain with what it is in the end, and the modifiers that it gives it. */
#define DOMAINS                                                                                    \
	"chain(oid, base, typmod) AS ("                                                            \
	"SELECT oid, typbasetype, typtypmod FROM pg_type WHERE typtype = 'd'"                      \
	" UNION ALL SELECT chain.oid, t.typbasetype, t.typtypmod"                                  \
	" FROM chain JOIN pg_type AS t ON t.oid = chain.base WHERE t.typtype = 'd'),"              \
	" domains AS MATERIALIZED (SELECT chain.* FROM chain JOIN pg_type AS t"                    \
	" ON t.oid = chain.base WHERE t.typtype <> 'd')"

/* Only heaps (2) keep an xmin: a foreign partition says 0, another access method what it likes. */
#define HAS_XMIN                                                                                   \
	"NOT EXISTS (SELECT FROM pg_partition_tree(s.oid) AS part"                                 \
	" JOIN pg_class AS pc ON pc.oid = part.relid WHERE part.isleaf AND pc.relam <> 2)"

/* What pg_relation_is_updatable() says of a view or foreign table: bits by command. */
#define CAN_INSERT                                                                                 \
	"(CASE WHEN s.relkind IN ('v', 'f')"                                                       \
	" THEN pg_relation_is_updatable(s.oid, true) & 8 = 8 ELSE s.relkind <> 'm' END)"
#define CAN_DELETE                                                                                 \
	"(CASE WHEN s.relkind IN ('v', 'f')"                                                       \
	" THEN pg_relation_is_updatable(s.oid, true) & 16 = 16 ELSE s.relkind <> 'm' END)"

/* Types that print the names of objects as the search_path finds them, and every type made of such. */
#define NAMING                                                                                     \
	"made(part, oid) AS (SELECT typelem, oid FROM pg_type WHERE typelem <> 0"                  \
	" UNION ALL SELECT typbasetype, oid FROM pg_type WHERE typbasetype <> 0"                   \
	" UNION ALL SELECT rngsubtype, rngtypid FROM pg_range"                                     \
	" UNION ALL SELECT a.atttypid, c.reltype FROM pg_attribute AS a"                           \
	" JOIN pg_class AS c ON c.oid = a.attrelid"                                                \
	" WHERE c.reltype <> 0 AND a.attnum > 0 AND NOT a.attisdropped),"                          \
	" naming(oid) AS (SELECT oid FROM pg_type WHERE typnamespace = 'pg_catalog'::regnamespace" \
	" AND typname IN ('regproc', 'regprocedure', 'regoper', 'regoperator', 'regclass',"        \
	" 'regtype', 'regconfig', 'regdictionary', 'regcollation')"                                \
	" UNION SELECT made.oid FROM naming JOIN made ON made.part = naming.oid)"

const char load_relations_sql[] =
        "WITH RECURSIVE " SHOWN ", " NAMING
        " SELECT s.nspname, s.oid, s.relname, s.relkind, greatest(s.reltuples, 0), s.selects,"
        " has_any_column_privilege(s.oid, 'INSERT') AND " CAN_INSERT ","
        " has_table_privilege(s.oid, 'DELETE') AND " CAN_DELETE ","
        /* What a view or a foreign table shows may depend on who asks, too. */
        " s.relkind IN ('v', 'f') OR row_security_active(s.oid),"
        " s.configured,"
        " CASE s.relkind WHEN 'p' THEN " HAS_XMIN " ELSE s.relam = 2 END,"
        " s.oid IN (SELECT a.attrelid FROM pg_attribute AS a JOIN naming ON naming.oid = a.atttypid"
        " WHERE a.attnum > 0 AND NOT a.attisdropped), s.relrowsecurity"
        " FROM shown AS s ORDER BY s.space, s.oid";

const char load_columns_sql[] =
        "WITH RECURSIVE " SHOWN ", " DOMAINS
        " SELECT a.attrelid, a.attnum, a.attname, coalesce(d.base, a.atttypid),"
        " format_type(coalesce(d.base, a.atttypid), coalesce(d.typmod, a.atttypmod)),"
        " a.attnotnull, a.attgenerated <> '', a.attidentity = 'a',"
        " s.selects OR has_column_privilege(s.oid, a.attnum, 'SELECT'),"
        " (s.updates OR has_column_privilege(s.oid, a.attnum, 'UPDATE')) AND s.relkind <> 'm'"
        " AND (s.relkind NOT IN ('v', 'f') OR pg_column_is_updatable(s.oid, a.attnum, true)),"
        " s.inserts OR has_column_privilege(s.oid, a.attnum, 'INSERT')"
        " FROM shown AS s JOIN pg_attribute AS a ON a.attrelid = s.oid"
        " LEFT JOIN domains AS d ON d.oid = a.atttypid"
        " WHERE a.attnum > 0 AND NOT a.attisdropped"
        " AND (s.relkind NOT IN ('v', 'f') OR s.configured)"
        " ORDER BY s.space, s.oid, a.attnum";

/* The operators are those of the index: it is them that make the key unique. A materialised view's
 * columns are never NOT NULL. A deferrable primary key is unique whenever we look. */
const char load_keys_sql[] =
        "WITH " SHOWN ","
        " chosen AS (SELECT DISTINCT ON (i.indrelid) s.space, i.*"
        " FROM shown AS s JOIN pg_index AS i ON i.indrelid = s.oid"
        " JOIN pg_class AS ic ON ic.oid = i.indexrelid"
        " WHERE i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL"
        " AND ic.relam = 403 AND (i.indisprimary OR i.indimmediate)" /* 403: btree */
        " AND (s.relkind = 'm' OR NOT EXISTS (SELECT FROM pg_attribute AS a"
        " WHERE a.attrelid = i.indrelid AND NOT a.attnotnull"
        " AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])))"
        " ORDER BY i.indrelid, i.indisprimary DESC, i.indnkeyatts, ic.relname)"
        " SELECT c.indrelid, k.attnum, n.nspname,"
        " quote_ident(cn.nspname) || '.' || quote_ident(co.collname)"
        " FROM chosen AS c CROSS JOIN LATERAL"
        " unnest(c.indkey::int2[], c.indclass::oid[], c.indcollation::oid[])"
        " WITH ORDINALITY AS k(attnum, opclass, coll, place)"
        " JOIN pg_attribute AS a ON a.attrelid = c.indrelid AND a.attnum = k.attnum"
        " JOIN pg_opclass AS oc ON oc.oid = k.opclass"
        " JOIN pg_amop AS ao ON ao.amopfamily = oc.opcfamily AND ao.amopstrategy = 3" /* = */
        " AND ao.amoplefttype = oc.opcintype AND ao.amoprighttype = oc.opcintype"
        " JOIN pg_operator AS o ON o.oid = ao.amopopr"
        " JOIN pg_namespace AS n ON n.oid = o.oprnamespace"
        " LEFT JOIN pg_collation AS co ON co.oid = k.coll AND co.oid <> a.attcollation"
        " LEFT JOIN pg_namespace AS cn ON cn.oid = co.collnamespace"
        " WHERE k.place <= c.indnkeyatts ORDER BY c.space, c.indrelid, k.place";

/* The pseudo-types whose operator class serves all arrays, enums, ranges and multiranges. */
#define FAMILY                                                                                     \
	"CASE WHEN e.oid IS NOT NULL THEN 'anyarray'::regtype"                                     \
	" WHEN t.typtype = 'e' THEN 'anyenum'::regtype"                                            \
	" WHEN t.typtype = 'r' THEN 'anyrange'::regtype"                                           \
	" WHEN t.typtype = 'm' THEN to_regtype('anymultirange') END"

/* A type's equality: that of its default btree (403), else hash (405) operator class; the class may
 * be one for a type that it is stored as (varchar: text), or for its family. Arrays have one only
 * if their elements do, and composites only if every column does: the one is settled when the
 * elements are known, the other is not worth it. */
const char load_types_sql[] =
        "WITH RECURSIVE " SHOWN ", " DOMAINS ","
        " used(oid) AS (SELECT DISTINCT coalesce(d.base, a.atttypid)"
        " FROM shown AS s JOIN pg_attribute AS a ON a.attrelid = s.oid"
        " LEFT JOIN domains AS d ON d.oid = a.atttypid"
        " WHERE a.attnum > 0 AND NOT a.attisdropped"
        " AND (s.relkind NOT IN ('v', 'f') OR s.configured)"
        " UNION SELECT coalesce(d.base, e.oid) FROM used"
        " JOIN pg_type AS e ON e.typarray = used.oid"
        " LEFT JOIN domains AS d ON d.oid = e.oid)"
        " SELECT t.oid, coalesce(d.base, e.oid), e.typdelim, equal.nspname"
        " FROM used JOIN pg_type AS t ON t.oid = used.oid"
        " LEFT JOIN pg_type AS e ON e.typarray = t.oid"
        " LEFT JOIN domains AS d ON d.oid = e.oid"
        " LEFT JOIN LATERAL (SELECT n.nspname FROM pg_opclass AS oc"
        " JOIN pg_amop AS ao ON ao.amopfamily = oc.opcfamily"
        " AND ao.amoplefttype = oc.opcintype AND ao.amoprighttype = oc.opcintype"
        " AND ao.amopstrategy = CASE oc.opcmethod WHEN 403 THEN 3 ELSE 1 END"
        " JOIN pg_operator AS o ON o.oid = ao.amopopr AND o.oprname = '='"
        " JOIN pg_namespace AS n ON n.oid = o.oprnamespace"
        " WHERE oc.opcdefault AND oc.opcmethod IN (403, 405)"
        " AND (oc.opcintype = t.oid OR oc.opcintype = " FAMILY
        " OR EXISTS (SELECT FROM pg_cast AS ca WHERE ca.castsource = t.oid"
        " AND ca.casttarget = oc.opcintype AND ca.castmethod = 'b' AND ca.castcontext = 'i'))"
        " ORDER BY oc.opcmethod, oc.opcintype = t.oid DESC, oc.opcintype LIMIT 1) AS equal ON true"
        " ORDER BY t.oid";

const char load_fingerprint_sql[] =
        FINGERPRINT_WITH("'r', 'p', 'm', 'v', 'f'")
        " SELECT concat_ws(' ',"
        FINGERPRINT_SUMS ","
        " (SELECT sum(" VERSION_OF_X "x.oid::int8)) FROM pg_type AS x"
        " WHERE x.oid >= 16384 AND x.typrelid = 0"
        " AND x.typnamespace IN (SELECT space.oid FROM space)),"
        " (SELECT sum(" VERSION_OF_X "x.member::int8)) FROM pg_auth_members AS x),"
        " (SELECT concat(r.oid, r.rolsuper, r.rolbypassrls, r.rolinherit) FROM pg_roles AS r"
        " WHERE r.rolname = current_user),"
        " current_setting('track_commit_timestamp')),"
        " current_setting('track_commit_timestamp')::bool";

const char load_named_sql[] =
        "SELECT n.nspname || '.' || c.relname, c.relispartition"
        " FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
        " WHERE n.nspname || '.' || c.relname = ANY ($1::text[]) AND c.relkind IN ('r', 'p', 'm', 'v', 'f')";
