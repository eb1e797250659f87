#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "direct.h"
#include "feed.h"
#include "feed_sql.h"
#include "load.h"
#include "rowfs/base/clock.h"

/* On a quiet server an open transaction can keep the end of the log ahead of what is flushed, and
 * only that is streamed. If it lags a mark for FLUSH, we commit something; not more often than
 * FLUSH_AGAIN. */
enum { ASK_US = 10000, FLUSH_US = 20000, FLUSH_AGAIN_US = 100000 };

static const char flush_sql[] = "SELECT pg_logical_emit_message(true, 'rowfs', '')"
                                " WHERE pg_current_wal_flush_lsn() < $1::pg_lsn";

static int parse(const char *text, struct snapshot *ret, struct error *e)
{
	int r = snapshot_parse(text, ret);

	if (r == -ENOMEM)
		return error_set(e, ENOMEM, "out of memory");
	return r < 0 ? error_set(e, EPROTO, "unknown form of a snapshot: %s", text) : 0;
}

/* Where the server is. The snapshot is the older of the two: whatever it shows is before the place.
 */
static int here(struct feed *feed, struct snapshot *ret, uint64_t *ret_lsn, struct error *e)
{
	_cleanup_result_ PGresult *result = NULL;
	int r = direct_query(feed->sql,
	                     "SELECT pg_current_snapshot(), pg_current_wal_insert_lsn(), " FEED_SPARED_SQL,
	                     0, NULL, &result, e);

	/* It was set while we run, and nothing commits any more until we are gone. */
	if (r == 0 && feed->wal && !load_flag(result, 0, 2))
		r = error_set(e, EIO, "synchronous_standby_names has a '*', so every commit would wait for this worker");
	if (r == 0)
		r = parse(PQgetvalue(result, 0, 0), ret, e);
	if (r == 0)
		*ret_lsn = stream_parse_lsn(PQgetvalue(result, 0, 1));
	return r;
}

/* A snapshot lists those that run only below the last one that has ended. So we end one first. */
int feed_snapshot_all(struct feed *feed, struct snapshot *ret, struct error *e)
{
	uint64_t lsn;
	int r = direct_query(feed->sql, "SELECT pg_current_xact_id()", 0, NULL, NULL, e);

	return r < 0 ? r : here(feed, ret, &lsn, e);
}

/* ---- marks ---- */

int feed_mark(struct feed *feed, struct error *e)
{
	struct error ignored;
	struct mark *mark = &feed->mark;
	int64_t since_us = clock_monotonic_us();
	int r = here(feed, &mark->at, &mark->lsn, e ? e : &ignored);

	mark->set = r == 0;
	mark->since_us = since_us;
	mark->asked_us = 0;
	mark->urged_us = 0;
	if (r == 0 && feed->wal)
		transactions_set_now(feed->transactions, mark->at.next);
	return r;
}

bool feed_passed(const struct feed *feed)
{
	if (!feed->mark.set)
		return false;
	if (feed->wal && feed->stream.position < feed->mark.lsn)
		return false;
	return feed->log.state != LOGTAIL_READING || feed->log.emptied_us > feed->mark.since_us;
}

static int flush(struct feed *feed, struct error *e)
{
	char lsn[32];
	const char *const values[] = {lsn};

	snprintf(lsn, sizeof(lsn), "%X/%X", (unsigned)(feed->mark.lsn >> 32),
	         (unsigned)feed->mark.lsn);
	return direct_query(feed->sql, flush_sql, 1, values, NULL, e);
}

int feed_urge(struct feed *feed, int64_t *ret_us, struct error *e)
{
	struct mark *mark = &feed->mark;
	int64_t now_us = clock_monotonic_us();
	int r = 0;

	*ret_us = INT64_MAX;
	if (!feed->wal || !mark->set || feed->stream.position >= mark->lsn)
		return 0;
	if (now_us - mark->since_us >= FLUSH_US && now_us - mark->urged_us >= FLUSH_AGAIN_US) {
		r = flush(feed, e);
		mark->urged_us = now_us;
		mark->asked_us = 0;
	}
	if (r == 0 && now_us - mark->asked_us >= ASK_US) {
		r = stream_tell(&feed->stream, true, e);
		mark->asked_us = now_us;
	}
	*ret_us = mark->asked_us + ASK_US;
	return r;
}

/* ---- visibility ---- */

int feed_visible(struct feed *feed, const struct batch *batch, struct error *e)
{
	_cleanup_snapshot_ struct snapshot now = {0};
	struct error ignored;
	uint64_t lsn;
	int r;

	if (batch->n_transactions == 0)
		return 1;
	r = here(feed, &now, &lsn, e ? e : &ignored);
	if (r < 0)
		return r;
	for (size_t i = 0; i < batch->n_transactions; i++)
		if (!snapshot_ended(&now, batch_xid(batch, i)))
			return 0;
	return 1;
}

/* ---- transactions older than the stream ---- */

int feed_note_older(struct feed *feed, struct error *e)
{
	struct snapshot now = {0};
	int r = feed_snapshot_all(feed, &now, e);

	if (r < 0)
		return r;
	transactions_set_now(feed->transactions, now.next);
	feed->older = now.running;
	feed->n_older = now.n;
	return 0;
}

static void forget(struct feed *feed, size_t i)
{
	feed->n_older--;
	memmove(&feed->older[i], &feed->older[i + 1], (feed->n_older - i) * sizeof(*feed->older));
}

void feed_note_seen(struct feed *feed, const struct batch *batch, size_t first)
{
	for (size_t n = first; feed->n_older > 0 && n < batch->n_transactions; n++) {
		uint64_t xid = batch_xid(batch, n);

		for (size_t i = 0; i < feed->n_older; i++)
			if (feed->older[i] == xid) {
				forget(feed, i);
				break;
			}
	}
}

/* Did one of these, "{1,2}", commit? */
static int any_committed(struct feed *feed, const struct buf *xids, struct error *e)
{
	static const char sql[] = "SELECT count(*) > 0 FROM unnest($1::xid8[]) AS x(xid)"
	                          " WHERE pg_xact_status(x.xid) = 'committed'";
	_cleanup_result_ PGresult *result = NULL;
	const char *const values[] = {xids->data};
	int r;

	if (xids->failed)
		return error_set(e, ENOMEM, "out of memory");
	r = direct_query(feed->sql, sql, 1, values, &result, e);
	return r < 0 ? r : load_flag(result, 0, 0);
}

int feed_missed(struct feed *feed, struct error *e)
{
	_cleanup_buf_ struct buf ended = {0};
	struct error ignored;

	for (size_t i = feed->n_older; i-- > 0;) {
		if (!snapshot_ended(&feed->mark.at, feed->older[i]))
			continue;
		buf_addf(&ended, "%c%llu", ended.len ? ',' : '{',
		         (unsigned long long)feed->older[i]);
		forget(feed, i);
	}
	if (ended.len == 0)
		return ended.failed ? error_set(e, ENOMEM, "out of memory") : 0;
	buf_addc(&ended, '}');
	return any_committed(feed, &ended, e ? e : &ignored);
}
