#include "rowfs/engine/listing.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fake_store.h"
#include "latch.h"
#include "rowfs/base/clock.h"
#include "rowfs/base/counters.h"
#include "sample_engine.h"
#include "suite.h"

enum { IDS_MAX = 6000, PAGES_MAX = 200 };

/* --- The table: some of the ids, in order ---------------------------------------------------- */

static bool there[IDS_MAX];
static const char *name = "n"; /* every row's */
static unsigned pages;         /* asked for */
static unsigned limits[PAGES_MAX];
static unsigned fail_page; /* the number of the page that fails, from 1 */
static int fail_err;
static size_t fail_id;    /* the row that fails, if not 0 */
static size_t large_from; /* rows from this id on have another name, if not 0 */
static const char *large_name;
static unsigned served; /* rows handed over */

static struct sample sample;

static void put_ids(size_t from, size_t n)
{
	for (size_t id = from; id < from + n; id++)
		there[id] = true;
}

static unsigned limit_of(const char *sql)
{
	const char *at = strstr(sql, " LIMIT ");

	ck_assert_ptr_nonnull(at);
	return (unsigned)strtoul(at + 7, NULL, 10);
}

static int row_line(const struct fake_call *call, size_t id)
{
	char text[24], price[24];
	struct fake_row row = {"7421", NULL, text, large_from && id >= large_from ? large_name : name,
	                       price, NULL};

	snprintf(text, sizeof(text), "%zu", id);
	snprintf(price, sizeof(price), "%zu.50", id);
	return fake_store_line(call, &row);
}

static int serve_page(void *arg, const struct fake_call *call)
{
	const struct statement *statement = call->statement;
	unsigned left;
	int r = 0;

	ck_assert_str_eq(call->verb, "page");
	ck_assert_int_eq(call->set, STORE_READ);
	left = limits[pages++ % PAGES_MAX] = limit_of(statement->sql);
	for (size_t id = statement->n ? strtoul(statement->values[0].data, NULL, 10) + 1 : 0;
	     id < IDS_MAX && left && r == 0; id++) {
		if (!there[id])
			continue;
		if (fail_id && id == fail_id)
			return fake_refuse(call, fail_err, "22012");
		/* What fails in the middle has already handed over some. */
		if (pages == fail_page && left == 10)
			return fail_err < 0 ? fake_line(call, 1, "1")
			                    : fake_refuse(call, fail_err, "08006");
		r = row_line(call, id);
		served++;
		left--;
	}
	return r;
}

static void open_all(void)
{
	sample_open(&sample);
	fake_store_on(serve_page, NULL);
}

static void close_all(void)
{
	sample_close(&sample);
}

/* --- Reading --------------------------------------------------------------------------------- */

struct seek {
	struct listing_request request;
	unsigned done;
	struct error e;
};

static void take_page(struct listing_request *request, const struct error *e)
{
	struct seek *seek = container_of(request, struct seek, request);

	seek->done++;
	seek->e = *e;
}

/* 0 or -errno. */
static int seek_to(struct listing *listing, uint64_t row)
{
	struct seek seek = {.request.done = take_page};

	listing_seek(listing, row, &seek.request);
	ck_assert_uint_eq(seek.done, 1);
	ck_assert(!seek.e.err || seek.e.message[0]);
	return -seek.e.err;
}

static struct listing *open_listing(uint32_t oid)
{
	struct listing *listing;

	ck_assert_int_eq(listing_new(&sample.engine, oid, &listing), 0);
	return listing;
}

/* The entry, as readdir() comes by it; NULL at the end, or after an error. */
static const struct listing_entry *next_entry(struct listing *listing, uint64_t row, int *ret_err)
{
	const struct listing_entry *entry = listing_at(listing, row);

	*ret_err = 0;
	for (int tries = 0; !entry && !listing_ended(listing, row) && *ret_err == 0; tries++) {
		ck_assert_int_lt(tries, 9);
		*ret_err = seek_to(listing, row);
		entry = listing_at(listing, row);
	}
	return entry;
}

static size_t id_of(const struct listing_entry *entry)
{
	char *end;
	size_t id = strtoul(entry->name, &end, 10);

	ck_assert_str_eq(end, ".json");
	return id;
}

/* Read from `row` to the end and count. Every id that is there must come, once, in order. */
static size_t read_all(struct listing *listing, uint64_t row, size_t first_id)
{
	const struct listing_entry *entry;
	size_t n = 0, expected = first_id;
	int err;

	while ((entry = next_entry(listing, row + n, &err))) {
		while (expected < IDS_MAX && !there[expected])
			expected++;
		ck_assert_uint_eq(id_of(entry), expected++);
		n++;
	}
	ck_assert_int_eq(err, 0);
	ck_assert(listing_ended(listing, row + n));
	while (expected < IDS_MAX && !there[expected])
		expected++;
	ck_assert_uint_eq(expected, IDS_MAX);
	return n;
}

START_TEST(every_row_comes_once_in_order)
{
	struct listing *listing = open_listing(ITEMS);

	put_ids(1, 3000);
	ck_assert_uint_eq(read_all(listing, 0, 0), 3000);
	/* The first page is short, so that the first names show at once. */
	ck_assert_uint_eq(pages, 3);
	ck_assert_uint_eq(limits[0], LISTING_FIRST_ROWS);
	ck_assert_uint_eq(limits[1], LISTING_PAGE_ROWS);
	listing_free(listing);
	listing_free(NULL);
}
END_TEST

START_TEST(the_end_is_known_whatever_the_number_of_rows)
{
	static const struct {
		size_t rows;
		unsigned pages;
	} cases[] = {
	        {0, 1},
	        {1, 1},
	        {LISTING_FIRST_ROWS - 1, 1},
	        {LISTING_FIRST_ROWS, 2}, /* a full page does not say that it is the last */
	        {LISTING_FIRST_ROWS + 1, 2},
	        {LISTING_FIRST_ROWS + LISTING_PAGE_ROWS - 1, 2},
	        {LISTING_FIRST_ROWS + LISTING_PAGE_ROWS, 3},
	        {LISTING_FIRST_ROWS + LISTING_PAGE_ROWS + 1, 3},
	};
	struct listing *listing = open_listing(ITEMS);

	put_ids(1, cases[_i].rows);
	ck_assert(!listing_ended(listing, 0));
	ck_assert_uint_eq(read_all(listing, 0, 0), cases[_i].rows);
	ck_assert_uint_eq(pages, cases[_i].pages);
	ck_assert(cases[_i].rows == 0 || !listing_ended(listing, cases[_i].rows - 1));
	/* Asking beyond the end again asks nobody. */
	ck_assert_int_eq(seek_to(listing, cases[_i].rows + 5), 0);
	ck_assert(listing_ended(listing, cases[_i].rows + 5));
	ck_assert_uint_eq(pages, cases[_i].pages);
	listing_free(listing);
}
END_TEST

START_TEST(an_entry_has_the_version_that_its_text_has)
{
	struct rowref ref = sample_ref(&sample, ITEMS, "17.json");
	struct listing *listing = open_listing(ITEMS);
	struct text *text;

	put_ids(17, 1);
	ck_assert_int_eq(seek_to(listing, 0), 0);
	fake_store_on(NULL, NULL);
	fake_store_put(&(struct fake_row){"7421", NULL, "17", "n", "17.50", NULL});
	ck_assert_int_eq(reader_fetch(sample.engine.reader, &ref, STORE_READ, &text, NULL), 0);
	ck_assert(version_equal(&listing_at(listing, 0)->version, &text->version));
	ck_assert_uint_eq(listing_at(listing, 0)->version.size, text->len);
	text_unref(text);
	rowref_done(&ref);
	listing_free(listing);
}
END_TEST

static char *long_name(size_t len)
{
	char *bytes = malloc(len + 1);

	ck_assert_ptr_nonnull(bytes);
	memset(bytes, 'x', len);
	bytes[len] = '\0';
	return bytes;
}

START_TEST(pages_are_bounded_by_bytes)
{
	static const struct {
		size_t bytes, rows;
		unsigned least, most;
	} cases[] = {{10000, 400, 100, 104}, {300000, 80, 3, 3}, {1200000, 67, 1, 1}};
	struct listing *listing = open_listing(ITEMS);
	char *bytes = long_name(cases[_i].bytes);

	name = bytes;
	put_ids(1, cases[_i].rows);
	ck_assert_uint_eq(read_all(listing, 0, 0), cases[_i].rows);
	for (unsigned i = 1; i < pages; i++) {
		ck_assert_uint_ge(limits[i], cases[_i].least);
		ck_assert_uint_le(limits[i], cases[_i].most);
	}
	listing_free(listing);
	free(bytes);
}
END_TEST

/* --- Seeking --------------------------------------------------------------------------------- */

START_TEST(a_seek_goes_back_to_where_a_page_began)
{
	struct listing *listing = open_listing(ITEMS);

	put_ids(0, 3000);
	ck_assert_uint_eq(read_all(listing, 0, 0), 3000);
	ck_assert_int_eq(seek_to(listing, 10), 0);
	ck_assert_uint_eq(id_of(listing_at(listing, 10)), 10);
	ck_assert_uint_eq(id_of(listing_at(listing, 0)), 0);
	ck_assert_ptr_null(listing_at(listing, LISTING_FIRST_ROWS));
	ck_assert(!listing_ended(listing, LISTING_FIRST_ROWS));
	ck_assert_uint_eq(pages, 4);
	/* On the same page, and on from there. */
	ck_assert_int_eq(seek_to(listing, 63), 0);
	ck_assert_uint_eq(pages, 4);
	ck_assert_uint_eq(read_all(listing, 63, 63), 3000 - 63);
	ck_assert_int_eq(seek_to(listing, 2500), 0);
	ck_assert_uint_eq(id_of(listing_at(listing, 2500)), 2500);
	ck_assert_ptr_null(listing_at(listing, 63));
	listing_free(listing);
}
END_TEST

START_TEST(rewinding_shows_the_table_as_it_is_then)
{
	struct listing *listing = open_listing(ITEMS);

	put_ids(1000, 20);
	ck_assert_uint_eq(read_all(listing, 0, 0), 20);
	put_ids(0, 100);
	ck_assert_uint_eq(listing_at(listing, 0) ? id_of(listing_at(listing, 0)) : 0, 1000);
	ck_assert_int_eq(listing_start(listing, 0, NULL), 0);
	ck_assert_ptr_null(listing_at(listing, 0));
	ck_assert(!listing_ended(listing, 5000));
	ck_assert_uint_eq(read_all(listing, 0, 0), 120);
	listing_free(listing);
}
END_TEST

START_TEST(a_reader_goes_on_after_a_key)
{
	struct listing *listing = open_listing(ITEMS);
	struct cell pair[2] = {{"1041", 4}, {"1041", 4}};

	put_ids(1000, 3000);
	ck_assert_int_eq(listing_start(listing, 42, &(struct cells){1, pair}), 0);
	ck_assert(!listing_follows(listing, 42));
	ck_assert_uint_eq(read_all(listing, 42, 1042), 3000 - 42);
	ck_assert_int_eq(listing_start(listing, 42, &(struct cells){2, pair}), -ESTALE);
	listing_free(listing);
}
END_TEST

/* Rows that came before a page's start push others over its edge: they must not fall between two
 * pages. */
START_TEST(what_moved_over_a_pages_edge_is_neither_missed_nor_repeated)
{
	struct listing *listing = open_listing(ITEMS);

	put_ids(1000, 3000);
	ck_assert_uint_eq(read_all(listing, 0, 0), 3000);
	put_ids(500, 10);
	ck_assert_int_eq(listing_start(listing, 0, NULL), 0);
	ck_assert_uint_eq(read_all(listing, 0, 0), 3010);
	/* And without rewinding: a seek to the beginning. */
	put_ids(0, 10);
	ck_assert_int_eq(seek_to(listing, 0), 0);
	ck_assert_uint_eq(read_all(listing, 0, 0), 3020);
	memset(there, 0, 600);
	ck_assert_int_eq(listing_start(listing, 0, NULL), 0);
	ck_assert_uint_eq(read_all(listing, 0, 0), 3000);
	memset(there, 0, sizeof(there));
	ck_assert_int_eq(listing_start(listing, 0, NULL), 0);
	ck_assert_uint_eq(read_all(listing, 0, 0), 0);
	listing_free(listing);
}
END_TEST

/* One pass over a table that changes all the time: rows that are there from its beginning to its
 * end come once, rows that never were do not, and all come in order. */
static void read_changing(struct listing *listing, uint64_t *random)
{
	bool always[IDS_MAX], ever[IDS_MAX], came[IDS_MAX] = {false};
	const struct listing_entry *entry;
	size_t last = 0;
	int err;

	memcpy(always, there, sizeof(there));
	memcpy(ever, there, sizeof(there));
	for (uint64_t row = 0; (entry = next_entry(listing, row, &err)); row++) {
		size_t id = id_of(entry);

		ck_assert(row == 0 || id > last);
		ck_assert(ever[id]);
		came[id] = true;
		last = id;
		for (int i = 0; i < 3; i++) {
			size_t change = random_below(random, IDS_MAX);

			there[change] = !there[change];
			always[change] = false;
			ever[change] = true;
		}
	}
	ck_assert_int_eq(err, 0);
	for (size_t id = 0; id < IDS_MAX; id++)
		ck_assert_msg(!always[id] || came[id], "%zu was missed", id);
}

START_TEST(a_table_that_changes_is_never_cut_short)
{
	uint64_t random = random_seed();
	struct listing *listing = open_listing(ITEMS);

	for (size_t id = 0; id < IDS_MAX; id++)
		there[id] = random_below(&random, 10) < 7;
	for (int pass = 0; pass < 5; pass++) {
		ck_assert_int_eq(listing_start(listing, 0, NULL), 0);
		read_changing(listing, &random);
	}
	listing_free(listing);
}
END_TEST

/* --- Errors ---------------------------------------------------------------------------------- */

START_TEST(an_error_is_never_a_short_listing)
{
	static const int errs[] = {EIO, ETIMEDOUT, EPROTO};
	struct listing *listing = open_listing(ITEMS);
	int err = errs[_i];

	put_ids(0, 3000);
	fail_page = 2;
	fail_err = err == EPROTO ? -1 : err;
	ck_assert_int_eq(seek_to(listing, 0), 0);
	if (err == EPROTO) {
		ck_assert_int_eq(seek_to(listing, LISTING_FIRST_ROWS), -err);
		ck_assert_ptr_null(listing_at(listing, LISTING_FIRST_ROWS));
	} else { /* what came before it failed is there */
		ck_assert_int_eq(seek_to(listing, LISTING_FIRST_ROWS), 0);
		ck_assert_ptr_nonnull(listing_at(listing, LISTING_FIRST_ROWS));
		ck_assert_ptr_null(listing_at(listing, LISTING_FIRST_ROWS + LISTING_PAGE_ROWS - 10));
		ck_assert(!listing_ended(listing, LISTING_FIRST_ROWS + LISTING_PAGE_ROWS - 10));
	}
	ck_assert_ptr_null(listing_at(listing, 0));
	ck_assert(!listing_ended(listing, LISTING_FIRST_ROWS));
	/* Once the server is back it goes on as if nothing had been. */
	ck_assert_uint_eq(read_all(listing, LISTING_FIRST_ROWS, LISTING_FIRST_ROWS),
	                  3000 - LISTING_FIRST_ROWS);
	listing_free(listing);
}
END_TEST

/* Always at the same row, and the page cannot begin with it: then it is told. */
START_TEST(an_error_that_lasts_is_told)
{
	struct listing *listing = open_listing(ITEMS);

	put_ids(0, 100);
	fail_id = 30;
	fail_err = EIO;
	ck_assert_int_eq(seek_to(listing, 0), 0);
	ck_assert_ptr_nonnull(listing_at(listing, 29));
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(seek_to(listing, 30), -EIO);
		ck_assert(!listing_ended(listing, 30));
	}
	fail_id = 0;
	ck_assert_uint_eq(read_all(listing, 30, 30), 70);
	listing_free(listing);
}
END_TEST

/* The number of rows was guessed from the page before, and taken whole: 2,000 of a MiB each after small ones. */
START_TEST(a_page_of_unexpectedly_large_rows_is_broken_off)
{
	struct listing *listing = open_listing(ITEMS);
	char *bytes = long_name(1 << 20);

	put_ids(0, 200);
	large_from = LISTING_FIRST_ROWS + 5;
	large_name = bytes;
	ck_assert_int_eq(seek_to(listing, 0), 0);
	ck_assert_int_eq(seek_to(listing, LISTING_FIRST_ROWS), 0);
	ck_assert_uint_eq(limits[1], LISTING_PAGE_ROWS);
	/* The page after it is read ahead, and knows how large they are. */
	ck_assert_uint_eq(limits[2], 3);
	ck_assert_uint_eq(served, LISTING_FIRST_ROWS + 5 + 2 + 2);
	ck_assert(!listing_ended(listing, LISTING_FIRST_ROWS + 5 + 2));
	ck_assert_uint_eq(read_all(listing, 0, 0), 200);
	listing_free(listing);
	free(bytes);
}
END_TEST

START_TEST(a_first_page_that_fails_is_no_empty_table)
{
	struct listing *listing = open_listing(ITEMS);

	put_ids(1, 100);
	fail_id = 1;
	fail_err = EIO;
	ck_assert_int_eq(seek_to(listing, 0), -EIO);
	ck_assert(!listing_ended(listing, 0));
	fail_id = 0;
	ck_assert_uint_eq(read_all(listing, 0, 0), 100);
	listing_free(listing);
}
END_TEST

START_TEST(a_table_that_is_gone_is_told)
{
	struct listing *listing;
	uint64_t before = counters[COUNTER_catalog_loads];

	ck_assert_int_eq(listing_new(&sample.engine, 9999, &listing), -ESTALE);
	listing = open_listing(ITEMS);
	put_ids(1, 100);
	fail_id = 1;
	fail_err = ESTALE;
	ck_assert_int_eq(seek_to(listing, 0), -ESTALE);
	catalog_poll(sample.engine.catalog);
	ck_assert_uint_eq(counters[COUNTER_catalog_loads], before + 1);
	listing_free(listing);
}
END_TEST

START_TEST(it_tells_when_its_page_was_asked_for)
{
	struct listing *listing = open_listing(ITEMS);
	int64_t before = clock_monotonic_us();

	put_ids(0, 100);
	ck_assert_int_eq(seek_to(listing, 0), 0);
	ck_assert_int_ge(listing_began_us(listing), before);
	ck_assert_int_le(listing_began_us(listing), clock_monotonic_us());
	before = clock_monotonic_us();
	ck_assert_int_eq(seek_to(listing, 80), 0);
	ck_assert_int_ge(listing_began_us(listing), before);
	listing_free(listing);
}
END_TEST

/* --- Reading ahead --------------------------------------------------------------------------- */

enum { SECOND = LISTING_FIRST_ROWS, THIRD = SECOND + LISTING_PAGE_ROWS, FOURTH = THIRD + LISTING_PAGE_ROWS };

/* Somebody has come to the second page, so the third is there. */
static struct listing *read_two_pages(void)
{
	struct listing *listing = open_listing(ITEMS);

	put_ids(0, IDS_MAX);
	ck_assert_int_eq(seek_to(listing, 0), 0);
	ck_assert_uint_eq(pages, 1);
	ck_assert_int_eq(seek_to(listing, SECOND), 0);
	ck_assert_uint_eq(id_of(listing_at(listing, SECOND)), SECOND);
	return listing;
}

START_TEST(who_reads_on_finds_the_next_page_read)
{
	struct listing *listing = read_two_pages();

	ck_assert_uint_eq(pages, 3);
	memset(there + THIRD, false, 1000);
	ck_assert_int_eq(seek_to(listing, THIRD), 0);
	ck_assert_uint_eq(id_of(listing_at(listing, THIRD)), THIRD);
	ck_assert_uint_eq(pages, 4);
	ck_assert_int_eq(seek_to(listing, FOURTH), 0);
	ck_assert_uint_eq(id_of(listing_at(listing, FOURTH)), FOURTH);
	ck_assert(listing_ended(listing, IDS_MAX));
	ck_assert_uint_eq(pages, 4);
	listing_free(listing);
}
END_TEST

START_TEST(who_goes_elsewhere_is_not_given_what_was_read_ahead)
{
	struct listing *listing = read_two_pages();

	ck_assert_int_eq(seek_to(listing, 0), 0);
	memset(there + THIRD, false, 1000);
	ck_assert_int_eq(seek_to(listing, THIRD), 0);
	ck_assert_uint_eq(id_of(listing_at(listing, THIRD)), THIRD + 1000);
	listing_free(listing);
}
END_TEST

START_TEST(a_rewound_listing_is_read_anew)
{
	struct listing *listing = read_two_pages();

	memset(there + THIRD, false, 1000);
	ck_assert_int_eq(listing_start(listing, 0, NULL), 0);
	ck_assert_uint_eq(read_all(listing, 0, 0), IDS_MAX - 1000);
	listing_free(listing);
}
END_TEST

/* Other commits must be seen by then. */
START_TEST(what_was_read_ahead_too_long_ago_is_read_anew)
{
	struct listing *listing;

	sample.settings.max_staleness = 0.1;
	listing = read_two_pages();
	ck_assert_uint_eq(pages, 3);
	memset(there + THIRD, false, 1000);
	usleep(110000);
	ck_assert_int_eq(seek_to(listing, THIRD), 0);
	ck_assert_uint_eq(id_of(listing_at(listing, THIRD)), THIRD + 1000);
	listing_free(listing);
}
END_TEST

/* Its rows are so large that a page has as many of them as a first page. */
START_TEST(who_begins_anew_where_the_next_page_begins_reads_anew)
{
	struct listing *listing = open_listing(ITEMS);
	struct cell key = {"128", 3};
	char *bytes = long_name(16200);

	large_from = 1;
	large_name = bytes;
	put_ids(1, 300);
	ck_assert_int_eq(seek_to(listing, 0), 0);
	ck_assert_int_eq(seek_to(listing, 64), 0);
	ck_assert_uint_eq(pages, 3);
	ck_assert_uint_eq(limits[2], LISTING_FIRST_ROWS);
	memset(there + 129, false, 10);
	ck_assert_int_eq(listing_start(listing, 128, &(struct cells){1, &key}), 0);
	ck_assert_int_eq(seek_to(listing, 128), 0);
	ck_assert_uint_eq(id_of(listing_at(listing, 128)), 139);
	listing_free(listing);
	free(bytes);
}
END_TEST

START_TEST(where_every_read_asks_nothing_is_read_ahead)
{
	sample.settings.strong = true;
	listing_free(read_two_pages());
	ck_assert_uint_eq(pages, 2);
}
END_TEST

START_TEST(a_page_ahead_that_fails_is_tried_again_when_it_is_wanted)
{
	struct listing *listing;

	fail_id = THIRD;
	fail_err = EIO;
	listing = read_two_pages();
	ck_assert_uint_eq(pages, 3);
	ck_assert_int_eq(seek_to(listing, THIRD), -EIO);
	fail_id = 0;
	ck_assert_int_eq(seek_to(listing, THIRD), 0);
	ck_assert_uint_eq(id_of(listing_at(listing, THIRD)), THIRD);
	listing_free(listing);
}
END_TEST

static struct latch third_page;

/* The third page takes as long as the test likes. */
static int serve_slowly(void *arg, const struct fake_call *call)
{
	if (pages == 2 && latch_arrived(&third_page) == 0)
		latch_pass(&third_page);
	return serve_page(arg, call);
}

static void *seek_second(void *arg)
{
	struct listing *listing = arg;

	ck_assert_int_eq(seek_to(listing, 0), 0);
	ck_assert_int_eq(seek_to(listing, SECOND), 0);
	return NULL;
}

static struct listing *begin_third(pthread_t *ret_thread)
{
	struct listing *listing = open_listing(ITEMS);

	third_page = (struct latch)LATCH_INIT;
	put_ids(0, IDS_MAX);
	fake_store_on(serve_slowly, NULL);
	ck_assert_int_eq(pthread_create(ret_thread, NULL, seek_second, listing), 0);
	latch_await(&third_page, 1);
	return listing;
}

START_TEST(who_wants_the_page_that_is_being_read_gets_it)
{
	struct seek seek = {.request.done = take_page};
	pthread_t thread;
	struct listing *listing = begin_third(&thread);

	listing_seek(listing, THIRD, &seek.request);
	ck_assert_uint_eq(seek.done, 0);
	latch_open(&third_page);
	pthread_join(thread, NULL);
	ck_assert_uint_eq(seek.done, 1);
	ck_assert_int_eq(seek.e.err, 0);
	ck_assert_uint_eq(id_of(listing_at(listing, THIRD)), THIRD);
	ck_assert_uint_eq(pages, 4); /* and the one after it was read ahead in turn */
	listing_free(listing);
}
END_TEST

START_TEST(who_rewinds_while_a_page_is_read_reads_anew)
{
	pthread_t thread;
	struct listing *listing = begin_third(&thread);

	ck_assert_int_eq(listing_start(listing, 0, NULL), 0);
	ck_assert_int_eq(seek_to(listing, 0), 0);
	latch_open(&third_page);
	pthread_join(thread, NULL);
	memset(there + THIRD, false, 1000);
	ck_assert_uint_eq(read_all(listing, 0, 0), IDS_MAX - 1000);
	listing_free(listing);
}
END_TEST

START_TEST(who_begins_anew_where_the_page_begins_that_is_being_read_reads_anew)
{
	struct cell key = {"127", 3};
	char *bytes = long_name(16200);
	pthread_t thread;
	struct listing *listing;

	name = bytes;
	listing = begin_third(&thread);
	ck_assert_int_eq(listing_start(listing, 128, &(struct cells){1, &key}), 0);
	ck_assert_int_eq(seek_to(listing, 128), 0);
	ck_assert_uint_eq(id_of(listing_at(listing, 128)), 128);
	latch_open(&third_page);
	pthread_join(thread, NULL);
	listing_free(listing);
	free(bytes);
}
END_TEST

START_TEST(nobody_waits_for_a_page_that_is_read_for_too_long)
{
	pthread_t thread;
	struct listing *listing;

	sample.settings.max_staleness = 0.1;
	listing = begin_third(&thread);
	usleep(110000);
	ck_assert_int_eq(seek_to(listing, THIRD), 0);
	ck_assert_uint_eq(id_of(listing_at(listing, THIRD)), THIRD);
	latch_open(&third_page);
	pthread_join(thread, NULL);
	listing_free(listing);
}
END_TEST

struct last_seek {
	struct listing_request request;
	struct listing *listing;
};

static void close_handle(struct listing_request *request, const struct error *e)
{
	ck_assert_int_eq(e->err, 0);
	listing_free(container_of(request, struct last_seek, request)->listing);
}

/* The answer is there before the next page is asked for. */
START_TEST(for_a_listing_that_was_freed_nothing_is_read_ahead)
{
	struct last_seek last = {{.done = close_handle}, open_listing(ITEMS)};

	put_ids(0, IDS_MAX);
	ck_assert_int_eq(seek_to(last.listing, 0), 0);
	listing_seek(last.listing, SECOND, &last.request);
	ck_assert_uint_eq(pages, 2);
}
END_TEST

START_TEST(a_listing_may_be_freed_while_a_page_is_read)
{
	pthread_t thread;
	struct listing *listing = begin_third(&thread);

	listing_free(listing);
	latch_open(&third_page);
	pthread_join(thread, NULL);
}
END_TEST

/* --- One name, several rows ------------------------------------------------------------------ */

/* A materialised view: its unique index lets any number of rows hold NULL. */
enum { NULLS = 150 };

static int serve_nulls(void *arg, const struct fake_call *call)
{
	static const char *const names[] = {"a", "b", "c"};
	const struct statement *statement = call->statement;
	unsigned left = limit_of(statement->sql);
	size_t i = NULLS;
	int r = 0;

	pages++;
	if (statement->n == 0)
		i = 0;
	else if (statement->values[0].data)
		i = NULLS + (size_t)(statement->values[0].data[0] - 'a') + 1;
	for (; i < NULLS + 3 && left && r == 0; i++, left--)
		r = fake_line(call, ROW_HEAD + 4, NULL, NULL, NULL, NULL, "1",
		              i < NULLS ? NULL : names[i - NULLS], "1", "2");
	return r;
}

START_TEST(rows_of_one_name_are_one_entry)
{
	static const char *const want[] = {"%-.json", "a.json", "b.json", "c.json"};
	struct listing *listing = open_listing(LOOSE);
	int err;

	fake_store_on(serve_nulls, NULL);
	for (uint64_t row = 0; row < 4; row++)
		ck_assert_str_eq(next_entry(listing, row, &err)->name, want[row]);
	ck_assert_ptr_null(next_entry(listing, 4, &err));
	ck_assert(listing_ended(listing, 4));
	ck_assert_uint_eq(pages, 2);
	listing_free(listing);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("listing");
	TCase *test = tcase_create("listing");

	tcase_set_timeout(test, 60);
	tcase_add_checked_fixture(test, open_all, close_all);
	tcase_add_test(test, every_row_comes_once_in_order);
	tcase_add_loop_test(test, the_end_is_known_whatever_the_number_of_rows, 0, 8);
	tcase_add_test(test, an_entry_has_the_version_that_its_text_has);
	tcase_add_loop_test(test, pages_are_bounded_by_bytes, 0, 3);
	tcase_add_test(test, a_seek_goes_back_to_where_a_page_began);
	tcase_add_test(test, a_reader_goes_on_after_a_key);
	tcase_add_test(test, rewinding_shows_the_table_as_it_is_then);
	tcase_add_test(test, what_moved_over_a_pages_edge_is_neither_missed_nor_repeated);
	tcase_add_test(test, a_table_that_changes_is_never_cut_short);
	tcase_add_loop_test(test, an_error_is_never_a_short_listing, 0, 3);
	tcase_add_test(test, an_error_that_lasts_is_told);
	tcase_add_test(test, a_page_of_unexpectedly_large_rows_is_broken_off);
	tcase_add_test(test, a_first_page_that_fails_is_no_empty_table);
	tcase_add_test(test, a_table_that_is_gone_is_told);
	tcase_add_test(test, it_tells_when_its_page_was_asked_for);
	tcase_add_test(test, rows_of_one_name_are_one_entry);
	tcase_add_test(test, who_reads_on_finds_the_next_page_read);
	tcase_add_test(test, who_goes_elsewhere_is_not_given_what_was_read_ahead);
	tcase_add_test(test, a_rewound_listing_is_read_anew);
	tcase_add_test(test, what_was_read_ahead_too_long_ago_is_read_anew);
	tcase_add_test(test, who_begins_anew_where_the_next_page_begins_reads_anew);
	tcase_add_test(test, where_every_read_asks_nothing_is_read_ahead);
	tcase_add_test(test, a_page_ahead_that_fails_is_tried_again_when_it_is_wanted);
	tcase_add_test(test, who_wants_the_page_that_is_being_read_gets_it);
	tcase_add_test(test, who_rewinds_while_a_page_is_read_reads_anew);
	tcase_add_test(test, who_begins_anew_where_the_page_begins_that_is_being_read_reads_anew);
	tcase_add_test(test, nobody_waits_for_a_page_that_is_read_for_too_long);
	tcase_add_test(test, for_a_listing_that_was_freed_nothing_is_read_ahead);
	tcase_add_test(test, a_listing_may_be_freed_while_a_page_is_read);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
