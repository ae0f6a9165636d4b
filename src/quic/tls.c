/* SPDX-License-Identifier: Apache-2.0 */
#include "quic/tls.h"

#include <gnutls/abstract.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "quic/credential_view.h"
#include "quic/endpoint_state.h"

static const char priority[] =
	"NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:+CHACHA20-POLY1305:"
	"-GROUP-ALL:+GROUP-X25519:-SIGN-ALL:+SIGN-EDDSA-ED25519:-CTYPE-ALL:+CTYPE-X509:"
	"%DISABLE_TLS13_COMPAT_MODE";

static struct quic_conn *conn_of_session(gnutls_session_t session)
{
	ngtcp2_crypto_conn_ref *ref = gnutls_session_get_ptr(session);

	return ref->user_data;
}

static ngtcp2_conn *ng_of_ref(ngtcp2_crypto_conn_ref *ref)
{
	struct quic_conn *conn = ref->user_data;

	return conn->ng;
}

static struct endpoint_acceptor *acceptor_find(struct quic_endpoint *endpoint, const char *alpn)
{
	for (size_t i = 0; i < endpoint->acceptor_count; i++) {
		if (strcmp(endpoint->acceptor[i].alpn, alpn) == 0)
			return &endpoint->acceptor[i];
	}
	return NULL;
}

static bool selected_alpn(gnutls_session_t session, char alpn[QUIC_ALPN_MAX])
{
	gnutls_datum_t name;

	if (gnutls_alpn_get_selected_protocol(session, &name) < 0 || name.size == 0 ||
	    name.size >= QUIC_ALPN_MAX)
		return false;
	memcpy(alpn, name.data, name.size);
	alpn[name.size] = '\0';
	return true;
}

/* Which certificate to show: the one given when dialling, or that of the protocol asked for. */
static int on_retrieve(gnutls_session_t session, const struct gnutls_cert_retr_st *info,
		       gnutls_pcert_st **chain, unsigned *chain_len, gnutls_ocsp_data_st **ocsp,
		       unsigned *ocsp_len, gnutls_privkey_t *key, unsigned *flags)
{
	struct quic_conn *conn = conn_of_session(session);
	struct endpoint_acceptor *acceptor;
	char alpn[QUIC_ALPN_MAX];

	(void)info;
	*ocsp = NULL;
	*ocsp_len = 0;
	*flags = 0;
	if (!conn->credential && conn->dialled) {
		*chain = NULL;
		*chain_len = 0;
		*key = NULL;
		return 0;
	}
	if (!conn->credential) {
		if (!selected_alpn(session, alpn) ||
		    !(acceptor = acceptor_find(conn->endpoint, alpn)))
			return GNUTLS_E_NO_APPLICATION_PROTOCOL;
		conn->credential = quic_credential_ref(acceptor->credential);
	}
	*chain = conn->credential->chain;
	*chain_len = (unsigned)conn->credential->count;
	*key = conn->credential->key;
	return 0;
}

static void keep_chain(struct quic_conn *conn, const gnutls_datum_t *chain, size_t count)
{
	size_t total = 0;

	for (size_t i = 0; i < count; i++)
		total += chain[i].size;
	conn->chain_memory = mem_alloc(1, total);
	conn->chain = mem_alloc(count, sizeof(*conn->chain));
	total = 0;
	for (size_t i = 0; i < count; i++) {
		memcpy(conn->chain_memory + total, chain[i].data, chain[i].size);
		conn->chain[i] = bytes_of(conn->chain_memory + total, chain[i].size);
		total += chain[i].size;
	}
	conn->chain_count = count;
}

static bool chain_is_acceptable(gnutls_session_t session, const gnutls_datum_t *chain,
				unsigned count)
{
	size_t total = 0;

	if (!chain || count < 1 || count > QUIC_CHAIN_MAX ||
	    gnutls_certificate_type_get2(session, GNUTLS_CTYPE_PEERS) != GNUTLS_CRT_X509)
		return false;
	for (unsigned i = 0; i < count; i++) {
		if (chain[i].size == 0)
			return false;
		total += chain[i].size;
	}
	return total <= QUIC_CHAIN_BYTES_MAX;
}

/*
 * The library takes the peer's transport parameters for granted once its first message has been
 * processed, and aborts the process if they are missing. So they must be there, or the handshake
 * ends here. RFC 9001 section 8.2: "Endpoints that receive ClientHello or EncryptedExtensions
 * messages without the quic_transport_parameters extension MUST close the connection".
 */
static bool has_parameters(struct quic_conn *conn)
{
	if (ngtcp2_conn_get_remote_transport_params(conn->ng))
		return true;
	conn->hello_bare = true;
	conn->endpoint->stats.guard_hello++;
	return false;
}

/* Runs when a ClientHello has been read, before anything else happens with it. */
static int on_hello(gnutls_session_t session, unsigned type, unsigned when, unsigned incoming,
		    const gnutls_datum_t *message)
{
	(void)type;
	(void)when;
	(void)message;
	if (incoming && !has_parameters(conn_of_session(session)))
		return GNUTLS_E_MISSING_EXTENSION;
	return 0;
}

/* Runs once per handshake, after the peer has proven its key and before we say that we are done.
 * Without tickets there is no handshake that skips it. */
static int on_verify(gnutls_session_t session)
{
	struct quic_conn *conn = conn_of_session(session);
	struct quic_endpoint *endpoint = conn->endpoint;
	unsigned count = 0;
	const gnutls_datum_t *chain = gnutls_certificate_get_peers(session, &count);
	char alpn[QUIC_ALPN_MAX];
	struct quic_peer peer = {.conn = conn,
				 .conn_user = conn->user,
				 .alpn = alpn,
				 .remote = conn->path.remote,
				 .we_are_server = !conn->dialled};
	struct err *err = mem_new(struct err);
	int r = -EKEYREJECTED;

	/* For a client this is the first look after EncryptedExtensions. */
	if (!has_parameters(conn)) {
		free(err);
		return GNUTLS_E_MISSING_EXTENSION;
	}
	if (!selected_alpn(session, alpn)) {
		(void)err_set(err, r, "no protocol was agreed on");
	} else if (!chain_is_acceptable(session, chain, count)) {
		(void)err_set(err, r, "not a chain of 1 to %d certificates", QUIC_CHAIN_MAX);
	} else {
		if (!conn->dialled)
			(void)snprintf(conn->alpn, sizeof(conn->alpn), "%s", alpn);
		keep_chain(conn, chain, count);
		r = endpoint->handler->verify(endpoint->user, &peer, conn->chain, count, err);
	}
	if (r != 0) {
		err->code = -EKEYREJECTED;
		conn->peer_refused = true;
		free(conn->why);
		conn->why = err;
		return GNUTLS_E_CERTIFICATE_ERROR;
	}
	free(err);
	return 0;
}

int tls_endpoint_init(struct quic_endpoint *endpoint, struct err *err)
{
	int r = gnutls_priority_init(&endpoint->priority, priority, NULL);

	if (r < 0)
		return err_set(err, -ENOSYS, "TLS priorities: %s", gnutls_strerror(r));
	r = gnutls_certificate_allocate_credentials(&endpoint->certificates);
	if (r < 0)
		return err_set(err, -ENOMEM, "TLS credentials: %s", gnutls_strerror(r));
	gnutls_certificate_set_retrieve_function3(endpoint->certificates, on_retrieve);
	gnutls_certificate_set_verify_function(endpoint->certificates, on_verify);
	return 0;
}

void tls_endpoint_deinit(struct quic_endpoint *endpoint)
{
	if (endpoint->priority)
		gnutls_priority_deinit(endpoint->priority);
	if (endpoint->certificates)
		gnutls_certificate_free_credentials(endpoint->certificates);
}

static int set_alpn(struct quic_conn *conn)
{
	struct quic_endpoint *endpoint = conn->endpoint;
	gnutls_datum_t names[QUIC_ACCEPTORS_MAX];
	unsigned count = 0;

	if (conn->dialled)
		names[count++] = (gnutls_datum_t){.data = (unsigned char *)conn->alpn,
						  .size = (unsigned)strlen(conn->alpn)};
	for (size_t i = 0; !conn->dialled && i < endpoint->acceptor_count; i++)
		names[count++] =
			(gnutls_datum_t){.data = (unsigned char *)endpoint->acceptor[i].alpn,
					 .size = (unsigned)strlen(endpoint->acceptor[i].alpn)};
	return gnutls_alpn_set_protocols(conn->tls, names, count, GNUTLS_ALPN_MANDATORY);
}

static int set_role(struct quic_conn *conn)
{
	if (conn->dialled)
		return ngtcp2_crypto_gnutls_configure_client_session(conn->tls);
	gnutls_handshake_set_hook_function(conn->tls, GNUTLS_HANDSHAKE_CLIENT_HELLO,
					   GNUTLS_HOOK_POST, on_hello);
	gnutls_certificate_server_set_request(conn->tls, GNUTLS_CERT_REQUIRE);
	return ngtcp2_crypto_gnutls_configure_server_session(conn->tls);
}

int tls_conn_init(struct quic_conn *conn)
{
	unsigned flags = GNUTLS_NO_TICKETS | GNUTLS_NO_END_OF_EARLY_DATA;

	flags |= conn->dialled ? GNUTLS_CLIENT : GNUTLS_SERVER | GNUTLS_NO_AUTO_SEND_TICKET;
	conn->ref = (ngtcp2_crypto_conn_ref){.get_conn = ng_of_ref, .user_data = conn};
	if (gnutls_init(&conn->tls, flags) < 0) {
		conn->tls = NULL;
		return err_origin(-ENOMEM);
	}
	gnutls_session_set_ptr(conn->tls, &conn->ref);
	if (gnutls_priority_set(conn->tls, conn->endpoint->priority) < 0 || set_role(conn) != 0 ||
	    set_alpn(conn) < 0 ||
	    gnutls_credentials_set(conn->tls, GNUTLS_CRD_CERTIFICATE,
				   conn->endpoint->certificates) < 0)
		return err_origin(-ENOMEM);
	ngtcp2_conn_set_tls_native_handle(conn->ng, conn->tls);
	return 0;
}

void tls_conn_deinit(struct quic_conn *conn)
{
	if (!conn->tls)
		return;
	if (conn->ng)
		ngtcp2_conn_set_tls_native_handle(conn->ng, NULL);
	gnutls_deinit(conn->tls);
	conn->tls = NULL;
	quic_credential_unref(conn->credential);
	conn->credential = NULL;
}

bool tls_conn_completed(struct quic_conn *conn)
{
	char alpn[QUIC_ALPN_MAX];

	if (!selected_alpn(conn->tls, alpn))
		return false;
	if (conn->dialled)
		return strcmp(alpn, conn->alpn) == 0;
	(void)snprintf(conn->alpn, sizeof(conn->alpn), "%s", alpn);
	return true;
}
