/* One row from PostgreSQL, as its text. No cache: engine/reader.h decides whether there has to be asked. */
#pragma once

#include "rowfs/engine/catalog.h"
#include "rowfs/engine/rowref.h"
#include "rowfs/engine/store.h"
#include "rowfs/engine/text.h"

struct fetch_from {
	struct store *store;
	struct catalog *catalog;
	enum store_set set;
	const atomic_bool *abandoned; /* or NULL; see struct statement */
};

/* 0 with the text; -ENOENT if PostgreSQL says that there is no such row, or if that is not how it spells the name;
 * another -errno. `e` may be NULL. */
int fetch_row(const struct fetch_from *from, const struct rowref *ref, struct text **ret, struct error *e)
	_must_check_;

/* The same, and if a column is gone, which says nothing about the row, with the catalog read anew once more. *ret_renewed
 * says so: the text then is not of `ref`'s columns. */
int fetch_row_renewed(const struct fetch_from *from, const struct rowref *ref, bool *ret_renewed, struct text **ret,
		      struct error *e) _must_check_;

/* What an error means of a statement that reads the row, in words: returns as fetch_row() does. */
int fetch_explain(const struct fetch_from *from, const struct rowref *ref, int r, struct error *e) _must_check_;
