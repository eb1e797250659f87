#include "rowfs/engine/apply.h"

#include <errno.h>
#include <string.h>

#include "rowfs/engine/hot_report.h"
#include "rowfs/engine/placements.h"

/* Does the configuration file of this mount say where the table's rows are? */
static bool is_configured(const struct settings *settings, const char *table)
{
	for (size_t i = 0; i < settings->n_tables; i++) {
		const struct table_settings *of = &settings->tables[i];

		if (strcmp(of->relation, table) == 0 && (of->place || of->hot || of->hash || of->columns))
			return true;
	}
	return false;
}

static int set(struct engine *engine, const char *table, const struct relation *relation, struct buf *rule,
	       bool *ret_set, struct buf *because, struct error *e)
{
	_cleanup_placement_ struct placement placement = {0};
	int r = placement_parse(rule->data, &placement, e);

	if (r < 0)
		return r;
	if (is_configured(engine->settings, table)) {
		buf_adds(because, "; but this mount's configuration file has a rule for it, which would go on to count here");
		return 0;
	}
	/* Which rows are there is advised, and which columns of them is somebody's own choice. */
	if (!placement.off && placement_copy_columns(&relation->placement, &placement) < 0)
		return error_set(e, ENOMEM, "out of memory");
	buf_reset(rule);
	placement_print(&placement, rule);
	if (rule->failed)
		return error_set(e, ENOMEM, "out of memory");
	if (placement_equal(&placement, &relation->placement)) {
		buf_addf(because, "; it has %s already", rule->data);
		return 0;
	}
	r = placements_set(engine->store, table, &placement, e);
	*ret_set = r == 0;
	return r;
}

int apply_advice(struct engine *engine, uint32_t oid, bool *ret_set, struct buf *rule, struct buf *because,
		 struct error *e)
{
	_cleanup_schema_ struct schema *schema = catalog_get(engine->catalog);
	const struct relation *relation = schema_relation(schema, oid);
	_cleanup_buf_ struct buf table = {0};
	int r = 0;

	*ret_set = false;
	if (!relation)
		return error_set(e, ESTALE, "there is no such table any more");
	buf_addf(&table, "%s.%s", relation->space, relation->name);
	if (hot_report_advise(engine, relation, rule, because) && !table.failed && !rule->failed)
		r = set(engine, table.data, relation, rule, ret_set, because, e);
	return table.failed || rule->failed || because->failed ? error_set(e, ENOMEM, "out of memory") : r;
}
