#include "load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "load_sql.h"

static bool is_ruled(const struct table_settings *table)
{
	return table && (table->place || table->hot || table->hash || table->columns);
}

static const char *line_name(const struct load *load, int line)
{
	return load_text(load->rules.lines, line, 0);
}

/* One more than is taken tells that there are too many. */
static int count_lines(const struct ruleset *rules)
{
	int n = rules->lines ? PQntuples(rules->lines) : 0;

	return n < RULES_MAX ? n : RULES_MAX;
}

static bool is_name_of(const char *name, const char *space, const char *relation)
{
	size_t len = strlen(space);

	return name && strncmp(name, space, len) == 0 && name[len] == '.' && strcmp(name + len + 1, relation) == 0;
}

/* The line with the database's rule for it; -1: none. */
static int find_line(const struct load *load, const struct relation *relation)
{
	for (int line = 0; line < count_lines(&load->rules); line++)
		if (is_name_of(line_name(load, line), relation->space, relation->name))
			return line;
	return -1;
}

static int add_unplaced(struct load *load, const char *relation, const char *why)
{
	struct schema *schema = load->schema;
	struct unplaced *all = realloc(schema->unplaced, (schema->n_unplaced + 1) * sizeof *all);
	_cleanup_buf_ struct buf name = {0};

	if (!all)
		return -ENOMEM;
	schema->unplaced = all;
	rules_print_name(relation, &name);
	all[schema->n_unplaced++] = (struct unplaced){.relation = buf_steal(&name), .why = strdup(why)};
	return all[schema->n_unplaced - 1].relation && all[schema->n_unplaced - 1].why ? 0 : -ENOMEM;
}

static int ignore(struct load *load, int line, const char *why)
{
	_cleanup_buf_ struct buf name = {0}, reason = {0};

	rules_print_name(line_name(load, line), &name);
	rules_print_name(why, &reason);
	if (name.failed || reason.failed)
		return -ENOMEM;
	said_once(load->said, LEVEL_WARNING, "the placement rule of \"%s\" is ignored: %s", name.data, reason.data);
	return add_unplaced(load, line_name(load, line), reason.data);
}

/* What is wrong with a rule of the database is a remark: the table is as if it had none. */
static int take_line(struct load *load, struct relation *relation, int line)
{
	const char *text = load_text(load->rules.lines, line, 1);
	_cleanup_placement_ struct placement rule = {0};
	struct error e = {0};
	int r;

	if (!text)
		return ignore(load, line, "its rule is too long");
	r = placement_parse(text, &rule, &e);
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		return ignore(load, line, e.message);
	if (rule.hot && !load->rules.mine)
		return ignore(load, line, "hot= is SQL, and rowfs.placement belongs neither to this role nor to a superuser");
	relation->placement = rule;
	relation->placed_by = PLACED_BY_DATABASE;
	rule = (struct placement){0};
	return 0;
}

/* Columns may be dropped that a rule names. From a role that does not see all of them nothing comes to Redis anyway. */
static void take_columns(struct load *load, struct relation *relation)
{
	struct error e = {0};

	if (relation_take_columns(relation, &e) == 0)
		return;
	if (!relation->partial)
		said_once(load->said, LEVEL_WARNING, "the placement rule of \"%s.%s\" is ignored: %s", relation->space,
		          relation->name, e.message);
	placement_done(&relation->placement);
}

/* The file's entry replaces the database's rule as a whole. The options have been found good. */
int load_placement(struct load *load, struct relation *relation)
{
	const struct table_settings *table = load_table_settings(load->settings, relation->space, relation->name);
	int line = find_line(load, relation);

	int r = 0;

	if (is_ruled(table)) {
		relation->placed_by = line < 0 ? PLACED_BY_FILE : PLACED_BY_FILE_INSTEAD;
		r = placement_of(table->place, table->hot, table->hash, table->columns, &relation->placement, NULL);
	} else if (line >= 0) {
		r = take_line(load, relation, line);
	}
	if (r == 0)
		take_columns(load, relation);
	return r;
}

/* --- Rules of what is not shown --------------------------------------------------------------- */

void load_print_placed(const struct ruleset *rules, struct buf *out)
{
	buf_addc(out, '{');
	for (int line = 0; line < count_lines(rules); line++) {
		const char *name = load_text(rules->lines, line, 0);

		if (!name)
			continue;
		buf_adds(out, out->len > 1 ? "," : "");
		load_print_element(name, out);
	}
	buf_addc(out, '}');
}

static bool is_shown(const struct load *load, const char *name)
{
	for (int row = 0; row < PQntuples(load->relations); row++)
		if (is_name_of(name, load_text(load->relations, row, RELATION_SPACE),
		               load_text(load->relations, row, RELATION_NAME)))
			return true;
	return false;
}

static int find_named(const struct load *load, const char *name)
{
	for (int row = 0; load->named && row < PQntuples(load->named); row++)
		if (strcmp(load_text(load->named, row, NAMED_NAME), name) == 0)
			return row;
	return -1;
}

static const char *why_not_shown(const struct load *load, const char *name)
{
	const char *schema = load->settings->schema;
	size_t len = schema ? strlen(schema) : 0;
	int row = find_named(load, name);

	if (row < 0)
		return "there is no such table";
	if (load_flag(load->named, row, NAMED_PART))
		return "it is a partition, and the rule is its table's";
	if (len && !(strncmp(name, schema, len) == 0 && name[len] == '.'))
		return "the worker was told to show another schema only";
	return "the worker's role may not read it";
}

int load_unplaced(struct load *load)
{
	int r = 0;

	if (load->rules.note[0]) {
		said_once(load->said, LEVEL_WARNING, "%s", load->rules.note);
		load->schema->rules_note = strdup(load->rules.note);
		r = load->schema->rules_note ? 0 : -ENOMEM;
	}
	for (int line = 0; r == 0 && line < count_lines(&load->rules); line++) {
		const char *name = line_name(load, line);

		if (name && !is_shown(load, name))
			r = add_unplaced(load, name, why_not_shown(load, name));
	}
	return r;
}
