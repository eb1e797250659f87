#include "fake_store.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "events.h"
#include "rowfs/model/name.h"

enum { ROWS_MAX = 16, LINE_MAX_CELLS = 16 };

enum verb { FETCH, COLD, KEY, PAGE, CANONICAL, VALUE, UPDATE, INSERT, DELETE, REPLACE, REHEARSE, VERBS };

static const char *const verb_names[] = {"fetch",  "cold",   "key",    "page",   "canonical", "value",
                                         "update", "insert", "delete", "replace",   "rehearse"};

struct store {
	pthread_mutex_t lock;
	fake_store_fn *fn;
	void *arg;
	struct fake_row rows[ROWS_MAX]; /* [lock] */
	size_t n_rows;                  /* [lock] */
	unsigned counts[VERBS];         /* [lock] */
	int gone;                       /* [lock] */
	unsigned not_gone_first;        /* [lock] */
	bool may_lag;                   /* [lock] */
	bool away;                      /* [lock] */
	struct schema *schema;
	fake_load_fn *load;
	void *load_arg;
};

static struct store store = {.lock = PTHREAD_MUTEX_INITIALIZER, .gone = 1};

struct store *fake_store(void)
{
	return &store;
}

void fake_store_on(fake_store_fn *fn, void *arg)
{
	store.fn = fn;
	store.arg = arg;
}

/* --- Answers --------------------------------------------------------------------------------- */

int fake_line(const struct fake_call *call, size_t n, ...)
{
	struct cell cells[LINE_MAX_CELLS];
	va_list texts;

	va_start(texts, n);
	for (size_t i = 0; i < n; i++)
		cells[i] = cell_of(va_arg(texts, const char *));
	va_end(texts);
	return call->line ? call->line(call->arg, cells, n) : 0;
}

int fake_refuse(const struct fake_call *call, int err, const char *sqlstate)
{
	int r = error_set(call->e, err, "refused with SQLSTATE %s", sqlstate);

	snprintf(call->e->sqlstate, sizeof(call->e->sqlstate), "%s", sqlstate);
	return r;
}

int fake_lose(const struct fake_call *call)
{
	int r = error_set(call->e, EIO, "the connection to PostgreSQL was lost");

	call->e->outcome_unknown = call->statement->writes;
	call->e->backend = 4711;
	return r;
}

int fake_store_line(const struct fake_call *call, const struct fake_row *row)
{
	return fake_line(call, ROW_HEAD + 4, row->xid, row->mtime, NULL, NULL, row->id, row->name,
	                 row->price, row->total);
}

/* --- Rows ------------------------------------------------------------------------------------ */

/* With the lock held. */
static size_t find_id(const char *id)
{
	size_t i = 0;

	while (i < store.n_rows && strcmp(store.rows[i].id, id) != 0)
		i++;
	return i;
}

void fake_store_put(const struct fake_row *row)
{
	size_t i;

	pthread_mutex_lock(&store.lock);
	i = find_id(row->id);
	if (i < ROWS_MAX)
		store.rows[i] = *row;
	if (i == store.n_rows && i < ROWS_MAX)
		store.n_rows++;
	pthread_mutex_unlock(&store.lock);
}

void fake_store_remove(const char *id)
{
	size_t i;

	pthread_mutex_lock(&store.lock);
	i = find_id(id);
	if (i < store.n_rows)
		store.rows[i] = store.rows[--store.n_rows];
	pthread_mutex_unlock(&store.lock);
}

/* As PostgreSQL compares: 042 is the integer 42, 1.5 the numeric 1.50. */
static bool matches(const struct fake_row *row, const char *sql, struct cell value)
{
	const char *where = strstr(sql, " WHERE ");
	struct cell name = cell_of(row->name);
	char hash[NAME_HASH_HEX + 1];

	if (strstr(where, "sha256")) {
		name_hash(&name, 1, hash);
		return memcmp(hash, value.data, NAME_HASH_HEX) == 0;
	}
	if (strstr(where, "t.\"id\" OPERATOR"))
		return strtoll(row->id, NULL, 10) == strtoll(value.data, NULL, 10);
	if (strstr(where, "t.\"price\" OPERATOR"))
		return strtod(row->price, NULL) == strtod(value.data, NULL);
	return cell_equal(name, value);
}

static struct fake_row find(const struct fake_call *call)
{
	struct fake_row found = {0};

	pthread_mutex_lock(&store.lock);
	for (size_t i = 0; i < store.n_rows; i++)
		if (matches(&store.rows[i], call->statement->sql, call->statement->values[0]))
			found = store.rows[i];
	pthread_mutex_unlock(&store.lock);
	return found;
}

static int fetch(const struct fake_call *call)
{
	struct fake_row found = find(call);

	return found.id ? fake_store_line(call, &found) : 0;
}

/* Those of the columns that are asked for. */
static int cold(const struct fake_call *call)
{
	struct fake_row found = find(call);
	const struct {
		const char *name, *text;
	} columns[] = {{"t.\"id\"", found.id},
	               {"t.\"name\"", found.name},
	               {"t.\"price\"", found.price},
	               {"t.\"total\"", found.total}};
	const char *from = strstr(call->statement->sql, " FROM "), *at;
	struct cell cells[LINE_MAX_CELLS] = {cell_of(found.xid)};
	size_t n = 1;

	for (size_t i = 0; i < sizeof(columns) / sizeof(*columns); i++) {
		at = strstr(call->statement->sql, columns[i].name);
		if (at && at < from)
			cells[n++] = cell_of(columns[i].text);
	}
	return found.id ? call->line(call->arg, cells, n) : 0;
}

/* Of a hashed name, for the relation whose key is the name. */
static int key(const struct fake_call *call)
{
	struct fake_row found = find(call);

	return found.id ? fake_line(call, 2, found.xid, found.name) : 0;
}

/* For the relation whose key is a numeric(6,2). */
static int canonical(const struct fake_call *call)
{
	char *end, spelled[32];
	double value = strtod(call->statement->values[0].data, &end);

	if (*end)
		return fake_refuse(call, EINVAL, "22P02");
	snprintf(spelled, sizeof(spelled), "%.2f", value);
	return fake_line(call, 1, spelled);
}

/* --- Statements ------------------------------------------------------------------------------ */

static bool begins(const char *sql, const char *with)
{
	return strncmp(sql, with, strlen(with)) == 0;
}

static enum verb verb_of(const char *sql)
{
	if (begins(sql, "UPDATE"))
		return UPDATE;
	if (begins(sql, "INSERT"))
		return INSERT;
	if (begins(sql, "DELETE"))
		return DELETE;
	if (begins(sql, "WITH"))
		return REPLACE;
	if (begins(sql, "SELECT CAST"))
		return CANONICAL;
	if (begins(sql, "SELECT $"))
		return VALUE;
	if (begins(sql, "SELECT t.xmin, t."))
		return strstr(sql, "sha256") ? KEY : COLD;
	return strstr(sql, " LIMIT ") ? PAGE : FETCH;
}

static int answer(enum verb verb, const struct fake_call *call)
{
	switch (verb) {
	case FETCH:
		return fetch(call);
	case COLD:
		return cold(call);
	case KEY:
		return key(call);
	case CANONICAL:
		return canonical(call);
	case PAGE:
	case VALUE:
		return 0;
	case INSERT:
		return fake_line(call, 2, "900", "77");
	default:
		return fake_line(call, 1, "900");
	}
}

int store_run(struct store *s, enum store_set set, const struct statement *statement,
              store_line_fn *line, void *arg, struct error *e)
{
	enum verb verb = statement->rehearsed ? REHEARSE : verb_of(statement->sql);
	struct error failure = {0};
	struct fake_call call = {verb_names[verb], set, statement, line, arg, &failure};
	int r;

	pthread_mutex_lock(&store.lock);
	store.counts[verb]++;
	pthread_mutex_unlock(&store.lock);
	event_add(call.verb);
	r = store.fn ? store.fn(store.arg, &call) : FAKE_PASS;
	if (r == FAKE_PASS)
		r = answer(verb, &call);
	if (r < 0)
		r = error_ensure(&failure, r);
	if (r < 0 && e)
		*e = failure;
	return r;
}

unsigned fake_store_count(const char *verb)
{
	unsigned n = 0;

	pthread_mutex_lock(&store.lock);
	for (int i = 0; i < VERBS; i++)
		if (!verb || strcmp(verb, verb_names[i]) == 0)
			n += store.counts[i];
	pthread_mutex_unlock(&store.lock);
	return n;
}

void fake_store_gone(int answer, unsigned first)
{
	pthread_mutex_lock(&store.lock);
	store.gone = answer;
	store.not_gone_first = first;
	pthread_mutex_unlock(&store.lock);
}

int store_backend_gone(struct store *s, const struct error *e)
{
	int gone = 0;

	event_add("gone?");
	pthread_mutex_lock(&store.lock);
	if (store.not_gone_first)
		store.not_gone_first--;
	else
		gone = store.gone;
	pthread_mutex_unlock(&store.lock);
	return e->backend == 4711 ? gone : -EINVAL;
}

/* --- The rest of store.h --------------------------------------------------------------------- */

void fake_store_schema(struct schema *schema)
{
	schema_unref(store.schema);
	store.schema = schema ? schema_ref(schema) : NULL;
}

void fake_store_on_load(fake_load_fn *fn, void *arg)
{
	store.load = fn;
	store.load_arg = arg;
}

int store_load_schema(struct store *s, struct schema **ret, struct error *e)
{
	if (store.load)
		return store.load(store.load_arg, ret, e);
	*ret = schema_ref(store.schema);
	return 0;
}

int store_fingerprint(struct store *s, uint64_t *ret, struct error *e)
{
	*ret = store.schema->fingerprint;
	return 0;
}

int store_size(struct store *s, uint64_t *ret, struct error *e)
{
	*ret = 1 << 20;
	return 0;
}

void fake_store_reach(bool reachable)
{
	pthread_mutex_lock(&store.lock);
	store.away = !reachable;
	pthread_mutex_unlock(&store.lock);
}

void fake_store_lag(bool may_lag)
{
	pthread_mutex_lock(&store.lock);
	store.may_lag = may_lag;
	pthread_mutex_unlock(&store.lock);
}

bool store_may_lag(const struct store *s)
{
	bool may_lag;

	pthread_mutex_lock(&store.lock);
	may_lag = store.may_lag;
	pthread_mutex_unlock(&store.lock);
	return may_lag;
}

const char *store_identity(const struct store *s)
{
	return "7000000000000000001.5";
}

void store_leave_when(const atomic_bool *flag)
{
}

const char *store_label(const struct store *s)
{
	return "fake/sample";
}

void store_status(struct store *s, struct store_status *ret)
{
	pthread_mutex_lock(&store.lock);
	*ret = (struct store_status){.reachable = !store.away};
	pthread_mutex_unlock(&store.lock);
}
