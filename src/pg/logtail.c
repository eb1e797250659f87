#include "logtail.h"

#include <errno.h>
#include <stdlib.h>

#include "direct.h"
#include "load.h"
#include "rowfs/base/clock.h"
#include "rowfs/model/name.h"

enum { LOGTAIL_BATCH = 4096 };

/* The answer's columns: the table (a partition's root), what was done, the number of the key's
 * parts, the parts. */
enum { ENTRY_RELATION, ENTRY_OP, ENTRY_PARTS, ENTRY_PART };

static const char read_sql[] = "DELETE FROM rowfs.changes AS c WHERE c.ctid = ANY"
                               " (ARRAY(SELECT d.ctid FROM rowfs.changes AS d LIMIT %d))"
                               " RETURNING coalesce(pg_partition_root(c.relation)::oid, "
                               "c.relation), c.op, cardinality(c.key)";

int logtail_open(struct logtail *log, const struct store *store, char *server, struct error *e)
{
	_cleanup_result_ PGresult *result = NULL;
	int r = direct_open(store, DIRECT_LOG, server, &log->pg, e);

	if (r == 0)
		r = direct_query(log->pg, "SELECT pg_try_advisory_lock(" LOGTAIL_READER ")", 0,
		                 NULL, &result, e);
	if (r == 0 && !load_flag(result, 0, 0))
		r = error_set(e, EBUSY, "another worker reads the change log of this database");
	if (r < 0) {
		logtail_close(log, NULL);
		return r;
	}
	log->state = LOGTAIL_OPEN;
	return 0;
}

void logtail_close(struct logtail *log, PGconn *by)
{
	if (log->state == LOGTAIL_QUEUED)
		direct_end(by, &log->pg);
	PQfinish(log->pg);
	*log = (struct logtail){0};
}

int logtail_lock(struct logtail *log, struct error *e)
{
	int r;

	if (log->state == LOGTAIL_OPEN) {
		/* What the last reader left may be removed as soon as the lock is held. */
		r = direct_send(log->pg,
		                "SET statement_timeout TO 0; SET lock_timeout TO 0;"
		                "SELECT pg_advisory_lock(" LOGTAIL_LOCK ")",
		                e);
		if (r < 0)
			return r;
		log->state = LOGTAIL_QUEUED;
	}
	if (log->state == LOGTAIL_QUEUED) {
		r = direct_poll(log->pg, NULL, e);
		if (r < 0)
			return r == -EAGAIN ? 0 : r;
		log->state = LOGTAIL_READING;
		r = direct_query(log->pg, "DELETE FROM rowfs.changes", 0, NULL, NULL, e);
		if (r < 0)
			return r;
	}
	return 1;
}

static enum batch_op op_of(char op)
{
	switch (op) {
	case 'I':
		return BATCH_INSERT;
	case 'U':
		return BATCH_UPDATE;
	case 'D':
		return BATCH_DELETE;
	}
	return BATCH_RELATION;
}

static void add_entry(const PGresult *entries, int line, struct buf *name, struct batch *batch)
{
	struct batch_change change = {
	        .relation = load_oid(entries, line, ENTRY_RELATION),
	        .op = op_of(*PQgetvalue(entries, line, ENTRY_OP)),
	        .name = "",
	};
	struct cell key[KEY_PARTS_MAX];
	size_t n = (size_t)atoi(PQgetvalue(entries, line, ENTRY_PARTS));

	if (n == 0 || n > KEY_PARTS_MAX)
		change.op = BATCH_RELATION;
	if (change.op != BATCH_RELATION) {
		for (size_t i = 0; i < n; i++)
			key[i] = (struct cell){
			        .data = PQgetvalue(entries, line, ENTRY_PART + (int)i),
			        .len = (size_t)PQgetlength(entries, line, ENTRY_PART + (int)i),
			};
		buf_reset(name);
		name_print(key, n, name);
		change.name = name->data;
		batch->changes.failed = batch->changes.failed || name->failed;
	}
	if (!batch_failed(batch))
		batch_add(batch, &change);
}

int logtail_read(struct logtail *log, struct batch *batch, struct error *e)
{
	_cleanup_result_ PGresult *entries = NULL;
	_cleanup_buf_ struct buf sql = {0}, name = {0};
	int r;

	buf_addf(&sql, read_sql, LOGTAIL_BATCH);
	for (int i = 1; i <= KEY_PARTS_MAX; i++)
		buf_addf(&sql, ", c.key[%d]", i);
	if (sql.failed)
		return error_set(e, ENOMEM, "out of memory");
	log->read_us = clock_monotonic_us();
	r = direct_query(log->pg, sql.data, 0, NULL, &entries, e);
	if (r < 0)
		return r;
	for (int line = 0; line < PQntuples(entries); line++)
		add_entry(entries, line, &name, batch);
	if (PQntuples(entries) < LOGTAIL_BATCH)
		log->emptied_us = log->read_us;
	return batch_failed(batch) ? error_set(e, ENOMEM, "out of memory") : 0;
}
