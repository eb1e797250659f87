/* What the commits share: running a statement, telling everybody, and settling one whose answer was lost. */
#pragma once

#include "rowfs/engine/commit.h"
#include "rowfs/model/json.h"
#include "rowfs/model/statement.h"

/* How often a statement is sent again after its answer was lost and it turned out not to have run. */
enum { COMMIT_ATTEMPTS = 3 };

struct answer {
	uint32_t xid;
	unsigned lines;
	struct cells key; /* of an insert; of an update, whether the row was kept as it was, and its xid before */
};

/* The two ways of commit_save(). `stored` (may be NULL): what the server has made of the base; the row must still be that
 * in the columns that change. */
int commit_update(struct engine *engine, const struct rowref *ref, const struct save *save,
		  const struct text *stored, struct text **ret_now, struct error *e) _must_check_;
int commit_insert(struct engine *engine, const struct rowref *ref, const struct save *save,
		  struct text **ret_now, struct error *e) _must_check_;

int commit_run(struct engine *engine, const struct statement *statement, struct answer *ret,
	       struct error *e) _must_check_;

/* The row is another, in transaction `xid` (0: unknown, or it is gone): the reader and the kernel. */
void commit_tell(struct engine *engine, const struct rowref *ref, uint32_t xid);

/* The same for the row that a save was about: counted. */
void commit_announce(struct engine *engine, const struct rowref *ref, uint32_t xid);

/* What `row` has, as the text of a row of transaction `xid`. NULL if there is no memory. */
struct text *commit_text(const struct relation *relation, const struct patch *row, uint32_t xid)
	_must_check_;

/* Does a text name all that its base has and that can be changed? */
bool patch_names_all(const struct relation *relation, const struct patch *patch, const struct patch *base);

int commit_no_memory(struct error *e);

/* -ESTALE: a conflict, of which `e` has the message; of this column. */
int commit_conflict(const char *column, struct error *e);

/* -ESTALE: a conflict, since the row is not there any more. */
int commit_gone(struct error *e);

/* -EIO: it may or may not have been committed. `e` holds why, which becomes the detail. */
int commit_unknown(struct error *e);

/* Until when a save that was lost now is asked after. */
int64_t commit_deadline(const struct engine *engine);

/* Wait until the transaction whose answer was lost is decided, one way or the other. */
int commit_wait_decided(struct engine *engine, int64_t deadline, struct error *e) _must_check_;

/* The row as it is now: 0 with a text, 0 without one if there is none, or -errno; asked again until the
 * deadline (0: once) while the server cannot be reached. Only then is `e` touched, which may still hold why
 * the row is looked for. */
int commit_look(struct engine *engine, const struct rowref *ref, int64_t deadline, struct text **ret,
		struct error *e) _must_check_;

/* The key: the name's, or for a hashed name the one in the row's own text. */
int commit_key(const struct rowref *ref, const struct patch *row, struct cells *ret) _must_check_;

/* -EACCES for a relation whose rows can never be changed. Grants are the server's to judge. */
int commit_check_writable(const struct relation *relation, struct error *e) _must_check_;

/* A statement found no row of this key. -EPERM if that is because it found several; 0 if there is another
 * reason. */
int commit_check_single(struct engine *engine, const struct rowref *ref, const struct cells *key,
			struct error *e) _must_check_;

/* PostgreSQL refused a value but does not say which: find the column whose value it does not read, and put
 * its name and place into `e`. `chosen` (NULL: all that are present) are the columns that were sent. */
void commit_blame(struct engine *engine, const struct relation *relation, const struct patch *patch,
		  const bool *chosen, struct error *e);

/* PostgreSQL refused for want of a grant (42501) but names the table only: name the `chosen` columns that the role
 * may not change, or insert. */
void commit_forbidden(const struct relation *relation, const bool *chosen, bool insert, struct error *e);
