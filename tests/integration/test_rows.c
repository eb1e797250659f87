/* Rows of real tables, read: keys of every type, pages in key order, times. */
#include "rows.h"

#include "rowfs/model/name.h"

/* Every row, by pages of `limit`. */
static void list(const struct relation *relation, unsigned limit, struct rows *ret)
{
	struct cells after = {0};
	size_t n;

	ret->n = 0;
	do {
		struct rows page = {0};
		struct statement statement = {0};

		ck_assert_int_eq(
		        statement_page(schema, relation, ret->n ? &after : NULL, limit, &statement),
		        0);
		fetch(relation, &statement, &page);
		n = page.n;
		ck_assert_uint_le(n, limit);
		for (size_t i = 0; i < n; i++)
			ret->at[ret->n++] = page.at[i];
		if (n > 0)
			after = ret->at[ret->n - 1].key;
	} while (n == limit);
	ret->relation = relation;
}

static void same_row(const struct row *a, const struct rows *found)
{
	ck_assert_uint_eq(found->n, 1);
	ck_assert(cells_equal(&a->cells, &found->at[0].cells));
	ck_assert(cells_equal(&a->key, &found->at[0].key));
	ck_assert_uint_eq(a->xid, found->at[0].xid);
}

/* A hash finds the key, too, and the transaction that the row is of. */
static void same_key(const struct relation *relation, const char *hash, const struct row *row)
{
	struct statement statement = {0};
	struct buf expected = {0};

	ck_assert_int_eq(statement_key_hashed(relation, hash, &statement), 0);
	ck_assert_int_eq(run(STORE_READ, &statement), 0);
	if (row->xid)
		buf_addf(&expected, "%u", row->xid);
	else
		buf_adds(&expected, "\\N");
	for (size_t i = 0; i < row->key.n; i++)
		buf_addf(&expected, "|%s", row->key.at[i].data ? row->key.at[i].data : "\\N");
	buf_addc(&expected, '\n');
	ck_assert_str_eq(out.data, expected.data);
	buf_done(&expected);
}

static const char *const keyed[] = {
        "int2",          "int4",      "int8",        "text",       "varchar",   "char4",
        "citext",        "bool",      "uuid",        "date",       "timestamp", "tz",
        "numeric",       "numeric62", "float8",      "enum",       "domain",    "domchar",
        "ints",          "texts",     "range",       "multirange", "composite", "bytea",
        "inet",          "cidr",      "bit",         "interval",   "name",      "money",
        "jsonb",         "collated",  "insensitive", "composed",   "mixed",     "deferred",
        "unique",        "pattern",   "partitioned", "nullable",   "nullable2", "people",
        "oddly \"named", "regclass",  "enums",
};

/* Each row is listed once, in the order of its index, and found by its key and by its hash. */
START_TEST(test_keys)
{
	const struct relation *relation = table(keyed[_i]);
	struct rows rows = {0};
	size_t n = (size_t)strtoul(cluster_sql("rows", "SELECT count(*) FROM k.\"%s\"",
	                                       _i == 42 ? "oddly \"\"named" : keyed[_i]),
	                           NULL, 10);

	ck_assert_int_eq(relation->key_kind, KEY_COLUMNS);
	ck_assert_uint_gt(n, 1);
	list(relation, 1, &rows);
	ck_assert_uint_eq(rows.n, n);
	rows_done(&rows);
	list(relation, 100, &rows);
	ck_assert_uint_eq(rows.n, n);
	for (size_t i = 0; i < n; i++) {
		struct statement statement = {0};
		struct rows found = {0};
		char hash[NAME_HASH_HEX + 1];

		ck_assert_int_eq(statement_fetch(schema, relation, &rows.at[i].key, &statement), 0);
		fetch(relation, &statement, &found);
		same_row(&rows.at[i], &found);
		rows_done(&found);

		name_hash(rows.at[i].key.at, rows.at[i].key.n, hash);
		ck_assert_int_eq(statement_fetch_hashed(schema, relation, hash, &statement), 0);
		fetch(relation, &statement, &found);
		same_row(&rows.at[i], &found);
		rows_done(&found);
		same_key(relation, hash, &rows.at[i]);
	}
	rows_done(&rows);
}
END_TEST

/* What is stored prints as it would be printed. */
START_TEST(test_canonical_of_stored)
{
	const struct relation *relation = table(keyed[_i]);
	struct rows rows = {0};

	list(relation, 100, &rows);
	for (size_t i = 0; i < rows.n; i++) {
		struct statement statement = {0};
		struct buf expected = {0};

		for (size_t k = 0; k < rows.at[i].key.n; k++) {
			const char *text = rows.at[i].key.at[k].data;

			buf_addf(&expected, "%s%s", k ? "|" : "", text ? text : "\\N");
		}
		buf_addc(&expected, '\n');
		ck_assert_int_eq(statement_canonical(relation, &rows.at[i].key, &statement), 0);
		ck_assert_int_eq(run(STORE_READ, &statement), 0);
		ck_assert_str_eq(out.data, expected.data);
		buf_done(&expected);
	}
	rows_done(&rows);
}
END_TEST

static const struct {
	const char *table, *key, *canonical;
} spellings[] = {
        {"int4", "042", "42"},
        {"char4", "ab", "ab  "},
        {"numeric62", "1.5", "1.50"},
        {"numeric", "1.50", "1.50"},
        {"date", "2024-2-9", "2024-02-09"},
        {"bool", "true", "t"},
        {"uuid", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
        {"varchar", "toolong", "toolo"},
        {"citext", "ABC", "ABC"},
        {"domain", "-7", "-7"}, /* the domain forbids it, but that is for the INSERT to say */
};

START_TEST(test_canonical)
{
	struct cell key = cell_of(spellings[_i].key);
	const struct cells cells = {1, &key};
	struct statement statement = {0};

	ck_assert_int_eq(statement_canonical(table(spellings[_i].table), &cells, &statement), 0);
	ck_assert_int_eq(run(STORE_READ, &statement), 0);
	out.data[out.len - 1] = '\0';
	ck_assert_str_eq(out.data, spellings[_i].canonical);
}
END_TEST

START_TEST(test_key_that_domain_forbids_is_no_row)
{
	struct cell key = cell_of("-7");
	const struct cells cells = {1, &key};
	struct statement statement = {0};

	ck_assert_int_eq(statement_fetch(schema, table("domain"), &cells, &statement), 0);
	ck_assert_int_eq(run(STORE_READ, &statement), 0);
	ck_assert_str_eq(out.data, "");
}
END_TEST

/* The order of pages is the order of the index, and so does without a sort. */
static const char *const large[] = {"large_int",  "large_text", "large_pair",    "large_citext",
                                    "large_view", "large_heap", "large_collated"};

START_TEST(test_pages_use_the_index)
{
	const struct relation *relation = table(large[_i]);
	const char *middle[][2] = {{"50000"}, {"name 50000"}, {"500", "50"}, {"n500", "50"},
	                           {"50000"}, {"(300,1)"},    {"name 50000"}};
	struct cell key[] = {cell_of(middle[_i][0]), cell_of(middle[_i][1])};
	const struct cells after = {relation_key_len(relation), key};
	struct statement page = {0}, explain = {0};
	struct buf sql = {0};

	ck_assert_int_eq(statement_page(schema, relation, &after, 100, &page), 0);
	buf_addf(&sql, "EXPLAIN (ANALYZE, TIMING off) %s", page.sql);
	explain = page;
	explain.sql = sql.data;
	ck_assert_int_eq(cluster_run(store, STORE_READ, &explain, &out, &e), 0);
	ck_assert_msg(!strstr(out.data, "Sort"), "%s\n%s", page.sql, out.data);
	ck_assert_msg(!strstr(out.data, "Seq Scan"), "%s\n%s", page.sql, out.data);
	ck_assert_msg(strstr(out.data, "Index Cond") || strstr(out.data, "TID Cond"), "%s\n%s",
	              page.sql, out.data);
	/* No more than the page is read. */
	ck_assert_msg(!strstr(out.data, "Rows Removed") || _i == 3, "%s", out.data);
	buf_done(&sql);
	statement_done(&page);
}
END_TEST

START_TEST(test_first_page_of_nullable_key_uses_the_index)
{
	struct statement page = {0}, explain;
	struct buf sql = {0};

	ck_assert_int_eq(statement_page(schema, table("large_view"), NULL, 100, &page), 0);
	buf_addf(&sql, "EXPLAIN %s", page.sql);
	explain = page;
	explain.sql = sql.data;
	ck_assert_int_eq(cluster_run(store, STORE_READ, &explain, &out, &e), 0);
	ck_assert_msg(!strstr(out.data, "Sort") && !strstr(out.data, "Seq Scan"), "%s", out.data);
	buf_done(&sql);
	statement_done(&page);
}
END_TEST

START_TEST(test_heap_and_partitions_without_key)
{
	static const char *const names[] = {"large_heap_few", "partitioned_heap"};

	for (size_t i = 0; i < 2; i++) {
		struct rows one = {0}, all = {0};

		list(table(names[i]), 1, &one);
		list(table(names[i]), 100, &all);
		ck_assert_uint_eq(one.n, 6);
		ck_assert_uint_eq(all.n, 6);
		for (size_t k = 0; k < 6; k++) {
			struct statement statement = {0};
			struct rows found = {0};

			ck_assert(cells_equal(&one.at[k].key, &all.at[k].key));
			ck_assert_int_eq(
			        statement_fetch(schema, one.relation, &one.at[k].key, &statement),
			        0);
			fetch(one.relation, &statement, &found);
			same_row(&one.at[k], &found);
			rows_done(&found);
		}
		rows_done(&one);
		rows_done(&all);
	}
}
END_TEST

static void check_derived(const struct row *row)
{
	ck_assert(row->has_mtime);
	ck_assert_int_eq(row->mtime.tv_sec, row_mtime_derived(row->xid).tv_sec);
	ck_assert_int_eq(row->mtime.tv_nsec, 0);
}

static void load_with_mtime(const char *column)
{
	settings.mtime = (char *)column;
	schema_unref(schema);
	ck_assert_int_eq(store_load_schema(store, &schema, &e), 0);
}

START_TEST(test_mtime_column)
{
	struct rows rows = {0};

	load_with_mtime("at");
	list(table("timed"), 100, &rows);
	ck_assert_uint_eq(rows.n, 5);
	ck_assert_int_eq(rows.at[0].mtime.tv_sec, 1700000000);
	ck_assert_int_eq(rows.at[0].mtime.tv_nsec, 123456000);
	check_derived(&rows.at[1]); /* infinity */
	check_derived(&rows.at[2]); /* ahead of time */
	ck_assert_int_eq(rows.at[3].mtime.tv_sec, 0); /* before 1970 */
	check_derived(&rows.at[4]);
	rows_done(&rows);
	for (int i = 0; i < 2; i++) {
		list(table(i ? "timed_date" : "timed_number"), 100, &rows);
		ck_assert_int_eq(rows.at[0].mtime.tv_sec, 1700006400);
		rows_done(&rows);
	}
	settings.mtime = NULL;
}
END_TEST

/* It was the clock's time: another at every look, so that idle backups copied the row each time. */
START_TEST(test_a_time_to_come_does_not_move)
{
	static const char *const tables[] = {"timed", "timed_ahead", "timed_ahead_float"};
	struct rows first = {0}, second = {0};

	load_with_mtime("at");
	for (int i = 0; i < 3; i++) {
		list(table(tables[i]), 100, &first);
		nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
		list(table(tables[i]), 100, &second);
		ck_assert_uint_gt(first.n, 0);
		ck_assert_uint_eq(first.n, second.n);
		for (size_t row = 0; row < first.n; row++) {
			ck_assert_int_eq(first.at[row].mtime.tv_sec, second.at[row].mtime.tv_sec);
			ck_assert_int_eq(first.at[row].mtime.tv_nsec, second.at[row].mtime.tv_nsec);
		}
		if (i > 0)
			check_derived(&first.at[0]);
		rows_done(&first);
		rows_done(&second);
	}
	settings.mtime = NULL;
}
END_TEST

/* ---- */

int main(void)
{
	Suite *s = suite_create("rows");
	TCase *keys = tcase_create("keys");

	tcase_add_checked_fixture(keys, setup, teardown);
	tcase_add_loop_test(keys, test_keys, 0, N(keyed));
	tcase_add_loop_test(keys, test_canonical_of_stored, 0, N(keyed));
	tcase_add_loop_test(keys, test_canonical, 0, N(spellings));
	tcase_add_test(keys, test_key_that_domain_forbids_is_no_row);
	tcase_add_loop_test(keys, test_pages_use_the_index, 0, N(large));
	tcase_add_test(keys, test_first_page_of_nullable_key_uses_the_index);
	tcase_add_test(keys, test_heap_and_partitions_without_key);
	tcase_add_test(keys, test_mtime_column);
	tcase_add_test(keys, test_a_time_to_come_does_not_move);
	tcase_set_timeout(keys, 60);
	suite_add_tcase(s, keys);
	return rows_run(s);
}
