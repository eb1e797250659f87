#include "rowfs/engine/placements.h"

#include <errno.h>
#include <string.h>

#include "direct.h"
#include "load.h"
#include "rowfs/model/statement.h"
#include "rules.h"
#include "rules_sql.h"
#include "session.h"
#include "store.h"

/* Every mount must know the rules, whoever it belongs to. */
static const char create_schema_sql[] = "CREATE SCHEMA rowfs";
static const char create_sql[] =
        "CREATE TABLE rowfs.placement (relation pg_catalog.text PRIMARY KEY, rule pg_catalog.text NOT NULL);"
        " COMMENT ON TABLE rowfs.placement IS 'what of a table lives in Redis; see \"rowfs place\"';"
        " GRANT SELECT ON rowfs.placement TO PUBLIC; GRANT USAGE ON SCHEMA rowfs TO PUBLIC";

/* What is there does not become another while this is held, but for its schema's name, which is its owner's affair. */
static const char write_lock_sql[] = "LOCK TABLE ONLY rowfs.placement IN SHARE ROW EXCLUSIVE MODE";
static const char read_lock_sql[] = "LOCK TABLE ONLY rowfs.placement IN ACCESS SHARE MODE";

static const char begin_sql[] =
        "BEGIN; SET LOCAL lock_timeout TO 2000; SET LOCAL row_security TO off; " SESSION_NO_VIEWS;

static const char set_sql[] = "INSERT INTO rowfs.placement (relation, rule) VALUES ($1, $2)"
                              " ON CONFLICT (relation) DO UPDATE SET rule = excluded.rule";

static const char drop_sql[] = "DELETE FROM ONLY rowfs.placement WHERE relation = $1 RETURNING relation";

enum { FOUND_NAME, FOUND_KIND, FOUND_PART, FOUND_GUARDED };

static const char find_sql[] = "SELECT format('%I.%I', n.nspname, c.relname), c.relkind, c.relispartition,"
                               " c.relrowsecurity FROM pg_catalog.pg_class AS c"
                               " JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
                               " WHERE n.nspname || '.' || c.relname = $1 AND c.relkind IN ('r', 'p', 'm', 'v', 'f')";

static const char column_sql[] = "SELECT FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = $1::pg_catalog.regclass"
                                 " AND a.attname = $2 AND a.attnum > 0 AND NOT a.attisdropped";

static void finish(PGconn **pg)
{
	PQfinish(*pg);
}

static int connect_directly(struct store *store, PGconn **ret, struct error *e)
{
	char server[DIRECT_SERVER_SIZE] = "";

	return direct_open(store, DIRECT_SQL, server, ret, e);
}

/* --- What there is ---------------------------------------------------------------------------- */

/* `sql` is one of rules_sql.h. What others have made is not written to, whoever asks: it would run what they want. Who
 * only reads it may trust those whom mounts trust. */
static int trust(PGconn *pg, const char *sql, const char *what, bool reads, bool *ret_there, struct error *e)
{
	_cleanup_result_ PGresult *lines = NULL;
	_cleanup_buf_ struct buf name = {0};
	int r = direct_query(pg, sql, 0, NULL, &lines, e);
	const char *problem, *stranger;

	if (r < 0)
		return r;
	*ret_there = PQntuples(lines) > 0;
	if (!*ret_there)
		return 0;
	problem = load_text(lines, 0, TRUST_PROBLEM);
	stranger = reads ? NULL : load_text(lines, 0, TRUST_STRANGER);
	if (!problem && !stranger)
		return 0;
	rules_print_name(problem ? problem : stranger, &name);
	if (name.failed)
		return error_set(e, ENOMEM, "out of memory");
	if (problem)
		return error_set(e, EPERM, "%s is not used: %s", what, name.data);
	return error_set(e, EPERM, "%s is not used: it, or its schema, belongs to %s, who could have this role run anything: "
	                 "connect as that role", what, name.data);
}

/* The same may come into being at the same time, and be somebody else's: that is looked at afterwards. */
static int create(PGconn *pg, struct error *e)
{
	bool there;
	int r = trust(pg, rules_trust_schema_sql, "schema rowfs", false, &there, e);

	if (r == 0 && !there)
		r = direct_query(pg, create_schema_sql, 0, NULL, NULL, e);
	return r < 0 ? r : direct_query(pg, create_sql, 0, NULL, NULL, e);
}

/* In a transaction: hold the table, and know it. */
static int hold(PGconn *pg, bool reads, bool *ret_there, struct error *e)
{
	int r = trust(pg, rules_trust_sql, "rowfs.placement", reads, ret_there, e);

	if (r == 0 && *ret_there)
		r = direct_query(pg, reads ? read_lock_sql : write_lock_sql, 0, NULL, NULL, e);
	return r == 0 && *ret_there ? trust(pg, rules_trust_sql, "rowfs.placement", reads, ret_there, e) : r;
}

static int hold_or_create(PGconn *pg, struct error *e)
{
	bool there;
	int r = hold(pg, false, &there, e);

	if (r < 0 || there)
		return r;
	r = create(pg, e);
	if (r == 0)
		r = hold(pg, false, &there, e);
	return r == 0 && !there ? error_set(e, EAGAIN, "rowfs.placement went while it was made: try again") : r;
}

/* An error of the server has ended it already, and the connection's end does. */
static int commit(PGconn *pg, int r, struct error *e)
{
	return r < 0 ? r : direct_query(pg, "COMMIT", 0, NULL, NULL, e);
}

/* --- What the rule may say -------------------------------------------------------------------- */

/* One that PostgreSQL takes for a condition over this table's columns, and can plan. */
static int try_predicate(PGconn *pg, const char *sql, struct error *e)
{
	_cleanup_buf_ struct buf explain = {0};
	int n = 0, r = direct_parameters(pg, sql, &n, e);

	if (r < 0)
		return r;
	if (n > 0)
		return error_set(e, EINVAL, "a predicate has no parameters, such as $%d", n);
	buf_addf(&explain, "EXPLAIN %s", sql);
	return explain.failed ? error_set(e, ENOMEM, "out of memory") : direct_query(pg, explain.data, 0, NULL, NULL, e);
}

static int check_predicate(PGconn *pg, const char *name, char kind, const char *hot, struct error *e)
{
	_cleanup_buf_ struct buf table = {0}, sql = {0};
	struct error why = {0}, ignored = {0};
	int r = direct_query(pg, "BEGIN READ ONLY", 0, NULL, NULL, e);

	if (r < 0)
		return r;
	buf_addf(&table, "%s%s AS t", kind == 'r' ? "ONLY " : "", name);
	statement_print_check(table.failed ? "" : table.data, hot, &sql);
	if (table.failed || sql.failed)
		return error_set(e, ENOMEM, "out of memory");
	r = try_predicate(pg, sql.data, &why);
	if (direct_query(pg, "ROLLBACK", 0, NULL, NULL, &ignored) < 0 && r == 0)
		return error_set(e, EIO, "%s", ignored.message);
	return r < 0 ? error_set(e, EINVAL, "hot=%s: %s", hot, why.message) : 0;
}

static int check_columns(PGconn *pg, const char *name, const char *columns, struct error *e)
{
	char column[PLACEMENT_NAME_MAX + 1];
	const char *const values[] = {name, column};

	while (placement_next_column(&columns, column)) {
		_cleanup_result_ PGresult *lines = NULL;
		int r = direct_query(pg, column_sql, 2, values, &lines, e);

		if (r < 0)
			return r;
		if (PQntuples(lines) == 0)
			return error_set(e, EINVAL, "columns=: there is no column \"%s\" in %s", column, name);
	}
	return 0;
}

/* Can the rule hold for what the name is? */
static int check(PGconn *pg, const char *table, const struct placement *placement, struct error *e)
{
	_cleanup_result_ PGresult *lines = NULL;
	const char *const values[] = {table};
	int r;
	char kind;

	if (!strchr(table, '.'))
		return error_set(e, EINVAL, "table \"%s\": write \"schema.name\"", table);
	r = direct_query(pg, find_sql, 1, values, &lines, e);
	if (r < 0)
		return r;
	if (PQntuples(lines) == 0)
		return error_set(e, ENOENT, "there is no table \"%s\"", table);
	kind = *load_text(lines, 0, FOUND_KIND);
	if (load_flag(lines, 0, FOUND_PART))
		return error_set(e, EINVAL, "\"%s\" is a partition: the rule is its table's", table);
	if (placement->columns && kind != 'r' && kind != 'p' && kind != 'm')
		return error_set(e, EINVAL, "\"%s\" is no table: its rows have no xmin, by which columns in Redis and the "
		                            "others would be known to be of one version",
		                 table);
	r = placement->columns ? check_columns(pg, load_text(lines, 0, FOUND_NAME), placement->columns, e) : 0;
	if (r < 0 || !placement_pins(placement))
		return r;
	if (kind != 'r' && kind != 'p')
		return error_set(e, EINVAL, "\"%s\" is no table: nothing tells when its rows change, so none can be pinned",
		                 table);
	if (load_flag(lines, 0, FOUND_GUARDED))
		return error_set(e, EINVAL, "\"%s\" has row security: its rows are never pinned", table);
	return placement->hot ? check_predicate(pg, load_text(lines, 0, FOUND_NAME), kind, placement->hot, e) : 0;
}

/* --- The verbs -------------------------------------------------------------------------------- */

static int connect_and_begin(struct store *store, PGconn **ret, struct error *e)
{
	int r = connect_directly(store, ret, e);

	return r < 0 ? r : direct_query(*ret, begin_sql, 0, NULL, NULL, e);
}

int placements_set(struct store *store, const char *table, const struct placement *placement, struct error *e)
{
	_cleanup_(finish) PGconn *pg = NULL;
	_cleanup_buf_ struct buf rule = {0};
	int r = connect_directly(store, &pg, e);

	placement_print(placement, &rule);
	if (rule.failed)
		return error_set(e, ENOMEM, "out of memory");

	const char *const values[] = {table, rule.data};

	if (r == 0)
		r = check(pg, table, placement, e);
	if (r == 0)
		r = direct_query(pg, begin_sql, 0, NULL, NULL, e);
	if (r == 0)
		r = hold_or_create(pg, e);
	if (r == 0)
		r = direct_query(pg, set_sql, 2, values, NULL, e);
	return commit(pg, r, e);
}

int placements_drop(struct store *store, const char *table, struct error *e)
{
	_cleanup_(finish) PGconn *pg = NULL;
	_cleanup_result_ PGresult *lines = NULL;
	const char *const values[] = {table};
	bool there = false;
	int r = connect_and_begin(store, &pg, e);

	if (r == 0)
		r = hold(pg, false, &there, e);
	if (r == 0 && there)
		r = direct_query(pg, drop_sql, 1, values, &lines, e);
	if (r == 0 && (!there || PQntuples(lines) == 0))
		r = error_set(e, ENOENT, "the database has no placement rule for \"%s\"", table);
	return commit(pg, r, e);
}

static void print_bounded(const char *text, struct buf *out)
{
	if (text)
		rules_print_name(text, out);
	else
		buf_adds(out, "(too long)");
}

int placements_list(struct store *store, struct buf *ret, struct error *e)
{
	_cleanup_(finish) PGconn *pg = NULL;
	_cleanup_result_ PGresult *lines = NULL;
	bool there = false;
	int r = connect_and_begin(store, &pg, e);

	if (r == 0)
		r = hold(pg, true, &there, e);
	if (r == 0 && there)
		r = direct_query(pg, rules_lines_sql, 0, NULL, &lines, e);
	for (int line = 0; r == 0 && lines && line < PQntuples(lines); line++) {
		print_bounded(load_text(lines, line, 0), ret);
		buf_adds(ret, ": ");
		print_bounded(load_text(lines, line, 1), ret);
		buf_addc(ret, '\n');
	}
	return r == 0 && ret->failed ? error_set(e, ENOMEM, "out of memory") : r;
}
