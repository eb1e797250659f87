#include "rowfs/engine/copy.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void copy_key(const struct rowref *ref, struct buf *out)
{
	buf_addf(out, "a:%" PRIu32 ":", ref->relation->oid);
	buf_add(out, ref->name, strlen(ref->name) - strlen(NAME_SUFFIX));
}

void copy_print(const struct relation *relation, const struct text *text, int64_t ttl_ms,
		struct buf *out)
{
	buf_addf(out, "ttl:%" PRId64 " %016" PRIx64 " %" PRIu32 " %jd.%09ld %016" PRIx64 "\n", ttl_ms,
		 relation->fingerprint, text->xid, (intmax_t)text->version.mtime.tv_sec,
		 text->version.mtime.tv_nsec, text->version.hash);
	buf_add(out, text->data, text->len);
}

struct text *copy_parse(const struct relation *relation, const struct buf *value, int64_t ttl_ms,
			bool *ret_garbage)
{
	const char *line_end = value->len ? memchr(value->data, '\n', value->len) : NULL;
	uint64_t fingerprint, hash;
	int64_t lives_ms;
	struct version version;
	struct timespec mtime;
	struct text *text;
	intmax_t seconds;
	uint32_t xid;
	size_t head;
	int used = 0;

	*ret_garbage = true;
	if (!line_end ||
	    sscanf(value->data, "ttl:%" SCNd64 " %16" SCNx64 " %" SCNu32 " %jd.%9ld %16" SCNx64 "%n",
		   &lives_ms, &fingerprint, &xid, &seconds, &mtime.tv_nsec, &hash, &used) != 6 ||
	    value->data + used != line_end || mtime.tv_nsec < 0)
		return NULL;
	mtime.tv_sec = (time_t)seconds;
	head = (size_t)(line_end + 1 - value->data);
	version = version_of(line_end + 1, value->len - head, &mtime);
	if (version.hash != hash) /* cut, or damaged */
		return NULL;
	*ret_garbage = false;
	if (fingerprint != relation->fingerprint || lives_ms > ttl_ms)
		return NULL;
	text = text_new(line_end + 1, value->len - head, &version, xid);
	if (text)
		text->copied = true;
	return text;
}
