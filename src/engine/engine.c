#include "rowfs/engine/engine.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "rowfs/base/clock.h"
#include "rowfs/base/log.h"
#include "rowfs/engine/kernel.h"
#include "rowfs/engine/removal.h"

struct last_insert {
	pthread_mutex_t lock;
	char *path; /* [lock] */
};

/* Database size for df; counting it reads every file's size, so not often. */
enum { SIZE_EVERY_MS = 60000 };

static void refresh_size(struct engine *engine)
{
	struct error e;
	uint64_t bytes;

	if (clock_monotonic_ms() < engine->size_due_ms)
		return;
	engine->size_due_ms = clock_monotonic_ms() + SIZE_EVERY_MS;
	if (store_size(engine->store, &bytes, &e) == 0)
		atomic_store(&engine->database_bytes, bytes);
}

static void probe_cache(struct engine *engine)
{
	struct cache_status status;
	struct error e;

	cache_status(engine->cache, &status);
	if (status.configured && !status.reachable && cache_probe(engine->cache, &e) == 0)
		log_info("Redis answers again");
}

/* A table that came, went or is another: what was told of it, and of the names above it, is not sure any more. */
static void poll_catalog(struct engine *engine)
{
	if (!catalog_poll(engine->catalog))
		return;
	marks_all(engine->marks);
	kernel_everything_changed();
}

/* Names whose grace ran out show their rows again, and listings that the kernel kept do not know it. */
static void expire_names(struct engine *engine)
{
	uint32_t relation;

	while (names_expire(engine->names, &relation))
		kernel_listing_changed(relation);
}

/* A worker that came into being after the mount: its proof is better than age. */
static void notice_feed(struct engine *engine)
{
	if (engine->feed || engine->settings->changes == CHANGES_TTL || !follow_has_heard(engine->follow))
		return;
	engine->feed = true;
	reader_use_feed(engine->reader, true);
	log_info("change capture: a worker was heard, so copies in Redis are proved by it from now on");
}

/* Serves no request, so it may wait for a server that is gone. */
static int64_t do_chores(void *arg)
{
	struct engine *engine = arg;

	store_leave_when(&engine->chores.stop);
	refresh_size(engine);
	probe_cache(engine);
	poll_catalog(engine);
	expire_names(engine);
	notice_feed(engine);
	return CATALOG_POLL_MS;
}

static struct last_insert *last_insert_new(void)
{
	struct last_insert *last = calloc(1, sizeof *last);

	if (last)
		pthread_mutex_init(&last->lock, NULL);
	return last;
}

static void last_insert_free(struct last_insert *last)
{
	if (!last)
		return;
	pthread_mutex_destroy(&last->lock);
	free(last->path);
	free(last);
}

/* With consistency=strong nothing is held that a feed could keep fresh. */
static bool follows(const struct engine *engine)
{
	struct cache_status status;

	cache_status(engine->cache, &status);
	return status.configured && !engine->settings->strong && engine->settings->changes != CHANGES_TTL;
}

/* Is there anything to put into Redis, and to tell others? */
static bool shares(const struct engine *engine)
{
	struct cache_status status;

	cache_status(engine->cache, &status);
	return status.configured && !engine->settings->strong;
}

static bool wants_worker(const struct engine *engine)
{
	return follows(engine) && engine->settings->worker;
}

static int open_reader(struct engine *engine)
{
	const struct reader_parts parts = {
		.settings = engine->settings,
		.store = engine->store,
		.cache = engine->cache,
		.catalog = engine->catalog,
		.lane = engine->reads,
		.marks = engine->marks,
		.follow = engine->follow,
		.access = engine->access,
	};

	return reader_new(&parts, &engine->reader);
}

static int open_hot(struct engine *engine)
{
	const struct hot_parts parts = {
		.settings = engine->settings,
		.cache = engine->cache,
		.catalog = engine->catalog,
		.reader = engine->reader,
		.follow = engine->follow,
		.access = engine->access,
	};

	return hot_new(&parts, &engine->hot);
}

static int open_names(struct engine *engine)
{
	const struct names_settings settings = {
		.detach_grace_ms = engine->settings->detach_grace_ms,
		.delete_grace_ms = engine->settings->delete_grace_ms,
		.removed_max = engine->settings->memory_max / REMOVAL_SHARE,
	};

	return names_new(&settings, &engine->names);
}

static int open_parts(struct engine *engine)
{
	const struct settings *settings = engine->settings;
	int r = lane_new(STORE_READERS, ENGINE_READ_PATIENCE_MS, &engine->reads);

	if (r == 0)
		r = lane_new(STORE_WRITERS, 0, &engine->writes);
	if (r == 0)
		r = lane_new(ENGINE_WARMERS, 0, &engine->warms);
	if (r == 0)
		r = open_names(engine);
	if (r == 0)
		r = bases_new(settings->memory_max / ENGINE_BASES_SHARE, &engine->bases);
	if (r == 0)
		r = marks_new(&engine->marks);
	if (r == 0)
		r = follow_new(settings, engine->cache, engine->marks, &engine->follow);
	if (r == 0)
		r = access_new(settings, &engine->access);
	if (r == 0)
		r = open_reader(engine);
	if (r == 0)
		r = open_hot(engine);
	if (r == 0 && wants_worker(engine))
		r = sync_new(settings, engine->store, engine->cache, engine->catalog, &engine->sync);
	engine->last_insert = last_insert_new();
	return engine->last_insert ? r : -ENOMEM;
}

/* Copies are proved by a feed if there can be one: this role may have it, or somebody's heart beats already. */
static int choose_feed(struct engine *engine, struct error *e)
{
	const struct settings *settings = engine->settings;
	struct cache_proof proof;
	struct buf none = {0};
	struct error why = {0};
	int r;

	if (!follows(engine))
		return 0;
	cache_read(engine->cache, 0, NULL, 0, &proof, &none);
	r = proof.alive ? 0 : feed_check(engine->store, settings, &why);
	if (r == -EOPNOTSUPP && settings->changes != CHANGES_AUTO) {
		*e = why;
		return r;
	}
	if (r == -EOPNOTSUPP)
		error_copy_text(engine->no_feed, sizeof engine->no_feed, why.message);
	engine->feed = r != -EOPNOTSUPP;
	reader_use_feed(engine->reader, engine->feed);
	return 0;
}

static void report_scratch(struct engine *engine, bool end)
{
	_cleanup_schema_ struct schema *schema = catalog_get(engine->catalog);

	scratch_report(engine->scratch, schema, end);
}

int engine_open(const struct settings *settings, struct store *store, struct cache *cache,
		struct engine *ret, struct error *e)
{
	int r;

	memset(ret, 0, sizeof *ret);
	preloaders_init(&ret->warming);
	ret->settings = settings;
	ret->store = store;
	ret->cache = cache;
	ret->settle_ms = COMMIT_SETTLE_MS;
	text_set_limit(settings->memory_max);
	r = catalog_open(store, &ret->catalog, e);
	if (r == 0)
		r = scratch_open(settings, store_identity(store), &ret->scratch, e);
	if (r == 0)
		report_scratch(ret, false);
	if (r == 0)
		r = refusals_open(settings, &ret->refusals, e);
	if (r == 0 && (r = open_parts(ret)) < 0)
		(void)error_set(e, -r, "out of memory");
	if (r == 0)
		r = choose_feed(ret, e);
	if (r < 0)
		engine_close(ret);
	return r;
}

int engine_start(struct engine *engine)
{
	int r = periodic_start(&engine->chores, do_chores, engine);

	if (r == 0)
		r = removal_start(engine);
	if (r == 0 && follows(engine))
		r = follow_start(engine->follow);
	if (r == 0 && engine->sync)
		r = sync_start(engine->sync);
	if (r == 0 && shares(engine))
		r = hot_start(engine->hot);
	return r;
}

static void report_names(struct engine *engine)
{
	unsigned names[NAME_STATES];

	names_count(engine->names, names);
	if (names[NAME_PENDING])
		log_warning("%u file%s created but never given a row's text; nothing was inserted",
			    names[NAME_PENDING], names[NAME_PENDING] == 1 ? " was" : "s were");
}

void engine_stop(struct engine *engine)
{
	preloaders_stop(&engine->warming);
	periodic_tell(&engine->chores);
	sync_tell(engine->sync);
	periodic_stop(&engine->chores);
	removal_stop(engine);
	hot_stop(engine->hot);
	sync_free(engine->sync);
	follow_free(engine->follow);
	lane_free(engine->warms);
	lane_free(engine->reads);
	lane_free(engine->writes);
	engine->sync = NULL;
	engine->follow = NULL;
	engine->reads = engine->writes = engine->warms = NULL;
}

void engine_close(struct engine *engine)
{
	engine_stop(engine);
	if (engine->names)
		report_names(engine);
	hot_free(engine->hot);
	preloaders_done(&engine->warming);
	reader_free(engine->reader);
	access_free(engine->access);
	marks_free(engine->marks);
	names_free(engine->names);
	bases_free(engine->bases);
	refusals_close(engine->refusals);
	if (engine->scratch)
		report_scratch(engine, true);
	scratch_close(engine->scratch);
	catalog_close(engine->catalog);
	last_insert_free(engine->last_insert);
	memset(engine, 0, sizeof *engine);
}

void engine_print_path(const struct engine *engine, const struct relation *relation, struct buf *out)
{
	if (!engine->settings->schema) {
		name_print_directory(relation->space, out);
		buf_addc(out, '/');
	}
	buf_adds(out, relation->dir_name);
}

void engine_note_insert(struct engine *engine, const struct relation *relation, const char *name)
{
	struct buf path = {0};
	char *stale;

	engine_print_path(engine, relation, &path);
	buf_addf(&path, "/%s\n", name);
	pthread_mutex_lock(&engine->last_insert->lock);
	stale = engine->last_insert->path;
	engine->last_insert->path = buf_steal(&path);
	pthread_mutex_unlock(&engine->last_insert->lock);
	free(stale);
}

void engine_print_last_insert(struct engine *engine, struct buf *out)
{
	pthread_mutex_lock(&engine->last_insert->lock);
	if (engine->last_insert->path)
		buf_adds(out, engine->last_insert->path);
	pthread_mutex_unlock(&engine->last_insert->lock);
}
