#include "sizes.h"

#include <endian.h>
#include <inttypes.h>
#include <string.h>
#include <xxhash.h>

#include "rowfs/engine/copy.h"

/* As they are in Redis. */
enum { AT_NAME = 0, AT_HASH = 8, AT_SIZE = 16, AT_XID = 20, RECORD_SIZE = 24 };

bool sizes_may_be_kept(const struct relation *relation)
{
	return relation->has_xmin && relation->key_kind == KEY_COLUMNS && !relation->key_unproven &&
	       !relation_key_nullable(relation);
}

uint64_t sizes_name(const char *name)
{
	return XXH3_64bits(name, strlen(name));
}

bool sizes_begin_chunk(uint64_t name)
{
	return name % CHUNK_ROWS == 0;
}

void sizes_print_key(uint32_t relation, uint64_t chunk, struct buf *out)
{
	buf_addf(out, "s:%" PRIu32 ":%016" PRIx64, relation, chunk);
}

void sizes_add(struct buf *records, const struct size_record *record)
{
	char bytes[RECORD_SIZE];

	memcpy(bytes + AT_NAME, &(uint64_t){htole64(record->name)}, sizeof(uint64_t));
	memcpy(bytes + AT_HASH, &(uint64_t){htole64(record->hash)}, sizeof(uint64_t));
	memcpy(bytes + AT_SIZE, &(uint32_t){htole32(record->size)}, sizeof(uint32_t));
	memcpy(bytes + AT_XID, &(uint32_t){htole32(record->xid)}, sizeof(uint32_t));
	buf_add(records, bytes, sizeof bytes);
}

static struct size_record record_at(const char *records, size_t i)
{
	const char *bytes = records + i * RECORD_SIZE;
	struct size_record record;

	memcpy(&record.name, bytes + AT_NAME, sizeof record.name);
	memcpy(&record.hash, bytes + AT_HASH, sizeof record.hash);
	memcpy(&record.size, bytes + AT_SIZE, sizeof record.size);
	memcpy(&record.xid, bytes + AT_XID, sizeof record.xid);
	return (struct size_record){le64toh(record.name), le64toh(record.hash), le32toh(record.size), le32toh(record.xid)};
}

static void print_head(const struct relation *relation, const struct cache_proof *proof, const char *records, size_t len,
		       struct buf *out)
{
	struct copy_terms terms = {.proof = proof};

	copy_print_head(relation, &terms, out);
	buf_addf(out, "%016" PRIx64 "\n", (uint64_t)XXH3_64bits(records, len));
}

void sizes_print(const struct relation *relation, const struct cache_proof *proof, const struct buf *records,
		 struct buf *out)
{
	print_head(relation, proof, records->data, records->len, out);
	buf_add(out, records->data, records->len);
}

bool sizes_parse(const struct relation *relation, const struct cache_proof *proof, const struct buf *value,
		 const char **ret_records, size_t *ret_n)
{
	const char *end = value->len ? memchr(value->data, '\n', value->len) : NULL;
	_cleanup_buf_ struct buf head = {0};
	size_t head_len, len;

	if (!end)
		return false;
	head_len = (size_t)(end + 1 - value->data);
	len = value->len - head_len;
	print_head(relation, proof, end + 1, len, &head);
	if (head.failed || len % RECORD_SIZE != 0 || !buf_equal(&head, value->data, head_len))
		return false;
	*ret_records = end + 1;
	*ret_n = len / RECORD_SIZE;
	return true;
}

bool sizes_find(const char *records, size_t n, size_t *at, uint64_t name, struct size_record *ret)
{
	for (size_t i = 0; i < n; i++) {
		size_t place = (*at + i) % n;

		*ret = record_at(records, place);
		if (ret->name == name) {
			*at = place + 1;
			return true;
		}
	}
	return false;
}
