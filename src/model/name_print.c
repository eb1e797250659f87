#include "rowfs/model/name.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "name_escape.h"
#include "utf8.h"

/* A name being printed. `cut` is the last place, at most NAME_CUT bytes in, that lies between
 * units (an escape, a character, a comma). */
struct printing {
	struct buf *out;
	size_t start, cut;
};

static void add_unit(struct printing *p, const char *bytes, size_t len)
{
	buf_add(p->out, bytes, len);
	if (!p->out->failed && p->out->len - p->start <= NAME_CUT)
		p->cut = p->out->len;
}

static void add_escape(struct printing *p, unsigned char byte)
{
	static const char hex[] = "0123456789ABCDEF";

	add_unit(p, (char[]){'%', hex[byte >> 4], hex[byte & 15]}, 3);
}

static bool too_long(const struct printing *p)
{
	return p->out->len - p->start + strlen(NAME_SUFFIX) > NAME_LONG;
}

static void add_part(struct printing *p, struct cell part)
{
	if (!part.data || part.len == 0) {
		add_unit(p, part.data ? "%" : "%-", part.data ? 1 : 2);
		return;
	}

	const char *at = part.data, *end = at + part.len;

	/* The rest of a name that is too long will be cut away: what is not printed costs nothing.
	 */
	while (at < end && !too_long(p)) {
		unsigned char byte = (unsigned char)*at;
		size_t len = utf8_sequence(at, end);

		if (name_must_escape(byte, at == part.data))
			add_escape(p, byte);
		else
			add_unit(p, at, len ? len : 1);
		at += len ? len : 1;
	}
}

/* Close a name that is too long with the hash of the whole key. */
static void add_hash(struct printing *p, const struct cell *key, size_t n)
{
	char hash[NAME_HASH_HEX + 1];

	name_hash(key, n, hash);
	if (!hash[0])
		p->out->failed = true;
	if (p->out->failed)
		return;
	buf_resize(p->out, p->cut);
	buf_adds(p->out, "%~");
	buf_adds(p->out, hash);
}

void name_print(const struct cell *key, size_t n, struct buf *out)
{
	struct printing p = {out, out->len, out->len};

	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			add_unit(&p, ",", 1);
		add_part(&p, key[i]);
	}
	if (too_long(&p))
		add_hash(&p, key, n);
	buf_adds(out, NAME_SUFFIX);
}

void name_print_directory(const char *identifier, struct buf *out)
{
	struct printing p = {out, out->len, out->len};

	for (const char *at = identifier; *at; at++) {
		unsigned char byte = (unsigned char)*at;

		if (byte != ',' && name_must_escape(byte, at == identifier))
			add_escape(&p, byte);
		else
			buf_addc(out, *at);
	}
}

/* False if OpenSSL has no memory. */
static bool hash_key(EVP_MD_CTX *context, const struct cell *key, size_t n, unsigned char *digest)
{
	bool ok = context && EVP_DigestInit_ex(context, EVP_sha256(), NULL);

	for (size_t i = 0; ok && i < n; i++) {
		char head[32] = "-:";

		if (key[i].data)
			snprintf(head, sizeof(head), "%zu:", key[i].len);
		ok = EVP_DigestUpdate(context, head, strlen(head)) &&
		     EVP_DigestUpdate(context, key[i].data, key[i].len);
	}
	return ok && EVP_DigestFinal_ex(context, digest, NULL);
}

void name_hash(const struct cell *key, size_t n, char ret[NAME_HASH_HEX + 1])
{
	static const char hex[] = "0123456789abcdef";
	unsigned char digest[NAME_HASH_HEX / 2];
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool ok = hash_key(context, key, n, digest);

	for (size_t i = 0; ok && i < NAME_HASH_HEX; i++)
		ret[i] = hex[digest[i / 2] >> (i % 2 ? 0 : 4) & 15];
	ret[ok ? NAME_HASH_HEX : 0] = '\0';
	EVP_MD_CTX_free(context);
}
