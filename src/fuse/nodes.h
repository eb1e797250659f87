/* Nodes: what the kernel holds by nodeid. A nodeid is the node's address.
 *
 * For a row, a nodeid stands for one *version*, told once (size, mtime, hash of the text). The kernel trusts the
 * size it was told when it reads, and of two answers that overlap it may believe either; so a node is never told
 * another version:
 *
 *   LOOKUP ── the row is what the node was told ── that node
 *         └── anything else ───────────────────── another node takes the name
 *   OPEN ──── the row is what the node was told ── serve
 *        └─── it has moved ── ESTALE: the kernel repeats the walk, once, and LOOKUP tells it
 *
 * The old node lives on with its handles, which see, and are told, what they opened.
 *
 * Readers and writers never share a node, since they would share the kernel's pages, and an open that
 * truncates would cut what a reader sees: the later gets ESTALE. After each ESTALE every LOOKUP of the name gives
 * a node of its own for a while, which the kernel does not remember, so that the repeated OPEN meets nobody; until it has
 * come, if the row had only changed, and nobody else is on his way back.
 *
 * A node remembers the marks' number of before its row was read (engine/marks.h). As long as its row has no newer
 * mark, and the feed that would mark it is live, what the node was told is what PostgreSQL has: then LOOKUP, GETATTR
 * and OPEN are answered from it, and the kernel may believe it for long. Whether it may is decided in the
 * same step that enters the node, so that a change that comes later finds the node and tells the kernel (K3).
 *
 * On a mount that sends no OPEN (unopened.c) a nodeid is all that says which version a READ means, and whatever the kernel
 * knows may be open.
 *
 * A name has one current node; nodes that lost it stay until the kernel forgets them. All fields are guarded by the table's
 * lock, which is never held across I/O or a reply; without it only those may be looked at that never change: of what is
 * never renamed kind, parent and relation, and path_fd, report and kept_dir once they are there. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "entries.h"
#include "rowfs/engine/marks.h"
#include "rowfs/engine/text.h"

enum node_kind {
	NODE_ROOT,
	NODE_SPACE,   /* a schema's directory */
	NODE_TABLE,
	NODE_ROW,     /* a row name, also while the row is pending */
	NODE_NEW,     /* .new.json */
	NODE_SCRATCH, /* file, symlink or directory in the spool, or below rejected/ and conflicts/ */
	NODE_CONTROL, /* .rowfs */
	NODE_REPORT,  /* a generated file in it */
	NODE_KEPT,    /* .rowfs/rejected, .rowfs/conflicts */
};

struct file;
struct keep;

/* What the kernel keeps of a table's listing, as far as can be known. */
enum listing_copy { COPY_NONE, COPY_BEGUN, COPY_WHOLE };

/* What few nodes have: those that are no rows, and rows that are written to, contended or were renamed. */
struct node_more {
	char *name;            /* since it was renamed, in place of the one it was made with */
	int path_fd;           /* SCRATCH: O_PATH descriptor, kept until the node dies; else -1 */
	const void *report;    /* REPORT: which */
	struct kept *kept_dir; /* KEPT: which */

	struct text *report_text;   /* REPORT: what it says, where a READ cannot ask anew (unopened.c); */
	int64_t report_us;          /* since when */

	struct file *writer;        /* the handle open for writing, if any */
	int64_t moved_us;           /* SCRATCH: when it was moved away from a row's name; 0: it was not */
	int64_t contended_until_us; /* until then every LOOKUP of the name gives another node */
	int64_t sent_back_us;       /* when an OPEN of the name got ESTALE last */
	pid_t refused;              /* whose OPEN got ESTALE, if no LOOKUP has come since; else 0 */

	/* TABLE */
	bool listing_held;    /* a directory handle is open that uses the kernel's copy of the listing, or fills it */
	enum listing_copy listing_copy;
	bool listing_changed; /* since that copy was begun; or it was begun by one handle and goes on with another's names */
	struct entries *listing; /* the names of a whole copy, if they are known */
	uint64_t uses;        /* how often its rows were looked up, asked for or opened */
};

/* A million rows that were listed are as many of these, so what most have no need of is elsewhere. */
struct node {
	struct node *parent;    /* holds a reference */
	struct node *next;      /* node_index.c */
	struct node_more *more; /* NULL: nothing of it; those that are no rows have it always */
	struct keep *keep;      /* node_keep.c: the text that is kept, if there is one */
	uint64_t ino;           /* st_ino: the same for every node of one name */
	uint64_t lookups;       /* the kernel's count */
	uint64_t mark;          /* the newest change that what was told knows of */
	int64_t told_us;        /* when it was told, */
	uint32_t said_ms;       /* and when the kernel was last told so again, modulo 2^32 */
	uint32_t relation;      /* oid, at and below a table */
	uint32_t refs;          /* children and uses in flight */
	uint32_t readers;       /* open handles on it */

	/* What the kernel knows and open readers see. */
	uint64_t told_hash;
	int64_t told_seconds;
	uint32_t told_nanoseconds;
	uint32_t told_size;

	uint8_t kind;      /* enum node_kind; ROW and SCRATCH may become each other by rename */
	bool current : 1;  /* it has its name */
	bool has_told : 1; /* else the kernel's size is whatever its caller wrote */
	bool spoiled : 1;  /* a writer was here, so the kernel's size is no longer the one told */
	bool fed : 1;      /* changes later than `mark` are marked */
	char name[];       /* that it was made with */
};

/* How long a LOOKUP's text serves the OPEN that belongs to it; how long a caller who got ESTALE may take for the
 * repetition, however slow the servers are; and for how long names are looked up one by one after an ESTALE, while
 * readers and writers meet. */
enum { KEPT_US = 100000, REPEATED_US = 10000000, CONTENDED_US = 1000000 };

/* For how long after a row was moved to a temporary name somebody may still be on his way to it by its own. */
enum { MOVED_US = 2000000 };

/* What the node of a row was told last; with the lock held. */
struct version node_told(const struct node *node);

/* Who has it open for writing, NULL: nobody; with the lock held. */
struct file *node_writer(const struct node *node);

/* Does every LOOKUP of the node's name give another node now? The kernel then may not remember it. */
bool node_contended(const struct node *node);

struct nodes;

/* `marks` outlives it. How much text may be kept of rows read lately, and of those listed. */
int nodes_new(struct marks *marks, size_t read_bytes, size_t listed_bytes, struct nodes **ret) _must_check_;
void nodes_free(struct nodes *nodes);
struct node *nodes_root(struct nodes *nodes);

enum { NODE_NAME_SIZE = 256 };

/* The name a node was made for or renamed to. Renames run beside other operations on a node: this is for
 * nodes that are never renamed (schemas, tables), or with the lock held. */
const char *node_name(const struct node *node);

/* A copy of it, for the others; of the parent too, if that is not NULL. */
void nodes_name(struct nodes *nodes, const struct node *node, char ret[NODE_NAME_SIZE],
		struct node **ret_parent);

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

/* Who looks at a row, since when, and whether for a listing. */
struct look {
	int64_t began_us;
	uint64_t mark; /* the marks' number from before the row was read */
	bool fed;      /* changes of the row are marked by a live feed */
	bool copied;   /* out of Redis, so that it may have been old already */
	pid_t pid;
	bool listing;
};

/* How long the kernel may believe what it is told of a row. */
enum belief {
	BELIEVE_NOT,     /* it has changed since it was read */
	BELIEVE_SHORTLY, /* for as long as a mount without a feed says */
	BELIEVE_LONG,    /* nothing has changed it since it was read, and a change that comes now will find the node */
	BELIEVE_CONTENT, /* the same, but its name only as long as the feed is live for sure: no change will be told */
};

/* The node of a row name for this version: the current one if it was told just that, else another that takes the
 * name; with one more lookup, and `text` (may be NULL) kept for its OPEN. For a listing NULL where the kernel
 * knows better already; otherwise only without memory. */
struct node *nodes_get_row(struct nodes *nodes, struct node *parent, const char *name,
			   uint32_t relation, uint64_t ino, const struct version *version,
			   struct text *text, const struct look *look, enum belief *ret);

/* The current node of a row name, with one more lookup, if what it was told is known to be so still (while the feed
 * is live), and this caller was not sent back, for whom it must be one of his own; else NULL. */
struct node *nodes_get_known(struct nodes *nodes, struct node *parent, const char *name, uint64_t ino, pid_t pid,
			     struct version *ret, enum belief *ret_belief);

/* Does the LOOKUP of a row name need its text for the OPEN that follows, since the row is changing just now? If an OPEN of it
 * was sent back within REPEATED_US. */
bool nodes_need_text(struct nodes *nodes, struct node *parent, const char *name, uint64_t ino, pid_t pid);

/* As nodes_get_known() for a node that the kernel names itself: GETATTR. */
bool nodes_known(struct nodes *nodes, struct node *node, struct version *ret);

/* Drop `count` lookups; the node may be gone afterwards. */
void nodes_forget(struct nodes *nodes, struct node *node, uint64_t count);

/* Take a reference on a node that is known to live; drop one that this or nodes_find…() gave. */
void nodes_hold(struct nodes *nodes, struct node *node);
void nodes_release(struct nodes *nodes, struct node *node);

/* Give a name to a node, as rename does; what had the name lives on without it. Without memory the node
 * just loses its name. */
void nodes_rename(struct nodes *nodes, struct node *node, struct node *parent, const char *name);

/* Give two names each other's node, as rename does with RENAME_EXCHANGE. */
void nodes_exchange(struct nodes *nodes, struct node *parent, const char *name, struct node *other_parent,
		    const char *other_name);

/* The name is free again. */
void nodes_unname(struct nodes *nodes, struct node *parent, const char *name);

/* The current node of a name, held (nodes_release); NULL if the kernel knows none. */
struct node *nodes_find(struct nodes *nodes, struct node *parent, const char *name);
struct node *nodes_find_row(struct nodes *nodes, uint32_t relation, const char *name);

/* What becomes of an OPEN of a row, given what else is open on the node and what the kernel was told. */
enum admission {
	ADMIT,
	ADMIT_KEEP,   /* and the kernel's pages of this node are of that very version */
	ADMIT_DIRECT, /* past the page cache */
	ADMIT_STALE,  /* ESTALE: the kernel looks the name up again, once */
	ADMIT_NO_MEMORY,
};

/* Enter a handle: as the node's writer if `writer` is not NULL, else as a reader. `version` is what it will see;
 * NULL: the size does not matter, it starts empty. `look` is how that was read; its mark is MARK_LOOKED_UP if it was by
 * the LOOKUP that is part of this very open, whatever happened since. nodes_leave() takes it out, unless it was
 * ADMIT_STALE or ADMIT_NO_MEMORY. */
#define MARK_LOOKED_UP UINT64_MAX
enum admission nodes_admit(struct nodes *nodes, struct node *node, struct file *writer,
			   const struct version *version, const struct look *look);
void nodes_leave(struct nodes *nodes, struct node *node, const struct file *file);

/* A handle of a scratch file. nodes_leave() takes it out. */
void nodes_enter(struct nodes *nodes, struct node *node);

/* A handle on the node has become the row's writer, unless there is one. */
void nodes_promote(struct nodes *nodes, struct node *node, struct file *file);

/* The node of a scratch file is a row's now, `version` of which it holds; the kernel's size is not relied upon. */
void nodes_make_row(struct nodes *nodes, struct node *node, uint32_t relation, uint64_t ino,
		    const struct version *version);

/* The node of a row is a scratch file's now. *path_fd: its descriptor, which is taken (-1), or left for the caller to
 * close where the node has one already. Without memory it stays a row's. */
void nodes_make_scratch(struct nodes *nodes, struct node *node, uint64_t ino, int *path_fd);

/* May an OPEN of a scratch file's node go on? Else it is to be answered with ESTALE. Who walked to a row's name just
 * before the row was moved away means the row, and must not take the file that was moved for it: what he made of that he
 * would save over what the row has become since, and nothing is known of what he had read. So each one's first OPEN
 * shortly after the move is sent back to look again; who meant the file comes to it again. */
bool nodes_admit_scratch(struct nodes *nodes, struct node *node, pid_t pid);

/* What GETATTR says of a node whose row is `version` now, as `look` found it. Where that is not what the node was
 * told, no OPEN is admitted to it any more. */
enum belief nodes_attributes(struct nodes *nodes, struct node *node, const struct version *version,
			     const struct look *look, struct version *ret);

/* What the kernel must be told when a row has changed. Who has it open is told what he opened, so another node must take
 * the name, and there is only one message for all names. Where any row may be open that comes once, when it has been quiet
 * for a while; as long as it is not, names are believed shortly, and nothing need be told. */
enum notice { NOTICE_NONE, NOTICE_ATTRIBUTES, NOTICE_NAMES };
enum { NAMES_QUIET_US = 5000000 };

/* `ret_recent`: was it told anything within this time? */
enum notice nodes_notice(struct nodes *nodes, struct node *node, int64_t within_us, bool *ret_recent);

/* The kernel's size is not the one that was told any more. */
void nodes_spoil(struct nodes *nodes, struct node *node);

/* The text that this caller's LOOKUP has just read (*ret_mark is MARK_LOOKED_UP), or, while the feed is live, one
 * that anybody has read and nothing has changed since: a reference, or NULL. */
struct text *nodes_kept(struct nodes *nodes, struct node *node, bool live, pid_t pid, uint64_t *ret_mark);

/* From now on the kernel sends no OPEN; before any row has a node. */
void nodes_set_unopened(struct nodes *nodes);

/* May somebody have the row open for reading? With the lock held. */
bool node_may_be_read(const struct nodes *nodes, const struct node *node);

/* A text of the version that the node was told, whatever the row is by now: a reference, or NULL if none is kept. */
struct text *nodes_held(struct nodes *nodes, struct node *node);

/* Is this text of the version that the node was told? Then it is kept for the next READ, as far as such are. */
bool nodes_hold_text(struct nodes *nodes, struct node *node, struct text *text);

/* An OPEN has read this text: keep it for the next, if the node is known to be of that version still. */
void nodes_keep(struct nodes *nodes, struct node *node, struct text *text);

/* Give all of their memory back. */
void nodes_drop_kept(struct nodes *nodes);

/* --- Listings -------------------------------------------------------------------------------- */

/* A listing gives the kernel a node with each name, which spares a LOOKUP to who does something with them, and costs memory
 * here and there: `ls` of a huge table wants the names alone. So after so many that nobody has done anything with the
 * others come without, until somebody asks for a row. As many as programs list before they go on (fts in GNU's tools: a
 * hundred thousand). */
enum { GIVEN_MAX = 1 << 17 };

/* Of one listing, from {0} on. Most of what is done with names the kernel answers by itself; who has listed so many and asks
 * for more after a pause has done something with them. */
enum { GIVING_BATCH = 100000, GIVING_PAUSE_US = 20000 };

struct giving {
	uint64_t uses; /* of the table, when it was last looked at */
	unsigned n;    /* given since; one more: and those that came with a text need it no longer */
};

/* Is the next name of this table's listing to come with its node? Where none is for the first time the texts that have come
 * with the table's names go: nobody reads what he lists. */
bool nodes_give(struct nodes *nodes, struct node *table, struct giving *giving);

/* The kernel keeps one copy of a directory's listing, and looks in it for the offset at which a handle goes on. But
 * handles that read a changing table number its rows differently, and one that went on in another's copy would miss
 * rows or see them twice. So at any time one handle at most of a table has to do with the copy: it uses what one
 * before it has left, whose names it knows (*ret, a reference; NULL: it does not), or fills another. False: there is
 * such a handle already.
 *
 * The kernel uses a copy only when a handle has filled it to the end. One whose pages go before that can never be
 * filled (fs/fuse/readdir.c goes on where it stands, on a page that is gone). So a copy that was begun is left alone,
 * whatever happens; whoever comes to the end next makes it whole, and then it goes, if it is not what it should be.
 * *ret_drop: the kernel must drop a whole copy when the handle is opened. */
bool nodes_hold_listing(struct nodes *nodes, struct node *node, struct entries **ret, bool *ret_drop);
void nodes_release_listing(struct nodes *nodes, struct node *node);

/* The handle begins to fill the copy, before it reads the table; */
void nodes_fill_listing(struct nodes *nodes, struct node *node);
/* and has come to the end, with these names (NULL: they are not known). False: the copy is not what it should be, and
 * the kernel must drop it. */
bool nodes_keep_listing(struct nodes *nodes, struct node *node, struct entries *names);

/* The listing changed: note it, before the kernel is told. False: there is nothing to tell, or it must not be told now. */
bool nodes_change_listing(struct nodes *nodes, struct node *node);

/* The directory of a table, held (nodes_release); NULL if the kernel knows none. */
struct node *nodes_find_table(struct nodes *nodes, uint32_t relation);

/* All tables' directories, held; an array that the caller frees, NULL without memory or if there is none. */
struct node **nodes_find_tables(struct nodes *nodes, size_t *ret_n);
