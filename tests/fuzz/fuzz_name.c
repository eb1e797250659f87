/* Any bytes as a file name: what is taken for a row prints as the same name again. */
#include "rowfs/model/name.h"

#include <stdlib.h>
#include <string.h>

#include "../unit/sample.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void try_name(const struct relation *relation, const char *name)
{
	_cleanup_cells_ struct cells key = {0};
	_cleanup_buf_ struct buf again = {0};
	char hash[NAME_HASH_HEX + 1] = "";

	switch (name_parse(relation, name, &key, hash)) {
	case NAME_ROW:
		name_print(key.at, key.n, &again);
		if (key.n != relation_key_len(relation) || strcmp(again.data, name) != 0)
			abort();
		break;
	case NAME_HASHED:
		if (strlen(hash) != NAME_HASH_HEX || !strstr(name, hash))
			abort();
		break;
	case NAME_INVALID:
	case NAME_SCRATCH:
		if (key.at)
			abort();
		break;
	}
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	static const struct type *const types[] = {&type_text, &type_int4, &type_uuid, &type_bool};
	struct column columns[3] = {{0}};
	struct key_part parts[3] = {{0}};
	_cleanup_buf_ struct buf name = {0};

	buf_add(&name, data, size);
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		for (size_t n = 1; n <= 3; n++) {
			for (size_t k = 0; k < n; k++) {
				columns[k] = (struct column){.type = types[i]};
				parts[k].nullable = k > 0;
			}

			struct relation relation = sample_relation(columns, n, parts, n);

			try_name(&relation, name.data);
			relation.key_kind = n == 1 ? KEY_CTID : KEY_TABLEOID_CTID;
			try_name(&relation, name.data);
		}
	return 0;
}
