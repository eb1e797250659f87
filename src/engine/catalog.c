#include "rowfs/engine/catalog.h"

#include <errno.h>
#include <pthread.h>

#include "rowfs/base/counters.h"
#include "rowfs/base/log.h"

struct catalog {
	struct store *store;
	pthread_mutex_t renewing; /* held while the catalog is read, so that many who need it read it once */
	pthread_mutex_t lock;
	struct schema *current; /* [lock] */
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
	pthread_mutex_init(&catalog->renewing, NULL);
	pthread_mutex_init(&catalog->lock, NULL);
	*ret = catalog;
	return 0;
}

void catalog_close(struct catalog *catalog)
{
	if (!catalog)
		return;
	schema_unref(catalog->current);
	pthread_mutex_destroy(&catalog->renewing);
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

static void swap(struct catalog *catalog, struct schema *fresh)
{
	struct schema *stale;

	pthread_mutex_lock(&catalog->lock);
	stale = catalog->current;
	catalog->current = fresh;
	pthread_mutex_unlock(&catalog->lock);
	schema_unref(stale);
}

bool catalog_poll(struct catalog *catalog)
{
	_cleanup_schema_ struct schema *current = catalog_get(catalog);
	bool suspect = atomic_exchange(&catalog->suspect, false);
	struct schema *fresh;
	uint64_t fingerprint;
	struct error e;

	if (store_fingerprint(catalog->store, &fingerprint, &e) < 0) {
		if (suspect)
			catalog_suspect(catalog);
		return false;
	}
	if (fingerprint == current->fingerprint && !suspect)
		return false;
	if (load(catalog, &fresh, &e) < 0) {
		log_warning("the catalog changed but cannot be read: %s", e.message);
		return false;
	}
	swap(catalog, fresh);
	return true;
}

void catalog_renew(struct catalog *catalog, const struct schema *known)
{
	_cleanup_schema_ struct schema *current = NULL;
	struct schema *fresh;
	struct error e;

	pthread_mutex_lock(&catalog->renewing);
	current = catalog_get(catalog);
	if (current == known && load(catalog, &fresh, &e) == 0)
		swap(catalog, fresh);
	pthread_mutex_unlock(&catalog->renewing);
}

void catalog_suspect(struct catalog *catalog)
{
	atomic_store(&catalog->suspect, true);
}
