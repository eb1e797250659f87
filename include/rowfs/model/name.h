/* File name ↔ key, reversible for every key.
 *
 *   key ("a/b", "7")   ↔   a%2Fb,7.json
 *
 * A part is PostgreSQL's text of the column with %XX for '/', '%', ',', control bytes and a '.' that
 * leads the part (of every part, so that a part is spelled the same wherever it stands); the empty
 * string is "%", NULL is "%-". Only the spelling that name_print gives is a row: the
 * parser refuses "%41" for "A" and lower-case hex digits. Whether the key is also spelled as
 * PostgreSQL prints it ("042" for an integer) only a fetched row can tell.
 *
 * Names longer than NAME_LONG bytes, suffix included, are cut between units (characters, escapes,
 * commas) to at most NAME_CUT bytes and closed with "%~" and a hash of the whole key. */
#pragma once

#include <stdint.h>

#include "rowfs/base/buf.h"
#include "rowfs/model/row.h"

#define NAME_SUFFIX ".json"

/* Editors add a dozen bytes to a name (".42.json.swp", ".42.json.AbCdEf"), and 255 is the limit. */
enum { NAME_LONG = 200, NAME_CUT = 129, NAME_HASH_HEX = 64 };

enum name_kind {
	NAME_ROW,     /* a key */
	NAME_HASHED,  /* the name of a long key: its hash */
	NAME_INVALID, /* has a row's suffix but can be no key of this relation */
	NAME_SCRATCH, /* everything else */
};

/* Sort `name` and, for NAME_ROW, give its key (caller: cells_done); for NAME_HASHED, the 64
 * hex digits. Other outputs stay untouched. Reserved suffixes (.yaml, .csv, .tsv) are
 * NAME_INVALID. An integer, uuid or boolean key that PostgreSQL could not print that way is
 * NAME_INVALID too, which saves the question. Out of memory gives NAME_INVALID. */
enum name_kind name_parse(const struct relation *relation, const char *name, struct cells *ret_key,
			  char ret_hash[NAME_HASH_HEX + 1]);

/* Does it end in .yaml, .csv or .tsv, which are to be rows in other formats one day? */
bool name_is_reserved(const char *name);

/* Does a row's name hold the hash of its key instead of the key? */
bool name_is_hashed(const char *name);

/* Append the file name of a key, suffix and all. */
void name_print(const struct cell *key, size_t n, struct buf *out);

/* SHA-256, in hex, over each part's byte length in decimal, ':' and its text; a NULL part is "-:".
 * PostgreSQL's sha256() over the same bytes finds the row again. "" when out of memory. */
void name_hash(const struct cell *key, size_t n, char ret[NAME_HASH_HEX + 1]);

/* A schema's or relation's name as a directory: the same escapes, commas aside; never hashed
 * (identifiers have at most 63 bytes, 189 escaped). */
void name_print_directory(const char *identifier, struct buf *out);
