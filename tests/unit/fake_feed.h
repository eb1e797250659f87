/* feed.h without PostgreSQL: it says what a test has it say, and hands over what a test pushed.
 *
 * Events: "check" "open" "start" (feed_begin) "changes" (feed_next, when it hands something over) "visible" "mark"
 * "missed" "inspect" "close". */
#pragma once

#include "rowfs/engine/feed.h"

enum fake_feed_call { FEED_CHECK, FEED_OPEN, FEED_BEGIN, FEED_NEXT, FEED_VISIBLE, FEED_MARK, FEED_PASSED, FEED_MISSED,
		      FEED_INSPECT, FEED_CALLS };

/* What a call returns from now on; an error gets a message. At first all is well: 1 for FEED_BEGIN, FEED_VISIBLE and
 * FEED_PASSED, 0 for the others. */
void fake_feed_answer(enum fake_feed_call call, int r);

/* The same, `times` times; then what it was. */
void fake_feed_answer_once(enum fake_feed_call call, int r, unsigned times);

/* How often it was called. */
unsigned fake_feed_count(enum fake_feed_call call);

/* Called at the beginning of each call, without locks held, with its event ("next" and "passed" are none, but are told here);
 * NULL: nobody. */
void fake_feed_on(void (*fn)(void *arg, const char *call), void *arg);

/* How often feed_next() was told not to wait. */
unsigned fake_feed_hasty(void);

/* One transaction with this change for feed_next(), which takes it at once. The mark that is under way is not passed before
 * it was taken. */
void fake_feed_push(const struct batch_change *change);

/* Any batch, the same; and for the next feed_inspect(). Copied. */
void fake_feed_push_batch(const struct batch *batch);
void fake_feed_push_inspected(const struct batch *batch);

/* The relations that it covers; literals that outlive the test. */
void fake_feed_cover(const uint32_t *relations, size_t n);

/* Feeds that are open. */
unsigned fake_feed_opened(void);
