#include "rowfs/engine/catalog.h"

#include <errno.h>
#include <pthread.h>

#include "rowfs/base/counters.h"
#include "rowfs/base/log.h"

struct catalog {
	struct store *store;
	pthread_mutex_t lock;
	pthread_cond_t loaded;
	struct schema *current; /* [lock] */
	/* One at a time reads the catalog, so that many who need it read it once and no older snapshot comes over
	 * a newer one. [lock] */
	bool loading;
	unsigned begun; /* [lock] readings so far */
	int result;     /* [lock] of the last that ended */
	atomic_bool suspect;
};

static int load(struct catalog *catalog, struct schema **ret, struct error *e)
{
	count(catalog_loads);
	return store_load_schema(catalog->store, ret, e);
}

int catalog_open(struct store *store, struct catalog **ret, struct error *e)
{
	struct catalog *catalog = calloc(1, sizeof *catalog);
	int r;

	if (!catalog)
		return error_set(e, ENOMEM, "out of memory");
	catalog->store = store;
	r = load(catalog, &catalog->current, e);
	if (r < 0) {
		free(catalog);
		return r;
	}
	pthread_mutex_init(&catalog->lock, NULL);
	pthread_cond_init(&catalog->loaded, NULL);
	*ret = catalog;
	return 0;
}

void catalog_close(struct catalog *catalog)
{
	if (!catalog)
		return;
	schema_unref(catalog->current);
	pthread_cond_destroy(&catalog->loaded);
	pthread_mutex_destroy(&catalog->lock);
	free(catalog);
}

struct schema *catalog_get(struct catalog *catalog)
{
	struct schema *schema;

	pthread_mutex_lock(&catalog->lock);
	schema = schema_ref(catalog->current);
	pthread_mutex_unlock(&catalog->lock);
	return schema;
}

/* With the lock held, which is let go. */
static int load_now(struct catalog *catalog)
{
	struct schema *fresh, *stale = NULL;
	struct error e = {0};
	int r;

	catalog->loading = true;
	catalog->begun++;
	pthread_mutex_unlock(&catalog->lock);
	r = load(catalog, &fresh, &e);
	if (r < 0)
		log_warning("the catalog cannot be read: %s", e.message);
	pthread_mutex_lock(&catalog->lock);
	if (r == 0) {
		stale = catalog->current;
		catalog->current = fresh;
	}
	catalog->result = r;
	catalog->loading = false;
	pthread_cond_broadcast(&catalog->loaded);
	pthread_mutex_unlock(&catalog->lock);
	schema_unref(stale);
	return r;
}

/* `known` is out of date: have another, unless there is one. A reading that is on its way may have begun too early
 * to see why; what counts, unless another has come since `known`, is one that begins from now on, ours or somebody
 * else's. */
static int renew(struct catalog *catalog, const struct schema *known)
{
	bool early;
	unsigned before;
	int r = 0;

	pthread_mutex_lock(&catalog->lock);
	early = catalog->loading && catalog->current == known;
	before = catalog->begun;
	while (catalog->loading)
		pthread_cond_wait(&catalog->loaded, &catalog->lock);
	if (catalog->begun == before && (early || catalog->current == known))
		return load_now(catalog);
	if (catalog->begun != before)
		r = catalog->result;
	pthread_mutex_unlock(&catalog->lock);
	return r;
}

bool catalog_poll(struct catalog *catalog)
{
	_cleanup_schema_ struct schema *current = catalog_get(catalog);
	bool suspect = atomic_exchange(&catalog->suspect, false);
	uint64_t fingerprint;
	struct error e;
	int r = store_fingerprint(catalog->store, &fingerprint, &e);

	bool renewed = false;

	if (r == 0 && (fingerprint != current->fingerprint || suspect)) {
		r = renew(catalog, current);
		renewed = r == 0;
	}
	if (r < 0 && suspect)
		catalog_suspect(catalog);
	return renewed;
}

void catalog_renew(struct catalog *catalog, const struct schema *known)
{
	(void)renew(catalog, known);
}

void catalog_suspect(struct catalog *catalog)
{
	atomic_store(&catalog->suspect, true);
}
