#include "tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

/* --- The socket as OpenSSL sees it: its own would raise SIGPIPE ------------------------------- */

static int socket_of(BIO *bio)
{
	return (int)(intptr_t)BIO_get_data(bio);
}

static int socket_write(BIO *bio, const char *bytes, int len)
{
	ssize_t n = send(socket_of(bio), bytes, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT);

	BIO_clear_retry_flags(bio);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_write(bio);
	return (int)n;
}

static int socket_read(BIO *bio, char *bytes, int size)
{
	ssize_t n = recv(socket_of(bio), bytes, (size_t)size, MSG_DONTWAIT);

	BIO_clear_retry_flags(bio);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_read(bio);
	if (n == 0)
		errno = ECONNRESET;
	return (int)n;
}

static long socket_control(BIO *bio, int command, long number, void *pointer)
{
	return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *socket_method;

static void make_socket_method(void)
{
	BIO_METHOD *method =
	        BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "rowfs socket");

	if (method && BIO_meth_set_write(method, socket_write) &&
	    BIO_meth_set_read(method, socket_read) && BIO_meth_set_ctrl(method, socket_control))
		socket_method = method;
	else
		BIO_meth_free(method);
}

static BIO *socket_bio(int fd)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	BIO *bio;

	pthread_once(&once, make_socket_method);
	bio = socket_method ? BIO_new(socket_method) : NULL;
	if (bio) {
		BIO_set_data(bio, (void *)(intptr_t)fd);
		BIO_set_init(bio, 1);
	}
	return bio;
}

/* --- What is demanded of the other side ------------------------------------------------------- */

static int load_ca(SSL_CTX *context, const char *ca, struct error *e)
{
	FILE *file;

	if (!ca)
		return SSL_CTX_set_default_verify_paths(context)
		               ? 0
		               : error_set(e, EIO, "the system's CA certificates cannot be read");
	file = fopen(ca, "re");
	if (!file)
		return error_set(e, errno, "redis_ca: %s: %s", ca, strerror(errno));
	fclose(file);
	if (!SSL_CTX_load_verify_locations(context, ca, NULL))
		return error_set(e, EINVAL, "redis_ca: %s: no certificate in PEM form is in it",
		                 ca);
	return 0;
}

/* The other side asks for a certificate, of which there is none. */
static int note_asked(SSL *ssl, X509 **certificate, EVP_PKEY **key)
{
	struct tls *tls = SSL_get_app_data(ssl);

	tls->asked = true;
	return 0;
}

int tls_prepare(const char *ca, SSL_CTX **ret, struct error *e)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	int r;

	if (!context || !SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION)) {
		SSL_CTX_free(context);
		return error_set(e, ENOMEM, "OpenSSL offers no TLS 1.2");
	}
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_client_cert_cb(context, note_asked);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(context,
	                 SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	r = load_ca(context, ca, e);
	ERR_clear_error();
	if (r) {
		SSL_CTX_free(context);
		return r;
	}
	*ret = context;
	return 0;
}

/* A number is compared with the certificate's addresses, and is no server name. */
static bool expect_host(SSL *ssl, const char *host)
{
	struct in6_addr number;

	if (inet_pton(AF_INET, host, &number) == 1 || inet_pton(AF_INET6, host, &number) == 1)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

int tls_begin(struct tls *tls, SSL_CTX *context, int fd, const char *host)
{
	SSL *ssl = SSL_new(context);
	BIO *bio = ssl ? socket_bio(fd) : NULL;

	if (!bio || !expect_host(ssl, host)) {
		BIO_free(bio);
		SSL_free(ssl);
		ERR_clear_error();
		return -ENOMEM;
	}
	SSL_set_bio(ssl, bio, bio);
	SSL_set_connect_state(ssl);
	SSL_set_app_data(ssl, tls);
	*tls = (struct tls){.ssl = ssl};
	return 0;
}

/* The farewell is sent if there is room for it, and its answer not awaited. */
void tls_end(struct tls *tls)
{
	if (tls->ssl && !tls->broken && SSL_is_init_finished(tls->ssl))
		SSL_shutdown(tls->ssl);
	SSL_free(tls->ssl);
	ERR_clear_error();
	*tls = (struct tls){0};
}

/* --- Steps, and why one failed ---------------------------------------------------------------- */

/* Why a certificate does not count, in the user's terms; what is not here is told in OpenSSL's. */
static const struct {
	long code;
	const char *words;
} certificate_words[] = {
        {X509_V_ERR_HOSTNAME_MISMATCH, "its certificate is for another host"},
        {X509_V_ERR_IP_ADDRESS_MISMATCH, "its certificate is for another address"},
        {X509_V_ERR_CERT_HAS_EXPIRED, "its certificate has expired"},
        {X509_V_ERR_CERT_NOT_YET_VALID, "its certificate is not valid yet"},
        {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, "its certificate is from an unknown CA"},
        {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, "its certificate is from an unknown CA"},
        {X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, "its certificate is from an unknown CA"},
        {X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, "its certificate is from an unknown CA"},
        {X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, "its certificate is from an unknown CA"},
        {X509_V_ERR_CERT_SIGNATURE_FAILURE, "its certificate is from an unknown CA"},
};

static void explain_certificate(struct tls *tls, long code)
{
	const char *words = "its certificate is refused";

	for (size_t i = 0; i < sizeof(certificate_words) / sizeof(*certificate_words); i++)
		if (certificate_words[i].code == code)
			words = certificate_words[i].words;
	snprintf(tls->why, sizeof(tls->why), "%s (%s)", words, X509_verify_cert_error_string(code));
}

static void explain_asked(struct tls *tls)
{
	snprintf(tls->why, sizeof(tls->why),
	         "it wants a certificate of its clients, and rowfs has none (tls-auth-clients no)");
}

static void explain(struct tls *tls)
{
	unsigned long code = ERR_peek_error();
	const char *reason = ERR_reason_error_string(code);
	int known = ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0;

	if (known == SSL_R_CERTIFICATE_VERIFY_FAILED)
		explain_certificate(tls, SSL_get_verify_result(tls->ssl));
	else if (known == SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED)
		explain_asked(tls);
	else
		snprintf(tls->why, sizeof(tls->why), "TLS failed: %s",
		         reason ? reason : "no reason is known");
}

/* Who is missing a certificate says so and hangs up; what was sent meanwhile may make the kernel
 * forget the former. */
static int reset(struct tls *tls)
{
	if (tls->asked && !tls->heard)
		explain_asked(tls);
	return -ECONNRESET;
}

/* Before each call: OpenSSL looks at what earlier ones have left behind. */
static void clear(void)
{
	ERR_clear_error();
	errno = 0;
}

/* What a call of OpenSSL's came to: `n` if that says success. */
static int outcome(struct tls *tls, int n)
{
	int err = errno;

	switch (SSL_get_error(tls->ssl, n)) {
	case SSL_ERROR_NONE:
		return n;
	case SSL_ERROR_WANT_READ:
		tls->wants = POLLIN;
		return -EAGAIN;
	case SSL_ERROR_WANT_WRITE:
		tls->wants = POLLOUT;
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return reset(tls);
	case SSL_ERROR_SYSCALL:
		tls->broken = true;
		return err == EPIPE || err == ECONNRESET || !err ? reset(tls) : -err;
	default:
		tls->broken = true;
		explain(tls);
		return -EPROTO;
	}
}

int tls_shake(struct tls *tls)
{
	int r;

	clear();
	r = outcome(tls, SSL_do_handshake(tls->ssl));
	return r < 0 ? r : 0;
}

/* OpenSSL counts with int; what is left is sent by the next call. */
static int bounded(size_t len)
{
	return len < 1 << 20 ? (int)len : 1 << 20;
}

ssize_t tls_send(struct tls *tls, const void *bytes, size_t len)
{
	clear();
	return outcome(tls, SSL_write(tls->ssl, bytes, bounded(len)));
}

ssize_t tls_receive(struct tls *tls, void *bytes, size_t size)
{
	int n;

	clear();
	n = outcome(tls, SSL_read(tls->ssl, bytes, bounded(size)));
	tls->heard = tls->heard || n > 0;
	return n;
}

ssize_t tls_peek(struct tls *tls)
{
	char byte;

	clear();
	return outcome(tls, SSL_peek(tls->ssl, &byte, 1));
}
