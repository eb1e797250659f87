#include "rowfs/model/schema.h"

#include <string.h>

#include "rowfs/base/cleanup.h"

#include "suite.h"

/* Build a snapshot as the store does: every string and array allocated by itself. */
static struct schema *build(void)
{
	static const char *const relations[] = {"%2Ehidden", "Zebra", "a", "a,b", "b"};
	struct schema *schema = calloc(1, sizeof(*schema));
	struct space *space;

	schema->refs = 1;
	schema->n_types = 1;
	schema->types = calloc(1, sizeof(*schema->types));
	schema->types[0].equal_schema = strdup("pg_catalog");
	schema->n_spaces = 2;
	schema->spaces = calloc(2, sizeof(*schema->spaces));
	schema->spaces[0].name = strdup("empty");
	schema->spaces[0].dir_name = strdup("empty");
	space = &schema->spaces[1];
	space->name = strdup("public");
	space->dir_name = strdup("public");
	space->n_relations = 5;
	space->relations = calloc(5, sizeof(*space->relations));
	for (size_t i = 0; i < 5; i++) {
		struct relation *relation = &space->relations[i];

		relation->oid = (uint32_t)(100 + i);
		relation->space = space->name;
		relation->name = strdup(relations[i]);
		relation->dir_name = strdup(relations[i]);
		relation->n_columns = 2;
		relation->columns = calloc(2, sizeof(*relation->columns));
		relation->columns[0] = (struct column){.name = strdup("id"), .type = schema->types};
		relation->columns[1] =
		        (struct column){.name = strdup("id2"), .type = schema->types};
		relation->n_parts = 1;
		relation->parts = calloc(1, sizeof(*relation->parts));
		relation->parts[0] = (struct key_part){.column = 1,
		                                       .operator_schema = strdup("pg_catalog"),
		                                       .collation = strdup("\"C\"")};
	}
	return schema;
}

/* Leaks are what the sanitizers and valgrind see here. */
START_TEST(last_reference_frees_it)
{
	struct schema *schema = build();

	ck_assert_ptr_eq(schema_ref(schema), schema);
	schema_unref(schema);
	ck_assert_str_eq(schema->spaces[1].relations[4].name, "b");
	schema_unref(schema);
	schema_unref(NULL);
}
END_TEST

START_TEST(half_built_is_freed)
{
	struct schema *schema = calloc(1, sizeof(*schema));

	schema->refs = 1;
	schema->n_types = 3;
	schema->n_spaces = 2;
	schema->spaces = calloc(2, sizeof(*schema->spaces));
	schema->spaces[0].n_relations = 1;
	schema->spaces[0].relations = calloc(1, sizeof(*schema->spaces[0].relations));
	schema->spaces[0].relations[0].n_columns = 7;
	schema->spaces[0].relations[0].n_parts = 7;
	schema_unref(schema);
}
END_TEST

START_TEST(finds_by_directory_and_oid)
{
	struct schema *schema = build();
	const struct space *space = schema_space(schema, "public");

	ck_assert_ptr_eq(space, &schema->spaces[1]);
	ck_assert_ptr_null(schema_space(schema, "publi"));
	ck_assert_ptr_null(schema_space(schema, ""));
	ck_assert_ptr_null(space_relation(schema_space(schema, "empty"), "a"));
	for (size_t i = 0; i < space->n_relations; i++) {
		const struct relation *relation = &space->relations[i];

		ck_assert_ptr_eq(space_relation(space, relation->dir_name), relation);
		ck_assert_ptr_eq(schema_relation(schema, relation->oid), relation);
	}
	ck_assert_ptr_null(space_relation(space, "aa"));
	ck_assert_ptr_null(schema_relation(schema, 99));
	schema_unref(schema);
}
END_TEST

START_TEST(finds_columns_by_whole_names)
{
	struct schema *schema = build();
	const struct relation *relation = &schema->spaces[1].relations[0];

	ck_assert_uint_eq(relation_column(relation, "id", 2), 0);
	ck_assert_uint_eq(relation_column(relation, "id2", 3), 1);
	ck_assert_uint_eq(relation_column(relation, "id2", 2), 0);
	ck_assert_uint_eq(relation_column(relation, "i", 1), SIZE_MAX);
	ck_assert_uint_eq(relation_column(relation, "id23", 4), SIZE_MAX);
	ck_assert_uint_eq(relation_column(relation, "", 0), SIZE_MAX);
	ck_assert(!relation_is_key(relation, 0));
	ck_assert(relation_is_key(relation, 1));
	schema_unref(schema);
}
END_TEST

START_TEST(only_a_key_of_columns_can_be_written)
{
	struct relation relation = {.key_kind = KEY_COLUMNS, .n_parts = 3};

	ck_assert_uint_eq(relation_key_len(&relation), 3);
	ck_assert(!relation_writable(&relation));
	relation.can_delete = true;
	ck_assert(relation_writable(&relation));
	relation.key_kind = KEY_CTID;
	ck_assert(!relation_writable(&relation));
	ck_assert_uint_eq(relation_key_len(&relation), 1);
	relation.key_kind = KEY_TABLEOID_CTID;
	ck_assert_uint_eq(relation_key_len(&relation), 2);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("schema");
	TCase *test = tcase_create("schema");

	tcase_add_test(test, last_reference_frees_it);
	tcase_add_test(test, half_built_is_freed);
	tcase_add_test(test, finds_by_directory_and_oid);
	tcase_add_test(test, finds_columns_by_whole_names);
	tcase_add_test(test, only_a_key_of_columns_can_be_written);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
