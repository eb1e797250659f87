/* What was read, how often and from where: the summary that each mount leaves in Redis, and the sum of all of them.
 *
 *   rowfs-hot 1
 *   t 16385 9120 480 400 8800 2240000        relation; reads from memory, Redis, PostgreSQL; lately: reads, their bytes
 *   r 16385 812 254 TENT-003.json            relation; reads lately, bytes of the text, name
 *
 * "Lately" is what engine/access.h says. Anybody may have written into Redis: what is no such text adds nothing. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "rowfs/base/buf.h"

/* Where a read was answered. (What the kernel answers from its own copies, nobody hears of.) */
enum tier { TIER_MEMORY, TIER_REDIS, TIER_STORE, TIERS };

struct table_reads {
	uint32_t relation;
	uint64_t reads[TIERS];          /* since the mount began */
	uint64_t lately, lately_bytes;
};

struct row_reads {
	uint32_t relation, bytes;
	uint64_t count; /* lately */
	char *name;     /* owned */
};

/* Zeroed is empty. After popularity_settle() each table and row is there once: tables by what was read lately, rows by
 * relation and then the most read first. */
struct popularity {
	struct table_reads *tables;
	struct row_reads *rows;
	size_t n_tables, n_rows, tables_room, rows_room;
	bool failed; /* there was no memory for some of it */
};

void popularity_add_table(struct popularity *popularity, const struct table_reads *table);
void popularity_add_row(struct popularity *popularity, const struct row_reads *row); /* copies the name */
void popularity_settle(struct popularity *popularity);
void popularity_done(struct popularity *popularity);

/* The first `most` rows by count, whichever their tables. */
void popularity_keep_rows(struct popularity *popularity, size_t most);

void popularity_print(const struct popularity *popularity, struct buf *out);

/* Add what a text says; false if it is no such text, of which nothing is added. */
bool popularity_parse(struct popularity *popularity, const char *text, size_t len);

/* The rows of a relation; settled. */
const struct row_reads *popularity_rows(const struct popularity *popularity, uint32_t relation, size_t *ret_n);

#define _cleanup_popularity_ _cleanup_(popularity_done)
