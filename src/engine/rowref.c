#include "rowfs/engine/rowref.h"

#include <errno.h>
#include <string.h>

int rowref_of_name(struct catalog *catalog, uint32_t oid, const char *name, struct rowref *ret,
		   enum name_kind *ret_kind)
{
	_cleanup_rowref_ struct rowref ref = {.schema = catalog_get(catalog)};
	enum name_kind kind;

	ref.relation = schema_relation(ref.schema, oid);
	if (!ref.relation)
		return -ESTALE;
	kind = name_parse(ref.relation, name, &ref.key, ref.hash);
	if (ret_kind)
		*ret_kind = kind;
	if (kind != NAME_ROW && kind != NAME_HASHED)
		return -ENOENT;
	ref.name = strdup(name);
	if (!ref.name)
		return -ENOMEM;
	*ret = ref;
	memset(&ref, 0, sizeof ref);
	return 0;
}

int rowref_explain(struct catalog *catalog, uint32_t oid, const char *name, struct error *e)
{
	_cleanup_schema_ struct schema *schema = catalog_get(catalog);
	const struct relation *relation = schema_relation(schema, oid);

	if (name_is_reserved(name))
		return error_set(e, EINVAL, "%s can be no row: names that end in .yaml, .csv or .tsv are reserved",
				 name);
	if (relation && relation->key_kind != KEY_COLUMNS)
		return error_set(e, EINVAL, "%s can be no row: the table has no key, so its rows cannot be made or "
				 "changed; give it a primary key", name);
	return error_set(e, EINVAL, "%s can be no row of this table: the name is no key that PostgreSQL would "
			 "print", name);
}

int rowref_copy(const struct rowref *from, struct rowref *ret)
{
	_cleanup_rowref_ struct rowref ref = {
		.schema = schema_ref(from->schema),
		.relation = from->relation,
		.name = strdup(from->name),
	};
	int r = 0;

	memcpy(ref.hash, from->hash, sizeof ref.hash);
	if (!ref.name)
		return -ENOMEM;
	if (from->key.n)
		r = cells_copy(from->key.at, from->key.n, &ref.key);
	if (r < 0)
		return r;
	*ret = ref;
	memset(&ref, 0, sizeof ref);
	return 0;
}

void rowref_done(struct rowref *ref)
{
	schema_unref(ref->schema);
	free(ref->name);
	cells_done(&ref->key);
	memset(ref, 0, sizeof *ref);
}
