#include "rowfs/engine/copy.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "rowfs/base/clock.h"

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

void copy_print_key(bool fed, uint32_t relation, const char *name, struct buf *out)
{
	print_key(fed ? 'r' : 'a', relation, name, out);
}

/* Under a feed copies need no end: change capture drops them. They get one, so that Redis may evict them. */
int64_t copy_life_ms(void)
{
	return COPY_LIFE_MS - clock_monotonic_us() % (COPY_LIFE_MS / 8);
}

void copy_print_terms(const struct copy_terms *terms, struct buf *out)
{
	if (terms->proof)
		buf_addf(out, "%s/%s ", terms->proof->epoch, terms->proof->table);
	else
		buf_addf(out, "ttl:%" PRId64 " ", terms->ttl_ms);
}

void copy_print_head(const struct relation *relation, const struct copy_terms *terms, struct buf *out)
{
	copy_print_terms(terms, out);
	buf_addf(out, "%016" PRIx64, relation->fingerprint);
	if (relation->n_cold)
		buf_addf(out, "/%016" PRIx64, relation->kept_columns);
	buf_addc(out, ' ');
}

/* What would not come back as it was, to the byte, is not taken apart. */
static bool take_apart(const struct relation *relation, const struct text *text, struct buf *ret)
{
	_cleanup_patch_ struct patch patch = {0};
	_cleanup_buf_ struct buf whole = {0};
	struct error e;

	if (text->len > COPY_TEXT_MAX || json_parse(relation, text->data, text->len, &patch, &e) < 0)
		return false;
	for (size_t i = 0; i < relation->n_columns; i++)
		if (!patch.present[i])
			return false;
	json_print(relation, patch.cells, &whole);
	if (!buf_equal(&whole, text->data, text->len))
		return false;
	json_print_kept(relation, patch.cells, ret);
	return !ret->failed;
}

/* Of the header from the second word on, and of the text. */
static uint64_t check_of(const char *header, size_t header_len, const char *data, size_t len)
{
	return XXH3_64bits_withSeed(data, len, XXH3_64bits(header, header_len));
}

bool copy_may_fit(const struct relation *relation, size_t len)
{
	return len <= (relation->n_cold ? COPY_TEXT_MAX : CACHE_VALUE_MAX);
}

void copy_print(const struct relation *relation, const struct text *text, const struct copy_terms *terms,
		struct buf *out)
{
	_cleanup_buf_ struct buf part = {0};
	bool partial = relation->n_cold && take_apart(relation, text, &part);
	size_t from = out->len, second;

	copy_print_head(relation, terms, out);
	buf_addf(out, "%" PRIu32 " %jd.%09ld %016" PRIx64, text->xid, (intmax_t)text->version.mtime.tv_sec, text->version.mtime.tv_nsec,
		 text->version.hash);
	if (partial)
		buf_addf(out, " %zu", text->len);
	if (out->failed)
		return;
	second = from + strcspn(out->data + from, " ");
	if (partial)
		buf_addf(out, " %016" PRIx64,
			 check_of(out->data + second, out->len - second, part.data, part.len));
	buf_addc(out, '\n');
	if (partial)
		buf_add(out, part.data, part.len);
	else
		buf_add(out, text->data, text->len);
}

struct header {
	size_t terms_len; /* the first word */
	uint64_t fingerprint, columns, hash, check;
	struct timespec mtime;
	uint32_t xid;
	bool partial;
	size_t size;      /* of the whole text, if it is partial, */
	size_t check_at;  /* and where the check stands, with the blank before it */
	size_t len;       /* of the whole line */
};

/* What follows the second word's first number, up to the end of the line. */
static bool read_rest(const char *at, const char *end, struct header *ret, const char **ret_check)
{
	bool ruled = *at == '/';
	intmax_t seconds;
	int used = 0;

	if (ruled && sscanf(at, "/%16" SCNx64 "%n", &ret->columns, &used) != 1)
		return false;
	at += used;
	used = 0;
	if (sscanf(at, " %" SCNu32 " %jd.%9ld %16" SCNx64 "%n", &ret->xid, &seconds, &ret->mtime.tv_nsec, &ret->hash,
		   &used) != 4 ||
	    ret->mtime.tv_nsec < 0)
		return false;
	ret->mtime.tv_sec = (time_t)seconds;
	at += used;
	ret->partial = ruled && at < end;
	if (!ret->partial)
		return at == end;
	used = 0;
	if (sscanf(at, " %zu%n %16" SCNx64, &ret->size, &used, &ret->check) != 2 || ret->size > TEXT_MAX)
		return false;
	*ret_check = at + used;
	return end - *ret_check == 17 && strspn(*ret_check + 1, "0123456789abcdef") == 16;
}

static bool read_header(const struct buf *value, struct header *ret)
{
	const char *end = value->len ? memchr(value->data, '\n', value->len) : NULL;
	const char *space = end ? memchr(value->data, ' ', (size_t)(end - value->data)) : NULL;
	const char *check = end;
	int used = 0;

	*ret = (struct header){0};
	if (!space || sscanf(space, " %16" SCNx64 "%n", &ret->fingerprint, &used) != 1 ||
	    !read_rest(space + used, end, ret, &check))
		return false;
	ret->terms_len = (size_t)(space - value->data);
	ret->check_at = (size_t)(check - value->data);
	ret->len = (size_t)(end + 1 - value->data);
	return true;
}

/* Is it all there, and as it was printed? What it says of the text's version. */
static bool read_version(const struct buf *value, const struct header *header, struct version *ret)
{
	const char *data = value->data + header->len;
	size_t len = value->len - header->len;

	if (!header->partial) {
		*ret = version_of(data, len, &header->mtime);
		return ret->hash == header->hash;
	}
	*ret = (struct version){.size = header->size, .hash = header->hash, .mtime = header->mtime};
	return header->check == check_of(value->data + header->terms_len, header->check_at - header->terms_len, data, len);
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

static bool terms_hold(const struct buf *value, const struct header *header, const struct copy_terms *terms,
		       bool *ret_garbage)
{
	*ret_garbage = false;
	if (terms->proof)
		return proved_terms(value->data, header->terms_len, terms->proof);
	return aged_terms(value->data, header->terms_len, terms->ttl_ms, ret_garbage);
}

bool copy_is_foreign(const struct relation *relation, const struct buf *value, const struct copy_terms *terms)
{
	struct header header;
	bool garbage;

	return read_header(value, &header) && terms_hold(value, &header, terms, &garbage) &&
	       header.fingerprint != relation->fingerprint;
}

struct text *copy_parse(const struct relation *relation, const struct buf *value,
			const struct copy_terms *terms, bool *ret_garbage)
{
	struct version version;
	struct header header;
	struct text *text;
	bool usable;

	*ret_garbage = true;
	if (!read_header(value, &header) || !read_version(value, &header, &version))
		return NULL;
	usable = terms_hold(value, &header, terms, ret_garbage);
	if (!usable || header.fingerprint != relation->fingerprint)
		return NULL;
	if (header.partial)
		return text_new_bare(&version, header.xid);
	text = text_new(value->data + header.len, value->len - header.len, &version, header.xid);
	if (text)
		text->copied = true;
	return text;
}

bool copy_is_complement(const struct relation *relation, const struct buf *value)
{
	struct header header;

	return read_header(value, &header) && header.partial && relation->n_cold &&
	       header.columns == relation->kept_columns;
}

int copy_cells(const struct relation *relation, const struct buf *value, struct patch *ret)
{
	_cleanup_patch_ struct patch patch = {0};
	struct header header;
	struct error e;
	int r;

	if (!read_header(value, &header))
		return -EINVAL;
	r = json_parse(relation, value->data + header.len, value->len - header.len, &patch, &e);
	for (size_t i = 0; r == 0 && i < relation->n_columns; i++)
		if (patch.present[i] == relation->columns[i].cold)
			r = -EINVAL;
	if (r < 0)
		return r;
	*ret = patch;
	patch = (struct patch){0};
	return 0;
}
