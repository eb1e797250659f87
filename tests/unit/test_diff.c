#include "rowfs/model/diff.h"

#include <errno.h>
#include <string.h>

#include "random_value.h"
#include "sample.h"
#include "suite.h"

static struct column columns[] = {
        SAMPLE_COLUMN("id", int8),       SAMPLE_COLUMN("sku", text),
        SAMPLE_COLUMN("price", numeric), SAMPLE_COLUMN("total", numeric, .generated = true),
        SAMPLE_COLUMN("tags", texts),
};
static struct key_part parts[2];
static struct cell key_cells[2], base[5];

/* A row with the key ("7", "a/b"). */
static struct relation row(struct cells *key)
{
	key_cells[0] = base[0] = cell_of("7");
	key_cells[1] = base[1] = cell_of("a/b");
	base[2] = cell_of("1.50");
	base[3] = cell_of("3.00");
	base[4] = cell_of(NULL);
	*key = (struct cells){2, key_cells};
	return sample_relation(columns, 5, parts, 2);
}

/* The number of changed columns, or -errno. */
static int diff(const char *text, bool *changed, struct error *e)
{
	struct cells key;
	struct relation relation = row(&key);
	_cleanup_patch_ struct patch patch = {0};
	size_t n = 99;
	int r = json_parse(&relation, text, strlen(text), &patch, e);

	ck_assert_int_eq(r, 0);
	r = diff_patch(&relation, &key, base, &patch, changed, &n, e);
	if (r < 0)
		ck_assert_uint_eq(n, 99);
	return r < 0 ? r : (int)n;
}

START_TEST(unchanged_values_are_no_change)
{
	bool changed[5] = {true, true, true, true, true};
	struct error e;

	ck_assert_int_eq(diff("{\"id\": 7, \"sku\": \"a/b\", \"price\": 1.5, \"total\": \"3\","
	                      " \"tags\": null}",
	                      changed, &e),
	                 0);
	for (size_t i = 0; i < 5; i++)
		ck_assert(!changed[i]);
	ck_assert_int_eq(diff("{}", changed, &e), 0);
}
END_TEST

START_TEST(changed_columns_are_marked)
{
	bool changed[5];
	struct error e;

	ck_assert_int_eq(diff("{\"price\": null, \"tags\": []}", changed, &e), 2);
	ck_assert(!changed[0] && !changed[1] && changed[2] && !changed[3] && changed[4]);
	ck_assert_int_eq(diff("{\"price\": 1.51}", changed, &e), 1);
	ck_assert(changed[2] && !changed[4]);
}
END_TEST

static void check_refused(const char *text, const char *field, const char *message, unsigned line,
                          unsigned column)
{
	bool changed[5];
	struct error e = {0};

	ck_assert_int_eq(diff(text, changed, &e), -EINVAL);
	ck_assert_str_eq(e.field, field);
	ck_assert_msg(strstr(e.message, message), "%s", e.message);
	ck_assert_uint_eq(e.line, line);
	ck_assert_uint_eq(e.column, column);
	ck_assert_str_ne(e.hint, "");
}

START_TEST(another_key_is_refused)
{
	check_refused("{\n\"id\": 8}", "id", "is the key", 2, 7);
	check_refused("{\"id\": null}", "id", "is the key", 1, 8);
	check_refused("{\"sku\": \"A/B\"}", "sku", "is the key", 1, 9);
}
END_TEST

START_TEST(a_changed_generated_column_is_refused)
{
	check_refused("{\"total\": 4}", "total", "generated", 1, 11);
	check_refused("{\"total\": null}", "total", "generated", 1, 11);
}
END_TEST

static int insert(const char *text, bool with_key, struct error *e)
{
	struct cells key;
	struct relation relation = row(&key);
	_cleanup_patch_ struct patch patch = {0};

	ck_assert_int_eq(json_parse(&relation, text, strlen(text), &patch, e), 0);
	return diff_insert(&relation, with_key ? &key : NULL, &patch, e);
}

START_TEST(inserts_have_the_names_key)
{
	struct error e;

	ck_assert_int_eq(insert("{\"price\": 1}", true, &e), 0);
	ck_assert_int_eq(insert("{\"id\": \"7\", \"sku\": \"a/b\"}", true, &e), 0);
	ck_assert_int_eq(insert("{\"id\": 8}", true, &e), -EINVAL);
	ck_assert_str_eq(e.field, "id");
	ck_assert_int_eq(insert("{\"id\": 8}", false, &e), 0);
	/* Whether that is what it will be, the server knows. */
	ck_assert_int_eq(insert("{\"total\": 3.00}", true, &e), 0);
}
END_TEST

/* One column of every type there is, none of them the key. */
static struct column all_columns[] = {
        SAMPLE_COLUMN("text", text),     SAMPLE_COLUMN("int8", int8),
        SAMPLE_COLUMN("float8", float8), SAMPLE_COLUMN("numeric", numeric),
        SAMPLE_COLUMN("bool", bool),     SAMPLE_COLUMN("json", json),
        SAMPLE_COLUMN("jsonb", jsonb),   SAMPLE_COLUMN("texts", texts),
        SAMPLE_COLUMN("int8s", int8s),   SAMPLE_COLUMN("float8s", float8s),
        SAMPLE_COLUMN("bools", bools),   SAMPLE_COLUMN("jsons", jsons),
        SAMPLE_COLUMN("jsonbs", jsonbs), SAMPLE_COLUMN("domains", domains),
        SAMPLE_COLUMN("boxes", boxes),   SAMPLE_COLUMN("a\"\\\n%é", text),
};
enum { JSON = 5, JSONS = 11, ALL = sizeof(all_columns) / sizeof(*all_columns), ROWS = 4000 };

static void random_row(uint64_t *random, struct buf *bytes, struct cell *cells)
{
	for (size_t i = 0; i < ALL; i++) {
		buf_reset(&bytes[i]);
		cells[i] = (struct cell){0};
		if (random_below(random, 8) == 0)
			continue;
		buf_adds(&bytes[i], "");
		random_value(random, all_columns[i].type, &bytes[i]);
		cells[i] = (struct cell){bytes[i].data, bytes[i].len};
	}
}

/* The parsed value may be spelled in another way where only the value counts. */
static void check_column(const struct type *type, struct cell cell, struct cell parsed)
{
	bool exact = type->kind == TYPE_TEXT || type->kind == TYPE_BOOL ||
	             type->kind == TYPE_INTEGER || type->kind == TYPE_NUMERIC ||
	             type->kind == TYPE_FLOAT;

	ck_assert_msg(json_same_value(type, cell, parsed), "%s became %s", cell.data, parsed.data);
	if (exact)
		ck_assert_msg(cell_equal(cell, parsed), "%s became %s", cell.data, parsed.data);
}

static void check_prefixes(uint64_t *random, const struct buf *text)
{
	for (int i = 0; i < 20; i++)
		ck_assert_int_eq(json_progress(text->data, 1 + random_below(random, text->len - 2)),
		                 JSON_INCOMPLETE);
	ck_assert_int_eq(json_progress(text->data, text->len - 1), JSON_COMPLETE);
	ck_assert_int_eq(json_progress(text->data, text->len), JSON_COMPLETE);
}

START_TEST(random_rows_round_trip)
{
	uint64_t random = random_seed() + (uint64_t)_i;
	struct relation relation = sample_relation(all_columns, ALL, parts, 0);
	struct buf bytes[ALL] = {{0}}, text = {0}, again = {0};
	struct cell cells[ALL];
	bool changed[ALL];

	for (int r = 0; r < ROWS; r++) {
		_cleanup_patch_ struct patch patch = {0};
		struct error e = {0};
		size_t n;

		random_row(&random, bytes, cells);
		buf_reset(&text);
		json_print(&relation, cells, &text);
		ck_assert_msg(json_parse(&relation, text.data, text.len, &patch, &e) == 0,
		              "%u:%u: %s in\n%s", e.line, e.column, e.message, text.data);
		for (size_t i = 0; i < ALL; i++) {
			ck_assert(patch.present[i]);
			check_column(all_columns[i].type, cells[i], patch.cells[i]);
		}
		ck_assert_int_eq(
		        diff_patch(&relation, &(struct cells){0}, cells, &patch, changed, &n, &e),
		        0);
		ck_assert_uint_eq(n, 0);
		/* What is read prints the same again, but for json's outer white space. */
		buf_reset(&again);
		patch.cells[JSON] = cells[JSON];
		patch.cells[JSONS] = cells[JSONS];
		json_print(&relation, patch.cells, &again);
		ck_assert_str_eq(again.data, text.data);
		check_prefixes(&random, &text);
	}
	for (size_t i = 0; i < ALL; i++)
		buf_done(&bytes[i]);
	buf_done(&text);
	buf_done(&again);
}
END_TEST

/* Broken texts are refused with a place in the text, or taken; the sanitizers watch. */
START_TEST(mutated_rows_are_refused_or_taken)
{
	static const char bytes_to_put[] = "{}[],:\"\\u0d8%n1-.e \n\x01\xff\xc3";
	uint64_t random = random_seed() + 77;
	struct relation relation = sample_relation(all_columns, ALL, parts, 0);
	struct buf bytes[ALL] = {{0}}, text = {0}, printed = {0};
	struct cell cells[ALL];
	size_t taken = 0;

	for (int r = 0; r < 5 * ROWS; r++) {
		_cleanup_patch_ struct patch patch = {0};
		struct error e = {0};

		if (r % 10 == 0)
			random_row(&random, bytes, cells);
		buf_reset(&text);
		json_print(&relation, cells, &text);
		for (size_t n = 1 + random_below(&random, 3); n > 0; n--)
			text.data[random_below(&random, text.len)] =
			        bytes_to_put[random_below(&random, sizeof(bytes_to_put))];
		if (json_parse(&relation, text.data, text.len, &patch, &e) == 0) {
			taken++;
			buf_reset(&printed);
			for (size_t i = 0; i < ALL; i++)
				if (!patch.present[i])
					patch.cells[i] = (struct cell){0};
			json_print(&relation, patch.cells, &printed);
			continue;
		}
		ck_assert_int_eq(e.err, EINVAL);
		ck_assert_uint_ge(e.line, 1);
		ck_assert_uint_ge(e.column, 1);
		ck_assert_str_ne(e.message, "");
	}
	ck_assert_uint_gt(taken, ROWS / 10);
	for (size_t i = 0; i < ALL; i++)
		buf_done(&bytes[i]);
	buf_done(&text);
	buf_done(&printed);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("diff");
	TCase *test = tcase_create("diff"), *property = tcase_create("property");

	tcase_add_test(test, unchanged_values_are_no_change);
	tcase_add_test(test, changed_columns_are_marked);
	tcase_add_test(test, another_key_is_refused);
	tcase_add_test(test, a_changed_generated_column_is_refused);
	tcase_add_test(test, inserts_have_the_names_key);
	suite_add_tcase(suite, test);
	/* Slow under valgrind. */
	tcase_set_timeout(property, 120);
	tcase_add_loop_test(property, random_rows_round_trip, 0, 3);
	tcase_add_test(property, mutated_rows_are_refused_or_taken);
	suite_add_tcase(suite, property);
	return suite_run(suite);
}
