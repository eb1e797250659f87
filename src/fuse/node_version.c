/* What the kernel was told of rows, and what follows from that for its next question. nodes.h has the rules. */
#include <assert.h>
#include <fcntl.h>
#include <unistd.h>

#include "node_table.h"

bool node_contended(const struct node *node)
{
	return node->more && node->more->contended_until_us > clock_monotonic_us();
}

void node_contend_until(struct node *node, int64_t until_us)
{
	if (until_us > (node->more ? node->more->contended_until_us : 0) && node_need_more(node))
		node->more->contended_until_us = until_us;
}

struct file *node_writer(const struct node *node)
{
	return node->more ? node->more->writer : NULL;
}

struct version node_told(const struct node *node)
{
	return (struct version){
		.size = node->told_size,
		.hash = node->told_hash,
		.mtime = {.tv_sec = (time_t)node->told_seconds, .tv_nsec = node->told_nanoseconds},
	};
}

_Static_assert(TEXT_MAX <= UINT32_MAX, "told_size");

static void tell(struct node *node, const struct version *version)
{
	node->told_size = (uint32_t)version->size;
	node->told_hash = version->hash;
	node->told_seconds = version->mtime.tv_sec;
	node->told_nanoseconds = (uint32_t)version->mtime.tv_nsec;
	node->has_told = true;
}

static void say(struct node *node)
{
	node->said_ms = (uint32_t)(clock_monotonic_us() / 1000);
}

/* Whose OPEN got ESTALE, if no LOOKUP has come since. */
static pid_t refused(const struct node *node)
{
	return node->more ? node->more->refused : 0;
}

static void set_refused(struct node *node, pid_t pid)
{
	if ((pid || node->more) && node_need_more(node))
		node->more->refused = pid;
}

bool node_touched(const struct nodes *nodes, const struct node *node)
{
	return marks_touched(nodes->marks, node->relation, node_name(node), node->mark);
}

/* With the lock held, as is all of this file that is static. */
static bool confirms(const struct node *node, const struct version *version)
{
	const struct version told = node_told(node);

	return node->has_told && !node->spoiled && version_equal(&told, version);
}

static bool in_use(const struct node *node)
{
	return node_writer(node) || node_contended(node);
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

/* Names that come with a listing the kernel takes in after a message that it may have crossed (fuse_direntplus_link()). */
static enum belief believe_known(const struct nodes *nodes, bool listing)
{
	bool names = !nodes->unopened || (!listing && clock_monotonic_us() > nodes->names_short_us);

	return names ? BELIEVE_LONG : BELIEVE_CONTENT;
}

/* What changes it from now on finds the node by its name (K3). */
static enum belief belief_in(const struct nodes *nodes, const struct node *node, const struct look *look)
{
	if (marks_touched(nodes->marks, node->relation, node_name(node), look->mark))
		return BELIEVE_NOT;
	if (!look->fed || !node->current || in_use(node))
		return BELIEVE_SHORTLY;
	return believe_known(nodes, look->listing);
}

/* --- Refusals -------------------------------------------------------------------------------- */

static void note_refusal(struct nodes *nodes, const struct node *node, pid_t pid, bool shared)
{
	struct refusal *oldest = &nodes->refused[nodes->refuse_at++ % REFUSALS];

	/* Nor is who cannot be told from others remembered. */
	if (!pid)
		nodes->lost_us = clock_monotonic_us();
	if (oldest->pid && oldest->us > nodes->lost_us)
		nodes->lost_us = oldest->us;
	*oldest = (struct refusal){pid, node->ino, clock_monotonic_us(), shared};
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

/* When an OPEN of it got ESTALE last. */
static int64_t sent_back_us(const struct node *node)
{
	return node->more ? node->more->sent_back_us : 0;
}

static void set_sent_back(struct node *node, int64_t us)
{
	if ((us || node->more) && node_need_more(node))
		node->more->sent_back_us = us;
}

bool nodes_need_text(struct nodes *nodes, struct node *parent, const char *name, uint64_t ino, pid_t pid)
{
	const struct node *node;
	bool need;

	nodes_lock(nodes);
	node = node_find(nodes, parent, name);
	need = (node && sent_back_us(node) && clock_monotonic_us() - sent_back_us(node) <= REPEATED_US) ||
	       node_refused_us(nodes, ino, pid);
	nodes_unlock(nodes);
	return need;
}

static void note_sent_back(struct nodes *nodes, struct node *node)
{
	struct node *current = node_find(nodes, node->parent, node_name(node));
	int64_t now_us = clock_monotonic_us();

	set_sent_back(node, now_us);
	if (current)
		set_sent_back(current, now_us);
}

/* He was let in: his next open is one of its own. Nobody contends for the name any more, if it was only that the row had
 * changed, and nobody else is on his way back. */
static void forget_refusal(struct nodes *nodes, struct node *node, pid_t pid)
{
	int64_t now_us = clock_monotonic_us(), since_us = now_us - REPEATED_US;
	bool changed = false, others = now_us - nodes->lost_us <= CONTENDED_US;

	for (unsigned i = 0; pid && i < REFUSALS; i++) {
		struct refusal *refusal = &nodes->refused[i];

		if (!refusal->pid || refusal->ino != node->ino)
			continue;
		if (refusal->us >= since_us) {
			changed |= refusal->pid == pid && !refusal->shared;
			others |= refusal->pid != pid || refusal->shared;
		}
		if (refusal->pid == pid)
			refusal->pid = 0;
	}
	if (changed && !others && node->more)
		node->more->contended_until_us = 0;
}

/* --- LOOKUP and listings --------------------------------------------------------------------- */

/* Has the kernel been told something younger than this look at the row? */
static bool knows_better(const struct nodes *nodes, const struct node *node, const struct look *look)
{
	return in_use(node) || node->told_us > look->began_us ||
	       marks_touched(nodes->marks, node->relation, node_name(node), look->mark);
}

/* In place of the current node, or NULL. */
static struct node *new_version(struct nodes *nodes, struct node *before, struct node *parent, const char *name,
				uint32_t relation, uint64_t ino, const struct version *version,
				const struct look *look)
{
	struct node *node;

	if (before) {
		node_unlist(nodes, before);
		node_let_go_listed(nodes, before);
	}
	node = node_new(nodes, parent, name, NODE_ROW, relation, ino);
	if (!node)
		return NULL;
	tell(node, version);
	node->told_us = clock_monotonic_us();
	say(node);
	if (before && before->more) {
		node_contend_until(node, before->more->contended_until_us);
		set_sent_back(node, before->more->sent_back_us);
	}
	node->mark = look->mark;
	node->fed = look->fed;
	return node;
}

struct node *nodes_get_row(struct nodes *nodes, struct node *parent, const char *name,
			   uint32_t relation, uint64_t ino, const struct version *version,
			   struct text *text, const struct look *look, enum belief *ret)
{
	struct node *node;
	bool alone;

	nodes_lock(nodes);
	parent->more->uses += !look->listing;
	node = node_find(nodes, parent, name);
	/* A repeated open must not meet anybody on its node. */
	alone = !look->listing && node_refused_us(nodes, ino, look->pid);
	if (node && node->kind == NODE_ROW && node->relation == relation && !in_use(node) && !alone &&
	    confirms(node, version)) {
		set_refused(node, 0);
		vouch(node, look);
	} else if (node && look->listing && knows_better(nodes, node, look)) {
		node = NULL;
	} else {
		node = new_version(nodes, node, parent, name, relation, ino, version, look);
	}
	if (node) {
		if (alone)
			node_contend_until(node, clock_monotonic_us() + CONTENDED_US);
		node->lookups++;
		if (text)
			node_keep(nodes, node, text, look->pid);
		*ret = belief_in(nodes, node, look);
		say(node);
	}
	nodes_unlock(nodes);
	return node;
}

struct node *nodes_get_known(struct nodes *nodes, struct node *parent, const char *name, uint64_t ino, pid_t pid,
			     struct version *ret, enum belief *ret_belief)
{
	struct node *node;

	nodes_lock(nodes);
	parent->more->uses++;
	node = node_find(nodes, parent, name);
	if (node && node->kind == NODE_ROW && node_is_known(nodes, node) && !node_refused_us(nodes, ino, pid)) {
		node->lookups++;
		set_refused(node, 0);
		say(node);
		*ret = node_told(node);
		*ret_belief = believe_known(nodes, false);
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
	node->parent->more->uses++;
	known = node->kind == NODE_ROW && node_is_known(nodes, node);
	if (known) {
		say(node);
		*ret = node_told(node);
	}
	nodes_unlock(nodes);
	return known;
}

/* --- OPEN ------------------------------------------------------------------------------------ */

/* The name is contended, whichever node has it by now. */
static void contend(struct nodes *nodes, struct node *node, int64_t us)
{
	struct node *current = node_find(nodes, node->parent, node_name(node));
	int64_t until = clock_monotonic_us() + us;

	node_contend_until(node, until);
	if (current)
		node_contend_until(current, until);
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
	node->parent->more->uses++;
	/* Readers never share pages with a writer. */
	shared = node_writer(node) || (writer && node->readers);
	moved = version && has_moved(nodes, node, version, look);
	if (shared || moved) {
		/* If it comes back without a LOOKUP, as opens through /proc/self/fd do, a second ESTALE would
		 * reach the user. */
		admission = look->pid && refused(node) == look->pid ? ADMIT_DIRECT : ADMIT_STALE;
		set_refused(node, admission == ADMIT_STALE ? look->pid : 0);
		note_refusal(nodes, node, look->pid, shared);
		note_sent_back(nodes, node);
		contend(nodes, node, shared ? CONTENDED_US : KEPT_US);
	} else if (version) {
		vouch(node, look);
		admission = writer ? ADMIT : ADMIT_KEEP;
	}
	if (admission != ADMIT_STALE && writer && !node_need_more(node))
		admission = ADMIT_NO_MEMORY;
	if (admission != ADMIT_STALE && admission != ADMIT_NO_MEMORY) {
		forget_refusal(nodes, node, look->pid);
		if (writer && !node->more->writer)
			node->more->writer = writer;
		else
			node->readers++;
	}
	nodes_unlock(nodes);
	return admission;
}

void nodes_leave(struct nodes *nodes, struct node *node, const struct file *file)
{
	nodes_lock(nodes);
	if (file == node_writer(node)) {
		node->more->writer = NULL;
		node->spoiled = true;
	} else {
		assert(node->readers > 0);
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
	if (!node_writer(node) && node_need_more(node)) {
		node->more->writer = file;
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
	tell(node, version);
	node->spoiled = true;
	node->fed = false;
	nodes_unlock(nodes);
}

void nodes_make_scratch(struct nodes *nodes, struct node *node, uint64_t ino, int *path_fd)
{
	struct node_more *more;

	nodes_lock(nodes);
	more = node_need_more(node);
	if (more) {
		node->kind = NODE_SCRATCH;
		node->ino = ino;
		more->moved_us = clock_monotonic_us();
	}
	/* Others may be using the number: it is filled anew, never closed. */
	if (more && more->path_fd < 0) {
		more->path_fd = *path_fd;
		*path_fd = -1;
	} else if (more) {
		dup3(*path_fd, more->path_fd, O_CLOEXEC);
	}
	nodes_unlock(nodes);
}

/* With the lock held. */
static bool was_sent_back(const struct nodes *nodes, const struct node *node, pid_t pid)
{
	for (unsigned i = 0; i < REFUSALS; i++) {
		const struct refusal *refusal = &nodes->sent_back[i];

		if (refusal->pid == pid && refusal->ino == node->ino && refusal->us >= node->more->moved_us)
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
	*oldest = (struct refusal){.pid = pid, .ino = node->ino, .us = now_us};
	nodes->send_back_at++;
	return true;
}

bool nodes_admit_scratch(struct nodes *nodes, struct node *node, pid_t pid)
{
	int64_t now_us = clock_monotonic_us(), moved_us;
	bool admitted;

	nodes_lock(nodes);
	moved_us = node->more ? node->more->moved_us : 0;
	admitted = !pid || !moved_us || now_us - moved_us > MOVED_US ||
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
	*ret = yes || (node->readers && node->has_told) ? node_told(node) : *version;
	belief = version_equal(ret, version) ? belief_in(nodes, node, look) : BELIEVE_SHORTLY;
	say(node);
	nodes_unlock(nodes);
	return belief;
}

void nodes_set_unopened(struct nodes *nodes)
{
	nodes_lock(nodes);
	nodes->unopened = true;
	nodes_unlock(nodes);
}

/* What is spoiled has no size to go by. */
bool node_may_be_read(const struct nodes *nodes, const struct node *node)
{
	return node->readers > 0 || (nodes->unopened && !node->spoiled);
}

static enum notice choose_notice(struct nodes *nodes, const struct node *node)
{
	int64_t now_us = clock_monotonic_us();
	bool quiet = now_us > nodes->names_short_us;

	if (!node->fed || !node_may_be_read(nodes, node))
		return NOTICE_ATTRIBUTES;
	if (!nodes->unopened)
		return NOTICE_NAMES;
	nodes->names_short_us = now_us + NAMES_QUIET_US;
	return quiet ? NOTICE_NAMES : NOTICE_NONE;
}

enum notice nodes_notice(struct nodes *nodes, struct node *node, int64_t within_us, bool *ret_recent)
{
	enum notice notice;
	uint32_t now_ms;

	nodes_lock(nodes);
	now_ms = (uint32_t)(clock_monotonic_us() / 1000);
	notice = choose_notice(nodes, node);
	*ret_recent = node->fed && now_ms - node->said_ms <= within_us / 1000;
	nodes_unlock(nodes);
	return notice;
}

void nodes_spoil(struct nodes *nodes, struct node *node)
{
	nodes_lock(nodes);
	node->spoiled = true;
	nodes_unlock(nodes);
}
