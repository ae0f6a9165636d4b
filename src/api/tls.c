/* SPDX-License-Identifier: Apache-2.0 */
#include "api/tls.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <gnutls/gnutls.h>

#include "base/mem.h"

/* Measured with kubectl 1.20 to 1.33, curl and Python. */
static const char priorities[] = "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2";

enum {
	RECORD_MAX = 16 * 1024, /* RFC 8446 section 5.1: plaintext of one record */
};

struct tls_context {
	unsigned refs;
	gnutls_certificate_credentials_t credentials;
	gnutls_priority_t priority;
};

struct tls {
	struct tls_context *context;
	gnutls_session_t session;
	struct buf feed, wire;
	size_t feed_at; /* bytes of feed already pulled */
	bool eof;       /* nothing will be decrypted any more */
};

static int gnutls_failed(int result, const char *what, struct err *err)
{
	return err_set(err, err_origin(-EINVAL), "%s: %s", what, gnutls_strerror(result));
}

int tls_context_new(const char *chain_pem, const char *key_pem, struct tls_context **ret_context,
		    struct err *err)
{
	struct tls_context *context = mem_new(struct tls_context);
	gnutls_datum_t chain, key;
	int r;

	context->refs = 1;
	r = gnutls_certificate_allocate_credentials(&context->credentials);
	if (r == 0)
		r = gnutls_priority_init(&context->priority, priorities, NULL);
	if (r == 0) {
		/* GnuTLS only reads these; its datum has no const. */
		chain.data = (unsigned char *)mem_strdup(chain_pem);
		chain.size = (unsigned)strlen(chain_pem);
		key.data = (unsigned char *)mem_strdup(key_pem);
		key.size = (unsigned)strlen(key_pem);
		r = gnutls_certificate_set_x509_key_mem(context->credentials, &chain, &key,
							GNUTLS_X509_FMT_PEM);
		secret_wipe(key.data, key.size);
		free(key.data);
		free(chain.data);
	}
	if (r < 0) {
		tls_context_unref(context);
		return gnutls_failed(r, "REST certificate", err);
	}
	*ret_context = context;
	return 0;
}

static struct tls_context *tls_context_ref(struct tls_context *context)
{
	context->refs++;
	return context;
}

void tls_context_unref(struct tls_context *context)
{
	if (!context)
		return;
	assert(context->refs > 0);
	if (--context->refs)
		return;
	if (context->priority)
		gnutls_priority_deinit(context->priority);
	if (context->credentials)
		gnutls_certificate_free_credentials(context->credentials);
	free(context);
}

static ssize_t pull(gnutls_transport_ptr_t arg, void *out, size_t len)
{
	struct tls *tls = arg;
	size_t have = tls->feed.len - tls->feed_at;

	if (have == 0) {
		gnutls_transport_set_errno(tls->session, EAGAIN);
		return -1;
	}
	if (len > have)
		len = have;
	memcpy(out, tls->feed.ptr + tls->feed_at, len);
	tls->feed_at += len;
	if (tls->feed_at == tls->feed.len) {
		buf_deinit(&tls->feed);
		tls->feed_at = 0;
	}
	return (ssize_t)len;
}

static ssize_t push(gnutls_transport_ptr_t arg, const void *from, size_t len)
{
	struct tls *tls = arg;

	buf_append(&tls->wire, from, len);
	return (ssize_t)len;
}

/* Without it GnuTLS would ask the kernel about a descriptor that does not exist. */
static int pull_ready(gnutls_transport_ptr_t arg, unsigned ms)
{
	const struct tls *tls = arg;

	(void)ms;
	return tls->feed.len > tls->feed_at;
}

struct tls *tls_new(struct tls_context *context)
{
	static unsigned char name[] = {'h', 't', 't', 'p', '/', '1', '.', '1'};
	const gnutls_datum_t http11 = {.data = name, .size = sizeof(name)};
	struct tls *tls = mem_new(struct tls);
	int r;

	tls->context = tls_context_ref(context);
	r = gnutls_init(&tls->session,
			GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL | GNUTLS_NO_TICKETS);
	if (r == 0)
		r = gnutls_priority_set(tls->session, context->priority);
	if (r == 0)
		r = gnutls_credentials_set(tls->session, GNUTLS_CRD_CERTIFICATE,
					   context->credentials);
	if (r == 0)
		r = gnutls_alpn_set_protocols(tls->session, &http11, 1, 0);
	if (r < 0)
		abort(); /* only memory can be short here, and that policy is mem.h's */
	gnutls_certificate_server_set_request(tls->session, GNUTLS_CERT_REQUEST);
	gnutls_handshake_set_max_packet_length(tls->session, TLS_HANDSHAKE_MAX);
	gnutls_handshake_set_timeout(tls->session, GNUTLS_INDEFINITE_TIMEOUT);
	gnutls_transport_set_ptr(tls->session, tls);
	gnutls_transport_set_pull_function(tls->session, pull);
	gnutls_transport_set_pull_timeout_function(tls->session, pull_ready);
	gnutls_transport_set_push_function(tls->session, push);
	return tls;
}

void tls_free(struct tls *tls)
{
	if (!tls)
		return;
	gnutls_deinit(tls->session);
	tls_context_unref(tls->context);
	buf_deinit(&tls->feed);
	buf_deinit(&tls->wire);
	free(tls);
}

bool tls_feed(struct tls *tls, struct bytes bytes)
{
	if (tls->feed.len + bytes.len > TLS_FEED_MAX)
		return false;
	buf_append_bytes(&tls->feed, bytes);
	return true;
}

static int handshake_failed(struct tls *tls, int result, const char **ret_why)
{
	*ret_why = result == GNUTLS_E_FATAL_ALERT_RECEIVED
			   ? gnutls_alert_get_name(gnutls_alert_get(tls->session))
			   : gnutls_strerror(result);
	if (!*ret_why)
		*ret_why = "unknown alert";
	(void)gnutls_alert_send_appropriate(tls->session, result);
	return TLS_E_FAILED;
}

int tls_handshake(struct tls *tls, const char **ret_why)
{
	int r;

	do {
		r = gnutls_handshake(tls->session);
	} while (r == GNUTLS_E_INTERRUPTED || r == GNUTLS_E_WARNING_ALERT_RECEIVED);
	if (r == GNUTLS_E_AGAIN)
		return TLS_E_AGAIN;
	return r == 0 ? 0 : handshake_failed(tls, r, ret_why);
}

int tls_read(struct tls *tls, struct buf *out, size_t max)
{
	size_t before = out->len;

	while (!tls->eof && out->len - before < max) {
		size_t want = max - (out->len - before);
		ssize_t r;

		if (want > RECORD_MAX)
			want = RECORD_MAX;
		buf_reserve(out, want);
		r = gnutls_record_recv(tls->session, out->ptr + out->len, want);
		if (r > 0) {
			out->len += (size_t)r;
			continue;
		}
		if (r == GNUTLS_E_AGAIN)
			break;
		/* A TLS 1.2 client may not renegotiate: it is a way to burn our CPU. */
		if (r == GNUTLS_E_INTERRUPTED || r == GNUTLS_E_WARNING_ALERT_RECEIVED)
			continue;
		tls->eof = true;
		if (out->len == before)
			return r == 0 ? TLS_E_CLOSED : TLS_E_FAILED;
	}
	if (out->len > before)
		return 0;
	return tls->eof ? TLS_E_CLOSED : TLS_E_AGAIN;
}

int tls_write(struct tls *tls, struct bytes bytes, size_t *ret_taken)
{
	size_t taken = 0;

	while (taken < bytes.len && tls->wire.len < TLS_WIRE_HIGH) {
		size_t len = bytes.len - taken < RECORD_MAX ? bytes.len - taken : RECORD_MAX;
		ssize_t r = gnutls_record_send(tls->session, bytes.ptr + taken, len);

		/* push() takes everything, so nothing but a failure stops a record. */
		if (r < 0)
			return TLS_E_FAILED;
		taken += (size_t)r;
	}
	*ret_taken = taken;
	return 0;
}

void tls_bye(struct tls *tls)
{
	(void)gnutls_bye(tls->session, GNUTLS_SHUT_WR);
}

struct buf *tls_wire(struct tls *tls)
{
	return &tls->wire;
}

size_t tls_peer_chain(const struct tls *tls, struct bytes chain[TLS_CHAIN_MAX])
{
	unsigned count = 0;
	const gnutls_datum_t *certs = gnutls_certificate_get_peers(tls->session, &count);

	if (!certs)
		return 0;
	/* A longer chain loses its end and then fails verification, which is what it deserves. */
	if (count > TLS_CHAIN_MAX)
		count = TLS_CHAIN_MAX;
	for (unsigned i = 0; i < count; i++)
		chain[i] = bytes_of(certs[i].data, certs[i].size);
	return count;
}
