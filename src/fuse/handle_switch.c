/* A rename between a row's name and a scratch name takes the handles along that are open on the file, as rename
 * does:
 *
 *   EDIT ── the row is moved to a scratch name: what it holds goes into that file ──► SCRATCH
 *    ▲                                                                                 │
 *    └──────── the file's text was committed as a row; what came since is its edit ────┘
 *
 * A switch is made under the handle's lock, which WRITE and truncation take too: whatever was acknowledged before
 * it is moved, whatever comes after it goes to the new place. Nothing here waits for PostgreSQL. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "mount.h"
#include "rowfs/base/log.h"

/* --- Row to scratch file --------------------------------------------------------------------- */

static int replace_content(struct scratch *scratch, int fd, const struct buf *text)
{
	int r = text->failed ? -ENOMEM : scratch_resize(scratch, fd, 0);

	return r < 0 ? r : scratch_write_whole(scratch, fd, text->data, text->len);
}

/* The file holds the row's text already, so a handle that has nothing else to say leaves it, and what other
 * handles have put there; one that was truncated sees an empty file. */
static int hand_over(struct file *file, int fd)
{
	struct edit *edit = file->backing->edit;
	_cleanup_buf_ struct buf text = {0};
	bool clean = edit_is_clean(edit) && edit_size(edit) != 0;
	int r = edit_surrender(edit, &text);

	if (r < 0 || clean)
		return r;
	r = replace_content(file->mount->engine.scratch, fd, &text);
	if (r < 0)
		edit_resume(edit);
	return r;
}

/* With the file's lock held; takes `fd`. On failure it goes on as an edit of the row: its bytes are not lost. */
static int to_scratch(struct file *file, int fd)
{
	struct backing *backing = backing_scratch(file->mount->engine.scratch, fd);
	int r = backing ? hand_over(file, fd) : -ENOMEM;

	if (r == 0)
		file_switch(file, backing);
	else
		backing_unref(backing);
	return r;
}

static int follow(struct file *file, int dir, const char *scratch_name)
{
	int fd = openat(dir, scratch_name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	int r = fd < 0 ? -errno : 0;

	pthread_mutex_lock(&file->lock);
	if (r == 0 && !file->closed && file->backing->kind == FILE_EDIT)
		r = to_scratch(file, fd);
	else if (r == 0)
		close(fd);
	pthread_mutex_unlock(&file->lock);
	return r;
}

void handles_follow(struct mount *mount, uint32_t relation, const char *name, int dir,
		    const char *scratch_name)
{
	struct row_name row = {relation, name};
	uint64_t walk = files_walk(mount);
	struct file *file;

	while ((file = files_next(mount, walk, file_edits_row, &row))) {
		int r = follow(file, dir, scratch_name);

		if (r < 0 && r != -EBUSY)
			log_warning("a handle of %s stays with the row that was moved to %s: %s", name,
				    scratch_name, strerror(-r));
		if (r == 0 && file->node)
			notify_inode(mount->notifier, file->node, ATTRIBUTES_ONLY);
		file_unref(file);
	}
}

/* --- A name without a row to another ---------------------------------------------------------- */

static int move(struct call *call, struct file *file)
{
	struct names *names = call->mount->engine.names;
	_cleanup_text_ struct text *base = NULL;
	struct name_hold *hold;
	int r = 0;

	names_hold(names, call->target->relation, call->new_name, &base, &hold);
	pthread_mutex_lock(&file->lock);
	if (!file->closed && file->backing->kind == FILE_EDIT)
		r = edit_move(file->backing->edit, &call->new_ref, call_asker(call)->path, base, hold);
	else
		names_let_go(names, hold);
	pthread_mutex_unlock(&file->lock);
	return r;
}

int handles_move(struct call *call, const char *name)
{
	struct row_name row = {call->relation, name};
	uint64_t walk = files_walk(call->mount);
	struct file *file;
	bool moved = false;
	int r = 0;

	while ((file = files_next(call->mount, walk, file_edits_row, &row))) {
		int one = move(call, file);

		if (one < 0)
			r = one;
		else
			moved = true;
		file_unref(file);
	}
	return moved ? 0 : r;
}

/* --- Scratch file to row --------------------------------------------------------------------- */

/* Those that are open for reading see what they opened. */
static bool is_writer_of(const struct backing *backing, const void *what)
{
	const struct stat *scratch = what;

	return backing->kind == FILE_SCRATCH && backing->spool_dev == scratch->st_dev &&
	       backing->spool_ino == scratch->st_ino && (fcntl(backing->fd, F_GETFL) & O_ACCMODE) != O_RDONLY;
}

/* A handle that cannot be the row's: which limit its text met. */
static int refuse_handle(struct call *call, const struct file *file, int r)
{
	struct asker asker = file->opener;
	struct error e;

	if (r != -EFBIG && r != -ENOMEM)
		return r;
	(void)(r == -EFBIG ? text_too_long(&e) : text_no_room(&e));
	asker.path = call_asker(call)->path;
	refusals_add(call->mount->engine.refusals, &asker, &e, NULL);
	return r;
}

static int edit_of_row(struct call *call, const struct file *file, struct text *now, struct edit **ret)
{
	struct edit_options options = {
		.intent = EDIT_UPDATE,
		.base = now,
		.truncated = true,
		.asker = file->opener,
		.thread_group = process_group(file->opener.pid),
	};

	options.asker.path = call_asker(call)->path;
	return edit_new_saved(&call->mount->engine, &call->new_ref, &options, call->buf.data, call->buf.len, ret);
}

/* The descriptor itself may be one for writing only. */
static int read_whole(int fd, struct buf *ret)
{
	char path[40];
	_cleanup_close_ int again = -1;

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	again = open(path, O_RDONLY | O_CLOEXEC);
	return again < 0 ? -errno : scratch_get(again, ret);
}

/* What was written after the text was read for its commit is a change of the row. */
static int take_over(struct call *call, const struct file *file, struct edit *edit)
{
	_cleanup_buf_ struct buf bytes = {0};
	int r = read_whole(file->backing->fd, &bytes);

	if (r < 0)
		return refuse_handle(call, file, r);
	if (buf_equal(&bytes, call->buf.data, call->buf.len))
		return 0;
	r = edit_truncate(edit, bytes.len);
	return r < 0 ? r : edit_write(edit, 0, bytes.data, bytes.len);
}

/* With the file's lock held. */
static int to_edit(struct call *call, struct file *file, struct text *now)
{
	struct backing *backing;
	struct edit *edit;
	int r = edit_of_row(call, file, now, &edit);

	if (r < 0)
		return refuse_handle(call, file, r);
	r = take_over(call, file, edit);
	if (r < 0) {
		edit_close(edit);
		return r;
	}
	backing = backing_edit(edit);
	if (!backing)
		return -ENOMEM;
	file_switch(file, backing);
	if (file->node)
		nodes_promote(call->mount->nodes, file->node, file);
	return 0;
}

void handles_return(struct call *call, const struct stat *scratch, struct text *now)
{
	uint64_t walk = files_walk(call->mount);
	struct file *file;

	while ((file = files_next(call->mount, walk, is_writer_of, scratch))) {
		pthread_mutex_lock(&file->lock);
		/* A handle that cannot be the row's says so to whoever writes to it or closes it. */
		if (!file->closed && file->backing->kind == FILE_SCRATCH)
			file->error = to_edit(call, file, now);
		pthread_mutex_unlock(&file->lock);
		file_unref(file);
	}
}
