/* What was refused, and why, so that the person whose editor only said "Input/output error" can look it
 * up; and the text itself, so that nothing typed is lost.
 *
 *   .rowfs/last-error   the newest, one line to read
 *   .rowfs/errors       the last REFUSALS_KEPT, JSON lines
 *   .rowfs/rejected/    the refused texts, real files of the state directory, 0600, owned by the writer;
 *                       the oldest go when `rejected_max` is passed, or REFUSALS_TEXTS_MAX
 *
 * Each user sees his own; root sees all. Thread-safe. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "rowfs/base/buf.h"
#include "rowfs/base/error.h"
#include "rowfs/base/settings.h"

struct refusals;

/* As many as a bad night's sync leaves behind and a person still reads; about 3 kB each. */
enum { REFUSALS_KEPT = 1000 };

/* Texts are counted in blocks, as a disk does, since small ones take no less; and no more are kept than a mount
 * reads and sorts in some ten milliseconds when it begins. */
enum { REFUSALS_BLOCK = 4096, REFUSALS_TEXTS_MAX = 10000 };

/* Who asked, and for which path (relative to the mount point). */
struct asker {
	uid_t uid;
	gid_t gid;
	pid_t pid;
	const char *path;
};

int refusals_open(const struct settings *settings, struct refusals **ret, struct error *e) _must_check_;
void refusals_close(struct refusals *refusals);

/* Directory of the kept texts, open; belongs to the refusals. */
int refusals_dir(const struct refusals *refusals);

/* Record what a change met. `text` (may be NULL) is kept in a file of its own. Logged once, here. */
void refusals_add(struct refusals *refusals, const struct asker *asker, const struct error *e,
		  const char *text, size_t len);

/* Record that a read failed, unless the last failure was the same and less than a second ago: a walk during an
 * outage would push out everybody's refused saves. */
void refusals_add_read(struct refusals *refusals, const struct asker *asker, const struct error *e);

/* Somebody has removed a kept text, or moved it away. */
void refusals_taken(struct refusals *refusals, const char *name);

/* The contents of the two files, for this reader. */
void refusals_print_last(struct refusals *refusals, uid_t reader, struct buf *out);
void refusals_print_all(struct refusals *refusals, uid_t reader, struct buf *out);
