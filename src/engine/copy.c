#include "rowfs/engine/copy.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void print_key(char kind, uint32_t relation, const char *name, struct buf *out)
{
	buf_addf(out, "%c:%" PRIu32 ":", kind, relation);
	buf_add(out, name, strlen(name) - strlen(NAME_SUFFIX));
}

void copy_row_key(uint32_t relation, const char *name, struct buf *out)
{
	print_key('r', relation, name, out);
}

void copy_aged_key(uint32_t relation, const char *name, struct buf *out)
{
	print_key('a', relation, name, out);
}

void copy_print_terms(const struct copy_terms *terms, struct buf *out)
{
	if (terms->proof)
		buf_addf(out, "%s/%s ", terms->proof->epoch, terms->proof->table);
	else
		buf_addf(out, "ttl:%" PRId64 " ", terms->ttl_ms);
}

void copy_print(const struct relation *relation, const struct text *text, const struct copy_terms *terms,
		struct buf *out)
{
	copy_print_terms(terms, out);
	buf_addf(out, "%016" PRIx64 " %" PRIu32 " %jd.%09ld %016" PRIx64 "\n", relation->fingerprint,
		 text->xid, (intmax_t)text->version.mtime.tv_sec, text->version.mtime.tv_nsec,
		 text->version.hash);
	buf_add(out, text->data, text->len);
}

struct header {
	size_t terms_len; /* the first word */
	uint64_t fingerprint, hash;
	struct timespec mtime;
	uint32_t xid;
	size_t len; /* of the whole line */
};

static bool read_header(const struct buf *value, struct header *ret)
{
	const char *end = value->len ? memchr(value->data, '\n', value->len) : NULL;
	const char *space = end ? memchr(value->data, ' ', (size_t)(end - value->data)) : NULL;
	intmax_t seconds;
	int used = 0;

	if (!space ||
	    sscanf(space, " %16" SCNx64 " %" SCNu32 " %jd.%9ld %16" SCNx64 "%n", &ret->fingerprint,
		   &ret->xid, &seconds, &ret->mtime.tv_nsec, &ret->hash, &used) != 5 ||
	    space + used != end || ret->mtime.tv_nsec < 0)
		return false;
	ret->mtime.tv_sec = (time_t)seconds;
	ret->terms_len = (size_t)(space - value->data);
	ret->len = (size_t)(end + 1 - value->data);
	return true;
}

static bool aged_terms(const char *word, size_t len, int64_t ttl_ms, bool *ret_garbage)
{
	int64_t lives_ms;
	int used = 0;

	*ret_garbage = sscanf(word, "ttl:%" SCNd64 "%n", &lives_ms, &used) != 1 || (size_t)used != len;
	return !*ret_garbage && lives_ms <= ttl_ms;
}

static bool proved_terms(const char *word, size_t len, const struct cache_proof *proof)
{
	size_t epoch = strlen(proof->epoch), table = strlen(proof->table);

	return len == epoch + 1 + table && memcmp(word, proof->epoch, epoch) == 0 &&
	       word[epoch] == '/' && memcmp(word + epoch + 1, proof->table, table) == 0;
}

struct text *copy_parse(const struct relation *relation, const struct buf *value,
			const struct copy_terms *terms, bool *ret_garbage)
{
	struct version version;
	struct header header;
	struct text *text;
	bool usable;

	*ret_garbage = true;
	if (!read_header(value, &header))
		return NULL;
	version = version_of(value->data + header.len, value->len - header.len, &header.mtime);
	if (version.hash != header.hash) /* cut, or damaged */
		return NULL;
	*ret_garbage = false;
	if (terms->proof)
		usable = proved_terms(value->data, header.terms_len, terms->proof);
	else
		usable = aged_terms(value->data, header.terms_len, terms->ttl_ms, ret_garbage);
	if (!usable || header.fingerprint != relation->fingerprint)
		return NULL;
	text = text_new(value->data + header.len, value->len - header.len, &version, header.xid);
	if (text)
		text->copied = true;
	return text;
}
