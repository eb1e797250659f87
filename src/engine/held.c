#include "rowfs/engine/held.h"

#include "rowfs/engine/copy.h"

void held_print_key(struct engine *engine, const struct rowref *ref, struct buf *out)
{
	copy_print_key(engine->feed, ref->relation->oid, ref->name, out);
}

void held_look(struct engine *engine, const struct rowref *ref, struct held *ret)
{
	_cleanup_buf_ struct buf key = {0}, value = {0};
	int64_t ttl_ms = (int64_t)(engine->settings->ttl * 1000);
	struct copy_terms terms = {.proof = engine->feed ? &ret->proof : NULL, .ttl_ms = ttl_ms};
	uint32_t oid = ref->relation->oid;

	*ret = (struct held){.answer = CACHE_DOWN, .life_ms = -1, .age_ms = -1};
	held_print_key(engine, ref, &key);
	if (key.failed)
		return;
	ret->answer = engine->feed ? cache_read(engine->cache, oid, key.data, key.len, &ret->proof, &value) :
				     cache_get(engine->cache, key.data, key.len, &value);
	if (ret->answer != CACHE_HIT)
		return;
	ret->text = copy_parse(ref->relation, &value, &terms, &ret->garbage);
	ret->foreign = !ret->text && !ret->garbage && copy_is_foreign(ref->relation, &value, &terms);
	ret->complement = ret->text && ret->text->bare && copy_is_complement(ref->relation, &value);
	ret->life_ms = cache_life_ms(engine->cache, key.data, key.len);
	/* Under a feed lives differ by an eighth (copy_life_ms()), so that the age is not told by what is left. */
	if (!engine->feed && ret->life_ms >= 0)
		ret->age_ms = ttl_ms - ret->life_ms;
}

void held_done(struct held *held)
{
	text_unref(held->text);
	*held = (struct held){0};
}

bool held_is_usable(struct engine *engine, const struct rowref *ref, const struct held *held)
{
	return held->text && (!held->text->bare || held->complement) && (!engine->feed || held->proof.fresh) && reader_may_cache(engine->reader, ref->relation);
}

/* What readers put there has an end (COPY_LIFE_MS), so that Redis may evict it; what is pinned has none. */
bool held_is_pinned(struct engine *engine, const struct held *held)
{
	return engine->feed && (held->text || held->foreign) && held->life_ms < 0;
}
