/* Types and relations for tests of the values, as literals. */
#pragma once

#include "rowfs/model/schema.h"

#define SAMPLE_TYPE(id, type_kind, ...)                                                            \
	static const struct type type_##id                                                         \
	        __attribute__((unused)) = {.kind = type_kind, .delimiter = ',', __VA_ARGS__}

SAMPLE_TYPE(text, TYPE_TEXT, .oid = 25);
SAMPLE_TYPE(uuid, TYPE_TEXT, .oid = 2950);
SAMPLE_TYPE(int2, TYPE_INTEGER, .oid = 21);
SAMPLE_TYPE(int4, TYPE_INTEGER, .oid = 23);
SAMPLE_TYPE(int8, TYPE_INTEGER, .oid = 20);
SAMPLE_TYPE(float8, TYPE_FLOAT, .oid = 701);
SAMPLE_TYPE(numeric, TYPE_NUMERIC, .oid = 1700);
SAMPLE_TYPE(bool, TYPE_BOOL, .oid = 16);
SAMPLE_TYPE(json, TYPE_JSON, .oid = 114);
SAMPLE_TYPE(jsonb, TYPE_JSONB, .oid = 3802);
SAMPLE_TYPE(texts, TYPE_ARRAY, .oid = 1009, .element = &type_text);
SAMPLE_TYPE(int8s, TYPE_ARRAY, .oid = 1016, .element = &type_int8);
SAMPLE_TYPE(float8s, TYPE_ARRAY, .oid = 1022, .element = &type_float8);
SAMPLE_TYPE(bools, TYPE_ARRAY, .oid = 1000, .element = &type_bool);
SAMPLE_TYPE(jsons, TYPE_ARRAY, .oid = 199, .element = &type_json);
SAMPLE_TYPE(jsonbs, TYPE_ARRAY, .oid = 3807, .element = &type_jsonb);
/* An array of a domain over an array, and PostgreSQL's only other delimiter. */
SAMPLE_TYPE(domains, TYPE_ARRAY, .oid = 90001, .element = &type_int8s);
static const struct type type_box
        __attribute__((unused)) = {.oid = 603, .kind = TYPE_TEXT, .delimiter = ';'};
static const struct type type_boxes __attribute__((unused)) = {
        .oid = 1020, .kind = TYPE_ARRAY, .element = &type_box, .delimiter = ';'};

#define SAMPLE_COLUMN(id, type_id, ...)                                                            \
	{                                                                                          \
		.name = (char *)(id), .type = &type_##type_id, __VA_ARGS__                         \
	}

/* A relation whose key is its first `keys` columns. */
static inline struct relation sample_relation(struct column *columns, size_t n,
                                              struct key_part *parts, size_t keys)
{
	for (size_t i = 0; i < keys; i++)
		parts[i].column = i;
	return (struct relation){
	        .space = "public",
	        .name = (char *)"sample",
	        .columns = columns,
	        .n_columns = n,
	        .key_kind = KEY_COLUMNS,
	        .parts = parts,
	        .n_parts = keys,
	        .mtime_column = SIZE_MAX,
	};
}
