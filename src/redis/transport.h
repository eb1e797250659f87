/* The bytes to and from one Redis: a socket, or TLS over it. Nothing blocks beyond its deadline. */
#pragma once

#include <stdint.h>

#include "address.h"
#include "tls.h"

struct transport {
	int fd; /* -1: none */
	struct tls tls;
};

/* Connect, and shake hands if the address says rediss://. Returns 0 or -errno, with the reason. */
int transport_open(struct transport *transport, const struct address *address,
                   const struct endpoint *endpoint, int64_t deadline_us,
                   struct error *e) _must_check_;
void transport_close(struct transport *transport);

/* All of it. 0 or -errno. */
int transport_send(struct transport *transport, const char *bytes, size_t len,
                   int64_t deadline_us) _must_check_;

/* What has come: how many bytes; -EAGAIN if that is nothing; -ECONNRESET at the end; -errno. */
ssize_t transport_receive(struct transport *transport, void *bytes, size_t size) _must_check_;

/* After that -EAGAIN: until there may be more. 0, -ETIMEDOUT, -errno. */
int transport_await(struct transport *transport, int64_t deadline_us) _must_check_;

/* As transport_receive(), but leaves the first byte where it is. */
ssize_t transport_peek(struct transport *transport) _must_check_;

/* `err` in words, or what TLS was not content with. */
const char *transport_why(const struct transport *transport, int err);

/* Has this failed because one side speaks TLS and the other does not? Asks the port the other way,
 * for MISMATCH_MS at most; true if it answers that, with words for it. For a thread that serves
 * nobody. */
enum { MISMATCH_MS = 50 };

bool transport_mismatch(const struct address *address, const struct endpoint *endpoint,
                        struct error *e);
