/* What pins do while their rules change. What they pin is tested on real servers (tests/integration/placement.bats). */
#include "rowfs/engine/pins.h"

#include <string.h>

#include "events.h"
#include "fake_cache.h"
#include "fake_pinner.h"
#include "fake_store.h"
#include "sample_engine.h"
#include "suite.h"

static struct sample sample; /* for its settings; no engine */
static struct catalog *catalog;
static struct pins *pins;

/* The catalog from now on, with a rule for `items` or without. */
static void set_rule(bool pinned, uint64_t fingerprint)
{
	struct schema *schema = sample_schema(fingerprint);

	for (size_t i = 0; i < schema->spaces[0].n_relations; i++)
		if (pinned && schema->spaces[0].relations[i].oid == ITEMS)
			schema->spaces[0].relations[i].placement = (struct placement){.share = 1, .buckets = 1};
	fake_store_schema(schema);
	schema_unref(schema);
}

/* The table is empty. */
static int no_rows(void *arg, const struct fake_call *call)
{
	return call->set == STORE_PINS ? 0 : FAKE_PASS;
}

static void open_all(void)
{
	sample_prepare(&sample);
	set_rule(true, 1);
	ck_assert_int_eq(catalog_open(fake_store(), &catalog, NULL), 0);
	fake_store_on(no_rows, NULL);
	fake_cache_prove("e", "e", ITEMS, "t");
}

static void close_all(void)
{
	pins_free(pins);
	pins = NULL;
	fake_pinner_on(NULL, 0);
	fake_store_on(NULL, NULL);
	catalog_close(catalog);
	sample_close(&sample);
}

static void begin_to_lead(fake_sweep_fn *sweep, uint32_t marked)
{
	const struct pins_parts parts = {.store = fake_store(), .cache = fake_cache(), .catalog = catalog};

	fake_pinner_on(sweep, marked);
	ck_assert_int_eq(pins_new(&parts, &pins), 0);
	ck_assert_int_eq(pins_start(pins), 0);
	pins_lead(pins, true);
}

static void drop_rule(void)
{
	_cleanup_schema_ struct schema *known = catalog_get(catalog);

	set_rule(false, 2);
	catalog_renew(catalog, known);
}

/* As long as some rows may stay it does not come to its end. */
static void linger(uint32_t relation, const char *valid, uint64_t *cursor)
{
	ck_assert_uint_eq(relation, ITEMS);
	event_add(valid ? "some-stay" : *cursor ? "rest-goes" : "all-go");
	*cursor = valid ? 1 : 0;
}

/* The sweep that was under way had let rows stay under the rule, so the mark by which they are found must outlive it. */
START_TEST(rule_that_goes_while_swept)
{
	const char *story;

	begin_to_lead(linger, ITEMS);
	events_await("some-stay");
	drop_rule();
	events_await("rest-goes unmark");
	story = strstr(events_take(), "rest-goes");
	ck_assert_str_eq(story, "rest-goes all-go unmark");
}
END_TEST

static void at_once(uint32_t relation, const char *valid, uint64_t *cursor)
{
	event_add(valid ? "some-stay" : "all-go");
	*cursor = 0;
}

START_TEST(rule_that_goes)
{
	begin_to_lead(at_once, 0);
	events_await("mark");
	drop_rule();
	events_await("all-go unmark");
	ck_assert_ptr_null(strstr(events_take(), "some-stay"));
}
END_TEST

START_TEST(rows_of_an_earlier_worker)
{
	set_rule(false, 2);
	catalog_close(catalog);
	ck_assert_int_eq(catalog_open(fake_store(), &catalog, NULL), 0);
	begin_to_lead(at_once, ITEMS);
	events_await("all-go unmark");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pins");
	TCase *tcase = tcase_create("rules");

	tcase_add_checked_fixture(tcase, open_all, close_all);
	tcase_add_test(tcase, rule_that_goes_while_swept);
	tcase_add_test(tcase, rule_that_goes);
	tcase_add_test(tcase, rows_of_an_earlier_worker);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
