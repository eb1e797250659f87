/* Where Redis is and how to get in: what `redis=` says, taken apart.
 *
 *   redis://[user:password@]host[:port][/db]      "%40" for an @ and so on, IPv6 as [::1]
 *   rediss://…                                    the same, through TLS (tls.h)
 *   unix:PATH[?db=N]
 *   none
 *
 * The password may also come from a file or the environment, which keeps it out of argv. `label` is
 * the address as status and messages show it: without user and password. */
#pragma once

#include <sys/socket.h>

#include "rowfs/base/cleanup.h"
#include "rowfs/base/error.h"
#include "rowfs/base/settings.h"

enum address_kind { ADDRESS_NONE, ADDRESS_TCP, ADDRESS_UNIX };

struct address {
	enum address_kind kind;
	char *host; /* TCP: name or number; unix: path */
	char *port;
	char *user;     /* NULL: Redis' default user */
	char *password; /* NULL: no AUTH */
	unsigned db;
	struct ssl_ctx_st *tls; /* NULL: plain */
	char label[256];
};

/* Returns 0, -EINVAL for what cannot be understood, -errno for a file that cannot be read (password,
 * certificates), -ENOMEM. */
int address_parse(const struct settings *settings, struct address *ret,
                  struct error *e) _must_check_;
void address_done(struct address *address);

#define _cleanup_address_ _cleanup_(address_done)

/* One place to connect to. */
struct endpoint {
	struct sockaddr_storage at;
	socklen_t len;
};

enum { ADDRESS_ENDPOINTS = 8 };

/* Look the host up; may block as long as the resolver does. Returns how many endpoints (at least
 * one), or -errno. */
int address_resolve(const struct address *address, struct endpoint ret[ADDRESS_ENDPOINTS],
                    struct error *e) _must_check_;
