#include "rowfs/model/schema.h"

#include <stdlib.h>
#include <string.h>

struct schema *schema_ref(struct schema *schema)
{
	atomic_fetch_add_explicit(&schema->refs, 1, memory_order_relaxed);
	return schema;
}

static void relation_done(struct relation *relation)
{
	for (size_t i = 0; relation->columns && i < relation->n_columns; i++)
		free(relation->columns[i].name);
	free(relation->columns);
	for (size_t i = 0; relation->parts && i < relation->n_parts; i++) {
		free(relation->parts[i].operator_schema);
		free(relation->parts[i].collation);
		free(relation->parts[i].sql_type);
	}
	free(relation->parts);
	free(relation->name);
	free(relation->dir_name);
	placement_done(&relation->placement);
}

static void space_done(struct space *space)
{
	for (size_t i = 0; space->relations && i < space->n_relations; i++)
		relation_done(&space->relations[i]);
	free(space->relations);
	free(space->name);
	free(space->dir_name);
}

void schema_unref(struct schema *schema)
{
	/* Acquire and release, so that whoever frees it sees what the other holders did. */
	if (!schema || atomic_fetch_sub_explicit(&schema->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; schema->spaces && i < schema->n_spaces; i++)
		space_done(&schema->spaces[i]);
	free(schema->spaces);
	for (size_t i = 0; schema->types && i < schema->n_types; i++)
		free(schema->types[i].equal_schema);
	free(schema->types);
	for (size_t i = 0; schema->unplaced && i < schema->n_unplaced; i++) {
		free(schema->unplaced[i].relation);
		free(schema->unplaced[i].why);
	}
	free(schema->unplaced);
	free(schema->rules_note);
	free(schema);
}

static int compare_space(const void *name, const void *space)
{
	return strcmp(name, ((const struct space *)space)->dir_name);
}

const struct space *schema_space(const struct schema *schema, const char *dir_name)
{
	if (schema->n_spaces == 0)
		return NULL;
	return bsearch(dir_name, schema->spaces, schema->n_spaces, sizeof(*schema->spaces),
	               compare_space);
}

static int compare_relation(const void *name, const void *relation)
{
	return strcmp(name, ((const struct relation *)relation)->dir_name);
}

const struct relation *space_relation(const struct space *space, const char *dir_name)
{
	if (space->n_relations == 0)
		return NULL;
	return bsearch(dir_name, space->relations, space->n_relations, sizeof(*space->relations),
	               compare_relation);
}

const struct relation *schema_relation(const struct schema *schema, uint32_t oid)
{
	for (size_t i = 0; i < schema->n_spaces; i++) {
		const struct space *space = &schema->spaces[i];

		for (size_t k = 0; k < space->n_relations; k++)
			if (space->relations[k].oid == oid)
				return &space->relations[k];
	}
	return NULL;
}

size_t relation_column(const struct relation *relation, const char *name, size_t len)
{
	for (size_t i = 0; i < relation->n_columns; i++) {
		const char *other = relation->columns[i].name;

		if (strncmp(other, name, len) == 0 && other[len] == '\0')
			return i;
	}
	return SIZE_MAX;
}

bool relation_is_key(const struct relation *relation, size_t column)
{
	if (relation->key_kind != KEY_COLUMNS)
		return false;
	for (size_t i = 0; i < relation->n_parts; i++)
		if (relation->parts[i].column == column)
			return true;
	return false;
}

size_t relation_key_len(const struct relation *relation)
{
	switch (relation->key_kind) {
	case KEY_CTID:
		return 1;
	case KEY_TABLEOID_CTID:
		return 2;
	case KEY_COLUMNS:
		break;
	}
	return relation->n_parts;
}

bool relation_key_nullable(const struct relation *relation)
{
	for (size_t i = 0; i < relation->n_parts; i++)
		if (relation->parts[i].nullable)
			return true;
	return false;
}

bool relation_writable(const struct relation *relation)
{
	return relation->key_kind == KEY_COLUMNS &&
	       (relation->can_insert || relation->can_update || relation->can_delete);
}
