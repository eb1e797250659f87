#include "store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rowfs/base/buf.h"

/* The first session stays open, for the first reader. */
static int first_contact(struct store *store, struct error *e)
{
	struct session *session;
	int r = source_check(&store->source, e);

	if (r == 0)
		r = sessions_take(&store->sessions, STORE_READ, false, &session, e);
	if (r < 0)
		return r;
	store->label = source_label(session->pg);
	sessions_put(&store->sessions, STORE_READ, session);
	return store->label ? 0 : error_set(e, ENOMEM, "out of memory");
}

static int count_line(void *arg, const struct cell *cells, size_t n)
{
	++*(unsigned *)arg;
	return 0;
}

/* schema= names what is shown: one that is missing would be an empty mount, which looks like lost data. */
static int check_schema(struct store *store, struct error *e)
{
	const char *name = store->settings->schema;
	char sql[] = "SELECT FROM pg_catalog.pg_namespace AS n"
	             " WHERE n.nspname OPERATOR(pg_catalog.=) CAST($1 AS pg_catalog.name)"
	             " AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')";
	uint32_t types[] = {25}; /* text */
	struct cell values[] = {cell_of(name)};
	const struct statement statement = {.sql = sql, .n = 1, .types = types, .values = values};
	unsigned found = 0;
	int r;

	if (!name)
		return 0;
	r = store_run(store, STORE_READ, &statement, count_line, &found, e);
	if (r < 0 || found)
		return r;
	return error_set(e, ENOENT,
	                 "schema=%s: %s has no schema of this name that this role may use", name,
	                 store->label);
}

int store_open(const struct settings *settings, struct store **ret, struct error *e)
{
	struct store *store = calloc(1, sizeof(*store));
	int r;

	if (!store)
		return error_set(e, ENOMEM, "out of memory");
	store->settings = settings;
	store->source = (struct source){
	        .conninfo = settings->source,
	        .read_only = settings->ro,
	};
	sessions_init(&store->sessions, &store->source);
	said_init(&store->said);
	rules_init(&store->rules);
	r = first_contact(store, e);
	if (r == 0)
		r = check_schema(store, e);
	if (r < 0) {
		store_close(store);
		return r;
	}
	*ret = store;
	return 0;
}

void store_close(struct store *store)
{
	if (!store)
		return;
	sessions_done(&store->sessions);
	said_done(&store->said);
	rules_done(&store->rules);
	free(store->label);
	free(store);
}

const char *store_identity(const struct store *store)
{
	return store->source.identity;
}

bool store_may_lag(const struct store *store)
{
	return store->source.standby;
}

void store_leave_when(const atomic_bool *flag)
{
	answer_leave_when(flag);
}

const char *store_label(const struct store *store)
{
	return store->label;
}

void store_status(struct store *store, struct store_status *ret)
{
	struct error last;

	breaker_last(&store->sessions.breaker, &last);
	*ret = (struct store_status){
	        .connections = sessions_count(&store->sessions),
	        .reachable = last.err == 0,
	};
	error_copy_text(ret->last_error, sizeof(ret->last_error), last.message);
}

static int take_number(void *arg, const struct cell *cells, size_t n)
{
	uint64_t *number = arg;

	*number = strtoull(cells[0].data, NULL, 10);
	return 0;
}

int store_size(struct store *store, uint64_t *ret, struct error *e)
{
	char sql[] = "SELECT pg_catalog.pg_database_size(pg_catalog.current_database())";
	const struct statement statement = {.sql = sql};

	return store_run(store, STORE_CATALOG, &statement, take_number, ret, e);
}

int store_backend_gone(struct store *store, const struct error *e)
{
	char sql[] = "SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_get_activity($1) AS a"
	             " WHERE (a.backend_start OPERATOR(pg_catalog.=)"
	             " CAST(NULLIF($2, '') AS pg_catalog.timestamptz)) IS NOT FALSE";
	uint32_t types[] = {23, 25}; /* int4, text */
	char pid[12];
	struct cell values[] = {{pid, 0}, cell_of(e->backend_start)};
	const struct statement statement = {.sql = sql, .n = 2, .types = types, .values = values};
	uint64_t alive;
	int r;

	values[0].len = (size_t)snprintf(pid, sizeof(pid), "%d", e->backend);
	r = store_run(store, STORE_CATALOG, &statement, take_number, &alive, NULL);
	return r < 0 ? r : alive == 0;
}
