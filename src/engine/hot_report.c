#include "rowfs/engine/hot_report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "pin_table.h"
#include "rowfs/model/advice.h"
#include "rowfs/model/json.h"
#include "rowfs/model/skew.h"

static const int percents[] = {50, 80, 95};

static void print_text(const char *name, const char *value, struct buf *out)
{
	buf_addf(out, ", \"%s\": ", name);
	json_print_string(value, strlen(value), out);
}

/* The key's column, if it is one whole number. */
static const char *number_key(const struct relation *relation)
{
	const struct column *column;

	if (relation->key_kind != KEY_COLUMNS || relation->n_parts != 1)
		return NULL;
	column = &relation->columns[relation->parts[0].column];
	return column->type->kind == TYPE_INTEGER ? column->name : NULL;
}

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

/* What a table's reads say. */
struct judgement {
	const struct row_reads *rows; /* of the sum */
	size_t n_rows;
	uint64_t *counts;          /* theirs; owned */
	struct skew skew;          /* points to them, */
	struct advice_facts facts; /* and these to the skew */
};

static void judgement_done(struct judgement *judgement)
{
	free(judgement->counts);
}

static bool judge(struct engine *engine, const struct relation *relation, const struct table_reads *table,
		  const struct popularity *sum, struct judgement *ret)
{
	struct reader_bar bar = reader_bars(engine->reader, relation);

	ret->rows = popularity_rows(sum, relation->oid, &ret->n_rows);
	ret->counts = calloc(ret->n_rows + 1, sizeof *ret->counts);
	if (!ret->counts)
		return false;
	for (size_t i = 0; i < ret->n_rows; i++)
		ret->counts[i] = ret->rows[i].count;
	skew_fit(ret->counts, ret->n_rows, table->lately, &ret->skew);
	ret->facts = (struct advice_facts){
		.rows = ret->rows,
		.n_rows = ret->n_rows,
		.skew = &ret->skew,
		.row_bytes = COPY_OVERHEAD +
			     (table->lately ? (double)table->lately_bytes / (double)table->lately : 0),
		.bar = bar.why,
		.barred_everywhere = bar.everywhere,
		.pinnable = engine->feed && !pin_unfit(relation, false),
		.key = number_key(relation),
	};
	return true;
}

static void print_advice(const struct advice_facts *facts, struct buf *out)
{
	_cleanup_buf_ struct buf rule = {0}, because = {0};

	advise(facts, &rule, &because);
	if (rule.failed || because.failed)
		return;
	print_text("rule", rule.data, out);
	print_text("because", because.data, out);
}

static void print_table(struct engine *engine, const struct relation *relation, const struct table_reads *table,
			const struct popularity *sum, struct buf *out)
{
	_cleanup_buf_ struct buf path = {0};
	_cleanup_(judgement_done) struct judgement judgement = {0};

	engine_print_path(engine, relation, &path);
	if (path.failed || !judge(engine, relation, table, sum, &judgement))
		return;
	json_print_string(path.data, path.len, out);
	print_reads(table, out);
	print_sets(&judgement.skew, judgement.facts.row_bytes, out);
	print_rows(judgement.rows, judgement.n_rows, out);
	print_advice(&judgement.facts, out);
}

bool hot_report_advise(struct engine *engine, const struct relation *relation, struct buf *rule, struct buf *because)
{
	_cleanup_popularity_ struct popularity sum = {0};

	hot_sum(engine->hot, &sum);
	for (size_t i = 0; i < sum.n_tables; i++) {
		_cleanup_(judgement_done) struct judgement judgement = {0};

		if (sum.tables[i].relation == relation->oid &&
		    judge(engine, relation, &sum.tables[i], &sum, &judgement))
			return advise(&judgement.facts, rule, because);
	}
	buf_adds(because, "nothing was read of it yet");
	return false;
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
