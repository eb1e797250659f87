#include "rowfs/engine/where.h"

#include <errno.h>
#include <inttypes.h>

#include "rowfs/engine/copy.h"

/* What Redis has under the row's key. */
struct held {
	enum cache_answer answer;
	struct cache_proof proof;
	struct text *text; /* NULL: none that may be used */
	bool garbage;
	int64_t life_ms, age_ms; /* negative: unknown */
};

static void look_into_redis(struct engine *engine, const struct rowref *ref, struct held *ret)
{
	_cleanup_buf_ struct buf key = {0}, value = {0};
	int64_t ttl_ms = (int64_t)(engine->settings->ttl * 1000);
	struct copy_terms terms = {.proof = engine->feed ? &ret->proof : NULL, .ttl_ms = ttl_ms};
	uint32_t oid = ref->relation->oid;

	*ret = (struct held){.answer = CACHE_DOWN, .life_ms = -1, .age_ms = -1};
	if (engine->feed)
		copy_row_key(oid, ref->name, &key);
	else
		copy_aged_key(oid, ref->name, &key);
	if (key.failed)
		return;
	ret->answer = engine->feed ? cache_read(engine->cache, oid, key.data, key.len, &ret->proof, &value) :
				     cache_get(engine->cache, key.data, key.len, &value);
	if (ret->answer != CACHE_HIT)
		return;
	ret->text = copy_parse(ref->relation, &value, &terms, &ret->garbage);
	ret->life_ms = cache_life_ms(engine->cache, key.data, key.len);
	/* Under a feed lives differ by an eighth (engine/reader.c), so that the age is not told by what is left. */
	if (!engine->feed && ret->life_ms >= 0)
		ret->age_ms = ttl_ms - ret->life_ms;
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
	if (engine->feed && !held->proof.fresh)
		return "a copy that nothing proves now: no heartbeat stands";
	return held->text ? "a copy" : "a copy of another epoch, which is not used";
}

static void print_redis(struct engine *engine, const struct held *held, struct buf *out)
{
	buf_addf(out, "redis: %s\n", describe(engine, held));
	if (held->text)
		buf_addf(out, "redis_xmin: %" PRIu32 "\n", held->text->xid);
	if (held->age_ms >= 0)
		buf_addf(out, "redis_age_seconds: %.1f\n", (double)held->age_ms / 1000);
	if (held->life_ms >= 0)
		buf_addf(out, "redis_ends_in_seconds: %.1f\n", (double)held->life_ms / 1000);
}

static void print_rule(struct engine *engine, const struct rowref *ref, struct buf *out)
{
	unsigned reads = access_reads(engine->access, ref->relation->oid, ref->name);

	if (!reader_may_cache(engine->reader, ref->relation))
		buf_adds(out, "rule: never in Redis\n");
	else
		buf_addf(out, "rule: lazy, from its %s read on\n",
			 engine->settings->admit == ADMIT_ON_FIRST ? "first" : "second");
	buf_addf(out, "reads_lately: %u%s\n", reads, reads == ACCESS_READS_MAX ? " or more" : "");
}

int where_print(struct engine *engine, const struct rowref *ref, const struct text *memory, enum store_set set,
		struct buf *out, struct error *e)
{
	_cleanup_text_ struct text *text = NULL;
	struct held held;
	int r = reader_fetch(engine->reader, ref, set, &text, e);
	bool usable;

	if (r == -ENOENT)
		return r;
	look_into_redis(engine, ref, &held);
	usable = held.text && (!engine->feed || held.proof.fresh) && reader_may_cache(engine->reader, ref->relation);
	buf_addf(out, "tier: %s\n", memory ? "memory" : usable ? "redis" : "postgresql");
	print_rule(engine, ref, out);
	if (text)
		buf_addf(out, "xmin: %" PRIu32 "\nbytes: %zu\n", text->xid, text->len);
	else
		buf_addf(out, "postgresql_error: %s\n", e->message);
	buf_addf(out, "memory: %s\n", memory ? "this version is held" : "no");
	if (memory)
		buf_addf(out, "memory_xmin: %" PRIu32 "\n", memory->xid);
	print_redis(engine, &held, out);
	text_unref(held.text);
	return out->failed ? error_set(e, ENOMEM, "out of memory") : 0;
}
