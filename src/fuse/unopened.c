/* A mount of which the kernel sends neither OPEN nor RELEASE, and a READ only for pages that it does not have: one that is
 * read only, under a feed.
 *
 * What OPEN decides is decided by LOOKUP then, and a nodeid says which version a READ means. A row that has changed is
 * looked up again, and has another node; who has the old one open reads what he opened, as long as the kernel or this
 * program has it, or it is what the row is still. Else he gets ESTALE, never parts of two versions.
 *
 * How long a name is believed decides how old a file may be. As long as nothing changes of what the kernel knows, and all
 * names can be taken back at once (notify.h): long. Else as long as the feed is live for sure, which is max_staleness at
 * most, however many rows change and whatever becomes of this program (BELIEVE_CONTENT). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mount.h"
#include "readings.h"
#include "report.h"
#include "rowfs/base/clock.h"

bool unopened_may(const struct mount *mount, const struct fuse_conn_info *conn)
{
	const struct settings *settings = mount->engine.settings;

	return settings->ro && !settings->strong && settings->changes != CHANGES_TTL &&
	       (conn->capable & FUSE_CAP_NO_OPEN_SUPPORT);
}

static void reply_part(struct call *call, const struct text *text)
{
	size_t at = (size_t)call->offset, rest = at < text->len ? text->len - at : 0;

	fuse_reply_buf(call->req, rest ? text->data + at : NULL, rest < call->size ? rest : call->size);
	call_free(call);
}

/* --- Rows ------------------------------------------------------------------------------------ */

/* A program reads a row: that counts once, at its beginning. */
static void reply_row(struct call *call, const struct text *text, enum tier tier)
{
	if ((size_t)call->offset + call->size >= text->len)
		readings_set(call->mount->readings, call->node, NULL);
	if (call->offset == 0)
		access_note(call->mount->engine.access, process_group(call->asker.pid), call->relation, call->row_name, tier,
			    text->len);
	reply_part(call, text);
}

/* As it was just read: there may be more to come. */
static void reply_first(struct call *call, struct text *text)
{
	if (text->len > call->size)
		readings_set(call->mount->readings, call->node, text);
	reply_row(call, text, text->copied ? TIER_REDIS : TIER_STORE);
}

static void row_read(struct call *call, struct text *text, const struct error *e)
{
	if (!text && e->err == ENOENT)
		call_error(call, -ESTALE);
	else if (!text)
		call_fail(call, CALL_OTHER, e);
	else if (!nodes_hold_text(call->mount->nodes, call->node, text))
		call_error(call, -ESTALE);
	else
		reply_first(call, text);
}

/* What came with a listing nobody need have seen. If the mount has seen something else of the row since, which of the two
 * is older is not known; so it is asked anew (R6). */
static bool may_show(struct call *call, const struct text *held)
{
	return !held->listed || reader_shows(call->mount->engine.reader, &call->ref, held->xid);
}

static void read_row(struct call *call)
{
	_cleanup_text_ struct text *held = nodes_held(call->mount->nodes, call->node);
	int r = rowref_of_name(call->mount->engine.catalog, call->relation, call->row_name, &call->ref, NULL);

	if (!held)
		held = readings_find(call->mount->readings, call->node);
	if (r < 0)
		call_error(call, r == -ENOMEM ? r : -ESTALE);
	else if (held && may_show(call, held))
		reply_row(call, held, TIER_MEMORY);
	else
		call_read(call, row_read);
}

/* --- What is no row -------------------------------------------------------------------------- */

static void read_scratch(struct call *call)
{
	char path[40];
	_cleanup_close_ int fd = -1;
	char *data = malloc(call->size);
	ssize_t n = -1;

	snprintf(path, sizeof path, "/proc/self/fd/%d", call->node->more->path_fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && data)
		n = pread(fd, data, call->size, call->offset);
	if (n < 0) {
		call_error(call, data ? -errno : -ENOMEM);
	} else {
		fuse_reply_buf(call->req, data, (size_t)n);
		call_free(call);
	}
	free(data);
}

/* Who reads it in pieces gets them of one text, unless he takes longer. */
enum { REPORT_US = 1000000 };

static struct text *print_report(struct mount *mount, const struct report *report)
{
	_cleanup_buf_ struct buf out = {0};
	struct timespec now;
	struct version version;

	clock_gettime(CLOCK_REALTIME, &now);
	report->print(&mount->engine, mount->engine.settings->uid, &out);
	if (out.failed)
		return NULL;
	version = version_of(out.data ? out.data : "", out.len, &now);
	return text_new(out.data ? out.data : "", out.len, &version, 0);
}

struct text *unopened_report(struct mount *mount, struct node *node)
{
	struct node_more *more = node->more;
	struct text *text = NULL, *before;

	nodes_lock(mount->nodes);
	if (more->report_text && clock_monotonic_us() - more->report_us < REPORT_US)
		text = text_ref(more->report_text);
	nodes_unlock(mount->nodes);
	if (text)
		return text;
	text = print_report(mount, more->report);
	if (!text)
		return NULL;
	nodes_lock(mount->nodes);
	before = more->report_text;
	more->report_text = text_ref(text);
	more->report_us = clock_monotonic_us();
	nodes_unlock(mount->nodes);
	text_unref(before);
	return text;
}

/* What its size was told of. */
static void read_report(struct call *call)
{
	struct text *text;

	nodes_lock(call->mount->nodes);
	text = call->node->more->report_text ? text_ref(call->node->more->report_text) : NULL;
	nodes_unlock(call->mount->nodes);
	if (!text)
		text = unopened_report(call->mount, call->node);
	if (text)
		reply_part(call, text);
	else
		call_error(call, -ENOMEM);
	text_unref(text);
}

/* --- READ ------------------------------------------------------------------------------------ */

void unopened_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset)
{
	struct call *call = call_new(req, node_of(mount_of(req), ino), NULL);

	if (!call)
		return;
	call->size = size;
	call->offset = offset;
	switch (call->kind) {
	case NODE_ROW:
		read_row(call);
		break;
	case NODE_SCRATCH:
		read_scratch(call);
		break;
	case NODE_REPORT:
		read_report(call);
		break;
	case NODE_NEW: /* reads as empty */
		fuse_reply_buf(req, NULL, 0);
		call_free(call);
		break;
	default:
		call_error(call, -EISDIR);
	}
}
