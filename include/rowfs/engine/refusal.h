/* What was refused, and why, so that the person whose editor only said "Input/output error" can look it
 * up; and the text itself, so that nothing typed is lost (kept.h).
 *
 *   .rowfs/last-error   the newest, one line to read
 *   .rowfs/errors       the last REFUSALS_KEPT, JSON lines
 *   .rowfs/rejected/    the refused texts, each with what it was made of and why it was refused
 *   .rowfs/conflicts/   those that met others' changes, with these
 *
 * Each user sees his own; root sees all. Thread-safe. */
#pragma once

#include "rowfs/base/buf.h"
#include "rowfs/base/error.h"
#include "rowfs/base/settings.h"
#include "rowfs/engine/kept.h"

struct refusals;

/* As many as a bad night's sync leaves behind and a person still reads; about 3 kB each. */
enum { REFUSALS_KEPT = 1000 };

int refusals_open(const struct settings *settings, struct refusals **ret, struct error *e) _must_check_;
void refusals_close(struct refusals *refusals);

/* Where the texts are; it belongs to the refusals. */
struct kept *refusals_kept(const struct refusals *refusals, enum kept_place place);

/* Record what a change met. `text` (may be NULL) is kept. Logged once, here. */
void refusals_add(struct refusals *refusals, const struct asker *asker, const struct error *e,
		  const struct kept_text *text);

/* The same for a text that was kept already, and refused again; `theirs` of a conflict (NULL: the row is gone). */
void refusals_add_again(struct refusals *refusals, const struct asker *asker, const struct error *e, struct kept *kept,
			const char *name, const struct text *theirs);

/* Record that a read failed, unless the last failure was the same and less than a second ago: a walk during an
 * outage would push out everybody's refused saves. */
void refusals_add_read(struct refusals *refusals, const struct asker *asker, const struct error *e);

/* The contents of the two files, for this reader. */
void refusals_print_last(struct refusals *refusals, uid_t reader, struct buf *out);
void refusals_print_all(struct refusals *refusals, uid_t reader, struct buf *out);
