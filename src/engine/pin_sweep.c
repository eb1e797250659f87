#include "pin_sweep.h"

#include <string.h>

/* Steps at a time. */
enum { SWEEP_STEPS = 20 };

static bool some_due(const struct pin_rules *rules)
{
	for (size_t i = 0; i < rules->n; i++)
		if (rules->tables[i].sweep_due)
			return true;
	return false;
}

bool pin_sweep_due(const struct pin_sweep *sweep, const struct pin_rules *rules)
{
	return sweep->all_due || sweep->under_way || some_due(rules);
}

void pin_sweep_fail(struct pin_sweep *sweep)
{
	sweep->all_due = sweep->all_due || sweep->under_way;
	sweep->under_way = false;
}

void pin_sweep_done(struct pin_sweep *sweep)
{
	buf_done(&sweep->relations);
	*sweep = (struct pin_sweep){0};
}

/* Those that are due, of those that are marked. */
static void choose(struct pin_sweep *sweep, const struct pin_rules *rules)
{
	struct buf *relations = &sweep->relations;
	size_t kept = 0;

	for (size_t at = 0; !sweep->all_due && at < relations->len; at += sizeof(uint32_t)) {
		const struct pin_table *table;
		uint32_t relation;

		memcpy(&relation, relations->data + at, sizeof relation);
		table = pin_rules_find(rules, relation);
		if (!table || !table->sweep_due)
			continue;
		memcpy(relations->data + kept, &relation, sizeof relation);
		kept += sizeof relation;
	}
	if (!sweep->all_due)
		relations->len = kept;
}

static int begin(struct pin_sweep *sweep, struct pin_rules *rules, struct pinner *pinner, struct error *e)
{
	int r;

	buf_reset(&sweep->relations);
	r = pinner_marked(pinner, &sweep->relations, e);
	if (r < 0)
		return r;
	choose(sweep, rules);
	for (size_t i = 0; i < rules->n; i++) {
		rules->tables[i].swept = sweep->all_due || rules->tables[i].sweep_due;
		rules->tables[i].sweep_due = false;
	}
	sweep->all_due = false;
	sweep->under_way = true;
	sweep->at = 0;
	sweep->cursor = 0;
	sweep->takes_all = false;
	return 0;
}

static void end(struct pin_sweep *sweep, struct pin_rules *rules)
{
	sweep->under_way = false;
	for (size_t i = 0; i < rules->n; i++) {
		struct pin_table *table = &rules->tables[i];

		table->miscounted = true; /* names that stood for nothing are gone */
		if (table->state == PIN_CLEARING && table->swept)
			table->state = PIN_LOADING;
	}
}

static int step(struct pin_sweep *sweep, struct pin_rules *rules, struct pinner *pinner, struct error *e)
{
	struct pin_table *table;
	const char *valid;
	uint32_t relation;
	int r;

	if (sweep->at >= sweep->relations.len) {
		end(sweep, rules);
		return 0;
	}
	memcpy(&relation, sweep->relations.data + sweep->at, sizeof relation);
	table = pin_rules_find(rules, relation);
	valid = table ? pin_table_valid(table) : NULL;
	/* Rules may change on the way. */
	sweep->takes_all = !valid && (sweep->takes_all || sweep->cursor == 0);
	r = pinner_sweep(pinner, relation, valid, &sweep->cursor, e);
	if (r < 0 || sweep->cursor)
		return r;
	sweep->at += sizeof relation;
	if (!sweep->takes_all)
		return 0;
	sweep->takes_all = false;
	if (table)
		table->marked = false;
	return pinner_unmark(pinner, relation, e);
}

int pin_sweep_work(struct pin_sweep *sweep, struct pin_rules *rules, struct pinner *pinner, bool *ret_busy,
		   struct error *e)
{
	int r = 0;

	if (!sweep->under_way && pin_sweep_due(sweep, rules))
		r = begin(sweep, rules, pinner, e);
	for (int i = 0; r == 0 && sweep->under_way && i < SWEEP_STEPS; i++) {
		*ret_busy = true;
		r = step(sweep, rules, pinner, e);
	}
	return r;
}
