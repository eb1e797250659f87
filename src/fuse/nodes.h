/* Nodes: what the kernel holds by nodeid. A nodeid is the node's address.
 *
 * For a row, a nodeid stands for one *version* at a time: the one last told to the kernel (size, mtime,
 * hash of the text). The kernel trusts the size it was told when it reads, so a node that has an open
 * handle is never told another version:
 *
 *   LOOKUP ── node free ───────────── tell it the version now
 *         └── node open, row moved ── a new node takes the name; the old one lives on with its handles
 *   OPEN ──── told = now ──────────── serve
 *        └─── row moved ───────────── ESTALE: the kernel repeats the walk, once, and LOOKUP tells it
 *
 * Readers and writers never share a node, since they would share the kernel's pages, and an open that
 * truncates would cut what a reader sees. When they meet on one, the later gets ESTALE, and for CONTENDED_US
 * every LOOKUP of the name gives a node of its own, so that the repeated OPEN meets nobody.
 *
 * A name has one current node; nodes that lost it stay until the kernel forgets them. All fields below
 * `told` and the counts are guarded by the table's lock; it is never held across I/O or a reply. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uthash.h>

#include "rowfs/engine/text.h"

enum node_kind {
	NODE_ROOT,
	NODE_SPACE,   /* a schema's directory */
	NODE_TABLE,
	NODE_ROW,     /* a row name, also while the row is pending */
	NODE_NEW,     /* .new.json */
	NODE_SCRATCH, /* file, symlink or directory in the spool, or below rejected/ */
	NODE_CONTROL, /* .rowfs */
	NODE_REPORT,  /* a generated file in it */
	NODE_KEPT,    /* .rowfs/rejected */
};

struct file;

struct node {
	unsigned magic;
	enum node_kind kind;  /* ROW and SCRATCH may become each other by rename */
	struct node *parent;  /* holds a reference */
	uint32_t relation;    /* oid, at and below a table */
	uint64_t ino;         /* st_ino: the same for every node of one name */
	int path_fd;          /* SCRATCH, KEPT: O_PATH descriptor; else -1 */
	const void *report;   /* REPORT: which */

	struct node *prev, *next; /* all nodes, for the end */
	UT_hash_handle hh;    /* by parent and name, while current */
	bool current;
	char *key;            /* parent's address, then the name */
	size_t key_len;

	uint64_t lookups;     /* the kernel's count */
	unsigned refs;        /* children and uses in flight */
	unsigned readers;     /* open handles on it */
	struct file *writer;  /* the handle open for writing, if any */

	struct version told;
	bool is_told;
	int64_t told_us;
	int64_t contended_us; /* when readers and writers last met on the name */
	pid_t refused;        /* whose OPEN got ESTALE, if no LOOKUP has come since; else 0 */
	int64_t refused_us;   /* when an OPEN of this name got ESTALE last */
	struct text *kept;    /* what LOOKUP read, for the OPEN that follows */
	int64_t kept_us;
};

enum { NODE_MAGIC = 0x6e6f6465, KEPT_US = 100000, CONTENDED_US = 1000000 };

/* Does every LOOKUP of the node's name give another node now? The kernel then may not remember it. */
bool node_contended(const struct node *node);

struct nodes;

int nodes_new(struct nodes **ret) _must_check_;
void nodes_free(struct nodes *nodes);
struct node *nodes_root(struct nodes *nodes);

/* The name a node was made for or renamed to; valid while the caller keeps the node alive and no rename
 * of it happens. */
const char *node_name(const struct node *node);

/* Run a few statements under the table's lock. */
void nodes_lock(struct nodes *nodes);
void nodes_unlock(struct nodes *nodes);

/* The current node of a name of this kind and relation, made if need be, with one more lookup; NULL
 * without memory. */
struct node *nodes_get(struct nodes *nodes, struct node *parent, const char *name,
		       enum node_kind kind, uint32_t relation, uint64_t ino);

/* The same for a name that was just created: always another node. */
struct node *nodes_create(struct nodes *nodes, struct node *parent, const char *name,
			  enum node_kind kind, uint32_t relation, uint64_t ino);

/* A row name's node that may be told `version`, told so, with one more lookup and `text` (may be NULL)
 * kept. For a listing (`began_us` is when its SELECT began) NULL where a new node would be needed or
 * the kernel already knows better; otherwise (`began_us` 0) NULL only without memory. */
struct node *nodes_get_row(struct nodes *nodes, struct node *parent, const char *name,
			   uint32_t relation, uint64_t ino, const struct version *version,
			   struct text *text, int64_t began_us);

/* Drop `count` lookups; the node may be gone afterwards. */
void nodes_forget(struct nodes *nodes, struct node *node, uint64_t count);

/* A reference of our own, so that the node outlives the kernel's interest. */
void nodes_hold(struct nodes *nodes, struct node *node);
void nodes_release(struct nodes *nodes, struct node *node);

/* Give a name to a node, as rename does; what had the name lives on without it. Without memory the node
 * just loses its name. */
void nodes_rename(struct nodes *nodes, struct node *node, struct node *parent, const char *name);

/* The name is free again. */
void nodes_unname(struct nodes *nodes, struct node *parent, const char *name);

/* The current node of a name, held (nodes_release); NULL if the kernel knows none. */
struct node *nodes_find(struct nodes *nodes, struct node *parent, const char *name);
struct node *nodes_find_row(struct nodes *nodes, uint32_t relation, const char *name);

/* What becomes of an OPEN of a row, given what else is open on the node and what the kernel was told. */
enum admission {
	ADMIT,
	ADMIT_TOLD,   /* the kernel's attributes are out of date: notify_inode() */
	ADMIT_DIRECT, /* past the page cache */
	ADMIT_STALE,  /* ESTALE: the kernel looks the name up again, once */
};

/* Enter a handle: as the node's writer if `writer` is not NULL, else as a reader. `version` is what it
 * will see; NULL: the size does not matter, it starts empty. `pid`: who opens. nodes_leave() takes it out,
 * unless it was ADMIT_STALE. */
enum admission nodes_admit(struct nodes *nodes, struct node *node, struct file *writer,
			   const struct version *version, pid_t pid);
void nodes_leave(struct nodes *nodes, struct node *node, const struct file *file);

/* Tell a node a version and keep its text, unless a handle is open on it. */
void nodes_tell(struct nodes *nodes, struct node *node, struct text *text);

/* The row changed: what was told counts no longer. */
void nodes_untell(struct nodes *nodes, struct node *node);

/* The text that LOOKUP read, if an OPEN may still serve it: a reference, or NULL. */
struct text *nodes_kept(struct nodes *nodes, struct node *node);
