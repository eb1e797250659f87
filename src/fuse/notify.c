#include "notify.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <utlist.h>

struct entry {
	struct entry *next;
	fuse_ino_t parent;
	size_t len;
	char name[];
};

struct notifier {
	struct fuse_session *session;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct entry *head, *tail; /* [lock] */
	unsigned queued;           /* [lock] */
	bool stop;                 /* [lock] */
};

static void expire(struct fuse_session *session, const struct entry *entry)
{
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 16)
	fuse_lowlevel_notify_expire_entry(session, entry->parent, entry->name, entry->len);
#else
	fuse_lowlevel_notify_expire_entry(session, entry->parent, entry->name, entry->len,
					  FUSE_LL_EXPIRE_ONLY);
#endif
}

/* The next entry, or NULL when it is time to stop. */
static struct entry *next(struct notifier *notifier)
{
	struct entry *entry;

	pthread_mutex_lock(&notifier->lock);
	while (!notifier->stop && !notifier->head)
		pthread_cond_wait(&notifier->wake, &notifier->lock);
	entry = notifier->stop ? NULL : notifier->head;
	if (entry) {
		notifier->head = entry->next;
		notifier->queued--;
	}
	pthread_mutex_unlock(&notifier->lock);
	return entry;
}

static void *notifier_main(void *arg)
{
	struct notifier *notifier = arg;
	struct entry *entry;

	while ((entry = next(notifier))) {
		expire(notifier->session, entry);
		free(entry);
	}
	return NULL;
}

int notifier_new(struct fuse_session *session, struct notifier **ret)
{
	struct notifier *notifier = calloc(1, sizeof *notifier);
	int r;

	if (!notifier)
		return -ENOMEM;
	notifier->session = session;
	pthread_mutex_init(&notifier->lock, NULL);
	pthread_cond_init(&notifier->wake, NULL);
	r = pthread_create(&notifier->thread, NULL, notifier_main, notifier);
	if (r) {
		free(notifier);
		return -r;
	}
	*ret = notifier;
	return 0;
}

void notifier_free(struct notifier *notifier)
{
	struct entry *entry, *after;

	if (!notifier)
		return;
	pthread_mutex_lock(&notifier->lock);
	notifier->stop = true;
	pthread_cond_signal(&notifier->wake);
	pthread_mutex_unlock(&notifier->lock);
	pthread_join(notifier->thread, NULL);
	LL_FOREACH_SAFE(notifier->head, entry, after)
		free(entry);
	pthread_cond_destroy(&notifier->wake);
	pthread_mutex_destroy(&notifier->lock);
	free(notifier);
}

void notify_inode(struct notifier *notifier, fuse_ino_t ino)
{
	/* ENOENT: the kernel does not hold it. Anything else: it asks again after the timeout. */
	fuse_lowlevel_notify_inval_inode(notifier->session, ino, -1, 0);
}

static void enqueue(struct notifier *notifier, struct entry *entry)
{
	entry->next = NULL;
	if (notifier->head)
		notifier->tail->next = entry;
	else
		notifier->head = entry;
	notifier->tail = entry;
	notifier->queued++;
	pthread_cond_signal(&notifier->wake);
}

void notify_entry(struct notifier *notifier, fuse_ino_t parent, const char *name)
{
	size_t len = strlen(name);
	struct entry *entry = malloc(sizeof *entry + len + 1);
	bool full;

	if (!entry)
		return;
	entry->parent = parent;
	entry->len = len;
	memcpy(entry->name, name, len + 1);
	pthread_mutex_lock(&notifier->lock);
	full = notifier->queued == NOTIFY_QUEUE;
	if (!full)
		enqueue(notifier, entry);
	pthread_mutex_unlock(&notifier->lock);
	if (full)
		free(entry);
}
