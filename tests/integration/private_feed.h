/* A feed on the private Redis (private_redis.h): what the worker writes to it, what a mount reads
 * and hears of it. Fixtures feed_setup and feed_teardown. */
#pragma once

#include "private_redis.h"
#include "rowfs/engine/broker.h"

enum { SLACK_MS = 150 }; /* what a busy machine may add to a deadline */

/* How every key begins, and the relation that the tests are about. */
#define P "rf:{7.16384}"
enum { TABLE = 16385 };

#define EPOCH       "0/16B3748-00c0ffee00c0ffee"
#define LATER       "0/16B9999-0123456789abcdef"
#define TABLE_EPOCH "0/16B3700-feedfeedfeedfeed"

extern struct broker *broker;
extern struct cache_proof proof;

void feed_setup(void);
void feed_teardown(void);

/* Another broker in place of one that failed. */
void reopen(void);

int64_t redis_now(void);

/* Set the heartbeat of EPOCH, the table epoch of TABLE. */
int beat_for(int64_t life_ms);
int set_table(const char *epoch);

/* A feed that is alive, for a minute. */
void begin_feed(void);

/* Read the row "k", or no row; the proof is in `proof`. */
enum cache_answer read_row(struct buf *ret);
enum cache_answer read_nothing(void);
void proof_is(const char *epoch, const char *table, bool fresh);

/* cache_lease() of the row "k". */
bool lease_if_not(const char *valid, char token[CACHE_TOKEN_SIZE]);

struct subscription *subscribe(void);
void publish(const void *bytes, size_t len);

/* The next message must come, and be this one. */
void hears(struct subscription *subscription, const void *bytes, size_t len);

/* A test case of the suite with those fixtures; `add` fills it. */
void feed_case(Suite *suite, const char *name, void (*add)(TCase *tcase));
