/* One message of PostgreSQL's logical replication stream (plugin pgoutput, protocol 1 or 2), decoded. Bytes in,
 * values out; nothing is trusted to be whole. Source of the formats: PostgreSQL's documentation, "Logical
 * Replication Message Formats". */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "rowfs/base/error.h"
#include "rowfs/model/row.h"

enum change_kind {
	CHANGE_BEGIN,
	CHANGE_COMMIT,
	CHANGE_STREAM_START,
	CHANGE_STREAM_STOP,
	CHANGE_STREAM_COMMIT,
	CHANGE_STREAM_ABORT,
	CHANGE_RELATION,
	CHANGE_INSERT,
	CHANGE_UPDATE,
	CHANGE_DELETE,
	CHANGE_TRUNCATE,
	CHANGE_OTHER, /* type, origin, message: nothing that rows depend on */
};

/* The values of a row, or of its key. A value that the stream leaves out (an unchanged TOAST value) has data NULL
 * and is marked in `unchanged`, so that it is not taken for SQL's NULL. */
struct change_tuple {
	bool present;
	bool binary; /* some value is not text, for which nobody asks: its cell may hold NULs */
	size_t n;
	struct cell *cells;  /* copies that the decoder holds until its next call */
	bool *unchanged;
};

struct change_column {
	const char *name;
	bool key; /* part of the replica identity */
};

struct change {
	enum change_kind kind;
	uint32_t xid;          /* BEGIN, STREAM_*: of the transaction; in a streamed block, of the part */
	uint32_t subxid;       /* STREAM_ABORT; equal to xid if all of it is aborted */
	bool first;            /* STREAM_START: nothing of the transaction has been told before */
	uint64_t lsn, end_lsn; /* COMMIT, STREAM_COMMIT */
	uint32_t relation;     /* RELATION, INSERT, UPDATE, DELETE */
	const char *name_space, *name; /* RELATION */
	char identity;                 /* RELATION: 'd', 'n', 'f', 'i' */
	size_t n_columns;              /* RELATION */
	struct change_column *columns;
	struct change_tuple before; /* UPDATE (if the key changed, or the identity is full), DELETE */
	bool before_is_key;         /* only the identity's columns have values in it */
	struct change_tuple after;  /* INSERT, UPDATE */
	size_t n_relations;         /* TRUNCATE */
	const uint32_t *relations;
};

/* PostgreSQL's own bound on the columns of a tuple (MaxTupleAttributeNumber). */
enum { CHANGE_COLUMNS_MAX = 1664 };

/* Keeps the arrays between messages. */
struct change_decoder;

int change_decoder_new(struct change_decoder **ret) _must_check_;
void change_decoder_free(struct change_decoder *decoder); /* accepts NULL */

/* `streamed`: between STREAM START and STREAM STOP, where most messages carry a transaction id. 0; -EPROTO with a
 * sentence; -ENOMEM. What `ret` points to lives until the next call and as long as the message. */
int change_parse(struct change_decoder *decoder, const void *message, size_t len, bool streamed,
                 struct change *ret, struct error *e) _must_check_;
