#include "rowfs/engine/hot.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "rowfs/base/clock.h"
#include "rowfs/base/counters.h"
#include "rowfs/base/log.h"
#include "rowfs/base/periodic.h"
#include "rowfs/engine/preload.h"
#include "rowfs/model/hottest.h"

/* How soon a new epoch is noticed; the first exchange is early, since a mount that starts is a cold one. */
enum { STEP_MS = 200, FIRST_MS = 1000 };

/* Rows that are put into Redis between two exchanges: what else waits for PostgreSQL must not notice. */
enum { LOADS = 1024 };

/* What is in Redis, or was put there, in this epoch, by hash; when it is full it is forgotten. */
enum { LOADED = 4 * HOTTEST_MAX };

/* "8f3a…\n" before each summary: whose it is. */
enum { TOKEN_SIZE = 17 };

struct hot {
	struct hot_parts parts;
	struct periodic thread;
	struct preloader preloader;
	pthread_mutex_t lock;
	struct popularity others; /* [lock] settled */
	unsigned n_others;        /* [lock] */

	/* The thread's own. */
	char token[TOKEN_SIZE];
	int place; /* of this mount's summary; -1: none yet */
	int64_t exchange_due_ms;
	char epoch[EPOCH_SIZE]; /* whose rows are loaded */
	uint64_t loaded[LOADED];
	size_t n_loaded;
};

int hot_new(const struct hot_parts *parts, struct hot **ret)
{
	struct hot *hot = calloc(1, sizeof *hot);
	uint64_t random;

	if (!hot)
		return -ENOMEM;
	hot->parts = *parts;
	hot->place = -1;
	if (getrandom(&random, sizeof random, 0) != sizeof random)
		random = (uint64_t)clock_monotonic_us();
	snprintf(hot->token, sizeof hot->token, "%016" PRIx64, random);
	pthread_mutex_init(&hot->lock, NULL);
	preloader_init(&hot->preloader, parts->reader);
	*ret = hot;
	return 0;
}

void hot_stop(struct hot *hot)
{
	if (!hot)
		return;
	preloader_stop(&hot->preloader);
	periodic_stop(&hot->thread);
}

void hot_free(struct hot *hot)
{
	if (!hot)
		return;
	hot_stop(hot);
	popularity_done(&hot->others);
	preloader_done(&hot->preloader);
	pthread_mutex_destroy(&hot->lock);
	free(hot);
}

/* --- Exchange -------------------------------------------------------------------------------- */

static void print_place(int place, char ret[16])
{
	snprintf(ret, 16, "hot:%d", place);
}

static bool is_own(const struct hot *hot, const struct buf *value)
{
	return value->len > TOKEN_SIZE && memcmp(value->data, hot->token, TOKEN_SIZE - 1) == 0;
}

/* What another mount says; whoever wrote what is no summary. */
static bool take_summary(const struct buf *value, struct popularity *others)
{
	return value->len > TOKEN_SIZE && value->data[TOKEN_SIZE - 1] == '\n' &&
	       popularity_parse(others, value->data + TOKEN_SIZE, value->len - TOKEN_SIZE);
}

/* Two mounts may take a free place at once; the one whose summary is lost sees that, and takes another. *ret_n: how many
 * others there are. False: Redis does not answer. */
static bool read_places(struct hot *hot, struct popularity *others, unsigned *ret_n)
{
	_cleanup_buf_ struct buf value = {0};
	bool mine = false;
	int free_place = -1;
	char key[16];

	*ret_n = 0;
	for (int place = 0; place < HOT_PLACES; place++) {
		enum cache_answer answer;

		print_place(place, key);
		answer = cache_get(hot->parts.cache, key, strlen(key), &value);
		if (answer == CACHE_DOWN)
			return false;
		if (answer == CACHE_MISS && (free_place < 0 || place == hot->place))
			free_place = place;
		if (answer != CACHE_HIT)
			continue;
		if (is_own(hot, &value))
			mine |= place == hot->place;
		else
			*ret_n += take_summary(&value, others);
	}
	if (!mine)
		hot->place = free_place;
	return true;
}

/* A name is a key. Others may see rows that this mount's role may not, and the other way round: only rows of tables whose
 * copies it may use and make go out, and come in. Where a table's rows stand together that costs less. */
static void add_common(struct hot *hot, const struct popularity *from, struct popularity *ret)
{
	_cleanup_schema_ struct schema *schema = catalog_get(hot->parts.catalog);
	const struct relation *relation = NULL;

	for (size_t i = 0; i < from->n_tables; i++)
		popularity_add_table(ret, &from->tables[i]);
	for (size_t i = 0; i < from->n_rows; i++) {
		if (i == 0 || from->rows[i].relation != from->rows[i - 1].relation)
			relation = schema_relation(schema, from->rows[i].relation);
		if (relation && reader_may_cache(hot->parts.reader, relation))
			popularity_add_row(ret, &from->rows[i]);
	}
}

static void write_place(struct hot *hot)
{
	_cleanup_popularity_ struct popularity all = {0}, own = {0};
	_cleanup_buf_ struct buf value = {0};
	char key[16];

	if (hot->place < 0)
		return;
	access_summarize(hot->parts.access, &all);
	add_common(hot, &all, &own);
	popularity_keep_rows(&own, HOT_TOLD_ROWS);
	buf_addf(&value, "%s\n", hot->token);
	popularity_print(&own, &value);
	print_place(hot->place, key);
	if (!value.failed && !all.failed && !own.failed)
		cache_put(hot->parts.cache, key, value.data, value.len, HOT_LIFE_MS);
}

static void exchange(struct hot *hot)
{
	struct popularity others = {0}, before;
	unsigned n;

	if (!read_places(hot, &others, &n)) {
		popularity_done(&others);
		return;
	}
	popularity_settle(&others);
	access_learn(hot->parts.access, &others);
	pthread_mutex_lock(&hot->lock);
	before = hot->others;
	hot->others = others;
	hot->n_others = n;
	pthread_mutex_unlock(&hot->lock);
	popularity_done(&before);
	write_place(hot);
}

unsigned hot_sum(struct hot *hot, struct popularity *ret)
{
	unsigned n;

	access_summarize(hot->parts.access, ret);
	pthread_mutex_lock(&hot->lock);
	add_common(hot, &hot->others, ret);
	n = hot->n_others;
	pthread_mutex_unlock(&hot->lock);
	popularity_settle(ret);
	return n;
}

/* --- Loading --------------------------------------------------------------------------------- */

/* 0; -EBUSY: somebody else may be about to, or Redis can have no copy just now; or why it failed. */
static int load_row(struct hot *hot, const struct row_reads *row)
{
	_cleanup_rowref_ struct rowref ref = {0};
	struct error e = {0};
	size_t len;
	int r = rowref_of_name(hot->parts.catalog, row->relation, row->name, &ref, NULL);

	return r < 0 ? r : preload(&hot->preloader, &ref, &len, &e);
}

static void forget_loaded(struct hot *hot)
{
	memset(hot->loaded, 0, sizeof hot->loaded);
	hot->n_loaded = 0;
}

/* Where it stands that the row was loaded in this epoch; 0 there: it was not. */
static uint64_t *loaded_place(struct hot *hot, uint64_t hash)
{
	size_t i = hash >> 1;

	if (hot->n_loaded > LOADED / 2)
		forget_loaded(hot);
	while (hot->loaded[i % LOADED] && hot->loaded[i % LOADED] != hash)
		i++;
	return &hot->loaded[i % LOADED];
}

/* Can what is loaded be used? */
static bool under_epoch(struct hot *hot)
{
	return hot->epoch[0] && follow_hears(hot->parts.follow, hot->epoch) && !periodic_stopping(&hot->thread);
}

/* Rows that were read more than once, the most read first; `rows` is used up. */
static unsigned load_rows(struct hot *hot, struct popularity *rows, unsigned most)
{
	unsigned n = 0;

	popularity_keep_rows(rows, LOADED / 4);
	for (size_t i = 0; i < rows->n_rows && rows->rows[i].count > 1 && n < most && under_epoch(hot); i++) {
		uint64_t hash = row_hash(rows->rows[i].relation, rows->rows[i].name) | 1;
		uint64_t *place = loaded_place(hot, hash);
		int r;

		if (*place)
			continue;
		count(hot_loads);
		r = load_row(hot, &rows->rows[i]);
		n += r == 0;
		if (r == -EBUSY)
			continue;
		*place = hash;
		hot->n_loaded++;
	}
	return n;
}

static void load_own(struct hot *hot)
{
	_cleanup_popularity_ struct popularity own = {0};

	access_summarize(hot->parts.access, &own);
	load_rows(hot, &own, LOADS);
}

static void load_all(struct hot *hot)
{
	_cleanup_popularity_ struct popularity sum = {0};
	int64_t began_ms = clock_monotonic_ms();
	unsigned n;

	hot_sum(hot, &sum);
	n = load_rows(hot, &sum, HOTTEST_MAX);
	if (n)
		log_info("a new epoch: the %u rows that are read most were put into Redis in %" PRId64 " ms", n,
			 clock_monotonic_ms() - began_ms);
}

/* A new epoch: nothing that was loaded can be used any more. */
static bool has_new_epoch(struct hot *hot)
{
	struct follow_status status;

	follow_status(hot->parts.follow, &status);
	if (!status.live || strcmp(status.epoch, hot->epoch) == 0)
		return false;
	memcpy(hot->epoch, status.epoch, sizeof hot->epoch);
	forget_loaded(hot);
	return true;
}

/* --- The thread ------------------------------------------------------------------------------ */

static int64_t hot_step(void *arg)
{
	struct hot *hot = arg;

	if (has_new_epoch(hot))
		load_all(hot);
	if (clock_monotonic_ms() >= hot->exchange_due_ms) {
		hot->exchange_due_ms = clock_monotonic_ms() + HOT_EXCHANGE_MS;
		exchange(hot);
		load_own(hot);
	}
	return STEP_MS;
}

int hot_start(struct hot *hot)
{
	hot->exchange_due_ms = clock_monotonic_ms() + FIRST_MS;
	return periodic_start(&hot->thread, hot_step, hot);
}
