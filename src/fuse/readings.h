/* Texts that are being read in parts without a handle that would keep them (unopened.c), however large, and whatever else is
 * read meanwhile. They are given up when memory is short, when the end has been read, or when others are read: who comes
 * again causes them to be read again. Thread-safe. */
#pragma once

#include "nodes.h"

struct readings;

/* `nodes` outlives it. */
int readings_new(struct nodes *nodes, struct readings **ret) _must_check_;
void readings_free(struct readings *readings); /* accepts NULL */

/* A reference, or NULL. */
struct text *readings_find(struct readings *readings, const struct node *node);

/* The node is being read, and this is its text; NULL: it has been read. */
void readings_set(struct readings *readings, struct node *node, struct text *text);
