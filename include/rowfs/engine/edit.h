/* A row file opened for writing: a buffer, the base it is compared with, and its way into PostgreSQL.
 *
 *   write, truncate ──► buffer (dirty) ──► edit_commit ──► clean
 *                           ▲                  └── refused ──► dirty, error sticks to the handle
 *                           └──────── new bytes clear the error ────────┘
 *
 * The commit point is close (FLUSH) or fsync, or the WRITE that completes a row which is written from its beginning on:
 * shells do not report what close says. What comes after the last of them, from a mapped file, is
 * committed at RELEASE, with nobody left to tell. An empty buffer is never a row and changes nothing: shells
 * truncate, close a duplicate, and write later. A refused text is kept once for each refusal
 * (engine/refusal.h). Thread-safe. */
#pragma once

#include "rowfs/engine/engine.h"

struct edit;

enum edit_intent {
	EDIT_UPDATE, /* the row is there */
	EDIT_INSERT, /* it is not */
	EDIT_NEW,    /* .new.json: the server assigns the key; `ref` names only the relation */
};

struct edit_options {
	enum edit_intent intent;
	struct text *base;    /* EDIT_UPDATE: what the row was when it was opened; a reference is taken */
	struct text *belief;  /* what the opener's program takes the row to be (engine/bases.h): the base of a text that is
			       * written from its beginning. A reference is taken; NULL: the base is */
	bool saved;           /* it has saved that itself */
	bool truncated;       /* start empty, not with the base's text */
	bool created;         /* this handle made the name, so a refused text takes it away again */
	struct name_hold *hold; /* on the name, see engine/names.h; the edit lets go of it, also of one that could not be made */
	struct asker asker;   /* who opened it; the path is copied */
	pid_t thread_group;   /* of the opener, its program; 0 if unknown */
};

/* `ref` is copied; for EDIT_NEW its name is ".new.json". */
int edit_new(struct engine *engine, const struct rowref *ref, const struct edit_options *options,
	     struct edit **ret) _must_check_;

/* An edit that begins as if it had just saved `text`: a scratch file's text that a rename made a row. options->base is
 * what the row is since then, as commit_save() told it (NULL for want of memory). It holds the text, clean, and what is
 * written next is a second save. */
int edit_new_saved(struct engine *engine, const struct rowref *ref, const struct edit_options *options,
		   const char *text, size_t len, struct edit **ret) _must_check_;

/* Call at RELEASE. What is not committed yet is, on a seat of the write lane, and frees the edit when it is done;
 * what cannot be is kept among the refused texts and said. */
void edit_close(struct edit *edit);

/* Append at most `len` bytes from `offset` to `out`. */
void edit_read(struct edit *edit, size_t offset, size_t len, struct buf *out);

/* 0, or:
 *   1             the text, which was written from its beginning on, is one whole object now: it is time to commit it
 *   -EINVAL       it cannot become an object any more. The bytes are taken all the same; close says it, and keeps them
 *   -errno        the text has these bytes already, and was refused with them
 *   -EFBIG beyond TEXT_MAX, -ENOMEM. Either is recorded, once, and sticks to the handle, whose text is not whole until
 *                 all those bytes have come or it was truncated before them: close says so too, and the rest is not kept */
int edit_write(struct edit *edit, size_t offset, const void *data, size_t len) _must_check_;

/* 0, -EFBIG or -ENOMEM, which are recorded. */
int edit_truncate(struct edit *edit, size_t size) _must_check_;
size_t edit_size(struct edit *edit);

/* The name leaves with somebody's mv or rm: hand over the text (NULL: nobody wants it) and forget about committing it.
 * -EBUSY while a commit is on its way. */
int edit_surrender(struct edit *edit, struct buf *ret_text) _must_check_;

/* Whoever took the text could not keep it: the edit goes on. */
void edit_resume(struct edit *edit);

/* The name is gone, and a row that it hid may go, too. */
void edit_let_go(struct edit *edit);

/* A name that is no row yet was renamed to `ref`, where none is either: what is committed from now on makes a row there;
 * or changes `base` if that is hidden there. Takes the hold. -EBUSY while a commit is on its way, which makes it under the
 * name it had. */
int edit_move(struct edit *edit, const struct rowref *ref, const char *path, struct text *base,
	      struct name_hold *hold) _must_check_;

/* Has it nothing that is not committed? */
bool edit_is_clean(struct edit *edit);

/* Was anything written; is it being committed now? */
enum edit_use { EDIT_UNTOUCHED, EDIT_WRITTEN, EDIT_BUSY };

enum edit_use edit_use(struct edit *edit);

/* Its row was removed, and what has the name from now on is another's. What it commits is still the row's. */
void edit_unname(struct edit *edit);

/* Is it this name's, and not surrendered? */
bool edit_is_of(struct edit *edit, uint32_t relation, const char *name);

struct edit_request {
	void (*done)(struct edit_request *request, int err); /* err: 0 or -errno */
	struct edit_request *next; /* the edit's own, as is what follows */
	pid_t thread_group;
	int err;
};

/* Commit what is dirty; see above for what is not. `thread_group` is the caller's if this is a FLUSH, and 0 if that
 * is unknown or if it is an FSYNC or a WRITE: a child that inherited the descriptor flushes it at exit, with a text that
 * may be half written, and that says nothing; but who asks for fsync wants to know. `done` may be called before this
 * returns, or on another thread. */
void edit_commit(struct edit *edit, pid_t thread_group, struct edit_request *request);
