/* The queries that read the catalog. They are set-based, one for each kind of object, whatever the
 * number of tables; catalog sessions have nothing but pg_catalog in their search_path, so names
 * need no qualification, and printed names get one where it is needed.
 *
 * $1: the only schema to show, or NULL; $2: text[] of "schema.name", the relations that have a key
 * in the configuration. Relations, columns and keys come in the same order: schema, relation. */
#pragma once

/* name */
extern const char load_spaces_sql[];

enum {
	RELATION_SPACE,
	RELATION_OID,
	RELATION_NAME,
	RELATION_KIND, /* pg_class.relkind */
	RELATION_TUPLES,
	RELATION_SELECT_ALL, /* SELECT on the whole table, system columns too */
	RELATION_INSERT,
	RELATION_DELETE,
	RELATION_ROW_SECURITY,
	RELATION_CONFIGURED,
	RELATION_HAS_XMIN,
	RELATION_BY_SEARCH_PATH,
	RELATION_GUARDED,
};
extern const char load_relations_sql[];

enum {
	COLUMN_RELATION,
	COLUMN_NUMBER,
	COLUMN_NAME,
	COLUMN_TYPE, /* a domain's base type */
	COLUMN_SQL_TYPE,
	COLUMN_NOT_NULL,
	COLUMN_GENERATED,
	COLUMN_IDENTITY_ALWAYS,
	COLUMN_SELECT,
	COLUMN_UPDATE,
	COLUMN_INSERT,
};
extern const char load_columns_sql[];

/* The parts of each relation's best unique index, in order. */
enum { KEY_RELATION, KEY_COLUMN, KEY_OPERATOR_SCHEMA, KEY_COLLATION };
extern const char load_keys_sql[];

/* Sorted by oid; complete: every element type is there too. */
enum {
	TYPE_OID,
	TYPE_ELEMENT,
	TYPE_DELIMITER,
	TYPE_EQUAL_SCHEMA,
};
extern const char load_types_sql[];

/* Without parameters: text that stands for the catalog's state, and whether commit timestamps are
 * kept. */
extern const char load_fingerprint_sql[];

/* $1: text[] of "schema.name"; those of them that there are, whoever may read them. */
enum { NAMED_NAME, NAMED_PART };
extern const char load_named_sql[];
