#include "rowfs/model/diff.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int refuse(struct error *e, const struct relation *relation, const struct patch *patch,
                  size_t i, const char *reason, const char *hint)
{
	const struct column *column = &relation->columns[i];

	error_at(e, EINVAL, patch->line[i], patch->column[i], "column \"%s\" %s", column->name,
	         reason);
	if (e) {
		error_copy_text(e->field, sizeof(e->field), column->name);
		error_copy_text(e->hint, sizeof(e->hint), hint);
	}
	return -EINVAL;
}

/* The text may leave the key out; if it has it, it must be the one in the file's name. */
static int check_key(const struct relation *relation, const struct cells *key,
                     const struct patch *patch, struct error *e)
{
	for (size_t i = 0; relation->key_kind == KEY_COLUMNS && i < relation->n_parts; i++) {
		size_t column = relation->parts[i].column;

		if (!patch->present[column])
			continue;
		if (!json_same_value(relation->columns[column].type, patch->cells[column],
		                     key->at[i]))
			return refuse(e, relation, patch, column,
			              "is the key, and not the one in the file's name",
			              "Leave the key out, or let it be the name's; mv of the row's file "
			              "changes its key.");
	}
	return 0;
}

int diff_patch(const struct relation *relation, const struct cells *key, const struct cell *base,
               const struct patch *patch, bool *changed, size_t *ret_n, struct error *e)
{
	size_t n = 0;
	int r = check_key(relation, key, patch, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < relation->n_columns; i++) {
		const struct column *column = &relation->columns[i];

		changed[i] = patch->present[i] && !relation_is_key(relation, i) &&
		             !json_same_value(column->type, base[i], patch->cells[i]);
		if (changed[i] && column->generated)
			return refuse(e, relation, patch, i, "is generated and cannot be changed",
			              "Leave it out, or as it was.");
		n += changed[i];
	}
	*ret_n = n;
	return 0;
}

int diff_insert(const struct relation *relation, const struct cells *key, const struct patch *patch,
                struct error *e)
{
	return key ? check_key(relation, key, patch, e) : 0;
}
