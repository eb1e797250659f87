/* Names and counts: which node has which name, and how long a node lives. */
#include "node_table.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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
	return node->more && node->more->name ? node->more->name : node->name;
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

struct node_more *node_need_more(struct node *node)
{
	if (!node->more) {
		node->more = calloc(1, sizeof *node->more);
		if (node->more)
			node->more->path_fd = -1;
	}
	return node->more;
}

static void list(struct nodes *nodes, struct node *node)
{
	node_index_remove(&nodes->index, node);
	node->current = true;
	node_index_add(&nodes->index, node);
}

void node_unlist(struct nodes *nodes, struct node *node)
{
	if (!node->current)
		return;
	node_index_remove(&nodes->index, node);
	node->current = false;
	node_index_add(&nodes->index, node);
}

struct node *node_find(struct nodes *nodes, const struct node *parent, const char *name)
{
	return node_index_find(&nodes->index, parent, name);
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

struct node *node_new(struct nodes *nodes, struct node *parent, const char *name,
			     enum node_kind kind, uint32_t relation, uint64_t ino)
{
	size_t size = strlen(name) + 1;
	struct node *node = calloc(1, offsetof(struct node, name) + size);

	if (!node || (kind != NODE_ROW && !node_need_more(node))) {
		free(node);
		return NULL;
	}
	memcpy(node->name, name, size);
	node->kind = kind;
	node->relation = relation;
	node->ino = ino;
	node->parent = parent;
	if (parent)
		parent->refs++;
	node->current = true;
	node_index_add(&nodes->index, node);
	if (kind == NODE_TABLE)
		list_table(nodes, node);
	return node;
}

static void drop_listing(struct nodes *nodes, struct node *node)
{
	if (node->more->listing)
		nodes->listing_bytes -= entries_bytes(node->more->listing);
	entries_unref(node->more->listing);
	node->more->listing = NULL;
}

static void free_more(struct nodes *nodes, struct node *node)
{
	if (!node->more)
		return;
	drop_listing(nodes, node);
	if (node->more->path_fd >= 0)
		close(node->more->path_fd);
	text_unref(node->more->report_text);
	free(node->more->name);
	free(node->more);
}

void node_maybe_free(struct nodes *nodes, struct node *node)
{
	while (node && node->lookups == 0 && node->refs == 0) {
		struct node *parent = node->parent;

		node_index_remove(&nodes->index, node);
		if (node->kind == NODE_TABLE)
			unlist_table(nodes, node);
		free_more(nodes, node);
		free(node);
		if (parent)
			parent->refs--;
		node = parent;
	}
}

static void shed(void *arg)
{
	nodes_drop_kept(arg);
}

int nodes_new(struct marks *marks, size_t read_bytes, size_t listed_bytes, struct nodes **ret)
{
	struct nodes *nodes = calloc(1, sizeof *nodes);

	if (!nodes)
		return -ENOMEM;
	pthread_mutex_init(&nodes->lock, NULL);
	nodes->marks = marks;
	nodes->read = (struct keep_ring){.size = READ_KEPT, .bytes_max = read_bytes};
	nodes->listed = (struct keep_ring){.size = LISTED_KEPT, .bytes_max = listed_bytes};
	if (node_index_new(&nodes->index) == 0)
		nodes->root = node_new(nodes, NULL, "", NODE_ROOT, 0, 1);
	if (!nodes->root) {
		node_index_done(&nodes->index);
		free(nodes);
		return -ENOMEM;
	}
	nodes->root->refs = 1;
	text_add_shed(shed, nodes);
	*ret = nodes;
	return 0;
}

void nodes_free(struct nodes *nodes)
{
	if (!nodes)
		return;
	text_remove_shed(nodes);
	node_drop_all_kept(nodes);
	/* The kernel sends no FORGETs for what it knew when the connection ended. */
	for (size_t i = 0; i < nodes->index.size; i++)
		for (struct node *node = nodes->index.buckets[i], *next; node; node = next) {
			next = node->next;
			if (node->kind == NODE_TABLE)
				unlist_table(nodes, node);
			free_more(nodes, node);
			free(node);
		}
	node_index_done(&nodes->index);
	pthread_mutex_destroy(&nodes->lock);
	free(nodes);
}

/* --- Names ----------------------------------------------------------------------------------- */

struct node *nodes_get(struct nodes *nodes, struct node *parent, const char *name,
		       enum node_kind kind, uint32_t relation, uint64_t ino)
{
	struct node *node;

	nodes_lock(nodes);
	node = node_find(nodes, parent, name);
	/* While a node lives its spool file has its number. With another, the name is another file's: an entry that the
	 * kernel looks up once more is looked up without the directory's lock, beside unlink and create. */
	if (node && (node->kind != kind || node->relation != relation || node->ino != ino)) {
		node_unlist(nodes, node);
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

/* --- Counts ---------------------------------------------------------------------------------- */

void nodes_forget(struct nodes *nodes, struct node *node, uint64_t count)
{
	nodes_lock(nodes);
	assert(node->lookups >= count);
	node->lookups -= count;
	node_maybe_free(nodes, node);
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
	node_maybe_free(nodes, node);
	nodes_unlock(nodes);
}

/* With the lock held; the node is not listed. */
static void name_anew(struct nodes *nodes, struct node *node, struct node *parent, const char *name)
{
	struct node *before = node->parent;
	char *copy = strdup(name);

	if (!copy || !node_need_more(node)) {
		free(copy);
		return;
	}
	free(node->more->name);
	node->more->name = copy;
	parent->refs++;
	before->refs--;
	node->parent = parent;
	list(nodes, node);
	node_maybe_free(nodes, before);
}

void nodes_rename(struct nodes *nodes, struct node *node, struct node *parent, const char *name)
{
	struct node *other;

	nodes_lock(nodes);
	other = node_find(nodes, parent, name);
	if (other && other != node) {
		node_contend_until(node, other->more ? other->more->contended_until_us : 0);
		node_unlist(nodes, other);
	}
	node_unlist(nodes, node);
	name_anew(nodes, node, parent, name);
	nodes_unlock(nodes);
}

void nodes_exchange(struct nodes *nodes, struct node *parent, const char *name, struct node *other_parent,
		    const char *other_name)
{
	struct node *one, *other;

	nodes_lock(nodes);
	one = node_find(nodes, parent, name);
	other = node_find(nodes, other_parent, other_name);
	if (one)
		node_unlist(nodes, one);
	if (other)
		node_unlist(nodes, other);
	if (one)
		name_anew(nodes, one, other_parent, other_name);
	if (other)
		name_anew(nodes, other, parent, name);
	nodes_unlock(nodes);
}

void nodes_unname(struct nodes *nodes, struct node *parent, const char *name)
{
	struct node *node;

	nodes_lock(nodes);
	node = node_find(nodes, parent, name);
	if (node)
		node_unlist(nodes, node);
	nodes_unlock(nodes);
}

struct node *nodes_find(struct nodes *nodes, struct node *parent, const char *name)
{
	struct node *node;

	nodes_lock(nodes);
	node = node_find(nodes, parent, name);
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
		node = node_find(nodes, table->node, name);
	if (node)
		node->refs++;
	nodes_unlock(nodes);
	return node;
}

/* --- Tables' listings ------------------------------------------------------------------------ */

bool nodes_give(struct nodes *nodes, struct node *table, struct giving *giving)
{
	bool give;

	nodes_lock(nodes);
	if (giving->uses != table->more->uses)
		*giving = (struct giving){.uses = table->more->uses};
	give = giving->n < GIVEN_MAX;
	if (giving->n == GIVEN_MAX)
		node_drop_listed(nodes, table->relation);
	giving->n += giving->n <= GIVEN_MAX;
	nodes_unlock(nodes);
	return give;
}

bool nodes_hold_listing(struct nodes *nodes, struct node *node, struct entries **ret, bool *ret_drop)
{
	bool held;

	nodes_lock(nodes);
	held = node->more->listing_held;
	node->more->listing_held = true;
	*ret = !held && node->more->listing ? entries_ref(node->more->listing) : NULL;
	*ret_drop = !held && !node->more->listing && node->more->listing_copy == COPY_WHOLE;
	nodes_unlock(nodes);
	return !held;
}

void nodes_release_listing(struct nodes *nodes, struct node *node)
{
	nodes_lock(nodes);
	node->more->listing_held = false;
	nodes_unlock(nodes);
}

void nodes_fill_listing(struct nodes *nodes, struct node *node)
{
	nodes_lock(nodes);
	node->more->listing_changed = node->more->listing_copy == COPY_BEGUN;
	node->more->listing_copy = COPY_BEGUN;
	drop_listing(nodes, node);
	nodes_unlock(nodes);
}

bool nodes_keep_listing(struct nodes *nodes, struct node *node, struct entries *names)
{
	bool valid;

	nodes_lock(nodes);
	drop_listing(nodes, node);
	valid = !node->more->listing_changed;
	node->more->listing_copy = valid ? COPY_WHOLE : COPY_NONE;
	if (valid && names && nodes->listing_bytes + entries_bytes(names) <= LISTINGS_BYTES_MAX) {
		node->more->listing = entries_ref(names);
		nodes->listing_bytes += entries_bytes(names);
	}
	nodes_unlock(nodes);
	return valid;
}

bool nodes_change_listing(struct nodes *nodes, struct node *node)
{
	bool whole;

	nodes_lock(nodes);
	node->more->listing_changed = true;
	drop_listing(nodes, node);
	whole = node->more->listing_copy == COPY_WHOLE;
	if (whole)
		node->more->listing_copy = COPY_NONE;
	nodes_unlock(nodes);
	return whole;
}

struct node *nodes_find_table(struct nodes *nodes, uint32_t relation)
{
	struct table *table;
	struct node *node;

	nodes_lock(nodes);
	HASH_FIND(hh, nodes->tables, &relation, sizeof relation, table);
	node = table ? table->node : NULL;
	if (node)
		node->refs++;
	nodes_unlock(nodes);
	return node;
}

struct node **nodes_find_tables(struct nodes *nodes, size_t *ret_n)
{
	struct table *table, *next;
	struct node **found;
	size_t n = 0;

	nodes_lock(nodes);
	found = calloc(HASH_COUNT(nodes->tables) + 1, sizeof *found);
	HASH_ITER(hh, nodes->tables, table, next) {
		if (!found)
			break;
		found[n++] = table->node;
		table->node->refs++;
	}
	nodes_unlock(nodes);
	*ret_n = n;
	return found;
}
