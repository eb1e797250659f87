/* What the tests of statements share: a store with the tables of rows.sql, and rows read from it. */
#pragma once

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../unit/suite.h"
#include "cluster.h"
#include "rowfs/base/buf.h"

static struct store *store;
static struct schema *schema;
static struct buf out;
static struct error e;
static struct settings settings;
static struct table_settings views[] = {
        {(char *)"k.people", (char *)"id", NULL},
        {(char *)"k.triggered", (char *)"id", NULL},
        {(char *)"k.crowd", (char *)"k", NULL},
};

static inline const struct relation *table(const char *name)
{
	const struct space *space = schema_space(schema, "k");
	const struct relation *relation = space ? space_relation(space, name) : NULL;

	ck_assert_msg(relation != NULL, "no table %s", name);
	return relation;
}

static inline void setup(void)
{
	settings.tables = views;
	settings.n_tables = 3;
	store = cluster_store("postgres", "rows", &settings);
	ck_assert_int_eq(store_load_schema(store, &schema, &e), 0);
}

static inline void teardown(void)
{
	schema_unref(schema);
	store_close(store);
	buf_done(&out);
}

static inline int run(enum store_set set, struct statement *statement)
{
	int r = cluster_run(store, set, statement, &out, &e);

	statement_done(statement);
	return r;
}

struct row {
	struct cells cells, key;
	uint32_t xid;
	bool has_mtime;
	struct timespec mtime;
};

static inline int row_copy(const struct relation *relation, const struct row_view *view, struct row *ret)
{
	struct cell key[KEY_PARTS_MAX];

	row_view_key(relation, view, key);
	ck_assert_int_eq(cells_copy(view->cells, relation->n_columns, &ret->cells), 0);
	ck_assert_int_eq(cells_copy(key, relation_key_len(relation), &ret->key), 0);
	ret->xid = view->xid;
	ret->has_mtime = view->has_mtime;
	ret->mtime = view->mtime;
	return 0;
}

static inline void row_done(struct row *row)
{
	cells_done(&row->cells);
	cells_done(&row->key);
}

/* The rows of a result, copied. */
struct rows {
	const struct relation *relation;
	struct row at[64];
	size_t n;
};

static inline int take_row(void *arg, const struct cell *cells, size_t n)
{
	struct rows *rows = arg;
	struct row_view view;

	ck_assert_uint_eq(n, ROW_HEAD + rows->relation->n_columns);
	ck_assert_int_eq(row_view(rows->relation, cells, n, &view), 0);
	return row_copy(rows->relation, &view, &rows->at[rows->n++]);
}

static inline void rows_done(struct rows *rows)
{
	for (size_t i = 0; i < rows->n; i++)
		row_done(&rows->at[i]);
	rows->n = 0;
}

static inline void fetch(const struct relation *relation, struct statement *statement, struct rows *ret)
{
	ret->relation = relation;
	ret->n = 0;
	ck_assert_msg(store_run(store, STORE_READ, statement, take_row, ret, &e) == 0,
	              "%s\n%s", statement->sql, e.message);
	statement_done(statement);
}

#define N(array) ((int)(sizeof(array) / sizeof(*(array))))

/* main() of each. */
static inline int rows_run(Suite *suite)
{
	int r = cluster_begin();

	if (r != 0)
		return 0;
	cluster_file("rows", ROWS_SQL);
	r = suite_run(suite);
	cluster_end();
	return r;
}
