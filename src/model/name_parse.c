#include "rowfs/model/name.h"

#include <string.h>

#include "name_escape.h"
#include "utf8.h"

/* Types whose output is narrower than their kind says. */
enum { OID_INT2 = 21, OID_INT4 = 23, OID_UUID = 2950 };

static bool has_suffix(const char *name, size_t len, const char *suffix)
{
	size_t n = strlen(suffix);

	return len >= n && memcmp(name + len - n, suffix, n) == 0;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* 0 to 9, no sign, no needless zero in front. Stops at the first other byte. */
static size_t plain_digits(const char *text)
{
	size_t n = strspn(text, "0123456789");

	return n > 1 && text[0] == '0' ? 0 : n;
}

/* Decimal digits without leading zeros compare by length, then as text. */
static bool at_most(const char *digits, size_t len, const char *limit)
{
	return len < strlen(limit) || (len == strlen(limit) && memcmp(digits, limit, len) <= 0);
}

static bool could_be_integer(uint32_t oid, const char *text, size_t len)
{
	bool negative = text[0] == '-';
	const char *digits = text + negative;
	size_t n = plain_digits(digits);

	if (n == 0 || n + negative != len || (negative && digits[0] == '0'))
		return false;
	switch (oid) {
	case OID_INT2:
		return at_most(digits, n, negative ? "32768" : "32767");
	case OID_INT4:
		return at_most(digits, n, negative ? "2147483648" : "2147483647");
	default: /* bigint, and domains over any of the three */
		return at_most(digits, n, negative ? "9223372036854775808" : "9223372036854775807");
	}
}

/* 8-4-4-4-12 lower-case hex digits. */
static bool could_be_uuid(const char *text, size_t len)
{
	if (len != 36)
		return false;
	for (size_t i = 0; i < len; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;
		bool hex = is_digit(text[i]) || (text[i] >= 'a' && text[i] <= 'f');

		if (dash ? text[i] != '-' : !hex)
			return false;
	}
	return true;
}

static bool could_be_oid(const char *text, size_t len)
{
	size_t n = plain_digits(text);

	return n == len && n > 0 && at_most(text, n, "4294967295");
}

/* "(block,offset)" */
static bool could_be_ctid(const char *text, size_t len)
{
	if (len < 5 || text[0] != '(' || text[len - 1] != ')')
		return false;

	const char *block = text + 1;
	size_t n = plain_digits(block);
	const char *offset = block + n + 1;

	if (n == 0 || !at_most(block, n, "4294967295") || block[n] != ',')
		return false;

	size_t m = plain_digits(offset);

	return m > 0 && at_most(offset, m, "65535") && offset + m == text + len - 1;
}

/* Could PostgreSQL print this as the part `i` of a key of this relation? */
static bool could_be_part(const struct relation *relation, size_t i, struct cell part)
{
	if (relation->key_kind != KEY_COLUMNS) {
		bool last = i + 1 == relation_key_len(relation);

		if (!part.data)
			return false;
		return last ? could_be_ctid(part.data, part.len)
		            : could_be_oid(part.data, part.len);
	}
	if (!part.data)
		return relation->parts[i].nullable;

	const struct type *type = relation->columns[relation->parts[i].column].type;

	if (type->kind == TYPE_INTEGER)
		return could_be_integer(type->oid, part.data, part.len);
	if (type->kind == TYPE_BOOL)
		return part.len == 1 && (part.data[0] == 't' || part.data[0] == 'f');
	if (type->oid == OID_UUID)
		return could_be_uuid(part.data, part.len);
	return true;
}

/* Can the key be so long that its name is cut? Not one of numbers, booleans and a few uuids, for
 * which looking a hash up would scan the table to find nothing. */
static bool could_be_long(const struct relation *relation)
{
	const size_t part_max = strlen("01234567-89ab-cdef-0123-456789abcdef,");

	for (size_t i = 0; relation->key_kind == KEY_COLUMNS && i < relation->n_parts; i++) {
		const struct type *type = relation->columns[relation->parts[i].column].type;

		if (type->kind != TYPE_INTEGER && type->kind != TYPE_BOOL && type->oid != OID_UUID)
			return true;
	}
	return relation_key_len(relation) * part_max > NAME_LONG - strlen(NAME_SUFFIX);
}

/* The value of an upper-case hex digit, -1 for what is none. */
static int hex_value(char c)
{
	if (is_digit(c))
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The byte that an escape at `p` stands for; -1 if it is none, or for a byte that is not escaped,
 * or for NUL, which no text of PostgreSQL holds. */
static int unescape(const char *p, const char *end, bool leading)
{
	if (end - p < 3)
		return -1;

	int high = hex_value(p[1]), low = hex_value(p[2]);

	if (high < 0 || low < 0)
		return -1;

	int byte = high * 16 + low;

	return byte > 0 && name_must_escape((unsigned char)byte, leading) ? byte : -1;
}

/* Decode the bytes [p, end) of one part to `to`, which has room for as many; false if they are not
 * spelled as name_print does. */
static bool decode(const char *p, const char *end, char *to, size_t *ret_len)
{
	const char *start = p;
	char *out = to;

	while (p < end) {
		bool escaped = *p == '%';
		int byte = escaped ? unescape(p, end, p == start) : (unsigned char)*p;

		if (byte < 0 || (!escaped && name_must_escape((unsigned char)byte, p == start)))
			return false;
		*out++ = (char)byte;
		p += escaped ? 3 : 1;
	}
	*out = '\0';
	*ret_len = (size_t)(out - to);
	return true;
}

static bool parse_part(const char *p, const char *end, char *to, struct cell *ret)
{
	size_t len;

	if (p == end)
		return false;
	if (end - p == 1 && *p == '%') {
		*to = '\0';
		*ret = (struct cell){to, 0};
		return true;
	}
	if (end - p == 2 && memcmp(p, "%-", 2) == 0) {
		*ret = (struct cell){0};
		return true;
	}
	if (!decode(p, end, to, &len))
		return false;
	*ret = (struct cell){to, len};
	return true;
}

/* The stem is at most NAME_LONG bytes here, and n parts need n - 1 of them for commas. */
static enum name_kind parse_key(const struct relation *relation, const char *stem, size_t len,
                                struct cells *ret)
{
	struct cell key[NAME_LONG];
	char bytes[NAME_LONG + 1], *to = bytes;
	const char *p = stem, *end = stem + len;
	size_t n = 0;

	for (;; p++) {
		const char *comma = memchr(p, ',', (size_t)(end - p));
		const char *stop = comma ? comma : end;

		if (n == relation_key_len(relation) || !parse_part(p, stop, to, &key[n]) ||
		    !could_be_part(relation, n, key[n]))
			return NAME_INVALID;
		to += key[n++].len + 1;
		if (!comma)
			break;
		p = comma;
	}
	if (n != relation_key_len(relation) || cells_copy(key, n, ret) < 0)
		return NAME_INVALID;
	return NAME_ROW;
}

/* Is this what name_print keeps of a long name: as many whole units, each spelled its way, as
 * fit into NAME_CUT bytes? What was cut off is unknown, so the length can only be checked against
 * the longest unit, four bytes. */
static bool is_kept_prefix(const struct relation *relation, const char *p, size_t len)
{
	const char *end = p + len;
	char bytes[NAME_CUT + 1];
	struct cell part;
	size_t commas = 0;

	if (len > NAME_CUT || len + 3 < NAME_CUT)
		return false;
	for (;; p++, commas++) {
		const char *comma = memchr(p, ',', (size_t)(end - p));

		/* After the last comma there may be nothing: then the cut came just there. */
		if (!comma)
			return commas < relation_key_len(relation) &&
			       (p == end || parse_part(p, end, bytes, &part));
		if (!parse_part(p, comma, bytes, &part))
			return false;
		p = comma;
	}
}

/* Gives the hash of a stem that ends in "%~" and 64 hex digits; NAME_SCRATCH if it does not, and
 * so has to be a key written out. */
static enum name_kind parse_hashed(const struct relation *relation, const char *stem, size_t len,
                                   char *ret)
{
	if (len < NAME_HASH_HEX + 2)
		return NAME_SCRATCH;

	const char *hash = stem + len - NAME_HASH_HEX;

	if (memcmp(hash - 2, "%~", 2) != 0)
		return NAME_SCRATCH;
	if (!could_be_long(relation) || strspn(hash, "0123456789abcdef") < NAME_HASH_HEX ||
	    !is_kept_prefix(relation, stem, len - NAME_HASH_HEX - 2))
		return NAME_INVALID;
	memcpy(ret, hash, NAME_HASH_HEX);
	ret[NAME_HASH_HEX] = '\0';
	return NAME_HASHED;
}

bool name_is_reserved(const char *name)
{
	size_t len = strlen(name);

	return has_suffix(name, len, ".yaml") || has_suffix(name, len, ".csv") ||
	       has_suffix(name, len, ".tsv");
}

bool name_is_hashed(const char *name)
{
	return strstr(name, "%~");
}

enum name_kind name_parse(const struct relation *relation, const char *name, struct cells *ret_key,
                          char ret_hash[NAME_HASH_HEX + 1])
{
	size_t len = strlen(name);

	if (name[0] == '.')
		return NAME_SCRATCH;
	if (name_is_reserved(name))
		return NAME_INVALID;
	if (!has_suffix(name, len, NAME_SUFFIX))
		return NAME_SCRATCH;
	if (len > NAME_LONG || utf8_valid(name, len) < len)
		return NAME_INVALID;
	len -= strlen(NAME_SUFFIX);

	enum name_kind kind = parse_hashed(relation, name, len, ret_hash);

	return kind == NAME_SCRATCH ? parse_key(relation, name, len, ret_key) : kind;
}
