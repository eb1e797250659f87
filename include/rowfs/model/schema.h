/* A snapshot of what the role can see: schemas, relations, columns, types, keys, grants.
 *
 * It is built once by the store, never changed afterwards, shared by reference count and dropped as
 * a whole; so any thread may read it without a lock. Strings and arrays inside belong to it.
 *
 *   schema ── spaces[] ── relations[] ── columns[] ── type ── element
 *
 * A relation is shown as a directory only if it has a key; relations without one are not in the
 * snapshot. `columns` are the ones the role may SELECT, in table order. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rowfs/model/placement.h"

/* How a value is written in a row's text (docs/filesystem.md, "Row text"). */
enum type_kind {
	TYPE_TEXT, /* everything that is not named below: PostgreSQL's text in a string */
	TYPE_INTEGER,
	TYPE_FLOAT,
	TYPE_NUMERIC,
	TYPE_BOOL,
	TYPE_JSON,
	TYPE_JSONB,
	TYPE_ARRAY,
};

struct type {
	uint32_t oid;
	enum type_kind kind;         /* of the base type, for a domain */
	const struct type *element;  /* TYPE_ARRAY: what it holds; else NULL */
	char delimiter;              /* TYPE_ARRAY: between elements, ',' but for box */
	/* Schema of the `=` operator of the default btree (else hash) operator class, for the base
	 * check of a save; NULL: the type has none and its text is compared. */
	char *equal_schema;
};

struct column {
	char *name;
	int16_t number; /* pg_attribute.attnum */
	const struct type *type;
	bool not_null;
	bool generated;       /* GENERATED ALWAYS AS (…) STORED: read only */
	bool identity_always; /* GENERATED ALWAYS AS IDENTITY */
	bool can_update;
	bool can_insert;
	bool cold;            /* copies in Redis are without it: columns= of the placement rule */
};

enum key_kind {
	KEY_COLUMNS,       /* `parts` */
	KEY_CTID,          /* no key: ctid, read only */
	KEY_TABLEOID_CTID, /* the same, partitioned */
};

/* PostgreSQL's own bound on an index (INDEX_MAX_KEYS); configured keys keep it too. */
enum { KEY_PARTS_MAX = 32 };

struct key_part {
	size_t column;          /* index into columns */
	char *operator_schema;  /* of the key's own =, <, > (the index's operator class) */
	char *collation;        /* quoted, qualified; NULL: the column's own */
	char *sql_type;         /* base type and modifiers as SQL, "character(4)": what it may print */
	bool nullable;          /* materialised views, and configured keys without NOT NULL */
};

enum relation_kind {
	RELATION_TABLE,
	RELATION_PARTITIONED,
	RELATION_MATVIEW,
	RELATION_VIEW,
	RELATION_FOREIGN,
};

/* Who has said the placement rule. */
enum placed_by {
	PLACED_BY_DEFAULT,
	PLACED_BY_DATABASE,
	PLACED_BY_FILE,
	PLACED_BY_FILE_INSTEAD, /* and the database says something, too */
};

struct relation {
	uint32_t oid;
	enum relation_kind kind;
	const char *space; /* schema name, the database's spelling; borrowed from its space */
	char *name;
	char *dir_name;    /* file name of its directory: name, escaped */
	struct column *columns;
	size_t n_columns;
	enum key_kind key_kind;
	struct key_part *parts; /* KEY_COLUMNS */
	size_t n_parts;
	bool key_unproven;      /* configured: nothing says that it is one row's only */
	size_t mtime_column;    /* index into columns, or SIZE_MAX */
	bool has_xmin;
	bool row_security;      /* never cached: one role must not see another's rows */
	bool partial;           /* some columns are hidden from this role: never cached */
	bool by_search_path;    /* never cached: a regclass or the like prints as the role's path has it */
	bool can_insert, can_update, can_delete;
	bool guarded;           /* somebody's rows are hidden from somebody: never pinned */
	double tuples;          /* planner's estimate */
	struct placement placement;
	enum placed_by placed_by;
	size_t n_cold;          /* columns that are; 0: copies are whole */
	uint64_t kept_columns;  /* a hash of the others' names, if some are */
	/* Of everything above that a row's text or mtime depends on. Equal fingerprints mean that the
	 * same row has the same text. */
	uint64_t fingerprint;
};

struct space {
	char *name;
	char *dir_name;
	struct relation *relations; /* sorted by dir_name, as strcmp sorts */
	size_t n_relations;
};

/* The rule of a table that is not in the snapshot. */
struct unplaced {
	char *relation; /* "schema.name", fit for a line */
	char *why;      /* "the worker's role may not read it", … */
};

struct schema {
	_Atomic unsigned refs;
	struct space *spaces; /* sorted by dir_name, as strcmp sorts */
	size_t n_spaces;
	struct type *types;
	size_t n_types;
	struct unplaced *unplaced;
	size_t n_unplaced;
	char *rules_note;       /* what is to be said of the database's placement rules as a whole, or NULL */
	bool commit_timestamps; /* track_commit_timestamp is on */
	uint64_t fingerprint;   /* of the catalog it was read from: store_fingerprint() */
};

/* Adds a reference and returns its argument. */
struct schema *schema_ref(struct schema *schema);

/* Drops one; frees the snapshot with the last. Accepts NULL, and a snapshot that is only half
 * built: what is missing is NULL. Every string and array is an allocation of its own; a column's
 * type points into `types`, relation.space at its space's name. */
void schema_unref(struct schema *schema);

/* Find by directory name; NULL if there is none. The result lives as long as the snapshot. */
const struct space *schema_space(const struct schema *schema, const char *dir_name);
const struct relation *space_relation(const struct space *space, const char *dir_name);

/* Find by oid, in any space; NULL if there is none (dropped, or no longer allowed). */
const struct relation *schema_relation(const struct schema *schema, uint32_t oid);

/* Index of a column by name, SIZE_MAX if there is none. */
size_t relation_column(const struct relation *relation, const char *name, size_t len);

/* Whether `column` (index) is part of the key. */
bool relation_is_key(const struct relation *relation, size_t column);

/* Mark the columns that the placement rule leaves out of Redis; those of the key never are. 0; -EINVAL with the reason, if
 * the rule cannot hold for this relation, of which nothing is changed then. */
int relation_take_columns(struct relation *relation, struct error *e) _must_check_;

/* Number of parts in the relation's key, whichever kind it is. */
size_t relation_key_len(const struct relation *relation);

/* May a part of its key be NULL? */
bool relation_key_nullable(const struct relation *relation);

/* Can rows be changed at all: a key of columns and some grant. */
bool relation_writable(const struct relation *relation);
