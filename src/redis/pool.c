#include "pool.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>

#include "rowfs/base/clock.h"
#include "rowfs/base/counters.h"
#include "rowfs/engine/cache.h"

/* Spread over the last quarter, so that mounts which lost one Redis do not return to it in step. */
static unsigned jittered(unsigned ms)
{
	return ms - (unsigned)(clock_monotonic_us() % (ms / 4));
}

static int64_t deadline_from_now(void)
{
	return clock_monotonic_us() + CACHE_TIMEOUT_MS * 1000;
}

void pool_init(struct pool *pool, struct address *address, owed_fn *owed, void *arg)
{
	*pool = (struct pool){.address = *address, .owed = owed, .owed_arg = arg, .open = true};
	*address = (struct address){0};
	pthread_mutex_init(&pool->lock, NULL);
}

void pool_done(struct pool *pool)
{
	int64_t deadline = deadline_from_now();

	for (unsigned i = 0; i < pool->n_idle; i++) {
		(void)!connection_settle(pool->idle[i], 0, deadline, pool->owed, pool->owed_arg);
		connection_close(pool->idle[i]);
	}
	pthread_mutex_destroy(&pool->lock);
	address_done(&pool->address);
}

void pool_note(struct pool *pool, const char *text)
{
	pthread_mutex_lock(&pool->lock);
	snprintf(pool->last_error, sizeof(pool->last_error), "%s", text);
	pthread_mutex_unlock(&pool->lock);
}

/* Locked. The idle connections, to be closed by the caller once it has unlocked. */
static unsigned drop_idle(struct pool *pool, struct connection *ret[POOL_MAX])
{
	unsigned n = pool->n_idle;

	memcpy(ret, pool->idle, n * sizeof(*ret));
	pool->n_open -= n;
	pool->n_idle = 0;
	return n;
}

/* Open the breaker, or keep it open for longer. `generation`: of the connection that failed; if the
 * breaker has opened since, that failure is known already. */
static void trip(struct pool *pool, uint64_t generation, int err, const char *why)
{
	struct connection *stale[POOL_MAX];
	int64_t now = clock_monotonic_ms();
	unsigned n = 0;

	pthread_mutex_lock(&pool->lock);
	if (generation == pool->generation) {
		bool calm = !pool->open && now - pool->closed_at_ms >= POOL_CALM_MS;

		if (calm || !pool->backoff_ms)
			pool->backoff_ms = BACKOFF_MIN_MS;
		else if (pool->backoff_ms < BACKOFF_MAX_MS / 2)
			pool->backoff_ms *= 2;
		else
			pool->backoff_ms = BACKOFF_MAX_MS;
		pool->open = true;
		pool->breaks++;
		pool->retry_at_ms = now + jittered(pool->backoff_ms);
		pool->last_errno = err;
		snprintf(pool->last_error, sizeof(pool->last_error), "%s", why);
		pool->generation++;
		n = drop_idle(pool, stale);
	}
	pthread_mutex_unlock(&pool->lock);
	for (unsigned i = 0; i < n; i++)
		connection_close(stale[i]);
}

static void forget(struct pool *pool, struct connection *connection)
{
	connection_close(connection);
	pthread_mutex_lock(&pool->lock);
	pool->n_open--;
	pthread_mutex_unlock(&pool->lock);
}

/* An idle connection; or room for a new one, told by *ret_room and where it goes to. */
static struct connection *pick(struct pool *pool, bool *ret_room, struct endpoint *ret_endpoint,
                               uint64_t *ret_generation)
{
	struct connection *connection = NULL;

	*ret_room = false;
	pthread_mutex_lock(&pool->lock);
	if (!pool->open && pool->n_idle) {
		connection = pool->idle[--pool->n_idle];
	} else if (!pool->open && pool->n_open < POOL_MAX) {
		pool->n_open++;
		*ret_room = true;
		*ret_endpoint = pool->endpoint;
		*ret_generation = pool->generation;
	}
	pthread_mutex_unlock(&pool->lock);
	return connection;
}

/* Who waits for a reply on it may look for that: if Redis is on this machine, and has a core of its own. */
static void adopt(const struct pool *pool, struct connection *connection, uint64_t generation)
{
	connection->generation = generation;
	connection->looks = pool->address.kind == ADDRESS_UNIX && get_nprocs() > 1;
}

static struct connection *open_one(struct pool *pool, const struct endpoint *endpoint,
                                   uint64_t generation, int64_t deadline_us)
{
	struct connection *connection = NULL;
	struct error e = {0};
	int r = connection_open(&pool->address, endpoint, deadline_us, &connection, &e);

	if (r) {
		count(cache_errors);
		trip(pool, generation, -r, e.message);
		forget(pool, NULL);
		return NULL;
	}
	adopt(pool, connection, generation);
	return connection;
}

/* After a failure the connection is done for, and the breaker opens unless one value or this
 * process is to blame. */
static void put_failed(struct pool *pool, struct connection *connection, int r, const char *why)
{
	count(cache_errors);
	if (r != -EMSGSIZE && r != -ENOMEM)
		trip(pool, connection->generation, -r, why);
	forget(pool, connection);
}

static void put_whole(struct pool *pool, struct connection *connection)
{
	bool keep;

	pthread_mutex_lock(&pool->lock);
	keep = connection->generation == pool->generation;
	if (keep)
		pool->idle[pool->n_idle++] = connection;
	pthread_mutex_unlock(&pool->lock);
	if (!keep)
		forget(pool, connection);
}

void pool_put(struct pool *pool, struct connection *connection, int r)
{
	struct error why;

	if (!r) {
		put_whole(pool, connection);
		return;
	}
	connection_error(&pool->address, r, CACHE_TIMEOUT_MS, &why);
	put_failed(pool, connection, r, why.message);
}

/* Is a connection that was idle fit for a command? Reads the replies that have come meanwhile. */
static int make_ready(struct pool *pool, struct connection *connection)
{
	if (!connection_alive(connection))
		return -ECONNRESET;
	return connection_settle(connection, 0, 0, pool->owed, pool->owed_arg);
}

struct connection *pool_take(struct pool *pool, int64_t deadline_us)
{
	for (;;) {
		struct endpoint endpoint;
		uint64_t generation;
		bool room;
		int r;
		struct connection *connection = pick(pool, &room, &endpoint, &generation);

		if (room)
			return open_one(pool, &endpoint, generation, deadline_us);
		if (!connection)
			return NULL;
		r = make_ready(pool, connection);
		if (!r)
			return connection;
		if (r != -ECONNRESET) {
			pool_put(pool, connection, r);
			return NULL;
		}
		/* Redis closed it, as it does when it restarts or when one has been idle for long:
		 * no failure; the next may be good, or a new one. */
		pool->breaks++;
		forget(pool, connection);
	}
}

/* The breaker is open and its pause over. */
static int reconnect(struct pool *pool, uint64_t generation, struct error *e)
{
	struct connection *connection = NULL;
	struct endpoint endpoint;
	struct error why = {0};
	int r = connection_reach(&pool->address, CACHE_TIMEOUT_MS, &connection, &endpoint, &why);

	if (r) {
		trip(pool, generation, -r, why.message);
		return error_set(e, -r, "%s", why.message);
	}
	pthread_mutex_lock(&pool->lock);
	/* Two probes at once: the second has nothing left to close. */
	if (!pool->open || pool->n_open == POOL_MAX) {
		pthread_mutex_unlock(&pool->lock);
		connection_close(connection);
		return 0;
	}
	pool->open = false;
	pool->closed_at_ms = clock_monotonic_ms();
	pool->endpoint = endpoint;
	pool->last_errno = 0;
	adopt(pool, connection, pool->generation);
	pool->idle[pool->n_idle++] = connection;
	pool->n_open++;
	pthread_mutex_unlock(&pool->lock);
	return 0;
}

/* The breaker is closed: is that right? */
static int confirm(struct pool *pool, struct error *e)
{
	int64_t deadline = deadline_from_now();
	struct connection *connection = pool_take(pool, deadline);
	struct error why = {0};
	int r;

	/* All in use says that they work; a failure to connect has opened the breaker. */
	if (!connection) {
		pthread_mutex_lock(&pool->lock);
		r = pool->open ? error_set(e, pool->last_errno, "%s", pool->last_error) : 0;
		pthread_mutex_unlock(&pool->lock);
		return r;
	}
	r = connection_settle(connection, 0, deadline, pool->owed, pool->owed_arg);
	if (r)
		connection_error(&pool->address, r, CACHE_TIMEOUT_MS, &why);
	else
		r = connection_ping(connection, &pool->address, deadline, &why);
	if (!r) {
		put_whole(pool, connection);
		return 0;
	}
	put_failed(pool, connection, r, why.message);
	return error_set(e, -r, "%s", why.message);
}

int pool_probe(struct pool *pool, struct error *e)
{
	bool open, pause;
	uint64_t generation;
	int r = 0;

	pthread_mutex_lock(&pool->lock);
	open = pool->open;
	pause = open && pool->last_errno && clock_monotonic_ms() < pool->retry_at_ms;
	generation = pool->generation;
	if (pause)
		r = error_set(e, pool->last_errno, "%s", pool->last_error);
	pthread_mutex_unlock(&pool->lock);
	if (pause)
		return r;
	return open ? reconnect(pool, generation, e) : confirm(pool, e);
}
