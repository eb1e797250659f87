/* TLS for one connection to Redis, from OpenSSL itself: hiredis has it from 1.0 on only, and there
 * it wants to own the socket (see connection.h).
 *
 * The server's certificate is always checked: its signature by a CA of `redis_ca=` or of the
 * system, its dates, and that it is for the host that the user wrote. There is no switch that turns
 * this off: unchecked TLS hides nothing from whoever can redirect a connection.
 *
 * The socket does not block. TLS may have to read before it can write, and the other way round, so
 * -EAGAIN comes with `wants`. One thread at a time, as for the connection. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include <openssl/ssl.h>

#include "rowfs/base/cleanup.h"
#include "rowfs/base/error.h"

struct tls {
	SSL *ssl;      /* NULL: plain */
	short wants;   /* after -EAGAIN: what poll(2) must report first */
	bool asked;    /* for a certificate of ours */
	bool heard;    /* a byte has come */
	bool broken;   /* nothing more may be sent, not even a farewell */
	char why[192]; /* what TLS itself was not content with; "" if errno says it all */
};

/* What all connections to one Redis have in common. `ca`: a file of certificates; NULL: the
 * system's. -EINVAL if there are none in it, -errno if it cannot be read. */
int tls_prepare(const char *ca, SSL_CTX **ret, struct error *e) _must_check_;

/* Begin on a connected socket. 0 or -ENOMEM. `host` must live as long. */
int tls_begin(struct tls *tls, SSL_CTX *context, int fd, const char *host) _must_check_;
void tls_end(struct tls *tls);

/* One step of the handshake: 0 when it is done; -EAGAIN; -EPROTO with `why`; -errno. */
int tls_shake(struct tls *tls) _must_check_;

/* As send(2) and recv(2): how many bytes, or the same errors; -ECONNRESET for the end. */
ssize_t tls_send(struct tls *tls, const void *bytes, size_t len) _must_check_;
ssize_t tls_receive(struct tls *tls, void *bytes, size_t size) _must_check_;

/* As tls_receive(), but the byte stays. What TLS sends for itself is no byte. */
ssize_t tls_peek(struct tls *tls) _must_check_;
