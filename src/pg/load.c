#include "load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

#include "rowfs/base/buf.h"
#include "rowfs/model/name.h"
#include "load_sql.h"
#include "store.h"

const char *load_text(const PGresult *result, int row, int field)
{
	return PQgetisnull(result, row, field) ? NULL : PQgetvalue(result, row, field);
}

bool load_flag(const PGresult *result, int row, int field)
{
	return *PQgetvalue(result, row, field) == 't';
}

uint32_t load_oid(const PGresult *result, int row, int field)
{
	return (uint32_t)strtoul(PQgetvalue(result, row, field), NULL, 10);
}

void load_done(struct load *load)
{
	PQclear(load->spaces);
	PQclear(load->relations);
	PQclear(load->columns);
	PQclear(load->keys);
	PQclear(load->types);
	PQclear(load->fingerprint);
	PQclear(load->named);
	ruleset_done(&load->rules);
	schema_unref(load->schema);
}

const struct table_settings *load_table_settings(const struct settings *settings, const char *space,
                                                 const char *relation)
{
	size_t len = strlen(space);

	for (size_t i = 0; i < settings->n_tables; i++) {
		const char *name = settings->tables[i].relation;

		if (strncmp(name, space, len) == 0 && name[len] == '.' &&
		    strcmp(name + len + 1, relation) == 0)
			return &settings->tables[i];
	}
	return NULL;
}

int load_spaces(struct load *load)
{
	struct schema *schema = load->schema;
	size_t n = (size_t)PQntuples(load->spaces);

	schema->spaces = calloc(n + 1, sizeof(*schema->spaces));
	if (!schema->spaces)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		struct space *space = &schema->spaces[schema->n_spaces++];
		struct buf dir_name = {0};

		space->name = strdup(load_text(load->spaces, (int)i, 0));
		if (!space->name)
			return -ENOMEM;
		name_print_directory(space->name, &dir_name);
		space->dir_name = buf_steal(&dir_name);
		if (!space->dir_name)
			return -ENOMEM;
	}
	return 0;
}

/* Relations come in the order of their spaces. */
static int load_relations(struct load *load)
{
	struct space *space = load->schema->spaces;
	struct space *end = space + load->schema->n_spaces;

	for (int row = 0; row < PQntuples(load->relations); row++) {
		const char *name = load_text(load->relations, row, RELATION_SPACE);

		while (space < end && strcmp(space->name, name) != 0)
			space++;
		if (space == end)
			break;
		if (load_relation(load, space, row) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* Does an answer have the relation that this entry of the configuration is for? */
static bool is_there(const struct load *load, const struct table_settings *table)
{
	for (int row = 0; row < PQntuples(load->relations); row++)
		if (load_table_settings(load->settings, load_text(load->relations, row, RELATION_SPACE),
		                        load_text(load->relations, row, RELATION_NAME)) == table)
			return true;
	return false;
}

/* With schema= the other schemas' entries are only not wanted now. */
static bool is_wanted(const struct settings *settings, const struct table_settings *table)
{
	size_t len = settings->schema ? strlen(settings->schema) : 0;

	return !len || (strncmp(table->relation, settings->schema, len) == 0 && table->relation[len] == '.');
}

/* What the configuration says and nothing answers to. */
static void say_unused(const struct load *load)
{
	const struct settings *settings = load->settings;

	for (size_t i = 0; i < settings->n_tables; i++)
		if (is_wanted(settings, &settings->tables[i]) && !is_there(load, &settings->tables[i]))
			said_once(load->said, LEVEL_WARNING,
			          "table \"%s\" of the configuration is ignored: there is no such table or "
			          "view that this role may read (a partition is shown in its table)",
			          settings->tables[i].relation);
	if (settings->mtime && !load->has_mtime)
		said_once(load->said, LEVEL_WARNING,
		          "mtime=%s is ignored: no table has such a column that holds a time",
		          settings->mtime);
}

static int by_space_name(const void *a, const void *b)
{
	return strcmp(((const struct space *)a)->dir_name, ((const struct space *)b)->dir_name);
}

static int by_relation_name(const void *a, const void *b)
{
	return strcmp(((const struct relation *)a)->dir_name,
	              ((const struct relation *)b)->dir_name);
}

static void sort(struct schema *schema)
{
	qsort(schema->spaces, schema->n_spaces, sizeof(*schema->spaces), by_space_name);
	for (size_t i = 0; i < schema->n_spaces; i++)
		if (schema->spaces[i].n_relations > 0)
			qsort(schema->spaces[i].relations, schema->spaces[i].n_relations,
			      sizeof(*schema->spaces[i].relations), by_relation_name);
}

/* The catalog's and its rules'. */
static uint64_t fingerprint(const char *text, size_t len, uint64_t rules)
{
	return XXH3_64bits_withSeed(text, len, rules);
}

static int build(struct load *load)
{
	load->schema = calloc(1, sizeof(*load->schema));
	if (!load->schema)
		return -ENOMEM;
	atomic_init(&load->schema->refs, 1);
	load->schema->fingerprint = fingerprint(PQgetvalue(load->fingerprint, 0, 0),
	                                        (size_t)PQgetlength(load->fingerprint, 0, 0), load->rules.version);
	load->schema->commit_timestamps = load_flag(load->fingerprint, 0, 1);
	if (load_types(load) < 0 || load_spaces(load) < 0 || load_relations(load) < 0 || load_unplaced(load) < 0)
		return -ENOMEM;
	say_unused(load);
	sort(load->schema);
	return 0;
}

void load_print_element(const char *text, struct buf *out)
{
	buf_addc(out, '"');
	for (const char *p = text; *p; p++) {
		if (*p == '"' || *p == '\\')
			buf_addc(out, '\\');
		buf_addc(out, *p);
	}
	buf_addc(out, '"');
}

void load_print_configured(const struct settings *settings, struct buf *out)
{
	buf_addc(out, '{');
	for (size_t i = 0; i < settings->n_tables; i++) {
		if (!settings->tables[i].key)
			continue;
		buf_adds(out, out->len > 1 ? "," : "");
		load_print_element(settings->tables[i].relation, out);
	}
	buf_addc(out, '}');
}

struct query {
	const char *sql;
	size_t n;
	PGresult **ret;
};

static enum outcome read_queries(struct session *session, const struct query *queries, size_t n, struct cell *values,
                                 struct error *e)
{
	uint32_t types[] = {25, 1009}; /* text, text[] */

	for (size_t i = 0; i < n; i++) {
		const struct statement statement = {
		        .sql = (char *)queries[i].sql,
		        .n = queries[i].n,
		        .types = types,
		        .values = values,
		};
		_cleanup_result_ PGresult *result = NULL;
		enum outcome outcome = session_run(session, &statement, NULL, &result, e);

		if (outcome != RUN_DONE)
			return outcome;
		if (queries[i].ret) {
			*queries[i].ret = result;
			result = NULL;
		}
	}
	return RUN_DONE;
}

/* What there is of what the database's rules name. */
static enum outcome read_named(struct session *session, struct load *load, struct error *e)
{
	_cleanup_buf_ struct buf names = {0};
	uint32_t types[] = {1009}; /* text[] */
	struct cell values[1];
	const struct statement named = {.sql = (char *)load_named_sql, .n = 1, .types = types, .values = values};

	if (!load->rules.lines || PQntuples(load->rules.lines) == 0)
		return RUN_DONE;
	load_print_placed(&load->rules, &names);
	if (names.failed) {
		error_set(e, ENOMEM, "out of memory");
		return RUN_FAILED;
	}
	values[0] = cell_of(names.data);
	return session_run(session, &named, NULL, &load->named, e);
}

/* The rules, and then everything else from one snapshot of the catalog. */
static enum outcome read_all(struct session *session, struct store *store, struct load *load,
                             const char *configured, struct error *e)
{
	struct cell values[] = {cell_of(load->settings->schema), cell_of(configured)};
	const struct query begin = {"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", 0, NULL};
	const struct query queries[] = {
	        {load_fingerprint_sql, 0, &load->fingerprint},
	        {load_spaces_sql, 2, &load->spaces},
	        {load_relations_sql, 2, &load->relations},
	        {load_columns_sql, 2, &load->columns},
	        {load_keys_sql, 2, &load->keys},
	        {load_types_sql, 2, &load->types},
	        {"COMMIT", 0, NULL},
	};
	enum outcome outcome = rules_load(&store->rules, session, &load->rules, e);

	if (outcome == RUN_DONE)
		outcome = read_queries(session, &begin, 1, NULL, e);
	if (outcome == RUN_DONE)
		outcome = read_named(session, load, e);
	if (outcome == RUN_DONE)
		outcome = read_queries(session, queries, sizeof(queries) / sizeof(*queries), values, e);
	return outcome;
}

static int read_catalog(struct store *store, bool fresh, struct schema **ret, struct error *e)
{
	_cleanup_(load_done) struct load load = {.settings = store->settings, .said = &store->said};
	_cleanup_buf_ struct buf configured = {0};
	struct session *session;
	enum outcome outcome;
	int r;

	load_print_configured(store->settings, &configured);
	if (configured.failed)
		return error_set(e, ENOMEM, "out of memory");
	r = sessions_take(&store->sessions, STORE_CATALOG, fresh, &session, e);
	if (r < 0)
		return r;
	outcome = read_all(session, store, &load, configured.data, e);
	sessions_put(&store->sessions, STORE_CATALOG, session);
	if (outcome == RUN_LOST || outcome == RUN_UNSENT || outcome == RUN_STALE)
		return -ECONNRESET;
	if (outcome != RUN_DONE)
		return -e->err;
	if (build(&load) < 0)
		return error_set(e, ENOMEM, "out of memory");
	atomic_store(&store->placed, load.rules.there);
	*ret = load.schema;
	load.schema = NULL;
	return 0;
}

int store_load_schema(struct store *store, struct schema **ret, struct error *e)
{
	struct error failure = {0};
	int r = read_catalog(store, false, ret, &failure);

	if (r == -ECONNRESET)
		r = read_catalog(store, true, ret, &failure);
	if (r == -ECONNRESET)
		r = -EIO;
	if (r < 0 && e)
		*e = failure;
	return r;
}

struct fingerprinting {
	uint64_t rules, all;
};

static int take_fingerprint(void *arg, const struct cell *cells, size_t n)
{
	struct fingerprinting *of = arg;

	of->all = fingerprint(cells[0].data, cells[0].len, of->rules);
	return 0;
}

/* Whether there are any is part of the catalog, so who has found none need not ask. */
static int look_at_rules(struct store *store, uint64_t *ret, struct error *e)
{
	struct session *session;
	enum outcome outcome;
	int r;

	*ret = 0;
	if (!atomic_load(&store->placed))
		return 0;
	r = sessions_take(&store->sessions, STORE_CATALOG, false, &session, e);
	if (r < 0)
		return r;
	outcome = rules_look(&store->rules, session, ret, e);
	sessions_put(&store->sessions, STORE_CATALOG, session);
	return outcome == RUN_DONE ? 0 : -e->err;
}

int store_fingerprint(struct store *store, uint64_t *ret, struct error *e)
{
	const struct statement statement = {.sql = (char *)load_fingerprint_sql};
	struct fingerprinting of = {0};
	struct error failure = {0};
	int r = look_at_rules(store, &of.rules, &failure);

	if (r == 0)
		r = store_run(store, STORE_CATALOG, &statement, take_fingerprint, &of, &failure);
	if (r == 0)
		*ret = of.all;
	else if (e)
		*e = failure;
	return r;
}
