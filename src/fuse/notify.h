/* What the kernel is told without having asked.
 *
 * inval_inode with offset -1 drops the attributes of one nodeid: it takes no lock that a request could
 * hold and waits for nothing, so it is sent by the thread that committed, before it replies: the next stat
 * then asks. expire_entry takes the directory's lock, which a LOOKUP in flight holds while it waits for
 * us; so it is sent by a thread that serves no request. */
#pragma once

#include <fuse_lowlevel.h>

#include "rowfs/base/cleanup.h"

struct notifier;

int notifier_new(struct fuse_session *session, struct notifier **ret) _must_check_;
void notifier_free(struct notifier *notifier); /* joins its thread */

/* The attributes of a nodeid are out of date. */
void notify_inode(struct notifier *notifier, fuse_ino_t ino);

/* A name should be looked up again when it is next used. Queued; lost when memory or the queue
 * (NOTIFY_QUEUE) is full, which costs at most the entry's own timeout. */
void notify_entry(struct notifier *notifier, fuse_ino_t parent, const char *name);

enum { NOTIFY_QUEUE = 4096 };
