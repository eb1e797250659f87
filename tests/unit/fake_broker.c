#include "fake_broker.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "events.h"
#include "fake_redis.h"
#include "hook.h"

enum { EPOCH_LIFE_MS = 3600000 };

struct broker {
	bool failed; /* for good */
};

/* Its lock is Redis'. */
static struct {
	struct hook hook;
	unsigned commands; /* [lock] ever */
	unsigned fail_at;  /* [lock] the command that fails; 0: none */
	const char *at;    /* [lock] the next of this name fails; NULL: none */
	int err;           /* [lock] how */
	bool lost;         /* [lock] only its reply */
} faults = {.hook = HOOK_INIT};

void fake_broker_on(void (*fn)(void *arg, const char *command), void *arg)
{
	hook_set(&faults.hook, fn, arg);
}

void fake_broker_fail(unsigned n, int err, bool lost)
{
	fake_redis_lock();
	faults.fail_at = n ? faults.commands + n : 0;
	faults.err = err;
	faults.lost = lost;
	fake_redis_unlock();
}

void fake_broker_fail_at(const char *command, int err, bool lost)
{
	fake_redis_lock();
	faults.at = command;
	faults.err = err;
	faults.lost = lost;
	fake_redis_unlock();
}

unsigned fake_broker_commands(void)
{
	unsigned n;

	fake_redis_lock();
	n = faults.commands;
	fake_redis_unlock();
	return n;
}

/* --- Commands -------------------------------------------------------------------------------- */

/* With the lock held: is it this one's turn to fail? */
static bool fails(const char *command)
{
	bool named = faults.at && strcmp(faults.at, command) == 0;

	if (named)
		faults.at = NULL;
	return named || faults.commands == faults.fail_at;
}

/* Ends with the lock held. 0 or -errno, which the command returns; *ret_effective: it is done all the same. */
static int begin(struct broker *broker, const char *command, bool *ret_effective, struct error *e)
{
	int err = 0;

	event_add(command);
	hook_call(&faults.hook, command);
	fake_redis_lock();
	faults.commands++;
	*ret_effective = true;
	if (broker && broker->failed) {
		err = ENOTCONN;
		*ret_effective = false;
	} else if (fake_redis_is_down()) {
		err = ETIMEDOUT;
		*ret_effective = false;
	} else if (fails(command)) {
		err = faults.err;
		*ret_effective = faults.lost;
	}
	if (broker && err)
		broker->failed = true;
	return err ? error_set(e, err, "fake Redis: %s failed", command) : 0;
}

static int end(int r)
{
	fake_redis_unlock();
	return r;
}

int broker_open(struct cache *cache, struct broker **ret, struct error *e)
{
	struct broker *broker = NULL;
	bool effective;
	int r = begin(NULL, "connect", &effective, e);

	if (r == 0) {
		broker = calloc(1, sizeof *broker);
		if (broker)
			*ret = broker;
		else
			r = error_set(e, ENOMEM, "out of memory");
	}
	return end(r);
}

void broker_close(struct broker *broker)
{
	free(broker);
}

int broker_id(struct broker *broker, char ret[BROKER_ID_SIZE], struct error *e)
{
	bool effective;
	int r = begin(broker, "id", &effective, e);

	if (r == 0)
		snprintf(ret, BROKER_ID_SIZE, "%s", fake_redis_id());
	return end(r);
}

int broker_time_us(struct broker *broker, int64_t *ret, struct error *e)
{
	bool effective;
	int r = begin(broker, "time", &effective, e);

	if (r == 0)
		*ret = fake_redis_now_us();
	return end(r);
}

int broker_drop(struct broker *broker, const struct buf *keys, size_t n, struct error *e)
{
	bool effective;
	int r = begin(broker, "unlink", &effective, e);
	const char *key = keys->data;

	for (size_t i = 0; effective && i < n; i++) {
		fake_redis_erase(fake_redis_find(key, strlen(key)));
		key += strlen(key) + 1;
	}
	return end(r);
}

int broker_begin_epoch(struct broker *broker, const char *epoch, struct error *e)
{
	bool effective;
	int r = begin(broker, "begin", &effective, e);

	if (effective) {
		fake_redis_erase(fake_redis_find("hb", 2));
		fake_redis_set("epoch", 5, epoch, strlen(epoch), EPOCH_LIFE_MS);
	}
	return end(r);
}

static size_t table_key(uint32_t relation, char ret[24])
{
	return (size_t)snprintf(ret, 24, "t:%" PRIu32, relation);
}

int broker_set_tables(struct broker *broker, const uint32_t *relations, size_t n, const char *epoch,
                      struct error *e)
{
	bool effective;
	int r = begin(broker, epoch ? "tables" : "untables", &effective, e);
	char key[24];

	for (size_t i = 0; effective && i < n; i++) {
		size_t len = table_key(relations[i], key);

		if (epoch)
			fake_redis_set(key, len, epoch, strlen(epoch), EPOCH_LIFE_MS);
		else
			fake_redis_erase(fake_redis_find(key, len));
	}
	return end(r);
}

int broker_count_tables(struct broker *broker, const uint32_t *relations, size_t n, size_t *ret,
                        struct error *e)
{
	bool effective;
	int r = begin(broker, "count", &effective, e);
	size_t found = 0;
	char key[24];

	for (size_t i = 0; r == 0 && i < n; i++)
		found += fake_redis_find(key, table_key(relations[i], key)) != NULL;
	if (r == 0)
		*ret = found;
	return end(r);
}

static bool epoch_is(const char *epoch)
{
	struct fake_slot *slot = fake_redis_find("epoch", 5);

	return slot && slot->value.len == strlen(epoch) && memcmp(slot->value.data, epoch, slot->value.len) == 0;
}

int broker_beat(struct broker *broker, const char *epoch, uint64_t number, int64_t deadline_us,
                struct error *e)
{
	bool effective;
	int r = begin(broker, "beat", &effective, e);
	bool mine = epoch_is(epoch);
	char value[EPOCH_SIZE + 24];

	if (effective && mine && deadline_us > fake_redis_now_us()) {
		snprintf(value, sizeof value, "%s:%" PRIu64, epoch, number);
		fake_redis_set("hb", 2, value, strlen(value), EPOCH_LIFE_MS)->deadline_us = deadline_us;
	}
	return end(r < 0 ? r : mine);
}

int broker_note(struct broker *broker, const struct buf *note, int64_t life_ms, struct error *e)
{
	bool effective;
	int r = begin(broker, "note", &effective, e);

	if (effective)
		fake_redis_set("worker", 6, note->data, note->len, life_ms);
	return end(r);
}

/* --- Messages -------------------------------------------------------------------------------- */

struct message {
	struct message *next;
	struct buf text;
};

struct subscription {
	struct subscription *next;
	struct message *first, **last;
	int broken;   /* errno */
	bool waiting; /* in subscription_next(), for a message */
	bool poked;
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct subscription *subscriptions; /* [lock] */
	int refuse;                         /* [lock] errno */
	unsigned attempts;                  /* [lock] */
} channel = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

/* With the lock held. */
static void changed(void)
{
	pthread_cond_broadcast(&channel.changed);
}

static void deliver(const char *bytes, size_t len)
{
	pthread_mutex_lock(&channel.lock);
	for (struct subscription *s = channel.subscriptions; s; s = s->next) {
		struct message *message = calloc(1, sizeof *message);

		buf_add(&message->text, bytes, len);
		*s->last = message;
		s->last = &message->next;
	}
	changed();
	pthread_mutex_unlock(&channel.lock);
}

void fake_publish(const char *message)
{
	deliver(message, strlen(message));
}

/* Delivered under Redis' lock, so in the order of the commands. */
int broker_publish(struct broker *broker, const struct buf *message, struct error *e)
{
	bool effective;
	int r = begin(broker, "publish", &effective, e);

	if (effective)
		deliver(message->data, message->len);
	return end(r);
}

int subscription_open(struct cache *cache, struct subscription **ret, struct error *e)
{
	struct subscription *s;
	int err;

	event_add("subscribe");
	pthread_mutex_lock(&channel.lock);
	channel.attempts++;
	err = channel.refuse;
	if (!err) {
		s = calloc(1, sizeof *s);
		s->last = &s->first;
		s->next = channel.subscriptions;
		channel.subscriptions = s;
		*ret = s;
	}
	changed();
	pthread_mutex_unlock(&channel.lock);
	return err ? error_set(e, err, "fake Redis: no subscription") : 0;
}

/* With the lock held. */
static void forget_first(struct subscription *s)
{
	struct message *message = s->first;

	s->first = message->next;
	if (!s->first)
		s->last = &s->first;
	buf_done(&message->text);
	free(message);
}

void subscription_close(struct subscription *subscription)
{
	struct subscription **at;

	if (!subscription)
		return;
	pthread_mutex_lock(&channel.lock);
	for (at = &channel.subscriptions; *at != subscription; at = &(*at)->next)
		;
	*at = subscription->next;
	while (subscription->first)
		forget_first(subscription);
	changed();
	pthread_mutex_unlock(&channel.lock);
	free(subscription);
}

/* Real time: the other clocks may be a test's. */
static struct timespec in_ms(int ms)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += ms % 1000 * 1000000L;
	if (t.tv_nsec >= 1000000000L) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000L;
	}
	return t;
}

int subscription_next(struct subscription *s, int timeout_ms, struct buf *ret, struct error *e)
{
	struct timespec until = in_ms(timeout_ms);
	int r = 0;

	pthread_mutex_lock(&channel.lock);
	s->waiting = true;
	changed();
	while (!s->first && !s->broken && !s->poked &&
	       pthread_cond_timedwait(&channel.changed, &channel.lock, &until) == 0)
		;
	s->waiting = s->poked = false;
	if (s->broken) {
		r = error_set(e, s->broken, "fake Redis: the subscription broke");
	} else if (s->first) {
		buf_reset(ret);
		buf_add(ret, s->first->text.data, s->first->text.len);
		forget_first(s);
		r = 1;
	}
	pthread_mutex_unlock(&channel.lock);
	return r;
}

/* With the lock held. */
static bool settled(void)
{
	bool all = channel.subscriptions != NULL;

	for (struct subscription *s = channel.subscriptions; s; s = s->next)
		all = all && s->waiting && !s->first && !s->poked && !s->broken;
	return all;
}

/* With the lock held. */
static void settle(void)
{
	while (!settled())
		pthread_cond_wait(&channel.changed, &channel.lock);
}

void fake_publish_settle(void)
{
	pthread_mutex_lock(&channel.lock);
	settle();
	pthread_mutex_unlock(&channel.lock);
}

void fake_publish_poke(void)
{
	pthread_mutex_lock(&channel.lock);
	for (struct subscription *s = channel.subscriptions; s; s = s->next)
		s->poked = true;
	changed();
	settle();
	pthread_mutex_unlock(&channel.lock);
}

void fake_subscription_break(int err)
{
	pthread_mutex_lock(&channel.lock);
	for (struct subscription *s = channel.subscriptions; s; s = s->next)
		s->broken = err;
	changed();
	pthread_mutex_unlock(&channel.lock);
}

void fake_subscription_refuse(int err)
{
	pthread_mutex_lock(&channel.lock);
	channel.refuse = err;
	pthread_mutex_unlock(&channel.lock);
}

void fake_subscription_await(unsigned n)
{
	pthread_mutex_lock(&channel.lock);
	while (channel.attempts < n)
		pthread_cond_wait(&channel.changed, &channel.lock);
	pthread_mutex_unlock(&channel.lock);
}

unsigned fake_subscription_attempts(void)
{
	unsigned n;

	pthread_mutex_lock(&channel.lock);
	n = channel.attempts;
	pthread_mutex_unlock(&channel.lock);
	return n;
}
