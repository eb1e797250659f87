/* Building the snapshot from what the queries of load_sql.h answered. Reading is one transaction,
 * so that the parts fit together; building does no I/O. */
#pragma once

#include <libpq-fe.h>

#include "rowfs/base/buf.h"
#include "rowfs/base/settings.h"
#include "rowfs/model/schema.h"
#include "rules.h"
#include "said.h"

/* The answers, and how far the relation that is being built has consumed them: relations, columns
 * and keys come in one order. */
struct load {
	const struct settings *settings;
	struct said *said;
	PGresult *spaces, *relations, *columns, *keys, *types, *fingerprint;
	struct ruleset rules; /* the database's */
	PGresult *named;      /* what there is of the names in them; NULL: nothing */
	int column, key;
	bool has_mtime; /* some relation has the column of mtime= */
	struct schema *schema;
};

void load_done(struct load *load);

const char *load_text(const PGresult *result, int row, int field); /* NULL for NULL */
bool load_flag(const PGresult *result, int row, int field);
uint32_t load_oid(const PGresult *result, int row, int field);

/* All return 0 or -ENOMEM. What they have built belongs to the snapshot, also when they fail. */
int load_types(struct load *load) _must_check_;
const struct type *load_type(const struct schema *schema, uint32_t oid);

int load_spaces(struct load *load) _must_check_;

/* The relation of row `row`, unless it is left out. */
int load_relation(struct load *load, struct space *space, int row) _must_check_;

/* The configuration's entry for a relation, or NULL. */
const struct table_settings *load_table_settings(const struct settings *settings, const char *space,
                                                 const char *relation);

/* The relation's placement rule: the configuration's, else the database's. */
int load_placement(struct load *load, struct relation *relation) _must_check_;

/* The rules of tables that are not shown, each with why. */
int load_unplaced(struct load *load) _must_check_;

/* The names of the database's rules, as an array literal. */
void load_print_placed(const struct ruleset *rules, struct buf *out);

/* An element of an array literal, quoted. */
void load_print_element(const char *text, struct buf *out);

/* The relations that have a key in the configuration, as an array literal. */
void load_print_configured(const struct settings *settings, struct buf *out);

/* A key as it is chosen, before anything is allocated. */

struct key_choice {
	enum key_kind kind;
	bool unproven; /* configured, so several rows may share it */
	size_t n;
	struct {
		int column; /* row of the columns' answer */
		const char *operator_schema, *collation;
		bool nullable;
	} parts[KEY_PARTS_MAX];
};

/* What identifies the rows of a relation; false: nothing that this role may see, so it is not
 * shown. Its columns are the rows [first, last) of the columns' answer, its index's the keys' rows
 * from load->key on. */
bool load_choose_key(struct load *load, int relation, int first, int last, struct key_choice *ret);
