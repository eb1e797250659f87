/* All nodes: those that have a name by their directory and that, the others, which only the kernel knows, by their address.
 * A hash table of its own, since what a library's would keep with each (uthash: 56 bytes) is half as much again as a node. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "node_table.h"

enum { BUCKETS_MIN = 1 << 10 };

int node_index_new(struct node_index *index)
{
	*index = (struct node_index){.buckets = calloc(BUCKETS_MIN, sizeof *index->buckets), .size = BUCKETS_MIN};
	return index->buckets ? 0 : -1;
}

void node_index_done(struct node_index *index)
{
	free(index->buckets);
}

static uint64_t hash_name(const struct node *parent, const char *name)
{
	return XXH3_64bits_withSeed(name, strlen(name), (uintptr_t)parent);
}

static struct node **bucket_of(const struct node_index *index, const struct node *node)
{
	uint64_t hash = node->current ? hash_name(node->parent, node_name(node)) : XXH3_64bits(&node, sizeof node);

	return &index->buckets[hash & (index->size - 1)];
}

static void put(struct node_index *index, struct node *node)
{
	struct node **bucket = bucket_of(index, node);

	node->next = *bucket;
	*bucket = node;
}

/* Without memory the chains grow instead. */
static void grow(struct node_index *index)
{
	struct node_index larger = {.buckets = calloc(2 * index->size, sizeof *larger.buckets), .size = 2 * index->size,
				    .n = index->n};

	if (!larger.buckets)
		return;
	for (size_t i = 0; i < index->size; i++)
		for (struct node *node = index->buckets[i], *next; node; node = next) {
			next = node->next;
			put(&larger, node);
		}
	free(index->buckets);
	*index = larger;
}

void node_index_add(struct node_index *index, struct node *node)
{
	if (index->n >= index->size)
		grow(index);
	put(index, node);
	index->n++;
}

void node_index_remove(struct node_index *index, struct node *node)
{
	struct node **at = bucket_of(index, node);

	while (*at != node)
		at = &(*at)->next;
	*at = node->next;
	index->n--;
}

struct node *node_index_find(const struct node_index *index, const struct node *parent, const char *name)
{
	struct node *node = index->buckets[hash_name(parent, name) & (index->size - 1)];

	while (node && !(node->current && node->parent == parent && strcmp(node_name(node), name) == 0))
		node = node->next;
	return node;
}
