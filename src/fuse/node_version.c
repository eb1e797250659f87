/* What the kernel was told of rows, and what follows from that for its next question. nodes.h has the rules. */
#include <assert.h>
#include <fcntl.h>
#include <unistd.h>

#include "node_table.h"

bool node_contended(const struct node *node)
{
	return node->contended_until_us > clock_monotonic_us();
}

bool node_touched(const struct nodes *nodes, const struct node *node)
{
	return marks_touched(nodes->marks, node->relation, node_name(node), node->mark);
}

/* With the lock held, as is all of this file that is static. */
static bool confirms(const struct node *node, const struct version *version)
{
	return node->has_told && !node->spoiled && version_equal(&node->told, version);
}

static bool in_use(const struct node *node)
{
	return node->writer || node_contended(node);
}

bool node_is_known(const struct nodes *nodes, const struct node *node)
{
	return node->current && node->has_told && !node->spoiled && node->fed && !in_use(node) &&
	       !node_touched(nodes, node);
}

/* A look that found what the node was told vouches for it anew. */
static void vouch(struct node *node, const struct look *look)
{
	if (look->mark != MARK_LOOKED_UP && look->mark >= node->mark) {
		node->mark = look->mark;
		node->fed = look->fed;
	}
}

/* What changes it from now on finds the node by its name (K3). */
static enum belief belief_in(const struct nodes *nodes, const struct node *node, const struct look *look)
{
	if (marks_touched(nodes->marks, node->relation, node_name(node), look->mark))
		return BELIEVE_NOT;
	return look->fed && node->current && !in_use(node) ? BELIEVE_LONG : BELIEVE_SHORTLY;
}

/* --- Refusals -------------------------------------------------------------------------------- */

static void note_refusal(struct nodes *nodes, const struct node *node, pid_t pid)
{
	nodes->refused[nodes->refuse_at++ % REFUSALS] =
		(struct refusal){pid, node->ino, clock_monotonic_us()};
}

int64_t node_refused_us(const struct nodes *nodes, uint64_t ino, pid_t pid)
{
	int64_t since = clock_monotonic_us() - REPEATED_US, last = 0;

	for (unsigned i = 0; pid && i < REFUSALS; i++)
		if (nodes->refused[i].pid == pid && nodes->refused[i].ino == ino &&
		    nodes->refused[i].us >= since && nodes->refused[i].us > last)
			last = nodes->refused[i].us;
	return last;
}

bool nodes_need_text(struct nodes *nodes, struct node *parent, const char *name, uint64_t ino, pid_t pid)
{
	const struct node *node;
	bool need;

	nodes_lock(nodes);
	node = node_find(nodes, parent, name);
	need = (node && node->sent_back_us && clock_monotonic_us() - node->sent_back_us <= REPEATED_US) ||
	       node_refused_us(nodes, ino, pid);
	nodes_unlock(nodes);
	return need;
}

static void note_sent_back(struct nodes *nodes, struct node *node)
{
	struct node *current = node_find(nodes, node->parent, node_name(node));

	node->sent_back_us = clock_monotonic_us();
	if (current)
		current->sent_back_us = node->sent_back_us;
}

/* He was let in: his next open is one of its own. */
static void forget_refusal(struct nodes *nodes, const struct node *node, pid_t pid)
{
	for (unsigned i = 0; pid && i < REFUSALS; i++)
		if (nodes->refused[i].pid == pid && nodes->refused[i].ino == node->ino)
			nodes->refused[i].pid = 0;
}

/* --- LOOKUP and listings --------------------------------------------------------------------- */

/* Has the kernel been told something younger than this look at the row? */
static bool knows_better(const struct nodes *nodes, const struct node *node, const struct look *look)
{
	return in_use(node) || node->told_us > look->began_us ||
	       marks_touched(nodes->marks, node->relation, node_name(node), look->mark);
}

static struct node *new_version(struct nodes *nodes, struct node *parent, const char *name,
				uint32_t relation, uint64_t ino, const struct version *version,
				const struct look *look)
{
	struct node *before = node_find(nodes, parent, name), *node;
	int64_t contended_until_us = before ? before->contended_until_us : 0;
	int64_t sent_back_us = before ? before->sent_back_us : 0;

	if (before)
		node_unlist(nodes, before);
	node = node_new(nodes, parent, name, NODE_ROW, relation, ino);
	if (!node)
		return NULL;
	node->told = *version;
	node->has_told = true;
	node->told_us = node->said_us = clock_monotonic_us();
	node->contended_until_us = contended_until_us;
	node->sent_back_us = sent_back_us;
	node->mark = look->mark;
	node->fed = look->fed;
	return node;
}

static void contend_until(struct node *node, int64_t until)
{
	if (node && until > node->contended_until_us)
		node->contended_until_us = until;
}

struct node *nodes_get_row(struct nodes *nodes, struct node *parent, const char *name,
			   uint32_t relation, uint64_t ino, const struct version *version,
			   struct text *text, const struct look *look, enum belief *ret)
{
	struct node *node;
	bool alone;

	nodes_lock(nodes);
	node = node_find(nodes, parent, name);
	/* A repeated open must not meet anybody on its node. */
	alone = !look->listing && node_refused_us(nodes, ino, look->pid);
	if (node && node->kind == NODE_ROW && node->relation == relation && !in_use(node) && !alone &&
	    confirms(node, version)) {
		node->refused = 0;
		vouch(node, look);
	} else if (node && look->listing && knows_better(nodes, node, look)) {
		node = NULL;
	} else {
		node = new_version(nodes, parent, name, relation, ino, version, look);
	}
	if (node) {
		if (alone)
			contend_until(node, clock_monotonic_us() + CONTENDED_US);
		node->lookups++;
		if (text)
			node_keep(nodes, node, text, look->pid);
		*ret = belief_in(nodes, node, look);
		node->said_us = clock_monotonic_us();
	}
	nodes_unlock(nodes);
	return node;
}

struct node *nodes_get_known(struct nodes *nodes, struct node *parent, const char *name,
			     struct version *ret)
{
	struct node *node;

	nodes_lock(nodes);
	node = node_find(nodes, parent, name);
	if (node && node->kind == NODE_ROW && node_is_known(nodes, node)) {
		node->lookups++;
		node->refused = 0;
		node->said_us = clock_monotonic_us();
		*ret = node->told;
	} else {
		node = NULL;
	}
	nodes_unlock(nodes);
	return node;
}

bool nodes_known(struct nodes *nodes, struct node *node, struct version *ret)
{
	bool known;

	nodes_lock(nodes);
	known = node->kind == NODE_ROW && node_is_known(nodes, node);
	if (known) {
		node->said_us = clock_monotonic_us();
		*ret = node->told;
	}
	nodes_unlock(nodes);
	return known;
}

/* --- OPEN ------------------------------------------------------------------------------------ */

/* The name is contended, whichever node has it by now. */
static void contend(struct nodes *nodes, struct node *node, int64_t us)
{
	int64_t until = clock_monotonic_us() + us;

	contend_until(node, until);
	contend_until(node_find(nodes, node->parent, node_name(node)), until);
}

/* Is the version that an OPEN has read another than what the kernel was told, or was it changed meanwhile? */
static bool has_moved(const struct nodes *nodes, const struct node *node, const struct version *version,
		      const struct look *look)
{
	if (!confirms(node, version))
		return true;
	return look->mark != MARK_LOOKED_UP &&
	       marks_touched(nodes->marks, node->relation, node_name(node), look->mark);
}

enum admission nodes_admit(struct nodes *nodes, struct node *node, struct file *writer,
			   const struct version *version, const struct look *look)
{
	enum admission admission = ADMIT;
	bool shared, moved;

	nodes_lock(nodes);
	/* Readers never share pages with a writer. */
	shared = node->writer || (writer && node->readers);
	moved = version && has_moved(nodes, node, version, look);
	if (shared || moved) {
		/* If it comes back without a LOOKUP, as opens through /proc/self/fd do, a second ESTALE would
		 * reach the user. */
		admission = look->pid && node->refused == look->pid ? ADMIT_DIRECT : ADMIT_STALE;
		node->refused = admission == ADMIT_STALE ? look->pid : 0;
		note_refusal(nodes, node, look->pid);
		note_sent_back(nodes, node);
		contend(nodes, node, shared ? CONTENDED_US : KEPT_US);
	} else if (version) {
		vouch(node, look);
		admission = writer ? ADMIT : ADMIT_KEEP;
	}
	if (admission != ADMIT_STALE)
		forget_refusal(nodes, node, look->pid);
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
	node->fed = false;
	nodes_unlock(nodes);
}

void nodes_make_scratch(struct nodes *nodes, struct node *node, uint64_t ino, int *path_fd)
{
	nodes_lock(nodes);
	node->kind = NODE_SCRATCH;
	node->ino = ino;
	node->moved_us = clock_monotonic_us();
	/* Others may be using the number: it is filled anew, never closed. */
	if (node->path_fd < 0) {
		node->path_fd = *path_fd;
		*path_fd = -1;
	} else {
		dup3(*path_fd, node->path_fd, O_CLOEXEC);
	}
	nodes_unlock(nodes);
}

/* With the lock held. */
static bool was_sent_back(const struct nodes *nodes, const struct node *node, pid_t pid)
{
	for (unsigned i = 0; i < REFUSALS; i++) {
		const struct refusal *refusal = &nodes->sent_back[i];

		if (refusal->pid == pid && refusal->ino == node->ino && refusal->us >= node->moved_us)
			return true;
	}
	return false;
}

/* With the lock held: who cannot be remembered is let in, since a second ESTALE would reach him. */
static bool send_back(struct nodes *nodes, const struct node *node, pid_t pid, int64_t now_us)
{
	struct refusal *oldest = &nodes->sent_back[nodes->send_back_at % REFUSALS];

	if (oldest->pid && now_us - oldest->us <= MOVED_US)
		return false;
	*oldest = (struct refusal){pid, node->ino, now_us};
	nodes->send_back_at++;
	return true;
}

bool nodes_admit_scratch(struct nodes *nodes, struct node *node, pid_t pid)
{
	int64_t now_us = clock_monotonic_us();
	bool admitted;

	nodes_lock(nodes);
	admitted = !pid || !node->moved_us || now_us - node->moved_us > MOVED_US ||
		   was_sent_back(nodes, node, pid) || !send_back(nodes, node, pid, now_us);
	nodes_unlock(nodes);
	return admitted;
}

/* --- GETATTR --------------------------------------------------------------------------------- */

/* How old what was told may be for a GETATTR that belongs to the walk which told it. A LOOKUP's attributes may not have
 * reached the kernel, which then asks for them at once; and the walk that an ESTALE sent back asks for permissions
 * before it opens what it has just looked up. */
static int64_t same_walk_us(const struct nodes *nodes, const struct node *node, pid_t pid)
{
	if (node_refused_us(nodes, node->ino, pid))
		return REPEATED_US;
	return node_touched(nodes, node) ? -1 : KEPT_US;
}

enum belief nodes_attributes(struct nodes *nodes, struct node *node, const struct version *version,
			     const struct look *look, struct version *ret)
{
	enum belief belief;
	bool yes;

	nodes_lock(nodes);
	yes = confirms(node, version);
	if (yes)
		vouch(node, look);
	else if (node->has_told && !node->spoiled)
		yes = clock_monotonic_us() - node->told_us <= same_walk_us(nodes, node, look->pid);
	/* An ESTALE would reach whoever asks through a descriptor (emacs opens with O_PATH). */
	if (!yes && node->readers == 0)
		node->spoiled = true;
	*ret = yes || (node->readers && node->has_told) ? node->told : *version;
	belief = version_equal(ret, version) ? belief_in(nodes, node, look) : BELIEVE_SHORTLY;
	node->said_us = clock_monotonic_us();
	nodes_unlock(nodes);
	return belief;
}

bool nodes_is_told(struct nodes *nodes, struct node *node, int64_t since_us, bool *ret_recent)
{
	bool open;

	nodes_lock(nodes);
	open = node->readers > 0 && node->fed;
	*ret_recent = node->fed && node->said_us >= since_us;
	nodes_unlock(nodes);
	return open;
}

void nodes_spoil(struct nodes *nodes, struct node *node)
{
	nodes_lock(nodes);
	node->spoiled = true;
	nodes_unlock(nodes);
}
