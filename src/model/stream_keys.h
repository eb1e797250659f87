/* How the rows of a change stream are named: which columns are the key (the catalog knows) and
 * where they are in the stream's tuples (a RELATION message tells). Either may come first, and
 * again.
 *
 * A row can be named only if the stream proves what its key was and is. An UPDATE without an old
 * tuple proves that the columns of the replica identity are as they were, and nothing about others;
 * so a key with a column outside of the identity is known for an INSERT, or if the whole old row is
 * there, only. */
#pragma once

#include <uthash.h>

#include "rowfs/base/buf.h"
#include "rowfs/model/change.h"

struct stream_key;

/* A zeroed struct knows nothing. */
struct stream_keys {
	struct stream_key *by_relation;
};

void stream_keys_done(struct stream_keys *keys);

/* Replace what was known: the key's columns (n 0: none), the columns of a RELATION message.
 * -ENOMEM. */
int stream_keys_set(struct stream_keys *keys, uint32_t relation, const char *const *columns,
                    size_t n) _must_check_;
int stream_keys_describe(struct stream_keys *keys, const struct change *change) _must_check_;

/* NULL: nothing is known of the relation. */
const struct stream_key *stream_keys_find(const struct stream_keys *keys, uint32_t relation);

/* Does a tuple have as many columns as its relation? Rows that came before their RELATION message
 * agree. */
bool stream_key_agrees(const struct stream_key *key, const struct change_tuple *tuple);

/* Print the file names of the row before and after a change of it; a name that there is none of
 * stays as it is (INSERT has no old one, DELETE no new one, an UPDATE without an old tuple kept its
 * name: both are the same). False if the row cannot be named. */
bool stream_key_names(const struct stream_key *key, const struct change *change,
                      struct buf *ret_before, struct buf *ret_after);
