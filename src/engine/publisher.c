#include "publisher.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "rowfs/base/clock.h"
#include "rowfs/base/counters.h"
#include "rowfs/engine/announce.h"
#include "rowfs/engine/copy.h"
#include "rowfs/engine/pinner.h"

static int no_memory(struct error *e)
{
	return error_set(e, ENOMEM, "out of memory");
}

/* --- The connection -------------------------------------------------------------------------- */

static void lose(struct publisher *publisher, const struct error *e)
{
	broker_close(publisher->broker);
	publisher->broker = NULL;
	publisher->due = true;
	publisher->retry_ms = clock_monotonic_ms() + PUBLISHER_PAUSE_MS;
	publisher->trouble = *e;
}

static int connect_broker(struct publisher *publisher, char ret_token[BROKER_ID_SIZE], struct error *e)
{
	int r = broker_open(publisher->cache, &publisher->broker, e);

	return r < 0 ? r : broker_id(publisher->broker, ret_token, e);
}

int publisher_open(struct publisher *publisher, struct cache *cache, struct error *e)
{
	*publisher = (struct publisher){.cache = cache, .due = true};
	return connect_broker(publisher, publisher->token, e);
}

void publisher_close(struct publisher *publisher)
{
	broker_close(publisher->broker);
	buf_done(&publisher->message);
	buf_done(&publisher->keys);
	*publisher = (struct publisher){0};
}

/* --- Saying something ------------------------------------------------------------------------ */

static void begin_message(struct publisher *publisher)
{
	buf_reset(&publisher->message);
	announce_begin(&publisher->message, publisher->epoch, ++publisher->number);
}

static int publish(struct publisher *publisher, struct error *e)
{
	if (publisher->message.failed)
		return no_memory(e);
	return broker_publish(publisher->broker, &publisher->message, e);
}

/* --- Epochs ---------------------------------------------------------------------------------- */

/* Time, so that a person sees which came later, and chance, so that none comes twice. */
static int make_epoch(char ret[EPOCH_SIZE], struct error *e)
{
	uint64_t random;

	if (getrandom(&random, sizeof random, 0) != sizeof random)
		return error_set(e, EIO, "the system gives no random numbers");
	snprintf(ret, EPOCH_SIZE, "%" PRIx64 "-%016" PRIx64, (uint64_t)clock_us(CLOCK_REALTIME), random);
	return 0;
}

/* The covered relations; the caller frees them. NULL without memory. */
static uint32_t *covered(const struct feed *feed, size_t *ret_n)
{
	const struct feed_table *tables = feed_tables(feed, ret_n);
	uint32_t *relations = calloc(*ret_n + 1, sizeof *relations);

	for (size_t i = 0; relations && i < *ret_n; i++)
		relations[i] = tables[i].relation;
	return relations;
}

static int set_all_tables(struct publisher *publisher, const struct feed *feed, struct error *e)
{
	size_t n;
	_cleanup_free_ uint32_t *relations = covered(feed, &n);
	char epoch[EPOCH_SIZE];
	int r = relations ? make_epoch(epoch, e) : no_memory(e);

	return r < 0 || n == 0 ? r : broker_set_tables(publisher->broker, relations, n, epoch, e);
}

/* The tables first: a reader who sees the new epoch finds theirs new, too. */
static int begin_epoch(struct publisher *publisher, const struct feed *feed, struct error *e)
{
	char epoch[EPOCH_SIZE];
	int r = make_epoch(epoch, e);

	if (r == 0)
		r = set_all_tables(publisher, feed, e);
	if (r == 0)
		r = broker_begin_epoch(publisher->broker, epoch, e);
	if (r < 0)
		return r;
	memcpy(publisher->epoch, epoch, sizeof publisher->epoch);
	publisher->number = 0;
	begin_message(publisher);
	announce_everything(&publisher->message);
	return publish(publisher, e);
}

/* 0, -ESTALE, or another -errno for a Redis that stays away. */
static int reconnect(struct publisher *publisher, struct error *e)
{
	char token[BROKER_ID_SIZE];
	int r;

	if (clock_monotonic_ms() < publisher->retry_ms)
		return -EAGAIN;
	r = connect_broker(publisher, token, e);
	if (r < 0) {
		lose(publisher, e);
		return -EAGAIN;
	}
	if (strcmp(token, publisher->token) != 0)
		return error_set(e, ESTALE, "Redis is another one now, or has lost its data");
	return 0;
}

int publisher_tend(struct publisher *publisher, const struct feed *feed, struct error *e)
{
	struct error trouble = {0};
	int r = publisher->broker ? 0 : reconnect(publisher, &trouble);

	if (r == -ESTALE) {
		*e = trouble;
		return r;
	}
	if (r < 0 || !publisher->due)
		return 0;
	if (begin_epoch(publisher, feed, &trouble) < 0) {
		lose(publisher, &trouble);
		return 0;
	}
	publisher->due = false;
	publisher->trouble = (struct error){0};
	count(sync_epochs);
	return 0;
}

/* --- Changes --------------------------------------------------------------------------------- */

static bool is_covered(const struct feed *feed, uint32_t relation)
{
	size_t n;
	const struct feed_table *tables = feed_tables(feed, &n);

	for (size_t i = 0; i < n; i++)
		if (tables[i].relation == relation)
			return true;
	return false;
}

static int reset_table(struct publisher *publisher, const struct feed *feed, uint32_t relation,
		       struct error *e)
{
	char epoch[EPOCH_SIZE];
	int r = make_epoch(epoch, e);

	if (r < 0)
		return r;
	return broker_set_tables(publisher->broker, &relation, 1,
				 is_covered(feed, relation) ? epoch : NULL, e);
}

static int drop_copies(struct publisher *publisher, const struct feed *feed, const struct batch *batch,
		       struct error *e)
{
	struct batch_change change;
	uint32_t relation = 0;
	size_t at = 0, n = 0;
	int r = 0;

	buf_reset(&publisher->keys);
	while (r == 0 && batch_next(batch, &at, &change)) {
		if (change.op == BATCH_RELATION) {
			r = reset_table(publisher, feed, change.relation, e);
			continue;
		}
		/* Before any of its rows: what is put there under it must not come after its row was dropped. */
		if (change.relation != relation) {
			buf_addf(&publisher->keys, PINNER_RELATION_LEASE, change.relation);
			buf_addc(&publisher->keys, '\0');
			relation = change.relation;
			n++;
		}
		copy_row_key(change.relation, change.name, &publisher->keys);
		buf_addc(&publisher->keys, '\0');
		n++;
	}
	if (publisher->keys.failed)
		return no_memory(e);
	return r < 0 || n == 0 ? r : broker_drop(publisher->broker, &publisher->keys, n, e);
}

static int announce(struct publisher *publisher, const struct batch *batch, struct error *e)
{
	struct batch_change change;
	bool begun = false;
	size_t at = 0;
	int r = 0;

	while (r == 0 && batch_next(batch, &at, &change)) {
		if (!begun)
			begin_message(publisher);
		announce_change(&publisher->message, &change);
		begun = publisher->message.len < ANNOUNCE_MAX;
		if (!begun)
			r = publish(publisher, e);
	}
	return r < 0 || !begun ? r : publish(publisher, e);
}

void publisher_apply(struct publisher *publisher, const struct feed *feed, const struct batch *batch)
{
	struct error e = {0};
	int r;

	if (!publisher_ready(publisher) || batch->n_changes == 0)
		return;
	r = drop_copies(publisher, feed, batch, &e);
	if (r == 0)
		r = announce(publisher, batch, &e);
	if (r < 0)
		lose(publisher, &e);
}

/* --- Heartbeats ------------------------------------------------------------------------------ */

bool publisher_time_us(struct publisher *publisher, int64_t *ret)
{
	struct error e = {0};

	if (!publisher_ready(publisher))
		return false;
	if (broker_time_us(publisher->broker, ret, &e) == 0)
		return true;
	lose(publisher, &e);
	return false;
}

int publisher_beat(struct publisher *publisher, int64_t deadline_us, struct error *e)
{
	struct error trouble = {0};
	int r;

	if (!publisher_ready(publisher))
		return 0;
	r = broker_beat(publisher->broker, publisher->epoch, publisher->number + 1, deadline_us, &trouble);
	if (r == 0)
		return error_set(e, ESTALE, "somebody else began an epoch, or Redis was emptied");
	if (r > 0) {
		begin_message(publisher);
		announce_heartbeat(&publisher->message, deadline_us);
		r = publish(publisher, &trouble);
	}
	if (r < 0) {
		lose(publisher, &trouble);
		return 0;
	}
	count(sync_beats);
	return 1;
}

/* --- Care ------------------------------------------------------------------------------------ */

void publisher_mend_tables(struct publisher *publisher, const struct feed *feed)
{
	size_t n, found = 0;
	_cleanup_free_ uint32_t *relations = covered(feed, &n);
	struct error e = {0};
	int r;

	if (!publisher_ready(publisher) || n == 0)
		return;
	r = relations ? broker_count_tables(publisher->broker, relations, n, &found, &e) : no_memory(&e);
	if (r == 0 && found < n)
		r = set_all_tables(publisher, feed, &e);
	if (r < 0)
		lose(publisher, &e);
}

void publisher_note(struct publisher *publisher, const struct buf *note, int64_t life_ms)
{
	struct error e = {0};

	if (publisher_ready(publisher) && broker_note(publisher->broker, note, life_ms, &e) < 0)
		lose(publisher, &e);
}
