/* From the messages of a logical replication stream to whole committed transactions: the keys that each changed,
 * as file names. Protocol 1, and 2 with streaming, where parts of transactions that are still open come
 * interleaved. No I/O.
 *
 *   message ── change_parse() ── BEGIN … rows … COMMIT ───────────────────────► batch
 *                            └── STREAM START … rows … STOP, later COMMIT ─────► batch, or ABORT: nothing
 *
 * Bounded: a transaction with more than BATCH_ROWS_MAX changes (one of a row's key counts twice) is remembered by
 * its relations only, and so is the largest one while all that are open hold more than TRANSACTIONS_BYTES_MAX.
 * What is left then, a few bytes for each open transaction and relation in it, is bounded by the server: by its
 * max_connections and by the tables of the publication.
 *
 * Rows of a subtransaction that is rolled back are told all the same: that costs a read and no more. */
#pragma once

#include "rowfs/base/error.h"
#include "rowfs/model/batch.h"

/* Sixteen transactions with the most and the longest names. */
enum { TRANSACTIONS_BYTES_MAX = 16 << 20 };

struct transactions;

int transactions_new(struct transactions **ret) _must_check_;
void transactions_free(struct transactions *transactions); /* accepts NULL */

/* The columns of a relation's key, in the key's own order, which is the order in its rows' names; at most
 * KEY_PARTS_MAX. Replaces what was known of it; n 0: forget it. A row change of a relation without a key, or whose
 * stream does not tell all of the key's columns before and after, counts for the whole relation: so does an UPDATE
 * or DELETE if the replica identity does not hold the key, or a part is NULL. -ENOMEM. */
int transactions_set_key(struct transactions *transactions, uint32_t relation, const char *const *columns,
                         size_t n) _must_check_;

/* A full transaction id (xid8) of about now, by which the stream's 32 bits are completed to the nearest one. */
void transactions_set_now(struct transactions *transactions, uint64_t xid);

/* One message as the stream carries it (the payload of an XLogData). What it completes is added to `batch`, also a
 * transaction that changed nothing. Returns 0; -EPROTO for a message that cannot be understood, or that does not
 * follow from what came before; -ENOMEM. After an error the stream cannot be followed any further, and every later
 * call fails. *ret_lsn (may be NULL): the end of the commit that this message is, 0 if it is none. */
int transactions_take(struct transactions *transactions, const void *message, size_t len,
                      struct batch *batch, uint64_t *ret_lsn, struct error *e) _must_check_;

/* How many transactions are open, and the bytes held for them, for status. */
size_t transactions_open(const struct transactions *transactions);
size_t transactions_bytes(const struct transactions *transactions);
