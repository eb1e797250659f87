#include "rowfs/model/json.h"

#include <errno.h>
#include <string.h>

#include "rowfs/model/diff.h"

#include "failing.h"
#include "sample.h"
#include "suite.h"

/* A relation of one nullable column "c" of a type. */
static struct column one_column;
static struct key_part one_part;

static struct relation one(const struct type *type)
{
	one_column = (struct column){.name = (char *)"c", .type = type};
	return sample_relation(&one_column, 1, &one_part, 0);
}

/* The value as it stands in the text. */
static char *print_one(const struct type *type, struct cell cell)
{
	struct relation relation = one(type);
	struct buf out = {0};
	size_t head = strlen("{\n  \"c\": "), tail = strlen("\n}\n");

	json_print(&relation, &cell, &out);
	ck_assert(!out.failed);
	ck_assert_mem_eq(out.data, "{\n  \"c\": ", head);
	ck_assert_str_eq(out.data + out.len - tail, "\n}\n");
	memmove(out.data, out.data + head, out.len - head - tail);
	out.data[out.len - head - tail] = '\0';
	return out.data;
}

static int parse_one(const struct type *type, const char *value, struct patch *ret, struct error *e)
{
	struct relation relation = one(type);
	_cleanup_buf_ struct buf text = {0};

	buf_addf(&text, "{\"c\":%s}", value);
	return json_parse(&relation, text.data, text.len, ret, e);
}

static void check_parse(const struct type *type, const char *value, const char *expected)
{
	_cleanup_patch_ struct patch patch = {0};
	struct error e = {0};

	ck_assert_msg(parse_one(type, value, &patch, &e) == 0, "%s: %s", value, e.message);
	ck_assert(patch.present[0]);
	if (!expected) {
		ck_assert_ptr_null(patch.cells[0].data);
		return;
	}
	ck_assert_ptr_nonnull(patch.cells[0].data);
	ck_assert_str_eq(patch.cells[0].data, expected);
	ck_assert_uint_eq(patch.cells[0].len, strlen(expected));
}

/* PostgreSQL's text, its place in a row's text, and back to something of the same value. */
static void check_both(const struct type *type, const char *cell, const char *value)
{
	_cleanup_patch_ struct patch patch = {0};
	_cleanup_free_ char *printed = print_one(type, cell_of(cell));
	struct error e = {0};

	ck_assert_str_eq(printed, value);
	ck_assert_msg(parse_one(type, value, &patch, &e) == 0, "%s: %s", value, e.message);
	ck_assert_msg(json_same_value(type, cell_of(cell), patch.cells[0]), "%s became %s", cell,
	              patch.cells[0].data);
}

/* A row that is printed and read back says the same, byte for byte; for json the cell is the same. */
static void check_exact(const struct type *type, const char *text)
{
	_cleanup_buf_ struct buf printed = {0}, again = {0};
	_cleanup_patch_ struct patch patch = {0};
	struct relation relation = one(type);
	struct cell cell = cell_of(text);
	struct error e = {0};

	json_print(&relation, &cell, &printed);
	ck_assert_msg(json_parse(&relation, printed.data, printed.len, &patch, &e) == 0, "%s: %s",
	              printed.data, e.message);
	if (type->kind == TYPE_JSON)
		ck_assert_str_eq(patch.cells[0].data, text);
	json_print(&relation, patch.cells, &again);
	ck_assert_str_eq(again.data, printed.data);
}

START_TEST(a_row_is_laid_out_as_documented)
{
	struct column columns[] = {
	        SAMPLE_COLUMN("id", int8),       SAMPLE_COLUMN("big", int8),
	        SAMPLE_COLUMN("attrs", jsonb),   SAMPLE_COLUMN("doc", json),
	        SAMPLE_COLUMN("tags", texts),    SAMPLE_COLUMN("no\"te", text),
	        SAMPLE_COLUMN("price", numeric), SAMPLE_COLUMN("ok", bool),
	};
	struct relation relation = sample_relation(columns, 8, &one_part, 1);
	struct cell cells[] = {
	        cell_of("42"),
	        cell_of("9007199254740993"),
	        cell_of("{\"a\": 1, \"b\": [], \"c\": {\"d\": [1, {}]}}"),
	        cell_of("{\"verbatim\":  \"json\n text\"}"),
	        cell_of("{a,NULL,\"b c\"}"),
	        cell_of(NULL),
	        cell_of("12.50"),
	        cell_of("t"),
	};
	_cleanup_buf_ struct buf out = {0};

	json_print(&relation, cells, &out);
	ck_assert_str_eq(out.data, "{\n"
	                           "  \"id\": 42,\n"
	                           "  \"big\": \"9007199254740993\",\n"
	                           "  \"attrs\": {\n"
	                           "    \"a\": 1,\n"
	                           "    \"b\": [],\n"
	                           "    \"c\": {\n"
	                           "      \"d\": [\n"
	                           "        1,\n"
	                           "        {}\n"
	                           "      ]\n"
	                           "    }\n"
	                           "  },\n"
	                           "  \"doc\": {\"verbatim\":  \"json\n text\"},\n"
	                           "  \"tags\": [\"a\", null, \"b c\"],\n"
	                           "  \"no\\\"te\": null,\n"
	                           "  \"price\": 12.50,\n"
	                           "  \"ok\": true\n"
	                           "}\n");
	relation.n_columns = 0;
	buf_reset(&out);
	json_print(&relation, cells, &out);
	ck_assert_str_eq(out.data, "{}\n");
}
END_TEST

START_TEST(numbers_are_bare_where_a_double_carries_them)
{
	check_both(&type_int8, "0", "0");
	check_both(&type_int8, "-42", "-42");
	check_both(&type_int8, "9007199254740992", "9007199254740992");
	check_both(&type_int8, "-9007199254740992", "-9007199254740992");
	check_both(&type_int8, "9007199254740993", "\"9007199254740993\"");
	check_both(&type_int8, "-9223372036854775808", "\"-9223372036854775808\"");
	check_both(&type_numeric, "123456789012345", "123456789012345");
	check_both(&type_numeric, "1234567890123456", "\"1234567890123456\"");
	check_both(&type_numeric, "1.50", "1.50");
	check_both(&type_numeric, "100000000000000.0", "\"100000000000000.0\"");
	check_both(&type_numeric, "0.000000000000000012345", "0.000000000000000012345");
	check_both(&type_numeric, "-0.1234567890123450", "\"-0.1234567890123450\"");
	check_both(&type_numeric, "0.00", "0.00");
	check_both(&type_numeric, "NaN", "\"NaN\"");
	check_both(&type_numeric, "-Infinity", "\"-Infinity\"");
	check_both(&type_float8, "1e+20", "1e+20");
	check_both(&type_float8, "-0", "-0");
	check_both(&type_float8, "1.7976931348623157e+308", "1.7976931348623157e+308");
	check_both(&type_float8, "0.30000000000000004", "0.30000000000000004");
	check_both(&type_float8, "Infinity", "\"Infinity\"");
	check_both(&type_float8, "NaN", "\"NaN\"");
	check_both(&type_numeric, "+1", "\"+1\""); /* no number in JSON's grammar */
	check_both(&type_numeric, "01", "\"01\"");
	check_both(&type_numeric, ".5", "\".5\"");
	check_both(&type_numeric, "1.", "\"1.\"");
}
END_TEST

/* One digit and 330 zeros: a double would make it 0 (or, below 1e308, lose it on the way). */
START_TEST(tiny_numerics_are_strings)
{
	char digits[400], value[420];

	snprintf(digits, sizeof(digits), "0.%0330d", 1);
	snprintf(value, sizeof(value), "\"%s\"", digits);
	check_both(&type_numeric, digits, value);
}
END_TEST

START_TEST(strings_escape_only_what_they_must)
{
	check_both(&type_text, "", "\"\"");
	check_both(&type_text, "plain", "\"plain\"");
	check_both(&type_text, "q\" b\\ s/ \b\f\n\r\t", "\"q\\\" b\\\\ s/ \\b\\f\\n\\r\\t\"");
	check_both(&type_text, "\x01\x1f\x7f", "\"\\u0001\\u001f\x7f\"");
	check_both(&type_text, "é€🐘\xe2\x80\xa8", "\"é€🐘\xe2\x80\xa8\"");
	check_both(&type_text, "null", "\"null\"");
	check_both(&type_text, "\\x00ff", "\"\\\\x00ff\"");
	check_both(&type_bool, "t", "true");
	check_both(&type_bool, "f", "false");
	check_both(&type_bool, NULL, "null");
}
END_TEST

START_TEST(json_is_verbatim_and_jsonb_indented)
{
	check_both(&type_json, "{\"a\" :1,\n\"a\":2 }", "{\"a\" :1,\n\"a\":2 }");
	check_both(&type_json, " [1 ]\n", " [1 ]\n");
	check_both(&type_json, "\"\\u0000\"", "\"\\u0000\"");
	check_both(&type_json, "1e400", "1e400");
	check_both(&type_jsonb, "[]", "[]");
	check_both(&type_jsonb, "{}", "{}");
	check_both(&type_jsonb, "\"a, b: {}[]\\\" \"", "\"a, b: {}[]\\\" \"");
	check_both(&type_jsonb, "[1, [], \"x\"]", "[\n    1,\n    [],\n    \"x\"\n  ]");
	check_both(&type_jsonb, "{\"a, \\\"b\": [{}, [[]]]}",
	           "{\n    \"a, \\\"b\": [\n      {},\n      [\n        []\n      ]\n    ]\n  }");
}
END_TEST

START_TEST(json_null_is_wrapped)
{
	static const struct type *const types[] = {&type_json, &type_jsonb};

	for (size_t i = 0; i < 2; i++) {
		check_both(types[i], "null", "{\"%\": null}");
		check_both(types[i], NULL, "null");
		check_both(types[i], "\"%\"", "\"%\"");
		check_parse(types[i], "{\"%\": null}", "null");
		check_parse(types[i], " {\"%\" : [ 1 ]}", "[ 1 ]");
		check_parse(types[i], "{\"%\": {\"%\": 1}}", "{\"%\": 1}");
		check_parse(types[i], "{\"\\u0025\": 5}", "5");
		check_parse(types[i], "{\"%\": 1, \"b\": 2}", "{\"%\": 1, \"b\": 2}");
		check_parse(types[i], "{\"b\": 2, \"%\": 1}", "{\"b\": 2, \"%\": 1}");
		check_parse(types[i], "[{\"%\": 1}]", "[{\"%\": 1}]");
		check_parse(types[i], "{\"a\": {\"%\": null}}", "{\"a\": {\"%\": null}}");
	}
	check_both(&type_json, "{\"%\":1}", "{\"%\": {\"%\":1}}");
	check_both(&type_json, "{\"\\u0025\": 1}", "{\"%\": {\"\\u0025\": 1}}");
	check_both(&type_json, " null ", "{\"%\":  null }");
	check_both(&type_json, "{\"%\":{\"a\":[1,2]}}", "{\"%\": {\"%\":{\"a\":[1,2]}}}");
	check_both(&type_json, "{\"%\":1,\"%\":2}", "{\"%\":1,\"%\":2}");
	check_both(&type_jsonb, "{\"%\": 1}", "{\"%\": {\n    \"%\": 1\n  }}");
	check_both(&type_jsonb, "{\"%\": {\"%\": null}}",
	           "{\"%\": {\n    \"%\": {\n      \"%\": null\n    }\n  }}");
	check_both(&type_jsonb, "{\"a\": null}", "{\n    \"a\": null\n  }");
}
END_TEST

START_TEST(arrays_nest_for_dimensions)
{
	check_both(&type_texts, "{}", "[]");
	check_both(&type_texts, "{a,NULL,\"NULL\",\"\",\"b c\",\"q\\\"\\\\\"}",
	           "[\"a\", null, \"NULL\", \"\", \"b c\", \"q\\\"\\\\\"]");
	check_both(&type_texts, "{{a,b},{c,NULL}}", "[[\"a\", \"b\"], [\"c\", null]]");
	check_both(&type_texts, "{\"a\nb\",é}", "[\"a\\nb\", \"é\"]");
	check_both(&type_int8s, "{1,-2,9007199254740993}", "[1, -2, \"9007199254740993\"]");
	check_both(&type_int8s, "{{{1},{2}},{{3},{4}}}", "[[[1], [2]], [[3], [4]]]");
	check_both(&type_float8s, "{1.5,NaN,-Infinity}", "[1.5, \"NaN\", \"-Infinity\"]");
	check_both(&type_bools, "{t,f,NULL}", "[true, false, null]");
	check_both(&type_boxes, "{(1,1),(0,0);(2,2),(1,1)}", "[\"(1,1),(0,0)\", \"(2,2),(1,1)\"]");
	check_both(&type_domains, "{\"{1,2}\",NULL,\"{}\"}", "[\"{1,2}\", null, \"{}\"]");
	check_both(&type_texts, NULL, "null");
}
END_TEST

START_TEST(arrays_that_do_not_fit_are_literals)
{
	check_both(&type_int8s, "[0:1]={1,2}", "\"[0:1]={1,2}\"");
	check_both(&type_int8s, "[-1:0][2:3]={{1,2},{3,4}}", "\"[-1:0][2:3]={{1,2},{3,4}}\"");
	check_both(&type_int8s, "1 2 3", "\"1 2 3\""); /* int2vector */
	check_both(&type_jsonbs, "{{1,2},{3,4}}", "\"{{1,2},{3,4}}\"");
	check_both(&type_texts, "{a,", "\"{a,\"");
	check_both(&type_texts, "{a}b", "\"{a}b\"");
	check_both(&type_texts, "", "\"\"");
	check_parse(&type_texts, "\"{a,b}\"", "{a,b}");
}
END_TEST

START_TEST(arrays_of_json_stay_on_a_line)
{
	check_both(&type_jsonbs, "{\"{\\\"a\\\": [1, 2]}\",NULL,\"null\",1,\"\\\"x\\\"\"}",
	           "[{\"a\": [1, 2]}, null, {\"%\": null}, 1, \"x\"]");
	check_both(&type_jsonbs, "{\"{\\\"%\\\": 1}\",\"[]\"}", "[{\"%\": {\"%\": 1}}, []]");
	check_both(&type_jsons, "{\"{\\\"a\\\" :\\\"\\\\\\\\\\\"}\"}", "[{\"a\" :\"\\\\\"}]");
	check_parse(&type_jsonbs, "[[1,[2]], {\"%\":null}, true, null]",
	            "{\"[1,[2]]\",\"null\",\"true\",NULL}");
}
END_TEST

START_TEST(array_literals_are_quoted_for_the_server)
{
	check_parse(&type_texts, "[ \"a\" , null,\"NULL\", \"\"]", "{\"a\",NULL,\"NULL\",\"\"}");
	check_parse(&type_texts, "[\"\\\"\\\\,{}\"]", "{\"\\\"\\\\,{}\"}");
	check_parse(&type_boxes, "[\"(1,1),(0,0)\",\"(2,2),(1,1)\"]",
	            "{\"(1,1),(0,0)\";\"(2,2),(1,1)\"}");
	check_parse(&type_int8s, "[[1],[\"2\"],[null]]", "{{1},{\"2\"},{NULL}}");
	check_parse(&type_bools, "[true,false,null]", "{t,f,NULL}");
	check_parse(&type_int8s, "[]", "{}");
	check_parse(&type_float8s, "[1e5, -0]", "{1e5,-0}");
}
END_TEST

/* Deep values keep to a bounded indent, and come back. */
START_TEST(deep_jsonb_is_not_indented_without_end)
{
	enum { DEPTH = 5000 };
	_cleanup_buf_ struct buf deep = {0};
	_cleanup_patch_ struct patch patch = {0};
	_cleanup_free_ char *printed = NULL;
	struct error e;

	for (int i = 0; i < DEPTH; i++)
		buf_adds(&deep, "[");
	for (int i = 0; i < DEPTH; i++)
		buf_adds(&deep, "]");
	printed = print_one(&type_jsonb, (struct cell){deep.data, deep.len});
	ck_assert_uint_lt(strlen(printed), 3 * DEPTH + 2 * 64 * 64 * 2);
	ck_assert_int_eq(parse_one(&type_jsonb, printed, &patch, &e), 0);
	ck_assert(json_same_value(&type_jsonb, patch.cells[0], (struct cell){deep.data, deep.len}));
}
END_TEST

START_TEST(both_forms_of_numbers_are_taken)
{
	check_parse(&type_int8, "42", "42");
	check_parse(&type_int8, "\"42\"", "42");
	check_parse(&type_int8, "1.0", "1.0");
	check_parse(&type_int8, "9007199254740993", "9007199254740993");
	check_parse(&type_numeric, "123456789012345678901234567890.0123456789",
	            "123456789012345678901234567890.0123456789");
	check_parse(&type_numeric, "-1.50E+3", "-1.50E+3");
	check_parse(&type_numeric, "\"NaN\"", "NaN");
	check_parse(&type_float8, "\"not a number, says the server\"",
	            "not a number, says the server");
}
END_TEST

START_TEST(strings_are_decoded)
{
	check_parse(&type_text, "\"\\u0041\\u00e9\\u20ac\\ud83d\\udc18\"", "Aé€🐘");
	check_parse(&type_text, "\"\\uD83D\\uDC18\"", "🐘");
	check_parse(&type_text, "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t");
	check_parse(&type_text, "\"\\\\u0000\"", "\\u0000");
	check_parse(&type_text, "\"\\\\\\\\ud800\"", "\\\\ud800");
	check_parse(&type_text, "\"\"", "");
	check_parse(&type_text, "null", NULL);
	check_parse(&type_jsonb, "\"\\ud83d\\udc18\"", "\"\\ud83d\\udc18\"");
}
END_TEST

static const struct refusal {
	const char *text;
	unsigned line, column;
	const char *field, *message, *hint;
} refusals[] = {
        {"", 1, 1, "", "ends before", ""},
        {" \n ", 2, 2, "", "ends before", ""},
        {"{", 1, 2, "", "ends before", ""},
        {"{\"id\": 1", 1, 9, "id", "ends before", ""},
        {"{\"id\": ", 1, 8, "id", "ends before", ""},
        {"{\"name\": \"x", 1, 12, "name", "ends before", ""},
        {"[1]", 1, 1, "", "one JSON object", ""},
        {"42", 1, 1, "", "one JSON object", ""},
        {"\"x\"", 1, 1, "", "one JSON object", ""},
        {"\xef\xbb\xbf{}", 1, 1, "", "BOM", ""},
        {"{}x", 1, 3, "", "trailing garbage", ""},
        {"{}\n{}", 2, 1, "", "trailing garbage", ""},
        {"{\"id\" 1}", 1, 7, "id", "colon", ""},
        {"{\"id\": 1,}", 1, 10, "", "comma before this bracket", ""},
        {"{\"id\": 1,\n}", 2, 1, "", "comma before this bracket", ""},
        {"{\"tags\": [\"a\", ]}", 1, 16, "tags", "comma before this bracket", ""},
        {"{\"id\": 1,, \"name\": 1}", 1, 10, "", "object key", ""},
        {"{\"id\": 1\n \"name\": 1}", 2, 2, "", "','", ""},
        {"{id: 1}", 1, 2, "", "invalid char", ""},
        {"{\"id\": 'x'}", 1, 8, "id", "invalid char", ""},
        {"{\"id\": 01}", 1, 9, "", "','", ""},
        {"{\"id\": 1.}", 1, 8, "id", "digit", ""},
        {"{\"id\": tru}", 1, 8, "id", "invalid", ""},
        {"{\"id\": NaN}", 1, 8, "id", "invalid char", ""},
        {"{\"name\": \"é\\q\"}", 1, 13, "name", "'\\'", ""},
        {"{\"name\": \"a\nb\"}", 1, 12, "name", "invalid character inside string", ""},
        {"{\"name\": \"a\x01\"}", 1, 12, "name", "control character", ""},
        {"{\"id\":\v1}", 1, 7, "id", "control character", ""},
        {"{\"name\": \"é\xff\"}", 1, 12, "name", "UTF-8", ""},
        {"{\"name\": \"\xed\xa0\x80\"}", 1, 11, "name", "UTF-8", ""},
        {"{\"name\": \"\xc0\x80\"}", 1, 11, "name", "UTF-8", ""},
        {"{\"name\": \"\xf4\x90\x80\x80\"}", 1, 11, "name", "UTF-8", ""},
        {"{\"id\": 1 /* one */}", 1, 10, "", "comment", ""},
        {"{\"id\":/*1*/1}", 1, 7, "id", "comment", ""},
        {"{\n\"id\": 1,\n\"id\": 1}", 3, 1, "id", "twice", ""},
        {"{\"id\": 1, \"\\u0069d\": 1}", 1, 11, "id", "twice", ""},
        {"{\"nmae\": 1}", 1, 2, "", "public.sample has no column \"nmae\"",
         "Did you mean \"name\"?"},
        {"{\"Name\": 1}", 1, 2, "", "no column \"Name\"", "Did you mean \"name\"?"},
        {"{\"doc_\": 1}", 1, 2, "", "no column", "Did you mean \"doc\"?"},
        {"{\"unrelated\": 1}", 1, 2, "", "no column", ""},
        {"{\"\": 1}", 1, 2, "", "no column \"\"", ""},
        {"{\"é\": 1,\n \"n\\u0000ame\": 1}", 1, 2, "", "no column \"é\"", ""},
        {"{\"n\\u0000ame\": 1}", 1, 4, "", "NUL", ""},
        {"{\"\\ud800\": 1}", 1, 3, "", "surrogate", ""},
        {"{\"name\": 1}", 1, 10, "name", "column \"name\" takes a string or null, not a number",
         "Put the value in double quotes."},
        {"{\"name\": true}", 1, 10, "name", "a string or null, not true or false",
         "Put the value in double quotes."},
        {"{\"name\": {}}", 1, 10, "name", "not an object", ""},
        {"{\"name\": [\"a\"]}", 1, 10, "name", "not an array", ""},
        {"{\"id\": true}", 1, 8, "id", "column \"id\" takes a number, not true or false", ""},
        {"{\"id\": [1]}", 1, 8, "id", "a number, not an array", ""},
        {"{\"ok\": \"t\"}", 1, 8, "ok", "true or false or null, not a string",
         "Write true or false without quotes."},
        {"{\"ok\": 1}", 1, 8, "ok", "not a number", ""},
        {"{\"tags\": {\"a\": 1}}", 1, 10, "tags", "an array or null, not an object", ""},
        {"{\"tags\": 1}", 1, 10, "tags", "an array or null, not a number", ""},
        {"{\"tags\": [\"a\", 1]}", 1, 16, "tags",
         "an element of column \"tags\" takes a string or null, not a number",
         "Put the value in double quotes."},
        {"{\"tags\": [\"a\", {}]}", 1, 16, "tags", "not an object", ""},
        {"{\"tags\": [[\"a\"], \"b\"]}", 1, 18, "tags", "nested equally", ""},
        {"{\"tags\": [\"b\", [\"a\"]]}", 1, 16, "tags", "nested equally", ""},
        {"{\"tags\": [[\"a\"], null]}", 1, 18, "tags", "nested equally", ""},
        {"{\"tags\": [\"\\u0000\"]}", 1, 12, "tags", "NUL", ""},
        {"{\"name\": \"a\\u0000\"}", 1, 12, "name", "NUL", ""},
        {"{\"name\": \"\\ud83d\"}", 1, 11, "name", "surrogate", ""},
        {"{\"name\": \"\\udc18\"}", 1, 11, "name", "surrogate", ""},
        {"{\"name\": \"\\udc18\\udc18\"}", 1, 11, "name", "surrogate", ""},
        {"{\"name\": \"\\ud83dx\"}", 1, 11, "name", "surrogate", ""},
        {"{\"name\": \"\\ud83d\\u0041\"}", 1, 11, "name", "surrogate", ""},
        {"{\"name\": \"\\ud83d\\ud83d\\udc18\"}", 1, 11, "name", "surrogate", ""},
        {"{\"doc\": {\"a\": [\"\\udfff\"]}}", 1, 17, "doc", "surrogate", ""},
        {"{\"doc\": {\"\\ud800\": 1}}", 1, 11, "doc", "surrogate", ""},
        {"{\"attrs\": \"\\u0000\"}", 1, 12, "attrs", "NUL", ""},
        {"{\"attrs\": {\"\\u0000\": 1}}", 1, 13, "attrs", "NUL", ""},
        {"{\"attrs\": {\"a\": 1,}}", 1, 19, "attrs", "comma before this bracket", ""},
        {"{\"name\": \"🐘🐘\", \"x\": 1}", 1, 16, "", "no column", ""},
};

static struct column table_columns[] = {
        SAMPLE_COLUMN("id", int4, .not_null = true),
        SAMPLE_COLUMN("name", text),
        SAMPLE_COLUMN("ok", bool),
        SAMPLE_COLUMN("tags", texts),
        SAMPLE_COLUMN("doc", json),
        SAMPLE_COLUMN("attrs", jsonb),
};

static struct relation table(void)
{
	static struct key_part part;

	return sample_relation(table_columns, 6, &part, 1);
}

START_TEST(refusals_name_place_and_reason)
{
	const struct refusal *expected = &refusals[_i];
	struct relation relation = table();
	struct patch patch = {.memory = &relation};
	struct error e = {0};
	int r = json_parse(&relation, expected->text, strlen(expected->text), &patch, &e);

	ck_assert_int_eq(r, -EINVAL);
	ck_assert_int_eq(e.err, EINVAL);
	ck_assert_msg(strstr(e.message, expected->message), "%s: %s", expected->text, e.message);
	ck_assert_msg(e.line == expected->line && e.column == expected->column, "%s: %u:%u, %s",
	              expected->text, e.line, e.column, e.message);
	ck_assert_msg(strcmp(e.field, expected->field) == 0, "%s: field %s", expected->text,
	              e.field);
	ck_assert_msg(strcmp(e.hint, expected->hint) == 0, "%s: hint %s", expected->text, e.hint);
	ck_assert_ptr_eq(patch.memory, &relation);
	ck_assert_int_eq(
	        json_parse(&relation, expected->text, strlen(expected->text), &patch, NULL),
	        -EINVAL);
}
END_TEST

START_TEST(nul_bytes_are_refused)
{
	static const char text[] = "{\"name\": \"a\0b\"}";
	struct relation relation = table();
	struct patch patch;
	struct error e;

	ck_assert_int_eq(json_parse(&relation, text, sizeof(text) - 1, &patch, &e), -EINVAL);
	ck_assert(strstr(e.message, "NUL byte"));
	ck_assert_uint_eq(e.column, 12);
	ck_assert_int_eq(json_progress(text, sizeof(text) - 1), JSON_BROKEN);
}
END_TEST

START_TEST(depth_is_limited)
{
	enum { LIMIT = 10000 };
	struct relation relation = table();
	_cleanup_buf_ struct buf text = {0};
	_cleanup_patch_ struct patch patch = {0};
	struct error e;

	buf_adds(&text, "{\"doc\": ");
	for (int i = 0; i < LIMIT - 1 + _i; i++)
		buf_addc(&text, '[');
	for (int i = 0; i < LIMIT - 1 + _i; i++)
		buf_addc(&text, ']');
	buf_addc(&text, '}');
	if (_i == 0) {
		ck_assert_int_eq(json_parse(&relation, text.data, text.len, &patch, &e), 0);
		ck_assert_uint_eq(patch.cells[4].len, 2 * (LIMIT - 1));
		return;
	}
	ck_assert_int_eq(json_parse(&relation, text.data, text.len, &patch, &e), -EINVAL);
	ck_assert(strstr(e.message, "too deep"));
	ck_assert_uint_eq(e.column, 9 + LIMIT - 1);
	ck_assert_str_eq(e.field, "doc");
}
END_TEST

START_TEST(places_of_values_are_kept)
{
	static const char text[] = "{\n  \"name\": \"é\", \"id\": 1,\n\n\t\"doc\":\n [\n1]}";
	struct relation relation = table();
	_cleanup_patch_ struct patch patch = {0};
	struct error e;

	ck_assert_int_eq(json_parse(&relation, text, strlen(text), &patch, &e), 0);
	ck_assert(patch.present[0] && patch.present[1] && !patch.present[2] && !patch.present[3]);
	ck_assert_uint_eq(patch.line[1], 2);
	ck_assert_uint_eq(patch.column[1], 11);
	ck_assert_uint_eq(patch.line[0], 2);
	ck_assert_uint_eq(patch.column[0], 22);
	ck_assert_uint_eq(patch.line[4], 5);
	ck_assert_uint_eq(patch.column[4], 2);
	ck_assert_str_eq(patch.cells[4].data, "\n [\n1]");
}
END_TEST

START_TEST(json_keeps_the_white_space_around_it)
{
	static const char *const values[] = {"  1", "1 ", "\t{\"a\": 1}\r\n", "\n[ ]\n", " null ",
	                                     "\n {\"%\": 1} \n"};
	static const char *const arrays[] = {"{\" 1 \",\"\n{ }\",\"  null\"}", "{\"  [ ] \"}"};

	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++)
		check_exact(&type_json, values[i]);
	for (size_t i = 0; i < sizeof(arrays) / sizeof(*arrays); i++)
		check_exact(&type_jsons, arrays[i]);
	/* Not what a person's layout adds: one space after a colon or comma, a newline at the end. */
	check_parse(&type_json, "{\"a\": 1}\n", "{\"a\": 1}");
	check_parse(&type_jsonb, "  {\"a\": 1}  ", "{\"a\": 1}");
}
END_TEST

START_TEST(an_object_without_columns_is_a_patch)
{
	struct relation relation = table();
	_cleanup_patch_ struct patch patch = {0};
	struct error e;

	ck_assert_int_eq(json_parse(&relation, " {\r\n\t} ", 7, &patch, &e), 0);
	for (size_t i = 0; i < relation.n_columns; i++)
		ck_assert(!patch.present[i]);
}
END_TEST

START_TEST(progress_of_a_text)
{
	static const struct {
		const char *text;
		enum json_progress progress;
	} cases[] = {
	        {"", JSON_EMPTY},
	        {" \n\t\r", JSON_EMPTY},
	        {"{", JSON_INCOMPLETE},
	        {" {\"a\": [1, {\"b\"", JSON_INCOMPLETE},
	        {"{\"a\": tr", JSON_INCOMPLETE},
	        {"{\"a\": -", JSON_INCOMPLETE},
	        {"{\"a\": \"\\u00", JSON_INCOMPLETE},
	        {"{\"a\": \"\xf0\x9f", JSON_INCOMPLETE},
	        {"{\"}", JSON_INCOMPLETE},
	        {"{\"a\": 1}", JSON_COMPLETE},
	        {"{}\n", JSON_COMPLETE},
	        {"{\"a\": \"}\"}  \n", JSON_COMPLETE},
	        {"{}{", JSON_BROKEN},
	        {"{} x", JSON_BROKEN},
	        {"[", JSON_BROKEN},
	        {"hello", JSON_BROKEN},
	        {"{\"a\" 1 ", JSON_BROKEN},
	        {"{a", JSON_BROKEN},
	        {"{\"a\": 1,}", JSON_BROKEN},
	        {"{\"a\": \"\xf0\x9fx", JSON_BROKEN},
	        {"{\"a\": \"\n", JSON_BROKEN},
	        {"{\"a\":\f", JSON_BROKEN},
	        {"\xef\xbb\xbf{}", JSON_BROKEN},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		ck_assert_msg(json_progress(cases[i].text, strlen(cases[i].text)) ==
		                      cases[i].progress,
		              "%s", cases[i].text);
}
END_TEST

START_TEST(status_strings_are_always_json)
{
	_cleanup_buf_ struct buf out = {0};

	json_print_string("a\xff\"\xc3", 4, &out);
	ck_assert_str_eq(out.data, "\"a\xef\xbf\xbd\\\"\xef\xbf\xbd\"");
	buf_reset(&out);
	json_print_string("a\0b", 3, &out);
	ck_assert_str_eq(out.data, "\"a\\u0000b\"");
}
END_TEST

START_TEST(values_compare_by_what_they_say)
{
	static const struct {
		const struct type *type;
		const char *a, *b;
		bool same;
	} cases[] = {
	        {&type_numeric, "1.50", "1.5", true},
	        {&type_numeric, "1.5", "15e-1", true},
	        {&type_numeric, "100", "1E2", true},
	        {&type_numeric, "0.001", ".1e-2", true},
	        {&type_numeric, "-0", "0", true},
	        {&type_numeric, "0.000", "0e99", true},
	        {&type_numeric, "007", "+7.", true},
	        {&type_numeric, "1", "-1", false},
	        {&type_numeric, "10", "1", false},
	        {&type_numeric, "1.05", "1.5", false},
	        {&type_numeric, "123", "1234", false},
	        {&type_numeric, "1e999999999", "1e999999998", false},
	        {&type_numeric, "1e9999999999", "1e9999999998", false},
	        {&type_numeric, "9007199254740992", "9007199254740993", false},
	        {&type_numeric, "NaN", "NaN", true},
	        {&type_numeric, "NaN", "0", false},
	        {&type_numeric, "", "0", false},
	        {&type_numeric, ".", "0", false},
	        {&type_numeric, "1e", "1", false},
	        {&type_int8, "5", "5.0", true},
	        {&type_float8, "-0", "0", false},
	        {&type_float8, "-0", "-0.0", true},
	        {&type_float8, "0.1", "0.1000000000000000055", true},
	        {&type_float8, "0.1", "0.10000000000001", false},
	        {&type_float8, "1e+20", "100000000000000000000", true},
	        {&type_float8, "Infinity", "-Infinity", false},
	        {&type_text, "1.0", "1", false},
	        {&type_text, "a", "a", true},
	        {&type_text, "", NULL, false},
	        {&type_text, NULL, NULL, true},
	        {&type_bool, "t", "f", false},
	        {&type_json, "{\"a\":1}", " { \"a\" : 1 }\n", true},
	        {&type_json, "{\"a\":1}", "{\"a\":1.0}", false},
	        {&type_json, "\"a b\"", "\"ab\"", false},
	        {&type_json, "[1,2]", "[1,2,3]", false},
	        {&type_json, "[12]", "[1,2]", false},
	        {&type_jsonb, "[1, 2]", "[1,2]", true},
	        {&type_texts, "{a,\"b c\"}", "{ \"a\" , \"b c\" }", true},
	        {&type_texts, "{a}", "{\"\\a\"}", true},
	        {&type_texts, "{NULL}", "{null}", true},
	        {&type_texts, "{NULL}", "{\"NULL\"}", false},
	        {&type_texts, "{a,b}", "{a}", false},
	        {&type_texts, "{{a}}", "{a}", false},
	        {&type_texts, "{a}", "{A}", false},
	        {&type_texts, "{a", "{a}", false},
	        {&type_int8s, "{1,2}", "{\"1\",2.0}", true},
	        {&type_int8s, "[0:1]={1,2}", "[0:1]={1, 2}", true},
	        {&type_int8s, "[0:1]={1,2}", "[1:2]={1,2}", false},
	        {&type_int8s, "[0:1]={1,2}", "{1,2}", false},
	        {&type_jsonbs, "{\"{\\\"a\\\": 1}\"}", "{\"{\\\"a\\\":1}\"}", true},
	        {&type_boxes, "{(1,1),(0,0)}", "{\"(1,1),(0,0)\"}", true},
	        {&type_boxes, "{(1,1),(0,0)}", "{(1,1);(0,0)}", false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct cell a = cell_of(cases[i].a), b = cell_of(cases[i].b);

		ck_assert_msg(json_same_value(cases[i].type, a, b) == cases[i].same, "%s %s",
		              cases[i].a, cases[i].b);
		ck_assert_msg(json_same_value(cases[i].type, b, a) == cases[i].same, "%s %s",
		              cases[i].b, cases[i].a);
	}
}
END_TEST

/* Fail the first allocation, then the second, … until none fails any more. Nothing is returned,
 * nothing leaks, and yajl, which does not look, does not crash. */
START_TEST(out_of_memory_is_an_error)
{
	_cleanup_buf_ struct buf text = {0};
	struct relation relation = table();
	struct error e;
	unsigned failures = 0;
	enum json_progress progress;
	int r;

	buf_adds(&text, "{\"doc\": ");
	for (int i = 0; i < 300; i++)
		buf_adds(&text, "[\"\\n\", ");
	buf_adds(&text, "\"\\n");
	for (int i = 0; i < 10000; i++)
		buf_addc(&text, 'x');
	buf_addc(&text, '"');
	for (int i = 0; i < 300; i++)
		buf_addc(&text, ']');
	buf_addc(&text, '}');
	do {
		_cleanup_patch_ struct patch patch = {0};

		failing_after(failures++);
		r = json_parse(&relation, text.data, text.len, &patch, &e);
		failing_stop();
		ck_assert(r == 0 || (r == -ENOMEM && e.err == ENOMEM && !patch.memory));
	} while (r != 0);
	ck_assert_uint_gt(failures, 8);
	failing_after(2);
	progress = json_progress(text.data, text.len);
	failing_stop();
	ck_assert_int_eq(progress, JSON_INCOMPLETE);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("json");
	TCase *print = tcase_create("print"), *parse = tcase_create("parse");

	tcase_add_test(print, a_row_is_laid_out_as_documented);
	tcase_add_test(print, numbers_are_bare_where_a_double_carries_them);
	tcase_add_test(print, tiny_numerics_are_strings);
	tcase_add_test(print, strings_escape_only_what_they_must);
	tcase_add_test(print, json_is_verbatim_and_jsonb_indented);
	tcase_add_test(print, json_null_is_wrapped);
	tcase_add_test(print, arrays_nest_for_dimensions);
	tcase_add_test(print, arrays_that_do_not_fit_are_literals);
	tcase_add_test(print, arrays_of_json_stay_on_a_line);
	tcase_add_test(print, deep_jsonb_is_not_indented_without_end);
	tcase_add_test(print, status_strings_are_always_json);
	suite_add_tcase(suite, print);
	tcase_add_test(parse, array_literals_are_quoted_for_the_server);
	tcase_add_test(parse, both_forms_of_numbers_are_taken);
	tcase_add_test(parse, strings_are_decoded);
	tcase_add_loop_test(parse, refusals_name_place_and_reason, 0,
	                    sizeof(refusals) / sizeof(*refusals));
	tcase_add_test(parse, nul_bytes_are_refused);
	tcase_add_loop_test(parse, depth_is_limited, 0, 2);
	tcase_add_test(parse, places_of_values_are_kept);
	tcase_add_test(parse, json_keeps_the_white_space_around_it);
	tcase_add_test(parse, an_object_without_columns_is_a_patch);
	tcase_add_test(parse, progress_of_a_text);
	tcase_add_test(parse, values_compare_by_what_they_say);
	tcase_add_test(parse, out_of_memory_is_an_error);
	suite_add_tcase(suite, parse);
	return suite_run(suite);
}
