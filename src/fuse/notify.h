/* What the kernel is told without having asked: that the attributes of a nodeid are out of date.
 *
 * inval_inode with offset -1 takes no lock that a request could hold and waits for nothing, so the thread that
 * committed sends it before it replies, and the next stat asks. Names are not expired this way: that takes the
 * directory's lock, and a daemon that dies while it waits there can never end, nor can its mount. Without a
 * feed of changes the kernel believes a name for a second at most. */
#pragma once

#include <fuse_lowlevel.h>

static inline void notify_inode(struct fuse_session *session, fuse_ino_t ino)
{
	/* ENOENT: the kernel does not hold it. Anything else: it asks again after the timeout. */
	fuse_lowlevel_notify_inval_inode(session, ino, -1, 0);
}
