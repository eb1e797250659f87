#include "rowfs/engine/hot_report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "rowfs/model/json.h"
#include "rowfs/model/skew.h"

static const int percents[] = {50, 80, 95};

static void print_reads(const struct table_reads *table, struct buf *out)
{
	buf_addf(out,
		 ", \"reads\": %" PRIu64 ", \"memory\": %" PRIu64 ", \"redis\": %" PRIu64 ", \"postgresql\": %" PRIu64
		 ", \"lately\": %" PRIu64,
		 table->reads[TIER_MEMORY] + table->reads[TIER_REDIS] + table->reads[TIER_STORE],
		 table->reads[TIER_MEMORY], table->reads[TIER_REDIS], table->reads[TIER_STORE], table->lately);
}

static void print_sets(const struct skew *skew, double row_bytes, struct buf *out)
{
	buf_addf(out, ", \"exponent\": %.2f, \"rows_read\": %.0f, \"sets\": [", skew->exponent, skew->rows);
	for (size_t i = 0; i < sizeof percents / sizeof *percents; i++) {
		double rows = skew_rows_for(skew, percents[i] / 100.0);

		buf_addf(out, "%s{\"percent\": %d, \"rows\": %.0f, \"bytes\": %.0f}", i ? ", " : "", percents[i], rows,
			 rows * row_bytes);
	}
	buf_addc(out, ']');
}

static void print_rows(const struct row_reads *rows, size_t n, struct buf *out)
{
	buf_adds(out, ", \"hottest\": [");
	for (size_t i = 0; i < n && i < HOT_REPORT_ROWS; i++) {
		buf_adds(out, i ? ", {\"row\": " : "{\"row\": ");
		json_print_string(rows[i].name, strlen(rows[i].name), out);
		buf_addf(out, ", \"reads\": %" PRIu64 ", \"bytes\": %" PRIu32 "}", rows[i].count, rows[i].bytes);
	}
	buf_addc(out, ']');
}

static void print_table(struct engine *engine, const struct relation *relation, const struct table_reads *table,
			const struct popularity *sum, struct buf *out)
{
	size_t n;
	const struct row_reads *rows = popularity_rows(sum, relation->oid, &n);
	_cleanup_free_ uint64_t *counts = calloc(n + 1, sizeof *counts);
	_cleanup_buf_ struct buf path = {0};
	double row_bytes = COPY_OVERHEAD + (table->lately ? (double)table->lately_bytes / (double)table->lately : 0);
	struct skew skew;

	engine_print_path(engine, relation, &path);
	if (!counts || path.failed)
		return;
	for (size_t i = 0; i < n; i++)
		counts[i] = rows[i].count;
	skew_fit(counts, n, table->lately, &skew);
	json_print_string(path.data, path.len, out);
	print_reads(table, out);
	print_sets(&skew, row_bytes, out);
	print_rows(rows, n, out);
}

void hot_report_print(struct engine *engine, struct buf *out)
{
	_cleanup_popularity_ struct popularity sum = {0};
	_cleanup_schema_ struct schema *schema = catalog_get(engine->catalog);
	unsigned others = hot_sum(engine->hot, &sum);

	for (size_t i = 0; i < sum.n_tables; i++) {
		const struct relation *relation = schema_relation(schema, sum.tables[i].relation);

		if (!relation)
			continue;
		buf_addf(out, "{\"mounts\": %u, \"table\": ", others + 1);
		print_table(engine, relation, &sum.tables[i], &sum, out);
		buf_adds(out, "}\n");
	}
}
