/* A text that a mount has kept because it was refused, as the commands see it that show it or try it again: through the
 * mount, by its path below MOUNTPOINT/.rowfs/rejected or .rowfs/conflicts (rowfs/engine/kept.h). */
#pragma once

#include "rowfs/base/buf.h"
#include "rowfs/base/error.h"

struct kept_file {
	char *path;            /* absolute, of the text itself */
	char *mountpoint;
	char *row;             /* the row's path below it */
	char *record;          /* the refusal, see record.h */
	struct buf reason;     /* its message, detail and hint, one a line */
	struct buf mine, base, theirs;
	bool has_base, has_theirs; /* a `theirs` without content: the row was deleted */
};

/* `path` may also be one of the files beside the text. 0, or -errno with a sentence. */
int kept_file_open(const char *path, struct kept_file *ret, struct error *e) _must_check_;
void kept_file_done(struct kept_file *file);

#define _cleanup_kept_file_ _cleanup_(kept_file_done)

/* Was it refused again since? Then `reason` is why. */
bool kept_file_refused_again(struct kept_file *file);
