#include "rowfs/engine/reader.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "events.h"
#include "fake_cache.h"
#include "fake_store.h"
#include "latch.h"
#include "rowfs/base/counters.h"
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

static void open_all(void)
{
	sample_open(&sample);
	ref = sample_ref(&sample, ITEMS, "42.json");
	fake_store_put(&old_row);
}

static void close_all(void)
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

static void take_answer(struct read_request *request, struct text *text, const struct error *e)
{
	struct ask *ask = container_of(request, struct ask, request);

	ck_assert_uint_eq(latch_arrived(&ask->answered), 0);
	ask->text = text ? text_ref(text) : NULL;
	ask->e = *e;
	latch_open(&ask->answered);
	latch_pass(&ask->answered);
}

static void ask_begin(struct ask *ask, const struct rowref *which)
{
	*ask = (struct ask){.request.done = take_answer, .answered = LATCH_INIT};
	reader_get(sample.engine.reader, which, &ask->request);
}

static bool ask_answered(struct ask *ask)
{
	return latch_arrived(&ask->answered) > 0;
}

static void ask_await(struct ask *ask)
{
	latch_await(&ask->answered, 1);
}

/* The transaction that made what was read, or -errno. */
static int64_t ask_end(struct ask *ask)
{
	int64_t result;

	ask_await(ask);
	ck_assert_int_eq(ask->text == NULL, ask->e.err != 0);
	ck_assert(!ask->e.err || ask->e.message[0]);
	result = ask->text ? (int64_t)ask->text->xid : -ask->e.err;
	text_unref(ask->text);
	return result;
}

static int64_t get(const struct rowref *which)
{
	struct ask ask;

	ask_begin(&ask, which);
	return ask_end(&ask);
}

static void check_events(const char *want)
{
	ck_assert_str_eq(events_take(), want);
}

/* --- Copies ---------------------------------------------------------------------------------- */

/* What a mount that read this row would have put into Redis. */
static void print_copy(const struct fake_row *row, uint64_t fingerprint, struct buf *out)
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
	copy_print(&relation, text, 60000, out);
}

static void put_copy(const struct fake_row *row)
{
	_cleanup_buf_ struct buf copy = {0};

	print_copy(row, ref.relation->fingerprint, &copy);
	fake_cache_put(key, copy.data, copy.len);
}

static bool redis_holds(const char *part)
{
	_cleanup_buf_ struct buf value = {0};

	fake_cache_peek(key, &value);
	return *part ? strstr(value.data, part) != NULL : value.len == 0;
}

/* --- One at a time --------------------------------------------------------------------------- */

START_TEST(a_miss_is_leased_read_and_filled_in_that_order)
{
	struct ask ask;

	ask_begin(&ask, &ref);
	ask_await(&ask);
	check_events("get lease fetch fill");
	ck_assert_str_eq(ask.text->data, old_text);
	ck_assert_uint_eq(ask.text->version.size, strlen(old_text));
	ck_assert_int_eq(ask_end(&ask), 7421);
	ck_assert(redis_holds(old_text));
	ck_assert_int_gt(fake_cache_life(key), 50000);
	ck_assert_int_le(fake_cache_life(key), 60000);
}
END_TEST

START_TEST(a_hit_asks_nobody_else)
{
	struct ask ask;

	put_copy(&old_row);
	ask_begin(&ask, &ref);
	ck_assert(ask_answered(&ask));
	ck_assert_str_eq(ask.text->data, old_text);
	ck_assert_int_eq(ask_end(&ask), 7421);
	check_events("get");
}
END_TEST

START_TEST(what_one_read_filled_the_next_one_hits)
{
	ck_assert_int_eq(get(&ref), 7421);
	check_events("get lease fetch fill");
	ck_assert_int_eq(get(&ref), 7421);
	check_events("get");
}
END_TEST

START_TEST(somebody_elses_lease_means_no_fill)
{
	fake_cache_put(key, "L:others", 8);
	ck_assert_int_eq(get(&ref), 7421);
	check_events("get fetch");
	ck_assert(redis_holds("L:others"));
}
END_TEST

START_TEST(without_redis_postgresql_answers)
{
	put_copy(&new_row);
	fake_cache_down(true);
	ck_assert_int_eq(get(&ref), 7421);
	check_events("get fetch");
}
END_TEST

START_TEST(garbage_is_replaced)
{
	static const char *const garbage[] = {"hello", "", "ttl:1000 8c1f0e55a3b2d417 1 1.0\n{}"};

	fake_cache_put(key, garbage[_i], strlen(garbage[_i]));
	ck_assert_int_eq(get(&ref), 7421);
	check_events("get lease fetch fill");
	ck_assert(redis_holds(old_text));
}
END_TEST

START_TEST(a_copy_of_other_columns_is_replaced)
{
	_cleanup_buf_ struct buf other = {0};

	print_copy(&new_row, 1, &other);
	fake_cache_put(key, other.data, other.len);
	ck_assert_int_eq(get(&ref), 7421);
	check_events("get lease fetch fill");
	ck_assert(redis_holds(old_text));
}
END_TEST

static void others_replace_it(void *arg, const char *command)
{
	if (strcmp(command, "lease") == 0)
		put_copy(&old_row);
}

START_TEST(garbage_that_others_replaced_meanwhile_stays_replaced)
{
	fake_cache_put(key, "hello", 5);
	fake_cache_on(others_replace_it, NULL);
	ck_assert_int_eq(get(&ref), 7421);
	check_events("get lease fetch");
	ck_assert(redis_holds(old_text));
}
END_TEST

static int others_save_it(void *arg, const struct fake_call *call)
{
	int r = fake_store_line(call, &old_row);

	cache_drop(fake_cache(), key, strlen(key));
	return r;
}

START_TEST(another_mounts_save_ends_the_lease)
{
	fake_store_on(others_save_it, NULL);
	ck_assert_int_eq(get(&ref), 7421);
	check_events("get lease fetch drop fill");
	ck_assert(redis_holds(""));
}
END_TEST

static void check_never_cached(uint32_t oid)
{
	struct rowref other = sample_ref(&sample, oid, "42.json");

	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(get(&other), 7421);
	reader_saved(sample.engine.reader, &other, 900);
	ck_assert_int_eq(get(&other), 7421);
	check_events("fetch fetch fetch");
	rowref_done(&other);
}

START_TEST(what_others_may_not_see_is_never_shared)
{
	check_never_cached(GUARDED);
	check_never_cached(PARTIAL);
}
END_TEST

START_TEST(without_a_time_to_live_nothing_is_copied)
{
	sample_prepare(&sample);
	sample.settings.ttl = 0;
	sample_start(&sample);
	fake_store_put(&old_row);
	check_never_cached(ITEMS);
	sample_close(&sample);
}
END_TEST

static int expect_set(void *arg, const struct fake_call *call)
{
	ck_assert_int_eq(call->set, *(enum store_set *)arg);
	return FAKE_PASS;
}

START_TEST(fetching_is_between_the_caller_and_postgresql)
{
	_cleanup_text_ struct text *text = NULL;
	enum store_set set = STORE_WRITE;
	struct error e = {0};

	put_copy(&new_row);
	fake_store_on(expect_set, &set);
	ck_assert_int_eq(reader_fetch(sample.engine.reader, &ref, STORE_WRITE, &text, &e), 0);
	ck_assert_uint_eq(text->xid, 7421);
	check_events("fetch");
	fake_store_remove("42");
	ck_assert_int_eq(reader_fetch(sample.engine.reader, &ref, STORE_WRITE, &text, NULL),
	                 -ENOENT);
	ck_assert_uint_eq(text->xid, 7421);
}
END_TEST

/* --- Names and errors ------------------------------------------------------------------------ */

static int64_t get_named(uint32_t oid, const char *name)
{
	struct rowref other = sample_ref(&sample, oid, name);
	int64_t r = get(&other);

	rowref_done(&other);
	return r;
}

START_TEST(a_row_that_is_not_there_is_not_copied)
{
	fake_store_remove("42");
	ck_assert_int_eq(get(&ref), -ENOENT);
	check_events("get lease fetch");
	ck_assert(redis_holds("L:"));
}
END_TEST

/* 1.5 finds the row 1.50, whose name it is not. */
START_TEST(only_postgresqls_own_spelling_is_a_name)
{
	struct rowref other;
	enum name_kind kind;

	ck_assert_int_eq(rowref_of_name(sample.engine.catalog, ITEMS, "042.json", &other, &kind),
	                 -ENOENT);
	ck_assert_int_eq(kind, NAME_INVALID);
	ck_assert_int_eq(get_named(PRICED, "129.json"), -ENOENT);
	ck_assert_int_eq(get_named(PRICED, "129.00.json"), 7421);
	ck_assert_uint_eq(fake_store_count("fetch"), 2);
}
END_TEST

START_TEST(a_long_key_is_found_by_its_hash)
{
	static char name[600];
	struct fake_row row = {"5", NULL, "1", name, "1.00", "2.00"};
	struct cell cell = {name, sizeof(name) - 1};
	_cleanup_buf_ struct buf file = {0};

	memset(name, 'x', sizeof(name) - 1);
	fake_store_put(&row);
	name_print(&cell, 1, &file);
	ck_assert_int_eq(get_named(NAMED, file.data), 5);
}
END_TEST

static int refuse(void *arg, const struct fake_call *call)
{
	return strcmp(call->verb, "fetch") == 0 ? fake_refuse(call, *(int *)arg, "XX000")
	                                        : FAKE_PASS;
}

START_TEST(errors_stay_what_they_are)
{
	static const int errs[] = {EIO,    ETIMEDOUT,  EACCES, EBUSY,
	                           ENOMEM, EOPNOTSUPP, EINTR,  ESTALE};
	int err = errs[_i];

	fake_store_on(refuse, &err);
	ck_assert_int_eq(get(&ref), -err);
	check_events("get lease fetch");
	ck_assert(redis_holds("L:"));
}
END_TEST

/* The type does not accept this key ("abc" for a date), so no row has it; but an error of that
 * class in the row itself must not hide the row. */
START_TEST(a_key_that_is_refused_is_no_rows_and_a_row_that_fails_is_there)
{
	int err = EINVAL;

	fake_store_on(refuse, &err);
	ck_assert_int_eq(get_named(PRICED, "abc.json"), -ENOENT);
	check_events("get lease fetch canonical");
	ck_assert_int_eq(get_named(PRICED, "1.50.json"), -EIO);
	check_events("get lease fetch canonical");
}
END_TEST

static int odd_line(void *arg, const struct fake_call *call)
{
	return fake_line(call, 2, "1", "2");
}

START_TEST(a_line_of_another_shape_is_an_error)
{
	fake_store_on(odd_line, NULL);
	ck_assert_int_eq(get(&ref), -EPROTO);
}
END_TEST

START_TEST(a_row_for_which_there_is_no_memory_is_an_error)
{
	text_set_limit(10);
	ck_assert_int_eq(get(&ref), -ENOMEM);
}
END_TEST

START_TEST(a_table_that_is_gone_makes_the_catalog_be_read_again)
{
	int err = ESTALE;
	uint64_t before = counters[COUNTER_catalog_loads];

	catalog_poll(sample.engine.catalog);
	ck_assert_uint_eq(counters[COUNTER_catalog_loads], before);
	fake_store_on(refuse, &err);
	ck_assert_int_eq(get(&ref), -ESTALE);
	catalog_poll(sample.engine.catalog);
	ck_assert_uint_eq(counters[COUNTER_catalog_loads], before + 1);
}
END_TEST

/* --- After a save ---------------------------------------------------------------------------- */

START_TEST(after_a_save_only_its_own_copy_is_used)
{
	fake_store_put(&new_row);
	reader_saved(sample.engine.reader, &ref, 900);
	check_events("drop");

	put_copy(&old_row); /* somebody's late fill */
	ck_assert_int_eq(get(&ref), 900);
	check_events("get fetch");
	ck_assert_int_eq(get(&ref), 900);
	check_events("get fetch");

	put_copy(&new_row);
	ck_assert_int_eq(get(&ref), 900);
	check_events("get");
}
END_TEST

START_TEST(after_a_read_nothing_older_is_used)
{
	fake_store_put(&new_row);
	fake_cache_down(true);
	ck_assert_int_eq(get(&ref), 900);
	fake_cache_down(false);
	check_events("get fetch");
	put_copy(&old_row);
	ck_assert_int_eq(get(&ref), 900);
	check_events("get fetch");
}
END_TEST

START_TEST(after_a_save_of_unknown_transaction_no_copy_is_used)
{
	reader_saved(sample.engine.reader, &ref, 0);
	put_copy(&old_row);
	/* Once asked, PostgreSQL has said which it is. */
	ck_assert_int_eq(get(&ref), 7421);
	ck_assert_int_eq(get(&ref), 7421);
	check_events("drop get fetch get");
}
END_TEST

/* --- Together -------------------------------------------------------------------------------- */

/* Answer the first fetch with what was there when it began, once the latch opens; others at once.
 */
struct slow {
	struct latch latch;
	_Atomic unsigned fetches;
	unsigned hold;                /* how many of them wait */
	const atomic_bool *abandoned; /* of the statement that waits */
};

static int slowly(void *arg, const struct fake_call *call)
{
	struct slow *slow = arg;
	int r;

	if (++slow->fetches > slow->hold)
		return FAKE_PASS;
	r = fake_store_line(call, &old_row);
	slow->abandoned = call->statement->abandoned;
	latch_pass(&slow->latch);
	return r;
}

struct getter {
	struct ask ask;
	const struct rowref *ref;
	pthread_t thread;
};

static void *get_in_thread(void *arg)
{
	struct getter *getter = arg;

	ask_begin(&getter->ask, getter->ref);
	return NULL;
}

/* Start a read on a thread of its own, and come back when its SELECT is on the way. */
static void begin_slow(struct getter *getter, const struct rowref *which, struct slow *slow)
{
	unsigned before = latch_arrived(&slow->latch);

	getter->ref = which;
	fake_store_on(slowly, slow);
	ck_assert_int_eq(pthread_create(&getter->thread, NULL, get_in_thread, getter), 0);
	latch_await(&slow->latch, before + 1);
}

static int64_t end_slow(struct getter *getter)
{
	pthread_join(getter->thread, NULL);
	return ask_end(&getter->ask);
}

START_TEST(readers_of_one_row_share_one_fetch)
{
	struct slow slow = {LATCH_INIT, .hold = 1};
	struct getter first;
	struct ask more[3];
	struct text *text;

	begin_slow(&first, &ref, &slow);
	for (int i = 0; i < 3; i++) {
		ask_begin(&more[i], &ref); /* comes back without an answer, and without a wait */
		ck_assert(!ask_answered(&more[i]));
	}
	latch_open(&slow.latch);
	ask_await(&first.ask);
	text = first.ask.text;
	for (int i = 0; i < 3; i++) {
		ask_await(&more[i]);
		ck_assert_ptr_eq(more[i].text, text);
		ck_assert_int_eq(ask_end(&more[i]), 7421);
	}
	ck_assert_int_eq(end_slow(&first), 7421);
	/* Redis has a lease, so the others found it busy. */
	check_events("get lease fetch get get get fill");
	ck_assert_int_eq(get(&ref), 7421);
	check_events("get");
}
END_TEST

static int fail_slowly(void *arg, const struct fake_call *call)
{
	struct slow *slow = arg;

	slow->fetches++;
	latch_pass(&slow->latch);
	return fake_refuse(call, EIO, "08006");
}

START_TEST(a_failure_is_told_to_all_who_waited_and_to_nobody_later)
{
	struct slow slow = {LATCH_INIT};
	struct getter first = {.ref = &ref};
	struct ask second;

	fake_store_on(fail_slowly, &slow);
	ck_assert_int_eq(pthread_create(&first.thread, NULL, get_in_thread, &first), 0);
	latch_await(&slow.latch, 1);
	ask_begin(&second, &ref);
	ck_assert(!ask_answered(&second));
	latch_open(&slow.latch);
	ck_assert_int_eq(ask_end(&second), -EIO);
	ck_assert_int_eq(end_slow(&first), -EIO);
	ck_assert_uint_eq(slow.fetches, 1);
	fake_store_on(NULL, NULL);
	ck_assert_int_eq(get(&ref), 7421);
}
END_TEST

START_TEST(rows_do_not_wait_for_each_other)
{
	static const struct fake_row other_row = {"8", NULL, "43", "Kocher", "1.00", "2.00"};
	struct slow slow = {LATCH_INIT, .hold = 1};
	struct getter first;

	fake_store_put(&other_row);
	begin_slow(&first, &ref, &slow);
	ck_assert_int_eq(get_named(ITEMS, "43.json"), 8);
	ck_assert(!ask_answered(&first.ask));
	latch_open(&slow.latch);
	ck_assert_int_eq(end_slow(&first), 7421);
}
END_TEST

/* With every seat taken by a slow read, what Redis holds is answered at once; what it does not hold
 * waits for a seat without a thread. */
START_TEST(a_hit_needs_no_seat)
{
	static const char *const names[STORE_READERS] = {"1.json", "2.json", "3.json", "4.json"};
	struct slow slow = {LATCH_INIT, .hold = STORE_READERS};
	struct getter getters[STORE_READERS];
	struct rowref refs[STORE_READERS];
	struct ask queued;

	for (int i = 0; i < STORE_READERS; i++) {
		refs[i] = sample_ref(&sample, ITEMS, names[i]);
		begin_slow(&getters[i], &refs[i], &slow);
	}
	ask_begin(&queued, &ref);
	ck_assert(!ask_answered(&queued));
	put_copy(&old_row);
	ck_assert_int_eq(get(&ref), 7421);
	latch_open(&slow.latch);
	for (int i = 0; i < STORE_READERS; i++) {
		ck_assert_int_eq(end_slow(&getters[i]), -ENOENT);
		rowref_done(&refs[i]);
	}
	ck_assert_int_eq(ask_end(&queued), 7421);
}
END_TEST

/* --- A save while a read is on its way ------------------------------------------------------- */

/* A read began before a save and is still out: `other` is how the saver named the row. */
static void save_during_a_read(const struct rowref *saved, struct getter *first, struct slow *slow)
{
	begin_slow(first, &ref, slow);
	check_events("get lease fetch");
	fake_store_put(&new_row);
	reader_saved(sample.engine.reader, saved, 900);
	check_events("drop");
}

START_TEST(a_save_supersedes_the_read_that_began_before_it)
{
	struct slow slow = {LATCH_INIT, .hold = 1};
	struct getter first;

	save_during_a_read(&ref, &first, &slow);
	/* A later reader does not wait for the old answer. */
	ck_assert_int_eq(get(&ref), 900);
	check_events("get lease fetch fill");
	latch_open(&slow.latch);
	ck_assert_int_eq(end_slow(&first), 7421);
	check_events(""); /* no fill */
	ck_assert(redis_holds("99.00"));
	/* And what it read does not count as seen. */
	put_copy(&old_row);
	ck_assert_int_eq(get(&ref), 900);
	check_events("get fetch");
}
END_TEST

START_TEST(the_old_answer_is_not_noted_as_seen)
{
	struct slow slow = {LATCH_INIT, .hold = 1};
	struct getter first;

	save_during_a_read(&ref, &first, &slow);
	latch_open(&slow.latch);
	ck_assert_int_eq(end_slow(&first), 7421);
	put_copy(&old_row);
	ck_assert_int_eq(get(&ref), 900);
	put_copy(&new_row);
	events_take();
	ck_assert_int_eq(get(&ref), 900);
	check_events("get");
}
END_TEST

/* The drop got lost, so the lease of the old read still stands; it must not be used. */
START_TEST(a_superseded_read_fills_nothing_even_under_its_lease)
{
	struct slow slow = {LATCH_INIT, .hold = 1};
	struct getter first;

	fake_cache_lose_drops(true);
	save_during_a_read(&ref, &first, &slow);
	latch_open(&slow.latch);
	ck_assert_int_eq(end_slow(&first), 7421);
	check_events("");
	ck_assert(redis_holds("L:"));
}
END_TEST

/* The reader came with a newer catalog than the saver, and it is the same row. */
START_TEST(a_save_supersedes_reads_of_every_snapshot)
{
	struct slow slow = {LATCH_INIT, .hold = 1};
	struct schema *altered = sample_schema(2);
	struct rowref before = ref;
	struct getter first;

	fake_store_schema(altered);
	schema_unref(altered);
	catalog_suspect(sample.engine.catalog);
	catalog_poll(sample.engine.catalog);
	ref = sample_ref(&sample, ITEMS, "42.json");
	ck_assert_uint_ne(ref.relation->fingerprint, before.relation->fingerprint);

	save_during_a_read(&before, &first, &slow);
	ck_assert_int_eq(get(&ref), 900);
	latch_open(&slow.latch);
	ck_assert_int_eq(end_slow(&first), 7421);
	put_copy(&old_row);
	ck_assert_int_eq(get(&ref), 900);
	rowref_done(&before);
}
END_TEST

START_TEST(a_save_of_another_row_supersedes_nothing)
{
	struct rowref other = sample_ref(&sample, ITEMS, "4.json");
	struct slow slow = {LATCH_INIT, .hold = 1};
	struct getter first;
	struct ask second;

	save_during_a_read(&other, &first, &slow);
	ask_begin(&second, &ref);
	ck_assert(!ask_answered(&second));
	latch_open(&slow.latch);
	ck_assert_int_eq(end_slow(&first), 7421);
	ck_assert_int_eq(ask_end(&second), 7421);
	check_events("get fill");
	rowref_done(&other);
}
END_TEST

/* --- Abandoning ------------------------------------------------------------------------------ */

START_TEST(who_stops_waiting_is_told_nothing_more)
{
	struct slow slow = {LATCH_INIT, .hold = 1};
	struct getter first;
	struct ask second, third;

	begin_slow(&first, &ref, &slow);
	ask_begin(&second, &ref);
	ask_begin(&third, &ref);
	ck_assert(reader_abandon(sample.engine.reader, &second.request));
	ck_assert(!reader_abandon(sample.engine.reader, &second.request));
	latch_open(&slow.latch);
	ck_assert_int_eq(end_slow(&first), 7421);
	ck_assert_int_eq(ask_end(&third), 7421);
	ck_assert(!ask_answered(&second));
}
END_TEST

/* The query of a read that nobody waits for is cancelled, so who comes then makes his own. */
START_TEST(a_read_that_nobody_waits_for_is_not_joined)
{
	struct slow slow = {LATCH_INIT, .hold = 1};
	struct getter first;
	struct ask second;

	begin_slow(&first, &ref, &slow);
	ask_begin(&second, &ref);
	ck_assert(reader_abandon(sample.engine.reader, &first.ask.request));
	ck_assert(!*slow.abandoned); /* somebody still waits */
	ck_assert(reader_abandon(sample.engine.reader, &second.request));
	ck_assert(*slow.abandoned);
	fake_store_put(&new_row);
	ck_assert_int_eq(get(&ref), 900);
	latch_open(&slow.latch);
	pthread_join(first.thread, NULL);
	ck_assert(!ask_answered(&first.ask));
	ck_assert(!ask_answered(&second));
}
END_TEST

/* Its answer may come all the same, and later than a save. */
START_TEST(a_read_that_nobody_waits_for_counts_for_nothing)
{
	struct slow slow = {LATCH_INIT, .hold = 1};
	struct getter first;

	fake_cache_lose_drops(true);
	begin_slow(&first, &ref, &slow);
	ck_assert(reader_abandon(sample.engine.reader, &first.ask.request));
	fake_store_put(&new_row);
	reader_saved(sample.engine.reader, &ref, 900);
	latch_open(&slow.latch);
	pthread_join(first.thread, NULL);
	check_events("get lease fetch drop"); /* no fill */
	put_copy(&old_row);
	ck_assert_int_eq(get(&ref), 900);
}
END_TEST

START_TEST(it_is_too_late_to_stop_waiting_after_the_answer)
{
	struct ask missed, hit;

	ask_begin(&missed, &ref);
	ck_assert(!reader_abandon(sample.engine.reader, &missed.request));
	ck_assert_int_eq(ask_end(&missed), 7421);
	ask_begin(&hit, &ref);
	ck_assert(!reader_abandon(sample.engine.reader, &hit.request));
	ck_assert_int_eq(ask_end(&hit), 7421);
}
END_TEST

/* --- consistency=strong ---------------------------------------------------------------------- */

START_TEST(strong_reads_never_share_an_older_answer)
{
	struct slow slow = {LATCH_INIT, .hold = 1};
	struct getter first;

	sample_prepare(&sample);
	sample.settings.strong = true;
	sample_start(&sample);
	fake_store_put(&old_row);
	ref = sample_ref(&sample, ITEMS, "42.json");
	put_copy(&old_row);

	begin_slow(&first, &ref, &slow);
	fake_store_put(&new_row);
	ck_assert_int_eq(get(&ref), 900);
	latch_open(&slow.latch);
	ck_assert_int_eq(end_slow(&first), 7421);
	reader_saved(sample.engine.reader, &ref, 900);
	check_events("fetch fetch");
	close_all();
}
END_TEST

/* --- All at once ----------------------------------------------------------------------------- */

enum { READERS = 3, VERSIONS = 400 };

/* Version n of the row is made by transaction n. */
static struct fake_row versions[VERSIONS];
static char version_texts[VERSIONS][12];
static _Atomic unsigned saved;
static _Atomic bool over;

static void *read_on(void *arg)
{
	while (!over) {
		unsigned least = saved;

		ck_assert_int_ge(get(&ref), least);
	}
	return NULL;
}

/* Another mount, whose fills come late, and whose commands the network loses. */
static void *disturb(void *arg)
{
	uint64_t random = random_seed();

	while (!over) {
		unsigned now = saved;

		put_copy(&versions[now ? now - random_below(&random, now < 3 ? now : 3) : 0]);
		fake_cache_lose_drops(random_below(&random, 2));
		nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
	}
	return NULL;
}

/* Whatever Redis does: after a save has returned, no read of this mount gives what was before. */
START_TEST(no_read_is_older_than_the_last_save)
{
	pthread_t threads[READERS + 1];

	for (unsigned n = 0; n < VERSIONS; n++) {
		snprintf(version_texts[n], sizeof(version_texts[n]), "%u", n);
		versions[n] = (struct fake_row){version_texts[n], NULL, "42", "Zelt",
		                                version_texts[n], "0"};
	}
	fake_store_put(&versions[0]);
	for (int i = 0; i <= READERS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, i ? read_on : disturb, NULL), 0);
	for (unsigned n = 1; n < VERSIONS; n++) {
		fake_store_put(&versions[n]);
		reader_saved(sample.engine.reader, &ref, n);
		saved = n;
		nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
	}
	over = true;
	for (int i = 0; i <= READERS; i++)
		pthread_join(threads[i], NULL);
}
END_TEST

static TCase *fixed(Suite *suite, const char *name)
{
	TCase *test = tcase_create(name);

	tcase_set_timeout(test, 30);
	tcase_add_checked_fixture(test, open_all, close_all);
	suite_add_tcase(suite, test);
	return test;
}

int main(void)
{
	Suite *suite = suite_create("reader");
	TCase *test = fixed(suite, "alone"), *other = tcase_create("settings");

	tcase_add_test(test, a_miss_is_leased_read_and_filled_in_that_order);
	tcase_add_test(test, a_hit_asks_nobody_else);
	tcase_add_test(test, what_one_read_filled_the_next_one_hits);
	tcase_add_test(test, somebody_elses_lease_means_no_fill);
	tcase_add_test(test, without_redis_postgresql_answers);
	tcase_add_loop_test(test, garbage_is_replaced, 0, 3);
	tcase_add_test(test, a_copy_of_other_columns_is_replaced);
	tcase_add_test(test, garbage_that_others_replaced_meanwhile_stays_replaced);
	tcase_add_test(test, another_mounts_save_ends_the_lease);
	tcase_add_test(test, what_others_may_not_see_is_never_shared);
	tcase_add_test(test, fetching_is_between_the_caller_and_postgresql);
	test = fixed(suite, "errors");
	tcase_add_test(test, a_row_that_is_not_there_is_not_copied);
	tcase_add_test(test, only_postgresqls_own_spelling_is_a_name);
	tcase_add_test(test, a_long_key_is_found_by_its_hash);
	tcase_add_loop_test(test, errors_stay_what_they_are, 0, 8);
	tcase_add_test(test, a_key_that_is_refused_is_no_rows_and_a_row_that_fails_is_there);
	tcase_add_test(test, a_line_of_another_shape_is_an_error);
	tcase_add_test(test, a_row_for_which_there_is_no_memory_is_an_error);
	tcase_add_test(test, a_table_that_is_gone_makes_the_catalog_be_read_again);
	test = fixed(suite, "saves");
	tcase_add_test(test, after_a_save_only_its_own_copy_is_used);
	tcase_add_test(test, after_a_read_nothing_older_is_used);
	tcase_add_test(test, after_a_save_of_unknown_transaction_no_copy_is_used);
	tcase_add_test(test, a_save_supersedes_the_read_that_began_before_it);
	tcase_add_test(test, the_old_answer_is_not_noted_as_seen);
	tcase_add_test(test, a_superseded_read_fills_nothing_even_under_its_lease);
	tcase_add_test(test, a_save_supersedes_reads_of_every_snapshot);
	tcase_add_test(test, a_save_of_another_row_supersedes_nothing);
	tcase_add_test(test, no_read_is_older_than_the_last_save);
	test = fixed(suite, "together");
	tcase_add_test(test, readers_of_one_row_share_one_fetch);
	tcase_add_test(test, a_failure_is_told_to_all_who_waited_and_to_nobody_later);
	tcase_add_test(test, rows_do_not_wait_for_each_other);
	tcase_add_test(test, a_hit_needs_no_seat);
	tcase_add_test(test, who_stops_waiting_is_told_nothing_more);
	tcase_add_test(test, a_read_that_nobody_waits_for_is_not_joined);
	tcase_add_test(test, a_read_that_nobody_waits_for_counts_for_nothing);
	tcase_add_test(test, it_is_too_late_to_stop_waiting_after_the_answer);
	tcase_add_test(other, without_a_time_to_live_nothing_is_copied);
	tcase_add_test(other, strong_reads_never_share_an_older_answer);
	suite_add_tcase(suite, other);
	return suite_run(suite);
}
