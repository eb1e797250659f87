/* A pinner from inside: requests are printed into its message, sent, and answered in order. pinner.c pins by leases on
 * rows, pinner_put.c by one on their relation, pinner_sweep.c removes, pinner_room.c measures; all by pinner_message.c. */
#pragma once

#include "call.h"
#include "rowfs/engine/pinner.h"

/* What an answer is to. A lease has the epochs, the room, and for each piece those of a transaction of two commands, which
 * says how many names were new, and whether it was taken. */
struct request {
	enum { REQUEST_LEASE, REQUEST_SETTLE } kind;
	size_t keys;          /* that are to be leased; SETTLE: whose leases end by it */
	uint64_t sent_before; /* LEASE: see struct pinner */
};

enum { PINNER_PIECES = (PINNER_KEYS + PINNER_PIECE - 1) / PINNER_PIECE };

/* To a lease, until it is asked for. */
struct answer {
	bool there;
	struct cache_proof proof;
	struct pinner_room room;
	uint64_t sent_before;
	bool leased[PINNER_PIECES]; /* every key of the piece; else some of them are taken */
	struct error full; /* err 0: it is not */
};

struct pinner {
	const struct cache *cache;
	struct connection *connection; /* NULL after a failure */
	struct request out[PINNER_WINDOW];
	unsigned n_out;
	struct answer answer;
	size_t leased;        /* keys that are, as far as the answers tell */
	uint64_t sent;        /* bytes, about, that what was sent so far takes in Redis, */
	uint64_t room_before; /* and of these, when it said how much room there is: */
	struct pinner_room room;
	int64_t room_ms;      /* and when that was, monotonic */
	uint64_t pinned;
	struct error full; /* err 0: every fill had room */
	char token[CACHE_TOKEN_SIZE]; /* of the lease on a relation, */
	size_t put;                   /* and how many rows are being put under it; 0: none */
	struct buf message;
};

/* The set of a relation's names, and the lease on all of it. */
enum { PINNER_SET_KEY = 16 };
void pinner_set_key(uint32_t relation, char ret[PINNER_SET_KEY]);
void pinner_lease_key(uint32_t relation, char ret[PINNER_SET_KEY]);

int pinner_make_token(char ret[CACHE_TOKEN_SIZE], struct error *e) _must_check_;

/* What a key and its name take beside their bytes. */
enum { PINNER_KEY_COST = 200 };

/* A command of so many words, and its words: whole, in two parts, a key. */
void pinner_begin(struct pinner *pinner, size_t words);
void pinner_adds(struct pinner *pinner, const char *text);
void pinner_add(struct pinner *pinner, const char *head, size_t head_len, const char *tail, size_t tail_len);
void pinner_add_key(struct pinner *pinner, const char *name, size_t len);

/* A command of one word. */
void pinner_add_word(struct pinner *pinner, const char *word);

/* SADD of the names in `n` keys of the relation, each with its NUL. */
void pinner_add_names(struct pinner *pinner, uint32_t relation, const char *names, size_t n);

/* Ask for the epochs and the room. */
enum { PINNER_EPOCHS_REPLIES = 2 };
void pinner_add_epochs(struct pinner *pinner, uint32_t relation);
int pinner_read_epochs(struct pinner *pinner, struct cache_proof *ret, struct pinner_room *ret_room, struct error *e)
        _must_check_;

/* The replies to MULTI, two commands, EXEC: the last one; NULL if it was not done, for something that is watched. -ENOSPC:
 * Redis is full. */
enum { PINNER_TRANSACTION_REPLIES = 4 };
int pinner_read_transaction(struct pinner *pinner, redisReply **ret, struct error *e) _must_check_;

/* Ask for a section of INFO; what "memory" says of the room. */
void pinner_add_info(struct pinner *pinner, const char *section);
void pinner_read_room(const char *info, struct pinner_room *ret);

/* What it said, when so much had been sent (struct pinner). */
void pinner_note_room(struct pinner *pinner, const struct pinner_room *room, uint64_t sent_before);

/* Send what was printed; it has so many replies. */
int pinner_send(struct pinner *pinner, unsigned owes, struct error *e) _must_check_;

/* The next reply; one of this type, and -ENOSPC if Redis is full. After any other failure the connection is closed. */
int pinner_read(struct pinner *pinner, redisReply **ret, struct error *e) _must_check_;
int pinner_read_as(struct pinner *pinner, int type, redisReply **ret, struct error *e) _must_check_;

/* Close it, for this reason; returns `r`. */
int pinner_fail(struct pinner *pinner, int r, struct error *e);
