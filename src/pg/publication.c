#include "publication.h"

#include <errno.h>
#include <string.h>

#include "direct.h"
#include "feed_sql.h"
#include "load.h"
#include "rowfs/base/log.h"

static int find(PGconn *pg, struct publication *publication, struct error *e)
{
	_cleanup_result_ PGresult *lines = NULL;
	const char *const values[] = {publication->name};
	int r = direct_query(pg, feed_publication_sql, 1, values, &lines, e);

	if (r < 0 || PQntuples(lines) == 0)
		return r;
	publication->exists = true;
	publication->complete = load_flag(lines, 0, PUBLICATION_COMPLETE);
	publication->via_root = load_flag(lines, 0, PUBLICATION_VIA_ROOT);
	publication->owned = load_flag(lines, 0, PUBLICATION_OWNED);
	publication->everything = load_flag(lines, 0, PUBLICATION_ALL);
	return 0;
}

/* "VERB PUBLICATION name", to go on with. */
static void begin(PGconn *pg, const char *verb, const struct publication *publication,
                  struct buf *out)
{
	buf_reset(out);
	buf_addf(out, "%s PUBLICATION ", verb);
	direct_add_name(pg, publication->name, out);
}

static int run(PGconn *pg, const struct buf *sql, struct error *e)
{
	return sql->failed ? error_set(e, ENOMEM, "out of memory")
	                   : direct_query(pg, sql->data, 0, NULL, NULL, e);
}

/* Somebody else has made it before us (42710), or at the very same time (23505); or a lock is in the way, his perhaps (55P03). */
static bool is_made(const struct error *e)
{
	static const char *const codes[] = {"42710", "23505", "55P03"};

	for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++)
		if (strcmp(e->sqlstate, codes[i]) == 0)
			return true;
	return false;
}

/* How often somebody is waited for, each time for lock_timeout (direct.c). */
enum { MAKING_TRIES = 50 };

int publication_open(PGconn *pg, const char *name, struct publication *ret, struct error *e)
{
	struct publication publication = {.name = name};
	int r = find(pg, &publication, e), made = 0;

	for (int tries = 0; r == 0 && !publication.exists && tries < MAKING_TRIES; tries++) {
		_cleanup_buf_ struct buf sql = {0};

		begin(pg, "CREATE", &publication, &sql);
		buf_adds(&sql, " WITH (publish_via_partition_root = true)");
		made = run(pg, &sql, e);
		if (made == 0 || is_made(e))
			r = find(pg, &publication, e);
		else
			r = made;
	}
	if (r == 0 && !publication.exists)
		r = made;
	if (r < 0)
		return r;
	*ret = publication;
	return 0;
}

static bool wants_out(const struct table *table)
{
	return table->harmful && table->owned;
}

static bool wants_in(const struct publication *publication, const struct table *table)
{
	return publication->complete && publication->via_root && !publication->everything &&
	       !table->wal_unfit && table->owned && !table->published &&
	       (!table->listed || table->harmful);
}

/* The key is all that is needed of a row, where the server can leave out the rest. */
/* All columns: a list of the key's alone would make a fifth of the stream, which drains no faster, and the server would
 * refuse the application's ALTER COLUMN TYPE and DROP COLUMN of them. */
static void print_table(const struct table *table, struct buf *out)
{
	buf_addf(out, "ONLY %s", table->name);
}

/* One statement for the tables [first, end) that want it. 1: done; 0: refused, or there were none.
 */
static int alter(PGconn *pg, const struct publication *publication, const struct table *first,
                 const struct table *end, bool add, struct error *e)
{
	_cleanup_buf_ struct buf sql = {0};
	size_t n = 0;

	begin(pg, "ALTER", publication, &sql);
	buf_adds(&sql, add ? " ADD TABLE " : " DROP TABLE ");
	for (const struct table *table = first; table < end; table++) {
		if (!(add ? wants_in(publication, table) : wants_out(table)))
			continue;
		buf_adds(&sql, n++ > 0 ? ", " : "");
		print_table(table, &sql);
	}
	if (n == 0)
		return 0;
	if (run(pg, &sql, e) == 0)
		return 1;
	log_debug("publication \"%s\": %s", publication->name, e->message);
	return PQstatus(pg) == CONNECTION_OK && !sql.failed ? 0 : -e->err;
}

/* All at once; if one of them is in somebody's hands, one by one. */
static int alter_all(PGconn *pg, const struct publication *publication, const struct tables *tables,
                     bool add, struct error *e)
{
	const struct table *end = tables->at + tables->n;
	int changed = alter(pg, publication, tables->at, end, add, e);

	if (changed != 0)
		return changed;
	for (const struct table *table = tables->at; table < end; table++) {
		int r = alter(pg, publication, table, table + 1, add, e);

		if (r < 0)
			return r;
		changed = changed || r;
	}
	return changed;
}

int publication_adjust(PGconn *pg, const struct publication *publication,
                       const struct tables *tables, struct error *e)
{
	int dropped, added;

	if (!publication->owned)
		return 0;
	dropped = alter_all(pg, publication, tables, false, e);
	if (dropped < 0)
		return dropped;
	added = alter_all(pg, publication, tables, true, e);
	return added < 0 ? added : dropped || added;
}

bool publication_unfinished(const struct publication *publication, const struct tables *tables)
{
	for (size_t i = 0; publication->owned && i < tables->n; i++)
		if (wants_out(&tables->at[i]) || wants_in(publication, &tables->at[i]))
			return true;
	return false;
}

int publication_touch(PGconn *pg, const struct publication *publication, struct error *e)
{
	_cleanup_buf_ struct buf sql = {0};

	begin(pg, "ALTER", publication, &sql);
	buf_addf(&sql, " SET (publish_via_partition_root = %s)",
	         publication->via_root ? "true" : "false");
	return run(pg, &sql, e);
}
