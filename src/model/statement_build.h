/* The pieces that every statement is put together from. Running out of memory is remembered, and
 * reported once, by build_finish(). */
#pragma once

#include "rowfs/base/buf.h"
#include "rowfs/model/statement.h"

enum { OID_TEXT = 25, OID_OID = 26, OID_TID = 27, OID_BPCHAR = 1042 }; /* pg_type.dat; fixed for good */

struct build {
	struct buf sql;
	struct buf types, values; /* arrays of uint32_t and struct cell */
	size_t n;
	bool writes;
};

void build_done(struct build *b);

#define _cleanup_build_ _cleanup_(build_done)

/* Hand over what was built; 0 or -ENOMEM. */
int build_finish(struct build *b, struct statement *ret) _must_check_;

#define build_sql(b, text) buf_adds(&(b)->sql, text)

/* A quoted identifier. */
void build_name(struct build *b, const char *identifier);

/* t."column" */
void build_column(struct build *b, const struct column *column);

/* Add a parameter; its number, for build_ref(). */
size_t build_value(struct build *b, uint32_t type, struct cell value);

/* $n */
void build_ref(struct build *b, size_t number);

/* Both at once. */
void build_param(struct build *b, uint32_t type, struct cell value);

/* ` OPERATOR("schema".op) ` */
void build_operator(struct build *b, const char *schema, const char *op);

/* `"space"."name" AS t`; ONLY in front for a table, whose inheritance children have directories of
 * their own. */
void build_relation(struct build *b, const struct relation *relation);

/* The column of a key part, with its collation where the index has another than the column. */
void build_part(struct build *b, const struct relation *relation, const struct key_part *part);

/* The type of a key part's parameters, or of a ctid key's. */
uint32_t build_part_type(const struct relation *relation, size_t part);

/* `t.k OPERATOR(s.=) $n AND …` for the whole key. */
void build_key(struct build *b, const struct relation *relation, const struct cells *key);

/* `head, columns FROM relation`: what row_view() reads. */
void build_select(struct build *b, const struct schema *schema, const struct relation *relation);
void build_select_key(struct build *b, const struct schema *schema, const struct relation *relation); /* NULL for all other columns */

/* Of pages, in key order: what comes after a key, ` ORDER BY …`, ` LIMIT n`. Only for keys of columns that are never NULL. */
void build_after(struct build *b, const struct relation *relation, const struct cells *after);
void build_order(struct build *b, const struct relation *relation);
void build_limit(struct build *b, unsigned limit);
