#include "notify.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/uio.h>

#include <linux/fuse.h>

#include "rowfs/base/clock.h"
#include "rowfs/base/counters.h"
#include "rowfs/base/log.h"
#include "rowfs/base/periodic.h"
#include "rowfs/base/timings.h"

/* From linux/fuse.h of protocol 7.44; Debian 12's is older. */
enum { NOTIFY_INC_EPOCH = 8 };

/* After an invalidation, twice more: soon, since the answer that it may have crossed is mostly taken in at once; and
 * when the kernel must have taken it in. */
enum { AGAIN_SOON_US = 50000, AGAIN_LATE_US = 1000000, AGAIN_STEP_MS = 25 };

/* Beyond that many at once, every name is made to be looked up again instead. */
enum { AGAIN_MAX = 16384 };

struct again {
	struct node *node; /* held */
	int64_t due_us;
};

/* Each round is a queue of its own, in the order of time, since all wait equally long. */
struct round {
	struct again *at; /* ring of AGAIN_MAX */
	unsigned from, to;
	int64_t delay_us;
};

enum { ROUNDS = 2 };

struct notifier {
	struct nodes *nodes;
	struct fuse_session *session;
	atomic_bool epochs;
	struct periodic thread;
	pthread_mutex_t lock;
	struct round rounds[ROUNDS]; /* [lock] */
};

static void rounds_done(struct notifier *notifier)
{
	for (int i = 0; i < ROUNDS; i++)
		free(notifier->rounds[i].at);
}

int notifier_new(struct nodes *nodes, struct fuse_session *session, struct notifier **ret)
{
	static const int64_t delays[ROUNDS] = {AGAIN_SOON_US, AGAIN_LATE_US};
	struct notifier *notifier = calloc(1, sizeof *notifier);

	if (!notifier)
		return -ENOMEM;
	notifier->nodes = nodes;
	notifier->session = session;
	pthread_mutex_init(&notifier->lock, NULL);
	for (int i = 0; i < ROUNDS; i++) {
		notifier->rounds[i].delay_us = delays[i];
		notifier->rounds[i].at = calloc(AGAIN_MAX, sizeof *notifier->rounds[i].at);
		if (!notifier->rounds[i].at) {
			notifier_free(notifier);
			return -ENOMEM;
		}
	}
	*ret = notifier;
	return 0;
}

void notifier_set_epochs(struct notifier *notifier, bool known)
{
	atomic_store(&notifier->epochs, known);
}

bool notifier_has_epochs(const struct notifier *notifier)
{
	return atomic_load(&notifier->epochs);
}

/* --- Messages -------------------------------------------------------------------------------- */

static fuse_ino_t ino_of_node(const struct notifier *notifier, const struct node *node)
{
	return node == nodes_root(notifier->nodes) ? FUSE_ROOT_ID : (fuse_ino_t)(uintptr_t)node;
}

/* ENOENT: the kernel does not hold it. Anything else: it asks again after the timeout. */
void notify_inode(struct notifier *notifier, const struct node *node, off_t offset)
{
	int64_t began_ns = timing_now_ns();

	count(kernel_invalidations);
	fuse_lowlevel_notify_inval_inode(notifier->session, ino_of_node(notifier, node), offset, 0);
	timing_add(TIMING_NOTICE, began_ns);
}

/* libfuse 3.14 has no call for it; a notification is a reply to request 0, whose error is its code. */
static void send_epoch(struct notifier *notifier)
{
	struct fuse_out_header header = {.len = sizeof header, .error = NOTIFY_INC_EPOCH};
	struct iovec message = {&header, sizeof header};
	int64_t began_ns = timing_now_ns();

	if (!notifier_has_epochs(notifier))
		return;
	count(kernel_epochs);
	if (writev(fuse_session_fd(notifier->session), &message, 1) < 0 && errno == EINVAL) {
		log_warning("the kernel refuses to forget names at once; they are believed for a second from now on");
		notifier_set_epochs(notifier, false);
	}
	timing_add(TIMING_NOTICE, began_ns);
}

/* --- Again ----------------------------------------------------------------------------------- */

/* False: too many. */
static bool enqueue(struct notifier *notifier, struct node *node)
{
	bool room = true;

	pthread_mutex_lock(&notifier->lock);
	for (int i = 0; i < ROUNDS; i++)
		room &= notifier->rounds[i].to - notifier->rounds[i].from < AGAIN_MAX;
	for (int i = 0; room && i < ROUNDS; i++) {
		struct round *round = &notifier->rounds[i];

		nodes_hold(notifier->nodes, node);
		round->at[round->to++ % AGAIN_MAX] =
			(struct again){node, clock_monotonic_us() + round->delay_us};
	}
	pthread_mutex_unlock(&notifier->lock);
	return room;
}

static struct node *dequeue(struct notifier *notifier, struct round *round, int64_t now_us)
{
	struct node *node = NULL;

	pthread_mutex_lock(&notifier->lock);
	if (round->from != round->to && round->at[round->from % AGAIN_MAX].due_us <= now_us)
		node = round->at[round->from++ % AGAIN_MAX].node;
	pthread_mutex_unlock(&notifier->lock);
	return node;
}

static void send_due(struct notifier *notifier, int64_t now_us)
{
	struct node *node;

	for (int i = 0; i < ROUNDS; i++)
		while ((node = dequeue(notifier, &notifier->rounds[i], now_us))) {
			notify_inode(notifier, node, ATTRIBUTES_ONLY);
			nodes_release(notifier->nodes, node);
		}
}

static int64_t notifier_step(void *arg)
{
	send_due(arg, clock_monotonic_us());
	return AGAIN_STEP_MS;
}

int notifier_start(struct notifier *notifier)
{
	return periodic_start(&notifier->thread, notifier_step, notifier);
}

/* --- What there is to tell ------------------------------------------------------------------- */

void notify_row(struct notifier *notifier, struct node *node)
{
	bool recent;

	switch (nodes_notice(notifier->nodes, node, AGAIN_LATE_US, &recent)) {
	case NOTICE_NAMES:
		send_epoch(notifier);
		break;
	case NOTICE_ATTRIBUTES:
		notify_inode(notifier, node, ATTRIBUTES_ONLY);
		if (recent && !enqueue(notifier, node))
			send_epoch(notifier);
		break;
	case NOTICE_NONE:
		break;
	}
}

bool notify_listing(struct notifier *notifier, struct node *node)
{
	bool drop = nodes_change_listing(notifier->nodes, node);

	if (drop)
		notify_inode(notifier, node, 0);
	return drop;
}

/* Open nodes are left alone: their attributes are those of the version that is open. */
void notify_everything(struct notifier *notifier)
{
	size_t n;
	struct node **tables = nodes_find_tables(notifier->nodes, &n);

	send_epoch(notifier);
	for (size_t i = 0; tables && i < n; i++) {
		if (!notify_listing(notifier, tables[i]))
			notify_inode(notifier, tables[i], ATTRIBUTES_ONLY);
		nodes_release(notifier->nodes, tables[i]);
	}
	free(tables);
}

void notifier_free(struct notifier *notifier)
{
	if (!notifier)
		return;
	periodic_stop(&notifier->thread);
	if (notifier->rounds[ROUNDS - 1].at)
		for (int i = 0; i < ROUNDS; i++)
			for (struct node *node; (node = dequeue(notifier, &notifier->rounds[i], INT64_MAX));)
				nodes_release(notifier->nodes, node);
	rounds_done(notifier);
	pthread_mutex_destroy(&notifier->lock);
	free(notifier);
}
