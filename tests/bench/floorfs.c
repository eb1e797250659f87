/* What any FUSE program must pay: the files of a table of rowfs, kept in memory, with the settings by which the kernel
 * asks as little as it can. tests/bench/floor measures rowfs beside it.
 *
 *   floorfs MOUNTPOINT ROWS BYTES [noopen]
 *
 * public/items/1.json … ROWS.json, each of BYTES bytes; they can be read and overwritten. With noopen the kernel sends no
 * OPEN, no RELEASE and no FLUSH at all, as it may on a mount that is only read. Ends when it is unmounted. */
#include <errno.h>
#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INO_SPACE = 2, INO_TABLE = 3, INO_ROWS = 16 };

/* The kernel may keep what it was told. */
static const double forever = 1e6;

struct file {
	char *data;
	size_t len;
};

static struct file *files; /* by number, from 1 on */
static unsigned long rows;
static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static bool noopen;

/* --- The files -------------------------------------------------------------------------------- */

static void make_files(size_t bytes)
{
	files = calloc(rows + 1, sizeof *files);
	for (unsigned long i = 1; files && i <= rows; i++) {
		int head;

		files[i] = (struct file){malloc(bytes + 1), bytes};
		if (!files[i].data)
			abort();
		memset(files[i].data, 'x', bytes);
		head = snprintf(files[i].data, bytes, "{\n  \"id\": %lu,\n  \"n\": 0,\n  \"note\": \"", i);
		files[i].data[head] = 'x';
		memcpy(files[i].data + bytes - 4, "\"\n}\n", 4);
	}
}

static struct file *file_of(fuse_ino_t ino)
{
	return ino > INO_ROWS && ino - INO_ROWS <= rows ? &files[ino - INO_ROWS] : NULL;
}

static void fill_stat(fuse_ino_t ino, struct stat *ret)
{
	const struct file *file = file_of(ino);

	*ret = (struct stat){
		.st_ino = ino,
		.st_mode = file ? S_IFREG | 0666 : S_IFDIR | 0777,
		.st_nlink = file ? 1 : 2,
		.st_size = file ? (off_t)file->len : 0,
		.st_blksize = 4096,
		.st_mtim.tv_sec = 315532800,
	};
}

/* --- Names ------------------------------------------------------------------------------------ */

static fuse_ino_t ino_of(fuse_ino_t parent, const char *name)
{
	unsigned long number;
	char end[8] = "";

	if (parent == FUSE_ROOT_ID)
		return strcmp(name, "public") == 0 ? INO_SPACE : 0;
	if (parent == INO_SPACE)
		return strcmp(name, "items") == 0 ? INO_TABLE : 0;
	if (parent != INO_TABLE || sscanf(name, "%lu%7s", &number, end) != 2 || strcmp(end, ".json") != 0)
		return 0;
	return number && number <= rows ? INO_ROWS + number : 0;
}

static void fill_entry(fuse_ino_t ino, struct fuse_entry_param *ret)
{
	*ret = (struct fuse_entry_param){.ino = ino, .attr_timeout = forever, .entry_timeout = forever};
	pthread_rwlock_rdlock(&lock);
	fill_stat(ino, &ret->attr);
	pthread_rwlock_unlock(&lock);
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	fuse_ino_t ino = ino_of(parent, name);
	struct fuse_entry_param entry;

	if (!ino) {
		fuse_reply_err(req, ENOENT);
		return;
	}
	fill_entry(ino, &entry);
	fuse_reply_entry(req, &entry);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fuse_entry_param entry;

	fill_entry(ino, &entry);
	fuse_reply_attr(req, &entry.attr, forever);
}

static void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set, struct fuse_file_info *fi)
{
	struct file *file = file_of(ino);
	struct fuse_entry_param entry;

	pthread_rwlock_wrlock(&lock);
	if (file && (to_set & FUSE_SET_ATTR_SIZE) && (size_t)attr->st_size < file->len)
		file->len = (size_t)attr->st_size;
	pthread_rwlock_unlock(&lock);
	fill_entry(ino, &entry);
	fuse_reply_attr(req, &entry.attr, forever);
}

/* --- Directories ------------------------------------------------------------------------------ */

static void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	if (noopen) {
		fuse_reply_err(req, ENOSYS);
		return;
	}
	fi->cache_readdir = fi->keep_cache = 1;
	fuse_reply_open(req, fi);
}

/* Entry `at` of a directory, counted from 0; 0: there is none. */
static fuse_ino_t entry_at(fuse_ino_t ino, off_t at, char name[32])
{
	static const char *const first[] = {".", ".."};

	snprintf(name, 32, "%s", at < 2 ? first[at] : ino == FUSE_ROOT_ID ? "public" : "items");
	if (at < 2)
		return FUSE_ROOT_ID;
	if (ino != INO_TABLE)
		return at == 2 ? (ino == FUSE_ROOT_ID ? INO_SPACE : INO_TABLE) : 0;
	snprintf(name, 32, "%lu.json", (unsigned long)at - 1);
	return (unsigned long)at - 1 <= rows ? INO_ROWS + (fuse_ino_t)at - 1 : 0;
}

static void list(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, bool plus)
{
	char *buf = malloc(size), name[32];
	size_t len = 0;

	for (fuse_ino_t entry; buf && (entry = entry_at(ino, off, name)); off++) {
		struct fuse_entry_param param;
		size_t more;

		fill_entry(entry, &param);
		if (off < 2)
			param.ino = 0;
		more = plus ? fuse_add_direntry_plus(req, buf + len, size - len, name, &param, off + 1)
			    : fuse_add_direntry(req, buf + len, size - len, name, &param.attr, off + 1);
		if (more > size - len)
			break;
		len += more;
	}
	fuse_reply_buf(req, buf, len);
	free(buf);
}

static void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	list(req, ino, size, off, false);
}

static void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	list(req, ino, size, off, true);
}

/* --- Reading and writing ---------------------------------------------------------------------- */

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct file *file = file_of(ino);

	if (noopen) {
		fuse_reply_err(req, ENOSYS);
		return;
	}
	if (fi->flags & O_TRUNC) {
		pthread_rwlock_wrlock(&lock);
		file->len = 0;
		pthread_rwlock_unlock(&lock);
	}
	fi->keep_cache = 1;
	fi->noflush = (fi->flags & O_ACCMODE) == O_RDONLY;
	fuse_reply_open(req, fi);
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	const struct file *file = file_of(ino);

	pthread_rwlock_rdlock(&lock);
	if ((size_t)off >= file->len)
		fuse_reply_buf(req, NULL, 0);
	else
		fuse_reply_buf(req, file->data + off, size < file->len - (size_t)off ? size : file->len - (size_t)off);
	pthread_rwlock_unlock(&lock);
}

static void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct file *file = file_of(ino);
	size_t end = (size_t)off + size;
	char *data;

	pthread_rwlock_wrlock(&lock);
	data = end > file->len ? realloc(file->data, end) : file->data;
	if (data) {
		memcpy(data + off, buf, size);
		file->data = data;
		file->len = end > file->len ? end : file->len;
	}
	pthread_rwlock_unlock(&lock);
	if (data)
		fuse_reply_write(req, size);
	else
		fuse_reply_err(req, ENOMEM);
}

static void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	fuse_reply_err(req, noopen ? ENOSYS : 0);
}

static void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	fuse_reply_err(req, 0);
}

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
	fuse_reply_none(req);
}

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	conn->want &= ~(unsigned)(FUSE_CAP_WRITEBACK_CACHE | FUSE_CAP_READDIRPLUS_AUTO);
}

static const struct fuse_lowlevel_ops operations = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.opendir = op_opendir,
	.readdir = op_readdir,
	.readdirplus = op_readdirplus,
	.open = op_open,
	.read = op_read,
	.write = op_write,
	.flush = op_flush,
	.release = op_release,
};

static int serve(struct fuse_session *session, const char *mountpoint)
{
	struct fuse_loop_config *config = fuse_loop_cfg_create();
	int r;

	if (fuse_session_mount(session, mountpoint) != 0)
		return 1;
	r = fuse_session_loop_mt(session, config);
	fuse_session_unmount(session);
	fuse_loop_cfg_destroy(config);
	return r != 0;
}

int main(int argc, char **argv)
{
	char option[] = "-ofsname=floor,subtype=floorfs,default_permissions", *words[] = {argv[0], option, NULL};
	struct fuse_args args = FUSE_ARGS_INIT(2, words);
	struct fuse_session *session;
	int r;

	if (argc < 4) {
		fprintf(stderr, "usage: %s MOUNTPOINT ROWS BYTES [noopen]\n", argv[0]);
		return 2;
	}
	rows = strtoul(argv[2], NULL, 10);
	noopen = argc > 4;
	make_files(strtoul(argv[3], NULL, 10));
	session = fuse_session_new(&args, &operations, sizeof operations, NULL);
	if (!session)
		return 1;
	r = serve(session, argv[1]);
	fuse_session_destroy(session);
	return r;
}
