/* What rowfs.placement must be to be used, in SQL, for who reads it (rules.h) and who writes it (placements.c).
 *
 * Whoever reads a table runs what its owner has made of it: a view's functions, a policy, and when writing triggers, rules,
 * defaults, constraints and expressions of indexes. So it must be a plain table, as `rowfs place` makes it, and it and its
 * schema must belong to somebody who may be trusted. Every process must come to one answer, whatever role it has: that
 * is a superuser, or the database's owner. */
#pragma once

/* One line if there is anything called rowfs.placement. All is read from the catalog. */
enum {
	TRUST_PROBLEM,  /* why it must not be used, or NULL */
	TRUST_STRANGER, /* whose it is, or its schema, if neither this role's nor a superuser's; or NULL */
	TRUST_READABLE, /* this role may read it */
};
extern const char rules_trust_sql[];

/* The same of the schema, if there is one. */
extern const char rules_trust_schema_sql[];
