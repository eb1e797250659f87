/* Every mount's side of broker.h. A connection that is subscribed gets messages unasked, and then
 * hears nothing for as long as nothing happens; just as it does when Redis, or the way there, is
 * gone. So:
 *
 *             nothing heard for PING_MS: PING          nothing heard for PONG_MS
 *   LISTENING ──────────────────────────────► WAITING ──────────────────────────► broken
 *       ▲                                        │
 *       └─────────── anything heard ◄────────────┘
 *
 * Anything is a pong, a message, or a piece of one: a large message must not look like silence.
 * What has come is read before the time is looked at, so a process that was stopped itself blames
 * nobody. */
#include <errno.h>
#include <string.h>

#include "call.h"
#include "rowfs/base/clock.h"
#include "rowfs/engine/broker.h"

enum { PING_MS = 1000, PONG_MS = 1000 };

struct subscription {
	const struct cache *cache;     /* its address and prefix, which never change */
	struct connection *connection; /* NULL after a failure */
	bool waiting;                  /* a PING is on its way */
	int64_t until_us;              /* LISTENING: when to PING; WAITING: when to give up */
	size_t received;               /* of the message that is coming in, when last looked at */
};

/* Something was heard. */
static void listen_on(struct subscription *subscription, int64_t now)
{
	subscription->waiting = false;
	subscription->until_us = now + PING_MS * INT64_C(1000);
}

static bool is_text(const redisReply *reply, const char *text)
{
	return reply->type == REDIS_REPLY_STRING && strcmp(reply->str, text) == 0;
}

/* What comes is an array that begins with its kind: "message", "pong", "subscribe". */
static bool is_kind(const redisReply *reply, const char *kind)
{
	return reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 &&
	       is_text(reply->element[0], kind);
}

static int subscribe(struct subscription *subscription, struct error *e)
{
	const struct address *address = &subscription->cache->pool.address;
	struct connection *connection = subscription->connection;
	int64_t deadline = clock_monotonic_us() + BROKER_TIMEOUT_MS * INT64_C(1000);
	_cleanup_reply_ redisReply *reply = NULL;
	struct command command = {0};
	char channel[KEY_MAX];
	int r;

	cache_channel(subscription->cache, channel);
	command_adds(&command, "SUBSCRIBE");
	command_adds(&command, channel);
	r = connection_send(connection, &command, deadline);
	if (!r)
		r = connection_reply(connection, deadline, &reply);
	if (!r && reply->type == REDIS_REPLY_ERROR)
		return reply_error(reply, address, e);
	if (!r && !is_kind(reply, "subscribe"))
		r = -EPROTO;
	if (r)
		return connection_error(address, r, BROKER_TIMEOUT_MS, e);
	connection->unasked = true;
	connection->reply_max = BROKER_MESSAGE_MAX + 1024;
	listen_on(subscription, clock_monotonic_us());
	return 0;
}

static void cleanup_subscription(struct subscription **subscription)
{
	subscription_close(*subscription);
}

int subscription_open(struct cache *cache, struct subscription **ret, struct error *e)
{
	_cleanup_(cleanup_subscription) struct subscription *subscription =
	        calloc(1, sizeof(*subscription));
	struct endpoint endpoint;
	int r;

	if (!subscription)
		return error_set(e, ENOMEM, "out of memory");
	if (!cache->configured)
		return error_set(e, EOPNOTSUPP, "redis=none");
	subscription->cache = cache;
	r = connection_reach(&cache->pool.address, BROKER_TIMEOUT_MS, &subscription->connection,
	                     &endpoint, e);
	if (!r)
		r = subscribe(subscription, e);
	if (r)
		return r;
	*ret = subscription;
	subscription = NULL;
	return 0;
}

void subscription_close(struct subscription *subscription)
{
	if (!subscription)
		return;
	connection_close(subscription->connection);
	free(subscription);
}

/* What has come: 1 for a message, put into `ret`; 0 for a pong; or -errno. */
static int judge(const redisReply *reply, struct buf *ret)
{
	if (is_kind(reply, "pong"))
		return 0;
	if (!is_kind(reply, "message") || reply->elements != 3 ||
	    reply->element[2]->type != REDIS_REPLY_STRING)
		return -EPROTO;
	buf_reset(ret);
	buf_add(ret, reply->element[2]->str, reply->element[2]->len);
	return ret->failed ? -ENOMEM : 1;
}

/* Nothing whole has come until now: LISTENING, WAITING or broken? 0 or -errno. */
static int mind_silence(struct subscription *subscription, int64_t now)
{
	struct connection *connection = subscription->connection;
	struct command command = {0};

	if (connection->received != subscription->received) {
		subscription->received = connection->received;
		listen_on(subscription, now);
	}
	if (now < subscription->until_us)
		return 0;
	if (subscription->waiting)
		return -ETIMEDOUT;
	subscription->waiting = true;
	subscription->until_us = now + PONG_MS * INT64_C(1000);
	command_adds(&command, "PING");
	return connection_send(connection, &command, subscription->until_us);
}

/* As subscription_next(), without words for a failure. */
static int next(struct subscription *subscription, int64_t deadline, struct buf *ret)
{
	for (;;) {
		_cleanup_reply_ redisReply *reply = NULL;
		int64_t until =
		        subscription->until_us < deadline ? subscription->until_us : deadline;
		int r = connection_reply(subscription->connection, until, &reply);
		int64_t now = clock_monotonic_us();

		if (!r) {
			subscription->received = 0;
			listen_on(subscription, now);
			r = judge(reply, ret);
			if (r)
				return r;
		} else if (r == -ETIMEDOUT) {
			r = mind_silence(subscription, now);
			if (r || now >= deadline)
				return r;
		} else {
			return r;
		}
	}
}

int subscription_next(struct subscription *subscription, int timeout_ms, struct buf *ret,
                      struct error *e)
{
	const struct address *address = &subscription->cache->pool.address;
	int64_t deadline = clock_monotonic_us() + timeout_ms * INT64_C(1000);
	int r;

	if (!subscription->connection)
		return error_set(e, ENOTCONN, "Redis at %s: the subscription has ended",
		                 address->label);
	r = next(subscription, deadline, ret);
	if (r >= 0)
		return r;
	subscription->connection = connection_close(subscription->connection);
	return connection_error(address, r, PONG_MS, e);
}
