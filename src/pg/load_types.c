#include "load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "load_sql.h"

/* Object identifiers of built-in types never change. */
static const struct {
	uint32_t oid;
	enum type_kind kind;
} kinds[] = {
        {16, TYPE_BOOL},      {20, TYPE_INTEGER}, {21, TYPE_INTEGER},
        {23, TYPE_INTEGER},   {700, TYPE_FLOAT},  {701, TYPE_FLOAT},
        {1700, TYPE_NUMERIC}, {114, TYPE_JSON},   {3802, TYPE_JSONB},
};

static enum type_kind kind_of(uint32_t oid)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (kinds[i].oid == oid)
			return kinds[i].kind;
	return TYPE_TEXT;
}

static int compare_oid(const void *oid, const void *type)
{
	uint32_t a = *(const uint32_t *)oid, b = ((const struct type *)type)->oid;

	return (a > b) - (a < b);
}

static struct type *find(const struct schema *schema, uint32_t oid)
{
	if (schema->n_types == 0)
		return NULL;
	return bsearch(&oid, schema->types, schema->n_types, sizeof(*schema->types), compare_oid);
}

const struct type *load_type(const struct schema *schema, uint32_t oid)
{
	return find(schema, oid);
}

static int load_one(struct type *type, const PGresult *rows, int row)
{
	const char *equal_schema = load_text(rows, row, TYPE_EQUAL_SCHEMA);

	type->oid = load_oid(rows, row, TYPE_OID);
	type->kind = kind_of(type->oid);
	if (!equal_schema)
		return 0;
	type->equal_schema = strdup(equal_schema);
	return type->equal_schema ? 0 : -ENOMEM;
}

static void link_element(struct schema *schema, struct type *type, const PGresult *rows, int row)
{
	if (PQgetisnull(rows, row, TYPE_ELEMENT))
		return;
	type->element = find(schema, load_oid(rows, row, TYPE_ELEMENT));
	if (!type->element)
		return;
	type->kind = TYPE_ARRAY;
	type->delimiter = *load_text(rows, row, TYPE_DELIMITER);
}

/* The operator class of all arrays says nothing about this one: two arrays of points cannot be
 * compared. */
static void forget_equality(struct type *type)
{
	const struct type *element = type;

	while (element->element)
		element = element->element;
	if (element->equal_schema)
		return;
	free(type->equal_schema);
	type->equal_schema = NULL;
}

int load_types(struct load *load)
{
	struct schema *schema = load->schema;
	size_t n = (size_t)PQntuples(load->types);

	schema->types = calloc(n + 1, sizeof(*schema->types));
	if (!schema->types)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		schema->n_types = i + 1;
		if (load_one(&schema->types[i], load->types, (int)i) < 0)
			return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++)
		link_element(schema, &schema->types[i], load->types, (int)i);
	for (size_t i = 0; i < n; i++)
		if (schema->types[i].element)
			forget_equality(&schema->types[i]);
	return 0;
}
