#include "rowfs/model/name.h"

#include <string.h>

#include "sample.h"
#include "suite.h"

/* Any number of text columns as the key; NULL parts allowed where asked for. */
static struct column text_columns[] = {SAMPLE_COLUMN("a", text), SAMPLE_COLUMN("b", text),
                                       SAMPLE_COLUMN("c", text), SAMPLE_COLUMN("d", text)};
static struct key_part text_parts[4];

static struct relation text_relation(size_t keys, bool nullable)
{
	for (size_t i = 0; i < 4; i++)
		text_parts[i].nullable = nullable;
	return sample_relation(text_columns, 4, text_parts, keys);
}

/* A relation with one key column of a type. */
static struct relation typed_relation(const struct type *type)
{
	static struct column column;
	static struct key_part part;

	column = (struct column){.name = (char *)"id", .type = type};
	part = (struct key_part){0};
	return sample_relation(&column, 1, &part, 1);
}

static enum name_kind kind_of(const struct relation *relation, const char *name)
{
	_cleanup_cells_ struct cells key = {0};
	char hash[NAME_HASH_HEX + 1];

	return name_parse(relation, name, &key, hash);
}

/* Both ways. */
static void check_row(const struct relation *relation, const struct cell *key, size_t n,
                      const char *name)
{
	_cleanup_cells_ struct cells parsed = {0};
	_cleanup_buf_ struct buf printed = {0};
	char hash[NAME_HASH_HEX + 1] = "untouched";

	name_print(key, n, &printed);
	ck_assert_str_eq(printed.data, name);
	ck_assert_int_eq(name_parse(relation, name, &parsed, hash), NAME_ROW);
	ck_assert(cells_equal(&parsed, &(struct cells){n, (struct cell *)key}));
	ck_assert_str_eq(hash, "untouched");
}

START_TEST(parts_are_spelled_as_documented)
{
	static const struct {
		const char *part, *name;
	} cases[] = {
	        {"42", "42.json"},
	        {"a/b", "a%2Fb.json"},
	        {"100%", "100%25.json"},
	        {"a,b", "a%2Cb.json"},
	        {".hidden", "%2Ehidden.json"},
	        {"..", "%2E..json"},
	        {"a.b.json", "a.b.json.json"},
	        {"x.yaml", "x.yaml.json"},
	        {"", "%.json"},
	        {"%-", "%25-.json"},
	        {"tab\tnl\n\x01\x7f", "tab%09nl%0A%01%7F.json"},
	        {"Ünïcödé 🐘", "Ünïcödé 🐘.json"},
	        {" spaces \\ \"'*?~", " spaces \\ \"'*?~.json"},
	        {"-rf", "-rf.json"},
	};
	struct relation relation = text_relation(1, false);

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct cell key = cell_of(cases[i].part);

		check_row(&relation, &key, 1, cases[i].name);
	}
}
END_TEST

START_TEST(parts_join_with_commas)
{
	struct relation relation = text_relation(3, true);

	check_row(&relation, (struct cell[]){cell_of("a/b"), cell_of("7"), cell_of("x,y")}, 3,
	          "a%2Fb,7,x%2Cy.json");
	check_row(&relation, (struct cell[]){cell_of(""), cell_of(NULL), cell_of("")}, 3,
	          "%,%-,%.json");
	check_row(&relation, (struct cell[]){cell_of(".a"), cell_of(".b"), cell_of("c.")}, 3,
	          "%2Ea,%2Eb,c..json");
}
END_TEST

START_TEST(rows_without_a_key_are_named_by_ctid)
{
	struct relation relation = text_relation(0, false);

	relation.key_kind = KEY_CTID;
	check_row(&relation, (struct cell[]){cell_of("(0,1)")}, 1, "(0%2C1).json");
	ck_assert_int_eq(kind_of(&relation, "(00%2C1).json"), NAME_INVALID);
	ck_assert_int_eq(kind_of(&relation, "(0%2C65536).json"), NAME_INVALID);
	ck_assert_int_eq(kind_of(&relation, "(0%2C1)x.json"), NAME_INVALID);
	ck_assert_int_eq(kind_of(&relation, "0%2C1.json"), NAME_INVALID);
	ck_assert_int_eq(kind_of(&relation, "(%2C).json"), NAME_INVALID);
	ck_assert_int_eq(kind_of(&relation, "%-.json"), NAME_INVALID);
	relation.key_kind = KEY_TABLEOID_CTID;
	check_row(&relation, (struct cell[]){cell_of("16384"), cell_of("(4294967295,65535)")}, 2,
	          "16384,(4294967295%2C65535).json");
	ck_assert_int_eq(kind_of(&relation, "x,(0%2C1).json"), NAME_INVALID);
	ck_assert_int_eq(kind_of(&relation, "(0%2C1).json"), NAME_INVALID);
}
END_TEST

START_TEST(other_spellings_are_no_rows)
{
	static const char *const names[] = {
	        "%41.json",           /* 'A' needs no escape */
	        "a%2fb.json",         /* lower-case hex */
	        "a%2Eb.json",         /* a dot inside needs none */
	        "a%2.json",           /* half an escape */
	        "%zz.json",           /* no escape */
	        "%00.json",           /* no text has NUL */
	        "a%.json",            /* "%" is a whole part */
	        "%%.json",            /* the same */
	        "%-.json",            /* this key cannot be NULL */
	        "%--.json",           /* no escape */
	        "%~.json",            /* no hash */
	        "a,b.json",           /* one part too many */
	        ",.json",             /* empty parts are "%" */
	        "a\tb.json",          /* control bytes are escaped */
	        "a\x7f.json",         /* so is this one */
	        "a\xff.json",         /* not UTF-8 */
	        "a\xc0\xaf.json",     /* an overlong '/' */
	        "a\xed\xa0\x80.json", /* a surrogate */
	        "a.yaml",
	        "a.csv",
	        "a.tsv",
	        "%41.csv",
	};
	struct relation relation = text_relation(1, false);

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		ck_assert_msg(kind_of(&relation, names[i]) == NAME_INVALID, "name %zu", i);
	relation = text_relation(2, false);
	ck_assert_int_eq(kind_of(&relation, "a.json"), NAME_INVALID);
	ck_assert_int_eq(kind_of(&relation, "a,b,c.json"), NAME_INVALID);
	ck_assert_int_eq(kind_of(&relation, "a,.json"), NAME_INVALID);
	ck_assert_int_eq(kind_of(&relation, "a,.b.json"), NAME_INVALID);
	ck_assert_int_eq(kind_of(&relation, "a,b.json"), NAME_ROW);
}
END_TEST

START_TEST(everything_else_is_scratch)
{
	static const char *const names[] = {
	        "42",      "42.json~",   "42.json.AbCdEf", "4913",      ".42.json.swp",
	        ".json",   ".a.yaml",    "#42.json#",      ".#42.json", "sedA1b2C3",
	        "42.JSON", "a.yaml.bak", "json",           "\xff",
	};
	struct relation relation = text_relation(1, false);

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		ck_assert_msg(kind_of(&relation, names[i]) == NAME_SCRATCH, "%s", names[i]);
}
END_TEST

static void check_typed(const struct type *type, const char *const *good, const char *const *bad)
{
	struct relation relation = typed_relation(type);
	char name[100];

	for (; *good; good++) {
		snprintf(name, sizeof(name), "%s.json", *good);
		ck_assert_msg(kind_of(&relation, name) == NAME_ROW, "%s", name);
	}
	for (; *bad; bad++) {
		snprintf(name, sizeof(name), "%s.json", *bad);
		ck_assert_msg(kind_of(&relation, name) == NAME_INVALID, "%s", name);
	}
}

START_TEST(keys_no_value_prints_as_are_refused)
{
	check_typed(&type_int2, (const char *[]){"0", "-1", "32767", "-32768", NULL},
	            (const char *[]){"32768", "-32769", "042", "-0", "+1", "1 ", "abc", "1.0", "%",
	                             "0x1", "-", "--1", NULL});
	check_typed(&type_int4, (const char *[]){"2147483647", "-2147483648", NULL},
	            (const char *[]){"2147483648", "-2147483649", "99999999999999999999999", NULL});
	check_typed(&type_int8,
	            (const char *[]){"9223372036854775807", "-9223372036854775808", NULL},
	            (const char *[]){"9223372036854775808", "-9223372036854775809", NULL});
	check_typed(&type_bool, (const char *[]){"t", "f", NULL},
	            (const char *[]){"true", "T", "1", "%", NULL});
	check_typed(&type_uuid, (const char *[]){"0123abcd-ef01-2345-6789-abcdef012345", NULL},
	            (const char *[]){"0123ABCD-ef01-2345-6789-abcdef012345",
	                             "0123abcdef0123456789abcdef012345",
	                             "0123abcd-ef01-2345-6789-abcdef01234",
	                             "0123abcd-ef01-2345-6789-abcdef0123456",
	                             "0123abcd-ef01-2345-6789-abcdef01234g", NULL});
}
END_TEST

/* A long key is cut at NAME_CUT bytes, or up to three before, and closed with its hash. The hash
 * is sha256sum's of "200:xxx…". */
START_TEST(long_names_are_cut_and_hashed)
{
	struct relation relation = text_relation(1, false);
	_cleanup_buf_ struct buf name = {0};
	_cleanup_cells_ struct cells key = {0};
	char part[201], hash[NAME_HASH_HEX + 1], expected[NAME_HASH_HEX + 1];
	struct cell cell;

	memset(part, 'x', 200);
	part[NAME_LONG - strlen(NAME_SUFFIX)] = '\0';
	cell = cell_of(part);
	name_print(&cell, 1, &name);
	ck_assert_uint_eq(name.len, NAME_LONG);
	ck_assert_int_eq(name_parse(&relation, name.data, &key, hash), NAME_ROW);
	ck_assert(cell_equal(key.at[0], cell));
	ck_assert(!name_is_hashed(name.data));

	buf_reset(&name);
	part[NAME_LONG - strlen(NAME_SUFFIX)] = 'x';
	part[200] = '\0';
	cell = cell_of(part);
	name_print(&cell, 1, &name);
	ck_assert_uint_eq(name.len, NAME_CUT + 2 + NAME_HASH_HEX + strlen(NAME_SUFFIX));
	name_hash(&cell, 1, expected);
	ck_assert_str_eq(expected,
	                 "dbb06b65ac611c7432c0d0441a8a0a16dfa4c6d5ed6bdb484fe7449763c8ca27");
	ck_assert_int_eq(name_parse(&relation, name.data, &key, hash), NAME_HASHED);
	ck_assert_str_eq(hash, expected);
	ck_assert(name_is_hashed(name.data));
}
END_TEST

/* sha256 of '1:a-:0:' and so on, so that parts cannot run together. */
START_TEST(hash_separates_parts)
{
	char hash[NAME_HASH_HEX + 1], other[NAME_HASH_HEX + 1];

	name_hash((struct cell[]){cell_of("a"), cell_of(NULL), cell_of("")}, 3, hash);
	ck_assert_str_eq(hash, "5c9cb9f60929ce33a42cbbcfe260172aea4c15dfeae74288ee59e7d3979e44a0");
	name_hash((struct cell[]){cell_of("ab"), cell_of("c")}, 2, hash);
	name_hash((struct cell[]){cell_of("a"), cell_of("bc")}, 2, other);
	ck_assert_str_ne(hash, other);
	name_hash((struct cell[]){cell_of("é")}, 1, hash);
	ck_assert_str_eq(hash, "2f23c71856587c2a6ffdb64f0e11e9940b35da318947308f6a02ee01898e6107");
}
END_TEST

/* Whatever stands at the cut, an escape or a character is never cut in two. */
START_TEST(cut_falls_between_units)
{
	static const char *const units[] = {"/", "é", "€", "🐘", "%", "\n"};
	static const size_t lengths[] = {3, 2, 3, 4, 3, 3};
	struct relation relation = text_relation(1, false);
	size_t offset = (size_t)_i % 5, kind = (size_t)_i / 5;
	_cleanup_buf_ struct buf part = {0}, name = {0};
	size_t kept;

	for (size_t i = 0; i < offset; i++)
		buf_addc(&part, 'x');
	for (size_t i = 0; i < 150; i++)
		buf_adds(&part, units[kind]);
	name_print(&(struct cell){part.data, part.len}, 1, &name);
	kept = strlen(name.data) - 2 - NAME_HASH_HEX - strlen(NAME_SUFFIX);
	ck_assert_uint_eq((kept - offset) % lengths[kind], 0);
	ck_assert_uint_le(kept, NAME_CUT);
	ck_assert_uint_gt(kept + lengths[kind], NAME_CUT);
	ck_assert_int_eq(kind_of(&relation, name.data), NAME_HASHED);
}
END_TEST

/* Only the name that name_print makes is the row. */
START_TEST(hashed_names_are_exact)
{
	struct relation relation = text_relation(2, false);
	struct column columns[2];
	char digits[65], name[400], prefix[200];

	memset(digits, 'a', 64);
	digits[64] = '\0';
	memset(prefix, 'x', sizeof(prefix));
#define WITH(len, text)                                                                            \
	(snprintf(name, sizeof(name), "%.*s%s", len, prefix, text),                                \
	 kind_of(&relation, strcat(strcat(name, digits), ".json")))
	ck_assert_int_eq(WITH(129, "%~"), NAME_HASHED);
	ck_assert_int_eq(WITH(126, "%~"), NAME_HASHED);
	ck_assert_int_eq(WITH(125, "%~"), NAME_INVALID);
	ck_assert_int_eq(WITH(130, "%~"), NAME_INVALID);
	ck_assert_int_eq(WITH(0, "%~"), NAME_INVALID);
	ck_assert_int_eq(WITH(128, ",%~"), NAME_HASHED);
	ck_assert_int_eq(WITH(127, ",y%~"), NAME_HASHED);
	ck_assert_int_eq(WITH(127, ",,%~"), NAME_INVALID);
	ck_assert_int_eq(WITH(125, ",a,b%~"), NAME_INVALID);
	ck_assert_int_eq(WITH(128, "%%~"), NAME_INVALID);
	ck_assert_int_eq(WITH(126, "%41%~"), NAME_INVALID);
	ck_assert_int_eq(WITH(126, "%2F%~"), NAME_HASHED);
	ck_assert_int_eq(WITH(127, "%2%~"), NAME_INVALID);
	ck_assert_int_eq(WITH(127, ",.%~"), NAME_INVALID);
	ck_assert_int_eq(WITH(127, "\xe2\x82%~"), NAME_INVALID);
	digits[10] = 'A';
	ck_assert_int_eq(WITH(129, "%~"), NAME_INVALID);
	digits[10] = 'g';
	ck_assert_int_eq(WITH(129, "%~"), NAME_INVALID);
	digits[63] = '\0';
	ck_assert_int_eq(WITH(129, "%~"), NAME_INVALID);
	digits[63] = digits[10] = 'a';
	/* No key of these columns has a long name. */
	columns[0] = columns[1] = (struct column){.type = &type_uuid};
	relation = sample_relation(columns, 2, text_parts, 2);
	ck_assert_int_eq(WITH(129, "%~"), NAME_INVALID);
	columns[1].type = &type_text;
	ck_assert_int_eq(WITH(129, "%~"), NAME_HASHED);
	relation = text_relation(2, false);
	/* Long, and not cut. */
	snprintf(name, sizeof(name), "%.*s,y.json", 194, prefix);
	ck_assert_int_eq(kind_of(&relation, name), NAME_INVALID);
	snprintf(name, sizeof(name), "%.*s,y.json", 193, prefix);
	ck_assert_int_eq(kind_of(&relation, name), NAME_ROW);
#undef WITH
}
END_TEST

START_TEST(directories_keep_their_commas)
{
	_cleanup_buf_ struct buf name = {0};

	name_print_directory(".a,b/c%d.e\n", &name);
	ck_assert_str_eq(name.data, "%2Ea,b%2Fc%25d.e%0A");
}
END_TEST

/* Characters that names treat specially, and some of every length. */
static void add_random_character(uint64_t *random, struct buf *out)
{
	static const char *const special[] = {
	        "/", "%",        ",", ".", "%-", "%~",   "\x01",  "\x1f",  "\n", "\x7f", "é",  "€",
	        "🐘", "\xc2\x80", "~", " ", "\\", "json", ".json", ".yaml", "0",  "%2F",  "%41"};
	size_t n = sizeof(special) / sizeof(*special);
	size_t pick = random_below(random, 2 * n);

	if (pick < n)
		buf_adds(out, special[pick]);
	else
		buf_addc(out, (char)('a' + random_below(random, 26)));
}

static size_t random_length(uint64_t *random)
{
	static const size_t limits[] = {1, 3, 12, 40, 120, 700};

	return random_below(random, limits[random_below(random, 6)] + 1);
}

static void random_key(uint64_t *random, size_t n, struct cells *ret)
{
	struct buf parts[4] = {0};
	struct cell cells[4] = {{0}};

	for (size_t i = 0; i < n; i++) {
		for (size_t left = random_length(random); left > 0; left--)
			add_random_character(random, &parts[i]);
		cells[i] = parts[i].data             ? (struct cell){parts[i].data, parts[i].len}
		           : random_below(random, 2) ? cell_of(NULL)
		                                     : cell_of("");
	}
	ck_assert_int_eq(cells_copy(cells, n, ret), 0);
	for (size_t i = 0; i < n; i++)
		buf_done(&parts[i]);
}

enum { KEYS = 20000 };

struct named {
	char *name;
	struct cells key;
};

static int compare_named(const void *a, const void *b)
{
	return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

static void check_round_trip(const struct relation *relation, struct named *named)
{
	_cleanup_cells_ struct cells parsed = {0};
	char hash[NAME_HASH_HEX + 1], expected[NAME_HASH_HEX + 1];
	enum name_kind kind = name_parse(relation, named->name, &parsed, hash);

	ck_assert_uint_le(strlen(named->name), NAME_LONG);
	if (kind == NAME_HASHED) {
		name_hash(named->key.at, named->key.n, expected);
		ck_assert_str_eq(hash, expected);
		return;
	}
	ck_assert_msg(kind == NAME_ROW, "%s", named->name);
	ck_assert_msg(cells_equal(&parsed, &named->key), "%s", named->name);
}

/* Every key comes back from its name, and no two keys share one. */
START_TEST(random_keys_round_trip)
{
	struct named *all = calloc(KEYS, sizeof(*all));
	uint64_t random = random_seed() + (uint64_t)_i;
	size_t n = (size_t)_i;
	struct relation relation = text_relation(n, true);

	for (size_t i = 0; i < KEYS; i++) {
		struct buf name = {0};

		random_key(&random, n, &all[i].key);
		name_print(all[i].key.at, n, &name);
		all[i].name = buf_steal(&name);
		check_round_trip(&relation, &all[i]);
	}
	qsort(all, KEYS, sizeof(*all), compare_named);
	for (size_t i = 1; i < KEYS; i++)
		if (strcmp(all[i - 1].name, all[i].name) == 0)
			ck_assert_msg(cells_equal(&all[i - 1].key, &all[i].key), "%s", all[i].name);
	for (size_t i = 0; i < KEYS; i++) {
		free(all[i].name);
		cells_done(&all[i].key);
	}
	free(all);
}
END_TEST

/* A name that is one, with one byte changed: either no row, or one that prints as this name. */
START_TEST(accepted_names_are_canonical)
{
	uint64_t random = random_seed() + 99;
	struct relation relation = text_relation(2, true);
	size_t rows = 0;

	for (size_t i = 0; i < KEYS; i++) {
		_cleanup_cells_ struct cells key = {0}, parsed = {0};
		_cleanup_buf_ struct buf name = {0}, again = {0};
		char hash[NAME_HASH_HEX + 1];

		random_key(&random, 2, &key);
		name_print(key.at, 2, &name);
		name.data[random_below(&random, name.len)] =
		        "%,.-~2FfA/\x01z"[random_below(&random, 12)];
		if (name_parse(&relation, name.data, &parsed, hash) != NAME_ROW)
			continue;
		rows++;
		name_print(parsed.at, parsed.n, &again);
		ck_assert_str_eq(again.data, name.data);
	}
	ck_assert_uint_gt(rows, KEYS / 20);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("name");
	TCase *test = tcase_create("name"), *property = tcase_create("property");

	tcase_add_test(test, parts_are_spelled_as_documented);
	tcase_add_test(test, parts_join_with_commas);
	tcase_add_test(test, rows_without_a_key_are_named_by_ctid);
	tcase_add_test(test, other_spellings_are_no_rows);
	tcase_add_test(test, everything_else_is_scratch);
	tcase_add_test(test, keys_no_value_prints_as_are_refused);
	tcase_add_test(test, long_names_are_cut_and_hashed);
	tcase_add_test(test, hash_separates_parts);
	tcase_add_loop_test(test, cut_falls_between_units, 0, 30);
	tcase_add_test(test, hashed_names_are_exact);
	tcase_add_test(test, directories_keep_their_commas);
	suite_add_tcase(suite, test);
	/* Slow under valgrind. */
	tcase_set_timeout(property, 120);
	tcase_add_loop_test(property, random_keys_round_trip, 1, 5);
	tcase_add_test(property, accepted_names_are_canonical);
	suite_add_tcase(suite, property);
	return suite_run(suite);
}
