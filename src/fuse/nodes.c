#include "nodes.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "rowfs/base/clock.h"

/* Texts kept at once: as many opens may be between their LOOKUP and their OPEN. Larger ones are read again by
 * their OPEN: kept, a few would be all of memory_max. */
enum { KEEPING = 256, KEPT_MAX = 1 << 20 };

/* Which node is a table's directory; saves start from the relation. */
struct table {
	UT_hash_handle hh;
	uint32_t relation;
	struct node *node;
};

/* Who got ESTALE, for which name: his next OPEN of it is the repetition, after a LOOKUP of his own. */
struct refusal {
	pid_t pid;
	uint64_t ino;
	int64_t us;
};

enum { REFUSALS = 64 };

struct nodes {
	pthread_mutex_t lock;
	struct refusal refused[REFUSALS]; /* [lock] ring */
	unsigned refuse_at;               /* [lock] */
	struct node *root;
	struct node *all;               /* [lock] */
	struct node *names;             /* [lock] */
	struct table *tables;           /* [lock] */
	struct node *keeping[KEEPING];  /* [lock] ring; each slot holds a reference */
	unsigned keep_at;               /* [lock] */
};

void nodes_lock(struct nodes *nodes)
{
	pthread_mutex_lock(&nodes->lock);
}

void nodes_unlock(struct nodes *nodes)
{
	pthread_mutex_unlock(&nodes->lock);
}

struct node *nodes_root(struct nodes *nodes)
{
	return nodes->root;
}

const char *node_name(const struct node *node)
{
	return node->key + sizeof node->parent;
}

bool node_contended(const struct node *node)
{
	return node->contended_until_us > clock_monotonic_us();
}

void nodes_name(struct nodes *nodes, const struct node *node, char ret[NODE_NAME_SIZE],
		struct node **ret_parent)
{
	nodes_lock(nodes);
	snprintf(ret, NODE_NAME_SIZE, "%s", node_name(node));
	if (ret_parent)
		*ret_parent = node->parent;
	nodes_unlock(nodes);
}

/* --- Birth and death; all with the lock held ------------------------------------------------- */

static int set_key(struct node *node, const struct node *parent, const char *name)
{
	size_t len = strlen(name);
	char *key = malloc(sizeof parent + len + 1);

	if (!key)
		return -ENOMEM;
	memcpy(key, &parent, sizeof parent);
	memcpy(key + sizeof parent, name, len + 1);
	free(node->key);
	node->key = key;
	node->key_len = sizeof parent + len;
	return 0;
}

static void list(struct nodes *nodes, struct node *node)
{
	unsigned before = HASH_COUNT(nodes->names);

	HASH_ADD_KEYPTR(hh, nodes->names, node->key, node->key_len, node);
	node->current = HASH_COUNT(nodes->names) > before;
}

static void unlist(struct nodes *nodes, struct node *node)
{
	if (node->current)
		HASH_DEL(nodes->names, node);
	node->current = false;
}

static struct node *find(struct nodes *nodes, const struct node *parent, const char *name)
{
	char key[sizeof parent + 256];
	size_t len = strnlen(name, 256);
	struct node *node;

	memcpy(key, &parent, sizeof parent);
	memcpy(key + sizeof parent, name, len);
	HASH_FIND(hh, nodes->names, key, sizeof parent + len, node);
	return node;
}

static void list_table(struct nodes *nodes, struct node *node)
{
	struct table *table;

	HASH_FIND(hh, nodes->tables, &node->relation, sizeof node->relation, table);
	if (!table) {
		table = calloc(1, sizeof *table);
		if (!table)
			return;
		table->relation = node->relation;
		HASH_ADD(hh, nodes->tables, relation, sizeof table->relation, table);
	}
	table->node = node;
}

static void unlist_table(struct nodes *nodes, const struct node *node)
{
	struct table *table;

	HASH_FIND(hh, nodes->tables, &node->relation, sizeof node->relation, table);
	if (table && table->node == node) {
		HASH_DEL(nodes->tables, table);
		free(table);
	}
}

static struct node *node_new(struct nodes *nodes, struct node *parent, const char *name,
			     enum node_kind kind, uint32_t relation, uint64_t ino)
{
	struct node *node = calloc(1, sizeof *node);

	if (!node || set_key(node, parent, name) < 0) {
		free(node);
		return NULL;
	}
	node->magic = NODE_MAGIC;
	node->kind = kind;
	node->relation = relation;
	node->ino = ino;
	node->path_fd = -1;
	node->parent = parent;
	if (parent)
		parent->refs++;
	DL_APPEND(nodes->all, node);
	list(nodes, node);
	if (kind == NODE_TABLE)
		list_table(nodes, node);
	return node;
}

static void maybe_free(struct nodes *nodes, struct node *node)
{
	while (node && node->lookups == 0 && node->refs == 0) {
		struct node *parent = node->parent;

		unlist(nodes, node);
		DL_DELETE(nodes->all, node);
		if (node->kind == NODE_TABLE)
			unlist_table(nodes, node);
		text_unref(node->kept);
		if (node->path_fd >= 0)
			close(node->path_fd);
		free(node->key);
		node->magic = 0;
		free(node);
		if (parent)
			parent->refs--;
		node = parent;
	}
}

static void shed(void *arg);

int nodes_new(struct nodes **ret)
{
	struct nodes *nodes = calloc(1, sizeof *nodes);

	if (!nodes)
		return -ENOMEM;
	pthread_mutex_init(&nodes->lock, NULL);
	nodes->root = node_new(nodes, NULL, "", NODE_ROOT, 0, 1);
	if (!nodes->root) {
		free(nodes);
		return -ENOMEM;
	}
	nodes->root->refs = 1;
	text_set_shed(shed, nodes);
	*ret = nodes;
	return 0;
}

/* --- Kept texts ------------------------------------------------------------------------------ */

static void drop_kept(struct node *node)
{
	text_unref(node->kept);
	node->kept = NULL;
}

static void free_slot(struct nodes *nodes, unsigned slot)
{
	struct node *node = nodes->keeping[slot];

	if (!node)
		return;
	nodes->keeping[slot] = NULL;
	drop_kept(node);
	node->refs--;
	maybe_free(nodes, node);
}

/* The oldest come right after the place where the next goes. */
static void expire(struct nodes *nodes, int64_t now)
{
	for (unsigned i = 0; i < KEEPING; i++) {
		unsigned slot = (nodes->keep_at + i) % KEEPING;

		if (!nodes->keeping[slot])
			continue;
		if (now - nodes->keeping[slot]->kept_us <= CONTENDED_US)
			break;
		free_slot(nodes, slot);
	}
}

/* Memory is short: an OPEN that has to read its row again is better than one that fails. */
static void shed(void *arg)
{
	struct nodes *nodes = arg;

	nodes_lock(nodes);
	for (unsigned i = 0; i < KEEPING; i++)
		free_slot(nodes, i);
	nodes_unlock(nodes);
}

static void keep(struct nodes *nodes, struct node *node, struct text *text, pid_t pid)
{
	bool listed = node->kept != NULL;

	drop_kept(node);
	if (text->len > KEPT_MAX)
		return;
	node->kept = text_ref(text);
	node->kept_for = pid;
	node->kept_us = clock_monotonic_us();
	if (listed)
		return;
	free_slot(nodes, nodes->keep_at);
	nodes->keeping[nodes->keep_at] = node;
	node->refs++;
	nodes->keep_at = (nodes->keep_at + 1) % KEEPING;
	expire(nodes, node->kept_us);
}

static void note_refusal(struct nodes *nodes, const struct node *node, pid_t pid)
{
	nodes->refused[nodes->refuse_at++ % REFUSALS] =
		(struct refusal){pid, node->ino, clock_monotonic_us()};
}

static bool repeats(const struct nodes *nodes, uint64_t ino, pid_t pid)
{
	int64_t since = clock_monotonic_us() - CONTENDED_US;

	for (unsigned i = 0; pid && i < REFUSALS; i++)
		if (nodes->refused[i].pid == pid && nodes->refused[i].ino == ino &&
		    nodes->refused[i].us >= since)
			return true;
	return false;
}

/* A text that is kept is of the version that the node was told. Its LOOKUP was this caller's: it is the one who
 * looked last, or one who was sent to look and got this node since the row was just so. */
struct text *nodes_kept(struct nodes *nodes, struct node *node, pid_t pid)
{
	struct text *text = NULL;
	int64_t age_us;

	nodes_lock(nodes);
	age_us = clock_monotonic_us() - node->kept_us;
	if (node->kept && pid &&
	    ((node->kept_for == pid && age_us <= KEPT_US) ||
	     (repeats(nodes, node->ino, pid) && age_us <= CONTENDED_US)))
		text = text_ref(node->kept);
	nodes_unlock(nodes);
	return text;
}

void nodes_free(struct nodes *nodes)
{
	struct node *node;

	if (!nodes)
		return;
	text_set_shed(NULL, NULL);
	for (unsigned i = 0; i < KEEPING; i++)
		free_slot(nodes, i);
	/* The kernel sends no FORGETs for what it knew when the connection ended. */
	DL_FOREACH(nodes->all, node) {
		node->parent = NULL;
		node->lookups = 0;
		node->refs = 0;
	}
	while (nodes->all)
		maybe_free(nodes, nodes->all);
	pthread_mutex_destroy(&nodes->lock);
	free(nodes);
}

/* --- Names ----------------------------------------------------------------------------------- */

struct node *nodes_get(struct nodes *nodes, struct node *parent, const char *name,
		       enum node_kind kind, uint32_t relation, uint64_t ino)
{
	struct node *node;

	nodes_lock(nodes);
	node = find(nodes, parent, name);
	if (node && (node->kind != kind || node->relation != relation)) {
		unlist(nodes, node);
		node = NULL;
	}
	if (!node)
		node = node_new(nodes, parent, name, kind, relation, ino);
	if (node)
		node->lookups++;
	nodes_unlock(nodes);
	return node;
}

struct node *nodes_create(struct nodes *nodes, struct node *parent, const char *name,
			  enum node_kind kind, uint32_t relation, uint64_t ino)
{
	nodes_unname(nodes, parent, name);
	return nodes_get(nodes, parent, name, kind, relation, ino);
}

/* --- Versions -------------------------------------------------------------------------------- */

/* With the lock held, as are the next three. */
static bool confirms(const struct node *node, const struct version *version)
{
	return node->has_told && !node->spoiled && !node->outdated &&
	       version_equal(&node->told, version);
}

static bool in_use(const struct node *node)
{
	return node->writer || node_contended(node);
}

/* Has the kernel been told something younger than this look at the row? */
static bool knows_better(const struct node *node, const struct look *look)
{
	return in_use(node) || node->told_us > look->began_us || node->saved_us > look->began_us;
}

static struct node *new_version(struct nodes *nodes, struct node *parent, const char *name,
				uint32_t relation, uint64_t ino, const struct version *version,
				const struct look *look)
{
	struct node *before = find(nodes, parent, name), *node;
	int64_t contended_until_us = before ? before->contended_until_us : 0;
	int64_t saved_us = before ? before->saved_us : 0;

	if (before)
		unlist(nodes, before);
	node = node_new(nodes, parent, name, NODE_ROW, relation, ino);
	if (!node)
		return NULL;
	node->told = *version;
	node->has_told = true;
	node->told_us = clock_monotonic_us();
	node->contended_until_us = contended_until_us;
	node->saved_us = saved_us;
	node->outdated = saved_us > look->began_us;
	return node;
}

static void contend_until(struct node *node, int64_t until)
{
	if (node && until > node->contended_until_us)
		node->contended_until_us = until;
}

struct node *nodes_get_row(struct nodes *nodes, struct node *parent, const char *name,
			   uint32_t relation, uint64_t ino, const struct version *version,
			   struct text *text, const struct look *look)
{
	struct node *node;
	bool alone;

	nodes_lock(nodes);
	node = find(nodes, parent, name);
	/* A repeated open must not meet anybody on its node. */
	alone = !look->listing && repeats(nodes, ino, look->pid);
	if (node && node->kind == NODE_ROW && node->relation == relation && !in_use(node) && !alone &&
	    confirms(node, version))
		node->refused = 0;
	else if (node && look->listing && knows_better(node, look))
		node = NULL;
	else
		node = new_version(nodes, parent, name, relation, ino, version, look);
	if (node) {
		if (alone)
			contend_until(node, clock_monotonic_us() + CONTENDED_US);
		node->lookups++;
		if (text)
			keep(nodes, node, text, look->pid);
	}
	nodes_unlock(nodes);
	return node;
}

/* The name is contended, whichever node has it by now. */
static void contend(struct nodes *nodes, struct node *node, int64_t us)
{
	int64_t until = clock_monotonic_us() + us;

	contend_until(node, until);
	contend_until(find(nodes, node->parent, node_name(node)), until);
}

enum admission nodes_admit(struct nodes *nodes, struct node *node, struct file *writer,
			   const struct version *version, bool looked_up, pid_t pid)
{
	enum admission admission = ADMIT;
	bool shared, moved;

	nodes_lock(nodes);
	/* Readers never share pages with a writer. */
	shared = node->writer || (writer && node->readers);
	moved = version && (!node->has_told || node->spoiled || (node->outdated && !looked_up) ||
			    !version_equal(&node->told, version));
	if (shared || moved) {
		/* If it comes back without a LOOKUP, as opens through /proc/self/fd do, a second ESTALE would
		 * reach the user. */
		admission = pid && node->refused == pid ? ADMIT_DIRECT : ADMIT_STALE;
		node->refused = admission == ADMIT_STALE ? pid : 0;
		note_refusal(nodes, node, pid);
		contend(nodes, node, shared ? CONTENDED_US : REPEATED_US);
	}
	if (admission != ADMIT_STALE) {
		if (writer && !node->writer)
			node->writer = writer;
		else
			node->readers++;
	}
	nodes_unlock(nodes);
	return admission;
}

void nodes_leave(struct nodes *nodes, struct node *node, const struct file *file)
{
	nodes_lock(nodes);
	if (node->writer == file) {
		node->writer = NULL;
		node->spoiled = true;
	} else {
		node->readers--;
	}
	nodes_unlock(nodes);
}

void nodes_enter(struct nodes *nodes, struct node *node)
{
	nodes_lock(nodes);
	node->readers++;
	nodes_unlock(nodes);
}

void nodes_promote(struct nodes *nodes, struct node *node, struct file *file)
{
	nodes_lock(nodes);
	if (!node->writer) {
		node->writer = file;
		node->readers--;
	}
	nodes_unlock(nodes);
}

void nodes_make_row(struct nodes *nodes, struct node *node, uint32_t relation, uint64_t ino,
		    const struct version *version)
{
	nodes_lock(nodes);
	node->kind = NODE_ROW;
	node->relation = relation;
	node->ino = ino;
	node->told = *version;
	node->has_told = true;
	node->spoiled = true;
	nodes_unlock(nodes);
}

void nodes_attributes(struct nodes *nodes, struct node *node, const struct version *version,
		      pid_t pid, struct version *ret)
{
	bool yes;

	nodes_lock(nodes);
	yes = confirms(node, version);
	/* A LOOKUP's attributes may not have reached the kernel, which then asks for them at once; and the walk
	 * that an ESTALE sent back asks for permissions before it opens what it has just looked up. */
	if (!yes && node->has_told && !node->spoiled)
		yes = clock_monotonic_us() - node->told_us <=
		      (repeats(nodes, node->ino, pid) ? REPEATED_US :
		       node->outdated		      ? -1 :
							KEPT_US);
	/* An ESTALE would reach whoever asks through a descriptor (emacs opens with O_PATH). */
	if (!yes && node->readers == 0)
		node->spoiled = true;
	*ret = yes || node->readers ? node->told : *version;
	nodes_unlock(nodes);
}

void nodes_outdate(struct nodes *nodes, struct node *node)
{
	nodes_lock(nodes);
	node->outdated = true;
	node->saved_us = clock_monotonic_us();
	nodes_unlock(nodes);
}

void nodes_spoil(struct nodes *nodes, struct node *node)
{
	nodes_lock(nodes);
	node->spoiled = true;
	nodes_unlock(nodes);
}

void nodes_forget(struct nodes *nodes, struct node *node, uint64_t count)
{
	nodes_lock(nodes);
	assert(node->magic == NODE_MAGIC && node->lookups >= count);
	node->lookups -= count;
	maybe_free(nodes, node);
	nodes_unlock(nodes);
}

void nodes_hold(struct nodes *nodes, struct node *node)
{
	nodes_lock(nodes);
	node->refs++;
	nodes_unlock(nodes);
}

void nodes_release(struct nodes *nodes, struct node *node)
{
	nodes_lock(nodes);
	assert(node->refs > 0);
	node->refs--;
	maybe_free(nodes, node);
	nodes_unlock(nodes);
}

void nodes_rename(struct nodes *nodes, struct node *node, struct node *parent, const char *name)
{
	struct node *other, *before;

	nodes_lock(nodes);
	before = node->parent;
	other = find(nodes, parent, name);
	if (other && other != node) {
		if (other->contended_until_us > node->contended_until_us)
			node->contended_until_us = other->contended_until_us;
		unlist(nodes, other);
	}
	unlist(nodes, node);
	if (set_key(node, parent, name) == 0) {
		parent->refs++;
		before->refs--;
		node->parent = parent;
		list(nodes, node);
		maybe_free(nodes, before);
	}
	nodes_unlock(nodes);
}

void nodes_unname(struct nodes *nodes, struct node *parent, const char *name)
{
	struct node *node;

	nodes_lock(nodes);
	node = find(nodes, parent, name);
	if (node)
		unlist(nodes, node);
	nodes_unlock(nodes);
}

struct node *nodes_find(struct nodes *nodes, struct node *parent, const char *name)
{
	struct node *node;

	nodes_lock(nodes);
	node = find(nodes, parent, name);
	if (node)
		node->refs++;
	nodes_unlock(nodes);
	return node;
}

struct node *nodes_find_row(struct nodes *nodes, uint32_t relation, const char *name)
{
	struct node *node = NULL;
	struct table *table;

	nodes_lock(nodes);
	HASH_FIND(hh, nodes->tables, &relation, sizeof relation, table);
	if (table)
		node = find(nodes, table->node, name);
	if (node)
		node->refs++;
	nodes_unlock(nodes);
	return node;
}
