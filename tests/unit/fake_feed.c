#include "fake_feed.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "events.h"
#include "hook.h"

/* feed_next() may come back early; a test need not wait for as long as a server may be asked to. */
enum { TABLES_MAX = 16, NEXT_MAX_MS = 10 };

static const char *const words[FEED_CALLS] = {"check", "open",   "start",  "next",   "visible",
                                              "mark",  "passed", "missed", "inspect"};

struct feed {
	char token[64];
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct hook hook;
	/* [lock] from here */
	int always[FEED_CALLS], once[FEED_CALLS];
	unsigned times[FEED_CALLS], counts[FEED_CALLS];
	struct batch pushed, inspected;
	struct feed_table tables[TABLES_MAX];
	size_t n_tables;
	unsigned opened, hasty;
	uint64_t xid;
} fake = {.lock = PTHREAD_MUTEX_INITIALIZER,
          .changed = PTHREAD_COND_INITIALIZER,
          .hook = HOOK_INIT,
          .always = {[FEED_BEGIN] = 1, [FEED_VISIBLE] = 1, [FEED_PASSED] = 1}};

static void lock(void)
{
	pthread_mutex_lock(&fake.lock);
}

static void unlock(void)
{
	pthread_cond_broadcast(&fake.changed);
	pthread_mutex_unlock(&fake.lock);
}

/* --- The script ------------------------------------------------------------------------------ */

void fake_feed_answer(enum fake_feed_call call, int r)
{
	lock();
	fake.always[call] = r;
	fake.times[call] = 0;
	unlock();
}

void fake_feed_answer_once(enum fake_feed_call call, int r, unsigned times)
{
	lock();
	fake.once[call] = r;
	fake.times[call] = times;
	unlock();
}

unsigned fake_feed_count(enum fake_feed_call call)
{
	unsigned n;

	lock();
	n = fake.counts[call];
	unlock();
	return n;
}

void fake_feed_on(void (*fn)(void *arg, const char *call), void *arg)
{
	hook_set(&fake.hook, fn, arg);
}

unsigned fake_feed_hasty(void)
{
	unsigned n;

	lock();
	n = fake.hasty;
	unlock();
	return n;
}

/* With the lock held. */
static void append(struct batch *to, const struct batch *from)
{
	struct batch_change change;
	size_t at = 0;

	while (batch_next(from, &at, &change))
		batch_add(to, &change);
	for (size_t i = 0; i < from->n_transactions; i++)
		batch_add_transaction(to, batch_xid(from, i));
	assert(!batch_failed(to));
}

void fake_feed_push(const struct batch_change *change)
{
	lock();
	batch_add(&fake.pushed, change);
	batch_add_transaction(&fake.pushed, ++fake.xid);
	unlock();
}

void fake_feed_push_batch(const struct batch *batch)
{
	lock();
	append(&fake.pushed, batch);
	unlock();
}

void fake_feed_push_inspected(const struct batch *batch)
{
	lock();
	append(&fake.inspected, batch);
	unlock();
}

void fake_feed_cover(const uint32_t *relations, size_t n)
{
	lock();
	assert(n <= TABLES_MAX);
	fake.n_tables = n;
	for (size_t i = 0; i < n; i++)
		fake.tables[i] = (struct feed_table){relations[i], FEED_WAL};
	unlock();
}

unsigned fake_feed_opened(void)
{
	unsigned n;

	lock();
	n = fake.opened;
	unlock();
	return n;
}

/* --- feed.h ---------------------------------------------------------------------------------- */

/* With the lock held. */
static int next_answer(enum fake_feed_call call)
{
	fake.counts[call]++;
	if (!fake.times[call])
		return fake.always[call];
	fake.times[call]--;
	return fake.once[call];
}

/* Ends with the lock held. What is asked all the time is no event. */
static void begin(enum fake_feed_call call)
{
	if (call != FEED_NEXT && call != FEED_PASSED)
		event_add(words[call]);
	hook_call(&fake.hook, words[call]);
	lock();
}

static int end(enum fake_feed_call call, int r, struct error *e)
{
	unlock();
	return r < 0 ? error_set(e, -r, "fake feed: call %d failed", (int)call) : r;
}

static int simple(enum fake_feed_call call, struct error *e)
{
	begin(call);
	return end(call, next_answer(call), e);
}

int feed_check(struct store *store, const struct settings *settings, struct error *e)
{
	return simple(FEED_CHECK, e);
}

int feed_open(struct store *store, const struct settings *settings, const char *token,
	      struct feed **ret, struct error *e)
{
	int r;

	begin(FEED_OPEN);
	r = next_answer(FEED_OPEN);
	if (r == 0) {
		*ret = calloc(1, sizeof **ret);
		assert(*ret);
		snprintf((*ret)->token, sizeof (*ret)->token, "%s", token);
		fake.opened++;
	}
	return end(FEED_OPEN, r, e);
}

void feed_close(struct feed *feed)
{
	if (!feed)
		return;
	event_add("close");
	lock();
	fake.opened--;
	unlock();
	free(feed);
}

static struct timespec in_ms(int ms)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_nsec += ms * 1000000L;
	t.tv_sec += t.tv_nsec / 1000000000L;
	t.tv_nsec %= 1000000000L;
	return t;
}

/* With the lock held. */
static void wait_ms(int ms, bool (*enough)(void))
{
	struct timespec until = in_ms(ms);

	while (!enough() && pthread_cond_timedwait(&fake.changed, &fake.lock, &until) == 0)
		;
}

static bool may_begin(void)
{
	return fake.times[FEED_BEGIN] || fake.always[FEED_BEGIN];
}

int feed_begin(struct feed *feed, int timeout_ms, struct error *e)
{
	begin(FEED_BEGIN);
	wait_ms(timeout_ms, may_begin);
	return end(FEED_BEGIN, next_answer(FEED_BEGIN), e);
}

static bool has_news(void)
{
	return fake.pushed.changes.len || fake.pushed.n_transactions || fake.always[FEED_NEXT] < 0 ||
	       fake.times[FEED_NEXT];
}

int feed_next(struct feed *feed, int timeout_ms, struct batch *batch, struct error *e)
{
	int r;

	begin(FEED_NEXT);
	fake.hasty += timeout_ms <= 0;
	wait_ms(timeout_ms < NEXT_MAX_MS ? timeout_ms : NEXT_MAX_MS, has_news);
	r = next_answer(FEED_NEXT);
	if (r == 0 && (fake.pushed.n_changes || fake.pushed.n_transactions)) {
		event_add("changes");
		append(batch, &fake.pushed);
		batch_reset(&fake.pushed);
	}
	return end(FEED_NEXT, r, e);
}

int feed_visible(struct feed *feed, const struct batch *batch, struct error *e)
{
	return simple(FEED_VISIBLE, e);
}

int feed_mark(struct feed *feed, struct error *e)
{
	return simple(FEED_MARK, e);
}

bool feed_passed(const struct feed *feed)
{
	bool passed;

	begin(FEED_PASSED);
	passed = next_answer(FEED_PASSED) && !fake.pushed.n_transactions;
	unlock();
	return passed;
}

int feed_missed(struct feed *feed, struct error *e)
{
	return simple(FEED_MISSED, e);
}

int feed_inspect(struct feed *feed, struct batch *batch, struct error *e)
{
	begin(FEED_INSPECT);
	append(batch, &fake.inspected);
	batch_reset(&fake.inspected);
	return end(FEED_INSPECT, next_answer(FEED_INSPECT), e);
}

const struct feed_table *feed_tables(const struct feed *feed, size_t *ret_n)
{
	lock();
	*ret_n = fake.n_tables;
	unlock();
	return fake.tables;
}

void feed_status(const struct feed *feed, struct feed_status *ret)
{
	lock();
	*ret = (struct feed_status){.best = FEED_WAL, .tables = {[FEED_WAL] = fake.n_tables}};
	unlock();
}
