/* Directories. What is few is read when the first entry is asked for: `.`, `..`, schemas, tables, and in a
 * table the names that are not rows. Rows follow, a page at a time:
 *
 *   offset   0   1   2 … n-1   n  n+1 …
 *            .   ..   extras   rows            (an offset is the number of the next entry)
 *
 * Under a live feed the kernel keeps what one handle of a table has read, and gives it to the next (nodes.h). Where it
 * has lost its copy in the middle, that handle goes on after the name of the entry it had come to. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "mount.h"
#include "report.h"
#include "rowfs/base/clock.h"
#include "rowfs/engine/removal.h"

struct directory {
	struct node *node;
	uid_t reader;
	struct listing *listing; /* tables */
	struct entries *entries; /* the extras, and if it holds the kernel's copy, the rows; NULL: nothing was read */
	int error;               /* while gathering */
	bool holds;              /* it uses the kernel's copy, or fills it */
	bool lost;               /* the copy, whose names `entries` has, went while it was read; */
	uint64_t lost_at;        /* from this row number on the numbers are this handle's own */
	bool filling;            /* the kernel keeps what this handle has read from the beginning on */
	bool named;              /* all of that is in `entries` */
	bool fed;                /* and was read under a live feed */
	struct giving giving;
	int64_t answered_us;     /* when names were given last */
};

static struct directory *directory_of(const struct fuse_file_info *fi)
{
	return (struct directory *)(uintptr_t)fi->fh;
}

static void directory_free(struct directory *directory)
{
	listing_free(directory->listing);
	entries_unref(directory->entries);
	free(directory);
}

/* --- Gathering extras ------------------------------------------------------------------------ */

static void add(struct directory *directory, unsigned char type, uint64_t ino, const char *name)
{
	int r = entries_add_extra(directory->entries, type, ino, name);

	if (r < 0)
		directory->error = r;
}

static void add_tables(struct directory *directory, const struct space *space)
{
	for (size_t i = 0; space && i < space->n_relations; i++)
		add(directory, DT_DIR, ino_of_name(space->relations[i].oid, space->relations[i].dir_name),
		    space->relations[i].dir_name);
}

static void add_schemas(struct mount *mount, struct directory *directory)
{
	_cleanup_schema_ struct schema *schema = catalog_get(mount->engine.catalog);

	if (mount->engine.settings->schema) {
		add_tables(directory, schema->n_spaces ? &schema->spaces[0] : NULL);
		return;
	}
	for (size_t i = 0; i < schema->n_spaces; i++)
		add(directory, DT_DIR, ino_of_name(0, schema->spaces[i].dir_name), schema->spaces[i].dir_name);
}

static void add_space(struct mount *mount, struct directory *directory)
{
	_cleanup_schema_ struct schema *schema = catalog_get(mount->engine.catalog);

	add_tables(directory, schema_space(schema, node_name(directory->node)));
}

static bool hidden(const struct directory *directory, int fd, const char *name)
{
	struct stat st;

	if (directory->node->kind != NODE_KEPT || directory->reader == 0)
		return false;
	return fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_uid != directory->reader;
}

/* Who may read a directory need not be one who may search it, so it is not opened through its own `.`. */
static DIR *open_stream(int fd)
{
	char path[40];

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	return opendir(path);
}

static void add_spool(struct mount *mount, struct directory *directory)
{
	_cleanup_close_ int fd = spool_dir(mount, directory->node, false);
	struct dirent *entry;
	DIR *stream;

	if (fd == -ENOENT)
		return;
	stream = fd < 0 ? NULL : open_stream(fd);
	if (!stream) {
		directory->error = fd < 0 ? fd : -errno;
		return;
	}
	while ((entry = readdir(stream)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
		    !hidden(directory, fd, entry->d_name))
			add(directory, entry->d_type, spool_ino(entry->d_ino), entry->d_name);
	closedir(stream);
}

static void add_pending(void *arg, const char *name, enum name_state state)
{
	struct directory *directory = arg;

	if (name_is_empty(state))
		add(directory, DT_REG, ino_of_name(directory->node->relation, name), name);
}

static void add_reports(struct directory *directory)
{
	for (const struct report *report = reports; report->name; report++)
		add(directory, DT_REG, ino_of_name(0, report->name), report->name);
	for (enum kept_place place = 0; place < KEPT_PLACES; place++)
		add(directory, DT_DIR, ino_of_name(0, kept_place_name(place)), kept_place_name(place));
}

static void add_self(struct mount *mount, struct directory *directory)
{
	const struct node *node = directory->node;
	uint64_t self, parent;

	nodes_lock(mount->nodes);
	self = node->ino;
	parent = node->parent ? node->parent->ino : node->ino;
	nodes_unlock(mount->nodes);
	add(directory, DT_DIR, self, ".");
	add(directory, DT_DIR, parent, "..");
}

static int gather(struct mount *mount, struct directory *directory)
{
	entries_unref(directory->entries);
	directory->entries = entries_new();
	if (!directory->entries)
		return -ENOMEM;
	directory->error = 0;
	add_self(mount, directory);
	switch (directory->node->kind) {
	case NODE_ROOT:
		add_schemas(mount, directory);
		break;
	case NODE_SPACE:
		add_space(mount, directory);
		break;
	case NODE_TABLE:
		add_spool(mount, directory);
		names_visit(mount->engine.names, directory->node->relation, add_pending, directory);
		break;
	case NODE_CONTROL:
		add_reports(directory);
		break;
	default:
		add_spool(mount, directory);
	}
	return directory->error;
}

/* --- What the kernel keeps ------------------------------------------------------------------- */

/* A handle that holds the kernel's copy begins at the beginning, and fills it. */
static void begin_to_fill(struct mount *mount, struct directory *directory)
{
	if (!directory->holds)
		return;
	directory->filling = directory->named = directory->fed = true;
	directory->lost = false;
	nodes_fill_listing(mount->nodes, directory->node);
}

/* The kernel may ask twice for an entry, but keeps what it was first. Who leaps over some has no copy of them. */
static void remember(struct directory *directory, uint64_t offset, const char *name)
{
	struct entries *entries = directory->entries;

	if (!directory->filling || !directory->named || offset < entries->n)
		return;
	directory->named = offset == entries->n && entries_bytes(entries) < ENTRIES_BYTES_MAX &&
			   !name_is_hashed(name) && entries_add(entries, DT_REG, name) == 0;
}

/* The kernel learns that there is no entry after the one before `offset`, and believes its copy to be whole. */
static void end_filling(struct mount *mount, struct directory *directory, uint64_t offset)
{
	bool known = directory->named && directory->fed && offset == directory->entries->n &&
		     follow_live(mount->engine.follow);

	if (!directory->filling)
		return;
	directory->filling = false;
	if (!nodes_keep_listing(mount->nodes, directory->node, known ? directory->entries : NULL))
		notify_inode(mount->notifier, directory->node, 0);
}

/* Where the rows that come next begin: at the page that this handle has found there, unless the numbers may be those
 * of the kernel's copy, which is another handle's, or of pages that have changed since. */
static int find_place(struct mount *mount, struct directory *directory, uint64_t number)
{
	_cleanup_rowref_ struct rowref ref = {0};
	struct entries *entries = directory->entries;
	int r;

	if (!directory->holds || listing_follows(directory->listing, number))
		return 0;
	if (number == 0)
		return listing_start(directory->listing, 0, NULL);
	if (number > entries->n - entries->n_extras || (directory->lost && number > directory->lost_at))
		return 0;
	r = rowref_of_name(mount->engine.catalog, directory->node->relation,
			   entries_name(entries, entries->n_extras + number - 1), &ref, NULL);
	if (r == 0)
		r = listing_start(directory->listing, number, &ref.key);
	if (!directory->named) {
		directory->lost = true;
		directory->lost_at = number;
	}
	return r == -ENOMEM ? r : r < 0 ? -EIO : 0;
}

/* --- A reply --------------------------------------------------------------------------------- */

struct reply {
	struct call *call;
	struct directory *directory;
	struct listing_request request;
	bool plus, keeps_texts;
	char *data;
	size_t used;
	uint64_t offset;
};

/* Room for this entry? The kernel asks again from here when there is none. */
static bool fits(const struct reply *reply, const char *name)
{
	size_t need = reply->plus ? fuse_add_direntry_plus(reply->call->req, NULL, 0, name, NULL, 0) :
				    fuse_add_direntry(reply->call->req, NULL, 0, name, NULL, 0);

	return need <= reply->call->size - reply->used;
}

static void put(struct reply *reply, const char *name, const struct fuse_entry_param *entry)
{
	char *at = reply->data + reply->used;
	size_t rest = reply->call->size - reply->used;
	off_t next = (off_t)(reply->offset + 1);

	if (reply->plus)
		reply->used += fuse_add_direntry_plus(reply->call->req, at, rest, name, entry, next);
	else
		reply->used += fuse_add_direntry(reply->call->req, at, rest, name, &entry->attr, next);
}

/* A name without attributes: the kernel looks it up if it wants them. */
static bool put_name(struct reply *reply, unsigned char type, uint64_t ino, const char *name)
{
	struct fuse_entry_param entry = {0};

	if (!fits(reply, name))
		return false;
	entry.attr.st_mode = (mode_t)DTTOIF(type);
	entry.attr.st_ino = ino;
	put(reply, name, &entry);
	return true;
}

static bool put_extra(struct reply *reply)
{
	const struct entries *entries = reply->directory->entries;

	return put_name(reply, entries_type(entries, reply->offset), entries_ino(entries, reply->offset),
			entries_name(entries, reply->offset));
}

static bool put_row(struct reply *reply, uint64_t number, const struct listing_entry *row)
{
	struct mount *mount = reply->call->mount;
	struct directory *directory = reply->directory;
	uint32_t oid = directory->node->relation;
	uint64_t ino = ino_of_name(oid, row->name);
	struct fuse_entry_param entry = {0};
	struct look look = {
		.began_us = listing_began_us(directory->listing),
		.mark = listing_mark(directory->listing),
		.fed = listing_is_fed(directory->listing),
		.listing = true,
	};
	struct node *node = NULL;
	enum belief belief = BELIEVE_SHORTLY;
	_cleanup_text_ struct text *text = NULL;

	/* A name may be hidden; one that has an empty file was listed among the extras. */
	if (names_state(mount->engine.names, oid, row->name, NULL) != NAME_PLAIN)
		return true;
	/* The row was there, but rm has been told since that it is not. */
	if (names_was_removed(mount->engine.names, oid, row->name, look.began_us / 1000))
		return true;
	/* No file can hold it: stat says so, and ls -l what stat says. */
	if (row->version.size > TEXT_MAX)
		return put_name(reply, DT_REG, ino, row->name);
	if (!fits(reply, row->name))
		return false;
	if (reply->plus && nodes_give(mount->nodes, directory->node, &directory->giving)) {
		if (reply->keeps_texts)
			text = listing_text(directory->listing, number);
		node = nodes_get_row(mount->nodes, directory->node, row->name, oid, ino, &row->version,
				     text, &look, &belief);
	}
	attr_row(mount, reply->call->ref.relation, ino, &row->version, &entry.attr);
	if (node) {
		struct stat attr = entry.attr;

		attr_entry(mount, node, &attr, belief, &look, &entry);
	}
	put(reply, row->name, &entry);
	return true;
}

static void answer(struct reply *reply)
{
	reply->directory->answered_us = clock_monotonic_us();
	fuse_reply_buf(reply->call->req, reply->data, reply->used);
	free(reply->data);
	call_free(reply->call);
	free(reply);
}

static void fail(struct reply *reply, int err)
{
	free(reply->data);
	call_error(reply->call, err);
	free(reply);
}

static void proceed(struct reply *reply);

static void sought(struct listing_request *request, const struct error *e)
{
	struct reply *reply = container_of(request, struct reply, request);

	/* Never an empty or a short listing: the reader is told that it failed. */
	if (e->err) {
		free(reply->data);
		call_fail(reply->call, CALL_PATH, e);
		free(reply);
	} else {
		reply->directory->fed &= listing_is_fed(reply->directory->listing);
		proceed(reply);
	}
}

static void seek(struct reply *reply, uint64_t number)
{
	int r = find_place(reply->call->mount, reply->directory, number);

	if (r < 0) {
		fail(reply, r);
		return;
	}
	reply->request.done = sought;
	listing_seek(reply->directory->listing, number, &reply->request);
}

/* Fill the reply with rows; one page at most, since the kernel may come back for an entry that its
 * caller had no room for. */
static void proceed_rows(struct reply *reply)
{
	struct directory *directory = reply->directory;
	struct listing *listing = directory->listing;

	for (;; reply->offset++) {
		uint64_t number = reply->offset - directory->entries->n_extras;
		const struct listing_entry *row = listing_at(listing, number);
		bool ended = listing_ended(listing, number);

		if (!row && !reply->used && !ended) {
			seek(reply, number);
			return;
		}
		if (ended && !reply->used)
			end_filling(reply->call->mount, directory, reply->offset);
		if (!row || !put_row(reply, number, row))
			break;
		remember(directory, reply->offset, row->name);
	}
	answer(reply);
}

static void proceed(struct reply *reply)
{
	for (; reply->offset < reply->directory->entries->n_extras; reply->offset++)
		if (!put_extra(reply)) {
			answer(reply);
			return;
		}
	if (reply->directory->listing)
		proceed_rows(reply);
	else
		answer(reply);
}

static void read_directory(fuse_req_t req, size_t size, off_t offset, struct fuse_file_info *fi, bool plus)
{
	struct directory *directory = directory_of(fi);
	struct call *call = call_new(req, directory->node, NULL);
	struct reply *reply;
	int r = 0;

	if (!call)
		return;
	reply = calloc(1, sizeof *reply);
	if (reply)
		reply->data = malloc(size);
	if (!reply || !reply->data) {
		free(reply);
		call_error(call, -ENOMEM);
		return;
	}
	call->size = size;
	reply->call = call;
	reply->directory = directory;
	reply->plus = plus;
	reply->offset = (uint64_t)offset;
	if (directory->giving.n >= GIVING_BATCH && clock_monotonic_us() - directory->answered_us > GIVING_PAUSE_US)
		directory->giving = (struct giving){0};
	if (offset == 0)
		begin_to_fill(call->mount, directory);
	if (offset == 0 || !directory->entries)
		r = gather(call->mount, directory);
	if (r == 0 && offset == 0 && directory->listing)
		r = listing_start(directory->listing, 0, NULL);
	if (r == 0 && directory->listing) {
		call->ref.schema = catalog_get(call->mount->engine.catalog);
		call->ref.relation = schema_relation(call->ref.schema, directory->node->relation);
		r = call->ref.relation ? 0 : -EIO;
	}
	/* The handle may be of a table that was another, or that Redis might know. */
	reply->keeps_texts = call->ref.relation && directory->listing &&
			     listing_is_of(directory->listing, call->ref.relation) &&
			     reader_may_cache(call->mount->engine.reader, call->ref.relation);
	if (r < 0)
		fail(reply, r);
	else
		proceed(reply);
}

/* --- Operations ------------------------------------------------------------------------------ */

/* Who does not hold the kernel's copy leaves it alone. */
static void open_listing(struct mount *mount, struct directory *directory, struct fuse_file_info *fi)
{
	bool drop = false;

	if (follow_live(mount->engine.follow) && listing_is_fed(directory->listing))
		directory->holds = nodes_hold_listing(mount->nodes, directory->node, &directory->entries, &drop);
	fi->cache_readdir = directory->holds;
	fi->keep_cache = !drop;
}

static void close_directory(struct mount *mount, struct directory *directory)
{
	if (directory->holds)
		nodes_release_listing(mount->nodes, directory->node);
	directory_free(directory);
}

void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct mount *mount = mount_of(req);
	struct directory *directory = calloc(1, sizeof *directory);
	int r = directory ? 0 : -ENOMEM;

	if (directory) {
		directory->node = node_of(mount, ino);
		directory->reader = fuse_req_ctx(req)->uid;
		if (directory->node->kind == NODE_TABLE)
			r = listing_new(&mount->engine, directory->node->relation, &directory->listing);
	}
	if (r < 0) {
		free(directory);
		fuse_reply_err(req, r == -ESTALE ? ENOENT : -r);
		return;
	}
	fi->fh = (uint64_t)(uintptr_t)directory;
	if (directory->node->kind == NODE_TABLE) {
		access_listed(mount->engine.access, process_group(fuse_req_ctx(req)->pid),
			      directory->node->relation);
		open_listing(mount, directory, fi);
	}
	if (fuse_reply_open(req, fi) < 0)
		close_directory(mount, directory);
}

void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	read_directory(req, size, offset, fi, false);
}

void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		    struct fuse_file_info *fi)
{
	read_directory(req, size, offset, fi, true);
}

void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	close_directory(mount_of(req), directory_of(fi));
	fuse_reply_err(req, 0);
}

static void sync_table(struct call *call)
{
	call_error(call, -call_errno(CALL_PATH, -removal_sync(&call->mount->engine, call->relation)));
}

/* What was removed is then removed for good. */
void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	struct call *call = call_new(req, node_of(mount_of(req), ino), NULL);

	if (!call)
		return;
	if (call->kind == NODE_TABLE && call->mount->engine.settings->delete_grace_ms)
		call_work(call, sync_table);
	else
		call_error(call, 0);
}
