/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The functions named ngtcp2_* here take the place of the library's for the program they are
 * linked into.
 */
#include "evil.h"

#include <assert.h>
#include <gnutls/gnutls.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>
#include <string.h>

enum {
	EXTENSION_PARAMETERS = 0x39, /* RFC 9001 section 8.2 */
	PARAMETERS_MAX = 512,
	FRAMES_MAX = 2048,
};

struct evil evil;

size_t evil_varint(uint8_t *out, uint64_t value)
{
	if (value < 64) {
		out[0] = (uint8_t)value;
		return 1;
	}
	if (value < 16384) {
		out[0] = (uint8_t)(0x40 | value >> 8);
		out[1] = (uint8_t)value;
		return 2;
	}
	for (size_t i = 0; i < 8; i++)
		out[i] = (uint8_t)(value >> (8 * (7 - i)));
	out[0] = (uint8_t)((out[0] & 0x3f) | 0xc0);
	return 8;
}

static bool is_acting(void)
{
	return evil.world && evil.node && evil.world->acting == evil.node;
}

static enum evil_packet type_of(uint8_t first)
{
	if (!(first & 0x80))
		return EVIL_SHORT;
	return (first & 0x30) == 0x20 ? EVIL_HANDSHAKE : EVIL_INITIAL;
}

int ngtcp2_crypto_encrypt_cb(uint8_t *dest, const ngtcp2_crypto_aead *aead,
			     const ngtcp2_crypto_aead_ctx *aead_ctx, const uint8_t *plaintext,
			     size_t plaintextlen, const uint8_t *nonce, size_t noncelen,
			     const uint8_t *aad, size_t aadlen)
{
	uint8_t frames[FRAMES_MAX];

	if (is_acting() && evil.rewrite && plaintextlen <= sizeof(frames)) {
		memcpy(frames, plaintext, plaintextlen);
		evil.rewrite(&evil, type_of(aad[0]), frames, plaintextlen);
		evil.rewritten++;
		plaintext = frames;
	}
	return ngtcp2_crypto_encrypt(dest, aead, aead_ctx, plaintext, plaintextlen, nonce, noncelen,
				     aad, aadlen);
}

static ngtcp2_conn *conn_of(gnutls_session_t session)
{
	ngtcp2_crypto_conn_ref *ref = gnutls_session_get_ptr(session);

	return ref->get_conn(ref);
}

static int on_secret(gnutls_session_t session, gnutls_record_encryption_level_t gnutls_level,
		     const void *rx, const void *tx, size_t len)
{
	ngtcp2_encryption_level level =
		ngtcp2_crypto_gnutls_from_gnutls_record_encryption_level(gnutls_level);

	if (rx && ngtcp2_crypto_derive_and_install_rx_key(conn_of(session), NULL, NULL, NULL, level,
							  rx, len) != 0)
		return -1;
	if (tx && ngtcp2_crypto_derive_and_install_tx_key(conn_of(session), NULL, NULL, NULL, level,
							  tx, len) != 0)
		return -1;
	return 0;
}

static int on_message(gnutls_session_t session, gnutls_record_encryption_level_t gnutls_level,
		      gnutls_handshake_description_t type, const void *data, size_t len)
{
	ngtcp2_encryption_level level =
		ngtcp2_crypto_gnutls_from_gnutls_record_encryption_level(gnutls_level);

	if (type == GNUTLS_HANDSHAKE_CHANGE_CIPHER_SPEC)
		return 0;
	if (level == NGTCP2_ENCRYPTION_LEVEL_1RTT)
		evil.late_tls_messages++;
	return ngtcp2_conn_submit_crypto_data(conn_of(session), level, data, len);
}

static int on_alert(gnutls_session_t session, gnutls_record_encryption_level_t level,
		    gnutls_alert_level_t alert_level, gnutls_alert_description_t alert)
{
	(void)level;
	(void)alert_level;
	ngtcp2_conn_set_tls_alert(conn_of(session), (uint8_t)alert);
	return 0;
}

static int on_parameters(gnutls_session_t session, const unsigned char *data, size_t len)
{
	return ngtcp2_conn_decode_and_set_remote_transport_params(conn_of(session), data, len) == 0
		       ? 0
		       : GNUTLS_E_RECEIVED_ILLEGAL_EXTENSION;
}

static int send_parameters(gnutls_session_t session, gnutls_buffer_t out)
{
	uint8_t parameters[PARAMETERS_MAX];
	ngtcp2_ssize len;

	/* Only one node of a world leaves them out; both handshake with this code. */
	if (evil.no_parameters && evil.node &&
	    (ngtcp2_conn_is_server(conn_of(session)) != 0) == (evil.node->index == 1))
		return 0;
	len = ngtcp2_conn_encode_local_transport_params(conn_of(session), parameters,
							sizeof(parameters));
	assert(len > 0);
	(void)gnutls_buffer_append_data(out, parameters, (size_t)len);
	return (int)len;
}

static int configure(gnutls_session_t session)
{
	gnutls_handshake_set_secret_function(session, on_secret);
	gnutls_handshake_set_read_function(session, on_message);
	gnutls_alert_set_read_function(session, on_alert);
	return gnutls_session_ext_register(
		session, "QUIC Transport Parameters", EXTENSION_PARAMETERS, GNUTLS_EXT_TLS,
		on_parameters, send_parameters, NULL, NULL, NULL,
		GNUTLS_EXT_FLAG_TLS | GNUTLS_EXT_FLAG_CLIENT_HELLO | GNUTLS_EXT_FLAG_EE);
}

int ngtcp2_crypto_gnutls_configure_client_session(gnutls_session_t session)
{
	return configure(session);
}

int ngtcp2_crypto_gnutls_configure_server_session(gnutls_session_t session)
{
	return configure(session);
}
