#include "rowfs/engine/refusal.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "rowfs/base/clock.h"
#include "rowfs/base/counters.h"
#include "rowfs/base/log.h"
#include "rowfs/model/json.h"

struct refusal {
	uid_t uid;
	char *line; /* for people */
	char *json; /* for programs */
};

struct refusals {
	struct kept *kept[KEPT_PLACES];
	pthread_mutex_t lock;
	struct refusal ring[REFUSALS_KEPT]; /* [lock] */
	int logged_err;                     /* [lock] what the log was told last, and when */
	int64_t logged_ms;                  /* [lock] */
	char logged[1024];                  /* [lock] */
	uint64_t total;                     /* [lock] the newest is at (total - 1) mod REFUSALS_KEPT */
};

/* --- Open, close ----------------------------------------------------------------------------- */

int refusals_open(const struct settings *settings, struct refusals **ret, struct error *e)
{
	struct refusals *refusals = calloc(1, sizeof *refusals);
	int r = refusals ? 0 : error_set(e, ENOMEM, "out of memory");

	if (r < 0)
		return r;
	pthread_mutex_init(&refusals->lock, NULL);
	for (enum kept_place place = 0; r == 0 && place < KEPT_PLACES; place++)
		r = kept_open(settings, place, &refusals->kept[place], e);
	if (r < 0)
		refusals_close(refusals);
	else
		*ret = refusals;
	return r;
}

static void refusal_done(struct refusal *refusal)
{
	free(refusal->line);
	free(refusal->json);
	*refusal = (struct refusal){0};
}

void refusals_close(struct refusals *refusals)
{
	if (!refusals)
		return;
	for (unsigned i = 0; i < REFUSALS_KEPT; i++)
		refusal_done(&refusals->ring[i]);
	for (enum kept_place place = 0; place < KEPT_PLACES; place++)
		kept_close(refusals->kept[place]);
	pthread_mutex_destroy(&refusals->lock);
	free(refusals);
}

struct kept *refusals_kept(const struct refusals *refusals, enum kept_place place)
{
	return refusals->kept[place];
}

/* --- Lines ----------------------------------------------------------------------------------- */

static void print_time(struct buf *out)
{
	char text[40];
	time_t now = time(NULL);
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
	buf_adds(out, text);
}

static void print_line(const struct asker *asker, const struct error *e, const char *kept,
		       struct buf *out)
{
	print_time(out);
	buf_addf(out, " %s: %s: ", asker->path, strerrorname_np(e->err));
	if (e->line)
		buf_addf(out, "line %u, column %u: ", e->line, e->column);
	buf_adds(out, e->message);
	if (e->detail[0])
		buf_addf(out, "; %s", e->detail);
	if (e->hint[0])
		buf_addf(out, "; hint: %s", e->hint);
	if (e->sqlstate[0])
		buf_addf(out, " [SQLSTATE %s]", e->sqlstate);
	if (kept)
		buf_addf(out, " (the text is kept in %s)", kept);
	/* No file name or message shall make up a line, or drive the terminal that shows it. */
	for (size_t i = 0; i < out->len; i++)
		if ((unsigned char)out->data[i] < 0x20 || out->data[i] == 0x7f)
			out->data[i] = ' ';
	buf_addc(out, '\n');
}

static void print_member(const char *name, const char *value, struct buf *out)
{
	if (!value || !value[0])
		return;
	buf_addf(out, ", \"%s\": ", name);
	json_print_string(value, strlen(value), out);
}

/* `number`: how many there were before. */
static void print_json(const struct asker *asker, const struct error *e, const char *kept, uint64_t number,
		       struct buf *out)
{
	buf_addf(out, "{\"number\": %" PRIu64 ", \"time\": \"", number);
	print_time(out);
	buf_addf(out, "\", \"pid\": %d, \"uid\": %u", (int)asker->pid, (unsigned)asker->uid);
	print_member("path", asker->path, out);
	print_member("errno", strerrorname_np(e->err), out);
	print_member("sqlstate", e->sqlstate, out);
	print_member("message", e->message, out);
	print_member("detail", e->detail, out);
	print_member("hint", e->hint, out);
	print_member("field", e->field, out);
	if (e->line)
		buf_addf(out, ", \"line\": %u, \"column\": %u", e->line, e->column);
	print_member("kept", kept, out);
	buf_adds(out, "}\n");
}

/* A walk over a database that is gone fails once for each row; it is enough to hear of it once a second.
 * With the lock held. */
static bool same_as_last(struct refusals *refusals, const struct error *e)
{
	int64_t now = clock_monotonic_ms();
	bool same = refusals->logged_err == e->err && now - refusals->logged_ms < 1000 &&
		    strcmp(refusals->logged, e->message) == 0;

	if (!same) {
		refusals->logged_err = e->err;
		refusals->logged_ms = now;
		memcpy(refusals->logged, e->message, sizeof refusals->logged);
	}
	return same;
}

/* What is repeated is not logged again; a save's refusal is recorded all the same. `kept`: the text's path, or NULL.
 * `ret_json` (may be NULL): a copy of the line. */
static void record(struct refusals *refusals, const struct asker *asker, const struct error *e,
		   const char *kept, bool save, struct buf *ret_json)
{
	struct buf line = {0}, json = {0};
	struct refusal *slot;
	bool repeated;

	pthread_mutex_lock(&refusals->lock);
	repeated = same_as_last(refusals, e);
	if (save || !repeated) {
		print_line(asker, e, kept, &line);
		print_json(asker, e, kept, refusals->total, &json);
		if (ret_json)
			buf_add(ret_json, json.data, json.len);
		slot = &refusals->ring[refusals->total++ % REFUSALS_KEPT];
		refusal_done(slot);
		slot->uid = asker->uid;
		slot->line = buf_steal(&line);
		slot->json = buf_steal(&json);
		if (!repeated && slot->line)
			log_warning("%.*s (pid %d, uid %u)", (int)strlen(slot->line) - 1, slot->line,
				    (int)asker->pid, (unsigned)asker->uid);
	}
	pthread_mutex_unlock(&refusals->lock);
}

/* With the text of this name, where it is told, too, why it is there. */
static void record_kept(struct refusals *refusals, const struct asker *asker, const struct error *e, struct kept *kept,
			const char *name)
{
	_cleanup_buf_ struct buf path = {0}, json = {0};
	int r;

	buf_addf(&path, ".rowfs/%s/%s", kept_place_name(kept_place(kept)), name);
	record(refusals, asker, e, path.data, true, &json);
	r = json.failed ? -ENOMEM : kept_put_error(kept, asker, name, &json);
	if (r < 0)
		log_error("why %s was refused could not be kept: %s", name, strerror(-r));
}

void refusals_add(struct refusals *refusals, const struct asker *asker, const struct error *e,
		  const struct kept_text *text)
{
	struct kept *kept = refusals->kept[e->conflict ? KEPT_CONFLICTS : KEPT_REJECTED];
	char name[KEPT_NAME_SIZE];
	int r;

	count(refusals);
	r = text ? kept_add(kept, asker, text, e->conflict, name) : 0;
	if (r < 0)
		log_error("the refused text of %s could not be kept: %s", asker->path, strerror(-r));
	if (text && r == 0)
		record_kept(refusals, asker, e, kept, name);
	else
		record(refusals, asker, e, NULL, true, NULL);
}

void refusals_add_again(struct refusals *refusals, const struct asker *asker, const struct error *e, struct kept *kept,
			const char *name, const struct text *theirs)
{
	int r = e->conflict ? kept_put_theirs(kept, asker, name, theirs) : 0;

	count(refusals);
	if (r < 0)
		log_error("what others made of %s could not be kept: %s", asker->path, strerror(-r));
	record_kept(refusals, asker, e, kept, name);
}

void refusals_add_read(struct refusals *refusals, const struct asker *asker, const struct error *e)
{
	record(refusals, asker, e, NULL, false, NULL);
}

/* --- Reading --------------------------------------------------------------------------------- */

static bool visible(const struct refusal *refusal, uid_t reader)
{
	return refusal->line && refusal->json && (reader == 0 || refusal->uid == reader);
}

void refusals_print_last(struct refusals *refusals, uid_t reader, struct buf *out)
{
	pthread_mutex_lock(&refusals->lock);
	for (uint64_t i = refusals->total; i && refusals->total - i < REFUSALS_KEPT; i--) {
		struct refusal *refusal = &refusals->ring[(i - 1) % REFUSALS_KEPT];

		if (visible(refusal, reader)) {
			buf_adds(out, refusal->line);
			break;
		}
	}
	pthread_mutex_unlock(&refusals->lock);
}

void refusals_print_all(struct refusals *refusals, uid_t reader, struct buf *out)
{
	uint64_t first;

	pthread_mutex_lock(&refusals->lock);
	first = refusals->total > REFUSALS_KEPT ? refusals->total - REFUSALS_KEPT : 0;
	for (uint64_t i = first; i < refusals->total; i++)
		if (visible(&refusals->ring[i % REFUSALS_KEPT], reader))
			buf_adds(out, refusals->ring[i % REFUSALS_KEPT].json);
	pthread_mutex_unlock(&refusals->lock);
}
