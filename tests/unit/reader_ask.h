/* What the tests of the reader share: a row in the store, copies of it in Redis, and questions. */
#pragma once

#include "rowfs/engine/reader.h"

#include "events.h"
#include "fake_cache.h"
#include "fake_store.h"
#include "latch.h"
#include "rowfs/engine/copy.h"
#include "sample_engine.h"
#include "suite.h"

static const char key[] = "a:1001:42";
static const struct fake_row old_row = {"7421", NULL, "42", "Zelt", "129.00", "258.00"};
static const struct fake_row new_row = {"900", NULL, "42", "Zelt", "99.00", "198.00"};
static const char old_text[] = "{\n  \"id\": 42,\n  \"name\": \"Zelt\",\n  \"price\": 129.00,\n"
                               "  \"total\": 258.00\n}\n";

static struct sample sample;
static struct rowref ref; /* of row 42 of the items */

static inline void open_all(void)
{
	sample_open(&sample);
	ref = sample_ref(&sample, ITEMS, "42.json");
	fake_store_put(&old_row);
}

static inline void close_all(void)
{
	rowref_done(&ref);
	sample_close(&sample);
	ck_assert_uint_eq(text_bytes(), 0);
}

/* --- Asking ---------------------------------------------------------------------------------- */

struct ask {
	struct read_request request;
	struct latch answered; /* passed through by who answers */
	struct text *text;
	struct error e;
};

static inline void take_answer(struct read_request *request, struct text *text,
                               const struct error *e)
{
	struct ask *ask = container_of(request, struct ask, request);

	ck_assert_uint_eq(latch_arrived(&ask->answered), 0);
	ask->text = text ? text_ref(text) : NULL;
	ask->e = *e;
	latch_open(&ask->answered);
	latch_pass(&ask->answered);
}

static inline void ask_begin(struct ask *ask, const struct rowref *which)
{
	*ask = (struct ask){.request.done = take_answer, .answered = LATCH_INIT};
	reader_get(sample.engine.reader, which, &ask->request);
}

static inline bool ask_answered(struct ask *ask)
{
	return latch_arrived(&ask->answered) > 0;
}

static inline void ask_await(struct ask *ask)
{
	latch_await(&ask->answered, 1);
}

/* The transaction that made what was read, or -errno. */
static inline int64_t ask_end(struct ask *ask)
{
	int64_t result;

	ask_await(ask);
	ck_assert_int_eq(ask->text == NULL, ask->e.err != 0);
	ck_assert(!ask->e.err || ask->e.message[0]);
	result = ask->text ? (int64_t)ask->text->xid : -ask->e.err;
	text_unref(ask->text);
	return result;
}

static inline int64_t get(const struct rowref *which)
{
	struct ask ask;

	ask_begin(&ask, which);
	return ask_end(&ask);
}

static inline void check_events(const char *want)
{
	ck_assert_str_eq(events_take(), want);
}

/* --- Copies ---------------------------------------------------------------------------------- */

/* What a mount that read this row would have put into Redis. */
static inline void print_copy(const struct fake_row *row, uint64_t fingerprint, struct buf *out)
{
	struct relation relation = {.fingerprint = fingerprint};
	_cleanup_buf_ struct buf data = {0};
	_cleanup_text_ struct text *text = NULL;
	struct version version;

	buf_addf(&data,
	         "{\n  \"id\": %s,\n  \"name\": \"%s\",\n  \"price\": %s,\n  \"total\": %s\n}\n",
	         row->id, row->name, row->price, row->total);
	version = version_of(data.data, data.len, NULL);
	text = text_new(data.data, data.len, &version, (uint32_t)strtoul(row->xid, NULL, 10));
	ck_assert_ptr_nonnull(text);
	copy_print(&relation, text, &(struct copy_terms){.ttl_ms = 60000}, out);
}

static inline void put_copy(const struct fake_row *row)
{
	_cleanup_buf_ struct buf copy = {0};

	print_copy(row, ref.relation->fingerprint, &copy);
	fake_cache_put(key, copy.data, copy.len);
}

static inline bool redis_holds(const char *part)
{
	_cleanup_buf_ struct buf value = {0};

	fake_cache_peek(key, &value);
	return *part ? strstr(value.data, part) != NULL : value.len == 0;
}

static inline int64_t get_named(uint32_t oid, const char *name)
{
	struct rowref other = sample_ref(&sample, oid, name);
	int64_t r = get(&other);

	rowref_done(&other);
	return r;
}

static inline TCase *fixed(Suite *suite, const char *name)
{
	TCase *test = tcase_create(name);

	tcase_set_timeout(test, 30);
	tcase_add_checked_fixture(test, open_all, close_all);
	suite_add_tcase(suite, test);
	return test;
}
