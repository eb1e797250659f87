/* What the kernel is told without having asked.
 *
 *   inval_inode(row, -1)   its attributes are out of date: the next stat asks. Takes no lock that a request could hold
 *                          and waits for nothing, so the thread that committed sends it before it replies
 *   inval_inode(table, 0)  the cached listing is out of date, too
 *   INC_EPOCH              every name must be looked up again: one message, whatever the kernel holds
 *
 * Names are not expired one by one: that takes the directory's lock, and a daemon that dies while it waits there can
 * never end, nor can its mount. So a name may be believed for long only where the kernel knows INC_EPOCH (protocol
 * 7.44, Linux 6.16); elsewhere for a second. Within that second, or until the epoch, a row that is open somewhere is
 * seen by path as it was opened; OPEN itself is always right.
 *
 * The kernel's race: an answer to LOOKUP may be on its way when its row changes; the kernel does not have the inode
 * yet, so an invalidation does nothing, and then it believes the answer. So a node that was told a moment ago is
 * invalidated again a moment later (K7). */
#pragma once

#include <fuse_lowlevel.h>

#include "nodes.h"

struct notifier;

/* `nodes` and `session` outlive it. */
int notifier_new(struct nodes *nodes, struct fuse_session *session, struct notifier **ret) _must_check_;
int notifier_start(struct notifier *notifier) _must_check_;
void notifier_free(struct notifier *notifier); /* accepts NULL */

/* INIT's answer: does the kernel know INC_EPOCH? */
void notifier_set_epochs(struct notifier *notifier, bool known);
bool notifier_has_epochs(const struct notifier *notifier);

/* Just one inval_inode: pages from `offset` on, and attributes, or those only. */
enum { ATTRIBUTES_ONLY = -1 };
void notify_inode(struct notifier *notifier, const struct node *node, off_t offset);
void notify_row(struct notifier *notifier, struct node *node);
/* False: there was nothing to drop, so its attributes were not either. */
bool notify_listing(struct notifier *notifier, struct node *node);
void notify_everything(struct notifier *notifier);
