/* What nodes.c (names and counts), node_index.c (which node has which name), node_version.c (what the kernel was told) and
 * node_keep.c (texts kept for the next open) share. Everything here is called with the table's lock held. */
#pragma once

#include <pthread.h>
#include <uthash.h>

#include "nodes.h"
#include "rowfs/base/clock.h"

/* What LOOKUP, or a listing, has read, for the OPEN that follows. */
struct keep {
	struct node *node; /* with a reference; NULL: it has gone to another place since */
	struct text *text; /* NULL: not any more */
	struct keep_ring *ring;
	pid_t pid;         /* who looked */
	int64_t us;
};

/* Texts that are kept, oldest first. */
struct keep_ring {
	struct keep *places; /* [from, to), modulo the size; NULL: none are */
	unsigned size, from, to;
	size_t bytes, bytes_max;
};

/* Rows that were read: under a feed that is the mount's memory of what it read last; without one as many opens may be
 * between their LOOKUP and their OPEN. Rows that were listed: who walks through a table lists first, a hundred thousand names
 * at a time (fts in GNU's tools), and opens what he has listed, in an order of his own. */
enum { READ_KEPT = 1 << 15, LISTED_KEPT = 1 << 17 };

/* Pages of texts that directories' handles have, while they are read. */
enum { PAGES_SLACK = 4 << 20 };

/* Larger texts are not kept: they are read again by the OPEN. */
enum { KEPT_TEXT_MAX = 1 << 20 };

/* Listings that the kernel may keep at the same time: their names' bytes. */
enum { LISTINGS_BYTES_MAX = 32 << 20 };

/* Who got ESTALE, for which name: his next OPEN of it is the repetition, after a LOOKUP of his own. */
struct refusal {
	pid_t pid;
	uint64_t ino;
	int64_t us;
	bool shared; /* since somebody had it open, not because it had changed */
};

enum { REFUSALS = 64 };

/* Which node is a table's directory; saves start from the relation. */
struct table {
	UT_hash_handle hh;
	uint32_t relation;
	struct node *node;
};

struct node_index {
	struct node **buckets;
	size_t size, n; /* size: a power of two */
};

struct nodes {
	pthread_mutex_t lock;
	struct marks *marks;
	struct node *root;
	struct node_index index;
	struct table *tables;

	struct refusal refused[REFUSALS]; /* ring */
	unsigned refuse_at;
	int64_t lost_us;                  /* of the youngest that others have taken the place of */
	struct refusal sent_back[REFUSALS]; /* ring: whose OPEN of a file that was moved from a row's name was */
	unsigned send_back_at;

	struct keep_ring read, listed;
	bool unopened;         /* the kernel does not tell what is open: any row may be */
	int64_t names_short_us; /* until then names are believed shortly, there */
	size_t listing_bytes; /* of the names of all listings that the kernel keeps */
};

/* A node stays where it is as long as its name, its parent and `current` do. */
int node_index_new(struct node_index *index) _must_check_;
void node_index_done(struct node_index *index);
void node_index_add(struct node_index *index, struct node *node);
void node_index_remove(struct node_index *index, struct node *node);
struct node *node_index_find(const struct node_index *index, const struct node *parent, const char *name);

/* Made if it has none yet; NULL without memory. */
struct node_more *node_need_more(struct node *node);

struct node *node_find(struct nodes *nodes, const struct node *parent, const char *name);
struct node *node_new(struct nodes *nodes, struct node *parent, const char *name, enum node_kind kind,
		      uint32_t relation, uint64_t ino);
void node_unlist(struct nodes *nodes, struct node *node);
void node_maybe_free(struct nodes *nodes, struct node *node);

/* Has its row a newer mark than what it was told knows of? */
bool node_touched(const struct nodes *nodes, const struct node *node);

/* Every LOOKUP of its name gives another node until then, unless that is later already. Without memory it is not so. */
void node_contend_until(struct node *node, int64_t until_us);

/* Is what it was told known to be so still, as long as the feed is live? */
bool node_is_known(const struct nodes *nodes, const struct node *node);

/* When this caller got ESTALE for the name, if that was a moment ago and he was not let in since; else 0. */
int64_t node_refused_us(const struct nodes *nodes, uint64_t ino, pid_t pid);

/* In the ring of what was read or listed, as the text was; a node that is in the other moves. `pid`: whose LOOKUP it was,
 * or 0. */
void node_keep(struct nodes *nodes, struct node *node, struct text *text, pid_t pid);
void node_drop_all_kept(struct nodes *nodes);
void node_drop_listed(struct nodes *nodes, uint32_t relation);

/* Another version has taken its name: a text that was listed, and that nobody has read, is of no use any more, but where a
 * READ may come for it. Its place stays. */
void node_let_go_listed(struct nodes *nodes, struct node *node);
