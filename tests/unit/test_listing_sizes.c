/* Tables of large rows, whose sizes Redis remembers. */
#include <stdio.h>
#include <string.h>

#include "../../src/engine/sizes.h"
#include "fake_broker.h"
#include "fake_cache.h"
#include "fake_feed.h"
#include "fake_redis.h"
#include "fake_store.h"
#include "rowfs/base/counters.h"
#include "rowfs/engine/follow.h"
#include "rowfs/engine/listing.h"
#include "sample_engine.h"
#include "suite.h"

#define T0    INT64_C(1763805200000000)
#define EPOCH "63f1c2a9-9f86d081884c7d65"
#define TABLE "63f1c2a8-2c26b46b68ffc68f"
#define OTHER "63f1ffff-0000000000000001"

/* --- The table ------------------------------------------------------------------------------- */

enum { IDS = 6000, LARGE = 70000, LARGER = 90000 };

static bool there[IDS];
static size_t length[IDS];    /* of its name */
static unsigned xid[IDS];
static char letters[LARGER + 1];
static unsigned whole, keys; /* rows that were served so */

static struct sample sample;

static void put_rows(size_t from, size_t n, size_t length_of_name)
{
	for (size_t id = from; id < from + n; id++) {
		there[id] = true;
		length[id] = length_of_name;
		xid[id] = 700;
	}
}

static int serve_row(const struct fake_call *call, size_t id, bool key_only)
{
	char number[24], transaction[24];
	struct fake_row row = {transaction, NULL, number, letters + LARGER - length[id], "1.50", NULL};

	snprintf(number, sizeof number, "%zu", id);
	snprintf(transaction, sizeof transaction, "%u", xid[id]);
	if (key_only)
		row.name = row.price = NULL;
	*(key_only ? &keys : &whole) += 1;
	return fake_store_line(call, &row);
}

static int serve(void *arg, const struct fake_call *call)
{
	const struct statement *statement = call->statement;
	unsigned left = (unsigned)strtoul(strstr(statement->sql, " LIMIT ") + 7, NULL, 10);
	bool key_only = !strstr(statement->sql, "t.\"name\"");
	int r = 0;

	ck_assert_str_eq(call->verb, "page");
	for (size_t id = statement->n ? strtoul(statement->values[0].data, NULL, 10) + 1 : 0; id < IDS && left && r == 0; id++)
		if (there[id]) {
			r = serve_row(call, id, key_only);
			left--;
		}
	return r;
}

static void prove(const char *table)
{
	fake_cache_prove(EPOCH, EPOCH, ITEMS, table);
}

static void open_all(void)
{
	_cleanup_buf_ struct buf message = {0};

	memset(letters, 'x', LARGER);
	fake_redis_clock(T0);
	sample_prepare(&sample);
	sample.settings.changes = CHANGES_AUTO;
	sample_start(&sample);
	fake_store_on(serve, NULL);
	ck_assert_int_eq(follow_start(sample.engine.follow), 0);
	fake_publish_settle();
	buf_addf(&message, "%s 1\ne\nh %lld\n", EPOCH, (long long)(T0 + 3600000000));
	fake_publish(message.data);
	fake_publish_settle();
	prove(TABLE);
}

static void close_all(void)
{
	sample_close(&sample);
}

/* --- Listing --------------------------------------------------------------------------------- */

static void came(struct listing_request *request, const struct error *e)
{
	ck_assert_int_eq(e->err, 0);
}

static struct version seen[IDS];

/* Every row that is there comes, once, in order; what it is said to be goes to `seen`. */
static size_t list(void)
{
	struct listing_request request = {.done = came};
	struct listing *listing;
	size_t n = 0, id = 0;

	whole = keys = 0;
	ck_assert_int_eq(listing_new(&sample.engine, ITEMS, &listing), 0);
	for (;; n++, id++) {
		char expected[24];

		if (!listing_at(listing, n) && !listing_ended(listing, n))
			listing_seek(listing, n, &request);
		if (!listing_at(listing, n) && !listing_ended(listing, n)) /* what ended with the page's end */
			listing_seek(listing, n, &request);
		if (!listing_at(listing, n))
			break;
		while (id < IDS && !there[id])
			id++;
		snprintf(expected, sizeof expected, "%zu.json", id);
		ck_assert_str_eq(listing_at(listing, n)->name, expected);
		seen[id] = listing_at(listing, n)->version;
	}
	ck_assert(listing_ended(listing, n));
	listing_free(listing);
	return n;
}

/* What a listing says that asks Redis nothing. */
static void check_seen(void)
{
	struct version said[IDS];

	memcpy(said, seen, sizeof said);
	fake_redis_down(true);
	list();
	fake_redis_down(false);
	for (size_t id = 0; id < IDS; id++)
		ck_assert(!there[id] || version_equal(&said[id], &seen[id]));
}

/* The key of the first chunk, and what it holds. */
static const char first_chunk[] = "s:1001:0000000000000000";

static size_t first_chunk_bytes(void)
{
	_cleanup_buf_ struct buf value = {0};

	fake_cache_peek(first_chunk, &value);
	return value.len;
}

START_TEST(who_lists_again_reads_keys_alone)
{
	put_rows(1, 700, LARGE);
	ck_assert_uint_eq(list(), 700);
	ck_assert_uint_eq(whole, 700);
	ck_assert_uint_lt(keys, 700); /* which tells all of them to be unknown */
	check_seen();
	ck_assert_uint_eq(list(), 700);
	ck_assert_uint_eq(whole, 0);
	ck_assert_uint_eq(keys, 700);
	ck_assert_uint_eq(counters[COUNTER_sizes_known], 700);
	check_seen();
}
END_TEST

START_TEST(a_table_may_begin_with_a_row_that_begins_a_chunk)
{
	char name[24];
	size_t id = 0;

	do
		snprintf(name, sizeof name, "%zu.json", ++id);
	while (!sizes_begin_chunk(sizes_name(name)));
	put_rows(id, 100, LARGE);
	list();
	ck_assert_uint_eq(list(), 100);
	ck_assert_uint_eq(whole, 0);
}
END_TEST

START_TEST(what_has_changed_is_read_and_remembered)
{
	put_rows(1, 700, LARGE);
	list();
	xid[1] = xid[300] = xid[301] = xid[500] = xid[700] = 701;
	length[1] = length[300] = length[700] = LARGER;
	length[301] = length[500] = 5;
	ck_assert_uint_eq(list(), 700);
	ck_assert_uint_eq(whole, 5);
	check_seen();
	ck_assert_uint_eq(list(), 700);
	ck_assert_uint_eq(whole, 0);
	check_seen();
}
END_TEST

/* Every so manieth row has changed: how many SELECTs and keys that may cost. Whole pages have 14 rows. */
static const struct {
	size_t every;
	unsigned pages, whole, keys;
} changes[] = {{2, 150, 1000, 6000}, {3, 150, 1000, 6000}, {10, 150, 1000, 6000}, {100, 40, 24, 6000}};

START_TEST(changes_here_and_there_cost_no_more_than_reading_all)
{
	uint64_t before;

	put_rows(1, 1000, LARGE);
	list();
	for (size_t id = changes[_i].every; id <= 1000; id += changes[_i].every)
		xid[id]++;
	before = counters[COUNTER_store_pages];
	ck_assert_uint_eq(list(), 1000);
	ck_assert_uint_le(counters[COUNTER_store_pages] - before, changes[_i].pages);
	ck_assert_uint_le(whole, changes[_i].whole);
	ck_assert_uint_le(keys, changes[_i].keys);
	list();
	ck_assert_uint_eq(whole, 0);
	check_seen();
}
END_TEST

/* Others read a whole page of a table of small rows, too. */
START_TEST(who_goes_on_after_a_key_of_a_table_of_small_rows_reads_no_keys)
{
	struct cells after = {1, (struct cell[]){{"10", 2}}};
	struct listing_request request = {.done = came};
	struct listing *listing;

	put_rows(1, 500, 50);
	ck_assert_int_eq(listing_new(&sample.engine, ITEMS, &listing), 0);
	ck_assert_int_eq(listing_start(listing, 10, &after), 0);
	listing_seek(listing, 10, &request);
	ck_assert_str_eq(listing_at(listing, 10)->name, "11.json");
	ck_assert_uint_eq(keys, 0);
	listing_free(listing);
}
END_TEST

/* The table has changed since the handle was opened: what that knows of it does not say any more what may be in Redis. */
START_TEST(a_handle_of_what_the_table_was_leaves_nothing_in_redis)
{
	struct listing_request request = {.done = came};
	struct schema *known = catalog_get(sample.engine.catalog), *altered = sample_schema(known->fingerprint + 1);
	struct listing *listing;

	put_rows(1, 200, LARGE);
	ck_assert_int_eq(listing_new(&sample.engine, ITEMS, &listing), 0);
	fake_store_schema(altered);
	catalog_renew(sample.engine.catalog, known);
	for (uint64_t row = 0; !listing_ended(listing, row); row += listing_at(listing, row) ? 1 : 0)
		if (!listing_at(listing, row))
			listing_seek(listing, row, &request);
	ck_assert_uint_eq(whole, 200);
	ck_assert_uint_eq(first_chunk_bytes(), 0);
	listing_free(listing);
	schema_unref(altered);
	schema_unref(known);
}
END_TEST

START_TEST(rows_that_come_and_go_leave_the_others_known)
{
	put_rows(1, 100, LARGE);
	put_rows(200, 600, LARGE);
	list();
	for (size_t id = 400; id < 410; id++)
		there[id] = false;
	put_rows(150, 3, LARGE);
	put_rows(899, 1, LARGE);
	ck_assert_uint_eq(list(), 694);
	ck_assert_uint_eq(whole, 4);
	check_seen();
	ck_assert_uint_eq(list(), 694);
	ck_assert_uint_eq(whole, 0);
	check_seen();
}
END_TEST

/* A server that went back in time gives the numbers of its transactions out again; that is another epoch. */
START_TEST(what_was_remembered_in_another_epoch_is_read_anew)
{
	put_rows(1, 300, LARGE);
	list();
	length[50] = LARGER;
	prove(OTHER);
	ck_assert_uint_eq(list(), 300);
	ck_assert_uint_eq(whole, 300);
	check_seen();
	ck_assert_uint_eq(list(), 300);
	ck_assert_uint_eq(whole, 0);
}
END_TEST

/* An epoch that begins while the table is listed. */
static int epoch_begins(void *arg, const struct fake_call *call)
{
	int r = serve(arg, call);

	if (whole > 100)
		prove(OTHER);
	return r;
}

START_TEST(what_was_read_in_two_epochs_is_remembered_in_neither)
{
	put_rows(1, 150, LARGE);
	fake_store_on(epoch_begins, NULL);
	list();
	fake_store_on(serve, NULL);
	ck_assert_uint_eq(first_chunk_bytes(), 0);
	list();
	ck_assert_uint_eq(whole, 150);
}
END_TEST

static int epoch_begins_with_keys(void *arg, const struct fake_call *call)
{
	int r = serve(arg, call);

	if (keys)
		prove(OTHER);
	return r;
}

START_TEST(what_another_epoch_remembers_is_not_taken_for_what_was_read_in_this)
{
	put_rows(1, 300, LARGE);
	prove(OTHER);
	list();
	put_rows(1, 300, LARGER);
	prove(TABLE);
	fake_store_on(epoch_begins_with_keys, NULL);
	list();
	fake_store_on(serve, NULL);
	ck_assert_uint_eq(whole, 300);
	check_seen();
}
END_TEST

START_TEST(what_is_damaged_is_read_anew)
{
	_cleanup_buf_ struct buf value = {0};

	put_rows(1, 200, LARGE);
	list();
	fake_cache_peek(first_chunk, &value);
	ck_assert_uint_gt(value.len, 100);
	value.data[value.len - 5] ^= 1;
	fake_cache_put(first_chunk, value.data, value.len);
	ck_assert_uint_eq(list(), 200);
	ck_assert_uint_ge(whole, 100);
	check_seen();
	ck_assert_uint_eq(list(), 200);
	ck_assert_uint_eq(whole, 0);
}
END_TEST

START_TEST(small_rows_are_not_remembered)
{
	put_rows(1, 800, 50);
	ck_assert_uint_eq(list(), 800);
	ck_assert_uint_eq(list(), 800);
	ck_assert_uint_eq(whole, 800);
	ck_assert_uint_eq(keys, 0);
	ck_assert_uint_eq(first_chunk_bytes(), 0);
}
END_TEST

/* The first chunk is there still. */
START_TEST(rows_that_were_large_are_not)
{
	put_rows(1, 100, LARGE);
	list();
	put_rows(1, 5000, 10);
	for (size_t id = 1; id <= 100; id++)
		xid[id]++;
	ck_assert_uint_eq(list(), 5000);
	ck_assert_uint_eq(whole, 5000);
	ck_assert_uint_le(keys, LISTING_PAGE_ROWS);
	check_seen();
	list();
	ck_assert_uint_eq(keys, 0);
}
END_TEST

START_TEST(without_a_feed_nothing_is_remembered)
{
	fake_cache_prove(EPOCH, NULL, ITEMS, TABLE);
	put_rows(1, 100, LARGE);
	list();
	ck_assert_uint_eq(first_chunk_bytes(), 0);
	ck_assert_uint_eq(list(), 100);
	ck_assert_uint_eq(whole, 100);
	ck_assert_uint_eq(keys, 0);
}
END_TEST

/* --- Records --------------------------------------------------------------------------------- */

START_TEST(records_are_found_wherever_one_begins_to_look)
{
	_cleanup_buf_ struct buf records = {0};
	struct size_record record;
	size_t at = 0;

	for (uint64_t i = 1; i <= 5; i++)
		sizes_add(&records, &(struct size_record){i, i << 40, (uint32_t)i * 10, (uint32_t)i * 100});
	for (uint64_t i = 1; i <= 5; i++) {
		ck_assert(sizes_find(records.data, 5, &at, i, &record));
		ck_assert_uint_eq(at, i);
	}
	ck_assert(!sizes_find(records.data, 5, &at, 6, &record));
	ck_assert(sizes_find(records.data, 5, &at, 2, &record));
	ck_assert_uint_eq(record.hash, UINT64_C(2) << 40);
	ck_assert_uint_eq(record.size, 20);
	ck_assert_uint_eq(record.xid, 200);
	ck_assert(!sizes_find(records.data, 0, &at, 2, &record));
}
END_TEST

/* What was put by a mount whose snapshot of the table, or whose epochs, are others. */
START_TEST(records_are_of_one_table_as_it_is)
{
	static const struct cache_proof proof = {EPOCH, TABLE, true, true}, other = {EPOCH, OTHER, true, true};
	struct relation relation = {.oid = ITEMS, .fingerprint = 17}, altered = {.oid = ITEMS, .fingerprint = 18};
	_cleanup_buf_ struct buf records = {0}, value = {0};
	const char *found;
	size_t n;

	sizes_add(&records, &(struct size_record){1, 2, 3, 4});
	sizes_print(&relation, &proof, &records, &value);
	ck_assert(sizes_parse(&relation, &proof, &value, &found, &n));
	ck_assert_uint_eq(n, 1);
	ck_assert(!sizes_parse(&altered, &proof, &value, &found, &n));
	ck_assert(!sizes_parse(&relation, &other, &value, &found, &n));
	value.len--;
	ck_assert(!sizes_parse(&relation, &proof, &value, &found, &n));
	value.len = 0;
	ck_assert(!sizes_parse(&relation, &proof, &value, &found, &n));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("listing_sizes");
	TCase *test = tcase_create("listing_sizes");

	tcase_set_timeout(test, 60);
	tcase_add_checked_fixture(test, open_all, close_all);
	tcase_add_test(test, who_lists_again_reads_keys_alone);
	tcase_add_test(test, a_table_may_begin_with_a_row_that_begins_a_chunk);
	tcase_add_test(test, what_has_changed_is_read_and_remembered);
	tcase_add_loop_test(test, changes_here_and_there_cost_no_more_than_reading_all, 0, 4);
	tcase_add_test(test, who_goes_on_after_a_key_of_a_table_of_small_rows_reads_no_keys);
	tcase_add_test(test, a_handle_of_what_the_table_was_leaves_nothing_in_redis);
	tcase_add_test(test, rows_that_come_and_go_leave_the_others_known);
	tcase_add_test(test, what_was_remembered_in_another_epoch_is_read_anew);
	tcase_add_test(test, what_was_read_in_two_epochs_is_remembered_in_neither);
	tcase_add_test(test, what_another_epoch_remembers_is_not_taken_for_what_was_read_in_this);
	tcase_add_test(test, what_is_damaged_is_read_anew);
	tcase_add_test(test, small_rows_are_not_remembered);
	tcase_add_test(test, rows_that_were_large_are_not);
	tcase_add_test(test, without_a_feed_nothing_is_remembered);
	tcase_add_test(test, records_are_found_wherever_one_begins_to_look);
	tcase_add_test(test, records_are_of_one_table_as_it_is);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
