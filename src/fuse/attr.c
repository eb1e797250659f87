#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "mount.h"
#include "report.h"
#include "rowfs/base/clock.h"

/* 1980-01-01: constant, so that rsync and tar see no change where there is none. */
enum { DIRECTORY_MTIME = 315532800 };

/* Until it is as old as anything may be. A copy may have been that already. */
static double rest_of_staleness(const struct mount *mount, const struct look *look)
{
	double most = mount->engine.settings->max_staleness < 1 ? mount->engine.settings->max_staleness : 1;
	double age = (double)(clock_monotonic_us() - look->began_us) / 1e6;

	return look->copied || age > most ? 0 : most - age;
}

double mount_timeout(const struct mount *mount, enum belief belief, const struct look *look)
{
	if (belief == BELIEVE_NOT || mount->engine.settings->strong)
		return 0;
	if ((belief == BELIEVE_LONG || belief == BELIEVE_CONTENT) && follow_live(mount->engine.follow))
		return LONG_S;
	if (look && !mount->engine.feed)
		return mount->unopened ? 0 : 1;
	return look ? rest_of_staleness(mount, look) : 1;
}

/* Names can be taken back only all at once, and not from every kernel (notify.h). */
static double name_timeout(const struct mount *mount, enum belief belief, const struct look *look)
{
	bool taken_back = belief == BELIEVE_LONG && notifier_has_epochs(mount->notifier);
	bool known = belief == BELIEVE_LONG || belief == BELIEVE_CONTENT;

	if (!known || taken_back)
		return mount_timeout(mount, belief, look);
	if (!mount->unopened)
		return mount_timeout(mount, BELIEVE_SHORTLY, look);
	return mount->engine.settings->strong ? 0 : (double)follow_rest_us(mount->engine.follow) / 1e6;
}

enum belief mount_belief(const struct mount *mount)
{
	return follow_live(mount->engine.follow) ? BELIEVE_LONG : BELIEVE_SHORTLY;
}

/* Stable across mounts and never 0 or 1, which are no file's. */
uint64_t ino_of_name(uint32_t relation, const char *name)
{
	return XXH3_64bits_withSeed(name, strlen(name), relation) | 2;
}

static void fill(const struct mount *mount, uint64_t ino, mode_t mode, struct stat *ret)
{
	const struct settings *settings = mount->engine.settings;

	memset(ret, 0, sizeof *ret);
	ret->st_ino = ino;
	ret->st_mode = (mode & S_IFMT) | (mode & 0777 & ~settings->umask);
	ret->st_nlink = S_ISDIR(mode) ? 2 : 1;
	ret->st_uid = settings->uid;
	ret->st_gid = settings->gid;
	ret->st_blksize = 4096;
	ret->st_mtim.tv_sec = DIRECTORY_MTIME;
	ret->st_ctim = ret->st_atim = ret->st_mtim;
}

static mode_t table_mode(const struct mount *mount, uint32_t oid)
{
	_cleanup_schema_ struct schema *schema = catalog_get(mount->engine.catalog);
	const struct relation *relation = schema_relation(schema, oid);

	return relation && relation_writable(relation) ? 0777 : 0555;
}

void attr_directory(const struct mount *mount, const struct node *node, struct stat *ret)
{
	mode_t mode = node->kind == NODE_TABLE ? table_mode(mount, node->relation) : 0555;

	fill(mount, node->ino, S_IFDIR | mode, ret);
	/* Each caller sees his own refusals there; the root directory's mode says who gets this far. Everybody may move
	 * or remove his own texts. */
	if (node->kind == NODE_CONTROL)
		ret->st_mode = S_IFDIR | 0555;
	else if (node->kind == NODE_KEPT)
		ret->st_mode = S_IFDIR | S_ISVTX | 0777;
}

static bool can_update(const struct relation *relation)
{
	for (size_t i = 0; i < relation->n_columns; i++)
		if (relation->columns[i].can_update)
			return relation_writable(relation);
	return false;
}

void attr_row(const struct mount *mount, const struct relation *relation, uint64_t ino,
	      const struct version *version, struct stat *ret)
{
	fill(mount, ino, S_IFREG | (can_update(relation) ? 0666 : 0444), ret);
	ret->st_size = (off_t)version->size;
	ret->st_blocks = (ret->st_size + 511) / 512;
	ret->st_mtim = ret->st_ctim = ret->st_atim = version->mtime;
}

int attr_scratch(struct mount *mount, const struct node *node, struct stat *ret)
{
	uint64_t ino;
	int fd;

	nodes_lock(mount->nodes);
	fd = node->more->path_fd;
	ino = node->ino;
	nodes_unlock(mount->nodes);
	if (fstatat(fd, "", ret, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	ret->st_ino = ino;
	ret->st_dev = 0;
	return 0;
}

/* Without OPEN its size must be right, and all readers share the kernel's pages. */
static void unopened_attr(struct mount *mount, struct node *node, struct stat *ret)
{
	const struct report *report = node->more->report;
	_cleanup_text_ struct text *text = unopened_report(mount, node);

	if (report->personal)
		ret->st_mode = S_IFREG | 0400;
	if (!text)
		return;
	ret->st_size = (off_t)text->len;
	ret->st_mtim = ret->st_ctim = ret->st_atim = text->version.mtime;
}

void attr_report(struct mount *mount, struct node *node, struct stat *ret)
{
	fill(mount, node->ino, S_IFREG, ret);
	ret->st_mode = S_IFREG | 0444;
	clock_gettime(CLOCK_REALTIME, &ret->st_mtim);
	ret->st_ctim = ret->st_atim = ret->st_mtim;
	if (node->kind == NODE_NEW) {
		ret->st_mode = S_IFREG | (0666 & ~mount->engine.settings->umask);
		ret->st_mtim.tv_sec = DIRECTORY_MTIME;
	} else if (mount->unopened) {
		unopened_attr(mount, node, ret);
	}
}

void attr_entry(const struct mount *mount, const struct node *node, const struct stat *attr, enum belief belief,
		const struct look *look, struct fuse_entry_param *ret)
{
	memset(ret, 0, sizeof *ret);
	ret->ino = ino_of(mount, node);
	ret->attr = *attr;
	ret->attr_timeout = mount_timeout(mount, belief, look);
	ret->entry_timeout = name_timeout(mount, belief, look);
	nodes_lock(mount->nodes);
	if (node->kind == NODE_REPORT)
		ret->attr_timeout = 0;
	if (node_contended(node))
		ret->entry_timeout = 0;
	nodes_unlock(mount->nodes);
}

void reply_entry(struct mount *mount, fuse_req_t req, struct node *node, const struct stat *attr,
		 enum belief belief, const struct look *look)
{
	struct fuse_entry_param entry;

	attr_entry(mount, node, attr, belief, look, &entry);
	if (fuse_reply_entry(req, &entry) < 0)
		nodes_forget(mount->nodes, node, 1);
}

void reply_pending(struct mount *mount, fuse_req_t req, struct node *node, const struct stat *attr)
{
	struct fuse_entry_param entry;

	attr_entry(mount, node, attr, BELIEVE_SHORTLY, NULL, &entry);
	entry.entry_timeout = 0;
	if (fuse_reply_entry(req, &entry) < 0)
		nodes_forget(mount->nodes, node, 1);
}

/* Who says how large an open row is: this handle, else its writer; with a reference. */
static struct file *one_who_knows(const struct node *node, struct file *file)
{
	if (!file)
		file = node_writer(node);
	if (file)
		atomic_fetch_add(&file->refs, 1);
	return file;
}

bool attr_of_open_row(struct mount *mount, struct node *node, struct file *file, struct stat *ret)
{
	_cleanup_schema_ struct schema *schema = catalog_get(mount->engine.catalog);
	struct version version = {.mtime.tv_sec = DIRECTORY_MTIME};
	const struct relation *relation;
	char name[NODE_NAME_SIZE];
	uint64_t ino;
	uint32_t oid;
	bool open;

	nodes_lock(mount->nodes);
	snprintf(name, sizeof name, "%s", node_name(node));
	oid = node->relation;
	ino = node->ino;
	if (node->has_told)
		version = node_told(node);
	file = one_who_knows(node, file);
	open = file || (node_may_be_read(mount->nodes, node) && node->has_told);
	nodes_unlock(mount->nodes);
	if (file) {
		version.size = file_size(file);
		file_unref(file);
	}
	if (!open) {
		enum name_state state = names_state(mount->engine.names, oid, name, NULL);

		open = name_is_empty(state);
		version.size = 0;
	}
	relation = schema_relation(schema, oid);
	if (open && relation)
		attr_row(mount, relation, ino, &version, ret);
	return open && relation;
}
