/* What the tests of the store share: a store whose role may use the tables of store.sql, and statements. */
#pragma once

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../unit/suite.h"
#include "cluster.h"
#include "rowfs/base/buf.h"
#include "rowfs/base/clock.h"

static struct store *store;
static struct buf out;
static struct error e;

static inline struct statement text(const char *sql)
{
	return (struct statement){.sql = (char *)sql};
}

static inline int run_in(enum store_set set, const char *sql, bool writes)
{
	struct statement statement = text(sql);

	statement.writes = writes;
	return cluster_run(store, set, &statement, &out, &e);
}

static inline int reading(const char *sql)
{
	return run_in(STORE_READ, sql, false);
}

static inline int writing(const char *sql)
{
	return run_in(STORE_WRITE, sql, true);
}

/* The only value of a result. */
static inline const char *value(const char *sql)
{
	ck_assert_msg(reading(sql) == 0, "%s: %s", sql, e.message);
	out.data[strcspn(out.data, "\n")] = '\0';
	return out.data;
}

static inline void setup(void)
{
	store = cluster_store("client", "store", NULL);
	cluster_sql("store", "TRUNCATE t, parent CASCADE; INSERT INTO t VALUES (1, 0), (2, 0)");
}

static inline void teardown(void)
{
	store_close(store);
	buf_done(&out);
}

#define N(array) ((int)(sizeof(array) / sizeof(*(array))))

static inline int store_suite_run(Suite *suite)
{
	int r = cluster_begin();

	if (r != 0)
		return 0;
	cluster_file("store", STORE_SQL);
	r = suite_run(suite);
	cluster_end();
	return r;
}
