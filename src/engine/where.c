#include "rowfs/engine/where.h"

#include <errno.h>
#include <inttypes.h>

#include "pin_table.h"
#include "rowfs/engine/held.h"

/* A predicate may be long and have several lines, names many; an answer has only so much room (fuse/where.h). */
enum { RULE_SHOWN = 300, COLUMNS_SHOWN = 200 };

/* On one line. */
static void print_words(const char *words, struct buf *out)
{
	for (; *words; words++)
		buf_addc(out, (unsigned char)*words < ' ' ? ' ' : *words);
}

/* Of those of a long list only some are named. */
static void print_columns(const struct relation *relation, struct buf *out)
{
	size_t from = out->len, i;
	const char *comma = " ";

	for (i = 0; i < relation->n_columns && out->len - from < COLUMNS_SHOWN; i++) {
		if (relation->columns[i].cold)
			continue;
		buf_adds(out, comma);
		print_words(relation->columns[i].name, out);
		comma = ", ";
	}
	buf_adds(out, i < relation->n_columns ? ", …" : "");
}

static const char *describe(struct engine *engine, const struct held *held)
{
	struct cache_status status;

	cache_status(engine->cache, &status);
	if (!status.configured)
		return "none";
	switch (held->answer) {
	case CACHE_DOWN:
		return "does not answer";
	case CACHE_MISS:
		return "no copy";
	case CACHE_BUSY:
		return "no copy; somebody is about to put one there";
	case CACHE_HIT:
		break;
	}
	if (held->garbage)
		return "something that is no copy";
	if (held->foreign)
		return "a copy made with other columns or another mtime= than here, which is not used";
	if (engine->feed && !held->proof.fresh)
		return "a copy that nothing proves now: no heartbeat stands";
	return held->text ? "a copy" : "a copy of another epoch, which is not used";
}

/* What an OPEN would need PostgreSQL for, too. */
static bool is_part(const struct held *held)
{
	return held->text && held->text->bare;
}

static void print_redis(struct engine *engine, const struct rowref *ref, const struct held *held, struct buf *out)
{
	buf_addf(out, "redis: %s", describe(engine, held));
	if (is_part(held) && held->complement) {
		buf_adds(out, " of the columns");
		print_columns(ref->relation, out);
	} else if (is_part(held)) {
		buf_adds(out, " of columns that another rule has named");
	}
	buf_addc(out, '\n');
	if (held->text)
		buf_addf(out, "redis_xmin: %" PRIu32 "\n", held->text->xid);
	if (held->age_ms >= 0)
		buf_addf(out, "redis_age_seconds: %.1f\n", (double)held->age_ms / 1000);
	if (held->life_ms >= 0)
		buf_addf(out, "redis_ends_in_seconds: %.1f\n", (double)held->life_ms / 1000);
}

static void print_placement(const struct relation *relation, struct buf *out)
{
	_cleanup_buf_ struct buf rule = {0};
	size_t shown;
	bool more;

	placement_print(&relation->placement, &rule);
	if (rule.failed)
		return;
	shown = rule.len < RULE_SHOWN ? rule.len : RULE_SHOWN;
	/* Not in the middle of a character. */
	while (shown < rule.len && (rule.data[shown] & 0xc0) == 0x80)
		shown--;
	more = shown < rule.len;
	rule.data[shown] = '\0';
	print_words(rule.data, out);
	buf_adds(out, more ? "…" : "");
}

/* Why a row is not pinned whose table has a rule that pins some. */
static const char *why_unpinned(struct engine *engine, const struct rowref *ref)
{
	const char *unfit = pin_unfit(ref->relation, false);

	if (unfit)
		return unfit;
	if (!engine->feed)
		return "that needs a feed of changes";
	if (ref->hash[0])
		return "its file name is a hash";
	if (!placement_shares(&ref->relation->placement, ref->name))
		return "it is in another bucket";
	return ref->relation->placement.hot ? "it does not satisfy that, or is not loaded yet" : "it is not loaded yet";
}

static void print_lazy(struct engine *engine, const struct rowref *ref, bool usable, unsigned reads, struct buf *out)
{
	buf_adds(out, "lazy");
	if (placement_pins(&ref->relation->placement)) {
		buf_adds(out, ", not pinned by ");
		print_placement(ref->relation, out);
		buf_addf(out, " (%s)", why_unpinned(engine, ref));
	}
	if (usable)
		buf_adds(out, ", admitted\n");
	else
		buf_addf(out, ", not admitted yet: its %s read will put it there\n",
			 reads || engine->settings->admit == ADMIT_ON_FIRST ? "next" : "second");
}

/* A mount's own file counts for it alone, so that others may say something else. */
static void print_whose(const struct relation *relation, struct buf *out)
{
	static const char *const whose[] = {
		[PLACED_BY_DATABASE] = "the database",
		[PLACED_BY_FILE] = "this mount's configuration file",
		[PLACED_BY_FILE_INSTEAD] = "this mount's configuration file, instead of the database's rule",
	};

	if (whose[relation->placed_by])
		buf_addf(out, "rule_of: %s\n", whose[relation->placed_by]);
}

static void print_rule(struct engine *engine, const struct rowref *ref, const struct held *held, bool usable,
		       struct buf *out)
{
	unsigned reads = access_reads(engine->access, ref->relation->oid, ref->name);
	const char *bar = reader_bars(engine->reader, ref->relation).why;
	struct cache_status status;

	cache_status(engine->cache, &status);
	buf_adds(out, "rule: ");
	if (!status.configured) {
		buf_adds(out, "never in Redis: there is none\n");
	} else if (bar) {
		buf_addf(out, "never in Redis: %s\n", bar);
	} else if (ref->relation->placement.off) {
		buf_adds(out, "off (place=off)\n");
	} else if (usable && held_is_pinned(engine, held)) {
		buf_adds(out, "pinned by ");
		if (placement_pins(&ref->relation->placement))
			print_placement(ref->relation, out);
		else
			buf_adds(out, "the worker's rule, which is not this mount's");
		buf_addc(out, '\n');
	} else {
		print_lazy(engine, ref, usable, reads, out);
	}
	print_whose(ref->relation, out);
	buf_addf(out, "reads_lately: %u%s\n", reads, reads == ACCESS_READS_MAX ? " or more" : "");
}

int where_print(struct engine *engine, const struct rowref *ref, const struct text *memory, enum store_set set,
		struct buf *out, struct error *e)
{
	_cleanup_text_ struct text *text = NULL;
	_cleanup_held_ struct held held = {0};
	int r = reader_fetch(engine->reader, ref, set, &text, e);
	bool usable;

	if (r == -ENOENT)
		return r;
	held_look(engine, ref, &held);
	usable = held_is_usable(engine, ref, &held);
	buf_addf(out, "tier: %s\n", memory ? "memory" : !usable ? "postgresql" : is_part(&held) ? "redis and postgresql" : "redis");
	print_rule(engine, ref, &held, usable, out);
	if (text)
		buf_addf(out, "xmin: %" PRIu32 "\nbytes: %zu\n", text->xid, text->len);
	else
		buf_addf(out, "postgresql_error: %s\n", e->message);
	buf_addf(out, "memory: %s\n", memory ? "this version is held" : "no");
	if (memory)
		buf_addf(out, "memory_xmin: %" PRIu32 "\n", memory->xid);
	print_redis(engine, ref, &held, out);
	return out->failed ? error_set(e, ENOMEM, "out of memory") : 0;
}
