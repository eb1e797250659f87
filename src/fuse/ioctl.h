/* What the mount is asked beside reading and writing: each on the directory of a table. */
#pragma once

#include "mount.h"
#include "rowfs/fuse/warm.h"

/* What holds for all mounts is for those to set who could have mounted this one: 0, -EPERM or -EROFS. */
int ioctl_check_owner(const struct call *call);

/* Each answers the call. */
void ioctl_where(struct call *call); /* call->name: the row */
void ioctl_apply(struct call *call);
void ioctl_warm(struct call *call, const struct warm_exchange *asked);
