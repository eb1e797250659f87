/* Every name that is no row's: editors' swap, backup and lock files, the temporary names of sed -i and
 * rsync. They are real files in a spool directory of the state directory, mode 0700, one folder a table,
 *
 *   STATE/spool/<database>/<relation oid>/…
 *
 * so that they behave as files do, survive a killed daemon, and never meet SQL. This module gives
 * directory descriptors into the spool and guards the quota; the file system calls on them are the
 * kernel adapter's. Thread-safe. */
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include "rowfs/base/buf.h"
#include "rowfs/base/error.h"
#include "rowfs/base/settings.h"
#include "rowfs/model/schema.h"

struct scratch;

/* A name takes a block besides its content, as it does on the disk; and there are no more of them than these, nor
 * than a third of the descriptors that the process may have, since a name that the kernel knows holds one. */
enum { SCRATCH_NAME_BYTES = 4096, SCRATCH_FILES_MAX = 20000 };

/* `identity`: which database, store_identity(). */
int scratch_open(const struct settings *settings, const char *identity, struct scratch **ret,
		 struct error *e) _must_check_;

/* Say in the log which files there are: at the start of a mount, or at its `end`. Those of tables that are not in
 * the snapshot cannot be reached through any mount, so their place on the disk is named. */
void scratch_report(const struct scratch *scratch, const struct schema *schema, bool end);

/* Removes the folders that are empty. */
void scratch_close(struct scratch *scratch);

/* Descriptor of a table's folder, for the caller to close. -ENOENT if nothing was ever put there and
 * `create` is false. */
int scratch_table(struct scratch *scratch, uint32_t relation, bool create) _must_check_;

/* pwrite within the quota; bytes written or -errno (ENOSPC). */
ssize_t scratch_write(struct scratch *scratch, int fd, const void *data, size_t len, off_t offset)
	_must_check_;

/* All of it, from the beginning on; 0 or -errno. */
int scratch_write_whole(struct scratch *scratch, int fd, const void *data, size_t len) _must_check_;

/* truncate() within the quota, of any descriptor of the file; 0 or -errno. */
int scratch_resize(struct scratch *scratch, int fd, off_t size) _must_check_;

/* There will be one more name (file, link, directory): 0, or -ENOSPC. If it then is not made, or later when it is
 * gone, scratch_removed() with what it was: that makes room, but of a file that is open only its last release does. */
int scratch_add(struct scratch *scratch) _must_check_;
void scratch_removed(struct scratch *scratch, const struct stat *st);

/* The same for one that comes with its content from elsewhere. */
int scratch_adopt(struct scratch *scratch, const struct stat *st) _must_check_;

/* One more handle of this file; and before it is closed. 0 or -errno. */
int scratch_hold(struct scratch *scratch, int fd) _must_check_;
void scratch_release(struct scratch *scratch, int fd);

/* A file of this size was emptied, as O_TRUNC does. */
void scratch_cut(struct scratch *scratch, const struct stat *st);

/* Why so many bytes more, SCRATCH_NAME_BYTES of them for each of so many new names, were refused with -ENOSPC, which
 * is returned. */
int scratch_full(struct scratch *scratch, uint64_t bytes, unsigned names, struct error *e);

/* A file with this content, in place of what has the name; that stays as it is on failure. 0 or -errno. */
int scratch_put(struct scratch *scratch, int dir, const char *name, const void *data, size_t len,
		uid_t uid, gid_t gid) _must_check_;

/* The whole of a file that shall become a row; 0, -EFBIG beyond TEXT_MAX, or -errno. */
int scratch_get(int fd, struct buf *ret) _must_check_;

uint64_t scratch_used(struct scratch *scratch);
