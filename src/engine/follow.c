#include "rowfs/engine/follow.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "rowfs/base/clock.h"
#include "rowfs/base/counters.h"
#include "rowfs/base/log.h"
#include "rowfs/base/periodic.h"
#include "rowfs/engine/announce.h"
#include "rowfs/engine/broker.h"
#include "rowfs/engine/kernel.h"

/* Between attempts to subscribe. The sync worker's heart beats more often, but a Redis that is gone stays so
 * for seconds. */
enum { SUBSCRIBE_PAUSE_MS = 250 };

/* The longest wait for a message, so that a request to end is seen. */
enum { LISTEN_MS = 250 };

struct follow {
	struct cache *cache;
	struct marks *marks;
	int64_t margin_us; /* what a deadline is taken to be early by: the time that dropping everything takes */
	struct periodic thread;

	_Atomic int64_t live_until_us; /* on the clock that also counts sleep: Redis' does */
	atomic_bool heard;
	pthread_mutex_t lock;
	char epoch[EPOCH_SIZE];  /* [lock] "": none */
	uint64_t number;         /* [lock] of the last message */
	int64_t heartbeat_ms;    /* [lock] when the last heartbeat came */
	bool connected;          /* [lock] */
	char last_error[256];    /* [lock] */

	/* The thread's own. */
	struct subscription *subscription;
	struct buf message;
	bool holding; /* something was told under a heartbeat, and not taken back since */
};

int follow_new(const struct settings *settings, struct cache *cache, struct marks *marks,
	       struct follow **ret)
{
	struct follow *follow = calloc(1, sizeof *follow);

	if (!follow)
		return -ENOMEM;
	follow->cache = cache;
	follow->marks = marks;
	follow->margin_us = (int64_t)(settings->max_staleness * 1e6) / 20;
	pthread_mutex_init(&follow->lock, NULL);
	*ret = follow;
	return 0;
}

int64_t follow_rest_us(struct follow *follow)
{
	int64_t rest_us = atomic_load(&follow->live_until_us) - clock_boottime_us();

	return rest_us > 0 ? rest_us : 0;
}

bool follow_live(struct follow *follow)
{
	return follow_rest_us(follow) > 0;
}

bool follow_hears(struct follow *follow, const char *epoch)
{
	bool same;

	if (!follow_live(follow))
		return false;
	pthread_mutex_lock(&follow->lock);
	same = strcmp(follow->epoch, epoch) == 0;
	pthread_mutex_unlock(&follow->lock);
	return same;
}

bool follow_has_heard(struct follow *follow)
{
	return atomic_load(&follow->heard);
}

/* --- Hearing --------------------------------------------------------------------------------- */

/* Not live first: nobody shall be told anything for long that is taken back here (K5). */
static void forget_everything(struct follow *follow)
{
	atomic_store(&follow->live_until_us, 0);
	marks_all(follow->marks);
	kernel_everything_changed();
	follow->holding = false;
	count(feed_drops);
}

static void take_change(struct follow *follow, const struct batch_change *change)
{
	if (change->op == BATCH_RELATION) {
		marks_relation(follow->marks, change->relation);
		kernel_relation_changed(change->relation);
	} else {
		marks_row(follow->marks, change->relation, change->name);
		kernel_row_changed(change->relation, change->name);
		if (change->op != BATCH_UPDATE)
			kernel_listing_changed(change->relation);
	}
	count(feed_changes);
}

static void take_heartbeat(struct follow *follow, int64_t deadline_us)
{
	int64_t before = clock_boottime_us();
	int64_t redis_us = cache_time_us(follow->cache);
	int64_t until = before + (deadline_us - redis_us) - follow->margin_us;

	if (redis_us < 0)
		return;
	pthread_mutex_lock(&follow->lock);
	follow->heartbeat_ms = clock_monotonic_ms();
	pthread_mutex_unlock(&follow->lock);
	atomic_store(&follow->heard, true);
	if (until <= clock_boottime_us())
		return;
	follow->holding = true;
	atomic_store(&follow->live_until_us, until);
}

/* Is this the message that follows the last one? What was missed may have been about anything. */
static void take_head(struct follow *follow, const char *epoch, uint64_t number)
{
	bool next;

	pthread_mutex_lock(&follow->lock);
	next = strcmp(follow->epoch, epoch) == 0 && number == follow->number + 1;
	pthread_mutex_unlock(&follow->lock);
	if (!next) {
		count(feed_gaps);
		forget_everything(follow);
	}
	pthread_mutex_lock(&follow->lock);
	memcpy(follow->epoch, epoch, EPOCH_SIZE);
	follow->number = number;
	pthread_mutex_unlock(&follow->lock);
}

static void hear(struct follow *follow)
{
	struct announcement line;
	char epoch[EPOCH_SIZE] = "";
	uint64_t number;
	size_t at;

	if (announce_head(&follow->message, epoch, &number, &at) < 0) {
		forget_everything(follow);
		return;
	}
	take_head(follow, epoch, number);
	while (announce_next(&follow->message, &at, &line)) {
		if (line.kind == ANNOUNCE_CHANGE)
			take_change(follow, &line.change);
		else if (line.kind == ANNOUNCE_HEARTBEAT)
			take_heartbeat(follow, line.deadline_us);
		else
			forget_everything(follow);
	}
}

/* --- The thread ------------------------------------------------------------------------------ */

static void set_connected(struct follow *follow, bool connected, const char *error)
{
	pthread_mutex_lock(&follow->lock);
	follow->connected = connected;
	error_copy_text(follow->last_error, sizeof follow->last_error, error);
	if (!connected)
		follow->epoch[0] = '\0';
	pthread_mutex_unlock(&follow->lock);
}

/* Messages are lost from here on, so the kernel is to ask. That does not make up for them: what is read until the next
 * subscription stands is not marked by anybody, so its first message, which finds no epoch to follow, forgets
 * everything once more (K6). */
static void lose(struct follow *follow, const struct error *e)
{
	subscription_close(follow->subscription);
	follow->subscription = NULL;
	set_connected(follow, false, e->message);
	if (follow->holding)
		forget_everything(follow);
}

static int listen_ms(const struct follow *follow)
{
	int64_t left_us = atomic_load(&follow->live_until_us) - clock_boottime_us();

	if (!follow->holding || left_us > LISTEN_MS * 1000)
		return LISTEN_MS;
	return left_us <= 0 ? 0 : (int)(left_us / 1000) + 1;
}

/* What was told lasts no longer than the heartbeat. Looked at before any message is heard: after a stop of this
 * process the next heartbeat must not make up for the one that was missed. */
static void end_lapsed(struct follow *follow)
{
	if (!follow->holding || follow_live(follow))
		return;
	count(feed_lapses);
	forget_everything(follow);
}

static int64_t follow_step(void *arg)
{
	struct follow *follow = arg;
	struct error e = {0};
	int r;

	if (!follow->subscription) {
		if (subscription_open(follow->cache, &follow->subscription, &e) < 0) {
			set_connected(follow, false, e.message);
			return SUBSCRIBE_PAUSE_MS;
		}
		set_connected(follow, true, "");
	}
	r = subscription_next(follow->subscription, listen_ms(follow), &follow->message, &e);
	end_lapsed(follow);
	if (r < 0)
		lose(follow, &e);
	else if (r > 0)
		hear(follow);
	return 0;
}

int follow_start(struct follow *follow)
{
	return periodic_start(&follow->thread, follow_step, follow);
}

void follow_free(struct follow *follow)
{
	if (!follow)
		return;
	periodic_stop(&follow->thread);
	subscription_close(follow->subscription);
	buf_done(&follow->message);
	pthread_mutex_destroy(&follow->lock);
	free(follow);
}

void follow_status(struct follow *follow, struct follow_status *ret)
{
	bool live = follow_live(follow);

	pthread_mutex_lock(&follow->lock);
	*ret = (struct follow_status){
		.connected = follow->connected,
		.live = live,
		.number = follow->number,
		.heartbeat_age_ms = follow->heartbeat_ms ? clock_monotonic_ms() - follow->heartbeat_ms : -1,
	};
	memcpy(ret->epoch, follow->epoch, sizeof ret->epoch);
	memcpy(ret->last_error, follow->last_error, sizeof ret->last_error);
	pthread_mutex_unlock(&follow->lock);
}
