/* Which columns of a relation Redis holds, by its placement rule. */
#include <errno.h>
#include <string.h>
#include <xxhash.h>

#include "rowfs/model/schema.h"

static int find_all(const struct relation *relation, struct error *e)
{
	const char *at = relation->placement.columns;
	char name[PLACEMENT_NAME_MAX + 1];

	while (placement_next_column(&at, name))
		if (relation_column(relation, name, strlen(name)) == SIZE_MAX)
			return error_set(e, EINVAL, "columns=: there is no column \"%s\"", name);
	return 0;
}

static void warm_up(struct relation *relation, size_t column)
{
	relation->n_cold -= relation->columns[column].cold;
	relation->columns[column].cold = false;
}

/* Each name's is the next one's seed, so that the order counts, which is the table's. */
static uint64_t hash_kept(const struct relation *relation)
{
	uint64_t hash = 0;

	for (size_t i = 0; i < relation->n_columns; i++)
		if (!relation->columns[i].cold)
			hash = XXH64(relation->columns[i].name, strlen(relation->columns[i].name), hash + 1);
	return hash;
}

int relation_take_columns(struct relation *relation, struct error *e)
{
	const char *at = relation->placement.columns;
	char name[PLACEMENT_NAME_MAX + 1];
	int r;

	if (!at)
		return 0;
	/* By which the two parts of a row are known to be of one version. */
	if (!relation->has_xmin)
		return error_set(e, EINVAL, "columns=: its rows have no xmin");
	r = find_all(relation, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < relation->n_columns; i++)
		relation->columns[i].cold = true;
	relation->n_cold = relation->n_columns;
	while (placement_next_column(&at, name))
		warm_up(relation, relation_column(relation, name, strlen(name)));
	for (size_t i = 0; relation->key_kind == KEY_COLUMNS && i < relation->n_parts; i++)
		warm_up(relation, relation->parts[i].column);
	relation->kept_columns = relation->n_cold ? hash_kept(relation) : 0;
	return 0;
}
