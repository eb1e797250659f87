#include "rowfs/engine/catalog.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "fake_store.h"
#include "latch.h"
#include "sample_engine.h"
#include "suite.h"

/* The database's catalog is a number here, which a schema has as its fingerprint. A reading takes the number as it is
 * when it begins. */
static _Atomic uint64_t database;
static _Atomic unsigned loads;
static _Atomic bool broken;
static struct latch *hold; /* a reading that has begun waits here, if not NULL */

static struct sample sample; /* for its fingerprint; no engine */
static struct catalog *catalog;

static int load(void *arg, struct schema **ret, struct error *e)
{
	uint64_t now = database;
	struct latch *latch = hold;

	loads++;
	if (latch)
		latch_pass(latch);
	if (broken)
		return error_set(e, EIO, "gone");
	*ret = sample_schema(now);
	return 0;
}

static void open_all(void)
{
	sample_prepare(&sample);
	database = 1;
	fake_store_on_load(load, NULL);
	ck_assert_int_eq(catalog_open(fake_store(), &catalog, NULL), 0);
	ck_assert_uint_eq(loads, 1);
}

static void close_all(void)
{
	catalog_close(catalog);
	fake_store_on_load(NULL, NULL);
	sample_close(&sample);
}

/* DDL. */
static void change_to(uint64_t fingerprint)
{
	struct schema *schema = sample_schema(fingerprint);

	database = fingerprint;
	fake_store_schema(schema);
	schema_unref(schema);
}

static uint64_t current(void)
{
	_cleanup_schema_ struct schema *schema = catalog_get(catalog);

	return schema->fingerprint;
}

static void *poll_catalog(void *arg)
{
	catalog_poll(catalog);
	return NULL;
}

struct renewal {
	struct schema *known;
	pthread_t thread;
	uint64_t after; /* what it was when it came back */
};

static void *renew(void *arg)
{
	struct renewal *renewal = arg;

	catalog_renew(catalog, renewal->known);
	renewal->after = current();
	return NULL;
}

static void start(struct renewal *renewal, struct schema *known)
{
	renewal->known = known;
	ck_assert_int_eq(pthread_create(&renewal->thread, NULL, renew, renewal), 0);
}

START_TEST(a_poll_reads_only_what_changed)
{
	change_to(1);
	catalog_poll(catalog);
	ck_assert_uint_eq(loads, 1);
	change_to(2);
	catalog_poll(catalog);
	ck_assert_uint_eq(loads, 2);
	ck_assert_uint_eq(current(), 2);
	catalog_suspect(catalog);
	catalog_poll(catalog);
	catalog_poll(catalog);
	ck_assert_uint_eq(loads, 3);
}
END_TEST

/* A suspicion that met a server which was gone was forgotten. */
START_TEST(a_suspicion_lasts_until_the_catalog_was_read)
{
	change_to(1);
	catalog_suspect(catalog);
	broken = true;
	catalog_poll(catalog);
	ck_assert_uint_eq(loads, 2);
	broken = false;
	catalog_poll(catalog);
	ck_assert_uint_eq(loads, 3);
	catalog_poll(catalog);
	ck_assert_uint_eq(loads, 3);
}
END_TEST

START_TEST(what_was_renewed_already_is_not_read_again)
{
	struct schema *known = catalog_get(catalog);

	catalog_renew(catalog, known);
	ck_assert_uint_eq(loads, 2);
	catalog_renew(catalog, known);
	ck_assert_uint_eq(loads, 2);
	schema_unref(known);
}
END_TEST

START_TEST(many_who_need_it_read_it_once)
{
	enum { ALL = 4 };
	struct schema *known = catalog_get(catalog);
	struct latch latch = LATCH_INIT;
	struct renewal renewals[ALL];

	change_to(2);
	hold = &latch;
	for (int i = 0; i < ALL; i++)
		start(&renewals[i], known);
	latch_await(&latch, 1);
	/* Meanwhile others go on with what there is. */
	ck_assert_uint_eq(current(), 1);
	latch_open(&latch);
	for (int i = 0; i < ALL; i++) {
		pthread_join(renewals[i].thread, NULL);
		ck_assert_uint_eq(renewals[i].after, 2);
	}
	/* Those who came while the first was reading share a second one: the first may have begun too early. */
	ck_assert_uint_le(loads, 3);
	schema_unref(known);
}
END_TEST

/* A thread that came late, when the second was on its way, took the first's for out of date too. */
START_TEST(who_knows_an_older_one_than_there_is_reads_none)
{
	struct schema *known = catalog_get(catalog);
	struct latch latch = LATCH_INIT;
	struct renewal renewal;
	pthread_t poller;

	change_to(2);
	catalog_renew(catalog, known);
	change_to(3);
	hold = &latch;
	ck_assert_int_eq(pthread_create(&poller, NULL, poll_catalog, NULL), 0);
	latch_await(&latch, 1);
	start(&renewal, known);
	/* Time to come while the poll reads. */
	nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
	latch_open(&latch);
	pthread_join(renewal.thread, NULL);
	pthread_join(poller, NULL);
	ck_assert_uint_ge(renewal.after, 2);
	ck_assert_uint_eq(loads, 3);
	schema_unref(known);
}
END_TEST

/* A poll had begun to read before the DDL: its snapshot was put over the one that a reader had fetched after it,
 * or passed for that. */
START_TEST(an_older_snapshot_never_comes_over_a_newer_one)
{
	struct schema *known = catalog_get(catalog);
	struct latch latch = LATCH_INIT;
	struct renewal renewal;
	pthread_t poller;

	change_to(2);
	hold = &latch;
	ck_assert_int_eq(pthread_create(&poller, NULL, poll_catalog, NULL), 0);
	latch_await(&latch, 1);
	hold = NULL;
	change_to(3);
	start(&renewal, known);
	/* Time to overtake the poll, for whoever does not wait for it. */
	nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
	latch_open(&latch);
	pthread_join(renewal.thread, NULL);
	pthread_join(poller, NULL);
	ck_assert_uint_eq(renewal.after, 3);
	ck_assert_uint_eq(current(), 3);
	schema_unref(known);
}
END_TEST

START_TEST(a_server_that_is_gone_takes_no_tables_along)
{
	struct schema *known = catalog_get(catalog);

	broken = true;
	catalog_renew(catalog, known);
	ck_assert_uint_eq(current(), 1);
	broken = false;
	change_to(2);
	catalog_renew(catalog, known);
	ck_assert_uint_eq(current(), 2);
	schema_unref(known);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("catalog");
	TCase *test = tcase_create("catalog");

	tcase_set_timeout(test, 30);
	tcase_add_checked_fixture(test, open_all, close_all);
	tcase_add_test(test, a_poll_reads_only_what_changed);
	tcase_add_test(test, a_suspicion_lasts_until_the_catalog_was_read);
	tcase_add_test(test, what_was_renewed_already_is_not_read_again);
	tcase_add_test(test, many_who_need_it_read_it_once);
	tcase_add_test(test, who_knows_an_older_one_than_there_is_reads_none);
	tcase_add_test(test, an_older_snapshot_never_comes_over_a_newer_one);
	tcase_add_test(test, a_server_that_is_gone_takes_no_tables_along);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
