#include "rules_sql.h"

/* All of these run with pg_catalog alone in the search path. */
#define OWNER_IS_NONE_OF(owner, others)                                                            \
	"NOT EXISTS (SELECT FROM pg_roles AS r WHERE r.oid = " owner " AND (r.rolsuper OR " others "))"

#define OWNS_DATABASE "r.oid = (SELECT d.datdba FROM pg_database AS d WHERE d.datname = current_database())"
#define IS_ME "r.rolname = current_user"

#define NOT_TRUSTED(owner)                                                                         \
	OWNER_IS_NONE_OF(owner, OWNS_DATABASE) " THEN format('%s belongs to %I, who is neither a superuser nor the"     \
	" database''s owner', "

#define SCHEMA_PROBLEM "WHEN " NOT_TRUSTED("n.nspowner") "'schema rowfs', pg_get_userbyid(n.nspowner))"

/* `from` has the name of one that it must not have. */
#define HAS(what, name, from)                                                                      \
	"WHEN EXISTS (SELECT FROM " from ")"                                                       \
	" THEN format('it has %s \"%s\"', '" what "', (SELECT " name " FROM " from " LIMIT 1))"

#define SCHEMA_STRANGER "WHEN " OWNER_IS_NONE_OF("n.nspowner", IS_ME) " THEN pg_get_userbyid(n.nspowner)"

#define COLUMNS                                                                                    \
	"(SELECT string_agg(format('%s %s', a.attname, a.atttypid), ' ' ORDER BY a.attname) FROM pg_attribute AS a"     \
	" WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attnotnull)"

#define OTHER_COLUMNS                                                                              \
	"pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"       \
	" AND a.attname NOT IN ('relation', 'rule')"

const char rules_trust_sql[] =
        "SELECT CASE " SCHEMA_PROBLEM
        " WHEN c.relkind <> 'r' THEN 'it is no table'"
        " WHEN " NOT_TRUSTED("c.relowner") "'it', pg_get_userbyid(c.relowner))"
        " " HAS("a trigger", "t.tgname", "pg_trigger AS t WHERE t.tgrelid = c.oid")
        " " HAS("a rule", "w.rulename", "pg_rewrite AS w WHERE w.ev_class = c.oid")
        " " HAS("a policy", "p.polname", "pg_policy AS p WHERE p.polrelid = c.oid")
        " WHEN c.relrowsecurity OR c.relforcerowsecurity THEN 'it has row security'"
        " WHEN c.relispartition OR EXISTS (SELECT FROM pg_inherits AS h WHERE c.oid IN (h.inhrelid, h.inhparent))"
        " THEN 'it inherits, or is inherited from'"
        " " HAS("the column", "a.attname", OTHER_COLUMNS)
        /* 25: text */
        " WHEN " COLUMNS " IS DISTINCT FROM 'relation 25 rule 25'"
        " THEN 'its columns are not relation and rule, text NOT NULL'"
        " WHEN EXISTS (SELECT FROM pg_attrdef AS f WHERE f.adrelid = c.oid)"
        " THEN 'a column has a default, or is generated'"
        " " HAS("the constraint", "k.conname",
                "pg_constraint AS k WHERE k.conrelid = c.oid AND k.contype NOT IN ('p', 'n')")
        " " HAS("the index", "i.indexrelid::regclass::text",
                "pg_index AS i WHERE i.indrelid = c.oid AND NOT i.indisprimary")
        " WHEN NOT EXISTS (SELECT FROM pg_index AS i JOIN pg_attribute AS a"
        " ON a.attrelid = c.oid AND a.attnum = i.indkey[0] WHERE i.indrelid = c.oid AND i.indisprimary"
        " AND i.indimmediate AND i.indnatts = 1 AND a.attname = 'relation')"
        " THEN 'its primary key is not relation' END,"
        " CASE " SCHEMA_STRANGER " WHEN " OWNER_IS_NONE_OF("c.relowner", IS_ME) " THEN pg_get_userbyid(c.relowner) END,"
        " has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')"
        " FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
        " WHERE n.nspname = 'rowfs' AND c.relname = 'placement'";

const char rules_trust_schema_sql[] =
        "SELECT CASE " SCHEMA_PROBLEM " END, CASE " SCHEMA_STRANGER " END, has_schema_privilege(n.oid, 'USAGE')"
        " FROM pg_namespace AS n WHERE n.nspname = 'rowfs'";
