/* A text, or the lack of one, into PostgreSQL. These block: call them on a seat of the write lane.
 *
 * Each is one statement and one round trip; a second one is asked only when the first did not do what
 * was wanted, to find out why. After success the reader and the kernel know. All return 0 or -errno
 * with the reason in `e`; the row is then as it was, or as somebody else made it.
 *
 * A save whose answer was lost (the connection broke) is settled before anybody is told: when the server
 * process that had it is gone, the row is read again. Ours is there: success. The base is there (for a
 * row that was to go: of the very transaction that it was of before): once more. Anything else, or no
 * answer within COMMIT_SETTLE_MS: EIO, "outcome unknown". */
#pragma once

#include "rowfs/engine/engine.h"

/* A text that is to be a row: a patch of `base`, of which it writes what differs, where the row still equals
 * the base; or, without one, a row that is not there yet, under the name's key. */
struct save {
	struct text *base;
	bool edited;   /* the text began as the base's, so what equals it was not written but left */
	bool believed; /* the base is not what the row is, but what the program takes it to be: the same; and a text that
			* changes nothing is refused where others have changed the row, since its writer may want it all */
	bool saved;    /* the base was saved by the program itself: triggers may have made something else of it since */
	bool open;     /* the base was read when a file was opened, perhaps long ago: a text that changes nothing is no
			* success where the row has been deleted since */
	struct text *origin; /* what of the text is its own is what differs from this; NULL: all of it */
	const char *text;
	size_t len;
};

/* *ret_now (may be NULL): what the row is after that as far as this save knows, for the next to be compared
 * with: the base, if nothing differed; else of the transaction that wrote it (0: unknown), without what
 * triggers made of it, and without columns that neither the base nor the text had. NULL for want of
 * memory. If others were quicker (e->conflict), what the row is now: NULL if it is gone. The caller releases it. */
int commit_save(struct engine *engine, const struct rowref *ref, const struct save *save,
		struct text **ret_now, struct error *e) _must_check_;

/* A row whose key the server assigns (.new.json). Its path goes to .rowfs/last-insert. */
int commit_new(struct engine *engine, uint32_t relation, const char *text, size_t len,
	       struct error *e) _must_check_;

int commit_delete(struct engine *engine, const struct rowref *ref, struct error *e) _must_check_;

/* Would it be deleted? Nothing has changed afterwards, and nothing is locked. `row` is what it was when it was read. */
int commit_rehearse_delete(struct engine *engine, const struct rowref *ref, const struct text *row,
			   struct error *e) _must_check_;

/* Delete it if it still is that: else -ESTALE. 0 too if it is not there any more. */
int commit_delete_unchanged(struct engine *engine, const struct rowref *ref, const struct text *row,
			    struct error *e) _must_check_;

/* mv FROM TO within a table. `onto`: a row is there and takes FROM's columns. */
int commit_rename(struct engine *engine, const struct rowref *from, const struct rowref *to,
		  bool onto, struct error *e) _must_check_;

/* 0 if PostgreSQL itself would spell the key of `ref` so; else -EINVAL. May ask it. */
int commit_check_name(struct engine *engine, const struct rowref *ref, struct error *e) _must_check_;
