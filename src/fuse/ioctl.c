/* IOCTL */
#include "ioctl.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "rowfs/fuse/apply.h"
#include "rowfs/fuse/where.h"

int ioctl_check_owner(const struct call *call)
{
	const struct settings *settings = call->mount->engine.settings;
	uid_t uid = call->asker.uid;

	if (uid != 0 && uid != geteuid() && uid != settings->uid)
		return -EPERM;
	return settings->ro ? -EROFS : 0;
}

static bool is_name(const struct where_exchange *asked)
{
	return memchr(asked->name, '\0', sizeof asked->name) != NULL;
}

void op_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int command, void *arg, struct fuse_file_info *fi, unsigned flags,
	      const void *in, size_t in_size, size_t out_size)
{
	struct node *node = node_of(mount_of(req), ino);
	const struct where_exchange *where = in;
	struct call *call;

	if (command == WHERE_IOCTL && in_size == sizeof *where && out_size == sizeof *where && is_name(where)) {
		call = call_new(req, node, where->name);
		if (call)
			ioctl_where(call);
	} else if (command == APPLY_IOCTL && out_size == sizeof(struct apply_exchange)) {
		call = call_new(req, node, NULL);
		if (call)
			ioctl_apply(call);
	} else if (command == WARM_IOCTL && in_size == sizeof(struct warm_exchange) && out_size == in_size) {
		call = call_new(req, node, NULL);
		if (call)
			ioctl_warm(call, in);
	} else {
		fuse_reply_err(req, ENOTTY);
	}
}
