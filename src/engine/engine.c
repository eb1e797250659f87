#include "rowfs/engine/engine.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "rowfs/base/clock.h"
#include "rowfs/base/log.h"

/* The background thread. It serves no request, so it may wait for a server that is gone. */
struct beat {
	struct engine *engine;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stop; /* [lock] */
	bool running;
};

struct last_insert {
	pthread_mutex_t lock;
	char *path; /* [lock] */
};

/* Database size for df; counting it reads every file's size, so not often. */
enum { SIZE_EVERY_MS = 60000 };

static void refresh_size(struct engine *engine, int64_t *due)
{
	struct error e;
	uint64_t bytes;

	if (clock_monotonic_ms() < *due)
		return;
	*due = clock_monotonic_ms() + SIZE_EVERY_MS;
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

/* Sleeps until the next beat; false when it is time to stop. */
static bool rest(struct beat *beat)
{
	struct timespec until;
	bool stop;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += CATALOG_POLL_MS / 1000;
	pthread_mutex_lock(&beat->lock);
	while (!beat->stop && pthread_cond_timedwait(&beat->wake, &beat->lock, &until) == 0)
		;
	stop = beat->stop;
	pthread_mutex_unlock(&beat->lock);
	return !stop;
}

static void *beat_main(void *arg)
{
	struct beat *beat = arg;
	int64_t size_due = 0;

	do {
		refresh_size(beat->engine, &size_due);
		probe_cache(beat->engine);
		catalog_poll(beat->engine->catalog);
	} while (rest(beat));
	return NULL;
}

static struct beat *beat_new(struct engine *engine)
{
	struct beat *beat = calloc(1, sizeof *beat);
	pthread_condattr_t attr;

	if (!beat)
		return NULL;
	beat->engine = engine;
	pthread_mutex_init(&beat->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&beat->wake, &attr);
	pthread_condattr_destroy(&attr);
	return beat;
}

static void beat_free(struct beat *beat)
{
	if (!beat)
		return;
	pthread_mutex_lock(&beat->lock);
	beat->stop = true;
	pthread_cond_signal(&beat->wake);
	pthread_mutex_unlock(&beat->lock);
	if (beat->running)
		pthread_join(beat->thread, NULL);
	pthread_cond_destroy(&beat->wake);
	pthread_mutex_destroy(&beat->lock);
	free(beat);
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

static int open_parts(struct engine *engine)
{
	const struct settings *settings = engine->settings;
	int r = lane_new(STORE_READERS, ENGINE_READ_PATIENCE_MS, &engine->reads);

	if (r == 0)
		r = lane_new(STORE_WRITERS, 0, &engine->writes);
	if (r == 0)
		r = names_new(settings->detach_grace_ms, &engine->names);
	if (r == 0)
		r = reader_new(settings, engine->store, engine->cache, engine->catalog, engine->reads,
			       &engine->reader);
	engine->beat = beat_new(engine);
	engine->last_insert = last_insert_new();
	return engine->beat && engine->last_insert ? r : -ENOMEM;
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
	if (r < 0)
		engine_close(ret);
	return r;
}

int engine_start(struct engine *engine)
{
	int r = pthread_create(&engine->beat->thread, NULL, beat_main, engine->beat);

	engine->beat->running = r == 0;
	return -r;
}

static void report_names(struct engine *engine)
{
	unsigned names[NAME_STATES];

	names_count(engine->names, names);
	if (names[NAME_PENDING])
		log_warning("%u file%s created but never given a row's text; nothing was inserted",
			    names[NAME_PENDING], names[NAME_PENDING] == 1 ? " was" : "s were");
}

void engine_close(struct engine *engine)
{
	beat_free(engine->beat);
	lane_free(engine->reads);
	lane_free(engine->writes);
	if (engine->names)
		report_names(engine);
	reader_free(engine->reader);
	names_free(engine->names);
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
