/* Texts that LOOKUP, OPEN or a listing has read, for the OPEN that follows. */
#include <pthread.h>
#include <stdlib.h>

#include "node_table.h"

static void drop_text(struct keep *keep)
{
	if (keep->text)
		keep->ring->bytes -= keep->text->len;
	text_unref(keep->text);
	keep->text = NULL;
}

static struct keep *oldest(const struct keep_ring *ring)
{
	return &ring->places[ring->from % ring->size];
}

static void drop_oldest(struct nodes *nodes, struct keep_ring *ring)
{
	struct keep *keep = oldest(ring);
	struct node *node = keep->node;

	ring->from++;
	if (!node)
		return;
	drop_text(keep);
	node->keep = NULL;
	node->refs--;
	node_maybe_free(nodes, node);
}

static void give_back(struct keep_ring *ring)
{
	if (ring->from == ring->to) {
		free(ring->places);
		ring->places = NULL;
	}
}

void node_drop_all_kept(struct nodes *nodes)
{
	struct keep_ring *const rings[] = {&nodes->read, &nodes->listed};

	for (size_t i = 0; i < sizeof rings / sizeof *rings; i++) {
		while (rings[i]->from != rings[i]->to)
			drop_oldest(nodes, rings[i]);
		give_back(rings[i]);
	}
}

/* Puts a node with its reference, and what is kept of it, into the youngest place. */
static struct keep *enter(struct keep_ring *ring, struct node *node, struct text *text)
{
	struct keep *keep = &ring->places[ring->to++ % ring->size];

	*keep = (struct keep){.node = node, .text = text, .ring = ring};
	node->keep = keep;
	return keep;
}

void node_drop_listed(struct nodes *nodes, uint32_t relation)
{
	struct keep_ring *ring = &nodes->listed;

	for (unsigned n = ring->to - ring->from; n > 0; n--) {
		struct keep keep = *oldest(ring);

		if (!keep.node || keep.node->relation == relation) {
			drop_oldest(nodes, ring);
		} else {
			ring->from++;
			(void)enter(ring, keep.node, keep.text);
		}
	}
	give_back(ring);
}

void node_let_go_listed(struct nodes *nodes, struct node *node)
{
	if (!nodes->unopened && node->keep && node->keep->ring == &nodes->listed)
		drop_text(node->keep);
}

/* One that nobody marks serves the OPEN that belongs to its LOOKUP, and nothing after that. */
static bool has_expired(const struct keep *keep, int64_t now_us)
{
	return !keep->node || (!keep->node->fed && now_us - keep->us > CONTENDED_US);
}

/* A text holds its whole page, so those of few rows each, which is what is left where rows have changed, hold much more than
 * they are. */
static bool pages_pile_up(const struct nodes *nodes, const struct keep_ring *ring)
{
	return ring == &nodes->listed && text_pages_bytes() > 2 * ring->bytes_max + PAGES_SLACK;
}

static void make_room(struct nodes *nodes, struct keep_ring *ring, size_t bytes, int64_t now_us)
{
	while (ring->from != ring->to &&
	       (ring->bytes + bytes > ring->bytes_max || ring->to - ring->from == ring->size ||
		has_expired(oldest(ring), now_us) || pages_pile_up(nodes, ring)))
		drop_oldest(nodes, ring);
}

/* Most mounts are never walked through. */
static bool has_places(struct keep_ring *ring)
{
	if (!ring->places)
		ring->places = calloc(ring->size, sizeof *ring->places);
	return ring->places;
}

/* The node's place in the ring; it leaves the other. */
static struct keep *place_in(struct keep_ring *ring, struct node *node)
{
	if (node->keep && node->keep->ring == ring)
		return node->keep;
	if (node->keep)
		node->keep->node = NULL;
	else
		node->refs++;
	return enter(ring, node, NULL);
}

void node_keep(struct nodes *nodes, struct node *node, struct text *text, pid_t pid)
{
	struct keep_ring *ring = text->listed ? &nodes->listed : &nodes->read;
	int64_t now = clock_monotonic_us();
	struct keep *keep;

	/* Of the same version. Somebody may have read it; but whose page is older goes with that. */
	if (text->listed && node->keep && node->keep->text && !node->keep->text->listed)
		return;
	if (node->keep)
		drop_text(node->keep);
	if (text->len > KEPT_TEXT_MAX || text->len > ring->bytes_max || !has_places(ring))
		return;
	node->refs++; /* it stays alive while room is made */
	make_room(nodes, ring, text->len, now);
	keep = place_in(ring, node);
	keep->text = text_ref(text);
	keep->pid = pid;
	keep->us = text->listed ? 0 : now; /* nobody has looked */
	ring->bytes += text->len;
	node->refs--;
}

void nodes_keep(struct nodes *nodes, struct node *node, struct text *text)
{
	struct version told;

	nodes_lock(nodes);
	told = node_told(node);
	if (node_is_known(nodes, node) && version_equal(&told, &text->version))
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
		return node->keep->us >= sent_us;
	return pid && node->keep->pid == pid && clock_monotonic_us() - node->keep->us <= KEPT_US &&
	       node->current && !node_touched(nodes, node);
}

/* A text that is kept is of the version that the node was told. */
struct text *nodes_kept(struct nodes *nodes, struct node *node, bool live, pid_t pid, uint64_t *ret_mark)
{
	struct text *text = NULL;

	nodes_lock(nodes);
	if (node->keep && node->keep->text && looked_up_by(nodes, node, pid)) {
		text = text_ref(node->keep->text);
		*ret_mark = MARK_LOOKED_UP;
	} else if (node->keep && node->keep->text && live && node_is_known(nodes, node)) {
		text = text_ref(node->keep->text);
		*ret_mark = node->mark;
	}
	nodes_unlock(nodes);
	return text;
}

struct text *nodes_held(struct nodes *nodes, struct node *node)
{
	struct text *text;

	nodes_lock(nodes);
	text = node->keep && node->keep->text ? text_ref(node->keep->text) : NULL;
	nodes_unlock(nodes);
	return text;
}

bool nodes_hold_text(struct nodes *nodes, struct node *node, struct text *text)
{
	struct version told;
	bool same;

	nodes_lock(nodes);
	told = node_told(node);
	same = node->has_told && !node->spoiled && version_equal(&told, &text->version);
	if (same)
		node_keep(nodes, node, text, 0);
	nodes_unlock(nodes);
	return same;
}
