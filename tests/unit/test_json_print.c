/* From a row to its text, and that the text says the same when it is read back. */
#include "json_value.h"

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

int main(void)
{
	Suite *suite = suite_create("json_print");
	TCase *print = tcase_create("print");

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
	return suite_run(suite);
}
