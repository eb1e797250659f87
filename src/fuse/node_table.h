/* What nodes.c (names and counts), node_version.c (what the kernel was told) and node_keep.c (texts kept for the
 * next open) share. Everything here is called with the table's lock held. */
#pragma once

#include <pthread.h>

#include "nodes.h"
#include "rowfs/base/clock.h"

/* Nodes with a kept text, oldest first. Under a feed that is the mount's memory of what it read last; without one as
 * many opens may be between their LOOKUP and their OPEN. */
enum { KEEPING = 4096 };

/* Larger texts are not kept: they are read again by the OPEN. */
enum { KEPT_TEXT_MAX = 1 << 20 };

/* Listings that the kernel may keep at the same time: their names' bytes. */
enum { LISTINGS_BYTES_MAX = 16 << 20 };

/* Who got ESTALE, for which name: his next OPEN of it is the repetition, after a LOOKUP of his own. */
struct refusal {
	pid_t pid;
	uint64_t ino;
	int64_t us;
};

enum { REFUSALS = 64 };

/* Which node is a table's directory; saves start from the relation. */
struct table {
	UT_hash_handle hh;
	uint32_t relation;
	struct node *node;
};

struct nodes {
	pthread_mutex_t lock;
	struct marks *marks;
	struct node *root;
	struct node *all;
	struct node *names;
	struct table *tables;

	struct refusal refused[REFUSALS]; /* ring */
	unsigned refuse_at;
	struct refusal sent_back[REFUSALS]; /* ring: whose OPEN of a file that was moved from a row's name was */
	unsigned send_back_at;

	struct node *keeping[KEEPING]; /* ring, [keep_from, keep_to); each holds a reference */
	unsigned keep_from, keep_to;
	size_t kept_bytes, kept_bytes_max;
	size_t listing_bytes; /* of the names of all listings that the kernel keeps */
};

struct node *node_find(struct nodes *nodes, const struct node *parent, const char *name);
struct node *node_new(struct nodes *nodes, struct node *parent, const char *name, enum node_kind kind,
		      uint32_t relation, uint64_t ino);
void node_unlist(struct nodes *nodes, struct node *node);
void node_maybe_free(struct nodes *nodes, struct node *node);

/* Has its row a newer mark than what it was told knows of? */
bool node_touched(const struct nodes *nodes, const struct node *node);

/* Is what it was told known to be so still, as long as the feed is live? */
bool node_is_known(const struct nodes *nodes, const struct node *node);

/* When this caller got ESTALE for the name, if that was a moment ago and he was not let in since; else 0. */
int64_t node_refused_us(const struct nodes *nodes, uint64_t ino, pid_t pid);

void node_keep(struct nodes *nodes, struct node *node, struct text *text, pid_t pid);
void node_drop_kept(struct nodes *nodes, struct node *node);
void node_drop_all_kept(struct nodes *nodes);
