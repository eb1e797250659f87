#include "stream.h"

#include <errno.h>
#include <endian.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "answer.h"
#include "direct.h"
#include "rowfs/base/clock.h"

/* The stream's clock begins in 2000. */
enum { EPOCH_2000 = 946684800 };

/* XLogData: 'w', start, end, time, payload. Keepalive: 'k', end, time, whether to answer. */
enum { DATA_HEAD = 25, DATA_END = 9, KEEPALIVE_LEN = 18, KEEPALIVE_END = 1, KEEPALIVE_ASKS = 17 };

/* The server hears from us so often even when nothing happens, and is given up when it does not
 * answer. */
enum { TELL_US = 1000000, SILENCE_US = 30000000 };

uint64_t stream_parse_lsn(const char *text)
{
	unsigned high, low;

	return sscanf(text, "%X/%X", &high, &low) == 2 ? (uint64_t)high << 32 | low : 0;
}

int stream_open(struct stream *stream, const struct store *store, char *server, struct error *e)
{
	uint64_t unique;
	int r = direct_open(store, DIRECT_STREAM, server, &stream->pg, e);

	if (r < 0)
		return r;
	if (getrandom(&unique, sizeof(unique), 0) != sizeof(unique))
		return error_set(e, EIO, "no random numbers: %s", strerror(errno));
	snprintf(stream->slot, sizeof(stream->slot), "rowfs_%016llx", (unsigned long long)unique);
	stream->state = STREAM_OPEN;
	return 0;
}

void stream_close(struct stream *stream, PGconn *by)
{
	/* While it streams, the server process sees its end; while it waits, it does not look. */
	if (stream->state == STREAM_CREATING)
		direct_end(by, &stream->pg);
	PQfinish(stream->pg);
	*stream = (struct stream){0};
}

int stream_create(struct stream *stream, struct error *e)
{
	_cleanup_result_ PGresult *result = NULL;
	char sql[128];
	int r;

	if (stream->state == STREAM_OPEN) {
		snprintf(sql, sizeof(sql),
		         "CREATE_REPLICATION_SLOT %s TEMPORARY LOGICAL pgoutput NOEXPORT_SNAPSHOT",
		         stream->slot);
		r = direct_send(stream->pg, sql, e);
		if (r < 0)
			return r;
		stream->state = STREAM_CREATING;
	}
	if (stream->state == STREAM_CREATING) {
		r = direct_poll(stream->pg, &result, e);
		if (r < 0)
			return r == -EAGAIN ? 0 : r;
		stream->position = stream_parse_lsn(PQgetvalue(result, 0, 1));
		stream->state = STREAM_CREATED;
	}
	return 1;
}

/* Names within a list within a string: quoted as the one, then as the other. */
static void print_start(struct stream *stream, const char *publication, struct buf *out)
{
	_cleanup_buf_ struct buf name = {0};

	direct_add_name(stream->pg, publication, &name);
	buf_addf(out, "START_REPLICATION SLOT %s LOGICAL 0/0 (", stream->slot);
	if (PQserverVersion(stream->pg) >= 140000)
		buf_adds(out, "proto_version '2', streaming 'on', publication_names ");
	else
		buf_adds(out, "proto_version '1', publication_names ");
	if (!name.failed)
		direct_add_literal(stream->pg, name.data, out);
	out->failed = out->failed || name.failed;
	buf_addc(out, ')');
}

/* The answer is that both sides may send from now on; it has no end to wait for. */
static int await_start(struct stream *stream, struct error *e)
{
	int64_t deadline_us = clock_monotonic_us() + STORE_STATEMENT_TIMEOUT_MS * INT64_C(1000);
	_cleanup_result_ PGresult *result = NULL;

	while (PQflush(stream->pg) > 0 || PQisBusy(stream->pg)) {
		if (answer_poll(stream->pg, POLLIN, deadline_us) < 0 || !PQconsumeInput(stream->pg))
			return direct_lost(stream->pg, e);
	}
	result = PQgetResult(stream->pg);
	if (PQresultStatus(result) != PGRES_COPY_BOTH)
		return answer_error(result, e);
	return 0;
}

int stream_start(struct stream *stream, const char *publication, struct error *e)
{
	_cleanup_buf_ struct buf sql = {0};
	int r;

	print_start(stream, publication, &sql);
	if (sql.failed)
		return error_set(e, ENOMEM, "out of memory");
	r = direct_send(stream->pg, sql.data, e);
	if (r == 0)
		r = await_start(stream, e);
	if (r < 0)
		return r;
	stream->state = STREAM_RUNNING;
	stream->heard_us = clock_monotonic_us();
	return stream_tell(stream, false, e);
}

static uint64_t number_at(const char *message, size_t at)
{
	uint64_t number;

	memcpy(&number, message + at, sizeof(number));
	return be64toh(number);
}

static void put_number(char *message, size_t at, uint64_t number)
{
	number = htobe64(number);
	memcpy(message + at, &number, sizeof(number));
}

int stream_tell(struct stream *stream, bool ask, struct error *e)
{
	int64_t now_us = clock_us(CLOCK_REALTIME) - EPOCH_2000 * INT64_C(1000000);
	char message[34] = {'r'};

	for (size_t i = 0; i < 3; i++) /* written, flushed, applied: it is all one here */
		put_number(message, 1 + 8 * i, stream->position);
	put_number(message, 25, (uint64_t)now_us);
	message[33] = ask;
	/* 0: no room for now, since the server does not read; the next one tells more anyway. */
	if (PQputCopyData(stream->pg, message, sizeof(message)) < 0 || PQflush(stream->pg) < 0)
		return direct_lost(stream->pg, e);
	stream->told_us = clock_monotonic_us();
	return 0;
}

static void advance(struct stream *stream, uint64_t lsn)
{
	if (lsn > stream->position)
		stream->position = lsn;
}

static int take_data(struct stream *stream, struct transactions *transactions, const char *message,
                     size_t len, struct batch *batch, struct error *e)
{
	uint64_t committed = 0;
	int r = transactions_take(transactions, message + DATA_HEAD, len - DATA_HEAD, batch,
	                          &committed, e);

	if (r < 0)
		return r;
	advance(stream, number_at(message, DATA_END));
	advance(stream, committed);
	return 0;
}

static int take_message(struct stream *stream, struct transactions *transactions,
                        const char *message, size_t len, struct batch *batch, struct error *e)
{
	if (*message == 'w' && len >= DATA_HEAD)
		return take_data(stream, transactions, message, len, batch, e);
	if (*message != 'k' || len < KEEPALIVE_LEN)
		return error_set(e, EPROTO,
		                 "the replication stream has a message '%c' of %zu bytes", *message,
		                 len);
	advance(stream, number_at(message, KEEPALIVE_END));
	return message[KEEPALIVE_ASKS] ? stream_tell(stream, false, e) : 0;
}

/* The server ends a stream with the reason. */
static int ended(struct stream *stream, struct error *e)
{
	_cleanup_result_ PGresult *result = PQgetResult(stream->pg);

	if (result && PQresultStatus(result) == PGRES_FATAL_ERROR)
		return answer_error(result, e);
	return direct_lost(stream->pg, e);
}

/* 1: a message was taken, 0: there is none. */
static int take(struct stream *stream, struct transactions *transactions, struct batch *batch,
                struct error *e)
{
	char *message = NULL;
	int len = PQgetCopyData(stream->pg, &message, 1);
	int r;

	if (len == 0)
		return 0;
	if (len < 0)
		return ended(stream, e);
	r = take_message(stream, transactions, message, (size_t)len, batch, e);
	PQfreemem(message);
	stream->heard_us = clock_monotonic_us();
	return r < 0 ? r : 1;
}

static bool full(const struct batch *batch)
{
	return batch->n_changes >= STREAM_BATCH || batch->n_transactions >= STREAM_BATCH;
}

/* Everything that libpq has got of the socket. 1: there may be more, but it is enough for now. */
static int take_all(struct stream *stream, struct transactions *transactions, struct batch *batch,
                    struct error *e)
{
	int r;

	do {
		if (full(batch))
			return 1;
		r = take(stream, transactions, batch, e);
	} while (r > 0);
	return r;
}

/* While a large transaction arrives there is always more. */
static bool more(const struct stream *stream, int64_t deadline_us)
{
	return answer_poll(stream->pg, POLLIN, 0) == 0 && clock_monotonic_us() < deadline_us;
}

int stream_read(struct stream *stream, struct transactions *transactions, int64_t deadline_us,
                struct batch *batch, struct error *e)
{
	int64_t now_us;
	int r = take_all(stream, transactions, batch, e);

	while (r == 0) {
		if (!PQconsumeInput(stream->pg))
			return ended(stream, e);
		r = take_all(stream, transactions, batch, e);
		if (r != 0 || !more(stream, deadline_us))
			break;
	}
	if (r < 0)
		return r;
	now_us = clock_monotonic_us();
	if (now_us - stream->heard_us > SILENCE_US)
		return error_set(e, EIO, "the replication stream has been silent for %d s",
		                 SILENCE_US / 1000000);
	return now_us - stream->told_us > TELL_US ? stream_tell(stream, true, e) : 0;
}
