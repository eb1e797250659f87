#include "reader_look.h"

#include <string.h>

#include "rowfs/base/counters.h"
#include "rowfs/base/switches.h"

void reader_print_key(const struct rowref *ref, bool feed, struct buf *out)
{
	copy_print_key(feed, ref->relation->oid, ref->name, out);
}

void question_done(struct question *question)
{
	buf_done(&question->value);
}

struct copy_terms reader_terms(const struct reader *reader, bool feed, const struct cache_proof *proof)
{
	return (struct copy_terms){.proof = feed ? proof : NULL, .ttl_ms = reader->ttl_ms};
}

static enum cache_answer ask(struct reader *reader, const struct rowref *ref, struct question *question)
{
	_cleanup_buf_ struct buf key = {0};
	struct cache *cache = reader->parts.cache;

	reader_print_key(ref, question->feed, &key);
	if (key.failed)
		return CACHE_DOWN;
	if (!question->feed)
		return cache_get(cache, key.data, key.len, &question->value);
	return cache_read(cache, ref->relation->oid, key.data, key.len, &question->proof,
			  &question->value);
}

/* A Redis that failed over may hold older copies than those that this mount has used, under a heartbeat that still
 * stands. */
static void heed_breaks(struct reader *reader)
{
	uint64_t breaks = cache_breaks(reader->parts.cache);

	if (atomic_exchange(&reader->breaks, breaks) != breaks)
		own_doubt(reader->own);
}

/* A partial copy that was made under another rule says of the row's version what any does, and gives way to who reads, or
 * has it loaded. */
static enum outcome use_bare(const struct rowref *ref, const struct read_request *request, const struct question *question)
{
	bool complement = copy_is_complement(ref->relation, &question->value);

	if (request->version_only || (request->load && complement))
		return USABLE;
	return complement ? PARTIAL : FOREIGN;
}

static bool begins_as(const struct copy_terms *terms, const struct buf *value)
{
	_cleanup_buf_ struct buf head = {0};

	copy_print_terms(terms, &head);
	return !head.failed && value->len >= head.len && memcmp(value->data, head.data, head.len) == 0;
}

static enum outcome judge_useless(const struct rowref *ref, const struct copy_terms *terms, const struct buf *value,
				  bool garbage)
{
	if (garbage) {
		count(cache_garbage);
		return REPLACE;
	}
	if (copy_is_foreign(ref->relation, value, terms)) {
		count(cache_foreign);
		return FOREIGN;
	}
	if (begins_as(terms, value))
		return ASK; /* there was no memory for it */
	count(cache_outdated);
	return REPLACE;
}

enum outcome reader_look(struct reader *reader, const struct rowref *ref, const struct read_request *request,
			 struct question *question, struct text **ret)
{
	enum outcome outcome = USABLE;
	struct copy_terms terms;
	enum cache_answer answer;
	struct text *text;
	bool garbage;

	question->feed = reader->feed;
	if (!reader_may_cache(reader, ref->relation))
		return ASK;
	answer = ask(reader, ref, question);
	heed_breaks(reader);
	if (question->feed && !question->proof.fresh)
		return ASK;
	if (answer == CACHE_MISS)
		count(cache_misses);
	if (answer != CACHE_HIT)
		return answer == CACHE_MISS ? FILL : answer == CACHE_BUSY ? AWAITED : ASK;
	terms = reader_terms(reader, question->feed, &question->proof);
	text = copy_parse(ref->relation, &question->value, &terms, &garbage);
	if (!text)
		return judge_useless(ref, &terms, &question->value, garbage);
	if (!SWITCHED_OFF("own") &&
	    !own_accepts(reader->own, ref->relation->oid, ref->name, text->xid)) {
		count(cache_rejected);
		text_unref(text);
		return ASK;
	}
	if (text->bare)
		outcome = use_bare(ref, request, question);
	if (outcome == USABLE)
		count(cache_hits);
	if (outcome == FOREIGN) {
		count(cache_foreign);
		text_unref(text);
	} else {
		*ret = text;
	}
	return outcome;
}
