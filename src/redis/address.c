#include "address.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

#include "rowfs/engine/cache.h"
#include "tls.h"

/* Redis numbers its databases with an int; no server has more than a few thousand. */
enum { ADDRESS_DB_MAX = 65535 };

#define FORMS "redis://[user:password@]host[:port][/db], rediss://… with TLS, unix:PATH or none"

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		return (c | 0x20) - 'a' + 10;
	return -1;
}

/* Undo %XX. A '%' that starts no escape, or an escaped NUL, cannot be meant: -EINVAL. */
static int decode(const char *from, size_t len, char **ret)
{
	char *to = malloc(len + 1), *out = to;

	if (!to)
		return -ENOMEM;
	for (size_t i = 0; i < len; i++) {
		int high, low;

		if (from[i] != '%') {
			*out++ = from[i];
			continue;
		}
		high = i + 2 < len ? hex_value(from[i + 1]) : -1;
		low = high >= 0 ? hex_value(from[i + 2]) : -1;
		if (low < 0 || high * 16 + low == 0) {
			free(to);
			return -EINVAL;
		}
		*out++ = (char)(high * 16 + low);
		i += 2;
	}
	*out = '\0';
	*ret = to;
	return 0;
}

static int parse_number(const char *text, unsigned max, unsigned *ret)
{
	unsigned value = 0;

	if (!*text)
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		value = value * 10 + (unsigned)(*text - '0');
		if (value > max)
			return -EINVAL;
	}
	*ret = value;
	return 0;
}

static int malformed(struct error *e, const char *what)
{
	/* The address itself is not repeated: it may hold a password. */
	return error_set(e, EINVAL, "redis=: %s; the forms are " FORMS, what);
}

/* user:password, user, or :password */
static int parse_credentials(const char *at, size_t len, struct address *ret, struct error *e)
{
	const char *colon = memchr(at, ':', len);
	size_t user_len = colon ? (size_t)(colon - at) : len;
	int r = 0;

	if (user_len)
		r = decode(at, user_len, &ret->user);
	if (!r && colon)
		r = decode(colon + 1, len - user_len - 1, &ret->password);
	if (r == -EINVAL)
		return malformed(e, "a '%' in the user or password starts no %XX escape");
	return r ? error_set(e, ENOMEM, "out of memory") : 0;
}

/* host, host:port, [::1]:port */
static int parse_host(const char *at, size_t len, struct address *ret, struct error *e)
{
	const char *end = at + len, *host = at, *host_end, *port;
	unsigned number;

	if (len && *at == '[') {
		host = at + 1;
		host_end = memchr(at, ']', len);
		if (!host_end)
			return malformed(e, "the ']' after the host is missing");
		port = host_end + 1;
	} else {
		host_end = memchr(at, ':', len);
		host_end = host_end ? host_end : end;
		port = host_end;
	}
	if (port < end && *port != ':')
		return malformed(e, "what follows the host is no port");
	ret->host =
	        host_end > host ? strndup(host, (size_t)(host_end - host)) : strdup("localhost");
	ret->port = port < end ? strndup(port + 1, (size_t)(end - port - 1)) : strdup("6379");
	if (!ret->host || !ret->port)
		return error_set(e, ENOMEM, "out of memory");
	if (parse_number(ret->port, 65535, &number) || !number)
		return malformed(e, "the port is no number between 1 and 65535");
	return 0;
}

/* `text`: what follows the scheme. */
static int parse_tcp(const char *text, const char *scheme, struct address *ret, struct error *e)
{
	size_t len = strcspn(text, "/?#");
	const char *credentials_end = memrchr(text, '@', len), *host = text, *db = text + len;
	int r = 0;

	ret->kind = ADDRESS_TCP;
	if (credentials_end) {
		r = parse_credentials(text, (size_t)(credentials_end - text), ret, e);
		host = credentials_end + 1;
	}
	if (r)
		return r;
	r = parse_host(host, (size_t)(text + len - host), ret, e);
	if (r)
		return r;
	if (*db == '/')
		db++;
	if (*db && parse_number(db, ADDRESS_DB_MAX, &ret->db))
		return malformed(e, "what follows the host is no database number");
	snprintf(ret->label, sizeof(ret->label),
	         strchr(ret->host, ':') ? "%s[%s]:%s/%u" : "%s%s:%s/%u", scheme, ret->host,
	         ret->port, ret->db);
	return 0;
}

static int parse_unix(const char *text, struct address *ret, struct error *e)
{
	const char *query = strstr(text, "?db=");
	size_t len = query ? (size_t)(query - text) : strlen(text);

	ret->kind = ADDRESS_UNIX;
	if (!len)
		return malformed(e, "the socket's path is missing");
	if (len >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return malformed(e,
		                 "the socket's path is longer than the system allows (107 bytes)");
	if (query && parse_number(query + 4, ADDRESS_DB_MAX, &ret->db))
		return malformed(e, "what follows ?db= is no database number");
	ret->host = strndup(text, len);
	if (!ret->host)
		return error_set(e, ENOMEM, "out of memory");
	snprintf(ret->label, sizeof(ret->label), "unix:%s", text);
	return 0;
}

static int parse_form(const char *text, struct address *ret, struct error *e)
{
	if (strcmp(text, "none") == 0) {
		ret->kind = ADDRESS_NONE;
		strcpy(ret->label, "none");
		return 0;
	}
	if (strncasecmp(text, "redis://", 8) == 0)
		return parse_tcp(text + 8, "redis://", ret, e);
	if (strncasecmp(text, "rediss://", 9) == 0)
		return parse_tcp(text + 9, "rediss://", ret, e);
	if (strncasecmp(text, "unix:", 5) == 0)
		return parse_unix(text + 5, ret, e);
	return malformed(e, "not an address");
}

/* First line of the file; the newline at its end is not part of the password. */
static int read_password(const char *path, char **ret, struct error *e)
{
	char line[1024];
	FILE *file = fopen(path, "re");

	if (!file)
		return error_set(e, errno, "redis_passfile: %s: %s", path, strerror(errno));
	if (!fgets(line, sizeof(line), file))
		line[0] = '\0';
	fclose(file);
	line[strcspn(line, "\r\n")] = '\0';
	if (!line[0])
		return error_set(e, EINVAL, "redis_passfile: %s: its first line is empty", path);
	*ret = strdup(line);
	explicit_bzero(line, sizeof(line));
	return *ret ? 0 : error_set(e, ENOMEM, "out of memory");
}

static int find_password(const struct settings *settings, struct address *address, struct error *e)
{
	const char *from_environment = getenv(CACHE_PASSWORD_VARIABLE);
	char *password = NULL;
	int r;

	if (settings->redis_passfile) {
		r = read_password(settings->redis_passfile, &password, e);
		if (r)
			return r;
	} else if (!address->password && from_environment && *from_environment) {
		password = strdup(from_environment);
		if (!password)
			return error_set(e, ENOMEM, "out of memory");
	}
	if (password) {
		free(address->password);
		address->password = password;
	}
	if (address->user && !address->password)
		return malformed(e, "a user without a password");
	return 0;
}

/* Who names a CA expects TLS; to go on without it would betray that. */
static int find_ca(const struct settings *settings, struct address *address, struct error *e)
{
	if (address->kind != ADDRESS_TCP)
		return 0;
	if (strncmp(address->label, "rediss://", 9) == 0)
		return tls_prepare(settings->redis_ca, &address->tls, e);
	if (settings->redis_ca)
		return error_set(e, EINVAL, "redis_ca= needs TLS, which redis=rediss://… asks for");
	return 0;
}

int address_parse(const struct settings *settings, struct address *ret, struct error *e)
{
	_cleanup_address_ struct address address = {0};
	int r = parse_form(settings->redis ? settings->redis : "none", &address, e);

	if (!r && address.kind != ADDRESS_NONE)
		r = find_password(settings, &address, e);
	if (!r)
		r = find_ca(settings, &address, e);
	if (r)
		return r;
	*ret = address;
	address = (struct address){0};
	return 0;
}

void address_done(struct address *address)
{
	if (address->password)
		explicit_bzero(address->password, strlen(address->password));
	free(address->password);
	free(address->user);
	free(address->host);
	free(address->port);
	SSL_CTX_free(address->tls);
	*address = (struct address){0};
}

static int resolve_unix(const struct address *address, struct endpoint *ret)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&ret->at;

	*ret = (struct endpoint){.len = sizeof(*un)};
	un->sun_family = AF_UNIX;
	strcpy(un->sun_path, address->host); /* its length was checked by parse_unix() */
	return 1;
}

int address_resolve(const struct address *address, struct endpoint ret[ADDRESS_ENDPOINTS],
                    struct error *e)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
	int n = 0, r;

	if (address->kind == ADDRESS_UNIX)
		return resolve_unix(address, ret);
	r = getaddrinfo(address->host, address->port, &hints, &list);
	if (r)
		return error_set(e, EHOSTUNREACH, "%s: %s", address->label,
		                 r == EAI_SYSTEM ? strerror(errno) : gai_strerror(r));
	for (struct addrinfo *i = list; i && n < ADDRESS_ENDPOINTS; i = i->ai_next) {
		ret[n] = (struct endpoint){.len = i->ai_addrlen};
		memcpy(&ret[n++].at, i->ai_addr, i->ai_addrlen);
	}
	freeaddrinfo(list);
	return n;
}
