/* An intent → SQL with $n parameters. Nothing a user typed is ever part of the SQL text: names come
 * from the catalog, quoted, and values are parameters. Equal intents on one snapshot give equal SQL,
 * so that it can be prepared once. Every function name and operator is schema-qualified, since the
 * search_path is the role's.
 *
 * The relation is always called t, and a parameter has the type of its column, a domain's base type
 * for domains: so a key that the domain forbids is a row that does not exist, and not an error. */
#pragma once

#include <stdatomic.h>

#include "rowfs/base/cleanup.h"
#include "rowfs/model/json.h"
#include "rowfs/model/row.h"

struct statement {
	char *sql;
	size_t n;
	uint32_t *types;     /* parameter type oids */
	struct cell *values; /* borrowed from what the caller passed */
	bool writes;         /* not to be repeated when its answer was lost */
	bool streamed;       /* see store_run(); set by the caller */
	bool rehearsed;      /* the same */
	/* Becomes true when nobody waits for the answer any more, which cancels a read that still runs.
	 * NULL: somebody always does. Set by the caller. */
	const atomic_bool *abandoned;
};

void statement_done(struct statement *statement);

#define _cleanup_statement_ _cleanup_(statement_done)

/* All return 0 or -ENOMEM and give a statement that the caller releases; the cells they were
 * given must outlive it.
 *
 * fetch, page:   result lines as row_view() reads them
 * key_hashed:    one line: xmin, or NULL for relations without; then the key's parts
 * canonical:     one line: the key's parts as PostgreSQL prints them
 * patch, delete, rekey, replace:
 *                of one row, or of none where a configured key is several rows'; one line: the transaction id (32 bits), or NULL for relations
 *                without xmin
 * patch:         then whether every changed column has the base's value after all, which a trigger or
 *                rule can do
 * insert:        the id, then the key's parts as stored */
int statement_fetch(const struct schema *schema, const struct relation *relation,
		    const struct cells *key, struct statement *ret) _must_check_;

/* By name_hash(), a scan. `hash` must outlive the statement. */
int statement_fetch_hashed(const struct schema *schema, const struct relation *relation,
			   const char *hash, struct statement *ret) _must_check_;

/* One line: xmin, then the columns that are cold, in their order. */
int statement_fetch_cold(const struct relation *relation, const struct cells *key, struct statement *ret) _must_check_;

/* As fetch_hashed, for what has to know the key only: the row itself may be too large to be fetched. */
int statement_key_hashed(const struct relation *relation, const char *hash, struct statement *ret)
	_must_check_;

/* At most `limit` rows after `after` (NULL: from the start) in key order. */
int statement_page(const struct schema *schema, const struct relation *relation,
		   const struct cells *after, unsigned limit, struct statement *ret) _must_check_;

/* The same lines, but only the key's columns are read: the others are NULL. Of relations whose key is columns that are never
 * NULL. */
int statement_page_keys(const struct schema *schema, const struct relation *relation, const struct cells *after,
			unsigned limit, struct statement *ret) _must_check_;

/* For pinning (model/placement.h); `hot` is SQL over the relation's columns, or NULL for all rows. Of relations whose key
 * is columns that are never NULL. Keys only, or whole rows; in key order, at most `limit` after `after`: */
int statement_pin_keys(const struct relation *relation, const char *hot, const struct cells *after, unsigned limit,
		       struct statement *ret) _must_check_;
int statement_pin_page(const struct schema *schema, const struct relation *relation, const char *hot,
		       const struct cells *after, unsigned limit, struct statement *ret) _must_check_;

/* Nothing, from PostgreSQL having planned it; without parameters, so a predicate with one fails. What is no condition of
 * its own, as `true) OR (true`, is none where the cast of its end to text comes first. */
int statement_pin_check(const struct relation *relation, const char *hot, struct statement *ret) _must_check_;

/* The same of a table by its name in SQL, as text. */
void statement_print_check(const char *table, const char *hot, struct buf *out);

/* The rows of these keys that satisfy it, in any order; the cell `parts[i]` is an array literal of text: part i of
 * every key. */
int statement_pin_rows(const struct schema *schema, const struct relation *relation, const char *hot,
		       const struct cell *parts, struct statement *ret) _must_check_;

int statement_canonical(const struct relation *relation, const struct cells *key,
			struct statement *ret) _must_check_;

/* One value of a column, which is refused if PostgreSQL cannot read it. */
int statement_value(const struct column *column, struct cell value, struct statement *ret)
	_must_check_;

/* UPDATE the columns marked in `changed` to `patch`'s values where those marked in `checked` (NULL: the same) still equal
 * `base`. It returns its transaction, whether the row was kept as the base has it all the same, and of which transaction
 * it was before. */
int statement_patch(const struct relation *relation, const struct cells *key, const struct cell *base,
		    const struct patch *patch, const bool *changed, const bool *checked, struct statement *ret)
	_must_check_;

/* INSERT what `patch` has, with `key` for the key columns (NULL: the server assigns it). Where it has a generated column
 * that would become something else, the statement fails with STATEMENT_NOT_GENERATED in its message. */
#define STATEMENT_NOT_GENERATED "a generated column would not be what the text says"

int statement_insert(const struct relation *relation, const struct cells *key,
		     const struct patch *patch, struct statement *ret) _must_check_;

/* Only if it is of this transaction; NULL: of any. `xid` must outlive the statement. */
int statement_delete(const struct relation *relation, const struct cells *key, const char *xid,
		     struct statement *ret) _must_check_;

/* The row `from` gets the key `to`. */
int statement_rekey(const struct relation *relation, const struct cells *from,
		    const struct cells *to, struct statement *ret) _must_check_;

/* mv onto an existing row: `to` takes every other column of `from`, which is deleted; one
 * statement. (Deleting `to` instead would cascade to what references it.) Not for a partial
 * relation: its hidden columns would be lost. */
int statement_replace(const struct relation *relation, const struct cells *from,
		      const struct cells *to, struct statement *ret) _must_check_;
