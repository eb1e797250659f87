#include "load.h"

#include <string.h>

#include "load_sql.h"

/* A column of the relation by number; -1 if there is none. */
static int column_numbered(const struct load *load, int first, int last, const char *number)
{
	for (int row = first; row < last; row++)
		if (strcmp(load_text(load->columns, row, COLUMN_NUMBER), number) == 0)
			return row;
	return -1;
}

static int column_named(const struct load *load, int first, int last, const char *name, size_t len)
{
	for (int row = first; row < last; row++) {
		const char *other = load_text(load->columns, row, COLUMN_NAME);

		if (strlen(other) == len && memcmp(other, name, len) == 0)
			return row;
	}
	return -1;
}

/* The part of the index's key in row `row`, and whether the role may see its column. */
static bool index_part(struct load *load, int first, int last, int row, struct key_choice *choice)
{
	int column = column_numbered(load, first, last, load_text(load->keys, row, KEY_COLUMN));

	if (choice->n >= KEY_PARTS_MAX || column < 0 ||
	    !load_flag(load->columns, column, COLUMN_SELECT))
		return false;
	choice->parts[choice->n].column = column;
	choice->parts[choice->n].operator_schema = load_text(load->keys, row, KEY_OPERATOR_SCHEMA);
	choice->parts[choice->n].collation = load_text(load->keys, row, KEY_COLLATION);
	choice->parts[choice->n].nullable = !load_flag(load->columns, column, COLUMN_NOT_NULL);
	choice->n++;
	return true;
}

/* Consumes the keys' rows of this relation. False if it has an index whose columns are hidden. */
static bool index_key(struct load *load, int relation, int first, int last,
                      struct key_choice *choice)
{
	uint32_t oid = load_oid(load->relations, relation, RELATION_OID);
	bool visible = true;

	for (; load->key < PQntuples(load->keys); load->key++) {
		if (load_oid(load->keys, load->key, KEY_RELATION) != oid)
			break;
		visible = visible && index_part(load, first, last, load->key, choice);
	}
	return visible;
}

/* One column of a configured key; what is wrong with it is in the log. */
static bool configured_part(struct load *load, const struct table_settings *table, int first,
                            int last, const char *name, size_t len, struct key_choice *choice)
{
	int column = column_named(load, first, last, name, len);
	const struct type *type;

	if (column < 0 || !load_flag(load->columns, column, COLUMN_SELECT)) {
		said_once(load->said, LEVEL_WARNING,
		          "table \"%s\": key = %s is ignored: there is no column \"%.*s\" to read",
		          table->relation, table->key, (int)len, name);
		return false;
	}
	type = load_type(load->schema, load_oid(load->columns, column, COLUMN_TYPE));
	if (choice->n >= KEY_PARTS_MAX || !type || !type->equal_schema) {
		said_once(load->said, LEVEL_WARNING,
		          "table \"%s\": key = %s is ignored: values of column \"%.*s\" cannot be "
		          "compared",
		          table->relation, table->key, (int)len, name);
		return false;
	}
	choice->parts[choice->n].column = column;
	choice->parts[choice->n].operator_schema = type->equal_schema;
	choice->parts[choice->n].nullable = !load_flag(load->columns, column, COLUMN_NOT_NULL);
	choice->n++;
	return true;
}

/* "a, b": columns by name, between commas and blanks. */
static bool configured_key(struct load *load, const struct table_settings *table, int first,
                           int last, struct key_choice *choice)
{
	const char *p = table->key;

	choice->unproven = true;
	while (*(p += strspn(p, ", ")) != '\0') {
		size_t len = strcspn(p, ",");
		const char *next = p + len;

		while (len > 0 && p[len - 1] == ' ')
			len--;
		if (!configured_part(load, table, first, last, p, len, choice))
			return false;
		p = next;
	}
	return choice->n > 0;
}

/* Without a key the rows have an address only, and a system column asks for the table's grant. */
static bool address_key(struct load *load, int relation, struct key_choice *choice)
{
	char kind = *load_text(load->relations, relation, RELATION_KIND);

	choice->kind = kind == 'p' ? KEY_TABLEOID_CTID : KEY_CTID;
	return (kind == 'r' || kind == 'p') &&
	       load_flag(load->relations, relation, RELATION_SELECT_ALL);
}

static void say_keyless(struct load *load, int relation)
{
	const char *space = load_text(load->relations, relation, RELATION_SPACE);
	const char *name = load_text(load->relations, relation, RELATION_NAME);

	switch (*load_text(load->relations, relation, RELATION_KIND)) {
	case 'v':
	case 'f':
		said_once(load->said, LEVEL_INFO,
		          "%s.%s is not shown: a view or foreign table needs a key in the "
		          "configuration: table \"%s.%s\" { key = … }",
		          space, name, space, name);
		break;
	case 'm':
		said_once(load->said, LEVEL_INFO,
		          "%s.%s is not shown: a materialised view needs a unique index over plain "
		          "columns",
		          space, name);
		break;
	default:
		said_once(load->said, LEVEL_INFO,
		          "%s.%s is not shown: this role may not read its key", space, name);
	}
}

bool load_choose_key(struct load *load, int relation, int first, int last, struct key_choice *ret)
{
	const struct table_settings *table = load_table_settings(
	        load->settings, load_text(load->relations, relation, RELATION_SPACE),
	        load_text(load->relations, relation, RELATION_NAME));
	struct key_choice configured = {0}, indexed = {0}, address = {0};
	bool readable = index_key(load, relation, first, last, &indexed);

	if (table && table->key && configured_key(load, table, first, last, &configured))
		*ret = configured;
	else if (readable && indexed.n > 0)
		*ret = indexed;
	else if (readable && address_key(load, relation, &address))
		*ret = address;
	else {
		say_keyless(load, relation);
		return false;
	}
	return true;
}
