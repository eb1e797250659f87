#include "load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

#include "rowfs/base/buf.h"
#include "rowfs/model/name.h"
#include "load_sql.h"

static char *copy(const char *text)
{
	return text ? strdup(text) : NULL;
}

static enum relation_kind kind_of(char relkind)
{
	switch (relkind) {
	case 'p':
		return RELATION_PARTITIONED;
	case 'm':
		return RELATION_MATVIEW;
	case 'v':
		return RELATION_VIEW;
	case 'f':
		return RELATION_FOREIGN;
	}
	return RELATION_TABLE;
}

static int load_column(struct load *load, struct column *column, int row)
{
	const PGresult *rows = load->columns;

	column->name = copy(load_text(rows, row, COLUMN_NAME));
	column->number = (int16_t)strtol(load_text(rows, row, COLUMN_NUMBER), NULL, 10);
	column->type = load_type(load->schema, load_oid(rows, row, COLUMN_TYPE));
	column->not_null = load_flag(rows, row, COLUMN_NOT_NULL);
	column->generated = load_flag(rows, row, COLUMN_GENERATED);
	column->identity_always = load_flag(rows, row, COLUMN_IDENTITY_ALWAYS);
	column->can_update = load_flag(rows, row, COLUMN_UPDATE) && !column->generated;
	column->can_insert = load_flag(rows, row, COLUMN_INSERT) && !column->generated;
	return column->name ? 0 : -ENOMEM;
}

static int load_columns(struct load *load, struct relation *relation, int first, int last)
{
	relation->columns = calloc((size_t)(last - first) + 1, sizeof(*relation->columns));
	if (!relation->columns)
		return -ENOMEM;
	for (int row = first; row < last; row++) {
		if (!load_flag(load->columns, row, COLUMN_SELECT)) {
			relation->partial = true;
			continue;
		}

		struct column *column = &relation->columns[relation->n_columns++];

		if (load_column(load, column, row) < 0)
			return -ENOMEM;
		relation->can_update = relation->can_update || column->can_update;
	}
	return 0;
}

static int load_parts(struct load *load, struct relation *relation, const struct key_choice *key)
{
	relation->key_kind = key->kind;
	relation->key_unproven = key->unproven;
	relation->parts = calloc(key->n + 1, sizeof(*relation->parts));
	if (!relation->parts)
		return -ENOMEM;
	for (size_t i = 0; i < key->n; i++) {
		struct key_part *part = &relation->parts[relation->n_parts++];
		const char *name = load_text(load->columns, key->parts[i].column, COLUMN_NAME);
		const char *type = load_text(load->columns, key->parts[i].column, COLUMN_SQL_TYPE);

		part->column = relation_column(relation, name, strlen(name));
		part->operator_schema = copy(key->parts[i].operator_schema);
		part->collation = copy(key->parts[i].collation);
		part->sql_type = copy(type);
		part->nullable = key->parts[i].nullable;
		if (!part->operator_schema || !part->sql_type ||
		    (key->parts[i].collation && !part->collation))
			return -ENOMEM;
	}
	return 0;
}

/* Can the type be a time: a date, a timestamp, or a number of seconds? */
static bool is_time(const struct type *type)
{
	switch (type->kind) {
	case TYPE_INTEGER:
	case TYPE_FLOAT:
	case TYPE_NUMERIC:
		return true;
	default:
		return type->oid == 1082 || type->oid == 1114 || type->oid == 1184;
	}
}

/* `name` may be NULL. */
static size_t time_column(const struct relation *relation, const char *name)
{
	size_t column = name ? relation_column(relation, name, strlen(name)) : SIZE_MAX;

	return column != SIZE_MAX && is_time(relation->columns[column].type) ? column : SIZE_MAX;
}

/* The column of the table's own entry, else of the option for all tables that happen to have it. */
static size_t mtime_column(struct load *load, const struct relation *relation)
{
	const struct table_settings *table =
	        load_table_settings(load->settings, relation->space, relation->name);
	bool own = table && table->mtime;
	size_t common = time_column(relation, load->settings->mtime);
	size_t column = own ? time_column(relation, table->mtime) : common;

	load->has_mtime = load->has_mtime || common != SIZE_MAX;
	if (own && column == SIZE_MAX)
		said_once(
		        load->said, LEVEL_WARNING,
		        "table \"%s\": mtime = %s is ignored: there is no such column that holds a "
		        "time",
		        table->relation, table->mtime);
	return column;
}

static int load_names(struct load *load, struct relation *relation, int row)
{
	_cleanup_buf_ struct buf dir_name = {0};

	relation->name = copy(load_text(load->relations, row, RELATION_NAME));
	if (!relation->name)
		return -ENOMEM;
	name_print_directory(relation->name, &dir_name);
	relation->dir_name = buf_steal(&dir_name);
	return relation->dir_name ? 0 : -ENOMEM;
}

/* Grants, as far as the kind of relation and its key leave any use for them. */
static void load_facts(struct load *load, struct relation *relation, int row)
{
	const PGresult *rows = load->relations;
	bool keyed = relation->key_kind == KEY_COLUMNS;

	relation->oid = load_oid(rows, row, RELATION_OID);
	relation->tuples = strtod(load_text(rows, row, RELATION_TUPLES), NULL);
	relation->row_security = load_flag(rows, row, RELATION_ROW_SECURITY);
	relation->by_search_path = load_flag(rows, row, RELATION_BY_SEARCH_PATH);
	relation->guarded = load_flag(rows, row, RELATION_GUARDED);
	relation->can_insert = keyed && load_flag(rows, row, RELATION_INSERT);
	relation->can_delete = keyed && load_flag(rows, row, RELATION_DELETE);
	relation->can_update = keyed && relation->can_update;
	/* The hidden columns change xmin, but not the text. */
	relation->has_xmin = !relation->partial && load_flag(rows, row, RELATION_HAS_XMIN);
	relation->mtime_column = mtime_column(load, relation);
}

/* Every field in text, so that no padding gets in. The names are part of it because rows are read by name: until it has
 * loaded the catalog anew, a mount reads another table's rows under the name that this one had. */
static int load_fingerprint(const struct schema *schema, struct relation *relation)
{
	_cleanup_buf_ struct buf all = {0};

	buf_addf(&all, "%zu %s %zu %s\n", strlen(relation->space), relation->space, strlen(relation->name),
	         relation->name);
	buf_addf(&all, "%u %d %d %d %zu %d\n", relation->oid, relation->kind, relation->has_xmin,
	         relation->key_kind, relation->mtime_column, schema->commit_timestamps);
	for (size_t i = 0; i < relation->n_columns; i++) {
		const struct column *column = &relation->columns[i];

		/* A name has at most 63 bytes, but may hold any of them: its length comes first. */
		buf_addf(&all, "%d %u %d %zu %s\n", column->number, column->type->oid,
		         column->type->kind, strlen(column->name), column->name);
	}
	for (size_t i = 0; i < relation->n_parts; i++)
		buf_addf(&all, "%zu ", relation->parts[i].column);
	if (all.failed)
		return -ENOMEM;
	relation->fingerprint = XXH3_64bits(all.data, all.len);
	return 0;
}

static struct relation *append(struct space *space)
{
	struct relation *relations =
	        realloc(space->relations, (space->n_relations + 1) * sizeof(*relations));

	if (!relations)
		return NULL;
	space->relations = relations;
	relations[space->n_relations] = (struct relation){.space = space->name};
	return &relations[space->n_relations++];
}

/* The end of the relation's columns, which begin at load->column. */
static int columns_end(const struct load *load, uint32_t oid)
{
	int row = load->column;

	while (row < PQntuples(load->columns) &&
	       load_oid(load->columns, row, COLUMN_RELATION) == oid)
		row++;
	return row;
}

int load_relation(struct load *load, struct space *space, int row)
{
	int first = load->column;
	int last = columns_end(load, load_oid(load->relations, row, RELATION_OID));
	struct key_choice key = {0};
	struct relation *relation;

	load->column = last;
	if (!load_choose_key(load, row, first, last, &key))
		return 0;
	relation = append(space);
	if (!relation)
		return -ENOMEM;
	relation->kind = kind_of(*load_text(load->relations, row, RELATION_KIND));
	if (load_names(load, relation, row) < 0 || load_columns(load, relation, first, last) < 0 ||
	    load_parts(load, relation, &key) < 0)
		return -ENOMEM;
	load_facts(load, relation, row);
	if (load_placement(load, relation) < 0)
		return -ENOMEM;
	return load_fingerprint(load->schema, relation);
}
