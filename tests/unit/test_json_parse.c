/* From a text to what it says of a row: values, refusals with their places, texts that are not whole. */
#include "json_value.h"

#include <errno.h>

#include "rowfs/model/diff.h"

#include "failing.h"

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
        {"{}\"", 1, 3, "", "trailing garbage", ""},
        {"{} tru", 1, 4, "", "trailing garbage", ""},
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

/* By its braces and quotes, in pieces of any size. */
START_TEST(progress_of_a_text_in_pieces)
{
	static const struct {
		const char *text;
		enum json_progress progress;
	} cases[] = {
	        {"", JSON_EMPTY},
	        {" \n\t\r", JSON_EMPTY},
	        {" {\"a\": [1, {\"b\"", JSON_INCOMPLETE},
	        {"{\"}", JSON_INCOMPLETE},
	        {"{\"a\": \"\\", JSON_INCOMPLETE},
	        {"{\"a\": \"\\\"}", JSON_INCOMPLETE},
	        {"{\"a\": \"\\\\\"}", JSON_COMPLETE},
	        {"{\"a\": \"]}{[\", \"b\": [{}]}  \n", JSON_COMPLETE},
	        {"{\"a\": [1}}", JSON_COMPLETE},
	        {"{}{", JSON_BROKEN},
	        {"{} x", JSON_BROKEN},
	        {"[", JSON_BROKEN},
	        {"}", JSON_BROKEN},
	        {"\"", JSON_BROKEN},
	        {"hello {}", JSON_BROKEN},
	        {"\xef\xbb\xbf{}", JSON_BROKEN},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		size_t len = strlen(cases[i].text);

		for (size_t step = 1; step <= len + 1; step++) {
			struct json_scan scan = {0};

			for (size_t at = 0; at < len; at += step)
				json_scan(&scan, cases[i].text + at, len - at < step ? len - at : step);
			ck_assert_msg(scan.progress == cases[i].progress, "%s in pieces of %zu", cases[i].text, step);
		}
	}
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
	Suite *suite = suite_create("json_parse");
	TCase *parse = tcase_create("parse");

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
	tcase_add_test(parse, progress_of_a_text_in_pieces);
	tcase_add_test(parse, values_compare_by_what_they_say);
	tcase_add_test(parse, out_of_memory_is_an_error);
	suite_add_tcase(suite, parse);
	return suite_run(suite);
}
