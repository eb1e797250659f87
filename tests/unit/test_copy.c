#include "rowfs/engine/copy.h"

#include <errno.h>
#include <string.h>

#include "sample.h"
#include "suite.h"

static const struct copy_terms aged = {.ttl_ms = 1000};

enum { TTL_MS = 1000, RANDOM_VALUES = 20000, MUTATIONS = 20000 };

static const struct relation items = {.oid = 16422, .fingerprint = 0x8c1f0e55a3b2d417};
static const char row[] = "{\n  \"id\": 42,\n  \"name\": \"Zelt\",\n  \"price\": 129.00\n}\n";

static struct text *text_of(const char *data, size_t len, struct timespec mtime, uint32_t xid)
{
	struct version version = version_of(data, len, &mtime);
	struct text *text = text_new(data, len, &version, xid);

	ck_assert_ptr_nonnull(text);
	return text;
}

static struct text *row_text(void)
{
	return text_of(row, strlen(row), (struct timespec){1763805200, 123456000}, 7421);
}

static struct text *parse(const void *value, size_t len, int64_t ttl_ms, bool *ret_garbage)
{
	_cleanup_buf_ struct buf copy = {0};

	/* In an allocation of just that size, so that a sanitizer sees a step too far. */
	buf_add(&copy, value, len);
	copy.data = realloc(copy.data, len + 1);
	return copy_parse(&items, &copy, &(struct copy_terms){.ttl_ms = ttl_ms}, ret_garbage);
}

static void check_same(const struct text *a, const struct text *b)
{
	ck_assert_ptr_nonnull(b);
	ck_assert_uint_eq(a->len, b->len);
	ck_assert_mem_eq(a->data, b->data, a->len + 1);
	ck_assert_uint_eq(a->xid, b->xid);
	ck_assert(version_equal(&a->version, &b->version));
}

START_TEST(what_is_printed_is_parsed)
{
	static const struct {
		const char *text;
		struct timespec mtime;
		uint32_t xid;
	} cases[] = {
	        {row, {1763805200, 123456000}, 7421},
	        {"{}\n", {0, 0}, 0},
	        {"", {315532800, 0}, UINT32_MAX},
	        {"a\nb\n\n", {-1, 999999999}, 1},
	        {"ttl:1 0 0 0.0\n", {INT64_C(1) << 40, 1}, 3},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct text *text =
		        text_of(cases[i].text, strlen(cases[i].text), cases[i].mtime, cases[i].xid);
		_cleanup_buf_ struct buf copy = {0};
		struct text *back;
		bool garbage = true;

		copy_print(&items, text, &aged, &copy);
		back = copy_parse(&items, &copy, &aged, &garbage);
		check_same(text, back);
		ck_assert(!garbage);
		text_unref(back);
		text_unref(text);
	}
	ck_assert_uint_eq(text_bytes(), 0);
}
END_TEST

START_TEST(it_reads_as_documented)
{
	struct text *text = text_of(row, strlen(row), (struct timespec){1763805200, 56000}, 7421);
	_cleanup_buf_ struct buf copy = {0}, want = {0};

	buf_addf(&want, "ttl:1000 8c1f0e55a3b2d417 7421 1763805200.000056000 %016llx\n%s",
	         (unsigned long long)text->version.hash, row);
	copy_print(&items, text, &aged, &copy);
	ck_assert_str_eq(copy.data, want.data);
	text_unref(text);
}
END_TEST

/* A NUL is no row text's, but what is printed comes back whatever it is. */
START_TEST(any_bytes_come_back)
{
	uint64_t random = random_seed();

	for (int i = 0; i < 2000; i++) {
		char bytes[200];
		size_t len = random_below(&random, sizeof(bytes));
		_cleanup_buf_ struct buf copy = {0};
		struct text *text, *back;
		bool garbage;

		for (size_t k = 0; k < len; k++)
			bytes[k] = (char)random_next(&random);
		text = text_of(bytes, len,
		               (struct timespec){(time_t)random_next(&random) >> 20,
		                                 (long)random_below(&random, 1000000000)},
		               (uint32_t)random_next(&random));
		copy_print(&items, text, &aged, &copy);
		back = parse(copy.data, copy.len, TTL_MS, &garbage);
		check_same(text, back);
		text_unref(back);
		text_unref(text);
	}
}
END_TEST

START_TEST(the_key_is_oid_and_name)
{
	_cleanup_buf_ struct buf aged_key = {0}, row_key = {0};

	copy_aged_key(16422, "a%2Fb,7.json", &aged_key);
	ck_assert_str_eq(aged_key.data, "a:16422:a%2Fb,7");
	copy_row_key(16422, "a%2Fb,7.json", &row_key);
	ck_assert_str_eq(row_key.data, "r:16422:a%2Fb,7");
}
END_TEST

START_TEST(a_copy_of_other_columns_is_not_used_and_is_no_garbage)
{
	struct relation altered = items;
	_cleanup_buf_ struct buf copy = {0};
	struct text *text = row_text();
	bool garbage = true;

	altered.fingerprint ^= 1;
	copy_print(&altered, text, &aged, &copy);
	ck_assert_ptr_null(copy_parse(&items, &copy, &aged, &garbage));
	ck_assert(!garbage);
	ck_assert(copy_is_foreign(&items, &copy, &aged));
	/* Under terms that do not hold it is nobody's, and a copy that is ours is not foreign. */
	ck_assert(!copy_is_foreign(&items, &copy, &(struct copy_terms){.ttl_ms = TTL_MS - 1}));
	ck_assert(!copy_is_foreign(&altered, &copy, &aged));
	text_unref(text);
}
END_TEST

START_TEST(a_copy_that_may_live_longer_is_not_used)
{
	_cleanup_buf_ struct buf copy = {0};
	struct text *text = row_text(), *back;
	bool garbage = true;

	copy_print(&items, text, &aged, &copy);
	ck_assert_ptr_null(copy_parse(&items, &copy, &(struct copy_terms){.ttl_ms = TTL_MS - 1}, &garbage));
	ck_assert(!garbage);
	back = copy_parse(&items, &copy, &(struct copy_terms){.ttl_ms = TTL_MS + 1}, &garbage);
	check_same(text, back);
	text_unref(back);
	text_unref(text);
}
END_TEST

/* --- Under a feed ---------------------------------------------------------------------------- */

static const struct cache_proof proof = {.epoch = "63f1c2a9-9f86d081884c7d65", .table = "63f1c2a8-2c26b46b", .fresh = true};
static const struct copy_terms proved = {.proof = &proof};

START_TEST(a_copy_under_a_feed_names_its_epochs)
{
	struct text *text = row_text(), *back;
	_cleanup_buf_ struct buf copy = {0}, terms = {0};
	bool garbage = true;

	copy_print(&items, text, &proved, &copy);
	copy_print_terms(&proved, &terms);
	ck_assert_str_eq(terms.data, "63f1c2a9-9f86d081884c7d65/63f1c2a8-2c26b46b ");
	ck_assert_mem_eq(copy.data, terms.data, terms.len);
	back = copy_parse(&items, &copy, &proved, &garbage);
	check_same(text, back);
	ck_assert(!garbage);
	text_unref(back);
	text_unref(text);
}
END_TEST

START_TEST(a_copy_of_another_epoch_is_not_used_and_is_no_garbage)
{
	static const struct cache_proof others[] = {
		{.epoch = "63f1c2a9-9f86d081884c7d66", .table = "63f1c2a8-2c26b46b"},
		{.epoch = "63f1c2a9-9f86d081884c7d65", .table = "63f1c2a8-2c26b46c"},
		{.epoch = "63f1c2a9-9f86d081884c7d65", .table = "63f1c2a8-2c26b46"},
		{.epoch = "63f1c2a9-9f86d081884c7d65", .table = ""},
		{.epoch = "", .table = "63f1c2a8-2c26b46b"},
		{.epoch = "", .table = ""},
	};
	struct text *text = row_text();
	_cleanup_buf_ struct buf copy = {0};

	copy_print(&items, text, &proved, &copy);
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		bool garbage = true;

		ck_assert_ptr_null(copy_parse(&items, &copy, &(struct copy_terms){.proof = &others[i]},
					      &garbage));
		ck_assert(!garbage);
	}
	text_unref(text);
}
END_TEST

START_TEST(aged_copies_and_those_under_a_feed_are_not_taken_for_each_other)
{
	struct text *text = row_text();
	_cleanup_buf_ struct buf by_age = {0}, by_proof = {0};
	bool garbage;

	copy_print(&items, text, &aged, &by_age);
	copy_print(&items, text, &proved, &by_proof);
	ck_assert_ptr_null(copy_parse(&items, &by_age, &proved, &garbage));
	ck_assert_ptr_null(copy_parse(&items, &by_proof, &aged, &garbage));
	text_unref(text);
}
END_TEST

/* --- Garbage --------------------------------------------------------------------------------- */

START_TEST(garbage_is_told)
{
	static const char *const values[] = {
	        "",
	        "\n",
	        "hello\n",
	        "L:0123456789abcdef0123456789abcdef",
	        "{\"id\": 42}\n",
	        "ttl:1000 8c1f0e55a3b2d417 7421 1763805200.123456000 0000000000000000",
	        "ttl:1000 8c1f0e55a3b2d417 7421 1763805200.123456000 0000000000000000 x\n{}\n",
	        "ttl:1000 8c1f0e55a3b2d417 7421 1763805200.123456000\n{}\n",
	        "ttl:1000 8c1f0e55a3b2d417 7421 1763805200.123456000 0000000000000000\n{}\n",
	        "ttl:1000 8c1f0e55a3b2d417 7421\n{}\n",
	        "ttl:x 8c1f0e55a3b2d417 7421 1763805200.123456000\n{}\n",
	        "ttl:1000 xyz 7421 1763805200.123456000\n{}\n",
	        "- 8c1f0e55a3b2d417 7421 1763805200.123456000\n{}\n",
	};

	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
		bool garbage = false;

		ck_assert_msg(!parse(values[i], strlen(values[i]), TTL_MS, &garbage), "%s",
		              values[i]);
		ck_assert_msg(garbage, "%s", values[i]);
	}
}
END_TEST

START_TEST(garbage_in_the_header_is_garbage_whatever_follows)
{
	struct text *text = row_text();
	_cleanup_buf_ struct buf copy = {0}, spoilt = {0};
	bool garbage = false;
	size_t head;

	ck_assert_ptr_null(copy_parse(&items, &copy, &aged, &garbage)); /* nothing at all */
	ck_assert(garbage);
	copy_print(&items, text, &aged, &copy);
	head = strcspn(copy.data, "\n");
	for (size_t i = 0; i < 2; i++) {
		buf_reset(&spoilt);
		buf_add(&spoilt, copy.data, head);
		buf_adds(&spoilt, (const char *[]){" x", " "}[i]);
		buf_adds(&spoilt, copy.data + head);
		garbage = false;
		ck_assert_ptr_null(copy_parse(&items, &spoilt, &aged, &garbage));
		ck_assert(garbage);
	}
	text_unref(text);
}
END_TEST

/* Whatever a value is, what is taken for a copy has the text that was put in. */
static bool check_no_other_text(const void *value, size_t len)
{
	bool garbage;
	struct text *back = parse(value, len, TTL_MS, &garbage);

	if (!back)
		return false;
	ck_assert_uint_eq(back->len, strlen(row));
	ck_assert_str_eq(back->data, row);
	text_unref(back);
	return true;
}

START_TEST(a_copy_that_was_cut_is_garbage)
{
	_cleanup_buf_ struct buf copy = {0};
	struct text *text = row_text();

	copy_print(&items, text, &aged, &copy);
	for (size_t len = 0; len < copy.len; len++) {
		bool garbage = false;
		struct text *back = parse(copy.data, len, TTL_MS, &garbage);

		ck_assert_msg(!back, "the first %zu of %zu bytes were taken for \"%s\"", len,
		              copy.len, back->data);
		ck_assert(garbage);
	}
	text_unref(text);
}
END_TEST

START_TEST(a_copy_with_something_after_it_is_garbage)
{
	_cleanup_buf_ struct buf copy = {0};
	struct text *text = row_text();
	bool garbage = false;

	copy_print(&items, text, &aged, &copy);
	buf_adds(&copy, "\n");
	ck_assert_ptr_null(copy_parse(&items, &copy, &aged, &garbage));
	ck_assert(garbage);
	text_unref(text);
}
END_TEST

START_TEST(random_bytes_are_never_a_copy)
{
	uint64_t random = random_seed() + 1;

	for (int i = 0; i < RANDOM_VALUES; i++) {
		char bytes[120];
		size_t len = random_below(&random, sizeof(bytes)), head = 0;

		if (i % 2) {
			memcpy(bytes, "ttl:1000 8c1f0e55a3b2d417 ", 26);
			head = random_below(&random, 27);
		}
		for (size_t k = head; k < len; k++)
			bytes[k] = "0123456789abcdef .:-+x\n\0"[random_below(&random, 24)];
		ck_assert(!check_no_other_text(bytes, len));
	}
}
END_TEST

/* Bytes changed, taken out, put in. */
START_TEST(a_damaged_copy_is_never_another_text)
{
	uint64_t random = random_seed() + 2;
	struct text *text = row_text();
	_cleanup_buf_ struct buf copy = {0};
	unsigned taken = 0;

	copy_print(&items, text, &aged, &copy);
	for (int i = 0; i < MUTATIONS; i++) {
		char bytes[512];
		size_t len = copy.len;

		memcpy(bytes, copy.data, len);
		for (size_t n = 1 + random_below(&random, 3); n > 0; n--) {
			size_t at = random_below(&random, len), more = random_below(&random, 3);

			if (more == 0)
				memmove(bytes + at, bytes + at + 1, --len - at);
			if (more == 1)
				memmove(bytes + at + 1, bytes + at, len++ - at);
			if (more > 0)
				bytes[at] = (char)random_next(&random);
		}
		taken += check_no_other_text(bytes, len);
	}
	/* Some of the damage is to the times, and nothing else of the header can be changed. */
	ck_assert_uint_lt(taken, MUTATIONS / 4);
	text_unref(text);
}
END_TEST

/* --- Partial copies -------------------------------------------------------------------------- */

static struct column columns[] = {
        SAMPLE_COLUMN("id", int4),
        SAMPLE_COLUMN("name", text),
        SAMPLE_COLUMN("price", numeric),
};
static struct key_part parts[1];

/* Of the same table, with a rule. */
static struct relation ruled(const char *names)
{
	struct relation relation = sample_relation(columns, 3, parts, 1);
	struct error e;

	relation.oid = items.oid;
	relation.fingerprint = items.fingerprint;
	relation.has_xmin = true;
	relation.placement.columns = (char *)names;
	for (size_t i = 0; i < 3; i++)
		columns[i].cold = false;
	ck_assert_int_eq(relation_take_columns(&relation, &e), 0);
	return relation;
}

/* In an allocation of just that size, under the rule of `relation`. */
static struct text *parse_ruled(const struct relation *relation, const void *value, size_t len, bool *ret_garbage)
{
	_cleanup_buf_ struct buf copy = {0};

	buf_add(&copy, value, len);
	copy.data = realloc(copy.data, len + 1);
	return copy_parse(relation, &copy, &aged, ret_garbage);
}

START_TEST(a_copy_in_part_reads_as_documented)
{
	struct relation relation = ruled("price");
	struct text *text = row_text();
	_cleanup_buf_ struct buf copy = {0}, want = {0}, head = {0};
	char *check;

	copy_print(&relation, text, &aged, &copy);
	buf_addf(&want, "ttl:1000 8c1f0e55a3b2d417/%016llx 7421 1763805200.123456000 %016llx %zu ",
	         (unsigned long long)relation.kept_columns, (unsigned long long)text->version.hash, strlen(row));
	ck_assert_int_eq(strncmp(copy.data, want.data, want.len), 0);
	check = copy.data + want.len;
	ck_assert_uint_eq(strspn(check, "0123456789abcdef"), 16);
	ck_assert_str_eq(check + 16, "\n{\n  \"id\": 42,\n  \"price\": 129.00\n}\n");
	copy_print_head(&relation, &aged, &head);
	ck_assert_int_eq(strncmp(copy.data, head.data, head.len), 0);
	text_unref(text);
}
END_TEST

START_TEST(a_copy_in_part_gives_the_version_and_the_cells)
{
	struct relation relation = ruled("price");
	struct text *text = row_text(), *bare;
	_cleanup_patch_ struct patch patch = {0};
	_cleanup_buf_ struct buf copy = {0};
	bool garbage = true;

	copy_print(&relation, text, &proved, &copy);
	bare = copy_parse(&relation, &copy, &proved, &garbage);
	ck_assert_ptr_nonnull(bare);
	ck_assert(!garbage && bare->bare && bare->copied);
	ck_assert(version_equal(&bare->version, &text->version));
	ck_assert_uint_eq(bare->xid, 7421);
	ck_assert_uint_eq(bare->len, 0);
	ck_assert(copy_is_complement(&relation, &copy));
	ck_assert_int_eq(copy_cells(&relation, &copy, &patch), 0);
	ck_assert(patch.present[0] && !patch.present[1] && patch.present[2]);
	ck_assert_str_eq(patch.cells[0].data, "42");
	ck_assert_str_eq(patch.cells[2].data, "129.00");
	text_unref(bare);
	text_unref(text);
	ck_assert_uint_eq(text_bytes(), 0);
}
END_TEST

/* By how they begin, too, which is how pinned ones are told apart. */
START_TEST(copies_of_other_rules_are_told_apart_and_tell_the_version)
{
	static const char *const rules[] = {"price", "name", "name,price", NULL};
	struct text *text = row_text();

	for (size_t i = 0; i < 4; i++) {
		_cleanup_buf_ struct buf copy = {0}, head = {0};
		struct relation made = ruled(rules[i]), read;
		bool garbage, whole = !made.n_cold;

		copy_print(&made, text, &aged, &copy);
		for (size_t k = 0; k < 4; k++) {
			struct text *back;

			read = ruled(rules[k]);
			back = copy_parse(&read, &copy, &aged, &garbage);
			ck_assert_ptr_nonnull(back);
			ck_assert_int_eq(back->bare, !whole);
			ck_assert(version_equal(&back->version, &text->version));
			text_unref(back);
			ck_assert_int_eq(copy_is_complement(&read, &copy), i == k && !whole);
			buf_reset(&head);
			copy_print_head(&read, &aged, &head);
			ck_assert_int_eq(strncmp(copy.data, head.data, head.len) == 0, read.kept_columns == made.kept_columns);
		}
	}
	text_unref(text);
}
END_TEST

START_TEST(what_would_not_come_back_to_the_byte_is_whole)
{
	static const char *const texts[] = {
	        "", "{}\n", "{\n  \"id\": 42,\n  \"name\": \"Zelt\"\n}\n",
	        "{\n  \"id\": 42,\n  \"name\": \"\\u005aelt\",\n  \"price\": 1\n}\n",
	        "{\n  \"id\": 42,\n  \"price\": 1,\n  \"name\": \"Zelt\"\n}\n",
	        "{\n  \"id\": 42,\n  \"name\": \"Zelt\",\n  \"price\": 1 \n}\n",
	        "{\n  \"id\": 42,\n  \"name\": \"Zelt\",\n  \"price\": 1\n}",
	};
	struct relation relation = ruled("price");

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct text *text = text_of(texts[i], strlen(texts[i]), (struct timespec){1, 2}, 3), *back;
		_cleanup_buf_ struct buf copy = {0};
		bool garbage = true;

		copy_print(&relation, text, &aged, &copy);
		back = parse_ruled(&relation, copy.data, copy.len, &garbage);
		check_same(text, back);
		ck_assert(!garbage && !back->bare);
		ck_assert(!copy_is_complement(&relation, &copy));
		text_unref(back);
		text_unref(text);
	}
}
END_TEST

START_TEST(a_rule_that_names_all_columns_makes_whole_copies)
{
	struct relation relation = ruled("price,name");

	ck_assert_uint_eq(relation.n_cold, 0);
	ck_assert(copy_may_fit(&relation, CACHE_VALUE_MAX));
	ck_assert(!copy_may_fit(&relation, CACHE_VALUE_MAX + 1));
	relation = ruled("price");
	ck_assert_uint_eq(relation.n_cold, 1);
	ck_assert(copy_may_fit(&relation, COPY_TEXT_MAX));
	ck_assert(!copy_may_fit(&relation, COPY_TEXT_MAX + 1));
}
END_TEST

START_TEST(a_rule_must_fit_its_table)
{
	struct relation relation = sample_relation(columns, 3, parts, 1);
	struct error e;

	relation.placement.columns = (char *)"price,weight";
	ck_assert_int_eq(relation_take_columns(&relation, &e), -EINVAL);
	ck_assert_str_eq(e.message, "columns=: its rows have no xmin");
	relation.has_xmin = true;
	ck_assert_int_eq(relation_take_columns(&relation, &e), -EINVAL);
	ck_assert_str_eq(e.message, "columns=: there is no column \"weight\"");
	ck_assert_uint_eq(relation.n_cold, 0);
}
END_TEST

/* Nothing is taken for it but what was printed: sizes and times that are wrong would be told to the kernel. */
static bool check_no_other_version(const struct relation *relation, const struct text *text, const void *value, size_t len)
{
	_cleanup_patch_ struct patch patch = {0};
	_cleanup_buf_ struct buf copy = {0};
	bool garbage;
	struct text *back = parse_ruled(relation, value, len, &garbage);

	if (!back)
		return false;
	ck_assert(back->bare);
	ck_assert(version_equal(&back->version, &text->version));
	ck_assert_uint_eq(back->xid, text->xid);
	text_unref(back);
	buf_add(&copy, value, len);
	ck_assert(copy_is_complement(relation, &copy));
	ck_assert_int_eq(copy_cells(relation, &copy, &patch), 0);
	ck_assert_str_eq(patch.cells[2].data, "129.00");
	return true;
}

START_TEST(a_damaged_copy_in_part_is_never_another)
{
	struct relation relation = ruled("price");
	uint64_t random = random_seed() + 3;
	struct text *text = row_text();
	_cleanup_buf_ struct buf copy = {0};
	unsigned taken = 0;

	copy_print(&relation, text, &aged, &copy);
	for (size_t len = 0; len < copy.len; len++)
		ck_assert(!check_no_other_version(&relation, text, copy.data, len));
	for (int i = 0; i < MUTATIONS; i++) {
		char bytes[512];
		size_t len = copy.len;

		memcpy(bytes, copy.data, len);
		for (size_t n = 1 + random_below(&random, 3); n > 0; n--) {
			size_t at = random_below(&random, len), more = random_below(&random, 3);

			if (more == 0)
				memmove(bytes + at, bytes + at + 1, --len - at);
			if (more == 1)
				memmove(bytes + at + 1, bytes + at, len++ - at);
			if (more > 0)
				bytes[at] = (char)random_next(&random);
		}
		taken += check_no_other_version(&relation, text, bytes, len);
	}
	/* The terms are compared, and some changes change nothing. */
	ck_assert_uint_lt(taken, MUTATIONS / 20);
	text_unref(text);
}
END_TEST

START_TEST(headers_that_nobody_prints_are_garbage)
{
	static const char *const values[] = {
	        "ttl:1000 8c1f0e55a3b2d417/ 7421 1763805200.123456000 0000000000000000\n{}\n",
	        "ttl:1000 8c1f0e55a3b2d417/xyz 7421 1763805200.123456000 0000000000000000\n{}\n",
	        "ttl:1000 8c1f0e55a3b2d417 7421 1763805200.123456000 0000000000000000 3 0123456789abcdef\n{}\n",
	        "ttl:1000 8c1f0e55a3b2d417/91b0c3d4e5f60718 7421 1763805200.123456000 0000000000000000 3\n{}\n",
	        "ttl:1000 8c1f0e55a3b2d417/91b0c3d4e5f60718 7421 1763805200.123456000 0000000000000000 3 \n{}\n",
	        "ttl:1000 8c1f0e55a3b2d417/91b0c3d4e5f60718 7421 1763805200.123456000 0000000000000000 -3 0123456789abcdef\n{}\n",
	        "ttl:1000 8c1f0e55a3b2d417/91b0c3d4e5f60718 7421 1763805200.123456000 0000000000000000 99999999999999999999 0123456789abcdef\n{}\n",
	        "ttl:1000 8c1f0e55a3b2d417/91b0c3d4e5f60718 7421 1763805200.123456000 0000000000000000 3 0123456789abcdef0\n{}\n",
	        "ttl:1000 8c1f0e55a3b2d417/91b0c3d4e5f60718 7421 1763805200.123456000 0000000000000000 3 0123456789abcdef\n{}\n",
	        "ttl:1000 8c1f0e55a3b2d417/91b0c3d4e5f60718 7421 1763805200.123456000 0000000000000000 3 0123456789abcdef x\n{}\n",
	};
	struct relation relation = ruled("price");

	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
		bool garbage = false;

		ck_assert_msg(!parse_ruled(&relation, values[i], strlen(values[i]), &garbage), "%s", values[i]);
		ck_assert_msg(garbage, "%s", values[i]);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("copy");
	TCase *test = tcase_create("copy");

	tcase_set_timeout(test, 60);
	tcase_add_test(test, what_is_printed_is_parsed);
	tcase_add_test(test, it_reads_as_documented);
	tcase_add_test(test, any_bytes_come_back);
	tcase_add_test(test, the_key_is_oid_and_name);
	tcase_add_test(test, a_copy_of_other_columns_is_not_used_and_is_no_garbage);
	tcase_add_test(test, a_copy_that_may_live_longer_is_not_used);
	tcase_add_test(test, a_copy_under_a_feed_names_its_epochs);
	tcase_add_test(test, a_copy_of_another_epoch_is_not_used_and_is_no_garbage);
	tcase_add_test(test, aged_copies_and_those_under_a_feed_are_not_taken_for_each_other);
	tcase_add_test(test, garbage_is_told);
	tcase_add_test(test, garbage_in_the_header_is_garbage_whatever_follows);
	tcase_add_test(test, a_copy_that_was_cut_is_garbage);
	tcase_add_test(test, a_copy_with_something_after_it_is_garbage);
	tcase_add_test(test, random_bytes_are_never_a_copy);
	tcase_add_test(test, a_damaged_copy_is_never_another_text);
	tcase_add_test(test, a_copy_in_part_reads_as_documented);
	tcase_add_test(test, a_copy_in_part_gives_the_version_and_the_cells);
	tcase_add_test(test, copies_of_other_rules_are_told_apart_and_tell_the_version);
	tcase_add_test(test, what_would_not_come_back_to_the_byte_is_whole);
	tcase_add_test(test, a_rule_that_names_all_columns_makes_whole_copies);
	tcase_add_test(test, a_rule_must_fit_its_table);
	tcase_add_test(test, a_damaged_copy_in_part_is_never_another);
	tcase_add_test(test, headers_that_nobody_prints_are_garbage);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
