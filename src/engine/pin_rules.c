#include "pin_rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rowfs/base/log.h"

/* Status has no room for a list of all. */
enum { UNPLACED_SHOWN = 20 };

struct pin_table *pin_rules_find(const struct pin_rules *rules, uint32_t relation)
{
	for (size_t i = 0; i < rules->n; i++)
		if (rules->tables[i].relation && rules->tables[i].relation->oid == relation)
			return &rules->tables[i];
	return NULL;
}

static bool has_rule(const struct relation *relation)
{
	return relation->placement.off || placement_pins(&relation->placement);
}

static enum pin_state first_state(const struct relation *relation, bool lags, bool is_new)
{
	if (relation->placement.off)
		return PIN_OFF;
	if (pin_unfit(relation, lags))
		return PIN_UNFIT;
	return is_new ? PIN_LOADING : PIN_CLEARING;
}

static bool same_rule(const struct relation *a, const struct relation *b)
{
	return placement_equal(&a->placement, &b->placement) && pin_unfit(a, false) == pin_unfit(b, false);
}

/* A table whose columns have changed is loaded anew, since its rows have other texts. */
static void take_table(struct pin_table *table, struct pin_table *old, bool lags, bool *sweep)
{
	const struct relation *relation = table->relation;

	if (old && same_rule(old->relation, relation) && old->relation->fingerprint == relation->fingerprint) {
		*table = *old;
		table->relation = relation;
		*old = (struct pin_table){0};
		return;
	}
	table->state = first_state(relation, lags, !old);
	if (table->state == PIN_UNFIT)
		error_copy_text(table->why, sizeof table->why, pin_unfit(relation, lags));
	/* Copies under a feed have keys of columns. */
	if (table->state == PIN_OFF && relation->key_kind == KEY_COLUMNS && relation->has_xmin)
		table->removals = PIN_REMOVALS;
	*sweep = *sweep || old;
}

static size_t count_rules(const struct schema *schema)
{
	size_t n = 0;

	for (size_t i = 0; i < schema->n_spaces; i++)
		for (size_t k = 0; k < schema->spaces[i].n_relations; k++)
			n += has_rule(&schema->spaces[i].relations[k]);
	return n;
}

void pin_rules_done(struct pin_rules *rules)
{
	for (size_t i = 0; i < rules->n; i++)
		pin_table_done(&rules->tables[i]);
	free(rules->tables);
	schema_unref(rules->schema);
	*rules = (struct pin_rules){0};
}

static bool has_unplaced(const struct schema *schema, const struct unplaced *unplaced)
{
	for (size_t i = 0; schema && i < schema->n_unplaced; i++)
		if (strcmp(schema->unplaced[i].relation, unplaced->relation) == 0 &&
		    strcmp(schema->unplaced[i].why, unplaced->why) == 0)
			return true;
	return false;
}

/* Each once; `old` may be NULL. */
static void log_unplaced(const struct schema *old, const struct schema *now)
{
	for (size_t i = 0; i < now->n_unplaced; i++)
		if (!has_unplaced(old, &now->unplaced[i]))
			log_warning("placement: %s: lazy, since %s", now->unplaced[i].relation, now->unplaced[i].why);
}

void pin_rules_print_unplaced(const struct pin_rules *rules, struct buf *out)
{
	size_t n = rules->schema ? rules->schema->n_unplaced : 0;

	for (size_t i = 0; i < n && i < UNPLACED_SHOWN; i++)
		buf_addf(out, "%s%s: lazy, since %s", rules->n + i > 0 ? "; " : "", rules->schema->unplaced[i].relation,
			 rules->schema->unplaced[i].why);
	if (n > UNPLACED_SHOWN)
		buf_addf(out, "; and %zu tables more", n - UNPLACED_SHOWN);
}

int pin_rules_take(struct pin_rules *rules, struct schema *schema, bool lags, bool *ret_sweep)
{
	struct pin_rules taken = {.tables = calloc(count_rules(schema) + 1, sizeof *taken.tables)};

	if (!taken.tables)
		return -ENOMEM;
	log_unplaced(rules->schema, schema);
	taken.schema = schema_ref(schema);
	*ret_sweep = false;
	for (size_t i = 0; i < schema->n_spaces; i++) {
		for (size_t k = 0; k < schema->spaces[i].n_relations; k++) {
			const struct relation *relation = &schema->spaces[i].relations[k];

			if (!has_rule(relation))
				continue;
			taken.tables[taken.n].relation = relation;
			take_table(&taken.tables[taken.n++], pin_rules_find(rules, relation->oid), lags, ret_sweep);
		}
	}
	/* What was not taken over has no rule any more, or another. */
	for (size_t i = 0; i < rules->n; i++)
		if (rules->tables[i].relation)
			*ret_sweep = true;
	pin_rules_done(rules);
	*rules = taken;
	return 0;
}
