/* The texts that could not be saved, so that nothing typed is lost, and what is needed to save them after all: real
 * files of the state directory, 0600, owned by the writer.
 *
 *   rejected/NAME         what was refused, under a name made of the time and the path
 *            NAME.base    what its program took the row to be; empty: it was to be a new one; none: nobody knows
 *            NAME.error   why, as in .rowfs/errors
 *   conflicts/NAME …      the same of those that met others' changes, and
 *             NAME.theirs what these have made of the row; empty: they have deleted it
 *
 * A text is saved after all by moving it to its row (mv, or `rowfs retry`, which knows the path): as what it was, a
 * change of its base; or where there is `theirs`, as what it changed of its base, made to theirs.
 *
 * The oldest go, with what stands beside them, when `rejected_max` is passed, or KEPT_FILES_MAX; never the newest.
 * Thread-safe. */
#pragma once

#include "rowfs/base/buf.h"
#include "rowfs/base/error.h"
#include "rowfs/base/settings.h"
#include "rowfs/engine/asker.h"
#include "rowfs/engine/text.h"

enum kept_place { KEPT_REJECTED, KEPT_CONFLICTS, KEPT_PLACES };

/* "rejected", "conflicts": in the state directory, and in .rowfs. */
const char *kept_place_name(enum kept_place place);

/* Files are counted in blocks, as a disk does, since small ones take no less; and no more are kept than a mount reads
 * and sorts in some ten milliseconds when it begins. */
enum { KEPT_BLOCK = 4096, KEPT_FILES_MAX = 10000 };

/* With the longest of the suffixes a name fits into NAME_MAX. */
enum { KEPT_NAME_SIZE = 256 };

#define KEPT_BASE   ".base"
#define KEPT_ERROR  ".error"
#define KEPT_THEIRS ".theirs"

enum { KEPT_SUFFIXES = 3 };

extern const char *const kept_suffixes[KEPT_SUFFIXES];

/* Is it the name of a text that was kept of this path? */
bool kept_is_of(const char *name, const char *path);

struct kept;

int kept_open(const struct settings *settings, enum kept_place place, struct kept **ret, struct error *e) _must_check_;
void kept_close(struct kept *kept); /* accepts NULL */

enum kept_place kept_place(const struct kept *kept);

/* The directory, open; it belongs to `kept`. */
int kept_dir(const struct kept *kept);

/* A text that was refused. */
struct kept_text {
	const char *data;
	size_t len;
	struct text *base;   /* NULL: nobody knows, */
	bool inserted;       /* or it was to be a new row */
	struct text *theirs; /* of a conflict; NULL: the row is gone */
};

/* Keep it; `conflict`: with theirs. 0 and its name, or -errno. */
int kept_add(struct kept *kept, const struct asker *asker, const struct kept_text *text, bool conflict,
	     char ret_name[KEPT_NAME_SIZE]) _must_check_;

/* Why it is here: NAME.error. And what others have made of its row by now (NULL: they have deleted it). Either replaces
 * what was there; 0 or -errno. */
int kept_put_error(struct kept *kept, const struct asker *asker, const char *name, const struct buf *error) _must_check_;
int kept_put_theirs(struct kept *kept, const struct asker *asker, const char *name, const struct text *theirs)
	_must_check_;

/* What the text of this name was made of, if it was kept of the row at `path`. */
struct kept_origin {
	bool known;          /* false: it is a text like any other */
	struct text *base;   /* as above, NULL: it was to be a new row; references */
	struct text *theirs;
	bool deleted;        /* theirs is that there is no row */
};

int kept_origin(struct kept *kept, const char *name, const char *path, struct kept_origin *ret) _must_check_;
void kept_origin_done(struct kept_origin *origin);

/* The text has become a row: what was kept beside it goes. */
void kept_settled(struct kept *kept, const char *name);

/* Somebody has removed a file, or moved it away; or put one there. */
void kept_taken(struct kept *kept, const char *name);
void kept_came(struct kept *kept, const char *name);
