#include <errno.h>
#include <string.h>

#include "direct.h"
#include "feed.h"
#include "feed_sql.h"
#include "load.h"

/* What is missing for a source, as the end of a sentence: "a, b and c". */
static void add_need(struct buf *needs, const char *need)
{
	buf_adds(needs, needs->len ? "; " : "");
	buf_adds(needs, need);
}

static bool asks_for(const struct feed *feed, enum changes source)
{
	return feed->settings->changes == CHANGES_AUTO || feed->settings->changes == source;
}

static int open_publication(struct feed *feed, struct buf *needs, struct error *e)
{
	int r = publication_open(feed->sql, feed->settings->publication, &feed->publication, e);

	if (r == 0 || PQstatus(feed->sql) != CONNECTION_OK)
		return r;
	buf_adds(needs, needs->len ? "; " : "");
	buf_addf(needs, "the publication \"%s\", which could not be made: %s",
	         feed->settings->publication, e->message);
	return 0;
}

/* Is there logical decoding? Fills `needs` if there is not. */
static int try_wal(struct feed *feed, const PGresult *allows, struct buf *needs, struct error *e)
{
	int r = 0;

	if (!load_flag(allows, 0, ALLOWS_WAL_LEVEL))
		add_need(needs, "wal_level=logical on the server");
	if (!load_flag(allows, 0, ALLOWS_ROLE))
		add_need(needs, "a role with REPLICATION");
	if (!load_flag(allows, 0, ALLOWS_SLOTS))
		add_need(needs, "max_replication_slots and max_wal_senders above 0");
	if (!load_flag(allows, 0, ALLOWS_STANDBYS))
		add_need(needs, "the standbys' names in synchronous_standby_names instead of '*'");
	if (needs->len == 0)
		r = open_publication(feed, needs, e);
	if (r < 0 || needs->len > 0)
		return r;
	feed->wal = true;
	return 0;
}

static size_t count_logged(const struct tables *tables)
{
	size_t n = 0;

	for (size_t i = 0; i < tables->n; i++)
		n += tables->at[i].logged && !tables->at[i].log_unfit;
	return n;
}

/* Is there a change log, and somebody who writes to it? */
static void try_log(struct feed *feed, const PGresult *allows, struct buf *needs)
{
	if (!load_flag(allows, 0, ALLOWS_LOG))
		add_need(needs, "\"rowfs sync install\" by the owner of the tables, and SELECT and "
		                "DELETE on rowfs.changes for this role");
	else if (!feed->wal && count_logged(&feed->tables) == 0)
		add_need(needs, "\"rowfs sync install\" by the owner of the tables");
	else
		feed->may_log = true;
}

static int refuse(const struct buf *wal, const struct buf *log, struct error *e)
{
	return error_set(e, EOPNOTSUPP, "others' commits cannot be noticed here%s%s%s%s",
	                 wal->len ? ": logical decoding needs " : "", wal->len ? wal->data : "",
	                 log->len ? wal->len ? "; the change log needs " : ": the change log needs "
	                          : "",
	                 log->len ? log->data : "");
}

static void say_better(struct feed *feed, const struct buf *wal)
{
	_cleanup_buf_ struct buf text = {0};

	if (feed->wal || wal->len == 0)
		return;
	buf_addf(&text,
	         "logical decoding, which costs the application less than triggers, needs %s",
	         wal->data);
	error_copy_text(feed->better, sizeof(feed->better), text.failed ? "" : text.data);
}

int feed_choose(struct feed *feed, struct error *e)
{
	_cleanup_result_ PGresult *allows = NULL;
	_cleanup_buf_ struct buf wal = {0}, log = {0};
	int r;

	if (feed->settings->changes == CHANGES_TTL)
		return error_set(e, EOPNOTSUPP, "changes=ttl asks for no change feed");
	r = direct_query(feed->sql, feed_allows_sql, 0, NULL, &allows, e);
	if (r == 0 && asks_for(feed, CHANGES_WAL))
		r = try_wal(feed, allows, &wal, e);
	if (r == 0)
		r = feed_read_tables(feed, &feed->tables, e);
	if (r < 0)
		return r;
	if (asks_for(feed, CHANGES_LOG))
		try_log(feed, allows, &log);
	if (wal.failed || log.failed)
		return error_set(e, ENOMEM, "out of memory");
	say_better(feed, &wal);
	return feed->wal || feed->may_log ? 0 : refuse(&wal, &log, e);
}
