/* broker.h over the Redis in memory (fake_redis.h): epochs, table epochs, the heartbeat with its deadline on the clock that a
 * test sets, and messages that go to whoever is subscribed.
 *
 * Events of the worker's side: "connect" "id" "time" "unlink" "begin" "tables" "untables" "count" "beat" "publish" "note",
 * of the mounts': "subscribe". */
#pragma once

#include "rowfs/engine/broker.h"

/* Called before each command of a broker, without locks held; NULL: nobody. For tests that stop in the middle, or look. */
void fake_broker_on(void (*fn)(void *arg, const char *command), void *arg);

/* Let the n-th command from now fail with `err` (positive; n counts from 1, and broker_open() is a command): `lost`: it took
 * effect, and only its reply was lost. As the real one, that broker then fails for good. n = 0: none. */
void fake_broker_fail(unsigned n, int err, bool lost);

/* The same for the next command of that name. */
void fake_broker_fail_at(const char *command, int err, bool lost);

/* How many commands there were. */
unsigned fake_broker_commands(void);

/* --- Messages -------------------------------------------------------------------------------- */

/* Publish by hand, whole messages. */
void fake_publish(const char *message);

/* Wait until somebody is subscribed, and all who are have taken every message and come back for the next. */
void fake_publish_settle(void);

/* Let those who wait for a message come back without one, once, and settle. */
void fake_publish_poke(void);

/* Break all subscriptions that there are; what they have not taken yet is lost. */
void fake_subscription_break(int err);

/* Refuse new ones with `err`; 0: not any more. */
void fake_subscription_refuse(int err);

/* Wait until `n` attempts to subscribe were made, ever. */
void fake_subscription_await(unsigned n);
unsigned fake_subscription_attempts(void);
