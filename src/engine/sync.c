#include "rowfs/engine/sync.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "publisher.h"
#include "rowfs/base/clock.h"
#include "rowfs/base/counters.h"
#include "rowfs/base/log.h"
#include "rowfs/base/periodic.h"
#include "rowfs/base/switches.h"
#include "rowfs/engine/pins.h"

/* How long to wait: for the worker that there is, and after a failure. A takeover takes one heartbeat's life and
 * one WAIT. */
enum { WAIT_MS = 250, PAUSE_MS = 500 };

/* Where there can be no feed: until somebody has installed a change log, perhaps. */
enum { HOPELESS_PAUSE_MS = 30000 };

/* A step of preparing the feed, and of waiting for changes, so that a request to end is seen. */
enum { BEGIN_MS = 100, NEXT_MS = 100 };

/* Until a transaction that the stream has told of can be seen; mostly it can at once. */
enum { VISIBLE_MIN_MS = 1, VISIBLE_MAX_MS = 20 };

/* How long after some changes were handled the next are, at the earliest. */
enum { GATHER_US = 3000 };

/* What is looked after more slowly: the note for people, and the tables' epochs. */
enum { CARE_MS = 1000, NOTE_LIFE_MS = 5000 };

struct sync {
	const struct settings *settings;
	struct store *store;
	struct cache *cache;
	struct pins *pins; /* NULL: there are none */
	struct periodic thread;
	pthread_mutex_t lock;
	struct sync_status status; /* [lock] */

	/* The thread's own. */
	struct feed *feed;
	struct publisher publisher;
	struct batch batch;
	bool marked;      /* a heartbeat is under way: */
	int64_t mark_us;  /* Redis' time when it was begun, */
	int64_t mark_ms;  /* and the monotonic clock's */
	int64_t beat_due_ms, care_due_ms;
	int64_t applied_us; /* when changes were handled last, monotonic */
};

int sync_new(const struct settings *settings, struct store *store, struct cache *cache, struct catalog *catalog,
	     struct sync **ret)
{
	const struct pins_parts parts = {store, cache, catalog, (int64_t)(settings->pins_audit * 1000)};
	struct sync *sync = calloc(1, sizeof *sync);

	if (!sync || (catalog && pins_new(&parts, &sync->pins) < 0)) {
		free(sync);
		return -ENOMEM;
	}
	sync->settings = settings;
	sync->store = store;
	sync->cache = cache;
	sync->status.lag_ms = -1;
	pthread_mutex_init(&sync->lock, NULL);
	*ret = sync;
	return 0;
}

static bool stopping(struct sync *sync)
{
	return periodic_stopping(&sync->thread);
}

/* --- Status ---------------------------------------------------------------------------------- */

static void enter(struct sync *sync, enum sync_state state)
{
	pthread_mutex_lock(&sync->lock);
	sync->status.state = state;
	sync->status.lag_ms = -1;
	sync->status.transactions = sync->status.changes = 0;
	if (state != SYNC_LEADING)
		sync->status.feed = (struct feed_status){0};
	pthread_mutex_unlock(&sync->lock);
}

/* Said once, however often it repeats itself. */
static void note_error(struct sync *sync, const struct error *e)
{
	char *last = sync->status.last_error;
	size_t size = sizeof sync->status.last_error;
	bool repeated;

	pthread_mutex_lock(&sync->lock);
	repeated = strncmp(last, e->message, size - 1) == 0;
	error_copy_text(last, size, e->message);
	pthread_mutex_unlock(&sync->lock);
	if (!repeated && e->err)
		log_warning("change capture: %s", e->message);
}

static void refresh_status(struct sync *sync)
{
	int64_t late_ms = clock_monotonic_ms() - (sync->marked ? sync->mark_ms : sync->beat_due_ms);
	struct feed_status feed;

	feed_status(sync->feed, &feed);
	pthread_mutex_lock(&sync->lock);
	sync->status.feed = feed;
	/* A heartbeat that does not come, says how late everything is. */
	if (sync->status.lag_ms >= 0 && late_ms > sync->status.lag_ms)
		sync->status.lag_ms = late_ms;
	memcpy(sync->status.epoch, sync->publisher.epoch, sizeof sync->status.epoch);
	pthread_mutex_unlock(&sync->lock);
}

const char *sync_state_name(enum sync_state state)
{
	static const char *const names[] = {
		[SYNC_OFF] = "off",           [SYNC_WAITING] = "waiting", [SYNC_ELECTING] = "electing",
		[SYNC_STARTING] = "starting", [SYNC_LEADING] = "leading", [SYNC_PAUSING] = "pausing",
	};

	return names[state];
}

void sync_status(struct sync *sync, struct sync_status *ret)
{
	pthread_mutex_lock(&sync->lock);
	*ret = sync->status;
	pthread_mutex_unlock(&sync->lock);
}

void sync_print_pins(struct sync *sync, struct buf *out)
{
	if (sync->pins)
		pins_print(sync->pins, out);
}

/* --- Changes --------------------------------------------------------------------------------- */

static void count_batch(struct sync *sync)
{
	pthread_mutex_lock(&sync->lock);
	sync->status.transactions += sync->batch.n_transactions;
	sync->status.changes += sync->batch.n_changes;
	pthread_mutex_unlock(&sync->lock);
	count_many(sync_changes, sync->batch.n_changes);
}

/* The barrier (R1): a reader who comes after the drop must see what the stream has told of, or he would put the
 * old row back. Returns 0 also when it is time to end. */
static int await_visible(struct sync *sync, struct error *e)
{
	long ms = VISIBLE_MIN_MS;
	int r;

	if (SWITCHED_OFF("barrier"))
		return 0;
	while ((r = feed_visible(sync->feed, &sync->batch, e)) == 0 && !stopping(sync)) {
		count(sync_waits);
		refresh_status(sync);
		clock_pause_us(ms * 1000);
		ms = ms * 2 < VISIBLE_MAX_MS ? ms * 2 : VISIBLE_MAX_MS;
	}
	return r < 0 ? r : 0;
}

/* Until a heartbeat is due; one that is overdue because Redis is away is no reason to hurry. */
static int wait_ms(const struct sync *sync)
{
	int64_t left = sync->beat_due_ms - clock_monotonic_ms();

	if (sync->marked || left > NEXT_MS || !publisher_ready(&sync->publisher))
		return NEXT_MS;
	return left < 0 ? 0 : (int)left;
}

/* Commits that follow one another closely are handled together: each time costs PostgreSQL a statement, and Redis and every
 * mount some wakes. One that comes alone does not wait. */
static void gather(const struct sync *sync)
{
	int64_t us = sync->applied_us + GATHER_US - clock_monotonic_us();

	if (us > 0)
		clock_pause_us(us);
}

static int take_changes(struct sync *sync, struct error *e)
{
	int r;

	gather(sync);
	batch_reset(&sync->batch);
	r = feed_next(sync->feed, wait_ms(sync), &sync->batch, e);
	if (r == 0 && batch_failed(&sync->batch))
		r = error_set(e, ENOMEM, "out of memory");
	if (r == 0 && sync->batch.n_transactions)
		r = await_visible(sync, e);
	if (r < 0 || stopping(sync))
		return r;
	publisher_apply(&sync->publisher, sync->feed, &sync->batch);
	if (sync->pins)
		pins_changed(sync->pins, &sync->batch);
	count_batch(sync);
	if (sync->batch.n_changes)
		sync->applied_us = clock_monotonic_us();
	return 0;
}

/* --- Heartbeats ------------------------------------------------------------------------------ */

static int64_t life_us(const struct sync *sync)
{
	return (int64_t)(sync->settings->max_staleness * 1e6);
}

/* Redis' time first (R4), then where the stream must get to, then what the catalog is: what the stream does not tell
 * (DDL, a partition's TRUNCATE) shows there. */
static int begin_beat(struct sync *sync, struct error *e)
{
	int r;

	sync->mark_ms = clock_monotonic_ms();
	sync->beat_due_ms = sync->mark_ms + life_us(sync) / 1000 / SYNC_BEATS;
	if (!publisher_time_us(&sync->publisher, &sync->mark_us))
		return 0;
	r = feed_mark(sync->feed, e);
	if (r < 0)
		return r;
	sync->marked = true;
	batch_reset(&sync->batch);
	r = feed_inspect(sync->feed, &sync->batch, e);
	if (r == 0)
		publisher_apply(&sync->publisher, sync->feed, &sync->batch);
	return r;
}

static void note_beat(struct sync *sync)
{
	pthread_mutex_lock(&sync->lock);
	sync->status.lag_ms = clock_monotonic_ms() - sync->mark_ms;
	sync->status.last_error[0] = '\0';
	pthread_mutex_unlock(&sync->lock);
}

/* The stream has passed the mark, and all that came before it is dropped and announced. */
static int finish_beat(struct sync *sync, struct error *e)
{
	int r = SWITCHED_OFF("drain") ? 0 : feed_missed(sync->feed, e);

	sync->marked = false;
	if (r > 0) { /* R3 */
		sync->publisher.due = true;
		return 0;
	}
	if (SWITCHED_OFF("deadline") && !publisher_time_us(&sync->publisher, &sync->mark_us))
		return 0;
	if (r == 0)
		r = publisher_beat(&sync->publisher, sync->mark_us + life_us(sync), e);
	if (r > 0)
		note_beat(sync);
	return r < 0 ? r : 0;
}

static int beat(struct sync *sync, struct error *e)
{
	int r = 0;

	if (!publisher_ready(&sync->publisher))
		return 0;
	if (!sync->marked && clock_monotonic_ms() >= sync->beat_due_ms)
		r = begin_beat(sync, e);
	/* On a quiet server it is passed already. */
	if (r == 0 && sync->marked && feed_passed(sync->feed))
		r = finish_beat(sync, e);
	return r;
}

/* --- Care ------------------------------------------------------------------------------------ */

/* For people, who may ask on a mount whose worker is elsewhere. */
static void print_note(struct sync *sync, struct buf *out)
{
	_cleanup_buf_ struct buf pinned = {0};
	char host[64] = "";
	struct sync_status status;

	sync_status(sync, &status);
	(void)gethostname(host, sizeof host - 1);
	buf_addf(out, "%s, process %d; tables: %zu wal, %zu log, %zu none; lag %" PRIu64 " bytes, %" PRId64 " ms",
		 host, (int)getpid(), status.feed.tables[FEED_WAL], status.feed.tables[FEED_LOG],
		 status.feed.tables[FEED_NONE], status.feed.lag_bytes, status.lag_ms);
	buf_adds(&pinned, "");
	sync_print_pins(sync, &pinned);
	if (pinned.len && !pinned.failed)
		buf_addf(out, "; pins: %s", pinned.data);
}

static void care(struct sync *sync)
{
	_cleanup_buf_ struct buf note = {0};

	if (clock_monotonic_ms() < sync->care_due_ms)
		return;
	sync->care_due_ms = clock_monotonic_ms() + CARE_MS;
	refresh_status(sync);
	publisher_mend_tables(&sync->publisher, sync->feed);
	print_note(sync, &note);
	publisher_note(&sync->publisher, &note, NOTE_LIFE_MS);
}

/* --- Leading --------------------------------------------------------------------------------- */

/* An epoch that became due since the mark has its own heartbeats: those before it prove nothing. */
static int tend(struct sync *sync, struct error *e)
{
	int r;

	if (!publisher_ready(&sync->publisher))
		sync->marked = false;
	r = publisher_tend(&sync->publisher, sync->feed, e);
	if (sync->publisher.trouble.err)
		note_error(sync, &sync->publisher.trouble);
	return r;
}

static void let_pin(struct sync *sync, bool lead)
{
	if (sync->pins)
		pins_lead(sync->pins, lead);
}

static int serve(struct sync *sync, struct error *e)
{
	int r = 0;

	let_pin(sync, true);
	sync->marked = false;
	sync->beat_due_ms = sync->care_due_ms = 0;
	while (r == 0 && !stopping(sync)) {
		r = tend(sync, e);
		if (r == 0)
			r = take_changes(sync, e);
		if (r == 0)
			r = beat(sync, e);
		if (r == 0)
			care(sync);
	}
	return r;
}

static int begin_feed(struct sync *sync, struct error *e)
{
	int r = 0;

	while (r == 0 && !stopping(sync)) {
		r = feed_begin(sync->feed, BEGIN_MS, e);
		refresh_status(sync);
	}
	return r < 0 ? r : 0;
}

static int lead(struct sync *sync, struct error *e)
{
	int r;

	enter(sync, SYNC_STARTING);
	r = begin_feed(sync, e);
	if (r < 0 || stopping(sync))
		return r;
	enter(sync, SYNC_LEADING);
	log_info("change capture: this process is the worker");
	return serve(sync, e);
}

static int elect(struct sync *sync, struct error *e)
{
	int r = publisher_open(&sync->publisher, sync->cache, e);

	if (r < 0)
		return r;
	return feed_open(sync->store, sync->settings, sync->publisher.token, &sync->feed, e);
}

static void step_down(struct sync *sync)
{
	let_pin(sync, false);
	feed_close(sync->feed);
	sync->feed = NULL;
	publisher_close(&sync->publisher);
}

/* Somebody's heart beats. */
static bool is_led(struct sync *sync)
{
	struct cache_proof proof;
	struct buf none = {0};

	cache_read(sync->cache, 0, NULL, 0, &proof, &none);
	return proof.alive;
}

static int64_t sync_step(void *arg)
{
	struct sync *sync = arg;
	struct error e = {0};
	int r;

	store_leave_when(&sync->thread.stop);
	if (is_led(sync)) {
		enter(sync, SYNC_WAITING);
		return WAIT_MS;
	}
	enter(sync, SYNC_ELECTING);
	r = elect(sync, &e);
	if (r == 0)
		r = lead(sync, &e);
	step_down(sync);
	if (r == -EBUSY) {
		enter(sync, SYNC_WAITING);
		return WAIT_MS;
	}
	if (r < 0)
		note_error(sync, &e);
	enter(sync, SYNC_PAUSING);
	if (r == -EOPNOTSUPP)
		return HOPELESS_PAUSE_MS;
	/* Not in step with the others who wait. */
	return PAUSE_MS + clock_monotonic_us() % PAUSE_MS;
}

int sync_start(struct sync *sync)
{
	int r = sync->pins ? pins_start(sync->pins) : 0;

	return r < 0 ? r : periodic_start(&sync->thread, sync_step, sync);
}

void sync_tell(struct sync *sync)
{
	if (!sync)
		return;
	periodic_tell(&sync->thread);
	pins_tell(sync->pins);
}

void sync_free(struct sync *sync)
{
	if (!sync)
		return;
	sync_tell(sync);
	periodic_stop(&sync->thread);
	pins_free(sync->pins);
	batch_done(&sync->batch);
	pthread_mutex_destroy(&sync->lock);
	free(sync);
}
