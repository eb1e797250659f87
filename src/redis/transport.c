#include "transport.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "rowfs/base/clock.h"

/* 0 when the socket is ready; -ETIMEDOUT at the deadline. */
static int await(int fd, short events, int64_t deadline_us)
{
	struct pollfd p = {.fd = fd, .events = events};

	for (;;) {
		int64_t left = deadline_us - clock_monotonic_us();
		struct timespec timeout = {.tv_sec = left / 1000000,
		                           .tv_nsec = left % 1000000 * 1000};
		int n;

		if (left <= 0)
			return -ETIMEDOUT;
		n = ppoll(&p, 1, &timeout, NULL);
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

static int socket_connect(const struct endpoint *endpoint, int64_t deadline_us, int *ret)
{
	_cleanup_close_ int fd =
	        socket(endpoint->at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int error = 0, on = 1, r;
	socklen_t len = sizeof(error);

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&endpoint->at, endpoint->len) < 0) {
		/* A unix socket whose backlog is full says EAGAIN: as good as a timeout. */
		if (errno != EINPROGRESS)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		r = await(fd, POLLOUT, deadline_us);
		if (r)
			return r;
		if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
			return -errno;
		if (error)
			return -error;
	}
	if (endpoint->at.ss_family != AF_UNIX)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	*ret = fd;
	fd = -1;
	return 0;
}

static int shake(struct transport *transport, int64_t deadline_us)
{
	int r;

	while ((r = tls_shake(&transport->tls)) == -EAGAIN) {
		r = await(transport->fd, transport->tls.wants, deadline_us);
		if (r)
			return r;
	}
	return r;
}

static int start_tls(struct transport *transport, const struct address *address,
                     int64_t deadline_us, struct error *e)
{
	int r = tls_begin(&transport->tls, address->tls, transport->fd, address->host);

	if (r)
		return error_set(e, ENOMEM, "out of memory");
	r = shake(transport, deadline_us);
	if (!r)
		return 0;
	if (*transport->tls.why)
		return error_set(e, -r, "Redis at %s: %s", address->label, transport->tls.why);
	return error_set(e, -r, "Redis at %s: no TLS connection: %s", address->label, strerror(-r));
}

int transport_open(struct transport *transport, const struct address *address,
                   const struct endpoint *endpoint, int64_t deadline_us, struct error *e)
{
	int r;

	*transport = (struct transport){.fd = -1};
	r = socket_connect(endpoint, deadline_us, &transport->fd);
	if (r)
		return error_set(e, -r, "Redis at %s cannot be reached: %s", address->label,
		                 strerror(-r));
	if (address->tls)
		r = start_tls(transport, address, deadline_us, e);
	if (r)
		transport_close(transport);
	return r;
}

void transport_close(struct transport *transport)
{
	tls_end(&transport->tls);
	if (transport->fd >= 0)
		close(transport->fd);
	transport->fd = -1;
}

static ssize_t send_some(struct transport *transport, const char *bytes, size_t len)
{
	ssize_t n;

	if (transport->tls.ssl)
		return tls_send(&transport->tls, bytes, len);
	do
		n = send(transport->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n < 0 ? errno == EPIPE ? -ECONNRESET : -errno : n;
}

int transport_send(struct transport *transport, const char *bytes, size_t len, int64_t deadline_us)
{
	while (len) {
		ssize_t n = send_some(transport, bytes, len);
		int r;

		if (n >= 0) {
			bytes += n;
			len -= (size_t)n;
			continue;
		}
		if (n != -EAGAIN)
			return (int)n;
		r = await(transport->fd, transport->tls.ssl ? transport->tls.wants : POLLOUT,
		          deadline_us);
		if (r)
			return r;
	}
	return 0;
}

static ssize_t receive(int fd, void *bytes, size_t size, int flags)
{
	ssize_t n;

	do
		n = recv(fd, bytes, size, MSG_DONTWAIT | flags);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n == 0 ? -ECONNRESET : n;
}

ssize_t transport_receive(struct transport *transport, void *bytes, size_t size)
{
	if (transport->tls.ssl)
		return tls_receive(&transport->tls, bytes, size);
	return receive(transport->fd, bytes, size, 0);
}

int transport_await(struct transport *transport, int64_t deadline_us)
{
	return await(transport->fd, transport->tls.ssl ? transport->tls.wants : POLLIN,
	             deadline_us);
}

ssize_t transport_peek(struct transport *transport)
{
	char byte;

	if (transport->tls.ssl)
		return tls_peek(&transport->tls);
	return receive(transport->fd, &byte, 1, MSG_PEEK);
}

const char *transport_why(const struct transport *transport, int err)
{
	return *transport->tls.why ? transport->tls.why : strerror(err);
}

/* --- TLS here, none there, or the other way round --------------------------------------------- */

/* Redis answers even those that it will not serve. */
static bool answers_plainly(struct transport *transport, int64_t deadline_us)
{
	static const char ping[] = "PING\r\n";
	char byte;
	ssize_t n;

	if (transport_send(transport, ping, strlen(ping), deadline_us))
		return false;
	while ((n = transport_receive(transport, &byte, 1)) == -EAGAIN)
		if (transport_await(transport, deadline_us))
			return false;
	return n == 1 && (byte == '+' || byte == '-');
}

/* Nothing is sent but the handshake, so no certificate needs to count. */
static bool answers_tls(struct transport *transport, const char *host, int64_t deadline_us)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	bool answers = context && !tls_begin(&transport->tls, context, transport->fd, host) &&
	               !shake(transport, deadline_us);

	SSL_CTX_free(context);
	return answers;
}

bool transport_mismatch(const struct address *address, const struct endpoint *endpoint,
                        struct error *e)
{
	int64_t deadline = clock_monotonic_us() + MISMATCH_MS * INT64_C(1000);
	struct transport other = {.fd = -1};
	bool answers;

	if (address->kind != ADDRESS_TCP || socket_connect(endpoint, deadline, &other.fd))
		return false;
	answers = address->tls ? answers_plainly(&other, deadline)
	                       : answers_tls(&other, address->host, deadline);
	transport_close(&other);
	if (answers)
		error_set(e, EPROTO,
		          address->tls ? "Redis at %s does not speak TLS on this port"
		                       : "Redis at %s speaks TLS on this port: use rediss://",
		          address->label);
	return answers;
}
