#include "rules.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

#include "load.h"
#include "rowfs/base/log.h"
#include "rules_sql.h"

#define STRING(number) #number
#define DECIMAL(number) STRING(number)

/* SQL and the header say the same. */
#define LINES_MOST 10001
#define NAME_BYTES 127
#define TEXT_BYTES 8192
_Static_assert(LINES_MOST == RULES_MAX + 1 && NAME_BYTES == RULES_NAME_BYTES && TEXT_BYTES == RULES_TEXT_BYTES, "");

/* The table alone, by its key, and of a text no more than is wanted: octet_length() does not fetch it. */
#define IN_ORDER " FROM ONLY rowfs.placement AS x ORDER BY x.relation LIMIT " DECIMAL(LINES_MOST)

const char rules_lines_sql[] =
        "SELECT CASE WHEN octet_length(x.relation) <= " DECIMAL(NAME_BYTES) " THEN x.relation END,"
        " CASE WHEN octet_length(x.rule) <= " DECIMAL(TEXT_BYTES) " THEN x.rule END" IN_ORDER;

/* Of what is read after it, or of what was there shortly before: then it is read again. */
static const char version_sql[] =
        "SELECT concat(count(*), ' ', sum(hashint8extended(x.xmin::text::int8, hashtext(x.ctid::text)::int8)))"
        " FROM (SELECT x.xmin, x.ctid" IN_ORDER ") AS x";

/* Its owner may put something else in the table's place while it is waited for. With the lock it stays what it is, which
 * can be looked at then; its schema may still be called otherwise, but this transaction reads no view, and a policy is an
 * error. */
static const char lock_sql[] = "LOCK TABLE ONLY rowfs.placement IN ACCESS SHARE MODE";

void rules_init(struct rules *rules)
{
	*rules = (struct rules){0};
	pthread_mutex_init(&rules->lock, NULL);
}

void ruleset_done(struct ruleset *ruleset)
{
	PQclear(ruleset->lines);
	*ruleset = (struct ruleset){0};
}

void rules_done(struct rules *rules)
{
	ruleset_done(&rules->last);
	pthread_mutex_destroy(&rules->lock);
}

void rules_print_name(const char *name, struct buf *out)
{
	for (; *name; name++) {
		unsigned char c = (unsigned char)*name;

		buf_addc(out, strchr("\t\n\r", c) ? ' ' : c < ' ' || c == 0x7f ? '?' : *name);
	}
}

static void set_note(struct ruleset *ruleset, const char *what, const char *why)
{
	_cleanup_buf_ struct buf note = {0};

	buf_adds(&note, what);
	rules_print_name(why, &note);
	error_copy_text(ruleset->note, sizeof ruleset->note, note.failed ? what : note.data);
}

/* --- Reading ---------------------------------------------------------------------------------- */

static enum outcome ask(struct session *session, const char *sql, PGresult **ret, struct error *e)
{
	const struct statement statement = {.sql = (char *)sql};

	return session_run(session, &statement, NULL, ret, e);
}

/* Each statement is to see what is there after it has waited. */
static enum outcome begin(struct session *session, int statement_timeout_ms, struct error *e)
{
	char sql[512];

	snprintf(sql, sizeof sql,
	         "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY; SET LOCAL lock_timeout TO %d;"
	         " SET LOCAL statement_timeout TO %d; SET LOCAL row_security TO off; " SESSION_NO_VIEWS,
	         RULES_LOCK_TIMEOUT_MS, statement_timeout_ms);
	return session_say(session, sql, e);
}

/* Does it count? `version` becomes what tells this trust from another. */
static bool judge(const PGresult *trust, struct ruleset *ruleset, struct buf *version)
{
	const char *problem = load_text(trust, 0, TRUST_PROBLEM), *stranger = load_text(trust, 0, TRUST_STRANGER);
	bool readable = load_flag(trust, 0, TRUST_READABLE);

	ruleset->there = true;
	ruleset->mine = !stranger;
	buf_addf(version, "%s\n%s\n%d\n", problem ? problem : "", stranger ? stranger : "", readable);
	if (problem)
		set_note(ruleset, "rowfs.placement is not used: ", problem);
	else if (!readable)
		set_note(ruleset, "rowfs.placement is not used: ", "this role may not read it");
	return !problem && readable;
}

static enum outcome look_at_trust(struct session *session, struct ruleset *ret, bool *ret_counts, struct buf *version,
                                  struct error *e)
{
	_cleanup_result_ PGresult *trust = NULL;
	enum outcome outcome = ask(session, rules_trust_sql, &trust, e);

	buf_reset(version);
	*ret = (struct ruleset){0};
	*ret_counts = outcome == RUN_DONE && PQntuples(trust) > 0 && judge(trust, ret, version);
	return outcome;
}

static enum outcome look(struct session *session, struct ruleset *ret, bool *ret_counts, struct error *e)
{
	_cleanup_result_ PGresult *version = NULL;
	_cleanup_buf_ struct buf text = {0};
	enum outcome outcome = look_at_trust(session, ret, ret_counts, &text, e);

	if (outcome == RUN_DONE && *ret_counts) {
		outcome = session_say(session, lock_sql, e);
		if (outcome == RUN_DONE)
			outcome = look_at_trust(session, ret, ret_counts, &text, e);
	}
	if (outcome == RUN_DONE && *ret_counts)
		outcome = ask(session, version_sql, &version, e);
	if (outcome != RUN_DONE || !ret->there)
		return outcome;
	buf_adds(&text, version ? load_text(version, 0, 0) : "");
	if (text.failed) {
		error_set(e, ENOMEM, "out of memory");
		return RUN_FAILED;
	}
	ret->version = XXH3_64bits(text.data, text.len);
	return RUN_DONE;
}

static enum outcome read_lines(struct session *session, struct ruleset *ret, struct error *e)
{
	bool counts;
	enum outcome outcome = look(session, ret, &counts, e);

	if (outcome == RUN_DONE && counts)
		outcome = ask(session, rules_lines_sql, &ret->lines, e);
	if (ret->lines && PQntuples(ret->lines) > RULES_MAX)
		snprintf(ret->note, sizeof ret->note, "rowfs.placement has more than %d rules: the others do not count",
		         RULES_MAX);
	return outcome;
}

/* --- What was read last ----------------------------------------------------------------------- */

/* Is that about the table, and not about the connection? A plan that is stale is made anew. */
static bool is_held_up(const struct session *session, enum outcome outcome)
{
	return (outcome == RUN_FAILED || outcome == RUN_CONFLICT) && PQstatus(session->pg) == CONNECTION_OK;
}

/* With the lock held. */
static void note_trouble(struct rules *rules, const struct error *e)
{
	if (!rules->troubled)
		log_warning("rowfs.placement cannot be read now, so the placement rules that are known count: %s", e->message);
	rules->troubled = true;
}

static bool copy_last(const struct rules *rules, struct ruleset *ret)
{
	*ret = rules->last;
	if (ret->lines)
		ret->lines = PQcopyResult(rules->last.lines, PG_COPYRES_ATTRS | PG_COPYRES_TUPLES);
	return !rules->last.lines || ret->lines;
}

/* With the lock held: `ret` is the last from now on. */
static bool keep(struct rules *rules, struct ruleset *ret)
{
	struct ruleset kept = *ret;

	if (rules->troubled)
		log_info("rowfs.placement can be read again");
	rules->troubled = false;
	if (kept.lines)
		kept.lines = PQcopyResult(ret->lines, PG_COPYRES_ATTRS | PG_COPYRES_TUPLES);
	if (ret->lines && !kept.lines)
		return false;
	ruleset_done(&rules->last);
	rules->last = kept;
	rules->known = true;
	return true;
}

/* While it lasts status is to say so, and not any more afterwards: that is another version. */
static uint64_t troubled_version(const struct rules *rules)
{
	return rules->last.version ^ 1;
}

static bool settle(struct rules *rules, bool read, struct ruleset *ret, const struct error *e)
{
	bool done;

	pthread_mutex_lock(&rules->lock);
	if (read) {
		done = keep(rules, ret);
	} else {
		ruleset_done(ret);
		note_trouble(rules, e);
		done = copy_last(rules, ret);
		ret->there = true;
		ret->version = troubled_version(rules);
		set_note(ret, "rowfs.placement cannot be read now: ", e->message);
	}
	pthread_mutex_unlock(&rules->lock);
	return done;
}

static int patience_ms(struct rules *rules)
{
	bool known;

	pthread_mutex_lock(&rules->lock);
	known = rules->known;
	pthread_mutex_unlock(&rules->lock);
	return known ? RULES_STATEMENT_TIMEOUT_MS : RULES_FIRST_STATEMENT_TIMEOUT_MS;
}

enum outcome rules_load(struct rules *rules, struct session *session, struct ruleset *ret, struct error *e)
{
	struct error late = {0};
	enum outcome outcome = begin(session, patience_ms(rules), e), back;

	if (outcome != RUN_DONE)
		return outcome;
	outcome = read_lines(session, ret, e);
	if (outcome != RUN_DONE && !is_held_up(session, outcome))
		return outcome;
	back = session_say(session, "ROLLBACK", &late);
	if (back != RUN_DONE) {
		*e = late;
		return back;
	}
	if (settle(rules, outcome == RUN_DONE, ret, e))
		return RUN_DONE;
	error_set(e, ENOMEM, "out of memory");
	return RUN_FAILED;
}

static uint64_t version_in_trouble(struct rules *rules, const struct error *e)
{
	uint64_t version;

	pthread_mutex_lock(&rules->lock);
	note_trouble(rules, e);
	version = troubled_version(rules);
	pthread_mutex_unlock(&rules->lock);
	return version;
}

enum outcome rules_look(struct rules *rules, struct session *session, uint64_t *ret, struct error *e)
{
	struct ruleset found = {0};
	struct error late = {0};
	enum outcome outcome = begin(session, patience_ms(rules), e), back;
	bool counts;

	if (outcome != RUN_DONE)
		return outcome;
	outcome = look(session, &found, &counts, e);
	if (outcome != RUN_DONE && !is_held_up(session, outcome))
		return outcome;
	*ret = outcome == RUN_DONE ? found.version : version_in_trouble(rules, e);
	back = session_say(session, "ROLLBACK", &late);
	if (back != RUN_DONE)
		*e = late;
	return back;
}
