#include "feed_sql.h"

#include "fingerprint.h"

/* Array types come with each table and say nothing. */
static const char watch_sql[] =
        FINGERPRINT_WITH("'r', 'p', 'f', 'c'")
        " SELECT concat_ws(' ',"
        FINGERPRINT_SUMS ","
        " (SELECT sum(" VERSION_OF_X "x.inhrelid::int8)) FROM pg_inherits AS x),"
        " (SELECT sum(" VERSION_OF_X "x.oid::int8)) FROM pg_trigger AS x WHERE NOT x.tgisinternal),"
        " (SELECT sum(" VERSION_OF_X "x.oid::int8)) FROM pg_publication AS x),"
        " (SELECT sum(" VERSION_OF_X "x.oid::int8)) FROM pg_publication_rel AS x),"
        " (SELECT sum(" VERSION_OF_X "x.srrelid::int8)) FROM pg_subscription_rel AS x)";

static const char watch_15_sql[] =
        ", (SELECT sum(" VERSION_OF_X "x.oid::int8)) FROM pg_publication_namespace AS x)";

static const char watch_all_sql[] =
        "), concat_ws(' ',"
        " (SELECT sum(" VERSION_OF_X "x.member::int8)) FROM pg_auth_members AS x),"
        " (SELECT sum(hashtextextended(concat_ws(' ', r.rolname, r.rolsuper, r.rolinherit,"
        " r.rolbypassrls), r.oid::int8)) FROM pg_roles AS r),"
        " (SELECT sum(" VERSION_OF_X "x.oid::int8)) FROM pg_type AS x"
        " WHERE x.oid >= 16384 AND x.typtype <> 'c' AND x.typcategory <> 'A'"
        " AND x.typnamespace IN (SELECT space.oid FROM space)),"
        " (SELECT sum(" VERSION_OF_X "x.oid::int8)) FROM pg_enum AS x),"
        " current_setting('track_commit_timestamp')),"
        " pg_current_snapshot()";

void feed_print_watch_sql(int version, struct buf *out)
{
	buf_adds(out, watch_sql);
	if (version >= 150000)
		buf_adds(out, watch_15_sql);
	buf_adds(out, watch_all_sql);
}

/* Types whose text depends on what the search_path finds: a key of these is printed one way here
 * and another way there. reg… */
#define PATH_TYPES "(24, 2202, 2203, 2204, 2205, 2206, 4096, 4089, 3734, 3769, 4191)"

/* Types whose text depends on no setting; others are printed under pinned ones. bool, name, int8,
 * int2, int4, text, oid, bpchar, varchar, numeric, uuid. */
#define PLAIN_TYPES "(16, 19, 20, 21, 23, 25, 26, 1042, 1043, 1700, 2950)"

static const char tables_sql[] =
        "WITH RECURSIVE root AS MATERIALIZED (SELECT c.oid, c.relname, c.relkind, n.nspname,"
        " n.oid AS space, hashint8extended(n.xmin::text::int8, n.oid::int8) AS version,"
        " pg_has_role(c.relowner, 'USAGE') AS owned"
        " FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
        " WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'"
        " AND " USERS_SPACE " AND n.nspname <> 'rowfs'),"
        " tree(root, oid) AS (SELECT r.oid, r.oid FROM root AS r"
        " UNION ALL SELECT tree.root, i.inhrelid FROM tree"
        " JOIN pg_inherits AS i ON i.inhparent = tree.oid"
        " JOIN pg_class AS c ON c.oid = i.inhrelid WHERE c.relispartition),"
        " logger AS MATERIALIZED (SELECT t.tgrelid, f.proname, count(*) AS n"
        " FROM pg_trigger AS t JOIN pg_proc AS f ON f.oid = t.tgfoid"
        " JOIN pg_namespace AS n ON n.oid = f.pronamespace AND n.nspname = 'rowfs'"
        " WHERE t.tgenabled = 'A' AND t.tgname IN"
        " ('rowfs_insert', 'rowfs_update', 'rowfs_delete', 'rowfs_truncate')"
        " GROUP BY t.tgrelid, f.proname),"
        " policy AS MATERIALIZED (SELECT x.polrelid, sum(" VERSION_OF_X "x.oid::int8)) AS version"
        " FROM pg_policy AS x GROUP BY x.polrelid),"
        /* Of the whole tree. */
        " part AS MATERIALIZED (SELECT tree.root, bool_or(x.relkind = 'f') AS is_foreign,"
        " bool_and(x.relpersistence = 'p') AS permanent,"
        " bool_and(x.relreplident = 'd') AS default_identity,"
        " bool_and(x.relreplident IN ('f', 'i') OR x.relkind = 'p') AS other_identity,"
        " bool_or(EXISTS (SELECT FROM pg_subscription_rel AS s WHERE s.srrelid = x.oid))"
        " AS subscribed,"
        " sum(" VERSION_OF_X "x.oid::int8) + coalesce(policy.version, 0)) AS version"
        " FROM tree JOIN pg_class AS x ON x.oid = tree.oid"
        " LEFT JOIN policy ON policy.polrelid = x.oid GROUP BY tree.root),"
        " attribute AS MATERIALIZED (SELECT x.attrelid, sum(" VERSION_OF_X "x.attnum)) AS version"
        " FROM pg_attribute AS x JOIN root AS r ON r.oid = x.attrelid"
        " WHERE x.attnum > 0 GROUP BY x.attrelid),"
        /* The rule of load_keys_sql. */
        " chosen AS MATERIALIZED (SELECT DISTINCT ON (x.indrelid) x.*,"
        " " VERSION_OF_X "x.indexrelid::int8) AS version,"
        " (x.indkey::int2[])[0:x.indnkeyatts - 1] AS columns"
        " FROM root AS r JOIN pg_index AS x ON x.indrelid = r.oid"
        " JOIN pg_class AS ic ON ic.oid = x.indexrelid"
        " WHERE x.indisunique AND x.indisvalid AND x.indpred IS NULL AND x.indexprs IS NULL"
        " AND ic.relam = 403 AND (x.indisprimary OR x.indimmediate)" /* 403: btree */
        " AND NOT EXISTS (SELECT FROM pg_attribute AS a"
        " WHERE a.attrelid = x.indrelid AND NOT a.attnotnull"
        " AND a.attnum = ANY ((x.indkey::int2[])[0:x.indnkeyatts - 1]))"
        " ORDER BY x.indrelid, x.indisprimary DESC, x.indnkeyatts, ic.relname),"
        " key AS MATERIALIZED (SELECT c.indrelid, c.indisprimary, c.indimmediate, c.columns, "
        "c.version,"
        " bool_or(a.attgenerated <> '') AS generated,"
        " bool_or(coalesce(nullif(t.typbasetype, 0), nullif(t.typelem, 0), t.oid)"
        " IN " PATH_TYPES ") AS by_path,"
        " bool_or(t.oid NOT IN " PLAIN_TYPES " AND t.typtype <> 'e') AS pinned,"
        " array_agg(a.attname::text ORDER BY k.place) AS names"
        " FROM chosen AS c CROSS JOIN LATERAL unnest(c.columns) WITH ORDINALITY AS k(attnum, place)"
        " JOIN pg_attribute AS a ON a.attrelid = c.indrelid AND a.attnum = k.attnum"
        " JOIN pg_type AS t ON t.oid = a.atttypid"
        " GROUP BY c.indrelid, c.indisprimary, c.indimmediate, c.columns, c.version),"
        " state AS MATERIALIZED (SELECT r.*, key.names, key.columns, key.pinned,"
        " r.version + part.version + coalesce(attribute.version, 0) + coalesce(key.version, 0)"
        " AS table_version, part.other_identity,"
        " CASE WHEN r.nspname || '.' || r.relname = ANY ($2::text[])"
        " THEN 'the configuration gives it another key'"
        " WHEN key.columns IS NULL THEN 'it has no primary key'"
        " WHEN EXISTS (SELECT FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid"
        " WHERE i.inhparent = r.oid AND NOT c.relispartition) THEN 'other tables inherit from it'"
        " WHEN part.is_foreign THEN 'a partition is a foreign table'"
        " WHEN key.by_path THEN 'the text of its key depends on the search_path' END AS unfit,"
        " CASE WHEN NOT key.indisprimary THEN 'it has no primary key'"
        " WHEN NOT key.indimmediate THEN 'its primary key is deferrable'"
        " WHEN key.generated THEN 'its key is generated'"
        " WHEN NOT part.permanent THEN 'it is unlogged'"
        " WHEN NOT part.default_identity"
        " THEN 'its replica identity is not the default one' END AS wal_unfit,"
        " CASE WHEN part.subscribed THEN 'a subscription fills it, which fires no triggers'"
        " WHEN EXISTS (SELECT FROM pg_inherits AS i WHERE i.inhrelid = r.oid)"
        " THEN 'it inherits from another table' END AS log_unfit,"
        " CASE WHEN key.pinned THEN 'log_pinned_' ELSE 'log_' END || md5(key.names::text)"
        " AS logger"
        " FROM root AS r JOIN part ON part.root = r.oid"
        " LEFT JOIN attribute ON attribute.attrelid = r.oid"
        " LEFT JOIN key ON key.indrelid = r.oid),"
        " pub AS MATERIALIZED (SELECT p.*, p.pubinsert AND p.pubupdate AND p.pubdelete AND "
        "p.pubtruncate"
        " AS complete FROM pg_publication AS p WHERE p.pubname = $1::name),";

/* How a table can be part of a publication: by name, by its schema, or with all others. */
static const char member_15_sql[] =
        "member AS (SELECT x.prrelid AS relation, true AS listed,"
        " (x.prattrs::int2[]) AS columns, x.prqual IS NOT NULL AS filtered,"
        " " VERSION_OF_X "x.oid::int8) AS version"
        " FROM pub JOIN pg_publication_rel AS x ON x.prpubid = pub.oid"
        " UNION ALL SELECT r.oid, false, NULL, false, " VERSION_OF_X "x.oid::int8) FROM pub"
        " JOIN pg_publication_namespace AS x ON x.pnpubid = pub.oid"
        " JOIN root AS r ON r.space = x.pnnspid"
        " UNION ALL SELECT r.oid, false, NULL, false, 0 FROM pub JOIN root AS r ON "
        "pub.puballtables),";
static const char member_13_sql[] =
        "member AS (SELECT x.prrelid AS relation, true AS listed, NULL::int2[] AS columns,"
        " false AS filtered, " VERSION_OF_X "x.oid::int8) AS version"
        " FROM pub JOIN pg_publication_rel AS x ON x.prpubid = pub.oid"
        " UNION ALL SELECT r.oid, false, NULL, false, 0 FROM pub JOIN root AS r ON "
        "pub.puballtables),";

static const char tables_end_sql[] =
        "published AS MATERIALIZED (SELECT s.oid, bool_or(m.listed) AS listed, sum(m.version) AS "
        "version,"
        " bool_and(NOT m.filtered AND pub.complete AND (pub.pubviaroot OR s.relkind <> 'p')"
        " AND (m.columns IS NULL OR s.columns <@ m.columns)) AS usable,"
        " bool_or(m.listed AND (m.columns IS NOT NULL OR NOT s.other_identity)"
        " AND (s.unfit IS NOT NULL OR s.wal_unfit IS NOT NULL OR NOT s.columns <@ m.columns))"
        " AS harmful"
        " FROM member AS m CROSS JOIN pub JOIN state AS s ON s.oid = m.relation GROUP BY s.oid),"
        " watched AS MATERIALIZED (SELECT tree.root, bool_and(coalesce(l.n = 4, false)) AS "
        "complete,"
        " bool_or(tree.oid IN (SELECT logger.tgrelid FROM logger)) AS partly"
        " FROM tree JOIN state AS s ON s.oid = tree.root"
        " LEFT JOIN logger AS l ON l.tgrelid = tree.oid AND l.proname = s.logger GROUP BY "
        "tree.root)"
        " SELECT s.oid, quote_ident(s.nspname) || '.' || quote_ident(s.relname),"
        " s.table_version, coalesce(s.unfit, s.wal_unfit), coalesce(s.unfit, s.log_unfit),"
        " s.owned, coalesce(p.usable, false), coalesce(p.listed, false),"
        " coalesce(p.harmful, false), watched.complete, watched.partly,"
        " s.logger, coalesce(s.pinned, false), coalesce(p.version, 0), k.name"
        " FROM state AS s JOIN watched ON watched.root = s.oid"
        " LEFT JOIN published AS p ON p.oid = s.oid"
        " LEFT JOIN LATERAL unnest(s.names) WITH ORDINALITY AS k(name, place) ON true"
        " ORDER BY s.oid, k.place";

void feed_print_tables_sql(int version, struct buf *out)
{
	buf_adds(out, tables_sql);
	buf_adds(out, version >= 150000 ? member_15_sql : member_13_sql);
	buf_adds(out, tables_end_sql);
}

const char feed_publication_sql[] =
        "SELECT p.pubinsert AND p.pubupdate AND p.pubdelete AND p.pubtruncate, p.pubviaroot,"
        " pg_has_role(p.pubowner, 'USAGE'), p.puballtables"
        " FROM pg_publication AS p WHERE p.pubname = $1::name";

const char feed_allows_sql[] =
        "SELECT current_setting('wal_level') = 'logical', r.rolreplication OR r.rolsuper,"
        " current_setting('max_replication_slots')::int > 0"
        " AND current_setting('max_wal_senders')::int > 0,"
        " has_database_privilege(current_database(), 'CREATE'),"
        " coalesce(has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')"
        " AND has_table_privilege(c.oid, 'DELETE'), false),"
        " " FEED_SPARED_SQL " FROM pg_roles AS r LEFT JOIN pg_namespace AS n ON n.nspname = 'rowfs'"
        " LEFT JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = 'changes'"
        " WHERE r.rolname = current_user";

/* For people: who, and for how long. */
#define SOMEBODY                                                                                   \
	"concat('pid ', a.pid, ' (', a.usename, ', ' ||"                                           \
	" extract(epoch FROM clock_timestamp() - a.xact_start)::int8 || ' s', ')')"
#define PREPARED                                                                                   \
	"'prepared transaction ' || quote_literal(p.gid) || ' (' || p.owner || ', ' ||"            \
	" extract(epoch FROM clock_timestamp() - p.prepared)::int8 || ' s)'"

/* In any database: the log is the cluster's. */
const char feed_writers_sql[] =
        "SELECT string_agg(w.who, ', ' ORDER BY w.since) FROM ("
        " SELECT " SOMEBODY " AS who, a.xact_start AS since FROM pg_stat_activity AS a"
        " WHERE a.backend_xid IS NOT NULL AND a.pid <> pg_backend_pid()"
        " UNION ALL SELECT " PREPARED ", p.prepared FROM pg_prepared_xacts AS p"
        " ORDER BY 2 LIMIT 5) AS w";

const char feed_loggers_sql[] =
        "SELECT string_agg(w.who, ', ' ORDER BY w.since) FROM ("
        " SELECT coalesce(" PREPARED ", " SOMEBODY ") AS who,"
        " coalesce(p.prepared, a.xact_start) AS since FROM pg_locks AS l"
        " LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid"
        " LEFT JOIN pg_prepared_xacts AS p ON l.virtualtransaction = concat('-1/', p.transaction)"
        " WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1"
        " AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = "
        "current_database())"
        " AND (l.classid::int8 << 32) | l.objid::int8 = $1::int8"
        " ORDER BY 2 LIMIT 5) AS w";
