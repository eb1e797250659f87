/* Texts that LOOKUP or OPEN has read, for the OPEN that follows. */
#include <pthread.h>

#include "node_table.h"

void node_drop_kept(struct nodes *nodes, struct node *node)
{
	if (node->kept)
		nodes->kept_bytes -= node->kept->len;
	text_unref(node->kept);
	node->kept = NULL;
}

static void drop_oldest(struct nodes *nodes)
{
	struct node *node = nodes->keeping[nodes->keep_from++ % KEEPING];

	node_drop_kept(nodes, node);
	node->keeping = false;
	node->refs--;
	node_maybe_free(nodes, node);
}

void node_drop_all_kept(struct nodes *nodes)
{
	while (nodes->keep_from != nodes->keep_to)
		drop_oldest(nodes);
}

/* One that nobody marks serves the OPEN that belongs to its LOOKUP, and nothing after that. */
static bool has_expired(const struct node *node, int64_t now_us)
{
	return !node->fed && now_us - node->kept_us > CONTENDED_US;
}

static void make_room(struct nodes *nodes, size_t bytes, int64_t now_us)
{
	while (nodes->keep_from != nodes->keep_to &&
	       (nodes->kept_bytes + bytes > nodes->kept_bytes_max ||
		nodes->keep_to - nodes->keep_from == KEEPING ||
		has_expired(nodes->keeping[nodes->keep_from % KEEPING], now_us)))
		drop_oldest(nodes);
}

void node_keep(struct nodes *nodes, struct node *node, struct text *text, pid_t pid)
{
	int64_t now = clock_monotonic_us();

	node_drop_kept(nodes, node);
	if (text->len > KEPT_TEXT_MAX)
		return;
	node->refs++; /* for the ring; and it stays alive while room is made */
	make_room(nodes, text->len, now);
	node->kept = text_ref(text);
	node->kept_for = pid;
	node->kept_us = now;
	nodes->kept_bytes += text->len;
	if (node->keeping) {
		node->refs--;
		return;
	}
	node->keeping = true;
	nodes->keeping[nodes->keep_to++ % KEEPING] = node;
}

void nodes_keep(struct nodes *nodes, struct node *node, struct text *text)
{
	nodes_lock(nodes);
	if (node_is_known(nodes, node) && version_equal(&node->told, &text->version))
		node_keep(nodes, node, text, 0);
	nodes_unlock(nodes);
}

void nodes_drop_kept(struct nodes *nodes)
{
	nodes_lock(nodes);
	node_drop_all_kept(nodes);
	nodes_unlock(nodes);
}

/* Its LOOKUP was this caller's: it was sent to look, and has looked since; or it is the one who looked last. But an
 * answer that reaches the kernel late, as a listing's may, leads back to a node whose row somebody has looked at or
 * saved since: that one's text is old. */
static bool looked_up_by(const struct nodes *nodes, const struct node *node, pid_t pid)
{
	int64_t sent_us = node_refused_us(nodes, node->ino, pid);

	if (sent_us)
		return node->kept_us >= sent_us;
	return pid && node->kept_for == pid && clock_monotonic_us() - node->kept_us <= KEPT_US &&
	       node->current && !node_touched(nodes, node);
}

/* A text that is kept is of the version that the node was told. */
struct text *nodes_kept(struct nodes *nodes, struct node *node, bool live, pid_t pid, uint64_t *ret_mark)
{
	struct text *text = NULL;

	nodes_lock(nodes);
	if (node->kept && looked_up_by(nodes, node, pid)) {
		text = text_ref(node->kept);
		*ret_mark = MARK_LOOKED_UP;
	} else if (node->kept && live && node_is_known(nodes, node)) {
		text = text_ref(node->kept);
		*ret_mark = node->mark;
	}
	nodes_unlock(nodes);
	return text;
}
