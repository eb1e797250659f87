/* What Redis remembers of a table whose rows are large: the size and the hash of each row's text, so that who lists the table
 * again, on whatever mount, reads no row.
 *
 *   s:<oid>:<chunk>   63f1c2a9-…/63f1c2a8-… 8c1f0e55a3b2d417 5d2c1b0a99887766
 *                     { hash of the name, hash of the text, size, xmin } { … } …
 *
 * A record holds as long as the row has that xmin, which is read with the keys, so nobody needs to say that a row has changed.
 * The line before the records has the terms and the fingerprint that copies have (copy.h), since a server that went back in
 * time gives numbers of transactions out again, and a hash of the records. The numbers are little-endian, of 8, 8, 4 and 4
 * bytes.
 *
 * A chunk goes from a row whose name's hash says that one begins there, as one of CHUNK_ROWS does, to the next such; it is
 * called by the hash of its first row's name, the table's first 0. So rows that come and go change the chunk that they are in,
 * and leave all others as they are. What chunk a record is found in is a matter of where to look, never of what it says. */
#pragma once

#include "rowfs/base/buf.h"
#include "rowfs/engine/cache.h"
#include "rowfs/model/schema.h"

enum { CHUNK_ROWS = 256 };

struct size_record {
	uint64_t name; /* hash of the file name */
	uint64_t hash; /* of the text */
	uint32_t size;
	uint32_t xid;
};

/* Do xmin and key say which version of a row this is? */
bool sizes_may_be_kept(const struct relation *relation);

uint64_t sizes_name(const char *name);
bool sizes_begin_chunk(uint64_t name);

void sizes_print_key(uint32_t relation, uint64_t chunk, struct buf *out);

/* Records are added to a buffer one by one, and then printed. */
void sizes_add(struct buf *records, const struct size_record *record);
void sizes_print(const struct relation *relation, const struct cache_proof *proof, const struct buf *records,
		 struct buf *out);

/* The records of a value, where they begin and how many they are; false if it is not of this relation as it is now, or not
 * under this proof, or damaged. */
bool sizes_parse(const struct relation *relation, const struct cache_proof *proof, const struct buf *value,
		 const char **ret_records, size_t *ret_n);

/* The record of a name, sought from *at on, which is moved on behind it: who asks in the order of the records finds each at
 * once. */
bool sizes_find(const char *records, size_t n, size_t *at, uint64_t name, struct size_record *ret);
